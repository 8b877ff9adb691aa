/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale remove: actives and views, never a layer.
 */
#include "removal.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	return removal_run(cli, shale_remove, "removed");
}

const struct verb remove_verb = {
	.name = "remove",
	.usage = "remove KEY...",
	.summary = "remove active snapshots and views",
	.details = "Stops at the first that can't be removed. Committed ones "
		   "are for 'shale delete'.\n",
	.least = 1,
	.most = -1,
	.needs = NEEDS_STORE,
	.run = run,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale delete: layers without children.
 */
#include "removal.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	return removal_run(cli, shale_delete, "deleted");
}

const struct verb delete_verb = {
	.name = "delete",
	.usage = "delete NAME...",
	.summary = "delete committed snapshots that have no children",
	.details = "Stops at the first that can't be deleted. Say children "
		   "before their parents.\n",
	.least = 1,
	.most = -1,
	.needs = NEEDS_STORE,
	.run = run,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale view: a new read-only snapshot.
 */
#include "creation.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	return creation_run(cli, shale_view);
}

const struct verb view_verb = {
	.name = "view",
	.usage = "view KEY [PARENT] [--label K=V]...",
	.summary = "make the read-only snapshot KEY of PARENT",
	.details =
		"PARENT is committed. Nothing is mounted: see 'shale mount'. "
		"The store is made\nwhere there is none yet.\n",
	.least = 1,
	.most = 2,
	.options = TAKES_LABELS,
	.needs = MAKES_STORE,
	.run = run,
};

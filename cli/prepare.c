/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale prepare: a new writable snapshot.
 */
#include "creation.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	return creation_run(cli, shale_prepare);
}

const struct verb prepare_verb = {
	.name = "prepare",
	.usage = "prepare KEY [PARENT] [--label K=V]...",
	.summary = "make the writable snapshot KEY, on PARENT or empty",
	.details =
		"PARENT is committed. Nothing is mounted: see 'shale mount'. "
		"The store is made\nwhere there is none yet.\n",
	.least = 1,
	.most = 2,
	.options = TAKES_LABELS,
	.needs = MAKES_STORE,
	.run = run,
};

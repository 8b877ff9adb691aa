/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale commit: an active snapshot becomes a layer.
 */
#include "output.h"
#include "verbs.h"

static int check(struct cli *cli)
{
	const unsigned int both = SHALE_COMMIT_KEEP | SHALE_COMMIT_FREEZE;

	return (cli->flags & both) == SHALE_COMMIT_FREEZE
		       ? usage_error(cli, "--freeze goes with --keep alone")
		       : 0;
}

static int run(struct cli *cli)
{
	const char *name = cli->operands[0], *key = cli->operands[1];
	const struct shale_opts opts = {
		.size = sizeof(opts),
		.flags = cli->flags,
		.labels = options_labels(cli),
		.parent = cli->parent,
	};
	int r = shale_commit(cli->store, name, key, &opts, &cli->err);

	return r < 0 ? r : out_result(cli, name);
}

const struct verb commit_verb = {
	.name = "commit",
	.usage = "commit NAME KEY [--keep [--freeze]] [--manifest] "
		 "[--parent PARENT] [--label K=V]...",
	.summary = "make the active snapshot KEY the committed one NAME",
	.details =
		"KEY must not be mounted, and is gone afterwards; its labels "
		"are not inherited.\n--parent gives a parent to one that was "
		"prepared without.\n--keep commits a copy: KEY may be mounted "
		"and in use, and goes on. --freeze stops\nits container "
		"meanwhile.\n--manifest records a digest of every entry, for "
		"'shale verify'.\n",
	.least = 2,
	.most = 2,
	.options = TAKES_LABELS | TAKES_PARENT | TAKES_KEEP | TAKES_MANIFEST,
	.needs = NEEDS_STORE,
	.check = check,
	.run = run,
};

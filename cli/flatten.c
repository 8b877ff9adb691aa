/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale flatten: one layer from many.
 */
#include "output.h"
#include "process.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	const char *new = cli->operands[0], *name = cli->operands[1];
	const struct shale_opts opts = {
		.size = sizeof(opts),
		.flags = cli->flags,
		.labels = options_labels(cli),
	};
	int r;

	process_raise_limit(); /* 500 layers by short names */
	r = shale_flatten(cli->store, new, name, &opts, &cli->err);
	return r < 0 ? r : out_result(cli, new);
}

const struct verb flatten_verb = {
	.name = "flatten",
	.usage = "flatten NEW NAME [--manifest] [--label K=V]...",
	.summary = "commit one layer NEW with all that NAME and its parents "
		   "show",
	.details = "NEW has no parent. NAME stays. Chains that are too long to "
		   "be mounted are no\nexception. The labels of NAME are not "
		   "inherited.\n",
	.least = 2,
	.most = 2,
	.options = TAKES_LABELS | TAKES_MANIFEST,
	.needs = NEEDS_STORE,
	.run = run,
};

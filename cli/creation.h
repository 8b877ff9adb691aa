/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What prepare and view have in common: a key, a parent and labels.
 */
#ifndef CLI_CREATION_H
#define CLI_CREATION_H

#include "cli.h"
#include "output.h"

typedef int creation_fn(struct shale_store *store, const char *key,
			const char *parent, const struct shale_opts *opts,
			struct shale_error *err);

/** creation_run - call @fn for the operands, and print the key */
static inline int creation_run(struct cli *cli, creation_fn *fn)
{
	const char *key = cli->operands[0], *parent = cli->operands[1];
	const struct shale_opts opts = {
		.size = sizeof(opts),
		.labels = options_labels(cli),
	};
	int r = fn(cli->store, key, parent, &opts, &cli->err);

	return r < 0 ? r : out_result(cli, key);
}

#endif

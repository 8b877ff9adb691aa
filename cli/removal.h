/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What remove and delete have in common: many names, and the first that fails
 * ends it.
 */
#ifndef CLI_REMOVAL_H
#define CLI_REMOVAL_H

#include "cli.h"
#include "output.h"

typedef int removal_fn(struct shale_store *store, const char *name,
		       struct shale_error *err);

/**
 * removal_run - call @fn for each operand
 * @verb: of the member of the JSON result: {VERB: [{"name": ...}, ...]}, with
 *        those in it that are gone, also after a failure
 */
static inline int removal_run(struct cli *cli, removal_fn *fn, const char *verb)
{
	int r = 0;

	if (cli->json) {
		out_object(NULL);
		out_array(verb);
	}
	for (int i = 0; i < cli->operand_count; i++) {
		r = fn(cli->store, cli->operands[i], &cli->err);
		if (r < 0)
			break;
		if (cli->json) {
			out_object(NULL);
			out_name("name", cli->operands[i]);
			out_object_end();
		}
	}
	if (cli->json) {
		out_array_end();
		out_object_end();
	}
	return r;
}

#endif

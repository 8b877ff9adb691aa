/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale exists: an answer for scripts, in the exit status.
 */
#include <errno.h>

#include "output.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	const char *name = cli->operands[0];
	int r = shale_exists(cli->store, name, &cli->err);

	if (r < 0 && r != -ENOENT)
		return r;
	error_clear(&cli->err);
	if (cli->json) {
		out_object(NULL);
		out_name("name", name);
		out_bool("exists", r == 0);
		out_object_end();
	}
	return r == 0 ? CLI_OK : CLI_FAILED;
}

const struct verb exists_verb = {
	.name = "exists",
	.usage = "exists NAME",
	.summary = "tell by exit status 0 or 1 whether NAME exists",
	.details = "Prints nothing, but a sentence where the store can't be "
		   "read.\n",
	.least = 1,
	.most = 1,
	.needs = NEEDS_STORE,
	.run = run,
};

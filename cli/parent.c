/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale parent: one step up.
 */
#include "output.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	const char *name = cli->operands[0];
	char parent[SHALE_NAME_SIZE];
	int r = shale_parent(cli->store, name, parent, &cli->err);

	if (r < 0)
		return r;
	if (cli->json) {
		out_object(NULL);
		out_name("name", name);
		out_name("parent", parent);
		out_object_end();
	} else if (*parent) {
		out_quoted(parent, 0);
		out_text("\n");
	}
	return 0;
}

const struct verb parent_verb = {
	.name = "parent",
	.usage = "parent NAME",
	.summary = "show the parent of NAME",
	.details = "Prints nothing where there is none.\n",
	.least = 1,
	.most = 1,
	.needs = NEEDS_STORE,
	.run = run,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale usage: what a snapshot takes on disk.
 */
#include <inttypes.h>

#include "output.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	const char *name = cli->operands[0];
	struct shale_usage usage = { .size = sizeof(usage) };
	char size[OUT_WORD_SIZE];
	int r = shale_usage(cli->store, name, &usage, &cli->err);

	if (r < 0)
		return r;
	if (cli->json) {
		out_object(NULL);
		out_name("name", name);
		out_number("bytes", usage.bytes);
		out_number("inodes", usage.inodes);
		out_object_end();
		return 0;
	}
	out_size(usage.bytes, size);
	out_text("%s in %" PRIu64 " inode%s\n", size, usage.inodes,
		 usage.inodes == 1 ? "" : "s");
	return 0;
}

const struct verb usage_verb = {
	.name = "usage",
	.usage = "usage NAME",
	.summary = "show what NAME takes on disk, without its parents",
	.least = 1,
	.most = 1,
	.needs = NEEDS_STORE,
	.run = run,
};

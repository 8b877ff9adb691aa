/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale umount: the top mount of a directory.
 */
#include "output.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	int r = shale_unmount(cli->operands[0], &cli->err);

	if (r < 0)
		return r;
	if (cli->json) {
		out_object(NULL);
		out_name("target", cli->operands[0]);
		out_object_end();
	}
	return 0;
}

const struct verb umount_verb = {
	.name = "umount",
	.usage = "umount TARGET",
	.summary = "unmount what is mounted on TARGET",
	.least = 1,
	.most = 1,
	.run = run,
};

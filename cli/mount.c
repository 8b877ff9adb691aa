/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale mount: a snapshot on a directory, unless something uses it already.
 */
#include <errno.h>

#include "output.h"
#include "process.h"
#include "verbs.h"

struct mounting {
	struct cli *cli;
	int r;
};

/* A callback must not return what is below 0. */
static int mount_spec(void *ctx, const struct shale_mount_spec *spec)
{
	struct mounting *m = ctx;

	m->r = shale_mount(spec, m->cli->operands[1], &m->cli->err);
	return m->r < 0;
}

static int run(struct cli *cli)
{
	const char *key = cli->operands[0], *target = cli->operands[1];
	struct mounting m = { .cli = cli };
	int r;

	process_raise_limit(); /* 500 layers by short names */
	r = shale_mounts_exclusive(cli->store, key, mount_spec, &m, &cli->err);
	if (m.r < 0)
		return m.r;
	if (r < 0)
		return r;
	if (cli->json) {
		out_object(NULL);
		out_name("key", key);
		out_name("target", target);
		out_object_end();
	}
	return 0;
}

const struct verb mount_verb = {
	.name = "mount",
	.usage = "mount KEY TARGET",
	.summary = "mount KEY on the directory TARGET",
	.details =
		"An active snapshot is mounted read-write, a view read-only. "
		"One that is mounted\nalready, or that a container uses, is "
		"refused.\n",
	.least = 2,
	.most = 2,
	.needs = NEEDS_STORE,
	.run = run,
};

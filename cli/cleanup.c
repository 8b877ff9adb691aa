/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale cleanup: what processes and containers that are gone left behind.
 */
#include <inttypes.h>

#include "config.h"
#include "output.h"
#include "owner.h"
#include "reap.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	const char *root = cli->root ? cli->root : cli->config->root;
	uint64_t directories = 0, keys = 0, mounts = 0;
	int r, r_door, r_store;

	/* One that fails keeps the others from nothing. */
	r = reap_gone(root, &mounts, &cli->err);
	r_door = door_cleanup(cli->store, &keys, &cli->err);
	r_store = shale_cleanup(cli->store, &directories, &cli->err);
	if (r < 0 || r_door < 0 || r_store < 0)
		return r < 0 ? r : r_door < 0 ? r_door : r_store;
	if (cli->json) {
		out_object(NULL);
		out_number("directories", directories);
		out_number("keys", keys);
		out_number("mounts", mounts);
		out_object_end();
		return 0;
	}
	out_text("removed %" PRIu64 " unfinished director%s, %" PRIu64
		 " key%s and %" PRIu64 " mount%s without a container\n",
		 directories, directories == 1 ? "y" : "ies", keys,
		 keys == 1 ? "" : "s", mounts, mounts == 1 ? "" : "s");
	return 0;
}

const struct verb cleanup_verb = {
	.name = "cleanup",
	.usage = "cleanup",
	.summary = "remove what dead processes and containers left",
	.details = "Safe at any time: what a live process builds or a live "
		   "container uses stays.\n",
	.needs = NEEDS_STORE,
	.run = run,
};

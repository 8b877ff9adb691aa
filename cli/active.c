/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale active: the keys, those of views among them.
 */
#include "listing.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	auto_listing listing = { 0 };
	int r;

	cli->kinds = 1u << SHALE_KIND_ACTIVE | 1u << SHALE_KIND_VIEW;
	r = listing_load(cli, &listing);
	if (r < 0)
		return r;
	listing_print(&listing, cli->json);
	return 0;
}

const struct verb active_verb = {
	.name = "active",
	.usage = "active",
	.summary = "list active snapshots and views",
	.needs = NEEDS_STORE,
	.run = run,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale active: the keys, those of views among them.
 */
#include "listing.h"
#include "verbs.h"

static int run(struct cli *cli)
{
	cli->kinds = 1u << SHALE_KIND_ACTIVE | 1u << SHALE_KIND_VIEW;
	return listing_show(cli);
}

const struct verb active_verb = {
	.name = "active",
	.usage = "active",
	.summary = "list active snapshots and views",
	.needs = NEEDS_STORE,
	.run = run,
};

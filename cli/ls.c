/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale ls: the snapshots of a store.
 */
#include "listing.h"
#include "verbs.h"

const struct verb ls_verb = {
	.name = "ls",
	.usage = "ls [--kind committed|active|view]... [--label K[=V]]...",
	.summary = "list snapshots by name",
	.details = "Each --kind adds a kind; of --label all must be there.\n",
	.options = TAKES_KINDS | TAKES_LABELS,
	.needs = NEEDS_STORE,
	.run = listing_show,
};

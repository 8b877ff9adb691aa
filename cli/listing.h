/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many snapshots at once, sorted by the bytes of their names: what ls, active
 * and tree show.
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "shale.h"

struct cli;

struct listing {
	struct shale_info **items;
	size_t count;
};

/**
 * listing_load - those snapshots that --kind and --label let through
 * @ret: taken; freed with listing_free
 *
 * Return: 0 or a negative errno with cli->err filled.
 */
int listing_load(struct cli *cli, struct listing *ret);

/** listing_free - free what a listing holds */
void listing_free(struct listing *listing);

/** listing_print - as a table, or as an array */
void listing_print(const struct listing *listing, bool json);

#define auto_listing __attribute__((cleanup(listing_free))) struct listing

#endif

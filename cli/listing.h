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
 * Return: 0 or a negative errno with cli->err filled; with -EUCLEAN, where
 *         one is damaged, @ret has the others.
 */
int listing_load(struct cli *cli, struct listing *ret);

/** listing_free - free what a listing holds */
void listing_free(struct listing *listing);

/**
 * listing_show - load and print, as a table, or as an array
 *
 * Return: as listing_load; what is not damaged is printed all the same.
 */
int listing_show(struct cli *cli);

#define auto_listing __attribute__((cleanup(listing_free))) struct listing

#endif

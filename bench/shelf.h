/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the rows of libshale share: a store with a number of snapshots in it,
 * made once a directory by a process of its own, so that the measured one has
 * neither their memory nor their cache.
 *
 * A full shelf of N has the committed layer-0 to layer-(N-1), in chains of 10
 * from the base up; each hundredth has the label bench=yes.
 */
#ifndef BENCH_SHELF_H
#define BENCH_SHELF_H

#include <shale/shale.h>

#include "contestant.h"

#define SHELF_CHAIN 10
#define SHELF_NAME_SIZE 32

/**
 * shelf_open - a handle of a store in the contestant's directory
 * @name: of the store; what is there is kept
 *
 * Durability is that of the argument `durability`, `layer` by default; `later`
 * is its delete_later.
 */
struct shale_store *shelf_open(const struct contest *contest, const char *name);

/** shelf_fill - @size snapshots in chains of 10; done once a store */
int shelf_fill(const struct contest *contest, const char *name, long size);

/** shelf_fill_chain - tip-N, on N layers in one chain */
int shelf_fill_chain(const struct contest *contest, const char *name,
		     long layers);

/** shelf_name - the name of a layer */
void shelf_name(long number, char ret[SHELF_NAME_SIZE]);

/** shelf_write_files - files of 4 KiB in an active without a mount, a hundred
 * a directory; @key has one parent at least
 */
int shelf_write_files(struct shale_store *store, const char *key, long files);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layers below a snapshot, from its parent down.
 */
#ifndef LIB_CHAIN_H
#define LIB_CHAIN_H

#include "record.h"

struct chain {
	struct record **layers; /* nearest parent first */
	size_t count, room;
};

void chain_drop(struct chain *chain);

#define auto_chain __attribute__((cleanup(chain_drop))) struct chain

/**
 * chain_load - the records of a layer and all below it
 * @id:    of the topmost layer; "" for none
 * @chain: empty
 *
 * Return: 0, -ENOENT, -EUCLEAN or another errno, with a sentence.
 */
int chain_load(struct overlay *ov, const char *id, struct chain *chain,
	       struct shale_error *err);

/* The same as names of directories alone. */
struct lineage {
	char (*ids)[ID_SIZE]; /* nearest parent first */
	size_t count, room;
};

void lineage_drop(struct lineage *lineage);

#define auto_lineage __attribute__((cleanup(lineage_drop))) struct lineage

/**
 * lineage_load - the IDs of a layer and all below it
 * @generation: that of the store, read just now
 * @id:         of the topmost layer, of which a record is known; "" for none
 * @lineage:    empty
 *
 * Of a layer that is not in memory it reads the parent fact alone, since a
 * parent is committed and stays as long as it has a child.
 *
 * Return: as chain_load.
 */
int lineage_load(struct overlay *ov, uint64_t generation, const char *id,
		 struct lineage *lineage, struct shale_error *err);

#endif

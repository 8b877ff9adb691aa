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

#endif

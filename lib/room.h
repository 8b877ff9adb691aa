/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All snapshots of a room, each read once.
 */
#ifndef LIB_ROOM_H
#define LIB_ROOM_H

#include "record.h"

/**
 * room_visit - what room_each calls
 * @record: lent
 *
 * Return: 0, or what ends the visits and is returned.
 */
typedef int room_visit_fn(void *ctx, struct record *record);

/**
 * room_each - visit the snapshots of a room
 * @ret_damaged: how many could not be read since they contradict themselves;
 *               @err has the sentence of the last one
 *
 * From memory where all are known at this generation.  Else they are read some
 * at a time, and those that nobody changed meanwhile are kept.  No lock is held:
 * @visit may do anything, also to what comes later; of a few that follow it, the
 * effect is then seen or not.
 *
 * Return: 0, what @visit returned, or a negative errno with a sentence.
 */
int room_each(struct overlay *ov, enum room room, room_visit_fn *visit,
	      void *ctx, size_t *ret_damaged, struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has children: counted by a scan, kept by the cache.
 */
#ifndef LIB_CHILDREN_H
#define LIB_CHILDREN_H

#include "lock.h"
#include "overlay.h"

/**
 * children_count - children of a committed snapshot, of any kind; those that
 * lost their names are some, since they may have it again
 * @generation: filled with the even generation for which the answer holds, or
 *              an odd number where it holds for none
 * @ret:        the number
 *
 * Return: 0 or a negative errno with a sentence.
 */
int children_count(struct overlay *ov, const char *id, uint64_t *generation,
		   long *ret, struct shale_error *err);

/**
 * children_count_locked - the same while the store's lock is held
 */
int children_count_locked(struct overlay *ov, const char *id, long *ret,
			  struct shale_error *err);

/**
 * children_check_none - what lost its name may go only if it has no children
 *
 * The store's lock is held.
 *
 * Return: 0, -ENOTEMPTY (it has) or another negative errno; with a sentence.
 */
int children_check_none(struct overlay *ov, const char *id,
			struct shale_error *err);

/**
 * children_lock_none - the same, and take the lock for it
 * @writer: begun also where that fails; ended by the caller
 *
 * They are counted without the lock, and again where the store has changed.
 *
 * Return: as children_check_none and writer_begin.
 */
int children_lock_none(struct overlay *ov, const char *id,
		       struct writer *writer, struct shale_error *err);

#endif

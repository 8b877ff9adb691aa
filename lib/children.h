/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has children: counted by a scan, kept by the cache.
 */
#ifndef LIB_CHILDREN_H
#define LIB_CHILDREN_H

#include "overlay.h"

/**
 * children_count - children of a committed snapshot, of any kind
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

#endif

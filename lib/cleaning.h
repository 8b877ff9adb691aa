/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What cleanup does with one thing, for check as well.
 */
#ifndef LIB_CLEANING_H
#define LIB_CLEANING_H

#include "overlay.h"

/**
 * cleaning_staged - delete an entry of staging/ whose builder is dead
 *
 * Return: 0, -ENOENT (it is gone, or a live builder's), or another errno.
 */
int cleaning_staged(struct overlay *ov, const char *name,
		    struct shale_error *err);

/** cleaning_trash - delete an entry of trash/ */
int cleaning_trash(struct overlay *ov, const char *name,
		   struct shale_error *err);

/**
 * cleaning_uncertified - delete a directory without kind fact
 *
 * Return: 0, -ENOENT (it has one now), or another errno.
 */
int cleaning_uncertified(struct overlay *ov, enum room room, const char *id,
			 struct shale_error *err);

/**
 * cleaning_leftovers - remove what a commit that died left in a snapshot
 *
 * Return: 0, or -ENOENT where a commit is under way or nothing is left.
 */
int cleaning_leftovers(struct overlay *ov, enum room room, const char *id,
		       struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a tree takes on disk.
 */
#ifndef LIB_USAGE_H
#define LIB_USAGE_H

#include "overlay.h"

struct usage {
	uint64_t bytes, inodes;
};

/**
 * usage_measure - walk a tree; the directory itself counts
 *
 * Return: 0, -ECANCELED, or another negative errno.
 */
int usage_measure(struct overlay *ov, int fs_fd, struct usage *ret);

/**
 * usage_load - what a directory has on record
 *
 * Return: 0, -ENOENT, -EUCLEAN (torn) or another negative errno.
 */
int usage_load(int dir_fd, struct usage *ret);

/** usage_store - write the fact `usage`; 0 or a negative errno */
int usage_store(int dir_fd, const struct usage *usage);

#endif

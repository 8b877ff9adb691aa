/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the snapshotter native does otherwise: its actives begin as copies.
 */
#ifndef LIB_NATIVE_H
#define LIB_NATIVE_H

#include "record.h"

/**
 * native_check_new - try what a store needs, before one is made
 *
 * Return: 0, -EOPNOTSUPP with what the file system lacks, or another errno.
 */
int native_check_new(const struct overlay *ov, struct shale_error *err);

/**
 * native_copy - make `fs` in a directory, a copy of a parent's
 * @parent_fd: the parent's directory; lent
 * @dir_fd:    a directory in staging/; lent
 *
 * Takes its time, without the lock; on disk on return, unless durability is
 * `none`.  The caller looks afterwards whether the parent is still there.
 *
 * Return: 0, -ENOENT (the parent is being deleted), -ECANCELED, or another
 *         negative errno; with a sentence.
 */
int native_copy(struct overlay *ov, const struct record *parent, int parent_fd,
		int dir_fd, struct shale_error *err);

#endif

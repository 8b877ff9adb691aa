/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a store's root must be, and making an empty store.
 */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include "overlay.h"

/**
 * format_check_root - owner, mode and file system of ov->root_fd
 *
 * Return: 0, -EPERM, -EOPNOTSUPP, or another errno; with a sentence.
 */
int format_check_root(const struct overlay *ov, struct shale_error *err);

/**
 * format_is_remote - whether a server decides about locks, or it is not known
 */
bool format_is_remote(int fd);

/**
 * format_is_ordered - whether the sync of a directory brings along all metadata
 * that was changed before it, wherever
 *
 * ext4 and xfs have one journal, in which changes keep their order, and write it
 * up to the last change of what is synced.  btrfs writes a log of what is synced,
 * so that there each directory is synced by itself, as on an ext4 that was made
 * without a journal.
 */
bool format_is_ordered(int fd);

/**
 * format_check_upper - whether a directory's file system can hold an upper
 * @fd:   of the directory, readable
 * @path: for the sentence
 *
 * Return: 0, -EOPNOTSUPP, or another errno; with a sentence.
 */
int format_check_upper(const struct overlay *ov, int fd, const char *path,
		       struct shale_error *err);

/**
 * format_create - make a store of an empty directory, or finish one that a
 * dead process began; nothing where it is one already
 *
 * Return: 0, -EMEDIUMTYPE (something else is in it), or another errno.
 */
int format_create(struct overlay *ov, struct shale_error *err);

/**
 * format_make_lock - make the file `lock`, where it is absent
 *
 * Return: 0 or a negative errno.
 */
int format_make_lock(const struct overlay *ov);

/**
 * format_open - check the format and open the rooms
 *
 * Return: 0, -EMEDIUMTYPE (no store, or of an unknown format), or another.
 */
int format_open(struct overlay *ov, struct shale_error *err);

#endif

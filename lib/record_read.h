/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the facts of one directory to a record, past the cache, or to an answer
 * for which a few of them are enough.
 */
#ifndef LIB_RECORD_READ_H
#define LIB_RECORD_READ_H

#include "record.h"

/**
 * record_read - read all through a descriptor, and look at the name again
 * @for_removal: also where parent or labels contradict the rest
 *
 * Return: as record_load.
 */
int record_read(struct overlay *ov, enum room room, const char *id,
		bool for_removal, struct record **ret, struct shale_error *err);

/**
 * record_read_by_path - the same without a descriptor that would pin the
 * directory, and without a second look
 * @generation: even, and compared with generation_read afterwards
 *
 * Return: 0, -ENOENT, or -ESTALE for whatever is not plain: record_read tells
 *         what it is.
 */
int record_read_by_path(struct overlay *ov, uint64_t generation, enum room room,
			const char *id, struct record **ret);

/**
 * record_read_parent_id - the ID of a committed snapshot's parent alone
 * @generation: as with record_read_still
 * @ret:        the ID
 *
 * Return: 0, or -ESTALE: it has none, or record_load finds out more.
 */
int record_read_parent_id(struct overlay *ov, uint64_t generation,
			  const char *id, char ret[ID_SIZE]);

/**
 * record_of_new - the record of an active or view without labels that was just
 * built
 * @st:     of its directory
 * @dir_fd: the same, open; its kind fact is there
 * @parent: lent; NULL for none
 *
 * Return: what reading it would give, or NULL: then it has to be read.
 */
struct record *record_of_new(const struct stat *st, int dir_fd, const char *id,
			     uint32_t kind, const char *name,
			     const struct record *parent);

/**
 * record_is_there - whether a certified directory has this very name; a fast
 * answer for writers that hold the lock
 *
 * Return: 1, 0, or a negative errno with a sentence.
 */
int record_is_there(struct overlay *ov, enum room room, const char *id,
		    const char *name, struct shale_error *err);

#endif

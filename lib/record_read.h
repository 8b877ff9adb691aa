/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the facts of one directory to a record, past the cache; record.h is what
 * everybody else uses.
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

#endif

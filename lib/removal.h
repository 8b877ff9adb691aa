/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a certified directory disappears: at once, under the lock; its files
 * afterwards, without it.
 */
#ifndef LIB_REMOVAL_H
#define LIB_REMOVAL_H

#include <stdbool.h>

#include "lock.h"
#include "record.h"

/* What a removal leaves to be deleted once the lock is free. */
struct remains {
	char trash[ID_SIZE];  /* its name in trash/, or "" */
	char copies[ID_SIZE]; /* that of its copies for mappings, or "" */
	bool in_place; /* no room for the rename: the directory is emptied */
};

/**
 * removal_take_away - make a certified directory disappear; the lock is held
 * @dir_fd: of the directory
 *
 * Return: 0 or a negative errno with a sentence; then it is as it was.
 */
int removal_take_away(struct writer *writer, const struct record *record,
		      int dir_fd, struct remains *remains,
		      struct shale_error *err);

/** removal_finish - delete what is left of it, without the lock */
void removal_finish(struct overlay *ov, const struct record *record, int dir_fd,
		    const struct remains *remains);

#endif

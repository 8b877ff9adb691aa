/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing and removing facts, and whether a name is free.
 */
#ifndef LIB_FACTS_H
#define LIB_FACTS_H

#include "record.h"

/**
 * facts_write - write a directory's facts, the kind fact last
 * @parent_id: "" for none
 *
 * Return: 0 or a negative errno; what was written stays.
 */
int facts_write(int dir_fd, uint32_t kind, const char *name,
		const char *parent_id, const char *const *labels);

/**
 * facts_write_map - say that an active or view has copies of its layers
 * @map_id: of the mapping (shifted.h)
 *
 * Before facts_write.
 */
int facts_write_map(int dir_fd, const char *map_id);

/**
 * facts_read - read a fact as it is
 * @path: of the fact, from @dir_fd
 * @ret:  FS_LINK_SIZE bytes
 *
 * Return: its length, -ENOENT (no such fact), -EUCLEAN (it is no link, or longer
 *         than any fact), or another negative errno.
 */
int facts_read(int dir_fd, const char *path, char *ret);

/**
 * facts_read_link - which directory a fact leads to
 * @path: of the fact, from @dir_fd
 * @room: the name of the room that it is to lead to
 * @ret:  an ID; nobody has looked whether that is there
 *
 * Return: 0, -ENOENT (no such fact), -EUCLEAN (it leads elsewhere, or is no
 *         link), or another negative errno.
 */
int facts_read_link(int dir_fd, const char *path, const char *room,
		    char ret[ID_SIZE]);

/** facts_remove_key - remove key* and view of a directory, what is there */
void facts_remove_key(int dir_fd);

/** facts_remove_name - remove name*, usage and manifest; likewise */
void facts_remove_name(int dir_fd);

/**
 * facts_check_free - whether a name is free in the one key space
 *
 * Return: 0, -EEXIST with a sentence, or another negative errno with one.
 */
int facts_check_free(struct overlay *ov, const char *id, const char *name,
		     struct shale_error *err);

#endif

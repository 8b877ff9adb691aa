/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A table of what has an ID: finds it in one or two looks, and takes eight
 * bytes of memory for each and a third to a half of that again.
 */
#ifndef LIB_IDTABLE_H
#define LIB_IDTABLE_H

#include <stddef.h>

#include "id.h"

/* All zero is an empty one.  An entry is a pointer to a struct that begins
 * with its ID, `char id[ID_SIZE]`.
 */
struct idtable {
	void **slots; /* a power of two of them, NULL where free */
	size_t size, used;
};

/** idtable_find - the entry of an ID, or NULL */
void *idtable_find(const struct idtable *table, const char *id);

/**
 * idtable_add - add an entry whose ID the table has not
 *
 * Return: 0 or -ENOMEM.
 */
int idtable_add(struct idtable *table, void *entry);

/** idtable_take - remove the entry of an ID and return it, or NULL */
void *idtable_take(struct idtable *table, const char *id);

/** idtable_clear - empty it; @drop gets each entry */
void idtable_clear(struct idtable *table, void (*drop)(void *entry));

#endif

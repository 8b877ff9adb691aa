/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Open addressing with linear probing: see idtable.h.  An ID is a digest, so
 * that some bits of it are hash enough.
 */
#include "idtable.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 16

/* Where an ID would be, were the table empty. */
static size_t home_of(const struct idtable *table, const char *id)
{
	uint64_t a, b;

	/* 16 hex digits are 64 bits of the digest, four in each byte. */
	(void)memcpy(&a, id, sizeof(a));
	(void)memcpy(&b, id + sizeof(a), sizeof(b));
	a = (a ^ (b << 4)) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(a >> 32) & (table->size - 1);
}

static size_t place_of(const struct idtable *table, const char *id)
{
	size_t i = home_of(table, id);

	while (table->slots[i] && memcmp(table->slots[i], id, ID_SIZE) != 0)
		i = (i + 1) & (table->size - 1);
	return i;
}

void *idtable_find(const struct idtable *table, const char *id)
{
	return table->size ? table->slots[place_of(table, id)] : NULL;
}

static int grow(struct idtable *table)
{
	struct idtable bigger = { .size = table->size ? 2 * table->size
						      : FIRST_SIZE,
				  .used = table->used };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < table->size; i++)
		if (table->slots[i])
			bigger.slots[place_of(&bigger, table->slots[i])] =
				table->slots[i];
	free(table->slots);
	*table = bigger;
	return 0;
}

int idtable_add(struct idtable *table, void *entry)
{
	/* A quarter stays free, so that no search is long. */
	if (4 * (table->used + 1) > 3 * table->size && grow(table) < 0)
		return -ENOMEM;
	table->slots[place_of(table, entry)] = entry;
	table->used++;
	return 0;
}

/* What stands behind a hole and would not be found beyond it moves up. */
static void close_hole(struct idtable *table, size_t hole)
{
	const size_t mask = table->size - 1;

	for (size_t i = (hole + 1) & mask; table->slots[i];
	     i = (i + 1) & mask) {
		size_t home = home_of(table, table->slots[i]);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		table->slots[hole] = table->slots[i];
		table->slots[i] = NULL;
		hole = i;
	}
}

void *idtable_take(struct idtable *table, const char *id)
{
	size_t i = table->size ? place_of(table, id) : 0;
	void *entry = table->size ? table->slots[i] : NULL;

	if (!entry)
		return NULL;
	table->slots[i] = NULL;
	table->used--;
	close_hole(table, i);
	return entry;
}

void idtable_clear(struct idtable *table, void (*drop)(void *entry))
{
	for (size_t i = 0; i < table->size; i++)
		if (table->slots[i])
			drop(table->slots[i]);
	free(table->slots);
	*table = (struct idtable){ .slots = NULL };
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layers below a snapshot: see chain.h.
 */
#include "chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "error.h"
#include "lock.h"
#include "record_read.h"
#include "scope.h"

/* A chain longer than this is no chain but damage. */
#define CHAIN_MAX 100000

void chain_drop(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		record_unref(chain->layers[i]);
	free(chain->layers);
}

static int chain_add(struct chain *chain, struct record *record)
{
	if (chain->count == chain->room) {
		size_t room = chain->room ? 2 * chain->room : 16;
		struct record **bigger =
			realloc(chain->layers, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		chain->layers = bigger;
		chain->room = room;
	}
	chain->layers[chain->count++] = record_ref(record);
	return 0;
}

static int too_long(struct shale_error *err)
{
	return error_fail(err, EUCLEAN, "it has more than %d parents",
			  CHAIN_MAX);
}

static int no_memory(struct shale_error *err)
{
	return error_fail(err, ENOMEM, "out of memory");
}

int chain_load(struct overlay *ov, const char *id, struct chain *chain,
	       struct shale_error *err)
{
	/* Once for all: what is in memory holds for one generation. */
	uint64_t generation = generation_read(ov);

	while (*id) {
		auto_record record = NULL;
		int r = record_load_at(ov, &generation, ROOM_SNAPSHOTS, id,
				       &record, err);

		/* Only where the tip, too, was removed meanwhile. */
		if (r == -ENOENT)
			return error_fail(err, ENOENT, "no such snapshot");
		if (r < 0)
			return r;
		if (chain->count == CHAIN_MAX)
			return too_long(err);
		if (chain_add(chain, record) < 0)
			return no_memory(err);
		id = chain->layers[chain->count - 1]->parent_id;
	}
	return 0;
}

void lineage_drop(struct lineage *lineage)
{
	free(lineage->ids);
}

static int lineage_add(struct lineage *lineage, const char *id)
{
	if (lineage->count == lineage->room) {
		size_t room = lineage->room ? 2 * lineage->room : 16;
		char(*bigger)[ID_SIZE] =
			realloc(lineage->ids, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		lineage->ids = bigger;
		lineage->room = room;
	}
	(void)memcpy(lineage->ids[lineage->count++], id, ID_SIZE);
	return 0;
}

/* What is not plain is found out by reading all of it. */
static int parent_of(struct overlay *ov, uint64_t *generation, const char *id,
		     char ret[ID_SIZE], struct shale_error *err)
{
	auto_record record = NULL;
	int r;

	if (!(*generation & 1) &&
	    record_read_parent_id(ov, *generation, id, ret) == 0)
		return 0;
	r = record_load_at(ov, generation, ROOM_SNAPSHOTS, id, &record, err);
	/* Only where the tip, too, was removed meanwhile. */
	if (r == -ENOENT)
		return error_fail(err, ENOENT, "no such snapshot");
	if (r == 0)
		(void)memcpy(ret, record->parent_id, ID_SIZE);
	return r;
}

static int climb(struct overlay *ov, uint64_t *generation, const char *id,
		 struct lineage *lineage, struct shale_error *err)
{
	char next[ID_SIZE];
	int r = 0;

	lineage->count = 0;
	for (; r == 0 && *id; id = next) {
		if (lineage->count == CHAIN_MAX)
			return too_long(err);
		if (lineage_add(lineage, id) < 0)
			return no_memory(err);
		r = parent_of(ov, generation, lineage->ids[lineage->count - 1],
			      next, err);
	}
	return r;
}

int lineage_load(struct overlay *ov, uint64_t generation, const char *id,
		 struct lineage *lineage, struct shale_error *err)
{
	int r = climb(ov, &generation, id, lineage, err);

	if (r == 0 && !(generation & 1) && generation_read(ov) == generation)
		return 0;
	/* Changed meanwhile, or damaged: with more care, then. */
	error_clear(err);
	generation |= 1;
	return climb(ov, &generation, id, lineage, err);
}

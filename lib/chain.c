/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layers below a snapshot: see chain.h.
 */
#include "chain.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"
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

int chain_load(struct overlay *ov, const char *id, struct chain *chain,
	       struct shale_error *err)
{
	while (*id) {
		auto_record record = NULL;
		int r = record_load(ov, ROOM_SNAPSHOTS, id, &record, err);

		/* Only where the tip, too, was removed meanwhile. */
		if (r == -ENOENT)
			return error_fail(err, ENOENT, "no such snapshot");
		if (r < 0)
			return r;
		if (chain->count == CHAIN_MAX)
			return error_fail(err, EUCLEAN,
					  "it has more than %d parents",
					  CHAIN_MAX);
		if (chain_add(chain, record) < 0)
			return error_fail(err, ENOMEM, "out of memory");
		id = chain->layers[chain->count - 1]->parent_id;
	}
	return 0;
}

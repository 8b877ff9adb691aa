/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Visiting a room: see room.h.
 *
 * The generation is asked for once for so many snapshots, not for each: as long
 * as it stands, all that was read since holds.
 */
#include "room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "error.h"
#include "lock.h"

#define AT_A_TIME 64

struct tour {
	struct overlay *ov;
	enum room room;
	room_visit_fn *visit;
	void *ctx;
	struct shale_error *err;
	uint64_t generation; /* odd once somebody changed the store */
	size_t seen, damaged;
	size_t count; /* of those that are next */
	char ids[AT_A_TIME][ID_SIZE];
	struct record *records[AT_A_TIME];
	int results[AT_A_TIME]; /* -ESTALE: to be read with more care */
};

/* Those that are next, as long as the generation stands. */
static void read_some(struct tour *tour)
{
	for (size_t i = 0; i < tour->count; i++) {
		tour->records[i] = NULL;
		tour->results[i] =
			tour->generation & 1
				? -ESTALE
				: record_read_still(tour->ov, tour->generation,
						    tour->room, tour->ids[i],
						    &tour->records[i]);
	}
	if ((tour->generation & 1) ||
	    generation_read(tour->ov) == tour->generation)
		return;
	tour->generation |= 1;
	for (size_t i = 0; i < tour->count; i++) {
		drop_record(&tour->records[i]);
		tour->results[i] = -ESTALE;
	}
}

static int visit_one(struct tour *tour, size_t i)
{
	/* Of its own: reading the next one clears what it tries in vain. */
	struct shale_error one = SHALE_ERROR_INIT;
	int r = tour->results[i];

	if (r == -ESTALE)
		r = record_load(tour->ov, tour->room, tour->ids[i],
				&tour->records[i], &one);
	else if (r == 0)
		cache_put(tour->ov->cache, tour->generation, tour->records[i]);
	if (r == -ENOENT) /* uncertified, or removed since the listing */
		return 0;
	if (r < 0)
		(void)error_fail(tour->err, -r, "%s", one.msg);
	if (r == -EUCLEAN) { /* told at the end; the others come first */
		tour->damaged++;
		return 0;
	}
	if (r < 0)
		return r;
	tour->seen++;
	return tour->visit(tour->ctx, tour->records[i]);
}

static int visit_some(struct tour *tour)
{
	int r = 0;

	read_some(tour);
	for (size_t i = 0; r == 0 && i < tour->count; i++)
		r = visit_one(tour, i);
	for (size_t i = 0; i < tour->count; i++)
		drop_record(&tour->records[i]);
	tour->count = 0;
	return r;
}

static int note_id(void *ctx, const char *id)
{
	struct tour *tour = ctx;

	(void)memcpy(tour->ids[tour->count++], id, ID_SIZE);
	return tour->count == AT_A_TIME ? visit_some(tour) : 0;
}

static int visit_all_on_disk(struct tour *tour)
{
	int r = record_each_id(tour->ov, tour->room, note_id, tour, tour->err);

	if (r == 0)
		r = visit_some(tour);
	else
		tour->count = 0;
	if (r == 0 && !tour->damaged && !(tour->generation & 1) &&
	    generation_read(tour->ov) == tour->generation)
		cache_set_whole(tour->ov->cache, tour->generation, tour->room,
				tour->seen);
	return r;
}

static int visit_all_in_memory(const struct tour *tour, struct record **records)
{
	int r = 0;

	for (struct record **record = records; *record; record++) {
		if (r == 0 && overlay_cancelled(tour->ov))
			r = error_fail(tour->err, ECANCELED,
				       "stopped by the host");
		if (r == 0)
			r = tour->visit(tour->ctx, *record);
		record_unref(*record);
	}
	free(records);
	return r;
}

int room_each(struct overlay *ov, enum room room, room_visit_fn *visit,
	      void *ctx, size_t *ret_damaged, struct shale_error *err)
{
	struct tour tour = { .ov = ov,
			     .room = room,
			     .visit = visit,
			     .ctx = ctx,
			     .err = err,
			     .generation = generation_read(ov) };
	struct record **known = NULL;
	int r;

	*ret_damaged = 0;
	if (!(tour.generation & 1))
		known = cache_list(ov->cache, tour.generation, room);
	if (known)
		return visit_all_in_memory(&tour, known);
	r = visit_all_on_disk(&tour);
	*ret_damaged = tour.damaged;
	return r;
}

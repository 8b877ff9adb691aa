/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting children: see children.h.
 */
#include "children.h"

#include <errno.h>
#include <string.h>

#include "cache.h"
#include "error.h"
#include "facts.h"
#include "lock.h"
#include "record.h"

struct scan {
	struct overlay *ov;
	enum room room;
	struct tally *tally;
	struct shale_error *err;
};

static int count(struct scan *scan, const char *parent_id)
{
	if (tally_add(scan->tally, parent_id) < 0)
		return error_fail(scan->err, ENOMEM,
				  "count children: out of memory");
	return 0;
}

/* Restored it would need its parent: what its parent fact says counts alone. */
static int count_nameless(struct scan *scan, const char *id)
{
	const char *fact = scan->room == ROOM_ACTIVE ? "/key.parent"
						     : "/name.parent";
	char path[ID_SIZE + sizeof("/name.parent")], parent_id[ID_SIZE];
	int r;

	(void)stpcpy(stpcpy(path, id), fact);
	r = facts_read_link(scan->ov->room_fd[scan->room], path,
			    record_room_name(ROOM_SNAPSHOTS), parent_id);
	if (r == -ENOENT || r == -ENOTDIR || r == -EUCLEAN)
		return 0;
	if (r < 0)
		return error_errno(scan->err, -r, "read '%s/%s'",
				   record_room_name(scan->room), path);
	return count(scan, parent_id);
}

static int count_parent(void *ctx, const char *id)
{
	struct scan *scan = ctx;
	auto_record record = NULL;
	int r = record_load(scan->ov, scan->room, id, &record, scan->err);

	/* The damage of one is no reason to keep all others. */
	if (r == -EUCLEAN) {
		error_clear(scan->err);
		r = record_load_removable(scan->ov, scan->room, id, &record,
					  scan->err);
	}
	if (r == -EUCLEAN)
		error_clear(scan->err);
	if (r == -EUCLEAN || (r == -ENOENT && scan->room == ROOM_SNAPSHOTS))
		return count_nameless(scan, id);
	if (r == -ENOENT) /* a prepare that came back by halves */
		return 0;
	return r < 0 || !*record->parent_id ? r
					    : count(scan, record->parent_id);
}

static int count_all(struct overlay *ov, struct tally **ret,
		     struct shale_error *err)
{
	struct scan scan = { .ov = ov, .tally = tally_new(), .err = err };
	int r = 0;

	if (!scan.tally)
		return error_fail(err, ENOMEM, "count children: out of memory");
	for (scan.room = ROOM_ACTIVE; r == 0 && scan.room <= ROOM_SNAPSHOTS;
	     scan.room++)
		r = record_each_id(ov, scan.room, count_parent, &scan, err);
	if (r < 0)
		tally_free(scan.tally);
	else
		*ret = scan.tally;
	return r;
}

int children_count(struct overlay *ov, const char *id, uint64_t *generation,
		   long *ret, struct shale_error *err)
{
	struct tally *tally;
	int r;

	*generation = generation_read(ov);
	if (!(*generation & 1)) {
		*ret = cache_children(ov->cache, *generation, id);
		if (*ret >= 0)
			return 0;
	}
	r = count_all(ov, &tally, err);
	if (r < 0)
		return r;
	*ret = tally_get(tally, id);
	if (generation_read(ov) != *generation)
		*generation |= 1;
	if (*generation & 1)
		tally_free(tally);
	else
		cache_put_tally(ov->cache, *generation, tally);
	return 0;
}

int children_count_locked(struct overlay *ov, const char *id, long *ret,
			  struct shale_error *err)
{
	struct tally *tally;
	int r = count_all(ov, &tally, err);

	if (r < 0)
		return r;
	*ret = tally_get(tally, id);
	tally_free(tally);
	return 0;
}

static int refuse(long children, struct shale_error *err)
{
	return children == 0
		       ? 0
		       : error_fail(err, ENOTEMPTY,
				    "it has children: restore its fact 'name'");
}

int children_check_none(struct overlay *ov, const char *id,
			struct shale_error *err)
{
	long children;
	int r = children_count_locked(ov, id, &children, err);

	return r < 0 ? r : refuse(children, err);
}

int children_lock_none(struct overlay *ov, const char *id,
		       struct writer *writer, struct shale_error *err)
{
	uint64_t generation;
	long children;
	int r = children_count(ov, id, &generation, &children, err);

	if (r == 0)
		r = refuse(children, err);
	if (r == 0)
		r = writer_begin(ov, writer, err);
	return r < 0 || writer->generation == generation
		       ? r
		       : children_check_none(ov, id, err);
}

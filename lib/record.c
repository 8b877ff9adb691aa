/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records, and finding one by its ID or its name: in the cache as long as the
 * generation stands, else on disk (record_read.c).
 */
#include "record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "labels.h"
#include "lock.h"
#include "record_read.h"
#include "scope.h"
#include "shale.h"

struct record *record_ref(struct record *record)
{
	atomic_fetch_add(&record->refs, 1);
	return record;
}

void record_unref(struct record *record)
{
	if (!record || atomic_fetch_sub(&record->refs, 1) != 1)
		return;
	free(record->name);
	free(record->parent);
	free(record->upper);
	labels_free(record->labels);
	free(record);
}

const char *record_kind_fact(uint32_t kind)
{
	switch (kind) {
	case SHALE_KIND_ACTIVE:
		return "key";
	case SHALE_KIND_VIEW:
		return "view";
	default:
		return "name";
	}
}

const char *record_room_name(enum room room)
{
	return room == ROOM_ACTIVE ? "active" : "snapshots";
}

struct shale_info record_info(const struct record *record)
{
	return (struct shale_info){
		.size = sizeof(struct shale_info),
		.kind = record->kind,
		.created_ns = record->created_ns,
		.updated_ns = record->updated_ns,
		.name = record->name,
		.parent = record->parent,
		.labels = (const char *const *)record->labels,
	};
}

int record_load_fresh(struct overlay *ov, enum room room, const char *id,
		      struct record **ret, struct shale_error *err)
{
	return record_read(ov, room, id, false, ret, err);
}

int record_load_removable(struct overlay *ov, enum room room, const char *id,
			  struct record **ret, struct shale_error *err)
{
	return record_read(ov, room, id, true, ret, err);
}

int record_read_still(struct overlay *ov, uint64_t generation, enum room room,
		      const char *id, struct record **ret)
{
	*ret = cache_get(ov->cache, generation, room, id);
	return *ret ? 0 : record_read_by_path(ov, generation, room, id, ret);
}

/* What is not in the cache; @generation is odd where the answer holds for none.
 */
static int load_new(struct overlay *ov, uint64_t *generation, enum room room,
		    const char *id, struct record **ret,
		    struct shale_error *err)
{
	auto_record record = NULL;
	int r = -ESTALE;

	if (!(*generation & 1)) {
		r = record_read_by_path(ov, *generation, room, id, &record);
		if (r == -ESTALE || generation_read(ov) != *generation)
			r = -ESTALE;
		else if (r == 0)
			cache_put(ov->cache, *generation, record);
	}
	if (r == -ESTALE) {
		drop_record(&record);
		r = record_load_fresh(ov, room, id, &record, err);
		if (generation_read(ov) != *generation)
			*generation |= 1;
		else if (r == 0 && !(*generation & 1))
			cache_put(ov->cache, *generation, record);
	}
	if (r == 0)
		*ret = take_ptr(&record);
	return r;
}

int record_load_at(struct overlay *ov, uint64_t *generation, enum room room,
		   const char *id, struct record **ret, struct shale_error *err)
{
	if (!(*generation & 1)) {
		*ret = cache_get(ov->cache, *generation, room, id);
		if (*ret)
			return 0;
	}
	return load_new(ov, generation, room, id, ret, err);
}

int record_load(struct overlay *ov, enum room room, const char *id,
		struct record **ret, struct shale_error *err)
{
	uint64_t generation = generation_read(ov);

	return record_load_at(ov, &generation, room, id, ret, err);
}

static int no_such(struct shale_error *err)
{
	return error_fail(err, ENOENT, "no such snapshot");
}

static int check_name(const struct record *record, const char *name,
		      struct shale_error *err)
{
	if (!strcmp(record->name, name))
		return 0;
	return error_fail(err, EUCLEAN, "'%s' and '%s' have the same ID %s",
			  name, record->name, record->id);
}

/* The end of a search: hands over what has that name and not only its ID. */
static int found(int r, const char *name, struct record **record,
		 struct record **ret, struct shale_error *err)
{
	if (r == -ENOENT)
		return no_such(err);
	if (r == 0)
		r = check_name(*record, name, err);
	if (r == 0)
		*ret = take_ptr(record);
	return r;
}

typedef int load_fn(struct overlay *ov, enum room room, const char *id,
		    struct record **ret, struct shale_error *err);

static int find_with(load_fn *load, struct overlay *ov, const char *name,
		     struct record **ret, struct shale_error *err)
{
	auto_record record = NULL;
	char id[ID_SIZE];
	int r;

	id_from_name(name, id);
	r = load(ov, ROOM_ACTIVE, id, &record, err);
	if (r == -ENOENT)
		r = load(ov, ROOM_SNAPSHOTS, id, &record, err);
	return found(r, name, &record, ret, err);
}

int record_find_at(struct overlay *ov, const char *name, uint64_t *generation,
		   struct record **ret, struct shale_error *err)
{
	auto_record record = NULL;
	char id[ID_SIZE];
	int r = 0;

	id_from_name(name, id);
	*generation = generation_read(ov);
	if (!(*generation & 1))
		record = cache_find(ov->cache, *generation, id);
	if (!record)
		r = load_new(ov, generation, ROOM_ACTIVE, id, &record, err);
	if (r == -ENOENT)
		r = load_new(ov, generation, ROOM_SNAPSHOTS, id, &record, err);
	return found(r, name, &record, ret, err);
}

int record_find(struct overlay *ov, const char *name, struct record **ret,
		struct shale_error *err)
{
	uint64_t generation;

	return record_find_at(ov, name, &generation, ret, err);
}

int record_find_fresh(struct overlay *ov, const char *name, struct record **ret,
		      struct shale_error *err)
{
	return find_with(record_load_fresh, ov, name, ret, err);
}

int record_find_removable(struct overlay *ov, const char *name,
			  struct record **ret, struct shale_error *err)
{
	return find_with(record_load_removable, ov, name, ret, err);
}

int record_each_id(struct overlay *ov, enum room room,
		   int (*visit)(void *ctx, const char *id), void *ctx,
		   struct shale_error *err)
{
	int fd = openat(ov->room_fd[room], ".",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir) {
		int r = error_errno(err, errno, "list '%s'",
				    record_room_name(room));

		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		char id[ID_SIZE];
		int r;

		if (!id_is_valid(entry->d_name))
			continue;
		if (overlay_cancelled(ov))
			return error_fail(err, ECANCELED,
					  "list '%s': stopped by the host",
					  record_room_name(room));
		memcpy(id, entry->d_name, ID_SIZE);
		r = visit(ctx, id);
		if (r != 0)
			return r;
	}
	return errno ? error_errno(err, errno, "list '%s'",
				   record_room_name(room))
		     : 0;
}

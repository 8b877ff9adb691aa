/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * update: new labels are written in staging/ and renamed over the old ones
 * under the lock, where nothing changed since the old ones were read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "labels.h"
#include "lock.h"
#include "options.h"
#include "overlay.h"
#include "record.h"
#include "scope.h"
#include "shifted.h"
#include "staging.h"

#define LABELS_NAME "labels"
#define UPDATE_TRIES 1000

struct change {
	struct overlay *ov;
	const char *name;
	const char *const *labels, *const *fields;
};

static const char *labels_fact(const struct record *record)
{
	return record->room == ROOM_ACTIVE ? "key.labels" : "name.labels";
}

/* A mapping that no mount could use is refused where it is said. */
static int check_maps(const struct record *record, char **labels,
		      struct shale_error *err)
{
	auto_idmaps maps = { NULL, NULL };
	char map_id[ID_SIZE] = "";
	int r;

	if (record->kind == SHALE_KIND_COMMITTED)
		return 0;
	r = labels_maps((const char *const *)labels, &maps, err);
	if (r < 0 || !*record->map_id)
		return r;
	if (maps.uid && shifted_map_id(&maps, map_id) < 0)
		return error_fail(err, ENOMEM, "out of memory");
	return !strcmp(map_id, record->map_id)
		       ? 0
		       : error_fail(
				 err, EINVAL,
				 "its files have the owners of the mapping that it was made with");
}

/* Writes what the labels become into a staged directory; the slow half. */
static int stage(const struct change *change, const struct record *record,
		 struct staged *staged, bool *is_empty, struct shale_error *err)
{
	auto_labels merged = NULL;
	int r = labels_merge((const char *const *)record->labels,
			     change->labels, change->fields, &merged, err);

	if (r == 0 && record->room == ROOM_ACTIVE)
		r = options_check_fixed((const char *const *)record->labels,
					(const char *const *)merged, err);
	if (r == 0)
		r = check_maps(record, merged, err);
	if (r < 0)
		return r;
	*is_empty = !*merged;
	if (*is_empty)
		return 0;
	r = staged_new(change->ov, staged, err);
	if (r < 0)
		return r;
	r = labels_store(staged->fd, LABELS_NAME, (const char *const *)merged);
	return r < 0 ? error_errno(err, -r, "write labels") : 0;
}

static int put_in_place(const struct change *change,
			const struct record *record,
			const struct staged *staged, bool is_empty,
			struct shale_error *err)
{
	auto_fd dir_fd = openat(change->ov->room_fd[record->room], record->id,
				O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (dir_fd < 0)
		return error_errno(err, errno, "open '%s'", record->id);
	if (is_empty)
		r = unlinkat(dir_fd, labels_fact(record), 0);
	else
		r = renameat(staged->fd, LABELS_NAME, dir_fd,
			     labels_fact(record));
	if (r < 0 && !(is_empty && errno == ENOENT))
		return error_errno(err, errno, "replace '%s/%s'", record->id,
				   labels_fact(record));
	cache_forget(change->ov->cache, record->room, record->id);
	return 0;
}

static int sync_labels(const struct change *change, const struct record *record,
		       struct shale_error *err)
{
	auto_fd fd = -1;

	if (change->ov->durability != DURABLE_ALL)
		return 0;
	fd = openat(change->ov->room_fd[record->room], record->id,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) /* it went its way since */
		return 0;
	return fd < 0 || fsync(fd) < 0
		       ? error_errno(
				 err, errno,
				 "they are changed, but to sync them failed")
		       : 0;
}

static bool is_unchanged(const struct record *seen, const struct record *now)
{
	const char *const *a = (const char *const *)seen->labels;
	const char *const *b = (const char *const *)now->labels;

	if (seen->room != now->room || seen->ino != now->ino)
		return false;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return !*a && !*b;
}

/* One try; 1 where the labels changed between reading and locking. */
static int try_update(const struct change *change, int try,
		      struct shale_error *err)
{
	auto_record seen = NULL;
	auto_record now = NULL;
	auto_staged staged = STAGED_INIT; /* dropped after the lock */
	auto_writer writer = WRITER_INIT;
	bool is_empty = false;
	int r = try == 0 ? record_find(change->ov, change->name, &seen, err)
			 : record_find_fresh(change->ov, change->name, &seen,
					     err);

	if (r == 0)
		r = stage(change, seen, &staged, &is_empty, err);
	if (r == 0)
		r = writer_begin(change->ov, &writer, err);
	if (r == 0)
		r = record_find_fresh(change->ov, change->name, &now, err);
	if (r < 0)
		return r;
	if (!is_unchanged(seen, now))
		return 1;
	r = writer_change(&writer, err);
	if (r == 0)
		r = put_in_place(change, now, &staged, is_empty, err);
	writer_end(&writer);
	return r < 0 ? r : sync_labels(change, now, err);
}

int overlay_update(void *self, const char *name, const char *const *labels,
		   const char *const *fields, struct shale_error *err)
{
	struct change change = { self, name, labels, fields };
	int r = name_check(name, "name", err);

	if (r == 0) {
		r = 1;
		for (int try = 0; r == 1 && try < UPDATE_TRIES; try++)
			r = try_update(&change, try, err);
	}
	if (r == 1)
		r = error_fail(err, EAGAIN, "its labels change all the time");
	return r < 0 ? error_context(err, r, "update '%s'", name ? name : "")
		     : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * remove and delete: one rename into trash/ under the lock, then the files go
 * without it.  Where that rename has no room, on a full disk, or is refused, as
 * overlayfs does with a directory of a lower layer, the kind fact is unlinked
 * instead, which only frees.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cache.h"
#include "children.h"
#include "error.h"
#include "fs.h"
#include "inuse.h"
#include "lock.h"
#include "overlay.h"
#include "record.h"
#include "record_read.h"
#include "removal.h"
#include "scope.h"
#include "shifted.h"
#include "staging.h"
#include "upper.h"

/* Counting outside the lock, until the last try counts under it. */
#define COUNT_TRIES 3

int removal_take_away(struct writer *writer, const struct record *record,
		      int dir_fd, struct remains *remains,
		      struct shale_error *err)
{
	struct overlay *ov = writer->ov;
	int r = writer_change(writer, err);

	if (r < 0)
		return r;
	if (record->room == ROOM_SNAPSHOTS)
		shifted_take(ov, record->id, remains->copies);
	r = trash_move(ov, ov->room_fd[record->room], record->id,
		       remains->trash);
	if (trash_is_refused(r)) {
		r = unlinkat(dir_fd, record_kind_fact(record->kind), 0) < 0
			    ? -errno
			    : 0;
		remains->in_place = r == 0;
		if (r == 0) /* else it would be its parent's child still */
			(void)unlinkat(dir_fd, "name.parent", 0);
	}
	if (r < 0)
		return error_errno(err, -r, "move '%s' to trash", record->id);
	cache_forget(ov->cache, record->room, record->id);
	cache_count(ov->cache, record->parent_id, -1);
	return 0;
}

/*
 * An empty one, as most are, goes by name in a few calls; whatever is left of any
 * other is found by walking it.  A mount point is refused by rmdir, too.
 */
static bool is_emptied(struct overlay *ov, const struct record *record,
		       int dir_fd, const char *trash)
{
	static const char *const facts[2][4] = {
		[ROOM_ACTIVE] = { "key.parent", NULL },
		[ROOM_SNAPSHOTS] = { "name.parent", "usage", NULL },
	};

	if (unlinkat(dir_fd, "fs", AT_REMOVEDIR) < 0 && errno != ENOENT)
		return false;
	(void)unlinkat(dir_fd, record_kind_fact(record->kind), 0);
	for (const char *const *fact = facts[record->room]; *fact; fact++)
		(void)unlinkat(dir_fd, *fact, 0);
	if (record->kind == SHALE_KIND_ACTIVE)
		(void)unlinkat(dir_fd, "work", AT_REMOVEDIR);
	return unlinkat(ov->trash_fd, trash, AT_REMOVEDIR) == 0;
}

void removal_finish(struct overlay *ov, const struct record *record, int dir_fd,
		    const struct remains *remains)
{
	if (*remains->trash &&
	    !is_emptied(ov, record, dir_fd, remains->trash) &&
	    !ov->deletes_later)
		trash_empty(ov, remains->trash);
	if (!ov->deletes_later)
		trash_empty(ov, remains->copies);
	if (!remains->in_place)
		return;
	/* By descriptor: the name may already be a new snapshot's, which a
	 * rmdir can't hurt since that is never empty.
	 */
	(void)fs_empty(dir_fd, overlay_stop, ov);
	(void)unlinkat(ov->room_fd[record->room], record->id, AT_REMOVEDIR);
}

static int sync_room(struct overlay *ov, enum room room,
		     struct shale_error *err)
{
	if (ov->durability != DURABLE_ALL || fsync(ov->room_fd[room]) == 0)
		return 0;
	return error_errno(err, errno,
			   "it is removed, but to sync '%s/%s' failed",
			   ov->root_path, record_room_name(room));
}

/* Looks again under the lock: a door may have adopted the key meanwhile. */
static int check_removable(const struct writer *writer,
			   const struct record *seen, uint64_t generation,
			   struct shale_error *err)
{
	struct overlay *ov = writer->ov;
	auto_record now = NULL;
	int r;

	if (writer->generation == generation)
		return 0;
	r = record_load_removable(ov, seen->room, seen->id, &now, err);

	if (r == -ENOENT || (r == 0 && now->ino != seen->ino))
		return error_fail(err, ENOENT, "no such snapshot");
	return r < 0 ? r : inuse_check_user(now, err);
}

static int find_removable(struct overlay *ov, const char *name,
			  uint64_t *generation, struct record **ret,
			  struct shale_error *err)
{
	int r = record_find_at(ov, name, generation, ret, err);

	if (r != -EUCLEAN)
		return r;
	*generation |= 1;
	error_clear(err);
	return record_find_removable(ov, name, ret, err);
}

static int remove_record(struct overlay *ov, const struct record *record,
			 uint64_t generation, struct shale_error *err)
{
	struct remains remains = { .in_place = false };
	auto_locked_fd dir_fd = -1;
	int r = inuse_lock(ov, record, LOCK_EX, &dir_fd, err);

	if (r == 0)
		r = inuse_check_unnamed(ov, record, err);
	if (r < 0)
		return r;
	{
		auto_writer writer = WRITER_INIT;

		r = writer_begin(ov, &writer, err);
		if (r == 0)
			r = check_removable(&writer, record, generation, err);
		if (r == 0)
			r = removal_take_away(&writer, record, dir_fd, &remains,
					      err);
	}
	if (r < 0)
		return r;
	r = sync_room(ov, ROOM_ACTIVE, err);
	/* In this order: what is in trash/ tells a check whose it is. */
	upper_remove(ov, record->upper);
	removal_finish(ov, record, dir_fd, &remains);
	return r;
}

int overlay_remove(void *self, const char *key, struct shale_error *err)
{
	struct overlay *ov = self;
	auto_record record = NULL;
	uint64_t generation = 1;
	int r = name_check(key, "key", err);

	if (r == 0)
		r = find_removable(ov, key, &generation, &record, err);
	if (r == 0 && record->kind == SHALE_KIND_COMMITTED)
		r = error_fail(err, EBADFD,
			       "it is committed: delete is for those");
	if (r == 0)
		r = inuse_check_user(record, err);
	if (r == 0)
		r = remove_record(ov, record, generation, err);
	return r < 0 ? error_context(err, r, "remove '%s'", key ? key : "") : r;
}

static int has_children(long n, struct shale_error *err)
{
	return error_fail(err, EBUSY, "it has %ld %s", n,
			  n == 1 ? "child" : "children");
}

/* Under the lock, so that it is the very directory which is taken away. */
static int open_same(struct overlay *ov, const struct record *seen, int *ret_fd,
		     struct shale_error *err)
{
	int r = record_is_there(ov, seen->room, seen->id, seen->name, err);

	if (r == 0)
		return error_fail(err, ENOENT, "no such snapshot");
	if (r < 0)
		return r;
	*ret_fd = openat(ov->room_fd[seen->room], seen->id,
			 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? error_errno(err, errno, "open '%s/snapshots/%s'",
					 ov->root_path, seen->id)
			   : 0;
}

/* One try; 1 where the store changed between the count and the lock. */
static int try_delete(struct overlay *ov, const struct record *record,
		      int *ret_fd, bool is_last, struct remains *remains,
		      struct shale_error *err)
{
	auto_writer writer = WRITER_INIT;
	uint64_t generation;
	long n;
	int r = children_count(ov, record->id, &generation, &n, err);

	if (r < 0)
		return r;
	if (n > 0 && !(generation & 1))
		return has_children(n, err);
	r = writer_begin(ov, &writer, err);
	if (r < 0)
		return r;
	if (writer.generation != generation && !is_last)
		return 1;
	if (writer.generation != generation) {
		r = children_count_locked(ov, record->id, &n, err);
		if (r < 0)
			return r;
		if (n > 0)
			return has_children(n, err);
	}
	r = open_same(ov, record, ret_fd, err);
	if (r < 0)
		return r;
	return removal_take_away(&writer, record, *ret_fd, remains, err);
}

static int delete_record(struct overlay *ov, const struct record *record,
			 struct shale_error *err)
{
	struct remains remains = { .in_place = false };
	auto_fd dir_fd = -1;
	int r = 1;

	for (int try = 1; r == 1; try++)
		r = try_delete(ov, record, &dir_fd, try == COUNT_TRIES,
			       &remains, err);
	if (r < 0)
		return r;
	r = sync_room(ov, ROOM_SNAPSHOTS, err);
	removal_finish(ov, record, dir_fd, &remains);
	return r;
}

int overlay_delete(void *self, const char *name, struct shale_error *err)
{
	struct overlay *ov = self;
	auto_record record = NULL;
	uint64_t generation;
	int r = name_check(name, "name", err);

	if (r == 0)
		r = find_removable(ov, name, &generation, &record, err);
	if (r == 0 && record->kind != SHALE_KIND_COMMITTED)
		r = error_fail(err, EBADFD,
			       "it is not committed: remove is for those");
	if (r == 0)
		r = delete_record(ov, record, err);
	return r < 0 ? error_context(err, r, "delete '%s'", name ? name : "")
		     : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit: an active becomes a committed snapshot by one rename, after all in
 * it is on disk.  Up to the rename an error leaves the key as it was.  (With
 * keep a copy of it does: overlay_keep.c.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "commitment.h"
#include "error.h"
#include "facts.h"
#include "fs.h"
#include "inuse.h"
#include "labels.h"
#include "lock.h"
#include "manifest.h"
#include "overlay.h"
#include "process.h"
#include "record.h"
#include "record_read.h"
#include "scope.h"
#include "staging.h"
#include "upper.h"
#include "usage.h"
#include "volatile.h"

void commitment_drop(struct commitment *commitment)
{
	drop_labels(&commitment->labels);
	drop_record(&commitment->active);
	drop_record(&commitment->rebase);
	drop_fd(&commitment->fs_fd);
	drop_locked_fd(&commitment->dir_fd);
}

static int check_rebase(struct commitment *c, const char *parent,
			struct shale_error *err)
{
	int r;

	if (!parent || !*parent || !strcmp(parent, c->active->parent))
		return 0;
	if (*c->active->parent_id)
		return error_fail(err, EINVAL, "its parent is '%s', not '%s'",
				  c->active->parent, parent);
	if (c->ov->driver->is_copying)
		return error_fail(
			err, EOPNOTSUPP,
			"the snapshotter '%s' gives no parent to what was prepared without",
			c->ov->driver->name);
	r = name_check(parent, "parent", err);
	if (r == 0)
		r = record_find(c->ov, parent, &c->rebase, err);
	if (r < 0)
		return error_context(err, r, "parent '%s'", parent);
	if (c->rebase->kind != SHALE_KIND_COMMITTED)
		return error_fail(err, EBADFD,
				  "the parent '%s' is not committed", parent);
	return 0;
}

static int check_arguments(struct commitment *c, const char *key,
			   const struct shale_opts *opts,
			   struct shale_error *err)
{
	int r = name_check(c->name, "name", err);

	if (r == 0)
		r = name_check(key, "key", err);
	if (r == 0)
		r = overlay_opts_check(opts, true, err);
	if (r == 0)
		r = labels_new(opts ? opts->labels : NULL, &c->labels, err);
	if (r == 0)
		r = record_find(c->ov, key, &c->active, err);
	if (r < 0)
		return r;
	if (c->active->kind != SHALE_KIND_ACTIVE)
		return error_fail(err, EBADFD, "it is %s",
				  c->active->kind == SHALE_KIND_VIEW
					  ? "a view"
					  : "committed already");
	id_from_name(c->name, c->id);
	r = facts_check_free(c->ov, c->id, c->name, err);
	return r < 0 ? r : check_rebase(c, opts ? opts->parent : NULL, err);
}

/* Step 1: hold it, see that nobody uses it, drop what a failed commit left. */
static int hold(struct commitment *c, struct shale_error *err)
{
	auto_fd upper_fd = -1;
	int r = inuse_lock(c->ov, c->active, LOCK_EX, &c->dir_fd, err);

	if (r == 0)
		r = upper_open(c->ov, c->active, &upper_fd, err);
	if (r == 0)
		r = upper_open_fs(c->ov, c->active, O_RDONLY, &c->fs_fd, err);
	if (r == 0)
		r = inuse_check_user(c->active, err);
	if (r == 0)
		r = inuse_check_mounted(c->ov, c->active, c->fs_fd, err);
	if (r == 0)
		r = volatile_check(c->active, err);
	if (r == 0)
		r = volatile_settle(c->active, upper_fd, err);
	if (r == 0)
		facts_remove_name(c->dir_fd);
	return r;
}

static int fsync_entry(void *ctx, const struct fs_entry *entry)
{
	auto_fd fd = -1;

	(void)ctx;
	if (!S_ISREG(entry->st->st_mode) && !S_ISDIR(entry->st->st_mode))
		return 0;
	fd = openat(entry->parent_fd, entry->name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/*
 * Step 3: one syncfs is 8 to 14 times faster than fsync of 10,000 files, and the
 * only way to reach links, whiteouts and fifos.  Of a tree without files there is
 * only its root, which on an ordered file system the rename's sync takes along.
 */
static int sync_tree(struct overlay *ov, int fs_fd, bool is_empty)
{
	if (is_empty && overlay_is_ordered(ov))
		return 0;
	if (is_empty)
		return fsync(fs_fd) < 0 ? -errno : 0;
	if (syncfs(fs_fd) < 0)
		return -errno;
	/* Until 5.8 syncfs did not tell of write errors. */
	return process_kernel_before(5, 8) ? fs_walk(fs_fd, fsync_entry, NULL)
					   : 0;
}

/* Steps 2 to 5; without the lock, they may take minutes. */
int commitment_certify(const struct commitment *c, int dir_fd, int fs_fd,
		       struct shale_error *err)
{
	const bool durable = c->ov->durability != DURABLE_NONE;
	const char *parent_id = c->rebase ? c->rebase->id
					  : c->active->parent_id;
	struct usage usage;
	int r = usage_measure(c->ov, fs_fd, &usage);

	if (r < 0)
		return error_errno(err, -r, "measure it%s",
				   overlay_ids_hint(r));
	/* Before the sync, while what was written is in memory still. */
	if (c->has_manifest)
		r = manifest_store(c->ov, dir_fd, fs_fd, parent_id, err);
	if (r < 0)
		return r;
	r = durable ? sync_tree(c->ov, fs_fd,
				usage.inodes == 1 && !c->has_manifest)
		    : 0;
	if (r < 0)
		return error_errno(err, -r, "sync it%s", overlay_ids_hint(r));
	r = usage_store(dir_fd, &usage);
	if (r == 0)
		r = facts_write(dir_fd, SHALE_KIND_COMMITTED, c->name,
				parent_id, (const char *const *)c->labels);
	if (r == 0 && durable && !overlay_is_ordered(c->ov) &&
	    fsync(dir_fd) < 0)
		r = -errno;
	return r < 0 ? error_errno(err, -r, "write its facts") : 0;
}

int commitment_check_again(const struct commitment *c, bool may_be_used,
			   struct shale_error *err)
{
	struct overlay *ov = c->ov;
	auto_record now = NULL;
	int r = record_load_fresh(ov, ROOM_ACTIVE, c->active->id, &now, err);

	if (r == -ENOENT || (r == 0 && now->ino != c->active->ino))
		return error_fail(err, ENOENT, "no such snapshot");
	if (r == 0 && !may_be_used)
		r = inuse_check_user(now, err);
	if (r == 0)
		r = facts_check_free(ov, c->id, c->name, err);
	if (r < 0 || !c->rebase)
		return r;
	r = record_is_there(ov, ROOM_SNAPSHOTS, c->rebase->id, c->rebase->name,
			    err);
	if (r == 0)
		return error_fail(err, ENOENT, "parent '%s': no such snapshot",
				  c->rebase->name);
	return r < 0 ? r : 0;
}

/* Step 6 */
static int publish(const struct commitment *c, char trash[ID_SIZE],
		   struct shale_error *err)
{
	struct overlay *ov = c->ov;
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(ov, &writer, err);

	if (r == 0)
		r = commitment_check_again(c, false, err);
	if (r == 0)
		r = writer_change(&writer, err);
	if (r == 0)
		r = trash_make_room(ov, ROOM_SNAPSHOTS, c->id, trash, err);
	if (r < 0)
		return r;
	if (renameat2(ov->room_fd[ROOM_ACTIVE], c->active->id,
		      ov->room_fd[ROOM_SNAPSHOTS], c->id, RENAME_NOREPLACE) < 0)
		return error_errno(err, errno, "rename it to 'snapshots/%s'",
				   c->id);
	cache_forget(ov->cache, ROOM_ACTIVE, c->active->id);
	if (c->rebase)
		cache_count(ov->cache, c->rebase->id, 1);
	return 0;
}

/* Step 7: an error here is told, and the snapshot exists all the same. */
int commitment_sync_rooms(struct overlay *ov, bool is_kept,
			  struct shale_error *err)
{
	if (ov->durability == DURABLE_NONE)
		return 0;
	if (fsync(ov->room_fd[ROOM_SNAPSHOTS]) < 0 ||
	    (!is_kept && !overlay_is_ordered(ov) &&
	     fsync(ov->room_fd[ROOM_ACTIVE]) < 0))
		return error_errno(err, errno,
				   "it is committed, but to sync '%s' failed",
				   ov->root_path);
	return 0;
}

static int commit(struct commitment *c, struct shale_error *err)
{
	char trash[ID_SIZE] = "";
	int r = hold(c, err);

	if (r < 0)
		return r;
	if (c->active->upper || *c->active->map_id)
		return commitment_gather(c, err);
	r = commitment_certify(c, c->dir_fd, c->fs_fd, err);
	if (r == 0) /* syncing may have taken minutes */
		r = inuse_check_mounted(c->ov, c->active, c->fs_fd, err);
	if (r == 0)
		r = publish(c, trash, err);
	trash_empty(c->ov, trash);
	if (r < 0) {
		facts_remove_name(c->dir_fd);
		return r;
	}
	r = commitment_sync_rooms(c->ov, false, err);
	facts_remove_key(c->dir_fd); /* step 8; cleanup does it otherwise */
	(void)fs_remove_tree(c->dir_fd, "work", NULL, NULL);
	return r;
}

int overlay_commit(void *self, const char *name, const char *key,
		   const struct shale_opts *opts, struct shale_error *err)
{
	auto_commitment c = {
		.ov = self, .name = name, .dir_fd = -1, .fs_fd = -1
	};
	int r = check_arguments(&c, key, opts, err);
	const uint32_t flags = r == 0 && opts ? opts->flags : 0;

	c.has_manifest = c.ov->always_manifest ||
			 (flags & SHALE_COMMIT_MANIFEST) != 0;
	if (r == 0)
		r = flags & SHALE_COMMIT_KEEP
			    ? commitment_keep(
				      &c, (flags & SHALE_COMMIT_FREEZE) != 0,
				      err)
			    : commit(&c, err);
	return r < 0 ? error_context(err, r, "commit '%s' as '%s'",
				     key ? key : "", name ? name : "")
		     : r;
}

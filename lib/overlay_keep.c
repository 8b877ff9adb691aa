/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit with keep: a copy of the active's files, built in staging/, becomes
 * the committed snapshot, and the active goes on as it was, mounted or not.
 *
 * No flock is taken: a container that ends must not find its key busy because
 * somebody makes a copy of it.  It is the copy that gives way: the key is
 * looked up again under the store's lock, and where it is there still nothing
 * can have been taken away from it while it was copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "commitment.h"
#include "copy.h"
#include "error.h"
#include "freeze.h"
#include "inuse.h"
#include "lock.h"
#include "scope.h"
#include "shifted.h"
#include "staging.h"
#include "upper.h"
#include "volatile.h"

/* What a mounted overlay shows is right, whatever has reached the disk. */
static int check_volatile(const struct commitment *c, int upper_fd,
			  struct shale_error *err)
{
	int r = volatile_check(c->active, err);

	if (r < 0 || volatile_look(c->active, upper_fd, NULL) == 0 ||
	    inuse_check_mounted(c->ov, c->active, c->fs_fd, NULL) == -EBUSY)
		return r;
	return volatile_look(c->active, upper_fd, err);
}

static int open_active(struct commitment *c, struct shale_error *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	const char *id = c->active->id;
	auto_fd upper_fd = -1;
	struct stat st;
	int r;

	c->dir_fd = openat(c->ov->room_fd[ROOM_ACTIVE], id, flags);
	if (c->dir_fd < 0 && errno == ENOENT)
		return error_fail(err, ENOENT, "no such snapshot");
	if (c->dir_fd < 0 || fstat(c->dir_fd, &st) < 0)
		return error_errno(err, errno, "open '%s/active/%s'",
				   c->ov->root_path, id);
	if (st.st_ino != c->active->ino)
		return error_fail(err, ENOENT, "no such snapshot");
	r = upper_open(c->ov, c->active, &upper_fd, err);
	if (r == 0)
		r = upper_open_fs(c->ov, c->active, O_RDONLY, &c->fs_fd, err);
	return r < 0 ? r : check_volatile(c, upper_fd, err);
}

static int copy_frozen(const struct commitment *c, bool freezing, int fs_fd,
		       struct shale_error *err)
{
	const struct copy_options options = { .stop = overlay_stop,
					      .ctx = c->ov };
	auto_freezer freezer = FREEZER_INIT;
	int r = freezing ? freeze_user(c->active, &freezer, err) : 0;

	if (r == 0)
		r = copy_tree(c->fs_fd, fs_fd, &options, err);
	if (r < 0)
		return r;
	return freeze_end(&freezer, err);
}

static int build(const struct commitment *c, bool freezing, int dir_fd,
		 struct shale_error *err)
{
	auto_fd fs_fd = -1;
	int r = staged_make_fs(dir_fd, 0700, &fs_fd, err);

	if (r == 0)
		r = copy_frozen(c, freezing, fs_fd, err);
	if (r == 0)
		r = shifted_give_back(c->ov, c->active, fs_fd, err);
	return r < 0 ? r : commitment_certify(c, dir_fd, fs_fd, err);
}

static int publish(const struct commitment *c, struct staged *staged,
		   char trash[ID_SIZE], struct shale_error *err)
{
	struct overlay *ov = c->ov;
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(ov, &writer, err);

	if (r == 0)
		r = commitment_check_again(c, true, err);
	if (r == 0)
		r = writer_change(&writer, err);
	if (r == 0)
		r = staged_publish(staged, ROOM_SNAPSHOTS, c->id, trash, err);
	if (r == 0)
		cache_count(ov->cache,
			    c->rebase ? c->rebase->id : c->active->parent_id,
			    1);
	return r;
}

int commitment_keep(struct commitment *c, bool freezing,
		    struct shale_error *err)
{
	auto_staged staged = STAGED_INIT;
	char trash[ID_SIZE] = "";
	int r = open_active(c, err);

	if (r == 0)
		r = staged_new(c->ov, &staged, err);
	if (r == 0)
		r = build(c, freezing, staged.fd, err);
	if (r == 0)
		r = publish(c, &staged, trash, err);
	trash_empty(c->ov, trash);
	return r < 0 ? r : commitment_sync_rooms(c->ov, true, err);
}

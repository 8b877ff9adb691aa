/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mending: see check.h.  Each looks again, under whatever excludes others,
 * before it changes a thing; -ENOENT says that there is nothing to mend any
 * more.  Nothing here deletes what anybody may have written.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "check.h"
#include "children.h"
#include "cleaning.h"
#include "error.h"
#include "format.h"
#include "fs.h"
#include "inuse.h"
#include "labels.h"
#include "lock.h"
#include "scope.h"
#include "staging.h"
#include "upper.h"
#include "usage.h"

#define LOST_FOUND "lost+found"
/* How many things of one name lost+found may hold. */
#define NAME_TRIES 1000
/* Who moves a lock has it for microseconds. */
#define LOST_TRIES 1000
/* Room for a name in it. */
#define LOST_SIZE (NAME_MAX + 1)
/* And for what it is of: "mapped-ID-ID". */
#define WHERE_SIZE (2 * ID_SIZE + 16)

/* ---- lost+found ---- */

static int open_lost(const struct overlay *ov, int *ret,
		     struct shale_error *err)
{
	auto_fd fd = -1;
	struct stat st;
	int r = dir_create(ov->root_fd, LOST_FOUND, 0700, geteuid(), getegid());

	if (r < 0 && r != -EEXIST)
		return error_errno(err, -r, "create '" LOST_FOUND "'");
	fd = openat(ov->root_fd, LOST_FOUND,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "open '" LOST_FOUND "'");
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return error_fail(
			err, EPERM,
			"'" LOST_FOUND
			"' belongs to somebody else, or lets others in");
	*ret = take_fd(&fd);
	return 0;
}

/* "active-ID-key.labels", with a number where that is taken. */
static void lost_name(const char *where, const char *entry, int try,
		      char ret[LOST_SIZE])
{
	char number[16] = "";

	if (try > 0)
		(void)snprintf(number, sizeof(number), ".%d", try);
	(void)snprintf(ret, LOST_SIZE, "%.80s%s%.150s%s", where,
		       *where && *entry ? "-" : "", entry, number);
}

/* The lock is held, the generation odd; or it is the lock that is moved. */
static int rename_lost(int dir_fd, const char *name, int lost_fd,
		       const char *where, const char *entry,
		       char ret[LOST_SIZE])
{
	for (int try = 0; try < NAME_TRIES; try++) {
		lost_name(where, entry, try, ret);
		if (renameat2(dir_fd, name, lost_fd, ret, RENAME_NOREPLACE) ==
		    0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int tell_lost(int r, const char *name, const char *lost, char *ret_done,
		     struct shale_error *err)
{
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return error_errno(err, -r, "move '%s' to " LOST_FOUND, name);
	(void)snprintf(ret_done, CHECK_DONE_SIZE,
		       "moved to '" LOST_FOUND "/%s'", lost);
	return 0;
}

/* "active-ID", or "" in the root. */
static void where_of(const struct site *site, char ret[WHERE_SIZE])
{
	*ret = '\0';
	if (site->where)
		(void)snprintf(ret, WHERE_SIZE, "%s", site->where);
	else if (site->id)
		(void)snprintf(ret, WHERE_SIZE, "%s%s%s",
			       record_room_name(site->room),
			       *site->id ? "-" : "", site->id);
}

/* Whether it is the same directory still, under the name that it had. */
static bool is_same(const struct check *c, const struct site *site)
{
	struct stat there;

	return !site->id || !*site->id ||
	       (fstatat(c->ov->room_fd[site->room], site->id, &there,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		there.st_ino == site->ino);
}

/* @is_wrong: looks again under the lock; NULL: what is there is wrong. */
static int lose_entry(struct check *c, const struct site *site,
		      bool (*is_wrong)(const struct site *site), char *ret_done,
		      struct shale_error *err)
{
	char where[WHERE_SIZE], lost[LOST_SIZE];
	auto_writer writer = WRITER_INIT;
	auto_fd lost_fd = -1;
	int r = open_lost(c->ov, &lost_fd, err);

	if (r == 0)
		r = writer_begin(c->ov, &writer, err);
	if (r == 0 && (!is_same(c, site) || (is_wrong && !is_wrong(site))))
		return -ENOENT;
	if (r == 0)
		r = writer_change(&writer, err);
	if (r < 0)
		return r;
	where_of(site, where);
	r = rename_lost(site->fd, site->entry, lost_fd, where, site->entry,
			lost);
	cache_drop(c->ov->cache);
	return tell_lost(r, site->entry, lost, ret_done, err);
}

int repair_entry(struct check *c, void *ctx, char *ret_done,
		 struct shale_error *err)
{
	return lose_entry(c, ctx, NULL, ret_done, err);
}

static bool has_upper(const struct site *site)
{
	struct stat st;

	return fstatat(site->fd, "upper", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A whole directory of a room. */
static int lose_directory(struct check *c, const struct site *site,
			  struct writer *writer, int lost_fd, char *ret_done,
			  struct shale_error *err)
{
	char where[WHERE_SIZE], lost[LOST_SIZE];
	int r = 0;

	/* Cleanup deletes there what no active refers to. */
	if (has_upper(site))
		return error_fail(
			err, EBUSY,
			"its files are in another directory: take care of those first");
	r = writer_change(writer, err);
	if (r < 0)
		return r;
	where_of(site, where);
	r = rename_lost(c->ov->room_fd[site->room], site->id, lost_fd, where,
			"", lost);
	cache_drop(c->ov->cache);
	return tell_lost(r, site->id, lost, ret_done, err);
}

/* ---- whether it is mounted ---- */

/* Else it is bound, or committed, or its files are in another directory. */
static bool is_upper(const struct check *c, const struct site *site)
{
	return site->room == ROOM_ACTIVE && site->kind == SHALE_KIND_ACTIVE &&
	       *site->parent_id && !has_upper(site) &&
	       !c->ov->driver->is_copying;
}

static int check_unmounted(const struct check *c, const struct site *site,
			   struct shale_error *err)
{
	struct record record = { .kind = site->kind,
				 .name = (char *)(uintptr_t)site->id };
	auto_fd fs_fd = openat(site->fd, "fs",
			       O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fs_fd < 0 || !is_upper(c, site))
		return 0;
	(void)stpcpy(record.id, site->id);
	(void)stpcpy(record.parent_id, site->parent_id);
	return inuse_check_mounted(c->ov, &record, fs_fd, err);
}

/* ---- what nothing certifies ---- */

static bool is_empty_dir(int dir_fd, const char *name)
{
	auto_fd fd = openat(dir_fd, name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(fd);
	int n = 0;

	if (fd < 0)
		return errno == ENOENT;
	if (!dir)
		return false;
	(void)take_fd(&fd);
	while (n < 3 && readdir(dir))
		n++;
	return n < 3;
}

static bool has_kind(const struct site *site)
{
	static const char *const facts[2][3] = {
		[ROOM_ACTIVE] = { "key", "view", NULL },
		[ROOM_SNAPSHOTS] = { "name", NULL, NULL },
	};
	struct stat st;

	for (const char *const *fact = facts[site->room]; *fact; fact++)
		if (fstatat(site->fd, *fact, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

/* A prepare that came back by halves is garbage; a snapshot that somebody has
 * filled, and that lost its name, is not ours to delete.
 */
int repair_uncertified(struct check *c, void *ctx, char *ret_done,
		       struct shale_error *err)
{
	const struct site *site = ctx;
	auto_writer writer = WRITER_INIT;
	auto_fd lost_fd = -1;
	int r;

	if (!has_upper(site) && is_empty_dir(site->fd, "fs")) {
		r = cleaning_uncertified(c->ov, site->room, site->id, err);
		if (r == 0)
			(void)stpcpy(ret_done, "deleted, for it held no files");
		return r;
	}
	r = open_lost(c->ov, &lost_fd, err);
	if (r == 0)
		r = site->room == ROOM_SNAPSHOTS
			    ? children_lock_none(c->ov, site->id, &writer, err)
			    : writer_begin(c->ov, &writer, err);
	if (r == 0 && (!is_same(c, site) || has_kind(site)))
		return -ENOENT;
	return r < 0 ? r
		     : lose_directory(c, site, &writer, lost_fd, ret_done, err);
}

int repair_leftovers(struct check *c, void *ctx, char *ret_done,
		     struct shale_error *err)
{
	const struct site *site = ctx;
	int r = cleaning_leftovers(c->ov, site->room, site->id, err);

	if (r == 0)
		(void)stpcpy(ret_done, "removed");
	return r;
}

/* ---- a directory in the wrong place ---- */

static bool is_free(const struct check *c, const char *id)
{
	struct stat st;

	return fstatat(c->ov->room_fd[ROOM_ACTIVE], id, &st,
		       AT_SYMLINK_NOFOLLOW) < 0 &&
	       fstatat(c->ov->room_fd[ROOM_SNAPSHOTS], id, &st,
		       AT_SYMLINK_NOFOLLOW) < 0;
}

static int put_right(struct check *c, const struct site *site,
		     struct writer *writer, char *ret_done,
		     struct shale_error *err)
{
	const int room_fd = c->ov->room_fd[site->room];
	int r = writer_change(writer, err);

	if (r < 0)
		return r;
	if (renameat2(room_fd, site->id, room_fd, site->right_id,
		      RENAME_NOREPLACE) < 0)
		return error_errno(err, errno, "rename it to '%s'",
				   site->right_id);
	cache_drop(c->ov->cache);
	(void)snprintf(ret_done, CHECK_DONE_SIZE, "renamed to '%s/%s'",
		       record_room_name(site->room), site->right_id);
	return 0;
}

/* With children it is the name that is wrong, and which one was right nobody
 * can tell from its hash.
 */
int repair_place(struct check *c, void *ctx, char *ret_done,
		 struct shale_error *err)
{
	const struct site *site = ctx;
	auto_writer writer = WRITER_INIT;
	auto_fd lost_fd = -1;
	uint64_t generation;
	long children = 0;
	int r = children_count(c->ov, site->id, &generation, &children, err);

	if (r == 0 && children > 0)
		return error_fail(err, EBUSY,
				  "it has children: restore its fact '%s'",
				  record_kind_fact(site->kind));
	/* Mount tables have the upper by the path that it had. */
	if (r == 0)
		r = check_unmounted(c, site, err);
	if (r == 0)
		r = open_lost(c->ov, &lost_fd, err);
	if (r == 0)
		r = writer_begin(c->ov, &writer, err);
	if (r < 0)
		return r;
	if (writer.generation != generation)
		return error_fail(err, EAGAIN,
				  "the store changes all the time: try again");
	if (!is_same(c, site))
		return -ENOENT;
	return is_free(c, site->right_id)
		       ? put_right(c, site, &writer, ret_done, err)
		       : lose_directory(c, site, &writer, lost_fd, ret_done,
					err);
}

/* ---- facts ---- */

/* The labels may name a container: without them it could be taken away. */
static int check_unused(const struct check *c, const struct site *site,
			struct shale_error *err)
{
	if (site->room == ROOM_SNAPSHOTS)
		return 0;
	if (!is_upper(c, site))
		return error_fail(err, EBUSY,
				  "whether somebody uses it can't be known");
	return check_unmounted(c, site, err);
}

/* Another repair, and an update then, may have replaced them. */
static bool are_torn(const struct site *site)
{
	auto_labels labels = NULL;
	struct stat st;

	return labels_load(site->fd, site->entry, &labels, &st) == -EUCLEAN;
}

int repair_labels(struct check *c, void *ctx, char *ret_done,
		  struct shale_error *err)
{
	int r = check_unused(c, ctx, err);

	return r < 0 ? r : lose_entry(c, ctx, are_torn, ret_done, err);
}

static bool is_no_link(const struct site *site)
{
	struct stat st;

	return fstatat(site->fd, site->entry, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !S_ISLNK(st.st_mode);
}

/* It holds something, and the new one would take its place. */
static int lose_no_link(const struct site *site, int lost_fd,
			struct shale_error *err)
{
	char where[WHERE_SIZE], lost[LOST_SIZE];
	int r;

	if (lost_fd < 0 || !is_no_link(site))
		return 0;
	where_of(site, where);
	r = rename_lost(site->fd, site->entry, lost_fd, where, site->entry,
			lost);
	return r < 0 ? error_errno(err, -r, "move '%s' to " LOST_FOUND,
				   site->entry)
		     : 0;
}

/* Measured without the lock, built in staging/, put in place under it. */
int repair_usage(struct check *c, void *ctx, char *ret_done,
		 struct shale_error *err)
{
	const struct site *site = ctx;
	auto_staged staged = STAGED_INIT;
	auto_writer writer = WRITER_INIT;
	struct usage usage;
	auto_fd lost_fd = -1;
	auto_fd fs_fd = openat(site->fd, "fs",
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fs_fd < 0 ? -errno : usage_measure(c->ov, fs_fd, &usage);

	if (r < 0)
		return error_errno(err, -r, "measure it");
	r = staged_new(c->ov, &staged, err);
	if (r < 0)
		return r;
	r = usage_store(staged.fd, &usage);
	if (r < 0)
		return error_errno(err, -r, "write its usage");
	if (is_no_link(site))
		r = open_lost(c->ov, &lost_fd, err);
	if (r == 0)
		r = writer_begin(c->ov, &writer, err);
	if (r == 0 && !is_same(c, site))
		r = -ENOENT;
	if (r == 0)
		r = writer_change(&writer, err);
	if (r == 0)
		r = lose_no_link(site, lost_fd, err);
	if (r == 0 && renameat(staged.fd, "usage", site->fd, "usage") < 0)
		r = error_errno(err, errno, "put its usage in place");
	writer_end(&writer); /* before what is staged is deleted */
	if (r == 0)
		(void)stpcpy(ret_done, "measured anew");
	return r;
}

/* Under the flock that a commit or a mount takes. */
int repair_work(struct check *c, void *ctx, char *ret_done,
		struct shale_error *err)
{
	const struct site *site = ctx;
	auto_locked_fd fd =
		openat(c->ov->room_fd[site->room], site->id,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct record record = { .room = site->room, .kind = site->kind };
	auto_free char *upper = NULL;
	auto_fd upper_fd = -1;
	struct stat st;
	int r;

	if (fd < 0 || !is_same(c, site))
		return -ENOENT;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return error_fail(err, EBUSY, "somebody is at work on it");
	(void)stpcpy(record.id, site->id);
	r = upper_read(fd, &upper);
	record.upper = upper;
	if (r == 0 || r == -ENOENT)
		r = upper_open(c->ov, &record, &upper_fd, err);
	if (r < 0)
		return r;
	if (!upper && fstatat(fd, "work", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode)) {
		r = repair_entry(c, ctx, ret_done, err);
		if (r < 0)
			return r;
	}
	r = dir_create(upper_fd, "work", 0700, geteuid(), getegid());
	if (r < 0)
		return error_errno(err, -r, "create 'work'");
	if (!*ret_done)
		(void)stpcpy(ret_done, "made anew");
	return 0;
}

/* ---- the lock ---- */

static bool is_something_else(const struct site *site)
{
	struct stat st;

	return fstatat(site->fd, site->entry, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !S_ISREG(st.st_mode);
}

/* Nobody can have that one, so those who move it exclude each other. */
static int lose_lock(struct check *c, const struct site *site,
		     struct shale_error *err)
{
	char lost[LOST_SIZE];
	auto_locked_fd lost_fd = -1;
	int r = open_lost(c->ov, &lost_fd, err);

	if (r < 0)
		return r;
	r = fs_flock(lost_fd, LOCK_EX, LOST_TRIES);
	if (r < 0)
		return error_errno(err, -r, "lock '" LOST_FOUND "'");
	if (!is_something_else(site))
		return 0;
	r = rename_lost(site->fd, site->entry, lost_fd, "", site->entry, lost);
	return r < 0 ? error_errno(err, -r, "move '%s' to " LOST_FOUND,
				   site->entry)
		     : 0;
}

int repair_lock(struct check *c, void *ctx, char *ret_done,
		struct shale_error *err)
{
	const struct site *site = ctx;
	int r = is_something_else(site) ? lose_lock(c, site, err) : 0;

	if (r < 0)
		return r;
	r = format_make_lock(c->ov);
	if (r < 0)
		return error_errno(err, -r, "create 'lock'");
	(void)stpcpy(ret_done, "made anew");
	return 0;
}

/* ---- owners and modes ---- */

int repair_access(struct check *c, void *ctx, char *ret_done,
		  struct shale_error *err)
{
	const struct access *access = ctx;
	auto_fd fd = openat(access->dir_fd, *access->name ? access->name : ".",
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	(void)c;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "open it");
	if (st.st_uid != geteuid() && fchown(fd, geteuid(), getegid()) < 0)
		return error_errno(err, errno, "chown it to uid %u",
				   (unsigned int)geteuid());
	if (fchmod(fd, access->mode) < 0)
		return error_errno(err, errno, "chmod it to %04o",
				   (unsigned int)access->mode);
	(void)snprintf(ret_done, CHECK_DONE_SIZE,
		       "given to uid %u, with mode %04o",
		       (unsigned int)geteuid(), (unsigned int)access->mode);
	return 0;
}

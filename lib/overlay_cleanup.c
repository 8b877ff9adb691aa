/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cleanup: what dead processes left in staging/ and trash/, directories that
 * nothing certifies, the leftovers of commits that ended half-way, and uppers
 * elsewhere that no active refers to.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "children.h"
#include "cleaning.h"
#include "error.h"
#include "facts.h"
#include "fs.h"
#include "lock.h"
#include "overlay.h"
#include "record.h"
#include "scope.h"
#include "shifted.h"
#include "staging.h"
#include "upper.h"

/**
 * struct cleaning
 * @is_kept: a layer without a name was left for its children
 */
struct cleaning {
	struct overlay *ov;
	enum room room;
	uint64_t removed;
	bool is_kept;
	struct shale_error *err;
};

/*
 * Lists first: what is deleted while reading a directory may hide others.  One
 * that can't be cleaned keeps none of the others; the first error is told.
 */
static int each_entry(struct cleaning *cleaning, int dir_fd, const char *what,
		      int (*visit)(struct cleaning *cleaning, const char *name))
{
	struct dirent **entries = NULL;
	int first = 0, n = scandirat(dir_fd, ".", &entries, NULL, NULL);

	if (n < 0)
		return error_errno(cleaning->err, errno, "list '%s/%s'",
				   cleaning->ov->root_path, what);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		int r = 0;

		if (overlay_cancelled(cleaning->ov))
			r = error_fail(cleaning->err, ECANCELED,
				       "stopped by the host");
		else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = visit(cleaning, name);
		if (first == 0)
			first = r;
		free(entries[i]);
	}
	free(entries);
	return first;
}

/*
 * Under the lock, since a live builder lets go of its flock under it.  Returns
 * 1 where it is to be deleted: from trash/, or with its flock from where it is.
 */
static int take_staged(struct cleaning *cleaning, const char *name,
		       char trash[ID_SIZE], int *ret_fd)
{
	struct overlay *ov = cleaning->ov;
	auto_writer writer = WRITER_INIT;
	auto_locked_fd fd = -1;
	int r = writer_begin(ov, &writer, cleaning->err);

	if (r < 0)
		return r;
	fd = openat(ov->staging_fd, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0;
	/* A link, a socket: nobody builds that.  All else that can't
	 * be opened now may be a live builder's.
	 */
	if (fd < 0 && errno != ELOOP && errno != ENXIO)
		return error_errno(cleaning->err, errno, "open '%s/staging/%s'",
				   ov->root_path, name);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	r = trash_move(ov, ov->staging_fd, name, trash);
	if (r == -ENOENT)
		return 0;
	if (trash_is_refused(r))
		*trash = '\0';
	else if (r < 0)
		return error_errno(cleaning->err, -r,
				   "move '%s/staging/%s' to trash",
				   ov->root_path, name);
	*ret_fd = take_fd(&fd);
	return 1;
}

/* Seen without the lock, since there may be many who build, and as many who
 * wait for it: each would be a turn.
 */
static bool may_be_dead(const struct overlay *ov, const char *name)
{
	auto_locked_fd fd =
		openat(ov->staging_fd, name,
		       O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return errno != ENOENT;
	return flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

static int clean_staged(struct cleaning *cleaning, const char *name)
{
	struct overlay *ov = cleaning->ov;
	char trash[ID_SIZE] = "";
	auto_locked_fd fd = -1;
	int r;

	if (!may_be_dead(ov, name))
		return 0;
	r = take_staged(cleaning, name, trash, &fd);
	if (r <= 0)
		return r;
	if (*trash)
		trash_empty(ov, trash);
	else
		r = fs_remove_tree(ov->staging_fd, name, overlay_stop, ov);
	if (r < 0)
		return error_errno(cleaning->err, -r,
				   "delete '%s/staging/%s'%s", ov->root_path,
				   name, overlay_ids_hint(r));
	cleaning->removed++;
	return 0;
}

static int clean_trash(struct cleaning *cleaning, const char *name)
{
	struct overlay *ov = cleaning->ov;
	int r = fs_remove_tree(ov->trash_fd, name, overlay_stop, ov);

	if (r < 0)
		return error_errno(cleaning->err, -r, "delete '%s/trash/%s'%s",
				   ov->root_path, name, overlay_ids_hint(r));
	cleaning->removed++;
	return 0;
}

static int is_certified(const struct overlay *ov, enum room room,
			const char *id)
{
	static const char *const facts[2][3] = {
		[ROOM_ACTIVE] = { "/key", "/view", NULL },
		[ROOM_SNAPSHOTS] = { "/name", NULL, NULL },
	};
	char path[ID_SIZE + sizeof("/name")];
	struct stat st;

	for (const char *const *fact = facts[room]; *fact; fact++) {
		(void)stpcpy(stpcpy(path, id), *fact);
		if (fstatat(ov->room_fd[room], path, &st,
			    AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return 0;
}

/* 1 where it is to be deleted: from trash/, or by its descriptor. */
static int take_uncertified(struct cleaning *cleaning, const char *id,
			    char trash[ID_SIZE], int *ret_fd,
			    struct shale_error *err)
{
	struct overlay *ov = cleaning->ov;
	const int room_fd = ov->room_fd[cleaning->room];
	auto_writer writer = WRITER_INIT;
	int r = cleaning->room == ROOM_SNAPSHOTS
			? children_lock_none(ov, id, &writer, err)
			: writer_begin(ov, &writer, err);

	if (r < 0)
		return r;
	r = is_certified(ov, cleaning->room, id);
	if (r != 0)
		return r < 0 ? error_errno(err, -r, "look at '%s'", id) : 0;
	r = writer_change(&writer, err);
	if (r < 0)
		return r;
	r = trash_move(ov, room_fd, id, trash);
	cache_drop(ov->cache);
	if (r == 0 || r == -ENOENT)
		return r == 0;
	if (trash_is_refused(r))
		*ret_fd =
			openat(room_fd, id,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0
		       ? error_errno(err, -r,
				     "move the uncertified '%s' to trash", id)
		       : 1;
}

static int clean_uncertified(struct cleaning *cleaning, const char *id,
			     struct shale_error *err)
{
	struct overlay *ov = cleaning->ov;
	char trash[ID_SIZE] = "";
	auto_fd fd = -1;
	int r = take_uncertified(cleaning, id, trash, &fd, err);

	if (r <= 0)
		return r;
	trash_empty(ov, trash);
	/* Its name may already be a new snapshot's, which is never empty. */
	if (fd >= 0) {
		(void)fs_empty(fd, overlay_stop, ov);
		(void)unlinkat(ov->room_fd[cleaning->room], id, AT_REMOVEDIR);
	}
	cleaning->removed++;
	return 0;
}

static bool has_name_facts(int dir_fd)
{
	static const char *const facts[] = { "name",	    "name.parent",
					     "name.labels", "usage",
					     "manifest",    NULL };
	struct stat st;

	for (const char *const *fact = facts; *fact; fact++)
		if (fstatat(dir_fd, *fact, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return true;
	return false;
}

static bool is_still(const struct cleaning *cleaning, const char *id, int fd)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 &&
	       fstatat(cleaning->ov->room_fd[cleaning->room], id, &there,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == there.st_ino;
}

/* A commit that died before its rename, or after it. */
static bool clean_leftovers(struct cleaning *cleaning, const char *id)
{
	auto_locked_fd fd =
		openat(cleaning->ov->room_fd[cleaning->room], id,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || (cleaning->room == ROOM_ACTIVE && !has_name_facts(fd)))
		return false;
	/* The flock tells a commit under way, before the rename and after;
	 * what has moved on since we opened it is committed, and not ours.
	 */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_still(cleaning, id, fd))
		return false;
	if (cleaning->room == ROOM_ACTIVE) {
		facts_remove_name(fd);
		return true;
	}
	facts_remove_key(fd);
	(void)fs_remove_tree(fd, "work", NULL, NULL);
	return true;
}

/* What was removed counts; nothing removed, and no error, is -ENOENT. */
static int outcome(const struct cleaning *cleaning, int r)
{
	if (r < 0)
		return r;
	return cleaning->removed ? 0 : -ENOENT;
}

int cleaning_staged(struct overlay *ov, const char *name,
		    struct shale_error *err)
{
	struct cleaning cleaning = { .ov = ov, .err = err };

	return outcome(&cleaning, clean_staged(&cleaning, name));
}

int cleaning_trash(struct overlay *ov, const char *name,
		   struct shale_error *err)
{
	struct cleaning cleaning = { .ov = ov, .err = err };

	return outcome(&cleaning, clean_trash(&cleaning, name));
}

int cleaning_uncertified(struct overlay *ov, enum room room, const char *id,
			 struct shale_error *err)
{
	struct cleaning cleaning = { .ov = ov, .room = room };

	return outcome(&cleaning, clean_uncertified(&cleaning, id, err));
}

int cleaning_leftovers(struct overlay *ov, enum room room, const char *id,
		       struct shale_error *err)
{
	struct cleaning cleaning = { .ov = ov, .room = room, .err = err };

	return clean_leftovers(&cleaning, id) ? 0 : -ENOENT;
}

static int clean_id(struct cleaning *cleaning, const char *id)
{
	struct shale_error why = SHALE_ERROR_INIT;
	int r;

	if (!id_is_valid(id))
		return 0;
	r = is_certified(cleaning->ov, cleaning->room, id);
	if (r < 0)
		return error_errno(cleaning->err, -r, "look at '%s'", id);
	if (r > 0) {
		(void)clean_leftovers(cleaning, id);
		return 0;
	}
	r = clean_uncertified(cleaning, id, &why);
	if (r == -ENOTEMPTY) { /* check names it, and what to do */
		cleaning->is_kept = true;
		return 0;
	}
	return r < 0 ? error_fail(cleaning->err, -r, "%s", why.msg) : 0;
}

/* A writer that died while changing leaves the generation odd, and nobody
 * remembers anything until the next one.
 */
static int settle(struct cleaning *cleaning)
{
	auto_writer writer = WRITER_INIT;
	int r;

	if (!(generation_read(cleaning->ov) & 1))
		return 0;
	r = writer_begin(cleaning->ov, &writer, cleaning->err);
	return r < 0 ? r : writer_change(&writer, cleaning->err);
}

static int first_of(int a, int b)
{
	return a < 0 ? a : b;
}

/* In a chain of layers that lost their names only the last has no children. */
static int clean_layers(struct cleaning *cleaning)
{
	uint64_t before;
	int r = 0;

	cleaning->room = ROOM_SNAPSHOTS;
	do {
		before = cleaning->removed;
		cleaning->is_kept = false;
		r = first_of(r,
			     each_entry(cleaning,
					cleaning->ov->room_fd[ROOM_SNAPSHOTS],
					"snapshots", clean_id));
	} while (cleaning->is_kept && cleaning->removed > before);
	return r;
}

int overlay_cleanup(void *self, uint64_t *ret_removed, struct shale_error *err)
{
	struct overlay *ov = self;
	struct cleaning cleaning = { .ov = ov, .err = err };
	int r = each_entry(&cleaning, ov->staging_fd, "staging", clean_staged);

	cleaning.room = ROOM_ACTIVE;
	r = first_of(r, each_entry(&cleaning, ov->room_fd[ROOM_ACTIVE],
				   "active", clean_id));
	r = first_of(r, clean_layers(&cleaning));
	r = first_of(r, shifted_cleanup(ov, &cleaning.removed, err));
	r = first_of(r,
		     each_entry(&cleaning, ov->trash_fd, "trash", clean_trash));
	r = first_of(r, upper_cleanup(ov, &cleaning.removed, err));
	r = first_of(r, settle(&cleaning));
	if (r < 0)
		return error_context(err, r, "cleanup");
	if (ret_removed)
		*ret_removed = cleaning.removed;
	return 0;
}

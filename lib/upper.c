/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the files of an active are: see upper.h.
 */
#include "upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "format.h"
#include "fs.h"
#include "scope.h"
#include "shale.h"
#include "staging.h"

#define FACT "upper"
#define NAME_MAX_BYTES 64
#define LEGAL_NAME                                                       \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" \
	"_.-"

/* ---- names and the directories that they stand for ---- */

static bool is_name(const char *name, size_t len)
{
	return len > 0 && len <= NAME_MAX_BYTES && *name != '.' &&
	       strspn(name, LEGAL_NAME) >= len;
}

static const char *dir_of(const struct overlay *ov, const char *name,
			  size_t len)
{
	for (char **pair = ov->uppers; pair && *pair; pair += 2)
		if (strlen(pair[0]) == len && !strncmp(pair[0], name, len))
			return pair[1];
	return NULL;
}

int upper_configure(struct overlay *ov, const char *value)
{
	const size_t len = strcspn(value, "=");
	size_t count = 0;
	char **bigger;

	if (!is_name(value, len) || value[len] != '=' ||
	    value[len + 1] != '/' || dir_of(ov, value, len))
		return -EINVAL;
	while (ov->uppers && ov->uppers[count])
		count++;
	bigger = reallocarray(ov->uppers, count + 3, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	ov->uppers = bigger;
	bigger[count] = strndup(value, len);
	bigger[count + 1] = bigger[count] ? strdup(value + len + 1) : NULL;
	bigger[count + 2] = NULL;
	return bigger[count + 1] ? 0 : -ENOMEM;
}

int upper_check_name(const struct overlay *ov, const char *name,
		     struct shale_error *err)
{
	if (dir_of(ov, name, strlen(name)))
		return 0;
	if (ov->driver->is_copying)
		return error_fail(
			err, EINVAL,
			"label '%s': the snapshotter '%s' has no uppers elsewhere: leave it out",
			SHALE_LABEL_UPPER, ov->driver->name);
	if (!is_name(name, strlen(name)))
		return error_fail(
			err, EINVAL,
			"label '%s': '%s' can't be the name of an upper: 1 to %d letters, digits, '_', '.' and '-', and no '.' first",
			SHALE_LABEL_UPPER, name, NAME_MAX_BYTES);
	return error_fail(
		err, EINVAL,
		"label '%s': no upper is called '%s': add \"%s\": \"/DIRECTORY\" to uppers in shale.json",
		SHALE_LABEL_UPPER, name, name);
}

/* The store as others can't have it: by the path of its root. */
static int store_id(const struct overlay *ov, char ret[ID_SIZE])
{
	char root[PATH_MAX];
	int r = fs_fd_target(ov->root_fd, root);

	if (r == 0)
		id_from_name(root, ret);
	return r;
}

/* Who can write into DIR could put another's directory in place of ours. */
static int check_dir(const struct overlay *ov, const char *dir, int fd,
		     struct shale_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "look at '%s'", dir);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_fail(
			err, EPERM,
			"'%s' belongs to uid %u with mode %03o: it must be uid %u's, and nobody else's to write",
			dir, st.st_uid, st.st_mode & 0777, geteuid());
	return format_check_upper(ov, fd, dir, err);
}

static int open_dir(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name,
			O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | flags);

	return fd < 0 ? -errno : fd;
}

/* ---- making one ---- */

/* DIR/STORE, made where it is not there yet. */
static int open_store_dir(const struct overlay *ov, const char *dir,
			  int *ret_fd, struct shale_error *err)
{
	char store[ID_SIZE];
	auto_fd dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir_fd < 0)
		return error_errno(err, errno, "open '%s'", dir);
	r = check_dir(ov, dir, dir_fd, err);
	if (r < 0)
		return r;
	r = store_id(ov, store);
	if (r == 0)
		r = dir_create(dir_fd, store, 0700, geteuid(), getegid());
	if (r == 0 && ov->durability == DURABLE_ALL && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0 || r == -EEXIST)
		r = open_dir(dir_fd, store, O_RDONLY);
	if (r < 0)
		return error_errno(err, -r, "create a directory in '%s'", dir);
	*ret_fd = r;
	return 0;
}

static int make(const struct overlay *ov, const char *name, const char *dir,
		const char *staged_name, int staged_fd, int *ret_fd,
		struct shale_error *err)
{
	char fact[NAME_MAX_BYTES + ID_SIZE + 1];
	auto_fd store_fd = -1;
	int r = open_store_dir(ov, dir, &store_fd, err);

	if (r < 0)
		return r;
	(void)snprintf(fact, sizeof(fact), "%s/%s", name, staged_name);
	r = dir_create(store_fd, staged_name, 0700, geteuid(), getegid());
	if (r == 0)
		r = open_dir(store_fd, staged_name, O_RDONLY);
	if (r >= 0) {
		*ret_fd = r;
		r = symlinkat(fact, staged_fd, FACT) < 0 ? -errno : 0;
		if (r == 0 && ov->durability == DURABLE_ALL &&
		    fsync(store_fd) < 0)
			r = -errno;
		if (r < 0)
			(void)unlinkat(store_fd, staged_name, AT_REMOVEDIR);
	}
	return r < 0 ? error_errno(err, -r, "create a directory in '%s'", dir)
		     : 0;
}

int upper_create(const struct overlay *ov, const char *name,
		 const char *staged_name, int staged_fd, int *ret_fd,
		 struct shale_error *err)
{
	const char *dir = dir_of(ov, name, strlen(name));
	int r = upper_check_name(ov, name, err);

	if (r == 0)
		r = make(ov, name, dir, staged_name, staged_fd, ret_fd, err);
	return r < 0 ? error_context(err, r, "upper '%s'", name) : 0;
}

/* ---- finding one ---- */

/* NAME/RANDOM */
static bool is_fact(const char *text)
{
	const size_t len = strcspn(text, "/");

	return is_name(text, len) && text[len] == '/' &&
	       id_is_valid(text + len + 1);
}

int upper_read(int dir_fd, char **ret)
{
	char text[FS_LINK_SIZE];
	int r = fs_read_link(dir_fd, FACT, text);

	if (r < 0)
		return r == -ENAMETOOLONG ? -EINVAL : r;
	if (!is_fact(text))
		return -EINVAL;
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* DIR/STORE as a descriptor, or a negative errno; -ENODATA: no such name. */
static int open_store(const struct overlay *ov, const char *dir)
{
	auto_fd dir_fd = -1;
	char store[ID_SIZE];
	int r;

	if (!dir)
		return -ENODATA;
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	r = store_id(ov, store);
	return r < 0 ? r : open_dir(dir_fd, store, O_RDONLY);
}

/* The DIR of a fact, and its RANDOM; NULL where it is not configured. */
static const char *dir_of_fact(const struct overlay *ov, const char *upper,
			       const char **ret_random)
{
	const size_t len = strcspn(upper, "/");

	*ret_random = upper + len + 1;
	return dir_of(ov, upper, len);
}

static int open_elsewhere(const struct overlay *ov, const char *upper,
			  int *ret_fd, struct shale_error *err)
{
	const int len = (int)strcspn(upper, "/");
	const char *random, *dir = dir_of_fact(ov, upper, &random);
	auto_fd store_fd = open_store(ov, dir);
	int fd = store_fd < 0 ? store_fd : open_dir(store_fd, random, O_RDONLY);

	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (fd == -ENODATA)
		return error_fail(
			err, EBADFD,
			"its upper '%.*s' is not configured: add \"%.*s\": \"/DIRECTORY\" to uppers in shale.json",
			len, upper, len, upper);
	if (fd == -ENOENT)
		return error_fail(
			err, EBADFD,
			"its files are not in '%s': mount that disk, or where it was a tmpfs, remove it and prepare it anew",
			dir);
	return error_errno(err, -fd, "open upper '%s' in '%s'", upper, dir);
}

int upper_open(const struct overlay *ov, const struct record *record,
	       int *ret_fd, struct shale_error *err)
{
	int fd;

	if (record->upper)
		return open_elsewhere(ov, record->upper, ret_fd, err);
	fd = open_dir(ov->room_fd[ROOM_ACTIVE], record->id, O_RDONLY);
	if (fd < 0)
		return error_errno(err, -fd, "open '%s/active/%s'",
				   ov->root_path, record->id);
	*ret_fd = fd;
	return 0;
}

int upper_open_fs(const struct overlay *ov, const struct record *record,
		  int flags, int *ret_fd, struct shale_error *err)
{
	auto_fd upper_fd = -1;
	int r = upper_open(ov, record, &upper_fd, err);

	if (r < 0)
		return r;
	r = open_dir(upper_fd, "fs", flags);
	if (r < 0)
		return error_errno(err, -r, "open the fs of '%s'",
				   record->upper ? record->upper : record->id);
	*ret_fd = r;
	return 0;
}

char *upper_path(const struct overlay *ov, const struct record *record,
		 const char *leaf)
{
	const char *random, *dir;
	char store[ID_SIZE], *path;
	int n;

	if (!record->upper) {
		n = asprintf(&path, "%s/active/%s/%s", ov->root_path,
			     record->id, leaf);
		return n < 0 ? NULL : path;
	}
	dir = dir_of_fact(ov, record->upper, &random);
	if (!dir || store_id(ov, store) < 0)
		return NULL;
	n = asprintf(&path, "%s/%s/%s/%s", dir, store, random, leaf);
	return n < 0 ? NULL : path;
}

/* ---- removing ---- */

/* The flock tells a check that somebody is at it; two may be. */
static int remove_held(struct overlay *ov, int store_fd, const char *random)
{
	auto_locked_fd fd = open_dir(store_fd, random, O_RDONLY);

	if (fd >= 0)
		(void)flock(fd, LOCK_SH | LOCK_NB);
	return fs_remove_tree(store_fd, random, overlay_stop, ov);
}

void upper_remove(struct overlay *ov, const char *upper)
{
	struct shale_error error = SHALE_ERROR_INIT;
	const char *random, *dir;
	auto_fd store_fd = -1;
	int r;

	if (!upper)
		return;
	dir = dir_of_fact(ov, upper, &random);
	store_fd = open_store(ov, dir);
	r = store_fd < 0 ? store_fd : remove_held(ov, store_fd, random);
	/* What is not configured or not mounted is for a later cleanup. */
	if (r == 0 || r == -ENOENT || r == -ENODATA)
		return;
	(void)error_errno(&error, -r, "delete upper '%s' in '%s'", upper, dir);
	overlay_warn(ov, &error);
}

/* ---- what is in the directories ---- */

struct listing {
	struct overlay *ov;
	struct dirent **entries;
	bool *is_wanted; /* of each: it is an active's, or none of ours */
	int count;
	struct shale_error *err;
};

static void listing_drop(struct listing *listing)
{
	for (int i = 0; i < listing->count; i++)
		free(listing->entries[i]);
	free(listing->entries);
	free(listing->is_wanted);
}

/* Certified or not: who refers to one is not to lose it. */
static int note_referred(struct listing *listing, int room_fd, const char *room,
			 const char *id)
{
	auto_free char *upper = NULL;
	auto_fd fd = open_dir(room_fd, id, O_PATH);
	int r = fd < 0 ? fd : upper_read(fd, &upper);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return error_errno(listing->err, -r, "read '%s/%s/%s'", room,
				   id, FACT);
	for (int i = 0; i < listing->count; i++)
		if (!strcmp(listing->entries[i]->d_name,
			    strchr(upper, '/') + 1))
			listing->is_wanted[i] = true;
	return 0;
}

static int note_active(void *ctx, const char *id)
{
	struct listing *listing = ctx;

	return note_referred(listing, listing->ov->room_fd[ROOM_ACTIVE],
			     "active", id);
}

/* What is there may be a live process's to delete, and its upper with it. */
static int note_trash(struct listing *listing)
{
	const int trash_fd = listing->ov->trash_fd;
	struct dirent **entries;
	int r = 0, n = scandirat(trash_fd, ".", &entries, NULL, NULL);

	if (n < 0)
		return error_errno(listing->err, errno, "list 'trash'");
	for (int i = 0; i < n; i++) {
		if (r == 0 && id_is_valid(entries[i]->d_name))
			r = note_referred(listing, trash_fd, "trash",
					  entries[i]->d_name);
		if (r == -EINVAL) { /* it refers to nothing to be known */
			error_clear(listing->err);
			r = 0;
		}
		free(entries[i]);
	}
	free(entries);
	return r;
}

/*
 * In this order, since an active goes from staging/ to active/ to trash/ and
 * never back: what is in none of them when it was asked for is nobody's and
 * never will be.
 */
static int list(struct listing *listing, int store_fd)
{
	const int staging_fd = listing->ov->staging_fd;
	struct stat st;
	int r, n = scandirat(store_fd, ".", &listing->entries, NULL, NULL);

	if (n < 0)
		return error_errno(listing->err, errno, "list it");
	listing->count = n;
	listing->is_wanted = calloc((size_t)n, sizeof(bool));
	if (!listing->is_wanted)
		return error_fail(listing->err, ENOMEM, "out of memory");
	for (int i = 0; i < n; i++) {
		const char *name = listing->entries[i]->d_name;

		listing->is_wanted[i] = !id_is_valid(name) ||
					fstatat(staging_fd, name, &st,
						AT_SYMLINK_NOFOLLOW) == 0 ||
					errno != ENOENT;
	}
	r = record_each_id(listing->ov, ROOM_ACTIVE, note_active, listing,
			   listing->err);
	return r < 0 ? r : note_trash(listing);
}

static int visit_dir(struct overlay *ov, const char *dir, upper_visit_fn *fn,
		     void *ctx, struct shale_error *err)
{
	__attribute__((cleanup(listing_drop))) struct listing listing = {
		.ov = ov, .err = err
	};
	auto_fd store_fd = open_store(ov, dir);
	char store[ID_SIZE], path[PATH_MAX];
	int r;

	if (store_fd == -ENOENT) /* not mounted, or none was ever made here */
		return 0;
	r = store_fd < 0 ? store_fd : store_id(ov, store);
	if (r < 0)
		return error_errno(err, -r, "open it");
	(void)snprintf(path, sizeof(path), "%s/%s", dir, store);
	r = list(&listing, store_fd);
	for (int i = 0; r == 0 && i < listing.count; i++) {
		const char *name = listing.entries[i]->d_name;

		if (strcmp(name, "..") != 0)
			r = fn(ctx, path, store_fd, name,
			       !listing.is_wanted[i]);
	}
	return r;
}

int upper_each(struct overlay *ov, upper_visit_fn *fn, void *ctx,
	       struct shale_error *err)
{
	int first = 0;

	for (char **pair = ov->uppers; pair && *pair; pair += 2) {
		int r = visit_dir(ov, pair[1], fn, ctx, err);

		if (r > 0)
			return r;
		if (r < 0)
			(void)error_context(err, r, "upper '%s'", pair[1]);
		if (first == 0)
			first = r;
	}
	return first;
}

int upper_remove_orphan(struct overlay *ov, int dir_fd, const char *name,
			struct shale_error *err)
{
	int r = remove_held(ov, dir_fd, name);

	return r < 0 ? error_errno(err, -r, "delete '%s'", name) : 0;
}

struct sweep {
	struct overlay *ov;
	uint64_t *removed;
	struct shale_error *err;
};

static int sweep_one(void *ctx, const char *path, int dir_fd, const char *name,
		     bool is_orphan)
{
	const struct sweep *sweep = ctx;
	int r;

	(void)path;
	if (!is_orphan)
		return 0;
	r = upper_remove_orphan(sweep->ov, dir_fd, name, sweep->err);
	if (r == 0)
		++*sweep->removed;
	return r;
}

int upper_cleanup(struct overlay *ov, uint64_t *removed,
		  struct shale_error *err)
{
	struct sweep sweep = { ov, removed, err };

	return upper_each(ov, sweep_one, &sweep, err);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Directories outside the store that hold the files of its actives: each
 * is that of one active, and shale's alone.  Nothing moves from there to
 * lost+found/, which is on another file system.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "error.h"
#include "fs.h"
#include "scope.h"
#include "upper.h"

/* ---- one directory ---- */

struct orphan {
	int dir_fd;
	const char *name;
};

static bool has_files(int dir_fd, const char *name)
{
	char path[ID_SIZE + sizeof("/fs")];
	auto_fd fd = -1;
	auto_dir dir = NULL;
	const struct dirent *entry;

	(void)stpcpy(stpcpy(path, name), "/fs");
	fd = openat(dir_fd, path,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT;
	dir = fdopendir(fd);
	if (!dir)
		return true;
	(void)take_fd(&fd);
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			return true;
	return false;
}

static int repair_orphan(struct check *c, void *ctx, char *ret_done,
			 struct shale_error *err)
{
	const struct orphan *orphan = ctx;
	int r;

	if (has_files(orphan->dir_fd, orphan->name))
		return error_fail(
			err, EBUSY,
			"it has files: 'shale cleanup' deletes it with them");
	r = upper_remove_orphan(c->ov, orphan->dir_fd, orphan->name, err);
	if (r == 0)
		(void)stpcpy(ret_done, "deleted, for it held no files");
	return r;
}

static int tell_orphan(struct check *c, const char *path, int dir_fd,
		       const char *name)
{
	struct orphan orphan = { dir_fd, name };
	const struct trouble trouble = {
		"upper-without-key",
		"",
		path,
		"the files of an active are here, and no active refers to them",
		"take from it what is wanted; then 'shale cleanup' deletes it",
		repair_orphan,
		&orphan,
	};

	return check_is_left(dir_fd, name) ? check_found(c, &trouble) : 0;
}

static int tell_stray(struct check *c, const char *path)
{
	const struct trouble stray = {
		.kind = "stray",
		.name = "",
		.path = path,
		.what = "it is nothing of an active",
		.remedy = "move it away by hand",
	};

	return check_found(c, &stray);
}

static int check_content(struct check *c, void *ctx, int dir_fd,
			 const char *name)
{
	char path[PATH_MAX];

	(void)dir_fd;
	if (!strcmp(name, "fs") || !strcmp(name, "work"))
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s", (const char *)ctx, name);
	return tell_stray(c, path);
}

static int visit(void *ctx, const char *above, int dir_fd, const char *name,
		 bool is_orphan)
{
	struct check *c = ctx;
	struct access access = { dir_fd, name, 0700 };
	char path[PATH_MAX];
	auto_fd fd = -1;
	int r;

	if (!strcmp(name, "."))
		return check_access(c, &access, "", above);
	if (snprintf(path, sizeof(path), "%s/%s", above, name) >=
	    (int)sizeof(path))
		return 0;
	fd = openat(dir_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || !id_is_valid(name))
		return tell_stray(c, path);
	if (is_orphan)
		return tell_orphan(c, path, dir_fd, name);
	r = check_access(c, &access, "", path);
	return r != 0 ? r : check_each_name(c, fd, path, check_content, path);
}

/* ---- two actives, one directory ---- */

struct used {
	char *upper, id[ID_SIZE];
	bool is_told;
};

struct usage_survey {
	struct check *c;
	void *seen; /* a tree of struct used */
};

static int compare_used(const void *a, const void *b)
{
	return strcmp(((const struct used *)a)->upper,
		      ((const struct used *)b)->upper);
}

static void free_used(void *ctx)
{
	struct used *used = ctx;

	free(used->upper);
	free(used);
}

static int tell_shared(struct check *c, const char *id, const char *other)
{
	char path[sizeof("active//upper") + ID_SIZE];
	char what[ID_SIZE + 64], key[FS_LINK_SIZE] = "", fact[ID_SIZE + 8];
	const struct trouble trouble = {
		.kind = "upper-twice",
		.name = key,
		.path = path,
		.what = what,
		.remedy =
			"'shale commit' the one that they belong to, and 'shale remove' the other",
	};

	(void)snprintf(fact, sizeof(fact), "%s/key", id);
	(void)fs_read_link(c->ov->room_fd[ROOM_ACTIVE], fact, key);
	(void)snprintf(path, sizeof(path), "active/%s/upper", id);
	(void)snprintf(what, sizeof(what), "its files are those of 'active/%s'",
		       other);
	return check_found(c, &trouble);
}

/* At each of them, the first one once. */
static int tell_both(struct check *c, struct used *first, const char *id)
{
	int r = first->is_told ? 0 : tell_shared(c, first->id, id);

	first->is_told = true;
	return r != 0 ? r : tell_shared(c, id, first->id);
}

static int note_active(void *ctx, const char *id)
{
	struct usage_survey *survey = ctx;
	auto_fd fd = openat(survey->c->ov->room_fd[ROOM_ACTIVE], id,
			    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct used *used = calloc(1, sizeof(*used)), **there = NULL;
	int r = fd < 0 ? -ENOENT : 0;

	if (used && r == 0)
		r = upper_read(fd, &used->upper);
	if (used && r == 0) {
		(void)stpcpy(used->id, id);
		there = tsearch(used, &survey->seen, compare_used);
	}
	if (there && *there == used)
		return 0;
	if (!used || (r == 0 && !there))
		r = error_fail(survey->c->err, ENOMEM, "out of memory");
	else if (r == 0)
		r = tell_both(survey->c, *there, id);
	else
		r = 0; /* it has none; a torn one was told */
	if (used)
		free_used(used);
	return r;
}

int check_uppers(struct check *c)
{
	struct usage_survey survey = { .c = c };
	int r = record_each_id(c->ov, ROOM_ACTIVE, note_active, &survey,
			       c->err);

	tdestroy(survey.seen, free_used);
	if (r != 0)
		return r;
	r = upper_each(c->ov, visit, c, c->err);
	/* A torn fact may refer to any of them, and was told. */
	if (r == -EINVAL) {
		error_clear(c->err);
		r = 0;
	}
	return r;
}

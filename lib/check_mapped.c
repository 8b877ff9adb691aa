/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mapped/, which has copies of layers for mappings: each entry is a copy of a
 * layer that is there, whole.  What is not is a cache's, and can go; what is
 * none of a cache's stays.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "scope.h"
#include "shifted.h"

#define ROOM "mapped"
#define PATH_SIZE (sizeof(ROOM "///") + 2 * ID_SIZE + NAME_MAX)

/* Where we are: "mapped/MAP-ID", or a copy in it. */
struct place {
	const char *map_id, *id;
};

static void path_of(const struct place *place, const char *name,
		    char ret[PATH_SIZE])
{
	(void)snprintf(ret, PATH_SIZE, ROOM "%s%s%s%s%s%s",
		       *place->map_id ? "/" : "", place->map_id,
		       *place->id ? "/" : "", place->id, *name ? "/" : "",
		       name);
}

static int tell_stray(struct check *c, const struct place *place, int dir_fd,
		      const char *name)
{
	char path[PATH_SIZE], where[PATH_SIZE];
	struct site site = { .entry = name, .fd = dir_fd, .where = where };
	const struct trouble stray = {
		"stray",
		"",
		path,
		"it is no copy of a layer",
		"'shale check --repair' moves it to lost+found",
		repair_entry,
		&site,
	};

	path_of(place, name, path);
	path_of(place, "", where);
	for (char *slash = where; (slash = strchr(slash, '/')) != NULL;)
		*slash = '-';
	return check_found(c, &stray);
}

static bool is_copys_dir(int dir_fd, const char *name)
{
	struct stat st;

	return id_is_valid(name) &&
	       fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

/* Opens it, and tells of its owner and mode; -1 with 0 where it is gone. */
static int enter(struct check *c, const struct place *place, int dir_fd,
		 const char *name, int *ret_fd)
{
	struct access access = { dir_fd, name, 0700 };
	char path[PATH_SIZE];

	path_of(place, "", path);
	*ret_fd = openat(dir_fd, name,
			 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? 0 : check_access(c, &access, "", path);
}

static int repair_copy(struct check *c, void *ctx, char *ret_done,
		       struct shale_error *err)
{
	const struct place *place = ctx;
	int r = shifted_remove(c->ov, place->map_id, place->id, err);

	if (r == 0)
		(void)stpcpy(ret_done, "removed");
	return r;
}

static int check_content(struct check *c, void *ctx, int dir_fd,
			 const char *name)
{
	if (!strcmp(name, "fs") || !strcmp(name, "layer"))
		return 0;
	return tell_stray(c, ctx, dir_fd, name);
}

static int check_copy(struct check *c, void *ctx, int dir_fd, const char *name)
{
	const struct place *map = ctx;
	struct place place = { map->map_id, name };
	char path[PATH_SIZE];
	const struct trouble left = {
		"leftover",
		"",
		path,
		"it is half a copy of a layer, or one of a layer that is gone",
		"'shale cleanup' removes it",
		repair_copy,
		&place,
	};
	auto_fd fd = -1;
	int r;

	if (!is_copys_dir(dir_fd, name))
		return tell_stray(c, map, dir_fd, name);
	r = enter(c, &place, dir_fd, name, &fd);
	if (r == 0 && fd >= 0)
		r = check_each_name(c, fd, ROOM, check_content, &place);
	path_of(&place, "", path);
	return r != 0 || shifted_is_whole(c->ov, place.map_id, name) ||
			       !is_copys_dir(dir_fd, name)
		       ? r
		       : check_found(c, &left);
}

static int check_map(struct check *c, void *ctx, int dir_fd, const char *name)
{
	static const struct place room = { "", "" };
	struct place place = { name, "" };
	auto_fd fd = -1;
	int r;

	(void)ctx;
	if (!is_copys_dir(dir_fd, name))
		return tell_stray(c, &room, dir_fd, name);
	r = enter(c, &place, dir_fd, name, &fd);
	return r != 0 || fd < 0
		       ? r
		       : check_each_name(c, fd, ROOM, check_copy, &place);
}

int check_mapped(struct check *c)
{
	auto_fd fd = openat(c->ov->root_fd, ROOM,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* That it is a directory, if it is there, is what the root tells. */
	return fd < 0 ? 0 : check_each_name(c, fd, ROOM, check_map, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Overlays that are mounted on actives of the store, in whatever namespace:
 * each must still have its active, and no two may have the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "error.h"
#include "holders.h"

struct known {
	char id[ID_SIZE], dev[24];
};

struct survey {
	struct check *c;
	struct known *known; /* overlays that were looked at */
	size_t count;
	bool is_second; /* another overlay has the same upper */
};

/* The ID in "ROOT/active/ID/fs". */
static bool id_of(const struct overlay *ov, const char *upper,
		  char ret[ID_SIZE])
{
	const size_t root = strlen(ov->root_path);

	if (strncmp(upper, ov->root_path, root) != 0 ||
	    strncmp(upper + root, "/active/", 8) != 0 ||
	    strlen(upper + root + 8) != ID_SIZE - 1 + sizeof("/fs") - 1 ||
	    strcmp(upper + root + 8 + ID_SIZE - 1, "/fs") != 0)
		return false;
	memcpy(ret, upper + root + 8, ID_SIZE - 1);
	ret[ID_SIZE - 1] = '\0';
	return id_is_valid(ret);
}

/* One overlay is seen in many namespaces: 1 where it is new, 0, or -ENOMEM. */
static int note(struct survey *survey, const char *id, const char *dev)
{
	struct known *bigger;

	survey->is_second = false;
	for (size_t i = 0; i < survey->count; i++) {
		if (strcmp(survey->known[i].id, id) != 0)
			continue;
		if (!strcmp(survey->known[i].dev, dev))
			return 0;
		survey->is_second = true;
	}
	bigger = realloc(survey->known, (survey->count + 1) * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	survey->known = bigger;
	(void)stpcpy(bigger[survey->count].id, id);
	(void)snprintf(bigger[survey->count].dev, sizeof(bigger->dev), "%s",
		       dev);
	survey->count++;
	return 1;
}

static bool has_key(const struct overlay *ov, const char *id)
{
	char path[ID_SIZE + sizeof("/key")];
	struct stat st;

	(void)stpcpy(stpcpy(path, id), "/key");
	return fstatat(ov->room_fd[ROOM_ACTIVE], path, &st,
		       AT_SYMLINK_NOFOLLOW) == 0;
}

static int tell(struct survey *survey, const char *id,
		const struct upper_mount *mount, bool is_twice)
{
	char path[ID_SIZE + sizeof("active//fs")];
	char where[HOLDER_SIZE], what[HOLDER_SIZE + 128];
	const struct trouble trouble = {
		.kind = is_twice ? "upper-twice" : "mount-without-key",
		.path = path,
		.what = what,
		.remedy =
			is_twice
				? "unmount one of them: they destroy each other's files"
				: "unmount it: what is written there is lost",
	};

	(void)snprintf(path, sizeof(path), "active/%s/fs", id);
	holders_where(mount, where);
	(void)snprintf(
		what, sizeof(what),
		is_twice
			? "a second overlay is mounted on it, %s"
			: "an overlay is mounted on it, %s, and its key was removed or committed",
		where);
	return check_found(survey->c, &trouble);
}

/* Takes off the '\' that overlayfs wanted before a character of a path. */
static bool unescape(const char *text, char ret[PATH_MAX])
{
	size_t n = 0;

	for (; *text && n < PATH_MAX - 1; text++) {
		if (*text == '\\' && text[1])
			text++;
		ret[n++] = *text;
	}
	ret[n] = '\0';
	return !*text;
}

/*
 * The kernel shows an upper as it was given: a path by itself, one with escapes,
 * or, as mount_fsmount_below() does, one below the source.
 */
static bool find_id(const struct overlay *ov, const struct upper_mount *mount,
		    char ret[ID_SIZE])
{
	char path[PATH_MAX];
	int n;

	if (id_of(ov, mount->upperdir, ret) ||
	    (unescape(mount->upperdir, path) && id_of(ov, path, ret)))
		return true;
	n = snprintf(path, sizeof(path), "%s%s", mount->source,
		     mount->upperdir);
	return n > 0 && (size_t)n < sizeof(path) && id_of(ov, path, ret);
}

static int look_at(void *ctx, const struct upper_mount *mount)
{
	struct survey *survey = ctx;
	char id[ID_SIZE];
	int r;

	if (!find_id(survey->c->ov, mount, id))
		return 0;
	r = note(survey, id, mount->dev);
	if (r <= 0)
		return r;
	if (survey->is_second)
		return tell(survey, id, mount, true);
	return has_key(survey->c->ov, id) ? 0 : tell(survey, id, mount, false);
}

int check_mounts(struct check *c)
{
	struct survey survey = { .c = c };
	int r = holders_each_upper(-1, look_at, &survey);

	free(survey.known);
	return r == -ENOMEM ? error_fail(c->err, ENOMEM, "out of memory") : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A store in text: see picture.h.
 */
#include "picture.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fixture.h"

#define SNAPSHOTS_MAX 64

struct picture {
	struct shale_store *store;
	bool with_temporary;
	char *lines[SNAPSHOTS_MAX];
	size_t count;
};

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Tests write short files: the content itself is its best digest. */
static void draw_content(FILE *out, const char *path)
{
	FILE *file = fopen(path, "re");
	uint64_t hash = UINT64_C(14695981039346656037);
	int c;

	while (file && (c = fgetc(file)) != EOF)
		hash = (hash ^ (unsigned char)c) * UINT64_C(1099511628211);
	if (file)
		(void)fclose(file);
	(void)fprintf(out, " %016" PRIx64, hash);
}

static void draw_attributes(FILE *out, const char *path)
{
	char names[1024], value[256];
	ssize_t len = llistxattr(path, names, sizeof(names));

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t n = lgetxattr(path, names + at, value, sizeof(value));

		/* Drawn by the kernel at the first mount (6.6). */
		if (strstr(names + at, "overlay.uuid"))
			continue;
		(void)fprintf(out, " %s=%.*s", names + at, n > 0 ? (int)n : 0,
			      value);
	}
}

static void draw_entry(FILE *out, const FTSENT *entry, size_t skip)
{
	const struct stat *st = entry->fts_statp;
	char target[PATH_MAX];
	ssize_t n = 0;

	(void)fprintf(out, "  %s %06o %u:%u %ju", entry->fts_path + skip,
		      st->st_mode, st->st_uid, st->st_gid,
		      (uintmax_t)st->st_rdev);
	if (S_ISLNK(st->st_mode))
		n = readlink(entry->fts_path, target, sizeof(target));
	if (S_ISREG(st->st_mode))
		draw_content(out, entry->fts_path);
	if (n > 0)
		(void)fprintf(out, " -> %.*s", (int)n, target);
	draw_attributes(out, entry->fts_path);
	(void)fputc('\n', out);
}

static void draw_tree(FILE *out, const char *path)
{
	char copy[PATH_MAX];
	char *const paths[] = { copy, NULL };
	const FTSENT *entry;
	FTS *fts;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	if (access(copy, F_OK) < 0)
		return;
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	assert_non_null(fts);
	while ((entry = fts_read(fts)) != NULL)
		if (entry->fts_info != FTS_DP)
			draw_entry(out, entry, strlen(copy));
	(void)fts_close(fts);
}

static bool is_temporary(const struct shale_info *info)
{
	for (const char *const *l = info->labels; *l; l += 2)
		if (!strcmp(l[0], "org.shale.temporary"))
			return true;
	return false;
}

static int draw(void *ctx, const struct shale_info *info)
{
	struct picture *picture = ctx;
	struct shale_usage usage = { .size = sizeof(usage) };
	bool is_committed = info->kind == SHALE_KIND_COMMITTED;
	size_t len;
	FILE *out;

	if (!picture->with_temporary && is_temporary(info))
		return 0;
	assert_in_range(picture->count, 0, SNAPSHOTS_MAX - 1);
	out = open_memstream(&picture->lines[picture->count++], &len);
	(void)fprintf(out, "%s kind %u on '%s'", info->name, info->kind,
		      info->parent);
	for (const char *const *l = info->labels; *l; l += 2)
		(void)fprintf(out, " %s=%s", l[0], l[1]);
	if (is_committed) {
		MUST(shale_usage(picture->store, info->name, &usage, &why));
		(void)fprintf(out, " %" PRIu64 " inodes", usage.inodes);
	}
	(void)fputc('\n', out);
	draw_tree(out, is_committed ? of_name(info->name, "fs")
				    : of_key(info->name, "fs"));
	(void)fclose(out);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *join(struct picture *picture)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (picture->count)
		qsort(picture->lines, picture->count, sizeof(*picture->lines),
		      compare);
	for (size_t i = 0; i < picture->count; i++) {
		(void)fputs(picture->lines[i], out);
		free(picture->lines[i]);
	}
	(void)fclose(out);
	return text;
}

char *picture_take(bool with_temporary)
{
	const char *const config[] = { "any_filesystem", "yes", NULL };
	struct picture picture = { .with_temporary = with_temporary };
	struct shale_error error = SHALE_ERROR_INIT;
	int r = shale_store_open(at("store"), NULL, config, NULL,
				 &picture.store, &error);

	if (r == -ENOENT || r == -EMEDIUMTYPE)
		return strdup("no store");
	if (r < 0)
		fail_msg("open the store: %s", error.msg);
	MUST(shale_walk(picture.store, draw, &picture, &why));
	MUST(shale_active(picture.store, draw, &picture, &why));
	shale_store_close(picture.store);
	return join(&picture);
}

const char *picture_difference(const char *got, const char *wanted)
{
	static char ret[1024];
	size_t line = 0, i = 0;

	for (; got[i] && got[i] == wanted[i]; i++)
		if (got[i] == '\n')
			line = i + 1;
	(void)snprintf(ret, sizeof(ret), "'%.*s' and not '%.*s'",
		       (int)(strchrnul(got + line, '\n') - (got + line)),
		       got + line,
		       (int)(strchrnul(wanted + line, '\n') - (wanted + line)),
		       wanted + line);
	return ret;
}

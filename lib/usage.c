/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Usage: measured for actives, on record for committed snapshots.
 */
#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "facts.h"
#include "fs.h"
#include "number.h"
#include "record.h"
#include "record_read.h"
#include "scope.h"
#include "upper.h"

#define BLOCK_BYTES 512 /* of st_blocks, whatever the file system's are */

struct linked {
	dev_t dev; /* below overlayfs, files are of several */
	ino_t ino;
	blkcnt_t blocks;
};

struct measure {
	struct overlay *ov;
	dev_t dev;
	uint64_t mnt_id;
	struct usage usage;
	struct linked *linked; /* each name of a file that has several */
	size_t count, room;
};

static void add(struct usage *usage, blkcnt_t blocks)
{
	usage->bytes += (uint64_t)blocks * BLOCK_BYTES;
	usage->inodes++;
}

static int note_link(struct measure *measure, const struct stat *st)
{
	if (measure->count == measure->room) {
		size_t room = measure->room ? 2 * measure->room : 64;
		struct linked *bigger =
			realloc(measure->linked, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		measure->linked = bigger;
		measure->room = room;
	}
	measure->linked[measure->count++] =
		(struct linked){ st->st_dev, st->st_ino, st->st_blocks };
	return 0;
}

/* Another device alone says nothing: files on overlayfs have that of their
 * layer.
 */
static bool is_mounted_on(const struct measure *measure,
			  const struct fs_entry *entry)
{
	uint64_t mnt_id;

	return entry->st->st_dev != measure->dev &&
	       (fs_mnt_id(entry->parent_fd, entry->name, &mnt_id) < 0 ||
		mnt_id != measure->mnt_id);
}

static int visit(void *ctx, const struct fs_entry *entry)
{
	struct measure *measure = ctx;

	if (overlay_cancelled(measure->ov))
		return -ECANCELED;
	if (is_mounted_on(measure, entry)) /* not ours */
		return 0;
	if (!S_ISDIR(entry->st->st_mode) && entry->st->st_nlink > 1)
		return note_link(measure, entry->st);
	add(&measure->usage, entry->st->st_blocks);
	return 0;
}

static int compare_linked(const void *a, const void *b)
{
	const struct linked *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

static void add_linked_once(struct measure *measure)
{
	if (!measure->count)
		return;
	qsort(measure->linked, measure->count, sizeof(*measure->linked),
	      compare_linked);
	for (size_t i = 0; i < measure->count; i++)
		if (i == 0 || compare_linked(&measure->linked[i],
					     &measure->linked[i - 1]) != 0)
			add(&measure->usage, measure->linked[i].blocks);
}

int usage_measure(struct overlay *ov, int fs_fd, struct usage *ret)
{
	struct measure measure = { .ov = ov };
	struct stat st;
	int r;

	if (fstat(fs_fd, &st) < 0)
		return -errno;
	measure.dev = st.st_dev;
	if (fs_mnt_id(fs_fd, "", &measure.mnt_id) < 0)
		measure.mnt_id = UINT64_MAX;
	add(&measure.usage, st.st_blocks);
	r = fs_walk(fs_fd, visit, &measure);
	if (r == 0) {
		add_linked_once(&measure);
		*ret = measure.usage;
	}
	free(measure.linked);
	return r;
}

int usage_store(int dir_fd, const struct usage *usage)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%" PRIu64 ",%" PRIu64, usage->bytes,
		       usage->inodes);
	return symlinkat(text, dir_fd, "usage") < 0 ? -errno : 0;
}

/* DIGITS,DIGITS and nothing else. */
static int parse(char *text, struct usage *ret)
{
	char *comma = strchr(text, ',');

	if (!comma)
		return -EINVAL;
	*comma = '\0';
	if (number_parse(text, UINT64_MAX, &ret->bytes) < 0)
		return -EINVAL;
	return number_parse(comma + 1, UINT64_MAX, &ret->inodes);
}

int usage_load(int dir_fd, struct usage *ret)
{
	char text[FS_LINK_SIZE];
	int r = facts_read(dir_fd, "usage", text);

	if (r < 0)
		return r;
	return parse(text, ret) < 0 ? -EUCLEAN : 0;
}

static int load_stored(const struct overlay *ov, const struct record *record,
		       struct usage *ret, struct shale_error *err)
{
	char path[ID_SIZE + sizeof("/usage")], text[FS_LINK_SIZE];
	int r;

	(void)stpcpy(stpcpy(path, record->id), "/usage");
	r = facts_read(ov->room_fd[ROOM_SNAPSHOTS], path, text);
	if (r == -ENOENT) /* certified snapshots have it, unless deleted now */
		return r;
	if (r < 0)
		return error_errno(err, -r, "read 'snapshots/%s'", path);
	if (parse(text, ret) < 0)
		return error_fail(err, EUCLEAN, "'snapshots/%s' is torn: '%s'",
				  path, text);
	return 0;
}

/* What a removal takes away while it is measured has no usage.  The descriptor
 * keeps its inode's number from being another's.
 */
static bool is_whole(struct overlay *ov, const struct record *record, int fs_fd)
{
	struct stat held, there;
	auto_fd fd = -1;

	return record_is_there(ov, record->room, record->id, record->name,
			       NULL) == 1 &&
	       upper_open_fs(ov, record, O_PATH, &fd, NULL) == 0 &&
	       fstat(fs_fd, &held) == 0 && fstat(fd, &there) == 0 &&
	       held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

static int measure_own(struct overlay *ov, const struct record *record,
		       struct usage *ret, struct shale_error *err)
{
	auto_fd fd = -1;
	int r;

	*ret = (struct usage){ 0 };
	if (record->kind == SHALE_KIND_VIEW && *record->parent_id)
		return 0; /* has no files of its own */
	r = upper_open_fs(ov, record, O_RDONLY, &fd, err);
	if (r == -ENOENT)
		error_clear(err);
	if (r < 0)
		return r;
	r = usage_measure(ov, fd, ret);
	if (r == -ENOENT || (r == 0 && !is_whole(ov, record, fd)))
		return -ENOENT;
	return r < 0 ? error_errno(err, -r, "measure 'active/%s/fs'%s",
				   record->id, overlay_ids_hint(r))
		     : 0;
}

static int usage_of(struct overlay *ov, const char *name, struct usage *ret,
		    struct shale_error *err)
{
	auto_record record = NULL;
	auto_record again = NULL;
	int r = name_check(name, "name", err);

	if (r == 0)
		r = record_find(ov, name, &record, err);
	if (r < 0)
		return r;
	r = record->kind == SHALE_KIND_COMMITTED
		    ? load_stored(ov, record, ret, err)
		    : measure_own(ov, record, ret, err);
	if (r != -ENOENT)
		return r;
	/* Removed meanwhile, or damaged? */
	r = record_load_fresh(ov, record->room, record->id, &again, err);
	if (r == -ENOENT || (r == 0 && again->ino != record->ino))
		return error_fail(err, ENOENT, "no such snapshot");
	return r < 0 ? r
		     : error_fail(err, EUCLEAN,
				  "'%s' lacks its fs or its usage", name);
}

int overlay_usage(void *self, const char *name, struct shale_usage *ret,
		  struct shale_error *err)
{
	struct usage usage;
	int r = usage_of(self, name, &usage, err);

	if (r < 0)
		return error_context(err, r, "usage '%s'", name ? name : "");
	if (ret->size >= offsetof(struct shale_usage, inodes))
		ret->bytes = usage.bytes;
	if (ret->size >= sizeof(*ret))
		ret->inodes = usage.inodes;
	return 0;
}

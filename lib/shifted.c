/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies of layers for a mapping: see shifted.h.  A copy's fact `layer` says
 * when its layer was made, so that a later layer of the same name is never
 * served by it.
 */
#include "shifted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "error.h"
#include "fs.h"
#include "labels.h"
#include "lock.h"
#include "mount.h"
#include "scope.h"
#include "shift.h"
#include "staging.h"

#define ROOM "mapped"

/* What one copy is of. */
struct shifting {
	struct overlay *ov;
	const struct idmaps *maps;
	const char *map_id;
	const struct record *layer;
};

bool shifted_is_needed(struct overlay *ov, const struct idmaps *maps)
{
	int known;

	if (!ov->slow_chown || !maps->uid)
		return false;
	known = atomic_load(&ov->can_map);
	if (!known) {
		known = mount_can_map(ov->root_fd, maps) ? 1 : -1;
		atomic_store(&ov->can_map, known);
	}
	return known < 0;
}

int shifted_map_id(const struct idmaps *maps, char ret[ID_SIZE])
{
	auto_free char *uid = idmap_format(maps->uid);
	auto_free char *gid = idmap_format(maps->gid);
	auto_free char *both = NULL;

	if (!uid || !gid || asprintf(&both, "%s %s", uid, gid) < 0)
		return -ENOMEM;
	id_from_name(both, ret);
	return 0;
}

/* ---- one copy ---- */

/* The text of the fact: when the layer was made. */
static void certificate_of(const struct record *layer, char ret[24])
{
	(void)snprintf(ret, 24, "%" PRId64, layer->created_ns);
}

static bool is_there(const struct shifting *s)
{
	char path[sizeof(ROOM "///layer") + 2 * ID_SIZE];
	char text[FS_LINK_SIZE], expected[24];

	(void)snprintf(path, sizeof(path), ROOM "/%s/%s/layer", s->map_id,
		       s->layer->id);
	certificate_of(s->layer, expected);
	return fs_read_link(s->ov->root_fd, path, text) >= 0 &&
	       !strcmp(text, expected);
}

static int open_both(const struct shifting *s, int dir_fd, int *ret_from,
		     int *ret_to, struct shale_error *err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char path[ID_SIZE + sizeof("/fs")];

	(void)stpcpy(stpcpy(path, s->layer->id), "/fs");
	*ret_from = openat(s->ov->room_fd[ROOM_SNAPSHOTS], path, flags);
	if (*ret_from < 0)
		return error_errno(err, errno, "open 'snapshots/%s'", path);
	return staged_make_fs(dir_fd, 0700, ret_to, err);
}

static int copy_shifted(const struct shifting *s, int from_fd, int to_fd,
			struct shale_error *err)
{
	/* They name files of the layer below by their handles. */
	static const char *const without[] = { "trusted.overlay.origin",
					       "user.overlay.origin", NULL };
	const struct copy_options copying = { without, overlay_stop, s->ov };
	const struct shift shift = { s->maps, false, overlay_stop, s->ov };
	int r = copy_tree(from_fd, to_fd, &copying, err);

	return r < 0 ? r : shift_tree(to_fd, &shift, err);
}

/* The fact last, when all else is on disk. */
static int certify(const struct shifting *s, int dir_fd, int fs_fd,
		   struct shale_error *err)
{
	const bool durable = s->ov->durability != DURABLE_NONE;
	char text[24];

	certificate_of(s->layer, text);
	if ((durable && syncfs(fs_fd) < 0) ||
	    symlinkat(text, dir_fd, "layer") < 0 ||
	    (durable && fsync(dir_fd) < 0))
		return error_errno(err, errno, "write it");
	return 0;
}

static int build(const struct shifting *s, int dir_fd, struct shale_error *err)
{
	auto_fd from_fd = -1;
	auto_fd to_fd = -1;
	int r = open_both(s, dir_fd, &from_fd, &to_fd, err);

	if (r == 0)
		r = copy_shifted(s, from_fd, to_fd, err);
	return r < 0 ? r : certify(s, dir_fd, to_fd, err);
}

/* Makes @name where it is not there, and opens it. */
static int open_dir(int dir_fd, const char *name)
{
	int fd;

	if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int publish(const struct shifting *s, struct staged *staged,
		   char trash[ID_SIZE], struct shale_error *err)
{
	struct overlay *ov = s->ov;
	auto_writer writer = WRITER_INIT;
	auto_fd room_fd = -1;
	auto_fd map_fd = -1;
	int r = writer_begin(ov, &writer, err);

	if (r < 0)
		return r;
	if (is_there(s)) /* somebody was faster */
		return 0;
	room_fd = open_dir(ov->root_fd, ROOM);
	map_fd = room_fd < 0 ? room_fd : open_dir(room_fd, s->map_id);
	if (map_fd < 0)
		return error_errno(err, -map_fd, "create '%s/" ROOM "/%s'",
				   ov->root_path, s->map_id);
	r = trash_move(ov, map_fd, s->layer->id, trash);
	if (r < 0 && r != -ENOENT)
		return error_errno(err, -r, "move an old copy to trash");
	return staged_rename(staged, map_fd, s->layer->id, err);
}

static int make(const struct shifting *s, struct shale_error *err)
{
	auto_staged staged = STAGED_INIT;
	char trash[ID_SIZE] = "";
	int r = staged_new(s->ov, &staged, err);

	if (r == 0)
		r = build(s, staged.fd, err);
	if (r == 0)
		r = publish(s, &staged, trash, err);
	trash_empty(s->ov, trash);
	return r;
}

int shifted_make(struct overlay *ov, const struct idmaps *maps,
		 const char *map_id, const struct chain *chain,
		 struct shale_error *err)
{
	for (size_t i = 0; i < chain->count; i++) {
		const struct shifting s = { ov, maps, map_id,
					    chain->layers[i] };
		int r = is_there(&s) ? 0 : make(&s, err);

		if (r < 0)
			return error_context(err, r,
					     "copy layer '%s' for a mapping",
					     s.layer->name);
	}
	return 0;
}

int shifted_give_back(struct overlay *ov, const struct record *active,
		      int fs_fd, struct shale_error *err)
{
	auto_idmaps maps = { NULL, NULL };
	const struct shift shift = { &maps, true, overlay_stop, ov };
	int r;

	if (!*active->map_id)
		return 0;
	r = labels_maps((const char *const *)active->labels, &maps, err);
	if (r == 0 && !maps.uid)
		r = error_fail(err, EUCLEAN, "its mapping labels are gone");
	return r < 0 ? r : shift_tree(fs_fd, &shift, err);
}

/* ---- taking them away ---- */

/* Each MAP-ID of the room; -1 and no entries where there is no such room. */
static int list_maps(const struct overlay *ov, struct dirent ***ret)
{
	*ret = NULL;
	return scandirat(ov->root_fd, ROOM, ret, NULL, NULL);
}

static void free_entries(struct dirent **entries, int n)
{
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
}

static int make_trash(const struct overlay *ov, char ret_trash[ID_SIZE])
{
	int r = *ret_trash ? 0 : id_random(ret_trash);

	if (r == 0 && mkdirat(ov->trash_fd, ret_trash, 0700) < 0 &&
	    errno != EEXIST) {
		r = -errno;
		*ret_trash = '\0';
	}
	return r;
}

/* 1 where it is in the trash now, 0 where it is no copy any more, or a negative
 * errno: it may still serve.
 */
static int take_one(struct overlay *ov, const char *map_id, const char *id,
		    char ret_trash[ID_SIZE])
{
	char from[sizeof(ROOM "//") + 2 * ID_SIZE];
	char to[2 * ID_SIZE + 1], fact[sizeof(from) + sizeof("/layer")];
	struct stat st;

	(void)snprintf(from, sizeof(from), ROOM "/%s/%s", map_id, id);
	if (fstatat(ov->root_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (make_trash(ov, ret_trash) == 0) {
		(void)snprintf(to, sizeof(to), "%s/%s", ret_trash, map_id);
		if (renameat(ov->root_fd, from, ov->trash_fd, to) == 0)
			return 1;
	}
	/* A full disk: it is no copy any more, and deleted where it is. */
	(void)snprintf(fact, sizeof(fact), "%s/layer", from);
	if (unlinkat(ov->root_fd, fact, 0) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

void shifted_take(struct overlay *ov, const char *id, char ret_trash[ID_SIZE])
{
	struct dirent **entries;
	int n = list_maps(ov, &entries);

	*ret_trash = '\0';
	for (int i = 0; i < n; i++)
		if (id_is_valid(entries[i]->d_name))
			(void)take_one(ov, entries[i]->d_name, id, ret_trash);
	free_entries(entries, n);
}

/* ---- cleanup ---- */

struct sweep {
	struct overlay *ov;
	const char *map_id;
	uint64_t generation;
	bool is_used;
	uint64_t *removed;
	struct shale_error *err;
};

static int look_for_map(void *ctx, const char *id)
{
	struct sweep *sweep = ctx;
	auto_record record = NULL;
	int r = record_load(sweep->ov, ROOM_ACTIVE, id, &record, sweep->err);

	if (r == -ENOENT)
		return 0;
	/* Of a damaged one nothing is sure: it may need all. */
	if (r < 0) {
		error_clear(sweep->err);
		sweep->is_used = true;
	} else if (!strcmp(record->map_id, sweep->map_id)) {
		sweep->is_used = true;
	}
	return 0;
}

/* The lock is held, and let go of here.  -ENOENT where there was none. */
static int remove_copy(struct overlay *ov, const char *map_id, const char *id,
		       struct writer *writer, struct shale_error *err)
{
	char path[sizeof(ROOM "//") + 2 * ID_SIZE], trash[ID_SIZE] = "";
	auto_fd fd = -1;
	int r;

	(void)snprintf(path, sizeof(path), ROOM "/%s/%s", map_id, id);
	fd = openat(ov->root_fd, path,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -ENOENT;
	r = take_one(ov, map_id, id, trash);
	writer_end(writer);
	trash_empty(ov, trash);
	if (r > 0)
		return 0;
	/* By descriptor: the name may already be a new copy's. */
	if (r == 0)
		r = fs_empty(fd, overlay_stop, ov);
	if (r == 0 && unlinkat(ov->root_fd, path, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT && errno != ENOTEMPTY)
		r = -errno;
	return r < 0 ? error_errno(err, -r, "delete '%s/%s'", ov->root_path,
				   path)
		     : 0;
}

bool shifted_is_whole(struct overlay *ov, const char *map_id, const char *id)
{
	auto_record layer = NULL;
	struct shifting s = { ov, NULL, map_id, NULL };

	if (record_load(ov, ROOM_SNAPSHOTS, id, &layer, NULL) < 0)
		return false;
	s.layer = layer;
	return is_there(&s);
}

int shifted_remove(struct overlay *ov, const char *map_id, const char *id,
		   struct shale_error *err)
{
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(ov, &writer, err);

	if (r < 0)
		return r;
	return shifted_is_whole(ov, map_id, id)
		       ? -ENOENT
		       : remove_copy(ov, map_id, id, &writer, err);
}

/* Only where nothing was made since we looked.  One that can't be deleted is
 * told, and does not keep the others.
 */
static int sweep_one(const struct sweep *sweep, const char *id)
{
	struct shale_error error = SHALE_ERROR_INIT;
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(sweep->ov, &writer, sweep->err);

	if (r < 0 || writer.generation != sweep->generation)
		return r;
	r = remove_copy(sweep->ov, sweep->map_id, id, &writer, &error);
	if (r == 0)
		(*sweep->removed)++;
	else if (r != -ENOENT)
		overlay_warn(sweep->ov, &error);
	return 0;
}

/* Under the lock, since a copy may be on its way in. */
static int remove_empty(const struct sweep *sweep, const char *path)
{
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(sweep->ov, &writer, sweep->err);

	if (r == 0)
		(void)unlinkat(sweep->ov->root_fd, path, AT_REMOVEDIR);
	return r;
}

static int sweep_map(struct sweep *sweep)
{
	struct overlay *ov = sweep->ov;
	char path[sizeof(ROOM "/") + ID_SIZE];
	struct dirent **entries = NULL;
	int n, r;

	sweep->generation = generation_read(ov);
	sweep->is_used = false;
	r = record_each_id(ov, ROOM_ACTIVE, look_for_map, sweep, sweep->err);
	if (r < 0 || (sweep->generation & 1))
		return r;
	(void)snprintf(path, sizeof(path), ROOM "/%s", sweep->map_id);
	n = scandirat(ov->root_fd, path, &entries, NULL, NULL);
	for (int i = 0; r == 0 && i < n; i++) {
		const char *id = entries[i]->d_name;

		if (overlay_cancelled(ov))
			r = error_fail(sweep->err, ECANCELED,
				       "stopped by the host");
		else if (id_is_valid(id) &&
			 !(sweep->is_used &&
			   shifted_is_whole(ov, sweep->map_id, id)))
			r = sweep_one(sweep, id);
	}
	free_entries(entries, n);
	return r < 0 ? r : remove_empty(sweep, path);
}

int shifted_cleanup(struct overlay *ov, uint64_t *removed,
		    struct shale_error *err)
{
	struct sweep sweep = { .ov = ov, .removed = removed, .err = err };
	struct dirent **entries;
	int r = 0, n = list_maps(ov, &entries);

	for (int i = 0; r == 0 && i < n; i++) {
		sweep.map_id = entries[i]->d_name;
		if (id_is_valid(sweep.map_id))
			r = sweep_map(&sweep);
	}
	free_entries(entries, n);
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The operations that only look: stat, parent, exists, walk, active, use.
 * None takes the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "inuse.h"
#include "overlay.h"
#include "record.h"
#include "room.h"
#include "scope.h"
#include "upper.h"
#include "usage.h"
#include "volatile.h"

static int find(void *self, const char *name, struct record **ret,
		struct shale_error *err)
{
	int r = name_check(name, "name", err);

	return r < 0 ? r : record_find(self, name, ret, err);
}

int overlay_stat(void *self, const char *name, shale_walk_fn *fn, void *ctx,
		 struct shale_error *err)
{
	auto_record record = NULL;
	struct shale_info info;
	int r = find(self, name, &record, err);

	if (r < 0)
		return error_context(err, r, "stat '%s'", name ? name : "");
	info = record_info(record);
	return fn(ctx, &info);
}

int overlay_parent(void *self, const char *name, char *ret_parent,
		   struct shale_error *err)
{
	auto_record record = NULL;
	int r = find(self, name, &record, err);

	if (r < 0)
		return error_context(err, r, "parent '%s'", name ? name : "");
	(void)stpcpy(ret_parent, record->parent);
	return 0;
}

int overlay_exists(void *self, const char *name, struct shale_error *err)
{
	auto_record record = NULL;
	int r = find(self, name, &record, err);

	return r < 0 ? error_context(err, r, "exists '%s'", name ? name : "")
		     : 0;
}

struct visit {
	shale_walk_fn *fn;
	void *ctx;
};

static int show(void *ctx, struct record *record)
{
	const struct visit *visit = ctx;
	struct shale_info info = record_info(record);

	return visit->fn(visit->ctx, &info);
}

/* Damage is told at the end; the others come first. */
static int walk_room(struct overlay *ov, enum room room, struct visit *visit,
		     const char *what, struct shale_error *err)
{
	size_t damaged;
	int r = room_each(ov, room, show, visit, &damaged, err);

	if (r == 0 && damaged)
		r = -EUCLEAN;
	return r < 0 ? error_context(err, r, "%s", what) : r;
}

int overlay_walk(void *self, shale_walk_fn *fn, void *ctx,
		 struct shale_error *err)
{
	struct visit visit = { fn, ctx };

	return walk_room(self, ROOM_SNAPSHOTS, &visit, "walk", err);
}

int overlay_active(void *self, shale_walk_fn *fn, void *ctx,
		   struct shale_error *err)
{
	struct visit visit = { fn, ctx };

	return walk_room(self, ROOM_ACTIVE, &visit, "active", err);
}

/*
 * That no overlay has it as its upper, and that the kernel takes it again.
 * What is gone or torn is nobody's to mount, so it is not in use.
 */
static int check_upper(struct overlay *ov, const struct record *record,
		       bool is_mounting, struct shale_error *err)
{
	auto_fd upper_fd = -1;
	auto_fd fs_fd = -1;
	int r = upper_open(ov, record, &upper_fd, err);

	if (r == 0)
		r = upper_open_fs(ov, record, O_PATH, &fs_fd, err);
	if (r == 0)
		r = inuse_check_mounted(ov, record, fs_fd, err);
	if (r == 0 && (is_mounting || *record->volatile_boot))
		r = volatile_settle(record, upper_fd, err);
	if (r == -EBADFD && !is_mounting) {
		error_clear(err);
		r = 0;
	}
	return r;
}

static int use_record(struct overlay *ov, struct record *record,
		      shale_mount_fn *emit, void *ctx, struct shale_error *err)
{
	/* Whoever mounts an active must be alone, or removes the kernel's mark
	 * from it; views stand any number.
	 */
	const bool alone = record->kind == SHALE_KIND_ACTIVE &&
			   (emit || *record->volatile_boot);
	auto_locked_fd dir_fd = -1;
	int r;

	if (record->kind == SHALE_KIND_COMMITTED)
		return error_fail(err, EBADFD, "it is committed");
	r = inuse_check_user(record, err);
	if (r == 0)
		r = inuse_lock(ov, record, alone ? LOCK_EX : LOCK_SH, &dir_fd,
			       err);
	if (r == 0 && record->kind == SHALE_KIND_ACTIVE)
		r = check_upper(ov, record, emit != NULL, err);
	if (r < 0 || !emit)
		return r;
	return overlay_emit(ov, record, emit, ctx, err);
}

int overlay_use(void *self, const char *key, shale_mount_fn *emit, void *ctx,
		struct shale_error *err)
{
	auto_record record = NULL;
	int r = find(self, key, &record, err);

	if (r == 0)
		r = use_record(self, record, emit, ctx, err);
	return r < 0 ? error_context(err, r, "%s '%s'", emit ? "mount" : "use",
				     key ? key : "")
		     : r;
}

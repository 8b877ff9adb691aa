/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mounts: the one mount of an active or view, as containerd would write it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "options.h"
#include "overlay.h"
#include "record.h"
#include "scope.h"
#include "spec.h"
#include "upper.h"
#include "volatile.h"

/* A chain longer than this is no chain but damage. */
#define CHAIN_MAX 100000

struct chain {
	struct record **layers; /* nearest parent first */
	size_t count, room;
};

static void chain_drop(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		record_unref(chain->layers[i]);
	free(chain->layers);
}

#define auto_chain __attribute__((cleanup(chain_drop))) struct chain

static int chain_add(struct chain *chain, struct record *record)
{
	if (chain->count == chain->room) {
		size_t room = chain->room ? 2 * chain->room : 16;
		struct record **bigger =
			realloc(chain->layers, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		chain->layers = bigger;
		chain->room = room;
	}
	chain->layers[chain->count++] = record_ref(record);
	return 0;
}

static int chain_load(struct overlay *ov, const struct record *tip,
		      struct chain *chain, struct shale_error *err)
{
	const char *id = tip->parent_id;

	while (*id) {
		auto_record record = NULL;
		int r = record_load(ov, ROOM_SNAPSHOTS, id, &record, err);

		/* Only where the tip, too, was removed meanwhile. */
		if (r == -ENOENT)
			return error_fail(err, ENOENT, "no such snapshot");
		if (r < 0)
			return r;
		if (chain->count == CHAIN_MAX)
			return error_fail(err, EUCLEAN,
					  "it has more than %d parents",
					  CHAIN_MAX);
		if (chain_add(chain, record) < 0)
			return error_fail(err, ENOMEM, "out of memory");
		id = chain->layers[chain->count - 1]->parent_id;
	}
	return 0;
}

int overlay_check_depth(struct overlay *ov, const struct record *tip,
			size_t more, const char *parent,
			struct shale_error *err)
{
	auto_chain chain = { NULL, 0, 0 };
	int r = ov->driver->is_copying ? 0 : chain_load(ov, tip, &chain, err);

	if (r < 0 || chain.count + more <= SPEC_LOWERS_MAX)
		return r;
	return error_fail(
		err, E2BIG,
		"it would be layer %zu of its chain, and an overlay takes at most %d: 'shale flatten NEW %s' makes one of those below it",
		chain.count + more, SPEC_LOWERS_MAX, parent);
}

/* Its own fs, or that of its parent. */
static char *bind_source(const struct overlay *ov, const struct record *record)
{
	char *path;

	if (!*record->parent_id || record->kind == SHALE_KIND_ACTIVE)
		return upper_path(ov, record, "fs");
	if (asprintf(&path, "%s/snapshots/%s/fs", ov->root_path,
		     record->parent_id) < 0)
		return NULL;
	return path;
}

static int emit_bind(const struct overlay *ov, const struct record *record,
		     shale_mount_fn *emit, void *ctx, struct shale_error *err)
{
	const bool is_rw = record->kind == SHALE_KIND_ACTIVE;
	auto_options options = { 0 };
	auto_free char *source = bind_source(ov, record);
	struct shale_mount_spec mount = {
		.size = sizeof(mount),
		.type = "bind",
		.source = source,
	};
	int r;

	if (!source || options_add(&options, is_rw ? "rw" : "ro") < 0 ||
	    options_add(&options, "rbind") < 0)
		return error_fail(err, ENOMEM, "out of memory");
	r = options_add_flags(&options, record, err);
	if (r < 0)
		return r;
	mount.options = (const char *const *)options.items;
	return emit(ctx, &mount);
}

static char *lowerdir_of(const struct overlay *ov, const struct chain *chain)
{
	const size_t each = 2 * (strlen(ov->root_path) + sizeof("/snapshots/") +
				 ID_SIZE + sizeof("/fs:"));
	char *lowerdir = malloc(sizeof("lowerdir=") + chain->count * each);
	char *out;

	if (!lowerdir)
		return NULL;
	out = stpcpy(lowerdir, "lowerdir=");
	for (size_t i = 0; i < chain->count; i++) {
		if (i)
			*out++ = ':';
		out = spec_escape_lower(out, ov->root_path);
		out = stpcpy(stpcpy(stpcpy(out, "/snapshots/"),
				    chain->layers[i]->id),
			     "/fs");
	}
	return lowerdir;
}

static int add_dirs(struct options *options, const struct overlay *ov,
		    const struct record *record, const struct chain *chain)
{
	auto_free char *upper = NULL;
	auto_free char *work = NULL;

	if (record->kind == SHALE_KIND_ACTIVE) {
		work = upper_path(ov, record, "work");
		upper = upper_path(ov, record, "fs");
		if (!work || !upper ||
		    options_add(options, "workdir=%s", work) < 0 ||
		    options_add(options, "upperdir=%s", upper) < 0)
			return -ENOMEM;
	}
	return options_take(options, lowerdir_of(ov, chain));
}

static int emit_overlay(const struct overlay *ov, const struct record *record,
			const struct chain *chain, shale_mount_fn *emit,
			void *ctx, struct shale_error *err)
{
	auto_options options = { 0 };
	struct shale_mount_spec mount = { .size = sizeof(mount),
					  .type = "overlay",
					  .source = "overlay" };
	int r = add_dirs(&options, ov, record, chain);

	if (r < 0)
		return error_fail(err, ENOMEM, "out of memory");
	r = options_add_rest(&options, ov, record, err);
	if (r < 0)
		return r;
	mount.options = (const char *const *)options.items;
	return emit(ctx, &mount);
}

/* Its files are to be there, and to be what was written. */
static int check_files(const struct overlay *ov, const struct record *record,
		       struct shale_error *err)
{
	auto_fd fd = -1;
	int r = volatile_check(record, err);

	if (r < 0 || !record->upper)
		return r;
	return upper_open(ov, record, &fd, err);
}

int overlay_emit(struct overlay *ov, const struct record *record,
		 shale_mount_fn *emit, void *ctx, struct shale_error *err)
{
	auto_chain chain = { NULL, 0, 0 };
	int r;

	if (record->kind == SHALE_KIND_COMMITTED)
		return error_fail(err, EBADFD,
				  "it is committed: mount a view of it");
	r = check_files(ov, record, err);
	if (r < 0)
		return r;
	if (!*record->parent_id || ov->driver->is_copying)
		return emit_bind(ov, record, emit, ctx, err);
	r = chain_load(ov, record, &chain, err);
	if (r < 0)
		return r;
	/* Overlayfs refuses a single lower without an upper. */
	if (record->kind == SHALE_KIND_VIEW && chain.count == 1)
		return emit_bind(ov, record, emit, ctx, err);
	return emit_overlay(ov, record, &chain, emit, ctx, err);
}

int overlay_mounts(void *self, const char *key, shale_mount_fn *emit, void *ctx,
		   struct shale_error *err)
{
	auto_record record = NULL;
	int r = name_check(key, "key", err);

	if (r == 0)
		r = record_find(self, key, &record, err);
	if (r == 0)
		r = overlay_emit(self, record, emit, ctx, err);
	return r < 0 ? error_context(err, r, "mounts '%s'", key ? key : "") : r;
}

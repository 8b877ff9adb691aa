/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mounts: the one mount of an active or view, as containerd would write it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "overlay.h"
#include "record.h"
#include "scope.h"
#include "spec.h"

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
	int r = chain_load(ov, tip, &chain, err);

	if (r < 0 || chain.count + more <= SPEC_LOWERS_MAX)
		return r;
	return error_fail(
		err, E2BIG,
		"it would be layer %zu of its chain, and an overlay takes at most %d: 'shale flatten NEW %s' makes one of those below it",
		chain.count + more, SPEC_LOWERS_MAX, parent);
}

static char *path_of(const struct overlay *ov, const char *room, const char *id,
		     const char *prefix, const char *leaf)
{
	char *path;

	if (asprintf(&path, "%s%s/%s/%s/%s", prefix, ov->root_path, room, id,
		     leaf) < 0)
		return NULL;
	return path;
}

static int emit_bind(const struct overlay *ov, const struct record *record,
		     const char *room, const char *id, shale_mount_fn *emit,
		     void *ctx, struct shale_error *err)
{
	const char *options[] = { record->kind == SHALE_KIND_ACTIVE ? "rw"
								    : "ro",
				  "rbind", NULL };
	auto_free char *source = path_of(ov, room, id, "", "fs");
	const struct shale_mount_spec mount = {
		.size = sizeof(mount),
		.type = "bind",
		.source = source,
		.options = options,
	};

	if (!source)
		return error_fail(err, ENOMEM, "out of memory");
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

static bool has_option(char *const *options, const char *key)
{
	const size_t len = strlen(key);

	for (; *options; options++)
		if (!strncmp(*options, key, len) &&
		    ((*options)[len] == '=' || !(*options)[len]))
			return true;
	return false;
}

static int emit_overlay(const struct overlay *ov, const struct record *record,
			const struct chain *chain, shale_mount_fn *emit,
			void *ctx, struct shale_error *err)
{
	auto_free char *work = NULL;
	auto_free char *upper = NULL;
	auto_free char *lower = lowerdir_of(ov, chain);
	auto_free const char **options = NULL;
	struct shale_mount_spec mount = { .size = sizeof(mount),
					  .type = "overlay",
					  .source = "overlay" };
	size_t n = 0, configured = 0;

	while (ov->mount_options[configured])
		configured++;
	options = calloc(configured + 6, sizeof(*options));
	if (record->kind == SHALE_KIND_ACTIVE) {
		work = path_of(ov, "active", record->id, "workdir=", "work");
		upper = path_of(ov, "active", record->id, "upperdir=", "fs");
	}
	if (!options || !lower ||
	    (record->kind == SHALE_KIND_ACTIVE && (!work || !upper)))
		return error_fail(err, ENOMEM, "out of memory");
	if (work) {
		options[n++] = work;
		options[n++] = upper;
	}
	options[n++] = lower;
	for (size_t i = 0; i < configured; i++)
		options[n++] = ov->mount_options[i];
	if (!has_option(ov->mount_options, "index"))
		options[n++] = "index=off";
	if (ov->userxattr && !has_option(ov->mount_options, "userxattr"))
		options[n++] = "userxattr";
	mount.options = options;
	return emit(ctx, &mount);
}

int overlay_emit(struct overlay *ov, const struct record *record,
		 shale_mount_fn *emit, void *ctx, struct shale_error *err)
{
	auto_chain chain = { NULL, 0, 0 };
	int r;

	if (record->kind == SHALE_KIND_COMMITTED)
		return error_fail(err, EBADFD,
				  "it is committed: mount a view of it");
	if (!*record->parent_id)
		return emit_bind(ov, record, "active", record->id, emit, ctx,
				 err);
	r = chain_load(ov, record, &chain, err);
	if (r < 0)
		return r;
	/* Overlayfs refuses a single lower without an upper. */
	if (record->kind == SHALE_KIND_VIEW && chain.count == 1)
		return emit_bind(ov, record, "snapshots", chain.layers[0]->id,
				 emit, ctx, err);
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

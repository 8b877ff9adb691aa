/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mounts: the one mount of an active or view, as containerd would write it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"
#include "chain.h"
#include "error.h"
#include "labels.h"
#include "lock.h"
#include "options.h"
#include "overlay.h"
#include "recent.h"
#include "scope.h"
#include "shale.h"
#include "shifted.h"
#include "spec.h"
#include "text.h"
#include "upper.h"
#include "volatile.h"

/* The room that the record has its layers from. */
static void layers_room(const struct record *record,
			char ret[sizeof("mapped/") + ID_SIZE])
{
	if (*record->map_id)
		(void)stpcpy(stpcpy(ret, "mapped/"), record->map_id);
	else
		(void)stpcpy(ret, "snapshots");
}

/* Its own fs, or that of its parent. */
static char *bind_source(const struct overlay *ov, const struct record *record)
{
	char room[sizeof("mapped/") + ID_SIZE];
	char *path;

	if (!*record->parent_id || record->kind == SHALE_KIND_ACTIVE)
		return upper_path(ov, record, "fs");
	layers_room(record, room);
	if (asprintf(&path, "%s/%s/%s/fs", ov->root_path, room,
		     record->parent_id) < 0)
		return NULL;
	return path;
}

/* The files of copies belong to the right ones by themselves. */
static int add_maps(struct options *options, const struct record *record,
		    struct shale_error *err)
{
	const char *const *labels = (const char *const *)record->labels;
	auto_idmaps maps = { NULL, NULL };
	int r = labels_maps(labels, &maps, err);

	if (r < 0 || !maps.uid || *record->map_id)
		return r;
	if (options_add(options, "uidmap=%s",
			labels_get(labels, SHALE_LABEL_UIDMAP)) < 0 ||
	    options_add(options, "gidmap=%s",
			labels_get(labels, SHALE_LABEL_GIDMAP)) < 0)
		return error_fail(err, ENOMEM, "out of memory");
	return 0;
}

static int no_memory(struct shale_error *err)
{
	return error_fail(err, ENOMEM, "out of memory");
}

static int make_bind(const struct overlay *ov, struct recipe *recipe,
		     struct shale_error *err)
{
	const struct record *record = recipe->record;
	const bool is_rw = record->kind == SHALE_KIND_ACTIVE;
	int r;

	recipe->source = bind_source(ov, record);
	if (!recipe->source ||
	    options_add(&recipe->options, is_rw ? "rw" : "ro") < 0 ||
	    options_add(&recipe->options, "rbind") < 0)
		return no_memory(err);
	recipe->spec.type = "bind";
	recipe->spec.source = recipe->source;
	r = options_add_flags(&recipe->options, record, err);
	return r < 0 ? r : add_maps(&recipe->options, record, err);
}

static char *lowerdir_of(const struct overlay *ov, const struct record *record,
			 const struct lineage *lineage)
{
	const size_t each = 2 * (strlen(ov->root_path) + sizeof("/mapped//") +
				 2 * ID_SIZE + sizeof("/fs:"));
	char room[sizeof("mapped/") + ID_SIZE];
	char *lowerdir = malloc(sizeof("lowerdir=") + lineage->count * each);
	char *out;

	if (!lowerdir)
		return NULL;
	layers_room(record, room);
	out = stpcpy(lowerdir, "lowerdir=");
	for (size_t i = 0; i < lineage->count; i++) {
		if (i)
			*out++ = ':';
		out = text_escape_lower(out, ov->root_path);
		out = stpcpy(stpcpy(stpcpy(out, "/"), room), "/");
		out = stpcpy(stpcpy(out, lineage->ids[i]), "/fs");
	}
	return lowerdir;
}

/* What is mounted on the same parent has the same layers. */
static void remember_lower(struct overlay *ov, struct record *parent,
			   const char *lower)
{
	auto_recipe recipe = recipe_new(parent);

	if (recipe && options_take(&recipe->options, strdup(lower)) == 0)
		recent_put(ov->recent, recipe);
}

/* "lowerdir=..."; *ret_single: it is one layer. */
static int load_lower(struct overlay *ov, const struct record *record,
		      char **ret, bool *ret_single, struct shale_error *err)
{
	const uint64_t generation = generation_read(ov);
	auto_lineage lineage = { NULL, 0, 0 };
	auto_record parent = NULL;
	auto_recipe known = NULL;
	int r;

	if (!*record->map_id && !(generation & 1))
		parent = cache_get(ov->cache, generation, ROOM_SNAPSHOTS,
				   record->parent_id);
	if (parent)
		known = recent_get(ov->recent, parent);
	if (known) {
		*ret_single = !*parent->parent_id;
		*ret = strdup(known->options.items[0]);
		return *ret ? 0 : no_memory(err);
	}
	r = lineage_load(ov, generation, record->parent_id, &lineage, err);
	if (r < 0)
		return r;
	*ret_single = lineage.count == 1;
	*ret = lowerdir_of(ov, record, &lineage);
	if (*ret && parent)
		remember_lower(ov, parent, *ret);
	return *ret ? 0 : no_memory(err);
}

static int add_dirs(struct options *options, const struct overlay *ov,
		    const struct record *record, char **lower)
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
	return options_take(options, take_ptr(lower));
}

static int make_overlay(struct overlay *ov, struct recipe *recipe, char **lower,
			struct shale_error *err)
{
	int r = add_dirs(&recipe->options, ov, recipe->record, lower);

	if (r < 0)
		return no_memory(err);
	recipe->spec.type = recipe->spec.source = "overlay";
	r = options_add_rest(&recipe->options, ov, recipe->record, err);
	return r < 0 ? r : add_maps(&recipe->options, recipe->record, err);
}

/* The copies were made by prepare; what took one away is mended here. */
static int make_copies(struct overlay *ov, const struct record *record,
		       struct shale_error *err)
{
	auto_idmaps maps = { NULL, NULL };
	auto_chain chain = { NULL, 0, 0 };
	int r;

	if (!*record->map_id)
		return 0;
	r = chain_load(ov, record->parent_id, &chain, err);
	if (r < 0)
		return r;
	r = labels_maps((const char *const *)record->labels, &maps, err);
	if (r == 0 && !maps.uid)
		r = error_fail(err, EUCLEAN, "its mapping labels are gone");
	return r < 0 ? r : shifted_make(ov, &maps, record->map_id, &chain, err);
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

static int make_recipe(struct overlay *ov, struct recipe *recipe,
		       struct shale_error *err)
{
	const struct record *record = recipe->record;
	auto_free char *lower = NULL;
	bool is_single = false;
	int r;

	if (!*record->parent_id || ov->driver->is_copying)
		return make_bind(ov, recipe, err);
	r = make_copies(ov, record, err);
	if (r == 0)
		r = load_lower(ov, record, &lower, &is_single, err);
	if (r < 0)
		return r;
	/* Overlayfs refuses a single lower without an upper. */
	if (record->kind == SHALE_KIND_VIEW && is_single)
		return make_bind(ov, recipe, err);
	return make_overlay(ov, recipe, &lower, err);
}

int overlay_emit(struct overlay *ov, struct record *record,
		 shale_mount_fn *emit, void *ctx, struct shale_error *err)
{
	auto_recipe recipe = NULL;
	int r;

	if (record->kind == SHALE_KIND_COMMITTED)
		return error_fail(err, EBADFD,
				  "it is committed: mount a view of it");
	r = check_files(ov, record, err);
	if (r < 0)
		return r;
	recipe = recent_get(ov->recent, record);
	if (recipe)
		return emit(ctx, &recipe->spec);
	recipe = recipe_new(record);
	if (!recipe)
		return no_memory(err);
	r = make_recipe(ov, recipe, err);
	if (r < 0)
		return r;
	recipe->spec.options = (const char *const *)recipe->options.items;
	/* Whose copies are asked for each time: make_copies. */
	if (!*record->map_id)
		recent_put(ov->recent, recipe);
	return emit(ctx, &recipe->spec);
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

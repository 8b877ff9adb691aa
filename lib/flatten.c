/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * flatten: one layer with what a chain of them shows, by the operations that
 * every snapshotter has.
 *
 * The kernel merges: what is copied is a mount of the view.  Where a chain has
 * more layers than one overlay takes, the lowest ones are merged first, and
 * the next mount has that copy in their place.  A merge is only ever of a
 * chain's lower end: one of its middle would lose what whiteouts hide.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compare.h"
#include "copy.h"
#include "error.h"
#include "id.h"
#include "labels.h"
#include "process.h"
#include "scope.h"
#include "spec.h"
#include "store.h"
#include "text.h"

#define KEY_PREFIX "org.shale.flatten/"
#define KEY_SIZE (sizeof(KEY_PREFIX) + ID_SIZE)
#define LOWERDIR "lowerdir="

/* Of no use in a single layer, and of another meaning there. */
static const char *const of_overlay[] = { "trusted.overlay.", "user.overlay.",
					  NULL };

/* A mount as the snapshotter gave it, kept beyond the callback. */
struct kept_mount {
	char *type, *source;
	char **options;	 /* NULL-terminated */
	size_t lowerdir; /* which of them that is */
	char **lowers;	 /* parts of it, as they are written; or NULL */
	size_t lower_count;
};

struct flattening {
	struct shale_store *store;
	struct shale_error *err;
	const char *name;
	char view[KEY_SIZE];	 /* "" while there is none */
	char merged[KEY_SIZE];	 /* an active with all that is merged so far */
	char growing[KEY_SIZE];	 /* the one that is being filled */
	struct kept_mount mount; /* of the view */
	struct kept_mount base;	 /* of the merged active */
	char process[PROCESS_NAME_SIZE];
};

static void kept_mount_drop(struct kept_mount *mount)
{
	for (char **option = mount->options; option && *option; option++)
		free(*option);
	free(mount->options);
	free(mount->lowers);
	free(mount->type);
	free(mount->source);
	*mount = (struct kept_mount){ .type = NULL };
}

/* Cuts a lowerdir value at each ':' that no '\\' stands before. */
static int cut_lowers(struct kept_mount *mount, char *value)
{
	size_t count = 1;
	char *out = value;

	for (const char *c = value; *c; c++)
		count += *c == ':';
	mount->lowers = calloc(count, sizeof(*mount->lowers));
	if (!mount->lowers)
		return -ENOMEM;
	mount->lowers[mount->lower_count++] = out;
	for (; *out; out++) {
		if (*out == '\\' && out[1]) {
			out++;
		} else if (*out == ':') {
			*out = '\0';
			mount->lowers[mount->lower_count++] = out + 1;
		}
	}
	return 0;
}

static int keep_options(struct kept_mount *ret, const char *const *options)
{
	size_t count = 0;

	while (options[count])
		count++;
	ret->options = calloc(count + 1, sizeof(*ret->options));
	for (size_t i = 0; ret->options && i < count; i++) {
		ret->options[i] = strdup(options[i]);
		if (!ret->options[i])
			return -ENOMEM;
		if (strncmp(options[i], LOWERDIR, strlen(LOWERDIR)) != 0)
			continue;
		ret->lowerdir = i;
		if (cut_lowers(ret, ret->options[i] + strlen(LOWERDIR)) < 0)
			return -ENOMEM;
	}
	return ret->options ? 0 : -ENOMEM;
}

/* A callback must not return what is below 0. */
static int keep_mount(void *ctx, const struct shale_mount_spec *spec)
{
	struct kept_mount *ret = ctx;

	kept_mount_drop(ret);
	ret->type = strdup(spec->type ? spec->type : "");
	ret->source = strdup(spec->source ? spec->source : "");
	return !ret->type || !ret->source ||
	       keep_options(ret, spec->options) < 0;
}

static int load_mount(struct flattening *f, const char *key,
		      struct kept_mount *ret)
{
	int r = shale_mounts(f->store, key, keep_mount, ret, f->err);

	return r > 0 ? error_fail(f->err, ENOMEM, "out of memory") : r;
}

/* ---- the keys in between ---- */

static int new_key(struct flattening *f, char ret[KEY_SIZE])
{
	int r;

	(void)snprintf(ret, KEY_SIZE, "%s", KEY_PREFIX);
	r = id_random(ret + strlen(KEY_PREFIX));
	if (r < 0)
		ret[0] = '\0';
	return r < 0 ? error_errno(f->err, -r, "make a key") : 0;
}

static int create(struct flattening *f, char key[KEY_SIZE], const char *viewed)
{
	const char *const labels[] = { SHALE_LABEL_TEMPORARY, f->process,
				       NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	int r = new_key(f, key);

	if (r < 0)
		return r;
	r = viewed ? shale_view(f->store, key, viewed, &opts, f->err)
		   : shale_prepare(f->store, key, NULL, &opts, f->err);
	if (r < 0)
		key[0] = '\0';
	return r;
}

static void remove_key(const struct flattening *f, char key[KEY_SIZE])
{
	if (*key)
		(void)shale_remove(f->store, key, NULL);
	key[0] = '\0';
}

static void flattening_drop(struct flattening *f)
{
	remove_key(f, f->view);
	remove_key(f, f->merged);
	remove_key(f, f->growing);
	kept_mount_drop(&f->mount);
	kept_mount_drop(&f->base);
}

#define auto_flattening \
	__attribute__((cleanup(flattening_drop))) struct flattening

/* ---- mounting a part of the chain ---- */

/* lowerdir= of the layers from @first on, @count of them, and the base. */
static char *join_lowers(const struct flattening *f, size_t first, size_t count)
{
	size_t size = sizeof(LOWERDIR) + 1;
	char *text, *out;

	for (size_t i = first; i < first + count; i++)
		size += strlen(f->mount.lowers[i]) + 1;
	if (f->base.source)
		size += 2 * strlen(f->base.source) + 1;
	text = malloc(size);
	if (!text)
		return NULL;
	out = stpcpy(text, LOWERDIR);
	for (size_t i = first; i < first + count; i++) {
		out = stpcpy(out, f->mount.lowers[i]);
		*out++ = ':';
	}
	if (f->base.source)
		out = text_escape_lower(out, f->base.source);
	else
		out[-1] = '\0';
	return text;
}

static int mount_part(const struct flattening *f, size_t first, size_t count,
		      int *ret_fd)
{
	const struct kept_mount *mount = &f->mount;
	auto_free char *lowerdir = NULL;
	auto_free const char **options = NULL;
	struct shale_mount_spec spec = { .size = sizeof(spec),
					 .type = mount->type,
					 .source = mount->source };
	size_t n = 0;

	while (mount->options[n])
		n++;
	options = calloc(n + 1, sizeof(*options));
	if (mount->lowers)
		lowerdir = join_lowers(f, first, count);
	if (!options || (mount->lowers && !lowerdir))
		return error_fail(f->err, ENOMEM, "out of memory");
	memcpy(options, mount->options, n * sizeof(*options));
	if (lowerdir)
		options[mount->lowerdir] = lowerdir;
	spec.options = options;
	return shale_mount_detached(&spec, ret_fd, f->err);
}

static int mount_whole(const struct flattening *f,
		       const struct kept_mount *mount, int *ret_fd)
{
	const struct shale_mount_spec spec = {
		.size = sizeof(spec),
		.type = mount->type,
		.source = mount->source,
		.options = (const char *const *)mount->options,
	};

	return shale_mount_detached(&spec, ret_fd, f->err);
}

/* ---- copying ---- */

static int copy_and_compare(struct flattening *f, int from_fd, int to_fd)
{
	const struct copy_options copying = { .without = of_overlay,
					      .stop = store_stop,
					      .ctx = f->store };
	const struct compare_options comparing = { .without = of_overlay,
						   .stop = store_stop,
						   .ctx = f->store };
	int r = copy_tree(from_fd, to_fd, &copying, f->err);

	if (r == 0)
		r = compare_trees(from_fd, to_fd, &comparing, f->err);
	return r;
}

/* Merges @count layers from @first on, and what was merged, into one more. */
static int merge(struct flattening *f, size_t first, size_t count)
{
	struct kept_mount grown = { .type = NULL };
	auto_fd from_fd = -1;
	auto_fd to_fd = -1;
	int r = create(f, f->growing, NULL);

	if (r == 0)
		r = load_mount(f, f->growing, &grown);
	if (r == 0)
		r = mount_part(f, first, count, &from_fd);
	if (r == 0)
		r = mount_whole(f, &grown, &to_fd);
	if (r == 0)
		r = copy_and_compare(f, from_fd, to_fd);
	if (r < 0) {
		kept_mount_drop(&grown);
		return r;
	}
	drop_fd(&from_fd); /* before what it shows is removed */
	remove_key(f, f->merged);
	kept_mount_drop(&f->base);
	f->base = grown;
	memcpy(f->merged, f->growing, KEY_SIZE);
	f->growing[0] = '\0';
	return 0;
}

/* From the lowest layers on, as many at once as can be mounted. */
static int merge_all(struct flattening *f)
{
	size_t left = f->mount.lower_count, most = SPEC_LOWERS_MAX;
	int r;

	do {
		const size_t count = left < most ? left : most;

		r = merge(f, left - count, count);
		left -= count;
		if (r == 0 && left && strcmp(f->base.type, "bind") != 0)
			r = error_fail(
				f->err, EOPNOTSUPP,
				"more than %d layers need actives that are bind mounts, not '%s'",
				SPEC_LOWERS_MAX, f->base.type);
		most = SPEC_LOWERS_MAX - 1; /* and the base */
	} while (r == 0 && left);
	return r;
}

static int check_arguments(struct flattening *f, const char *new,
			   const struct shale_opts *opts)
{
	int r = name_check(new, "name", f->err);

	if (r == 0)
		r = name_check(f->name, "name", f->err);
	if (r == 0 && opts && opts->size >= sizeof(*opts) &&
	    ((opts->flags & ~SHALE_COMMIT_MANIFEST) ||
	     (opts->parent && *opts->parent)))
		r = error_fail(f->err, EINVAL,
			       "it takes no flag but manifest, and no parent");
	if (r < 0)
		return r;
	r = shale_exists(f->store, new, f->err);
	if (r == 0)
		return error_fail(f->err, EEXIST, "'%s' is taken", new);
	if (r != -ENOENT)
		return r;
	error_clear(f->err);
	r = process_name(getpid(), f->process);
	return r < 0 ? error_errno(f->err, -r, "name this process") : 0;
}

static int flatten(struct flattening *f, const char *new,
		   const struct shale_opts *opts)
{
	int r = check_arguments(f, new, opts);

	if (r == 0)
		r = create(f, f->view, f->name);
	if (r == 0)
		r = load_mount(f, f->view, &f->mount);
	if (r == 0)
		r = merge_all(f);
	if (r == 0)
		r = shale_commit(f->store, new, f->merged, opts, f->err);
	if (r == 0)
		f->merged[0] = '\0';
	return r;
}

int shale_flatten(struct shale_store *store, const char *new_name,
		  const char *name, const struct shale_opts *opts,
		  struct shale_error *err)
{
	struct shale_error own = SHALE_ERROR_INIT;
	auto_flattening f = { .store = store,
			      .err = err ? err : &own,
			      .name = name };
	int r = flatten(&f, new_name, opts);

	return r < 0 ? error_context(f.err, r, "flatten '%s' as '%s'",
				     name ? name : "", new_name ? new_name : "")
		     : r;
}

/* ---- what died ---- */

struct orphans {
	char (*keys)[SHALE_NAME_SIZE];
	size_t count;
};

static int note_orphan(void *ctx, const struct shale_info *info)
{
	struct orphans *orphans = ctx;
	const char *process = labels_get(info->labels, SHALE_LABEL_TEMPORARY);
	char(*bigger)[SHALE_NAME_SIZE];

	if (!process || process_find(process, NULL))
		return 0;
	bigger = realloc(orphans->keys,
			 (orphans->count + 1) * sizeof(*orphans->keys));
	if (!bigger)
		return 1;
	orphans->keys = bigger;
	(void)snprintf(bigger[orphans->count++], SHALE_NAME_SIZE, "%s",
		       info->name);
	return 0;
}

int flatten_cleanup(struct shale_store *store, uint64_t *removed,
		    struct shale_error *err)
{
	struct orphans orphans = { .keys = NULL };
	int first = shale_active(store, note_orphan, &orphans, err);

	if (first > 0)
		first = error_fail(err, ENOMEM, "cleanup: out of memory");
	if (first == -EUCLEAN) { /* the others were visited all the same */
		error_clear(err);
		first = 0;
	}
	for (size_t i = 0; i < orphans.count; i++) {
		int r = shale_remove(store, orphans.keys[i],
				     first == 0 ? err : NULL);

		if (r == 0)
			(*removed)++;
		else if (r == -ENOENT && first == 0)
			error_clear(err);
		else if (first == 0)
			first = r;
	}
	free(orphans.keys);
	return first;
}

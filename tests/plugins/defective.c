/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The built-in snapshotter with one defect, which $SHALE_DEFECT names: each is
 * one that a plugin's author may make, and that `shale plugin test` must find.
 * The program that loads it brings libshale.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snapshotter.h"

const struct shale_snapshotter *shale_overlay_snapshotter(void);
#define SOUND (shale_overlay_snapshotter())

static struct shale_snapshotter table;

static int commit_keeps_the_key(void *self, const char *name, const char *key,
				const struct shale_opts *opts,
				struct shale_error *err)
{
	int r = SOUND->commit(self, name, key, opts, err);

	return r ? r : SOUND->prepare(self, key, NULL, NULL, err);
}

static int commit_inherits_labels(void *self, const char *name, const char *key,
				  const struct shale_opts *opts,
				  struct shale_error *err)
{
	static const char *const labels[] = { "inherited", "yes", NULL };
	int r = SOUND->commit(self, name, key, opts, err);

	if (r == 0 && (!opts || !opts->labels))
		r = SOUND->update(self, name, labels, NULL, err);
	return r;
}

/* Takes the view's place by an active, and commits that. */
static int commit_takes_a_view(void *self, const char *name, const char *key,
			       const struct shale_opts *opts,
			       struct shale_error *err)
{
	int r = SOUND->commit(self, name, key, opts, NULL);

	if (r != -EBADFD)
		return SOUND->commit(self, name, key, opts, err);
	(void)SOUND->remove(self, key, NULL);
	r = SOUND->prepare(self, key, NULL, NULL, err);
	return r ? r : SOUND->commit(self, name, key, opts, err);
}

static int commit_ignores_the_new_parent(void *self, const char *name,
					 const char *key,
					 const struct shale_opts *opts,
					 struct shale_error *err)
{
	struct shale_opts without = { .size = sizeof(without) };

	if (opts && opts->size == sizeof(without)) {
		without = *opts;
		without.parent = NULL;
		opts = &without;
	}
	return SOUND->commit(self, name, key, opts, err);
}

static int keep_takes_the_key(void *self, const char *name, const char *key,
			      const struct shale_opts *opts,
			      struct shale_error *err)
{
	struct shale_opts without = { .size = sizeof(without) };

	if (opts && opts->size == sizeof(without)) {
		without = *opts;
		without.flags &= ~SHALE_COMMIT_KEEP;
		opts = &without;
	}
	return SOUND->commit(self, name, key, opts, err);
}

static int note_child(void *ctx, const struct shale_info *info)
{
	const char **name_and_child = ctx;

	if (strcmp(info->parent, name_and_child[0]) != 0)
		return 0;
	name_and_child[1] = strdup(info->name);
	return 1;
}

/* Takes the keys on it along. */
static int delete_ignores_children(void *self, const char *name,
				   struct shale_error *err)
{
	const char *name_and_child[2] = { name, NULL };

	while (SOUND->active(self, note_child, name_and_child, NULL) == 1)
		(void)SOUND->remove(self, name_and_child[1], NULL);
	return SOUND->delete_(self, name, err);
}

static int remove_deletes_layers(void *self, const char *key,
				 struct shale_error *err)
{
	int r = SOUND->remove(self, key, NULL);

	return r == -EBADFD ? SOUND->delete_(self, key, err)
	       : r	    ? SOUND->remove(self, key, err)
			    : 0;
}

static int remove_forgives(void *self, const char *key, struct shale_error *err)
{
	int r = SOUND->remove(self, key, err);

	return r == -ENOENT ? 0 : r;
}

struct twice {
	shale_mount_fn *emit;
	void *ctx;
};

static int emit_twice(void *ctx, const struct shale_mount_spec *mount)
{
	const struct twice *twice = ctx;
	int r = twice->emit(twice->ctx, mount);

	return r ? r : twice->emit(twice->ctx, mount);
}

static int mounts_gives_two(void *self, const char *key, shale_mount_fn *emit,
			    void *ctx, struct shale_error *err)
{
	struct twice twice = { emit, ctx };

	return SOUND->mounts(self, key, emit_twice, &twice, err);
}

/* "ro" becomes "rw". */
static int emit_writable(void *ctx, const struct shale_mount_spec *mount)
{
	const struct twice *to = ctx;
	const char *options[64];
	struct shale_mount_spec changed = *mount;
	size_t n = 0;

	for (; mount->options[n] && n < 63; n++)
		options[n] = strcmp(mount->options[n], "ro") ? mount->options[n]
							     : "rw";
	options[n] = NULL;
	changed.options = options;
	return to->emit(to->ctx, &changed);
}

static int a_view_is_writable(void *self, const char *key, shale_mount_fn *emit,
			      void *ctx, struct shale_error *err)
{
	struct twice to = { emit, ctx };

	return SOUND->mounts(self, key, emit_writable, &to, err);
}

/* As if lowerdir= were written bottommost first. */
static int emit_reversed(void *ctx, const struct shale_mount_spec *mount)
{
	const struct twice *to = ctx;
	const char *options[64], *lower;
	struct shale_mount_spec changed = *mount;
	char reversed[16384] = "";
	size_t n = 0;

	for (; mount->options[n] && n < 63; n++)
		options[n] = mount->options[n];
	options[n] = NULL;
	for (n = 0; options[n] && strncmp(options[n], "lowerdir=", 9) != 0;)
		n++;
	for (lower = options[n] ? options[n] + strlen(options[n]) : NULL;
	     lower && lower > options[n]; lower--)
		if (lower[-1] == ':' || lower[-1] == '=') {
			size_t len = strcspn(lower, ":");

			(void)snprintf(
				reversed + strlen(reversed),
				sizeof(reversed) - strlen(reversed), "%s%.*s",
				*reversed ? ":" : "lowerdir=", (int)len, lower);
		}
	if (*reversed)
		options[n] = reversed;
	changed.options = options;
	return to->emit(to->ctx, &changed);
}

static int layers_are_upside_down(void *self, const char *key,
				  shale_mount_fn *emit, void *ctx,
				  struct shale_error *err)
{
	struct twice to = { emit, ctx };

	return SOUND->mounts(self, key, emit_reversed, &to, err);
}

static int parent_is_the_name(void *self, const char *name, char *ret_parent,
			      struct shale_error *err)
{
	int r = SOUND->parent(self, name, ret_parent, err);

	if (r == 0 && *ret_parent)
		(void)stpcpy(ret_parent, name);
	return r;
}

static int everything_exists(void *self, const char *name,
			     struct shale_error *err)
{
	(void)self;
	(void)name;
	(void)err;
	return 0;
}

static int exists_returns_1(void *self, const char *name,
			    struct shale_error *err)
{
	int r = SOUND->exists(self, name, err);

	return r == 0 ? 1 : r;
}

struct walking {
	shale_walk_fn *fn;
	void *ctx;
	unsigned int count;
};

static int fn_skips_the_first(void *ctx, const struct shale_info *info)
{
	struct walking *walking = ctx;

	return walking->count++ ? walking->fn(walking->ctx, info) : 0;
}

static int walk_forgets_one(void *self, shale_walk_fn *fn, void *ctx,
			    struct shale_error *err)
{
	struct walking walking = { fn, ctx, 0 };

	return SOUND->walk(self, fn_skips_the_first, &walking, err);
}

static int fn_goes_on(void *ctx, const struct shale_info *info)
{
	struct walking *walking = ctx;

	(void)walking->fn(walking->ctx, info);
	return 0;
}

static int walk_does_not_stop(void *self, shale_walk_fn *fn, void *ctx,
			      struct shale_error *err)
{
	struct walking walking = { fn, ctx, 0 };

	return SOUND->walk(self, fn_goes_on, &walking, err);
}

static int active_tells_all(void *self, shale_walk_fn *fn, void *ctx,
			    struct shale_error *err)
{
	int r = SOUND->active(self, fn, ctx, err);

	return r ? r : SOUND->walk(self, fn, ctx, err);
}

static int update_ignores_fields(void *self, const char *name,
				 const char *const *labels,
				 const char *const *fields,
				 struct shale_error *err)
{
	(void)fields;
	return SOUND->update(self, name, labels, NULL, err);
}

static int usage_overruns(void *self, const char *name,
			  struct shale_usage *ret_usage,
			  struct shale_error *err)
{
	struct shale_usage usage = { .size = sizeof(usage) };
	int r = SOUND->usage(self, name, &usage, err);

	usage.size = ret_usage->size;
	if (r == 0)
		*ret_usage = usage;
	return r;
}

static int usage_counts_links(void *self, const char *name,
			      struct shale_usage *ret_usage,
			      struct shale_error *err)
{
	int r = SOUND->usage(self, name, ret_usage, err);

	if (r == 0 && ret_usage->inodes == 2)
		ret_usage->inodes += 5;
	return r;
}

static int prepare_ignores_options(void *self, const char *key,
				   const char *parent,
				   const struct shale_opts *opts,
				   struct shale_error *err)
{
	struct shale_opts known = { .size = sizeof(known) };

	if (opts && opts->size >= sizeof(known)) {
		known.labels = opts->labels;
		opts = &known;
	}
	return SOUND->prepare(self, key, parent, opts, err);
}

static int prepare_takes_any_parent(void *self, const char *key,
				    const char *parent,
				    const struct shale_opts *opts,
				    struct shale_error *err)
{
	int r = SOUND->prepare(self, key, parent, opts, NULL);

	if (r == -EINVAL && SOUND->exists(self, parent, NULL) == 0)
		return SOUND->prepare(self, key, NULL, opts, err);
	return r ? SOUND->prepare(self, key, parent, opts, err) : 0;
}

/* Makes the key before it finds the parent absent. */
static int a_failed_prepare_leaves_a_key(void *self, const char *key,
					 const char *parent,
					 const struct shale_opts *opts,
					 struct shale_error *err)
{
	int r = SOUND->prepare(self, key, parent, opts, err);

	if (r == -ENOENT)
		(void)SOUND->prepare(self, key, NULL, opts, NULL);
	return r;
}

static int prepare_prints(void *self, const char *key, const char *parent,
			  const struct shale_opts *opts,
			  struct shale_error *err)
{
	(void)fprintf(stderr, "preparing\n");
	return SOUND->prepare(self, key, parent, opts, err);
}

static int prepare_changes_the_umask(void *self, const char *key,
				     const char *parent,
				     const struct shale_opts *opts,
				     struct shale_error *err)
{
	(void)umask(0);
	return SOUND->prepare(self, key, parent, opts, err);
}

static int prepare_leaks(void *self, const char *key, const char *parent,
			 const struct shale_opts *opts, struct shale_error *err)
{
	(void)!dup(STDIN_FILENO);
	return SOUND->prepare(self, key, parent, opts, err);
}

__attribute__((noreturn)) static int
prepare_crashes(void *self, const char *key, const char *parent,
		const struct shale_opts *opts, struct shale_error *err)
{
	(void)self;
	(void)key;
	(void)parent;
	(void)opts;
	(void)err;
	abort();
}

__attribute__((noreturn)) static int
prepare_hangs(void *self, const char *key, const char *parent,
	      const struct shale_opts *opts, struct shale_error *err)
{
	(void)self;
	(void)key;
	(void)parent;
	(void)opts;
	(void)err;
	for (;;)
		(void)pause();
}

static int stat_says_nothing(void *self, const char *name, shale_walk_fn *fn,
			     void *ctx, struct shale_error *err)
{
	(void)err;
	return SOUND->stat(self, name, fn, ctx, NULL);
}

/* Forgets who failed first. */
static int stat_replaces_the_error(void *self, const char *name,
				   shale_walk_fn *fn, void *ctx,
				   struct shale_error *err)
{
	if (err)
		err->code = 0;
	return SOUND->stat(self, name, fn, ctx, err);
}

static int open_ignores_settings(const struct shale_host *host, int root_fd,
				 const char *root_path,
				 const char *const *config, void **ret_self,
				 struct shale_error *err)
{
	static const char *const create[] = { "create", "yes", NULL };

	(void)config;
	return SOUND->open(host, root_fd, root_path, create, ret_self, err);
}

#define DEFECT(name_, op_)             \
	if (!strcmp(defect, #name_)) { \
		table.op_ = name_;     \
		return &table;         \
	}

__attribute__((visibility("default"))) const struct shale_snapshotter *
shale_snapshotter_entry(uint32_t host_abi)
{
	const char *defect = getenv("SHALE_DEFECT");

	(void)host_abi;
	table = *SOUND;
	table.name = "defective";
	if (!defect)
		return &table;
	DEFECT(commit_keeps_the_key, commit)
	DEFECT(commit_inherits_labels, commit)
	DEFECT(commit_takes_a_view, commit)
	DEFECT(commit_ignores_the_new_parent, commit)
	DEFECT(keep_takes_the_key, commit)
	DEFECT(delete_ignores_children, delete_)
	DEFECT(remove_deletes_layers, remove)
	DEFECT(remove_forgives, remove)
	DEFECT(mounts_gives_two, mounts)
	DEFECT(a_view_is_writable, mounts)
	DEFECT(layers_are_upside_down, mounts)
	DEFECT(parent_is_the_name, parent)
	DEFECT(everything_exists, exists)
	DEFECT(exists_returns_1, exists)
	DEFECT(walk_forgets_one, walk)
	DEFECT(walk_does_not_stop, walk)
	DEFECT(active_tells_all, active)
	DEFECT(update_ignores_fields, update)
	DEFECT(usage_overruns, usage)
	DEFECT(usage_counts_links, usage)
	DEFECT(prepare_ignores_options, prepare)
	DEFECT(prepare_takes_any_parent, prepare)
	DEFECT(a_failed_prepare_leaves_a_key, prepare)
	DEFECT(prepare_prints, prepare)
	DEFECT(prepare_changes_the_umask, prepare)
	DEFECT(prepare_leaks, prepare)
	DEFECT(prepare_crashes, prepare)
	DEFECT(prepare_hangs, prepare)
	DEFECT(stat_says_nothing, stat)
	DEFECT(stat_replaces_the_error, stat)
	DEFECT(open_ignores_settings, open)
	return NULL; /* a defect that is not known */
}

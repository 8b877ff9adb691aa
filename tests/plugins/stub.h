/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A snapshotter that offers every operation and does none, for plugins with
 * one defect each.  It needs snapshotter.h and libc, as every plugin does.
 */
#ifndef STUB_H
#define STUB_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshotter.h"

static int stub_open(const struct shale_host *host, int root_fd,
		     const char *root_path, const char *const *config,
		     void **ret_self, struct shale_error *err)
{
	static int self;

	(void)host;
	(void)root_fd;
	(void)root_path;
	(void)config;
	(void)err;
	*ret_self = &self;
	return 0;
}

static void stub_close(void *self)
{
	(void)self;
}

static int stub_create(void *self, const char *key, const char *parent,
		       const struct shale_opts *opts, struct shale_error *err)
{
	(void)self;
	(void)key;
	(void)parent;
	(void)opts;
	(void)err;
	return -ENOENT;
}

static int stub_mounts(void *self, const char *key, shale_mount_fn *emit,
		       void *ctx, struct shale_error *err)
{
	(void)self;
	(void)key;
	(void)emit;
	(void)ctx;
	(void)err;
	return -ENOENT;
}

static int stub_commit(void *self, const char *name, const char *key,
		       const struct shale_opts *opts, struct shale_error *err)
{
	(void)name;
	return stub_create(self, key, NULL, opts, err);
}

static int stub_named(void *self, const char *name, struct shale_error *err)
{
	(void)self;
	(void)name;
	(void)err;
	return -ENOENT;
}

static int stub_parent(void *self, const char *name, char *ret_parent,
		       struct shale_error *err)
{
	(void)ret_parent;
	return stub_named(self, name, err);
}

static int stub_walk(void *self, shale_walk_fn *fn, void *ctx,
		     struct shale_error *err)
{
	(void)self;
	(void)fn;
	(void)ctx;
	(void)err;
	return 0;
}

static int stub_stat(void *self, const char *name, shale_walk_fn *fn, void *ctx,
		     struct shale_error *err)
{
	(void)fn;
	(void)ctx;
	return stub_named(self, name, err);
}

static int stub_update(void *self, const char *name, const char *const *labels,
		       const char *const *fields, struct shale_error *err)
{
	(void)labels;
	(void)fields;
	return stub_named(self, name, err);
}

static int stub_usage(void *self, const char *name,
		      struct shale_usage *ret_usage, struct shale_error *err)
{
	(void)ret_usage;
	return stub_named(self, name, err);
}

static int stub_cleanup(void *self, uint64_t *ret_removed,
			struct shale_error *err)
{
	(void)self;
	(void)err;
	*ret_removed = 0;
	return 0;
}

/* Members of a whole table, to be followed by those that differ. */
#define STUB_HEAD                                                          \
	.size = sizeof(struct shale_snapshotter), .abi = SHALE_PLUGIN_ABI, \
	.name = "stub", .version = "1", .description = "does nothing, wholly"
#define STUB_OPS                                                           \
	.open = stub_open, .close = stub_close, .prepare = stub_create,    \
	.view = stub_create, .mounts = stub_mounts, .commit = stub_commit, \
	.remove = stub_named, .parent = stub_parent, .exists = stub_named, \
	.delete_ = stub_named, .walk = stub_walk, .active = stub_walk,     \
	.stat = stub_stat, .update = stub_update, .usage = stub_usage,     \
	.cleanup = stub_cleanup

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Returns positive numbers that no callback gave.
 */
#include "stub.h"

static int positive_named(void *self, const char *name, struct shale_error *err)
{
	(void)self;
	(void)name;
	(void)err;
	return 7;
}

static int positive_walk(void *self, shale_walk_fn *fn, void *ctx,
			 struct shale_error *err)
{
	(void)self;
	(void)fn;
	(void)ctx;
	(void)err;
	return 7;
}

static const struct shale_snapshotter table = {
	STUB_HEAD,
	STUB_OPS,
	.remove = positive_named,
	.walk = positive_walk,
};

SHALE_REGISTER_SNAPSHOTTER(table)

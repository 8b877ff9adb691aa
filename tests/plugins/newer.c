/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Comes from the future: a longer table with an operation and a feature that
 * this host does not know.  It is accepted and its tail ignored.
 */
#include "stub.h"

static int stub_future(void *self)
{
	(void)self;
	return -EIO;
}

static const struct {
	struct shale_snapshotter known;
	int (*future)(void *self);
} table = {
	.known = {
		STUB_HEAD,
		STUB_OPS,
		.size = sizeof(table),
		.features = SHALE_FEAT_PARALLEL | UINT64_C(1) << 63,
	},
	.future = stub_future,
};

SHALE_REGISTER_SNAPSHOTTER(table.known)

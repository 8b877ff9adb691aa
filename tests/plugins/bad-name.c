/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has a name that would not do as a short name.
 */
#include "stub.h"

static const struct shale_snapshotter table = {
	STUB_HEAD,
	STUB_OPS,
	.name = "Bad/Name",
};

SHALE_REGISTER_SNAPSHOTTER(table)

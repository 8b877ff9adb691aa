/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has no name at all.
 */
#include "stub.h"

static const struct shale_snapshotter table = {
	STUB_HEAD,
	STUB_OPS,
	.name = NULL,
};

SHALE_REGISTER_SNAPSHOTTER(table)

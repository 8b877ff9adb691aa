/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Built for an ABI that no host has.
 */
#include "stub.h"

static const struct shale_snapshotter table = {
	STUB_HEAD,
	STUB_OPS,
	.abi = SHALE_PLUGIN_ABI + 1,
};

SHALE_REGISTER_SNAPSHOTTER(table)

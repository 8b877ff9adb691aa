/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nothing is wrong with this one.
 */
#include "stub.h"

static const struct shale_snapshotter table = { STUB_HEAD, STUB_OPS };

SHALE_REGISTER_SNAPSHOTTER(table)

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exports a table under a name that nobody asks for.
 */
#include "stub.h"

extern const struct shale_snapshotter my_snapshotter;

__attribute__((visibility("default")))
const struct shale_snapshotter my_snapshotter = { STUB_HEAD, STUB_OPS };

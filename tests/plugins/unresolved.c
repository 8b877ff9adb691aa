/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Expects a function of its host; nothing is expected from a host.
 */
#include "stub.h"

int function_of_the_host(void);

static const struct shale_snapshotter table = { STUB_HEAD, STUB_OPS };

__attribute__((visibility("default"))) const struct shale_snapshotter *
shale_snapshotter_entry(uint32_t host_abi)
{
	(void)host_abi;
	return function_of_the_host() ? &table : NULL;
}

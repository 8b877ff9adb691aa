/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has a table that ends before the operations do, and nothing behind it: a
 * host that reads on is caught by a sanitizer.
 */
#include "snapshotter.h"

static const struct {
	uint32_t size, abi;
	const char *name;
} table = { sizeof(table), SHALE_PLUGIN_ABI, "short-table" };

__attribute__((visibility("default"))) const struct shale_snapshotter *
shale_snapshotter_entry(uint32_t host_abi)
{
	(void)host_abi;
	return (const void *)&table;
}

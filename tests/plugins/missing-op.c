/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lacks the one operation that SHALE_TEST_MISSING names by its number in the
 * table.
 */
#include "stub.h"

#include <stdlib.h>
#include <string.h>

static const struct shale_snapshotter whole = { STUB_HEAD, STUB_OPS };
static struct shale_snapshotter table;

__attribute__((visibility("default"))) const struct shale_snapshotter *
shale_snapshotter_entry(uint32_t host_abi)
{
	const char *number = getenv("SHALE_TEST_MISSING");
	const size_t first = offsetof(struct shale_snapshotter, open);

	(void)host_abi;
	table = whole;
	memset((char *)&table + first +
		       (number ? strtoul(number, NULL, 10) : 0) *
			       sizeof(table.open),
	       0, sizeof(table.open));
	return &table;
}

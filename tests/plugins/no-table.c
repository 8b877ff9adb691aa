/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Returns no table.
 */
#include <stddef.h>

#include "snapshotter.h"

__attribute__((visibility("default"))) const struct shale_snapshotter *
shale_snapshotter_entry(uint32_t host_abi)
{
	(void)host_abi;
	return NULL;
}

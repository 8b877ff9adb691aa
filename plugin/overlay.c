/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * overlay.so: libshale's own snapshotter as a plugin, for hosts that load all
 * of theirs.  It exports its entry and nothing else.
 */
#include "shale.h"

SHALE_API const struct shale_snapshotter *
shale_snapshotter_entry(uint32_t host_abi)
{
	(void)host_abi;
	return shale_overlay_snapshotter();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * native.so: snapshots that are whole copies, for file systems where overlayfs
 * can't be.  It exports its entry and nothing else.
 */
#include "shale.h"

SHALE_API const struct shale_snapshotter *
shale_snapshotter_entry(uint32_t host_abi)
{
	(void)host_abi;
	return shale_native_snapshotter();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory for yajl, which does not look whether it was given any: the first
 * allocation that fails ends the whole call, and nothing of it is left.
 */
#ifndef BASE_YAJL_MEMORY_H
#define BASE_YAJL_MEMORY_H

#include <yajl/yajl_common.h>

/**
 * yajl_memory_run - call @work, which hands @memory to yajl
 * @work: what it allocates otherwise is reached from @ctx alone, since it may
 *        be left in the middle of any call of yajl's
 *
 * All that yajl has allocated is freed at return.
 *
 * Return: what @work returned, or -ENOMEM.
 */
int yajl_memory_run(int (*work)(void *ctx, yajl_alloc_funcs *memory),
		    void *ctx);

#endif

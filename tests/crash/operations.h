/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every operation of a store, each on the same small world, for the tests that
 * let it die or fail at each of its steps.
 */
#ifndef CRASH_OPERATIONS_H
#define CRASH_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "fixture.h"

/**
 * world_stride - how many points are passed over for each that is tried
 *
 * 1 with SHALE_LONG in the environment.  Else a few, and more where sanitizers
 * make a fork of this program ten times as dear.
 */
unsigned long world_stride(void);

/**
 * struct operation
 * @name:   for messages
 * @more:   adds to the world what this one needs; may be NULL
 * @act:    the operation; may be called again after it failed
 * @mounts: whether it mounts on here/mnt
 * @has_temporary: whether it removes keys of its own at its end, which need
 *          not be synced
 * @opens:  whether it opens or makes the store itself: @handle is then NULL
 */
struct operation {
	const char *name;
	void (*more)(void);
	int (*act)(struct shale_store *handle, struct shale_error *err);
	bool mounts, opens, has_temporary;
};

extern const struct operation operations[];
extern const size_t operation_count;

/**
 * world_run - run tests in a tmpfs, where a world takes a tenth of the time
 *
 * Where there may be none, it is the working directory's file system.
 *
 * Return: what @run returned.
 */
int world_run(int (*run)(const char *filter), const char *filter);

/**
 * world_make - a fresh world in here/store, made with fixture's `store`
 *
 * Committed: base, two on it, top on two, long (labels in a file).  Active:
 * work on two, bare without parent, both with files.  View: look on two.
 * Whatever a test left of an earlier world is unmounted and removed.
 */
void world_make(const struct operation *operation);

/** world_handle - open here/store as the operations want it */
struct shale_store *world_handle(void);

/** world_clean - what the next `shale cleanup` does */
void world_clean(void);

/** world_unmount - what an operation left mounted on here/mnt */
void world_unmount(void);

#endif

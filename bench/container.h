/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As much of a container as a hook of stage prestart sees: a process in a
 * mount namespace of its own, in which a bundle's rootfs has the mounts that
 * runc makes for `runc spec`.
 */
#ifndef BENCH_CONTAINER_H
#define BENCH_CONTAINER_H

#include <sys/types.h>

/**
 * container_bundle - make a bundle
 * @dir:    becomes one
 * @parent: its annotation org.shale.parent
 */
int container_bundle(const char *dir, const char *parent);

/**
 * container_start - start such a process
 * @bundle: absolute
 *
 * Return: its pid, or -1 with a sentence.
 */
pid_t container_start(const char *bundle);

/** container_end - end it, and its mounts with it; 0 is none */
void container_end(pid_t pid);

/**
 * container_pose_as_runtime - for a contestant's main, first of all
 *
 * A hook looks at who has called it. Started as `CONTESTANT DIR` it starts
 * itself anew as `runc --root DIR run bench`, and @argv is then as it was.
 */
void container_pose_as_runtime(int *argc, char **argv);

/** container_state - the state as a hook reads it; to be freed */
char *container_state(const char *bundle, const char *id, pid_t pid);

#endif

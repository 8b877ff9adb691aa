/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory for what does not outlive a boot: /run/shale, or
 * $XDG_RUNTIME_DIR/shale, by default /run/user/UID/shale, for who is not the
 * host's root.  What is in it is made when it is wanted.
 *
 * RUNDIR_PRECREATE is never below $XDG_RUNTIME_DIR: podman gives its hooks no
 * environment, and what they write is to be found with one.
 */
#ifndef DOOR_RUNDIR_H
#define DOOR_RUNDIR_H

#include <limits.h>
#include <stdbool.h>

#include "snapshotter.h"

#define RUNDIR_PRECREATE "precreate"

/**
 * rundir_path - name of a directory in it, which may not be there yet
 * @name: of the directory; "" for all of it
 *
 * Return: 0 or -ENAMETOOLONG.
 */
int rundir_path(const char *name, char ret[PATH_MAX]);

/**
 * rundir_open - open a directory in it
 * @create: make it where it is absent; else that is -ENOENT, without a
 *          sentence
 * @ret_fd: taken; readable
 *
 * Others may search what was made, and no more: a mapped root has to come
 * through to what is its own.
 *
 * Return: 0, -EPERM (it belongs to somebody else), or another errno.
 */
int rundir_open(const char *name, bool create, int *ret_fd,
		struct shale_error *err);

#endif

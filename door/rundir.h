/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory for what does not outlive a boot: /run/shale, or
 * $XDG_RUNTIME_DIR/shale, by default /run/user/UID/shale, for who is not the
 * host's root.  What is in it is made when it is wanted.
 */
#ifndef DOOR_RUNDIR_H
#define DOOR_RUNDIR_H

#include <limits.h>

#include "snapshotter.h"

/**
 * rundir_path - name of a directory in it, which may not be there yet
 * @name: of the directory; "" for all of it
 *
 * Return: 0 or -ENAMETOOLONG.
 */
int rundir_path(const char *name, char ret[PATH_MAX]);

/**
 * rundir_open - open a directory in it, made where it is absent
 * @ret_fd: taken; readable
 *
 * Return: 0, -EPERM (it belongs to somebody else), or another errno.
 */
int rundir_open(const char *name, int *ret_fd, struct shale_error *err);

#endif

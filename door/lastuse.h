/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The moment in which a file system has no mount left.  Whoever starts a
 * process in a mount namespace of its own, as each start of a container does,
 * has a copy of every mount for a while, and the file system lives as long.
 */
#ifndef DOOR_LASTUSE_H
#define DOOR_LASTUSE_H

#include <stdbool.h>

/**
 * lastuse_watch - watch a file system, to be asked before it is unmounted
 * @path: of a directory of it
 *
 * The descriptor keeps nothing busy.
 *
 * Return: a descriptor to close, or -1 where there is none to be had: a user
 *         has so many of them (fs.inotify.max_user_instances).
 */
int lastuse_watch(const char *path);

/**
 * lastuse_wait - wait until it is gone from every mount namespace
 *
 * Return: false where somebody still has it after @timeout_ms; true where it is
 *         gone, and where that can't be told: then ask.
 */
bool lastuse_wait(int watch_fd, int timeout_ms);

#endif

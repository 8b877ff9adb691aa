/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finding the directory or file of an image on which something is to be
 * mounted, and making it where it is absent, as a runtime would have done.
 * The image is hostile: its links never lead outside of it.
 */
#ifndef DOOR_TARGET_H
#define DOOR_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshotter.h"

/**
 * struct target - what is looked for
 * @path:       in the image, absolute or not
 * @is_dir:     a directory, else anything but one
 * @is_strict:  no link anywhere in @path: for /proc, /sys and /dev, which an
 *              image could otherwise lead elsewhere
 * @may_create: directories 0755, a file 0644
 */
struct target {
	const char *path;
	bool is_dir, is_strict, may_create;
};

/**
 * target_open - open a mount's destination in an image
 * @root_fd: of the image; no mount in it is entered
 *
 * A link that leads to nothing is followed to where it leads, within the
 * image, and that is made: /etc/resolv.conf is often such a link.
 *
 * Return: an O_PATH descriptor, -ENOENT (absent, not to be created), -ENOTDIR
 *         or -EISDIR (the image has the other kind there), -ELOOP (a link
 *         where none may be, or too many), or another errno.
 */
int target_open(int root_fd, const struct target *target,
		struct shale_error *err);

/**
 * target_check - whether paths of an image can be looked up at all
 *
 * Return: 0, or -ENOTSUP with a sentence.
 */
int target_check(struct shale_error *err);

/**
 * target_check_fixed - see that /proc, /sys and /dev of an image are no links
 *
 * A runtime that makes nodes or links below them by path, before its pivot,
 * makes them where an image's link leads on the host (runc 1.1.5, /dev).
 * So every door asks before a runtime gets the root.
 *
 * Return: 0, -ELOOP, or another errno.
 */
int target_check_fixed(int root_fd, struct shale_error *err);

/**
 * target_look - open what is at a path of an image
 * @path:    absolute or not
 * @resolve: RESOLVE_* besides those of fs_open_in_root
 *
 * Return: an O_PATH descriptor, or a negative errno without a sentence.
 */
int target_look(int root_fd, const char *path, uint64_t resolve);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounting a key as the root of a container, attached nowhere yet.
 */
#ifndef DOOR_ROOTMOUNT_H
#define DOOR_ROOTMOUNT_H

#include <stdbool.h>

#include "shale.h"

/**
 * rootmount_make - mount a key
 * @label:   linux.mountLabel, used where the host has SELinux; NULL for none.
 *           -EINVAL where the key is mounted with another context.
 * @is_view: nobody in the container may ever write, whatever its rights
 * @ret_fd:  taken; for move_mount(2)
 *
 * Return: as shale_mounts and shale_mount_detached; -ENOTSUP where the kernel
 *         has no openat2(2) or move_mount(2).
 */
int rootmount_make(struct shale_store *store, const char *key,
		   const char *label, bool is_view, int *ret_fd,
		   struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A user namespace that nobody lives in: what mount_setattr(2) takes a mapping
 * from.
 */
#ifndef LIB_USERNS_H
#define LIB_USERNS_H

#include "idmap.h"

/**
 * userns_open - a descriptor of a new user namespace with a mapping
 *
 * Made by a child that lives for the moment of its own birth.  It sends the
 * host no SIGCHLD and is no child that a wait(2) of it sees, and it shares
 * memory and descriptors for that moment, so that neither is copied.  Any
 * thread may call.
 *
 * Return: 0, -EPERM, -ENOSPC (user.max_user_namespaces), -EINVAL (the kernel
 *         refuses the mapping) or another errno; with a sentence.
 */
int userns_open(const struct idmaps *maps, int *ret_fd,
		struct shale_error *err);

#endif

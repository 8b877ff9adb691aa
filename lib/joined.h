/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work that needs a working directory, mount namespace or credentials of its
 * own: done in a thread that the caller waits for, so that nothing of the
 * caller's changes, however many threads it has.
 */
#ifndef LIB_JOINED_H
#define LIB_JOINED_H

#include <sys/types.h>

/**
 * joined_run - run @fn in a thread with a working directory of its own
 * @fn:  0 or a negative errno; all signals are blocked while it runs
 * @ctx: passed to @fn
 *
 * The thread has called unshare(CLONE_FS); what else @fn unshares or sets
 * ends with it.  Descriptors are shared with the whole process.
 *
 * Return: what @fn returned, or a negative errno.
 */
int joined_run(int (*fn)(void *ctx), void *ctx);

/**
 * joined_run_as - run @fn while files are made as @uid and @gid
 * @fn: 0 or a negative errno; all signals are blocked while it runs
 *
 * With fsid_become of the calling thread, whose ids are its alone; it is spared
 * another one, which on a busy machine has to wait for its turn.  In a joined
 * thread where the caller would notice.
 *
 * Return: what @fn returned, or a negative errno.
 */
int joined_run_as(uid_t uid, gid_t gid, int (*fn)(void *ctx), void *ctx);

#endif

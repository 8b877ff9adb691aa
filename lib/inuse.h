/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether somebody uses a snapshot: a live process by its label, an overlay
 * mount by the kernel's word, a commit by its flock.
 */
#ifndef LIB_INUSE_H
#define LIB_INUSE_H

#include <sys/file.h>

#include "record.h"

/**
 * inuse_check_user - no live process has the snapshot by SHALE_LABEL_USER
 *
 * Return: 0 or -EBUSY with a sentence.
 */
int inuse_check_user(const struct record *record, struct shale_error *err);

/** inuse_user_pid - the live process that SHALE_LABEL_USER names, or 0 */
long inuse_user_pid(const struct record *record);

/**
 * inuse_check_mounted - no overlay has the active as its upper
 * @fs_fd: the active's fs/
 *
 * Sees mounts in every namespace.  What this leaves in the kernel's log is in
 * probe.h; nothing, where there has been no mount of it yet.  A bind mount
 * can't be asked for: 0.  Where the kernel can't be asked at all a warning goes
 * to the host's log, and 0.
 *
 * Return: 0 or -EBUSY with a sentence.
 */
int inuse_check_mounted(const struct overlay *ov, const struct record *record,
			int fs_fd, struct shale_error *err);

/**
 * inuse_check_unnamed - no overlay is mounted on it for a user without a pid
 *
 * Where SHALE_LABEL_USER says pid 0, whoever mounted it could name no process
 * that would live as long as the container: then the kernel is asked.
 *
 * Return: as inuse_check_mounted.
 */
int inuse_check_unnamed(const struct overlay *ov, const struct record *record,
			struct shale_error *err);

/**
 * inuse_lock - open a directory of active/ and hold it against commits and
 * removals
 * @how:    LOCK_EX to commit, remove or mount an active, LOCK_SH to look
 * @ret_fd: taken; let go with drop_locked_fd
 *
 * Return: 0, -ENOENT (it is gone, or another one now), -EBUSY (a commit, a
 *         removal or a mount has it), or another errno; all with a sentence.
 */
int inuse_lock(const struct overlay *ov, const struct record *record, int how,
	       int *ret_fd, struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stopping a container for a moment: the cgroup freezer, of either version, of
 * the process that a snapshot's user label names.
 */
#ifndef LIB_FREEZE_H
#define LIB_FREEZE_H

#include <sys/types.h>

#include "record.h"

/* A frozen cgroup, and the process that thaws it should we die. */
struct freezer {
	int state_fd; /* with our locks; -1: nothing to thaw */
	int alive_fd; /* a socket, by which we tell the guardian */
	pid_t guardian;
	const char *thaw; /* what to write */
};

#define FREEZER_INIT                           \
	{                                      \
		.state_fd = -1, .alive_fd = -1 \
	}

/**
 * freeze_user - freeze the container that is on record as a snapshot's user
 *
 * One that somebody else has frozen stays so when all ends.  Several of us may
 * do it at once: it is thawed when the last of them ends.  However this process
 * ends, by SIGKILL too, the container is thawed: a child that waits for it
 * does so.
 *
 * Return: 0, -EBADFD (no live process is on record, it is in the root cgroup,
 *         or we are in its cgroup), -ETIMEDOUT (does not freeze within ten
 *         seconds), -EOPNOTSUPP (no freezer), or another negative errno; with
 *         a sentence.
 */
int freeze_user(const struct record *record, struct freezer *ret,
		struct shale_error *err);

/**
 * freeze_end - thaw it, where we are the last; any number of times
 *
 * Return: 0, or a negative errno with a sentence.
 */
int freeze_end(struct freezer *freezer, struct shale_error *err);

static inline void drop_freezer(struct freezer *freezer)
{
	(void)freeze_end(freezer, NULL);
}

#define auto_freezer __attribute__((cleanup(drop_freezer))) struct freezer

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scope owns, take hands over: variables that free themselves when their
 * block ends.  Every drop accepts NULL or -1, keeps errno and leaves the slot
 * empty.
 */
#ifndef BASE_SCOPE_H
#define BASE_SCOPE_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static inline void drop_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

/* Of a flocked descriptor: a child that was forked meanwhile has it as well,
 * and closing ours alone would leave the lock with that child.
 */
static inline void drop_locked_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)flock(*fd, LOCK_UN);
	errno = saved;
	drop_fd(fd);
}

static inline void drop_free(void *slot)
{
	void **p = slot;

	free(*p); /* glibc's free keeps errno since 2.33 */
	*p = NULL;
}

static inline void drop_dir(DIR **dir)
{
	int saved = errno;

	if (*dir)
		(void)closedir(*dir);
	*dir = NULL;
	errno = saved;
}

static inline void drop_file(FILE **file)
{
	int saved = errno;

	if (*file)
		(void)fclose(*file);
	*file = NULL;
	errno = saved;
}

#define auto_fd __attribute__((cleanup(drop_fd))) int
#define auto_locked_fd __attribute__((cleanup(drop_locked_fd))) int
#define auto_free __attribute__((cleanup(drop_free)))
#define auto_dir __attribute__((cleanup(drop_dir))) DIR *
#define auto_file __attribute__((cleanup(drop_file))) FILE *

/* Hands over what a slot owns and leaves the slot empty. */
#define take_ptr(slot)                                \
	__extension__({                               \
		__typeof__(*(slot)) taken_ = *(slot); \
		*(slot) = NULL;                       \
		taken_;                               \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif

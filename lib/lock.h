/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ROOT/lock: flock for writers, and in its first 8 bytes the generation, even
 * at rest and odd while a change is under way.  After a change it is the time of
 * the change in nanoseconds, or higher where the clock was set back: no number
 * comes again.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "overlay.h"

/**
 * generation_read - the generation now; odd where it can't be known
 */
uint64_t generation_read(struct overlay *ov);

/** generation_read_fd - the same, of an open lock file */
uint64_t generation_read_fd(int lock_fd);

/** lock_is_lost - there is no file ROOT/lock, or something else for it */
bool lock_is_lost(const struct overlay *ov);

struct writer {
	struct overlay *ov;
	int fd;
	uint64_t generation; /* even: that of the store before the change */
	uint64_t next;	     /* and after it */
	bool changing;
};

#define WRITER_INIT                                     \
	{                                               \
		.ov = NULL, .fd = -1, .changing = false \
	}

/**
 * writer_begin - take the store's lock
 *
 * It is held for microseconds: no walking, syncing, copying or deleting.
 * Each call opens the lock anew, so that threads exclude each other as
 * processes do.
 *
 * Return: 0, -ETIMEDOUT, -ECANCELED, or another negative errno.
 */
int writer_begin(struct overlay *ov, struct writer *writer,
		 struct shale_error *err);

/**
 * writer_change - make the generation odd: what follows changes the store
 *
 * Return: 0, or a negative errno; then nothing may be changed.
 */
int writer_change(struct writer *writer, struct shale_error *err);

/**
 * writer_end - make the generation even again and let go; any number of times
 */
void writer_end(struct writer *writer);

#define auto_writer __attribute__((cleanup(writer_end))) struct writer

#endif

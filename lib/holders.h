/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who it is: the processes and mounts that keep something busy, as /proc shows
 * them.  Asked only to explain a refusal, or by check; nothing is decided by
 * what is found here, and what can't be seen is not told.
 */
#ifndef LIB_HOLDERS_H
#define LIB_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Room for a command's name, and for a sentence about one holder. */
#define HOLDER_COMM_SIZE 20
#define HOLDER_SIZE 256

/**
 * struct upper_mount - an overlay with an upper, in some mount namespace
 * @pid:      a process of the namespace; 0 where it is the caller's own
 * @comm:     its command
 * @target:   where it is mounted, as that namespace sees it
 * @source:   what it shows for source
 * @upperdir: as it was given to the kernel; or, of one whose ids are mapped,
 *            its path below @source
 * @dev:      "MAJOR:MINOR" of the overlay: the same in each namespace
 */
struct upper_mount {
	long pid;
	const char *comm, *target, *source, *upperdir, *dev;
};

/**
 * holders_each_upper - visit the overlays of all mount namespaces
 * @limit_ms: give up after this long; negative: never
 * @fn:       nonzero stops and is returned
 *
 * Return: 0, what @fn returned, or -ENOMEM.
 */
int holders_each_upper(int64_t limit_ms,
		       int (*fn)(void *ctx, const struct upper_mount *mount),
		       void *ctx);

/**
 * holders_name_upper - "at '/mnt' in the mount namespace of process 5 (sh)"
 * @end: of the path of its upper, with which it was mounted; it may be called
 *       otherwise in front
 * @ret: "" where it is not found soon
 */
void holders_name_upper(const char *end, char ret[HOLDER_SIZE]);

/** holders_where - the same words for one that was found */
void holders_where(const struct upper_mount *mount, char ret[HOLDER_SIZE]);

/**
 * holders_name_mount - "process 5 (sh) has its working directory in it"
 * @mnt_id: of a mount of the caller's namespace
 * @ret:    "" where nobody is found soon
 */
void holders_name_mount(uint64_t mnt_id, char ret[HOLDER_SIZE]);

/**
 * holders_name_flock - "process 5 (sh), which is stopped"
 * @fd:  of the locked file, open anyhow
 * @ret: "" where it is not found
 */
void holders_name_flock(int fd, char ret[HOLDER_SIZE]);

#endif

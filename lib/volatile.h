/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volatile actives: their overlay syncs nothing, so after a crash of the
 * machine the upper may hold anything.  The fact `volatile` has the boot in
 * which the active was prepared: in that boot all that was written is there,
 * from the page cache at least; in another one nobody can tell.
 *
 * The kernel marks the work directory of a volatile overlay, and refuses to
 * mount it again as long as the mark is there, also after a clean unmount.
 */
#ifndef LIB_VOLATILE_H
#define LIB_VOLATILE_H

#include "record.h"

/** volatile_write - write the fact; 0 or a negative errno */
int volatile_write(int dir_fd);

/** volatile_read - read the fact; 0, -ENOENT, -EINVAL (torn) or another */
int volatile_read(int dir_fd, char ret_boot[PROCESS_BOOT_ID_SIZE]);

/**
 * volatile_check - whether all that was written into an active is there
 *
 * Return: 0, or -EBADFD with a sentence: it is volatile and of an earlier
 *         boot.
 */
int volatile_check(const struct record *record, struct shale_error *err);

/**
 * volatile_look - as volatile_check, and whether somebody else mounted it
 * volatile, of which there is no fact but the kernel's mark
 * @upper_fd: the directory with fs/ and work/
 */
int volatile_look(const struct record *record, int upper_fd,
		  struct shale_error *err);

/**
 * volatile_settle - remove the kernel's mark, so that it mounts again
 * @upper_fd: the directory with fs/ and work/
 *
 * Nobody may have it mounted.  The mark stays where the active is of an
 * earlier boot, or was not prepared as volatile: then -EBADFD with a sentence.
 */
int volatile_settle(const struct record *record, int upper_fd,
		    struct shale_error *err);

#endif

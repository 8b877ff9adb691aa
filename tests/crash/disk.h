/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk whose power can be cut: a file system of its own in a file.
 */
#ifndef CRASH_DISK_H
#define CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * disk_make - make a file system in here/image and mount it on here/disk
 * @type: "ext4", "xfs" or "btrfs"
 * @size: in MiB
 *
 * Skips the test where it has no mkfs.  here/store then is a directory in it.
 */
void disk_make(const char *type, unsigned int size);

/**
 * disk_cut - the power goes while @writers write; they are killed
 * @flush: whether what is in the journal's buffer still makes it
 *
 * ext4 and xfs are shut down.  btrfs knows no such call: its writers stop, and
 * a copy of the image takes the image's place.
 */
void disk_cut(const char *type, bool flush, const pid_t *writers, size_t count);

/** disk_return - the power is back: mount it again; the log is replayed */
void disk_return(const char *type);

/** disk_drop - unmount it */
void disk_drop(void);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Touching files as somebody else.  Through an idmapped mount the host's root
 * is nobody who could own a file (EOVERFLOW): what is made there must be made
 * by an id that the mapping knows.
 */
#ifndef BASE_FSID_H
#define BASE_FSID_H

#include <sys/types.h>

/**
 * fsid_become - make files as @uid and @gid from now on
 *
 * The calling thread's alone, and with the capabilities that it has; its own
 * ids again by fsid_restore.
 *
 * Return: 0 or a negative errno: -EPERM without CAP_SETUID and CAP_SETGID.
 */
int fsid_become(uid_t uid, gid_t gid);

/** fsid_restore - make files as the effective ids again */
void fsid_restore(void);

#endif

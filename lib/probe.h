/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asking the kernel whether an overlay has a directory as its upper, in
 * whatever mount namespace.
 */
#ifndef LIB_PROBE_H
#define LIB_PROBE_H

/**
 * probe_upper - whether an overlay has @fd as its upper
 * @fd:   lent; a directory, O_PATH is enough, of the caller's mount namespace
 * @path: the same directory, absolute; only a helper process uses it
 *
 * Where none has it, and the kernel is 6.8 or newer, the store's file system
 * has file handles, and the caller is no user namespace's root, nothing is
 * written anywhere.  Else it is one line in the kernel's log, at 0 too, and two
 * where one has it.
 *
 * Asks by fsopen(2), by mount(2) where that is missing (Linux 5.2), and,
 * without the privilege for either, from a child in a user and a mount
 * namespace of its own.  The child is no SIGCHLD to the caller, and gone when
 * this returns.
 *
 * Return: 0 (none has), -EBUSY (one has), or another negative errno, with
 *         which the kernel could not be asked; without a sentence.
 */
int probe_upper(int fd, const char *path);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hook gives away before it reads the first byte that a container's
 * author may have written.
 */
#ifndef HOOKS_CONFINE_H
#define HOOKS_CONFINE_H

#include "snapshotter.h"

/**
 * confine_environment - a fixed PATH, and SHALE_MOUNT_ENGINE as it was
 *
 * Without "env" in its configuration a hook gets the environment of the
 * caller, or even of the container.
 *
 * Return: 0 or -ENOMEM.
 */
int confine_environment(struct shale_error *err);

/**
 * confine_privilege - keep the capabilities of file systems and mounts, and
 * no system call that starts a program, loads code into the kernel or looks
 * into another process
 *
 * To be called while there is one thread; the later ones inherit it.  Memory
 * is not dumped and no set-user-id program helps any more.  A system call
 * that is not allowed ends the process with a sentence, in a joined thread
 * with SIGSYS.  On a kernel without seccomp the rest holds.
 *
 * Return: 0 or a negative errno.
 */
int confine_privilege(struct shale_error *err);

#endif

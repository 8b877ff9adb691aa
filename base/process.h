/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Naming a process so that neither a reused pid nor a reboot confuses it, and
 * what a program does for its own before all else.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define PROCESS_BOOT_ID_SIZE 37

/**
 * process_boot_id - the kernel's boot id
 *
 * Return: 0 or a negative errno.
 */
int process_boot_id(char ret[PROCESS_BOOT_ID_SIZE]);

/**
 * process_start_time - start of a process in clock ticks since boot
 *
 * Return: 0, -ESRCH (no such process, or a zombie), or another errno.
 */
int process_start_time(long pid, uint64_t *ret);

/**
 * process_fill_streams - open closed standard streams on /dev/null
 *
 * Else a store's descriptor would become stdout, or stderr, and take what is
 * meant for that.  They are opened so that writing to them fails.
 */
void process_fill_streams(void);

/**
 * process_raise_limit - have as many descriptors open as the hard limit allows
 *
 * For programs that exec nothing: a mount may take two a layer, and the usual
 * soft limit is there for select(2).
 */
void process_raise_limit(void);

/**
 * process_hear_children - be told how children end
 * @ret_inherited: to be given back to sigaction(2) for SIGCHLD
 *
 * Where a caller leaves SIGCHLD ignored, nobody is.
 */
void process_hear_children(struct sigaction *ret_inherited);

/* "PID START BOOT", which process_name writes. */
#define PROCESS_NAME_SIZE (2 * 21 + PROCESS_BOOT_ID_SIZE)

/**
 * process_name - a process, by pid, start time and boot id
 *
 * Return: 0 or a negative errno.
 */
int process_name(long pid, char ret[PROCESS_NAME_SIZE]);

/**
 * process_find - the live process of such a name
 * @ret_rest: what follows the name and a blank; may be NULL
 *
 * Return: its pid, or 0.
 */
long process_find(const char *name, const char **ret_rest);

/**
 * process_in_user_namespace - whether this process is in another than the
 * initial one; no where that can't be known
 *
 * Needs no descriptor, of which there may be no more.
 */
bool process_in_user_namespace(void);

/**
 * process_is_admin - whether this thread has CAP_SYS_ADMIN in its user
 * namespace
 */
bool process_is_admin(void);

/** process_kernel_before - whether the kernel is older than MAJOR.MINOR */
bool process_kernel_before(unsigned long major, unsigned long minor);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which OCI runtime called us, where it keeps its containers, and whether it
 * holds a descriptor of a mount.  All is read from the host's procfs, which
 * a hook of stage createContainer still sees.
 */
#ifndef DOOR_RUNTIME_H
#define DOOR_RUNTIME_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "command.h"
#include "snapshotter.h"

/**
 * struct runtime_words - what a command line says
 * @root: argument of --root; NULL where there is none; points into the line
 */
struct runtime_words {
	enum runtime_kind kind;
	const char *root;
};

/**
 * runtime_parse - whether a command line is a runtime's
 * @args: words, each with a NUL behind it, as in /proc/PID/cmdline
 * @len:  with the last NUL
 *
 * Known by name (command_kind), else by a --root before a verb of runtimes.
 * "runc init" is the container's own process and counts as none.
 */
struct runtime_words runtime_parse(char *args, size_t len);

/**
 * struct runtime - who called us
 * @parent: pid of the process that started us; in createContainer that is
 *          the container's init
 * @root:   the runtime's --root, without links; "" where it is not known
 */
struct runtime {
	long parent;
	char root[PATH_MAX];
};

/**
 * runtime_find - look at the processes above us
 * @id: of a container that the root must have, else the root is not known;
 *      NULL when it may be gone already
 *
 * Return: 0, also where no runtime is found, or a negative errno: no procfs.
 */
int runtime_find(const char *id, struct runtime *ret, struct shale_error *err);

/**
 * runtime_default_root - where a runtime keeps its containers without --root
 * @pid:  of the runtime, whose environment counts; 0 for the caller
 * @kind: RUNTIME_RUNC or RUNTIME_CRUN
 */
void runtime_default_root(long pid, enum runtime_kind kind, char ret[PATH_MAX]);

/**
 * runtime_settle_root - a root in the one spelling that it has when it is there
 * @path: absolute
 * @ret:  without links; what the runtime has yet to make has none.  "" where
 *        that is too long
 */
void runtime_settle_root(const char *path, char ret[PATH_MAX]);

/**
 * runtime_parent - pid of a process's parent, 0 for none
 * @pid: 0 for the caller
 *
 * Return: 0 or a negative errno.
 */
int runtime_parent(long pid, long *ret);

/**
 * runtime_find_init - the process that will be the container's init
 *
 * For a hook in the container's mount namespace: the topmost of the processes
 * above us that are in it too.
 *
 * Return: 0, -ENOENT (all above us are in our mount namespace: it is not a
 *         container's), or another errno.
 */
int runtime_find_init(long *ret, struct shale_error *err);

/**
 * runtime_holds_mount - whether a process has a descriptor on a mount
 *
 * Return: true also where that can't be read.
 */
bool runtime_holds_mount(long pid, uint64_t mnt_id);

/**
 * runtime_caller - our own uid, as the outside of our user namespace counts
 */
uid_t runtime_caller(void);

/**
 * runtime_is_mapped - whether a process's user namespace maps uids at all
 * @pid: 0 for the caller
 *
 * Return: true also where that can't be read.
 */
bool runtime_is_mapped(long pid);

#endif

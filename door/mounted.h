/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounts that stand on the host for a container, on record below
 * /run/shale/DOOR: one directory a container, in which each fact is a symbolic
 * link, as in a store.  A later process has to take the mount down, and knows
 * nothing but the container.
 *
 * The record is whole before anything is mounted or claimed; the fact
 * `format` comes last and certifies the others.  A directory without it means
 * that nothing was done yet, or all is undone.
 *
 * Whoever works on a record holds its directory's flock.  A process that dies
 * lets go of it, and what it has left is for the next one.
 */
#ifndef DOOR_MOUNTED_H
#define DOOR_MOUNTED_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rundir.h"
#include "snapshotter.h"

/* The doors that keep records: also what labels of owners have. */
#define DOOR_RUNTIME "runtime"
#define DOOR_PRECREATE RUNDIR_PRECREATE

/* In the record: what is mounted on where it has no other target. */
#define MOUNTED_OWN_TARGET "rootfs"

/**
 * struct mounted - strings are the record's
 * @door:    static
 * @runtime: path of the real runtime; "" where nobody tells
 * @root:    where that keeps its containers; "" where it is not known
 * @id:      of the container
 * @bundle:  "" where there is none
 * @target:  absolute path of the directory that is mounted on
 * @store:   root of the store
 * @store_option, @config_option: what the door was given; "" for
 *           none
 * @caller:  who called the door, where no runtime can be asked about the
 *           container: as process_name has it
 * @boot:    boot id
 * @space:   the mount namespace, as in /proc/self/ns/mnt
 * @mount:   id of the mount (fs_unique_mnt_id); 0 until it is made
 * @device:  of its files
 * @watch_fd: tells of its last use (lastuse.h) once mounted_unmount has taken
 *            it down, unless it is a bind of the store's own; else -1
 */
struct mounted {
	const char *door;
	char *runtime, *root, *id;
	char *bundle, *target, *key;
	char *store, *store_option, *config_option;
	char *caller, *boot, *space;
	uint64_t mount, device;
	int watch_fd;
	/* of the record itself */
	int room_fd, fd;
	bool is_certified;
	char name[NAME_MAX + 1];
};

/* The fact that tells of the mount while it stands: ID:DEVICE. */
#define MOUNTED_FACT "mount"

/* What to do about a torn record, of which nothing tells what it mounted. */
#define MOUNTED_TORN_REMEDY \
	"unmount by hand what is mounted for it, and remove it"

#define MOUNTED_INIT                                     \
	{                                                \
		.watch_fd = -1, .room_fd = -1, .fd = -1, \
	}

/** mounted_clear - let go of a record, which stays; accepts a cleared one */
void mounted_clear(struct mounted *mounted);

#define auto_mounted __attribute__((cleanup(mounted_clear))) struct mounted

/**
 * mounted_is_on_record - whether a container has a record
 * @id: may be NULL, or what no container's name can be
 *
 * Costs one system call or two and reads nothing.
 */
bool mounted_is_on_record(const char *door, const char *runtime,
			  const char *root, const char *id);

/**
 * mounted_create - write a record and hold it
 * @mounted: all strings but caller, boot and space are set; each is a copy of
 *           its own.  Without a target it is a directory in the record's own,
 *           made by mounted_own_target
 *
 * Return: 0, -EEXIST (there is one), -EINVAL (the id can't be a file's name),
 *         or another errno.
 */
int mounted_create(struct mounted *mounted, struct shale_error *err);

/* What to do about a record that another process works on. */
enum mounted_wait {
	MOUNTED_NOW,  /* it is -EBUSY */
	MOUNTED_WAIT, /* so it is after ten seconds */
};

/**
 * mounted_open - read a record and hold it
 * @ret: one of MOUNTED_INIT; cleared with mounted_clear
 *
 * Return: 0, -ENOENT, -EBUSY, -EUCLEAN (it is somebody else's, or torn).
 */
int mounted_open(const char *door, const char *runtime, const char *root,
		 const char *id, enum mounted_wait wait, struct mounted *ret,
		 struct shale_error *err);

/**
 * mounted_walk - visit each record of a door that nobody else works on
 * @fn: the record is cleared after; nonzero stops the walk and is returned.
 *      With a @torn sentence it contradicts itself, and has a name alone; else
 *      that is NULL
 *
 * Return: 0, what @fn returned, or a negative errno with a sentence.
 */
int mounted_walk(const char *door,
		 int (*fn)(void *ctx, struct mounted *mounted,
			   const char *torn),
		 void *ctx, struct shale_error *err);

/**
 * mounted_has_key - whether a record of a container of this id has the key
 * @door: that keeps records, or another
 *
 * Of any runtime, root and store; also one that another process works on, or
 * that is not certified.  Reads the links alone.
 */
bool mounted_has_key(const char *door, const char *id, const char *key);

/** mounted_is_same_runtime - whether a record is of a runtime and its root */
bool mounted_is_same_runtime(const struct mounted *mounted, const char *runtime,
			     const char *root);

/**
 * mounted_check_target - see that no other record has this target
 *
 * Return: 0, -EEXIST (named), or another errno.
 */
int mounted_check_target(const struct mounted *mounted,
			 struct shale_error *err);

/**
 * mounted_own_target - make the directory that a record without a target has
 * @gid:    the host's number of the group that may come to it, the root of a
 *          user namespace; our own lets nobody in
 * @ret_fd: taken; O_PATH
 *
 * Nobody else may run what its image has as setuid root.
 */
int mounted_own_target(const struct mounted *mounted, gid_t gid, int *ret_fd,
		       struct shale_error *err);

/**
 * mounted_attach - put a detached mount on the target
 * @mount_fd:  lent
 * @target_fd: the target, O_PATH
 *
 * Its id goes on record first.  It is private afterwards, and was seen at the
 * target's name.
 */
int mounted_attach(struct mounted *mounted, int mount_fd, int target_fd,
		   struct shale_error *err);

/**
 * mounted_unmount - unmount what the record says, if it is there
 * @ret_done: whether it is gone; false where it is not on its target, or not
 *            in this mount namespace
 *
 * Whoever still uses it keeps it, without its place.
 *
 * Return: 0, -EBUSY (something else is mounted in a directory of the record's
 *         own), or another errno.
 */
int mounted_unmount(struct mounted *mounted, bool *ret_done,
		    struct shale_error *err);

/* "'PATH' in the mount namespace of process PID" */
#define MOUNTED_PLACE_SIZE (PATH_MAX + 64)

/**
 * mounted_is_elsewhere - whether the mount stands where mounted_unmount does
 * not reach it
 *
 * It was moved, or another covers it, or it is in another mount namespace,
 * where it is looked for on its target.
 *
 * Return: false also where that can't be seen.
 */
bool mounted_is_elsewhere(const struct mounted *mounted,
			  char ret_place[MOUNTED_PLACE_SIZE]);

/** mounted_remove - remove the record, which is cleared as well */
int mounted_remove(struct mounted *mounted, struct shale_error *err);

/** mounted_is_of_this_boot - whether its mount can still be there */
bool mounted_is_of_this_boot(const struct mounted *mounted);

/**
 * mounted_is_used - whether a process has the mount as its root
 * @ask_caller: or the record's caller lives, and may be about to start one
 */
bool mounted_is_used(const struct mounted *mounted, bool ask_caller);

/** mounted_path - where the record is, for messages */
void mounted_path(const struct mounted *mounted, char ret[PATH_MAX]);

#endif

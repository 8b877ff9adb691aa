/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounts that stand on the host for a container, and the record of each: a
 * later process has to take it down, and knows nothing but the container.
 *
 *	/run/shale/DOOR/CONTAINER/record	JSON; written before the mount
 *	/run/shale/DOOR/CONTAINER/rootfs	where it is mounted
 *
 * Without root, and in a user namespace, below /run/user/UID/shale instead.
 * The directory's flock is held by whoever changes something in it.
 */
#ifndef DOOR_ATTACHMENT_H
#define DOOR_ATTACHMENT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "scope.h"
#include "snapshotter.h"

/**
 * struct attachment - one container's directory, locked
 * @dir_fd: its descriptor, with the flock
 * @path:   of the directory, for messages
 * @target: PATH/rootfs
 * @has_record: what follows was read or stored
 * @store, @key: what is mounted
 * @boot:   boot id
 * @pid, @started: who called the door
 * @mnt_id, @dev: of the mount; 0 before it was made
 */
struct attachment {
	int dir_fd;
	char path[PATH_MAX / 2], target[PATH_MAX];
	const char *door;
	char *container;
	bool has_record;
	char *store, *key, *boot;
	uint64_t pid, started, mnt_id, dev;
};

#define ATTACHMENT_INIT      \
	{                    \
		.dir_fd = -1 \
	}

/**
 * attachment_open - lock a container's directory and read its record
 * @door:      a word, static
 * @container: letters, digits, '_', '.', '-'; else -EINVAL
 * @create:    make it where it is absent; else that is -ENOENT, without a
 *             sentence
 * @wait:      for another process's lock; else that is -EBUSY, without a
 *             sentence
 * @ret:       cleared with attachment_close
 *
 * Return: 0, -EPERM (a directory is somebody else's, or others may write it),
 *         -EBADMSG (the record), or another errno.
 */
int attachment_open(const char *door, const char *container, bool create,
		    bool wait, struct attachment *ret, struct shale_error *err);

/** attachment_close - unlock; changes nothing on disk */
void attachment_close(struct attachment *a);

/**
 * attachment_record - say what will be mounted for whom, or what is now
 * @mount_fd: root of the mount, not attached yet; -1 where it is not made yet
 *
 * The caller's parent is the process on record.
 */
int attachment_record(struct attachment *a, const char *store, const char *key,
		      int mount_fd, struct shale_error *err);

/**
 * attachment_let_in - let the root of a user namespace come to the mount
 * @gid: the host's number of its group 0; our own lets nobody in
 */
int attachment_let_in(const struct attachment *a, gid_t gid,
		      struct shale_error *err);

/**
 * attachment_put - attach a mount at a->target, private
 *
 * Return: 0, -EBUSY (something is mounted there, or it is not empty), or
 *         another errno.
 */
int attachment_put(const struct attachment *a, int mount_fd,
		   struct shale_error *err);

/**
 * attachment_take_down - unmount what is on record, however busy it is
 *
 * Return: 0, also where it is mounted no more; -EBUSY where something else
 *         lies on it.
 */
int attachment_take_down(const struct attachment *a, struct shale_error *err);

/** attachment_forget - remove the directory, in which nothing is mounted */
int attachment_forget(struct attachment *a, struct shale_error *err);

/**
 * attachment_is_used - whether a process has the mount as its root, or the
 * record's caller lives and may be about to start one
 * @ask_caller: else only the first
 */
bool attachment_is_used(const struct attachment *a, bool ask_caller);

/**
 * attachment_each - visit the directories of a door
 * @fn: gets each that no other process has locked; a negative errno does not
 *      stop the walk
 *
 * Return: 0, or the first failure.
 */
int attachment_each(const char *door,
		    int (*fn)(void *ctx, struct attachment *a,
			      struct shale_error *err),
		    void *ctx, struct shale_error *err);

static inline void drop_attachment(struct attachment *a)
{
	attachment_close(a);
}

#define auto_attachment \
	__attribute__((cleanup(drop_attachment))) struct attachment

#endif

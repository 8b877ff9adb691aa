/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Putting a root file system under the mounts that a runtime has made already.
 *
 * R is the mount that the runtime made of the bundle's rootfs.  The new root
 * goes on top of R, then each mount that was on R moves to the same place on
 * the new root.  Everything goes from descriptor to descriptor, and mount ids
 * tell whether each is what it should be: what a name leads to is never
 * believed.  On a failure half way the mount namespace is unusable, and dies
 * with the container that the runtime then gives up.
 */
#ifndef DOOR_PLACE_H
#define DOOR_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "snapshotter.h"

struct place;

/**
 * place_open - look at a container's mounts
 * @pid:    of its init, whose mount namespace is meant and must not be ours;
 *          0: our own namespace is the container's
 * @rootfs: absolute path, as the runtime sees it
 * @ret:    taken; closed with place_close
 *
 * Changes nothing.
 *
 * Return: 0, -EINVAL (@rootfs is no mount there, the namespace is ours), -EBUSY
 *         (a mount on it is hidden by another; named), -ENOTSUP (the kernel
 *         lacks openat2 or move_mount), or another errno.
 */
int place_open(long pid, const char *rootfs, struct place **ret,
	       struct shale_error *err);

/**
 * place_read - the same from a mountinfo that is given
 * @rootfs:  for the sentences
 * @root_fd: on R; taken, also on failure
 * @mnt_id:  of R
 */
int place_read(FILE *mountinfo, const char *rootfs, int root_fd,
	       uint64_t mnt_id, struct place **ret, struct shale_error *err);

/** place_close - accepts NULL */
void place_close(struct place *place);

/** place_mnt_id - id of R */
uint64_t place_mnt_id(const struct place *place);

/** place_has - whether a mount is exactly at @path on R: "/dev" */
bool place_has(const struct place *place, const char *path);

/**
 * place_own_bind - path of a mount that shows R's own tree at its place, and
 * would hide what the new root has there; NULL for none
 */
const char *place_own_bind(const struct place *place);

/**
 * place_covers - whether a mount is at @path on R, or above it
 *
 * By the name alone: false where that has a "..".
 */
bool place_covers(const struct place *place, const char *path);

/**
 * struct place_wish - how the root should be
 * @is_view:   nothing can be created in it
 * @read_only: the runtime will not make it so, we do
 * @cwd:       a directory to make where it is absent; NULL for none
 * @uid, @gid: who makes what is absent: the container's root as we count, since
 *             in a root that is idmapped nobody else can
 */
struct place_wish {
	bool is_view, read_only;
	const char *cwd;
	uid_t uid;
	gid_t gid;
};

/**
 * place_put - put a new root under the mounts of R
 * @root_fd: of a detached mount; lent
 *
 * Finds or makes every destination before anything is moved, and has a last
 * look at all after.  The new root inherits ro, nosuid, nodev, noexec of R.
 *
 * The calling thread is meanwhile in the container's mount namespace.  When it
 * comes back, its root and working directory are the root of its own one.
 */
int place_put(struct place *place, int root_fd, const struct place_wish *wish,
	      struct shale_error *err);

static inline void drop_place(struct place **place)
{
	place_close(*place);
	*place = (struct place *)0;
}

#define auto_place __attribute__((cleanup(drop_place))) struct place *

#endif

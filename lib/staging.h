/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * staging/ and trash/: what is not there yet, and what is there no more.  A
 * staged entry belongs to whoever holds its flock.
 */
#ifndef LIB_STAGING_H
#define LIB_STAGING_H

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "lock.h"

struct staged {
	struct overlay *ov;
	int fd; /* -1: nothing staged */
	char name[ID_SIZE];
	struct stat st; /* when it was made */
};

#define STAGED_INIT                  \
	{                            \
		.ov = NULL, .fd = -1 \
	}

/**
 * staged_new - make an empty directory 0700 in staging/ and flock it
 */
int staged_new(struct overlay *ov, struct staged *staged,
	       struct shale_error *err);

/**
 * staged_publish - rename it into a room; the store's lock is held
 *
 * What lies there uncertified goes to trash first, as *@ret_trash says.
 *
 * Return: 0 or a negative errno with a sentence; on failure it stays staged.
 */
int staged_publish(struct staged *staged, enum room room, const char *id,
		   char ret_trash[ID_SIZE], struct shale_error *err);

/**
 * staged_rename - the same to any place of the store where nothing is
 */
int staged_rename(struct staged *staged, int dir_fd, const char *name,
		  struct shale_error *err);

/** staged_drop - delete it, unless it was published */
void staged_drop(struct staged *staged);

#define auto_staged __attribute__((cleanup(staged_drop))) struct staged

/**
 * trash_move - rename an entry of @dir_fd into trash/; the lock is held
 * @ret_trash: its name there
 */
int trash_move(struct overlay *ov, int dir_fd, const char *name,
	       char ret_trash[ID_SIZE]);

/**
 * trash_is_refused - whether a rename into trash/ failed so that what was to go
 * there has to be deleted where it is
 *
 * A full disk has no room for it, and overlayfs refuses it for a directory of a
 * lower layer.
 */
static inline bool trash_is_refused(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EXDEV;
}

/**
 * trash_make_room - move what lies uncertified at a place to trash
 * @ret_trash: its name there, "" where nothing was
 */
int trash_make_room(struct overlay *ov, enum room room, const char *id,
		    char ret_trash[ID_SIZE], struct shale_error *err);

/**
 * trash_empty - delete an entry of trash/, without the lock; "" is none
 *
 * What can't be deleted now is warned of and left for cleanup.
 */
void trash_empty(struct overlay *ov, const char *name);

/**
 * dir_create - make a directory with exactly this mode and owner
 *
 * Whatever the umask; without an inherited ACL or set-group-ID bit.
 */
int dir_create(int dir_fd, const char *name, mode_t mode, uid_t uid, gid_t gid);

/**
 * staged_make_fs - make the directory fs of what is being built, and open it
 * @dir_fd: of the staged directory, or of an upper elsewhere
 * @ret_fd: written on success alone
 */
int staged_make_fs(int dir_fd, mode_t mode, int *ret_fd,
		   struct shale_error *err);

/**
 * dir_create_in_ours - the same in a directory that staged_new or dir_create
 * made, from which no ACL can be inherited
 */
int dir_create_in_ours(int dir_fd, const char *name, mode_t mode, uid_t uid,
		       gid_t gid);

#endif

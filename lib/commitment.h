/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kinds of commit share: the one that renames the active
 * (overlay_commit.c), the one that copies it and keeps it going
 * (overlay_keep.c), and the one of an active whose files are elsewhere
 * (overlay_gather.c).
 */
#ifndef LIB_COMMITMENT_H
#define LIB_COMMITMENT_H

#include <stdbool.h>

#include "record.h"

struct commitment {
	struct overlay *ov;
	const char *name;
	char id[ID_SIZE]; /* of the name */
	char **labels;
	struct record *active;
	struct record *rebase; /* the parent to give it, or NULL */
	bool has_manifest;     /* is to have one */
	int dir_fd; /* the active's directory; flocked but for keep */
	int fs_fd;  /* its files, wherever they are */
};

void commitment_drop(struct commitment *commitment);

#define auto_commitment \
	__attribute__((cleanup(commitment_drop))) struct commitment

/**
 * commitment_certify - measure and sync a tree, and write its facts
 * @dir_fd: the directory to become a committed snapshot
 * @fs_fd:  its fs/
 *
 * Without the lock; may take minutes.
 */
int commitment_certify(const struct commitment *c, int dir_fd, int fs_fd,
		       struct shale_error *err);

/**
 * commitment_check_again - under the lock: all that was true must still be
 * @may_be_used: whether a container may have the active
 */
int commitment_check_again(const struct commitment *c, bool may_be_used,
			   struct shale_error *err);

/**
 * commitment_sync_rooms - sync what the rename changed
 *
 * An error here is told, and the snapshot exists all the same.
 */
int commitment_sync_rooms(struct overlay *ov, bool is_kept,
			  struct shale_error *err);

/**
 * commitment_keep - commit a copy of the active, which goes on
 * @c:        checked; dir_fd and fs_fd not open yet
 * @freezing: stop the container on record while its files are copied
 */
int commitment_keep(struct commitment *c, bool freezing,
		    struct shale_error *err);

/**
 * commitment_gather - commit an active whose files are elsewhere, or have
 * other owners than inside
 * @c: held and seen to be unused
 */
int commitment_gather(struct commitment *c, struct shale_error *err);

#endif

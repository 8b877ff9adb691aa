/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the fs/ and work/ of an active are: in its own directory, or in one
 * that the configuration calls by a name, as on a tmpfs or a faster disk.
 * Nobody else builds that path.
 *
 *   DIR/STORE/RANDOM/   0700; STORE is the ID of the path of the store's root,
 *     fs/  work/        so that stores and copies of a store share DIR; RANDOM
 *                       is the name that the active had in staging/
 *
 * An active's fact `upper` is NAME/RANDOM.  What no active refers to and nobody
 * builds (no staging/RANDOM) is garbage: cleanup removes it.
 */
#ifndef LIB_UPPER_H
#define LIB_UPPER_H

#include "record.h"

/**
 * upper_configure - take NAME=/abs/dir of the configuration
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int upper_configure(struct overlay *ov, const char *value);

/** upper_check_name - whether the configuration has an upper of that name */
int upper_check_name(const struct overlay *ov, const char *name,
		     struct shale_error *err);

/**
 * upper_create - make an empty directory for a new active
 * @staged_name: its name in staging/, where it is already
 * @staged_fd:   gets the fact `upper`
 * @ret_fd:      taken
 *
 * On failure nothing is left.
 */
int upper_create(const struct overlay *ov, const char *name,
		 const char *staged_name, int staged_fd, int *ret_fd,
		 struct shale_error *err);

/** upper_read - read the fact; 0, -ENOENT, -EINVAL (torn) or another */
int upper_read(int dir_fd, char **ret);

/**
 * upper_open - open the directory that holds an active's fs/ and work/
 * @ret_fd: taken
 *
 * Return: 0, -EBADFD (the name is no longer configured, or nothing is there,
 *         as on a tmpfs after a reboot), or another errno; with a sentence.
 */
int upper_open(const struct overlay *ov, const struct record *record,
	       int *ret_fd, struct shale_error *err);

/**
 * upper_open_fs - open the fs/ of an active, or of a view without parent
 * @flags: besides O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
 */
int upper_open_fs(const struct overlay *ov, const struct record *record,
		  int flags, int *ret_fd, struct shale_error *err);

/**
 * upper_path - the path of an active's fs or work, for a mount
 * @leaf: "fs" or "work"
 *
 * Return: to be freed; NULL without memory.
 */
char *upper_path(const struct overlay *ov, const struct record *record,
		 const char *leaf);

/**
 * upper_remove - delete what upper_create made, once no active refers to it
 * @upper: the fact; NULL for an active that has it all in the store
 *
 * What can't be deleted now is warned of and left for cleanup.
 */
void upper_remove(struct overlay *ov, const char *upper);

/**
 * upper_visit_fn - one entry of a directory for uppers
 * @path, @dir_fd: of DIR/STORE
 * @name:      in it, also "."; where it is no RANDOM it is none of ours
 * @is_orphan: no active refers to it, nobody builds it and nobody is about to
 *             delete it
 */
typedef int upper_visit_fn(void *ctx, const char *path, int dir_fd,
			   const char *name, bool is_orphan);

/**
 * upper_each - visit all that is in the configured directories that are there
 *
 * Return: 0, the first that was positive, which ends it, or the first failure:
 *         the other directories are visited all the same.
 */
int upper_each(struct overlay *ov, upper_visit_fn *fn, void *ctx,
	       struct shale_error *err);

/** upper_remove_orphan - delete such an entry */
int upper_remove_orphan(struct overlay *ov, int dir_fd, const char *name,
			struct shale_error *err);

/**
 * upper_cleanup - delete what no active refers to
 * @removed: how many more
 */
int upper_cleanup(struct overlay *ov, uint64_t *removed,
		  struct shale_error *err);

#endif

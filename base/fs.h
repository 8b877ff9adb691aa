/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files by descriptor: opening inside a root, reading links, walking and
 * deleting trees.  Nothing here knows a store or a container.
 */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "snapshotter.h"

/* Longest symlink target that every file system takes (XFS), and NUL. */
#define FS_LINK_SIZE 1024

/**
 * fs_open_in_root - open a path as if @root_fd were /
 * @path:    may be absolute or not; ".." and links stay inside
 * @flags:   as for openat2; O_CLOEXEC is added
 * @resolve: RESOLVE_* besides RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS; with
 *           RESOLVE_BENEATH that replaces RESOLVE_IN_ROOT
 *
 * Return: a descriptor, or a negative errno; -ENOTSUP without openat2(2)
 *         (Linux 5.6): no other call keeps a hostile path inside.
 */
int fs_open_in_root(int root_fd, const char *path, uint64_t flags,
		    uint64_t resolve);

/**
 * fs_flock - flock(2) that is tried for a while
 * @tries: so many more, a millisecond apart
 *
 * Makes only such calls as a signal handler may make.
 *
 * Return: 0, -ETIMEDOUT (somebody has it all the time), or another negative
 *         errno.
 */
int fs_flock(int fd, int how, int tries);

/**
 * fs_read_link - read a symlink's whole target
 * @ret: FS_LINK_SIZE bytes, NUL-terminated
 *
 * Return: its length, or a negative errno; -ENAMETOOLONG past the buffer.
 */
int fs_read_link(int dir_fd, const char *name, char *ret);

/* Room for what fs_fd_path writes. */
#define FS_FD_PATH_SIZE (sizeof("/proc/self/fd/") + 3 * sizeof(int))

/**
 * fs_fd_path - "/proc/self/fd/N": for calls that take no O_PATH descriptor
 */
void fs_fd_path(int fd, char ret[FS_FD_PATH_SIZE]);

/**
 * fs_fd_target - the path of what a descriptor has open, without links
 * @ret: PATH_MAX bytes; on an error one is "" or a path that is no absolute one
 *
 * Return: 0, -ENOENT (it can't be reached from our root), or another negative
 *         errno.
 */
int fs_fd_target(int fd, char *ret);

/**
 * fs_mnt_id - id of the mount that a descriptor or path is on
 * @path: "" for @fd itself; links are not followed
 *
 * Return: 0 or a negative errno.
 */
int fs_mnt_id(int fd, const char *path, uint64_t *ret);

/**
 * fs_unique_mnt_id - the same, as a number that no other mount of this boot
 * has had or will have; before Linux 6.8 it is fs_mnt_id's
 */
int fs_unique_mnt_id(int fd, const char *path, uint64_t *ret);

/**
 * fs_find_mnt - the number that fs_mnt_id has for fs_unique_mnt_id's
 *
 * Return: 0, -ENOENT (it is not in this mount namespace), or another errno.
 */
int fs_find_mnt(uint64_t unique, uint64_t *ret);

/* One entry that fs_walk visits. */
struct fs_entry {
	int parent_fd;
	const char *name;
	const struct stat *st;
};

/**
 * fs_walk - visit all below a directory, never crossing a mount
 * @dir_fd: lent; a readable directory, itself not visited
 * @visit:  called for everything but directories, and for each directory
 *          after all in it; nonzero stops the walk and is returned
 *
 * Follows no link, and takes any depth with a few descriptors.  What
 * disappears meanwhile is passed over; a mount point is visited and not
 * entered.
 *
 * Return: 0, what @visit returned, or a negative errno.
 */
int fs_walk(int dir_fd, int (*visit)(void *ctx, const struct fs_entry *entry),
	    void *ctx);

/*
 * What fs_walk_live calls.  It knows no type for sure before something is
 * open: an entry's `st` is NULL, except of a mount point.
 * @enter: a directory, open as @fd, before what is in it
 * @visit: whatever else; FS_IS_DIR where it turned out to be a directory, to
 *         have it entered; a mount point is visited with its `st`
 * @leave: the directory again, after what is in it
 * @fail:  a directory that can't be opened (@fd is -1) or, after @enter, not be
 *         read; 0 where the walk is to go on without what is in it
 * Any other result than 0 stops the walk and is returned.
 */
struct fs_visitor {
	int (*enter)(void *ctx, const struct fs_entry *entry, int fd);
	int (*visit)(void *ctx, const struct fs_entry *entry);
	int (*leave)(void *ctx, const struct fs_entry *entry, int fd);
	int (*fail)(void *ctx, const struct fs_entry *entry, int fd, int r);
};

#define FS_IS_DIR 1

/**
 * fs_walk_live - visit all below a directory that others change meanwhile
 *
 * As fs_walk, and each name that is there all the time is visited, once, also
 * while it is replaced by a rename: a directory that changes while it is read
 * is read again.  Names come in the order of their bytes.
 *
 * Return: as fs_walk; -ESTALE where a directory was moved while in it.
 */
int fs_walk_live(int dir_fd, const struct fs_visitor *visitor, void *ctx);

/* A file as it was at some moment. */
struct fs_moment {
	struct stat st;
	bool is_settled; /* a later change would show in its ctime */
};

/** fs_moment_take - look at an open file; 0 or a negative errno */
int fs_moment_take(int fd, struct fs_moment *ret);

/** fs_moment_same - whether nothing was written between two moments */
bool fs_moment_same(const struct fs_moment *before,
		    const struct fs_moment *after);

/**
 * fs_path - the path of a name in an open directory, for a sentence
 * @ret: PATH_MAX bytes; the name alone where there is no such path
 */
void fs_path(int dir_fd, const char *name, char *ret);

/**
 * fs_empty - delete all below a directory, which itself stays
 *
 * In all else as fs_remove_tree.
 */
int fs_empty(int dir_fd, int (*stop)(void *ctx), void *ctx);

/**
 * fs_remove_tree - delete @name and all below it
 *
 * As fs_walk; two may do it at once.
 *
 * Return: 0, -EBUSY (something is mounted in it), -ECANCELED (@stop said so)
 *         or another negative errno.
 */
int fs_remove_tree(int dir_fd, const char *name, int (*stop)(void *ctx),
		   void *ctx);

#endif

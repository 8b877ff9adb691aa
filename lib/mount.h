/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the mount engines and mount.c share.  An engine gets a parsed spec
 * and makes one mount of it; mount.c chooses the engine, looks for the cause
 * of a failure, and has the last look.
 *
 * Both make the same mount: the flags of the spec on it, for rbind on all
 * that is below it as well, ro included; propagation private, recursively.
 * Only the layers' text in mountinfo differs, lowerdir= or lowerdir+=, and
 * where full paths do not fit they are short names (see mount_with_names).
 */
#ifndef LIB_MOUNT_H
#define LIB_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec.h"

/*
 * Go's bufio.Scanner, and with it every runc, gives up on a mountinfo line of
 * 64 KiB.  So much of it may be options; the rest is for the two paths.
 */
#define MOUNT_OPTIONS_MAX (56 * 1024)

struct mount_engine {
	const char *name;
	/*
	 * Mounts on @target, which @target_fd has open, and gives a
	 * descriptor of the new mount's root.  -E2BIG: more than this engine
	 * can carry, nothing was tried.  -ENOSYS: this kernel lacks a system
	 * call of it, nothing is left mounted.
	 */
	int (*attach)(const struct spec *spec, const char *target,
		      int target_fd, int *ret_fd, struct shale_error *err);
	/* The same without a place. */
	int (*detached)(const struct spec *spec, int *ret_fd,
			struct shale_error *err);
};

extern const struct mount_engine mount_fsmount;
extern const struct mount_engine mount_libmount;

/** mount_fsmount_is_here - whether this kernel takes lowerdir+ */
bool mount_fsmount_is_here(void);

/**
 * struct mount_base - the root of a detached mount with directories in it
 * @fd:   of it
 * @path: of what it is a clone of
 */
struct mount_base {
	int fd;
	const char *path;
};

/**
 * mount_fsmount_below - make a detached overlay of directories of one mount
 * @base: all paths of the spec begin with its path
 *
 * They are given by descriptors: mountinfo has the base's path for source, and
 * each directory's path from there.
 *
 * Return: 0 or a negative errno: -EXDEV or -ELOOP where one is not in that
 *         mount, -EINVAL where this kernel takes no such descriptor (lowers
 *         from 6.13, of a detached mount from 6.15), -E2BIG.
 */
int mount_fsmount_below(const struct spec *spec, const struct mount_base *base,
			int *ret_fd, struct shale_error *err);

/* ---- mount_names.c: the directories of a spec, and how to call them ---- */

/**
 * mount_check_dirs - see that each directory of a spec is there, and an upper
 * and its workdir on one mount
 *
 * The kernel's errors do not tell which one is not.
 */
int mount_check_dirs(const struct spec *spec, struct shale_error *err);

/** mount_open_dir - O_PATH; @what is "layer", "upperdir", ... for the error */
int mount_open_dir(const char *path, const char *what, int *ret_fd,
		   struct shale_error *err);

/* Names of an overlay's directories, unescaped; all lent. */
struct mount_names {
	const char *const *lowers;
	const char *upper; /* NULL for an overlay of lowers alone */
	const char *work;
	const struct mount_base *base; /* NULL: to be given as they are */
};

/** mount_name_below - what is left of a path below a directory that it is in
 *
 * Return: lent, in @path; "." for the directory itself.
 */
const char *mount_name_below(const char *path, const char *dir);

/** mount_common_dir - the deepest directory that paths have in common
 *
 * Return: to be freed; "" for the root; NULL without memory.
 */
char *mount_common_dir(const char *const *paths, size_t count);

/**
 * mount_with_names - find names of an overlay's directories that fit
 * @use: tries them: -E2BIG, before it does anything, where they are too long
 *
 * Tries the paths themselves on the calling thread.  Where those do not fit,
 * tries again in a joined thread: layers by their path from the directory that
 * all are in; then with /proc/thread-self/fd as working directory, where "7" is
 * a whole name, whatever the length of the path.  Upperdir and workdir become
 * short only where they must.
 *
 * Return: what @use returned last, or a negative errno.
 */
int mount_with_names(const struct spec *spec,
		     int (*use)(void *ctx, const struct mount_names *names,
				struct shale_error *err),
		     void *ctx, struct shale_error *err);

/* ---- mount_libmount.c ---- */

/**
 * mount_classic_data - an overlay's options as mount(2) takes them
 * @ret: taken; to be freed
 *
 * Return: 0, -E2BIG (too long, or a value that mount(2) would split), -ENOMEM.
 */
int mount_classic_data(const struct spec *spec, const struct mount_names *names,
		       char **ret, struct shale_error *err);

/* ---- mount_apart.c: a mount namespace for a moment ---- */

/**
 * mount_apart - run @fn in a mount namespace of its own
 * @fn: in a joined thread (joined.h); all mounts that it sees are private
 *
 * The namespace is gone on return, but for what @fn has a descriptor of.
 *
 * Return: what @fn returned, or a negative errno; with a sentence.
 */
int mount_apart(int (*fn)(void *ctx), void *ctx, struct shale_error *err);

/** mount_move - attach a detached mount on a directory */
int mount_move(int fd, int target_fd, const char *target,
	       struct shale_error *err);

/* ---- mount_mapped.c: idmapped mounts ---- */

/**
 * mount_mapped - make a detached mount whose directories are idmapped
 *
 * An overlay can't be idmapped, its layers can: they are covered with idmapped
 * clones of themselves in a namespace apart, and there @engine makes the mount
 * as it would anywhere.
 *
 * Return: as @engine->detached; -EOPNOTSUPP (a file system, or a kernel,
 *         without idmapped mounts; named).
 */
int mount_mapped(const struct mount_engine *engine, const struct spec *spec,
		 int *ret_fd, struct shale_error *err);

/**
 * mount_can_map - whether the file system of a directory can be idmapped by
 * the caller, and the clone be a layer
 */
bool mount_can_map(int dir_fd, const struct idmaps *maps);

/* ---- mount_verify.c: what a mount has become ---- */

/**
 * mount_check_context - refuse a context where the kernel has no SELinux
 *
 * The kernel would call it an unknown parameter, and not say of what.
 */
int mount_check_context(const struct spec *spec, struct shale_error *err);

/** mount_hint - " (the likely cause)" where an overlay's errno misleads */
const char *mount_hint(int code);

/** mount_type - type of the file system of an attached mount, "?" for unknown */
void mount_type(int fd, char *ret, size_t size);

/** mount_id - id of the mount that a descriptor is on, on any kernel */
int mount_id(int fd, uint64_t *ret, struct shale_error *err);

/**
 * mount_set_flags - give a mount the flags of a spec, recursively for rbind
 *
 * Return: 0, or a negative errno; -EOPNOTSUPP before Linux 5.12 where there
 *         are mounts below it.
 */
int mount_set_flags(int fd, const struct spec *spec, struct shale_error *err);

/** mount_parent_id - id of the mount that an attached one is mounted on */
int mount_parent_id(int fd, uint64_t *ret, struct shale_error *err);

/** mount_classic_flags - the flags of a spec as mount(2) has them */
unsigned long mount_classic_flags(const struct spec *spec);

/**
 * mount_check_setattr - whether there is mount_setattr(2), which alone gives
 * flags to a mount that has no place
 *
 * Return: 0, or -ENOSYS with a sentence.
 */
int mount_check_setattr(struct shale_error *err);

/** mount_set_private - cut a mount and all below it off from its peers */
int mount_set_private(int fd, struct shale_error *err);

/** mount_verify_mode - read-write if that was asked for: else -EROFS */
int mount_verify_mode(int fd, const struct spec *spec, struct shale_error *err);

/**
 * mount_verify_layers - count an attached overlay's layers in mountinfo
 *
 * mount(2) cuts options at 4095 bytes and reports success.
 */
int mount_verify_layers(int fd, const struct spec *spec,
			struct shale_error *err);

/** mount_verify_place - whether @target shows the root of @fd's mount */
int mount_verify_place(int fd, const char *target, struct shale_error *err);

/**
 * mount_undo - unmount what @fd is the root of
 *
 * Not where somebody has mounted on top of it meanwhile: umount(2) would take
 * that one.
 */
void mount_undo(int fd);

#endif

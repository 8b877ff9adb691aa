/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libshale's public door: snapshots, mounts, plugins.
 *
 * Every function returns 0 or a negative errno, or the positive value with
 * which the caller's own callback stopped it, and fills @err, which may be
 * NULL, on failure.  A failed call leaves the store as it was.  Outputs are
 * written only on success.  The library never prints, never exits, and
 * touches neither cwd, umask nor namespaces of its caller.
 *
 * Threads: a store handle serves any number of threads at once.  Processes:
 * any number use one store at once; a handle belongs to the process that
 * opened it, and under another pid every call is -EINVAL.
 */
#ifndef SHALE_H
#define SHALE_H

#include <stddef.h>
#include <stdint.h>

#include "snapshotter.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SHALE_API __attribute__((visibility("default")))

/*
 * Labels that the library or a host of it gives a meaning.
 * user:  "PID START BOOT CONTAINER": the process that uses an active or a
 *        view, its start time in clock ticks (/proc/PID/stat) and the boot
 *        id.  While it lives, remove and commit are -EBUSY.  PID and START
 *        0: no process is known; remove then asks the kernel, as commit does
 *        always, whether an overlay is mounted on the active.
 * temporary: "PID START BOOT": the key is a part of what that process does;
 *        shale_cleanup removes it once that is gone.
 * uidmap, gidmap: "inside:outside:size[,...]": the user namespace of the
 *        container that an active or view is for.  Its mount then shows the
 *        owners of files as that container's, and its upper keeps them as the
 *        container calls them.  Both or neither; checked by prepare, view and
 *        update.
 */
#define SHALE_LABEL_USER "org.shale.user"
#define SHALE_LABEL_TEMPORARY "org.shale.temporary"
#define SHALE_LABEL_UIDMAP "org.shale.uidmap"
#define SHALE_LABEL_GIDMAP "org.shale.gidmap"

/*
 * Labels by which a new active or view says how it is to be mounted.  What
 * can't be honoured is refused by shale_prepare and shale_view, -EINVAL, and
 * so is a later change of them by shale_update.  shale(1) has all of it.
 * volatile:        "true": the overlay of an active never waits for the disk
 * selinux-context: the SELinux context of every file of the overlay
 * upper:           the name of a directory of the configuration, where the
 *                  files of an active are kept instead of in the store
 * mount-options:   "OPT[,OPT]...": of those that the configuration allows
 */
#define SHALE_LABEL_VOLATILE "org.shale.volatile"
#define SHALE_LABEL_SELINUX_CONTEXT "org.shale.selinux-context"
#define SHALE_LABEL_UPPER "org.shale.upper"
#define SHALE_LABEL_MOUNT_OPTIONS "org.shale.mount-options"

struct shale_store;
struct shale_plugin;

/**
 * shale_version - the library's version, "MAJOR.MINOR.PATCH", static
 */
SHALE_API const char *shale_version(void);

/* ---- plugins ---- */

/**
 * shale_plugin_load - load a snapshotter
 * @name_or_path: "overlay" for the built-in one; another short name
 *                ([a-z0-9-]+) is NAME.so of the plugin directory; else an
 *                absolute path
 * @ret:          taken; given back with shale_plugin_unload
 *
 * The file must be a regular one, owned by root or the caller and writable by
 * nobody else; it is refused in a setuid context.  Its code stays loaded for
 * the life of the process.
 *
 * Return: 0, -ENOENT, -EINVAL (name, or a table with a defect), -EPERM
 *         (owner, mode, setuid), -ELIBBAD (no shared object, or no entry),
 *         -EPROTONOSUPPORT (another ABI).
 * Since: 0.1
 */
SHALE_API int shale_plugin_load(const char *name_or_path,
				struct shale_plugin **ret,
				struct shale_error *err);

/**
 * shale_plugin_unload - give back what shale_plugin_load returned
 * @plugin: taken; may be NULL.  No store may still be open on it.
 */
SHALE_API void shale_plugin_unload(struct shale_plugin *plugin);

/**
 * shale_plugin_table - the checked copy of a plugin's table
 *
 * Lives as long as @plugin.  Absent optional operations are NULL; `size` is
 * the plugin's own.
 */
SHALE_API const struct shale_snapshotter *
shale_plugin_table(const struct shale_plugin *plugin);

/**
 * shale_overlay_snapshotter - the built-in snapshotter's table, static
 *
 * For overlay.so, and for hosts that call a table themselves.  Since: 0.1
 */
SHALE_API const struct shale_snapshotter *shale_overlay_snapshotter(void);

/**
 * shale_native_snapshotter - the table of native.so, static
 *
 * The same store and operations, but each snapshot has all its files and is
 * mounted by a bind: for file systems where overlayfs can't be.  Since: 0.1
 */
SHALE_API const struct shale_snapshotter *shale_native_snapshotter(void);

/* ---- a store ---- */

/**
 * shale_store_open - open a store
 * @root:   directory of the store
 * @plugin: lent until the store is closed; NULL for the built-in overlay
 * @config: key, value, ..., NULL; or NULL.  The overlay snapshotter knows:
 *          create          yes: make the directory and the store if absent
 *          durability      none, layer (default) or all
 *          mount_option    an option for every overlay; may come repeatedly
 *          allow_mount_option  one that SHALE_LABEL_MOUNT_OPTIONS may ask for;
 *                          likewise
 *          upper           NAME=/DIRECTORY for SHALE_LABEL_UPPER; likewise
 *          lock_timeout_ms how long to wait for the store's lock; then
 *                          -ETIMEDOUT.  Default: for ever.
 *          slow_chown      yes: where a file system or kernel has no
 *                          idmapped mounts, copy layers for each mapping
 *          any_filesystem  yes: do not refuse a file system by its name
 *          delete_later    yes: files of what is removed or deleted are left
 *                          to shale_cleanup
 *          manifest        always, or asked (default): by the flag alone
 *          native knows neither mount_option nor upper.
 * @host:   lent until the store is closed; may be NULL
 * @ret:    taken; given back with shale_store_close
 *
 * Return: 0, -ENOENT, -ENOTDIR, -EPERM (of another owner, or open to
 *         others), -EINVAL (configuration), -EMEDIUMTYPE (no store, or of an
 *         unknown format), -EOPNOTSUPP (file system), or another errno.
 * Since: 0.1
 */
SHALE_API int
shale_store_open(const char *root, const struct shale_plugin *plugin,
		 const char *const *config, const struct shale_host *host,
		 struct shale_store **ret, struct shale_error *err);

/**
 * shale_store_close - close a store
 * @store: taken; may be NULL.  No call may still run on it.
 */
SHALE_API void shale_store_close(struct shale_store *store);

/* ---- snapshots ----
 * Names and keys are 1..1023 bytes without NUL; anything else is -EINVAL.
 * Besides the errors listed, each may return -ENOSPC, -EDQUOT, -ETIMEDOUT,
 * -ECANCELED, -EUCLEAN (a snapshot contradicts itself) or the errno of a
 * system call that failed.
 */

/**
 * shale_prepare - create an active snapshot
 * @key:    new key
 * @parent: committed parent; NULL or "" for none
 * @opts:   labels; may be NULL
 *
 * Atomic; synced with durability `all` alone.
 *
 * Return: 0, -ENOENT (no @parent), -EEXIST (@key taken, as a key or a name),
 *         -EINVAL (@parent is not committed, or a label can't be honoured).
 * Source: containerd Snapshotter.Prepare.  Since: 0.1
 */
SHALE_API int shale_prepare(struct shale_store *store, const char *key,
			    const char *parent, const struct shale_opts *opts,
			    struct shale_error *err);

/**
 * shale_view - create a read-only snapshot of a committed one
 *
 * As shale_prepare in all else.
 */
SHALE_API int shale_view(struct shale_store *store, const char *key,
			 const char *parent, const struct shale_opts *opts,
			 struct shale_error *err);

/**
 * shale_mounts - compute the mount of an active or view
 * @emit: called once; the spec is valid until it returns
 * @ctx:  passed to @emit
 *
 * Return: 0, what @emit returned, -ENOENT, -EBADFD (@key is committed, is
 *         volatile and of an earlier boot, or its files are not there).
 * Source: containerd Snapshotter.Mounts.  Since: 0.1
 */
SHALE_API int shale_mounts(struct shale_store *store, const char *key,
			   shale_mount_fn *emit, void *ctx,
			   struct shale_error *err);

/**
 * shale_commit - turn an active snapshot into a committed one
 * @name: new committed name, usually the chainID
 * @key:  active snapshot; no longer exists after success
 * @opts: labels of @name, a parent for an active that has none, and flags; may
 *        be NULL.  Labels of @key are not inherited.
 *
 * With SHALE_COMMIT_KEEP a copy of @key is committed, and @key goes on as it
 * was, also mounted and in use.  Each file of the copy is whole as of some
 * moment during the call; with SHALE_COMMIT_FREEZE the container that uses
 * @key is stopped meanwhile, and thawed however the call, or the process, ends.
 * Several may do it at once; nobody waits for it, and when @key is removed or
 * committed meanwhile it is -ENOENT.  A parent in @opts is the copy's alone.
 * With SHALE_COMMIT_MANIFEST all files are read once, and a digest of each
 * entry is recorded, for shale_verify.
 *
 * Durable on return unless durability is `none`: data, facts and directory
 * entries are synced.  The lock is held for the rename, never while syncing.
 * An error in the last sync is returned although @name then exists.
 *
 * Return: 0, -ENOENT (no @key, or no such parent), -EEXIST (@name taken, also
 *         by @key itself), -EBADFD (@key is a view or committed, or the new
 *         parent is not committed), -EINVAL (@key has another parent), -EBUSY
 *         (@key is mounted, or in use by a live container or another commit;
 *         with KEEP: a file is written to all the time).  With FREEZE also
 *         -EBADFD (no live container on record, or none in a cgroup of its
 *         own) and -ETIMEDOUT (it does not freeze).
 * Source: containerd Snapshotter.Commit; stricter: a key in use is refused,
 * and keep, which it left open.
 * Since: 0.1
 */
SHALE_API int shale_commit(struct shale_store *store, const char *name,
			   const char *key, const struct shale_opts *opts,
			   struct shale_error *err);

/**
 * shale_flatten - commit one layer with what a committed snapshot shows
 * @new_name: committed name to create; it has no parent
 * @name: committed snapshot, with any number of parents: also more than can be
 *        mounted at once
 * @opts: labels of @new_name, and SHALE_COMMIT_MANIFEST; may be NULL
 *
 * Composed of view, prepare and commit, for any snapshotter whose views are
 * binds or overlays: mounts the view nowhere, copies all that it shows, with
 * hard links, holes, devices, times and attributes but overlayfs's own, and
 * compares the copy with it before the commit.  Above 500 layers it does so
 * in steps, 499 further layers each, and needs room for two copies.  The
 * keys in between begin with "org.shale.flatten/"; shale_cleanup removes them
 * once a caller has died.
 *
 * Return: 0, -ENOENT (no @name), -EEXIST (@new_name taken), -EINVAL (@name is not
 *         committed; other flags or a parent in @opts), -EBADMSG (the copy differs),
 *         -EOPNOTSUPP (a chain of another kind of mounts that is too long), or
 *         as shale_mount_detached.
 * Since: 0.1
 */
SHALE_API int shale_flatten(struct shale_store *store, const char *new_name,
			    const char *name, const struct shale_opts *opts,
			    struct shale_error *err);

/**
 * shale_remove - remove an active snapshot or a view
 *
 * Gone for everybody at once; then its files are deleted, without the lock, or
 * later (delete_later).
 *
 * Return: 0, -ENOENT, -EBADFD (committed: shale_delete is for those), -EBUSY
 *         (a live container or a commit uses it).
 * Since: 0.1
 */
SHALE_API int shale_remove(struct shale_store *store, const char *key,
			   struct shale_error *err);

/**
 * shale_delete - delete a committed snapshot
 *
 * Return: 0, -ENOENT, -EBADFD (an active or view: shale_remove), -EBUSY (has
 *         children).
 * Since: 0.1
 */
SHALE_API int shale_delete(struct shale_store *store, const char *name,
			   struct shale_error *err);

/**
 * shale_parent - name of the parent
 * @ret_parent: SHALE_NAME_SIZE bytes; "" without a parent
 *
 * Return: 0, -ENOENT.   Since: 0.1
 */
SHALE_API int shale_parent(struct shale_store *store, const char *name,
			   char *ret_parent, struct shale_error *err);

/**
 * shale_exists - whether a snapshot of any kind has this name
 *
 * Return: 0, -ENOENT.   Since: 0.1
 */
SHALE_API int shale_exists(struct shale_store *store, const char *name,
			   struct shale_error *err);

/**
 * shale_walk - visit each committed snapshot, in no order
 *
 * No lock is held: @fn may call anything on @store.  What is created or
 * deleted meanwhile may be visited or not; everything else is, once, as it was
 * at some moment of the call.
 *
 * Return: 0 or what @fn returned.   Since: 0.1
 */
SHALE_API int shale_walk(struct shale_store *store, shale_walk_fn *fn,
			 void *ctx, struct shale_error *err);

/**
 * shale_active - visit each active and view; in all else as shale_walk
 */
SHALE_API int shale_active(struct shale_store *store, shale_walk_fn *fn,
			   void *ctx, struct shale_error *err);

/**
 * shale_stat - what is known of one snapshot
 * @fn: called once
 *
 * Return: 0, -ENOENT, or what @fn returned.   Since: 0.1
 */
SHALE_API int shale_stat(struct shale_store *store, const char *name,
			 shale_walk_fn *fn, void *ctx, struct shale_error *err);

/**
 * shale_update - change labels
 * @labels: key, value, ..., NULL; UTF-8 without NUL
 * @fields: "labels" replaces all, "labels.K" sets K, or removes it where
 *          @labels has none; NULL-terminated; NULL is "labels"
 *
 * Return: 0, -ENOENT, -EINVAL (another field, a malformed label, one that is
 *         fixed, more than 64 KiB of labels).
 * Source: containerd Snapshotter.Update.   Since: 0.1
 */
SHALE_API int shale_update(struct shale_store *store, const char *name,
			   const char *const *labels, const char *const *fields,
			   struct shale_error *err);

/**
 * shale_usage - what a snapshot takes on disk, without its parents
 * @ret: its `size` stored by the caller
 *
 * Walks the files of an active; a committed one has its usage on record.
 *
 * Return: 0, -ENOENT.   Since: 0.1
 */
SHALE_API int shale_usage(struct shale_store *store, const char *name,
			  struct shale_usage *ret, struct shale_error *err);

/**
 * shale_cleanup - remove what processes that died left behind
 * @ret_removed: how many directories and keys; may be NULL
 *
 * Touches nothing that a live process builds.   Return: 0.   Since: 0.1
 */
SHALE_API int shale_cleanup(struct shale_store *store, uint64_t *ret_removed,
			    struct shale_error *err);

/**
 * shale_in_use - whether an active or view may be mounted, committed, removed
 *
 * Also asks the kernel whether an overlay has @key as its upper, in whatever
 * namespace; a parentless active is a bind mount and can't be asked for.  The
 * mark by which the kernel refuses to mount a volatile upper again is removed
 * where none has.
 *
 * Return: 0 where nothing uses it, -EBUSY with who does, -ENOENT, -EBADFD
 *         (committed), -EOPNOTSUPP (the snapshotter has no operation `use`).
 * Since: 0.1
 */
SHALE_API int shale_in_use(struct shale_store *store, const char *key,
			   struct shale_error *err);

/**
 * shale_mounts_exclusive - shale_mounts for who mounts in @emit
 *
 * As shale_in_use first, and until @emit returns nobody else commits or
 * removes @key or, where it is active, mounts it through this function; a view
 * may have any number of mounts.  Without an operation `use` of the
 * snapshotter it is shale_mounts.
 *
 * Return: as shale_mounts and shale_in_use.   Since: 0.1
 */
SHALE_API int shale_mounts_exclusive(struct shale_store *store, const char *key,
				     shale_mount_fn *emit, void *ctx,
				     struct shale_error *err);

/**
 * shale_check - find every contradiction in the store
 * @flags: 0 or SHALE_CHECK_REPAIR
 * @emit:  called for each; NULL: the first one makes the call -EUCLEAN
 * @ctx:   passed to @emit
 *
 * With SHALE_CHECK_REPAIR what loses nothing is mended, and what can't be
 * explained is moved to lost+found/ in the store; no content is ever deleted.
 * A finding that was mended says so.  Runs while others use the store: what
 * they are building or taking away is no finding.  Takes the lock for
 * microseconds at a time, and without the flag only before it tells of what is
 * in staging/.  @emit calls nothing on @store.
 *
 * Return: 0, also where something was found; what @emit returned; -EUCLEAN
 *         (only without @emit), -EINVAL (@flags), -EOPNOTSUPP (the snapshotter
 *         has no such operation).   Since: 0.1
 */
SHALE_API int shale_check(struct shale_store *store, uint32_t flags,
			  shale_finding_fn *emit, void *ctx,
			  struct shale_error *err);

/**
 * shale_verify - compare a committed snapshot with the manifest of its commit
 * @emit: called for each difference; NULL: the first one makes the call
 *        -EBADMSG
 * @ctx:  passed to @emit
 *
 * Reads all of the snapshot's own files, without its parents.  Of a manifest
 * that is damaged itself that alone is told.
 *
 * Return: 0, also where something differs; what @emit returned; -EBADMSG (only
 *         without @emit), -ENOENT, -EBADFD (not committed), -ENODATA (it was
 *         committed without a manifest), -EOPNOTSUPP.   Since: 0.1
 */
SHALE_API int shale_verify(struct shale_store *store, const char *name,
			   shale_finding_fn *emit, void *ctx,
			   struct shale_error *err);

/* ---- mounts ----
 * Two engines with the same result: the new mount API where the kernel has
 * lowerdir+, else libmount.  SHALE_MOUNT_ENGINE=libmount|fsmount in the
 * environment forces one; it is not read in a setuid context.
 */

/**
 * shale_mount - mount what shale_mounts gave
 * @spec:   lent
 * @target: an existing directory
 *
 * The result is verified: read-write if asked for, all layers there, visible
 * at @target.  Otherwise it is unmounted again.
 *
 * Return: 0, -EINVAL (@spec), -E2BIG (more layers or longer options than an
 *         engine can carry), -EROFS (came read-only though asked read-write),
 *         -ENOENT (a layer or @target, which is named), -EXDEV (upper and
 *         work on two mounts), -ELOOP (a layer twice), -ESTALE (@target was
 *         covered or renamed meanwhile), -EIO (the kernel took other layers
 *         than asked), -EOPNOTSUPP (@spec asks for what this kernel or
 *         version can't), -ENOSYS (the forced engine), or the kernel's.
 * Since: 0.1
 */
SHALE_API int shale_mount(const struct shale_mount_spec *spec,
			  const char *target, struct shale_error *err);

/**
 * shale_mount_detached - make a mount that is attached nowhere yet
 * @ret_fd: taken; a descriptor for move_mount(2), close-on-exec
 *
 * Return: as shale_mount, and -ENOSYS before Linux 5.2.   Since: 0.1
 */
SHALE_API int shale_mount_detached(const struct shale_mount_spec *spec,
				   int *ret_fd, struct shale_error *err);

/**
 * shale_unmount - unmount the top mount at a path, without following a link
 *
 * Return: 0, -EINVAL (no mount point, or a link), -EBUSY (in use), or the
 *         kernel's.   Since: 0.1
 */
SHALE_API int shale_unmount(const char *target, struct shale_error *err);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The handle of a store, shared by the files that implement the operations of
 * overlay and native, and the names of what a store holds.  shale-store(5) is
 * the manual of the layout.
 */
#ifndef LIB_OVERLAY_H
#define LIB_OVERLAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "id.h"
#include "snapshotter.h"

enum room { ROOM_ACTIVE, ROOM_SNAPSHOTS };

enum durability { DURABLE_NONE, DURABLE_LAYER, DURABLE_ALL };

struct cache;
struct driver;
struct recent;
struct record;

struct overlay {
	const struct driver *driver;
	const struct shale_host *host;
	char *root_path;
	int root_fd;
	int room_fd[2]; /* by enum room */
	int staging_fd, trash_fd;
	int lock_fd; /* for reading the generation, never for flock */
	atomic_llong lock_changed_ns; /* when it was ROOT/lock: see lock.c */
	enum durability durability;
	int64_t lock_timeout_ms; /* negative: for ever */
	atomic_llong turn_ns;	 /* when it had the lock in its turn */
	char **mount_options;	 /* NULL-terminated; never NULL */
	char **allowed_options;	 /* for labels; likewise */
	char **uppers;		 /* NAME, DIR, ..., NULL; or NULL */
	bool is_volatile;	 /* mount_option has it: for new actives */
	bool any_filesystem;
	bool slow_chown;      /* copy layers that can't be mounted idmapped */
	bool deletes_later;   /* what is removed stays in trash for cleanup */
	bool always_manifest; /* each commit writes one */
	bool userxattr;	      /* overlays keep their marks in user.* */
	/* What is asked of the system when it is first wanted, since most
	 * processes want one thing.  Zero: not known yet; -1: no.
	 */
	atomic_int can_map;	  /* layers can be mounted idmapped */
	atomic_int is_ordered;	  /* see overlay_is_ordered */
	atomic_uint kernel_takes; /* see options.c */
	struct cache *cache;
	struct recent *recent;
};

/**
 * struct driver - where the snapshotters of this store differ
 * @name:    the snapshotter's
 * @format:  what `format` leads to; a store belongs to one snapshotter
 * @is_copying: each snapshot has all its files, and is mounted by a bind; else
 *           it has what it changes, and overlayfs joins it with its parents
 */
struct driver {
	const char *name, *format;
	bool is_copying;
};

extern const struct shale_snapshotter overlay_snapshotter, native_snapshotter;

/** overlay_cancelled - whether the host said stop */
static inline bool overlay_cancelled(const struct overlay *ov)
{
	return ov->host && ov->host->cancelled &&
	       ov->host->cancelled(ov->host->ctx);
}

/** overlay_stop - the same in the form that fs_remove_tree takes */
static inline int overlay_stop(void *ov)
{
	return overlay_cancelled(ov);
}

/**
 * overlay_is_ordered - whether what is synced brings all before it along, as a
 * journal of metadata does
 */
bool overlay_is_ordered(struct overlay *ov);

/** overlay_warn - a line for the host's log; takes no ownership */
void overlay_warn(const struct overlay *ov, const struct shale_error *error);

/** overlay_ids_hint - what to do about a file that is not ours; else "" */
const char *overlay_ids_hint(int r);

/**
 * overlay_opts_check - refuse what this version does not know
 * @is_commit: whether a parent and flags may be given
 */
int overlay_opts_check(const struct shale_opts *opts, bool is_commit,
		       struct shale_error *err);

/* The operations, one file each or a few; snapshotter.h tells of them. */
int overlay_prepare(void *self, const char *key, const char *parent,
		    const struct shale_opts *opts, struct shale_error *err);
int overlay_view(void *self, const char *key, const char *parent,
		 const struct shale_opts *opts, struct shale_error *err);
int overlay_mounts(void *self, const char *key, shale_mount_fn *emit, void *ctx,
		   struct shale_error *err);
int overlay_commit(void *self, const char *name, const char *key,
		   const struct shale_opts *opts, struct shale_error *err);
int overlay_remove(void *self, const char *key, struct shale_error *err);
int overlay_parent(void *self, const char *name, char *ret_parent,
		   struct shale_error *err);
int overlay_exists(void *self, const char *name, struct shale_error *err);
int overlay_delete(void *self, const char *name, struct shale_error *err);
int overlay_walk(void *self, shale_walk_fn *fn, void *ctx,
		 struct shale_error *err);
int overlay_active(void *self, shale_walk_fn *fn, void *ctx,
		   struct shale_error *err);
int overlay_stat(void *self, const char *name, shale_walk_fn *fn, void *ctx,
		 struct shale_error *err);
int overlay_update(void *self, const char *name, const char *const *labels,
		   const char *const *fields, struct shale_error *err);
int overlay_usage(void *self, const char *name, struct shale_usage *ret,
		  struct shale_error *err);
int overlay_cleanup(void *self, uint64_t *ret_removed, struct shale_error *err);
int overlay_use(void *self, const char *key, shale_mount_fn *emit, void *ctx,
		struct shale_error *err);

/** overlay_emit - give @emit the mount of a record */
int overlay_emit(struct overlay *ov, struct record *record,
		 shale_mount_fn *emit, void *ctx, struct shale_error *err);

int overlay_check(void *self, uint32_t flags, shale_finding_fn *emit, void *ctx,
		  struct shale_error *err);
int overlay_verify(void *self, const char *name, shale_finding_fn *emit,
		   void *ctx, struct shale_error *err);

#endif

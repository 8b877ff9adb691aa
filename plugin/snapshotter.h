/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The plugin ABI: what a snapshotter offers a host, and what it may rely on.
 * A plugin is one const table and one exported function that returns it; it
 * needs this header and libc, nothing else.  shale-plugin(3) is the manual.
 *
 * The rules that keep old plugins and new hosts together:
 * - Every struct starts with `size`.  Who allocates it stores sizeof; who
 *   reads or fills it touches nothing past the smaller of both sizes.
 * - Tables and structs only grow at the end; zero is always the old meaning.
 *   A caller's struct that is longer and not zero past what the plugin knows
 *   is -E2BIG, an unknown flag -EINVAL: no request is ever ignored.
 * - Arguments are lent for the call.  No memory crosses with a duty to free.
 * - An operation returns 0 or a negative errno, or the positive value with
 *   which a callback stopped it.  A failed operation leaves the store as it
 *   was.
 * - A plugin never touches cwd, umask, namespaces, signals, limits, locale,
 *   environment or stdio, and no thread of it survives a call.
 */
#ifndef SHALE_SNAPSHOTTER_H
#define SHALE_SNAPSHOTTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI number moves only when a field changes its meaning. */
#define SHALE_PLUGIN_ABI 1u

/* Names and keys: 1..1023 bytes, any but NUL; with the NUL a buffer of: */
#define SHALE_NAME_SIZE 1024u

/* features */
#define SHALE_FEAT_PARALLEL (UINT64_C(1) << 0) /* one handle, many threads */
#define SHALE_FEAT_GLOBAL_SERIAL (UINT64_C(1) << 1) /* one call in all */

/* struct shale_info, kind */
#define SHALE_KIND_VIEW 1u
#define SHALE_KIND_ACTIVE 2u
#define SHALE_KIND_COMMITTED 3u

/* Levels of struct shale_host, log. */
#define SHALE_LOG_WARNING 1
#define SHALE_LOG_DEBUG 2

/**
 * struct shale_error - what failed, in a number and a sentence
 * @size: sizeof(struct shale_error), stored by the caller
 * @code: a positive errno, 0 while unset
 * @msg:  one line of UTF-8 without newline or full stop
 *
 * Lives on the caller's stack and owns nothing.  Start with
 * SHALE_ERROR_INIT.  The first failure wins.
 */
struct shale_error {
	uint32_t size;
	int32_t code;
	char msg[504];
};

#define SHALE_ERROR_INIT                       \
	{                                      \
		sizeof(struct shale_error), 0, \
		{                              \
			0                      \
		}                              \
	}

/**
 * struct shale_info - what is known of one snapshot
 * @size:       sizeof the struct, stored by who fills it
 * @kind:       SHALE_KIND_*
 * @created_ns: nanoseconds since the epoch, UTC
 * @updated_ns: the same; the last change of the labels, or @created_ns
 * @name:       the key of an active or view, the name of a committed one
 * @parent:     name of the committed parent, "" for none
 * @labels:     key, value, key, value, ..., NULL; sorted by key; never NULL
 *
 * Valid until the callback that got it returns.
 */
struct shale_info {
	uint32_t size, kind;
	int64_t created_ns, updated_ns;
	const char *name;
	const char *parent;
	const char *const *labels;
};

/**
 * struct shale_mount_spec - one mount, as containerd writes it
 * @size:    sizeof the struct
 * @flags:   0
 * @type:    "bind" or "overlay"
 * @source:  path of a bind's source, "overlay" for an overlay
 * @options: one option an entry, NULL at the end.  lowerdir= has all layers
 *           joined by ':', topmost first; a '\' stands before a ':' or '\'
 *           of a path.  uidmap= and gidmap=, both or neither, are
 *           inside:outside:size[,...]: all directories are to be idmapped
 *           so, and the mount made by the mapping's root.
 */
struct shale_mount_spec {
	uint32_t size, flags;
	const char *type, *source;
	const char *const *options;
};

/*
 * struct shale_opts, flags of commit:
 * KEEP:   commit a copy of the active, which stays as it is, mounted and in
 *         use; @parent is then that of the copy alone
 * FREEZE: with KEEP: stop the container that uses it while files are copied
 * MANIFEST: record a digest of every entry, for verify
 */
#define SHALE_COMMIT_KEEP (1u << 0)
#define SHALE_COMMIT_FREEZE (1u << 1)
#define SHALE_COMMIT_MANIFEST (1u << 2)

/* flags of check */
#define SHALE_CHECK_REPAIR (1u << 0)

/**
 * struct shale_opts - what a creating operation may be asked for
 * @size:   sizeof the struct
 * @flags:  SHALE_COMMIT_* for commit, else 0; an unknown bit is -EINVAL
 * @labels: key, value, ..., NULL; or NULL for none
 * @parent: commit only: the parent to give an active that has none;
 *          NULL or "" leaves it as it is
 */
struct shale_opts {
	uint32_t size, flags;
	const char *const *labels;
	const char *parent;
};

/**
 * struct shale_usage - what a snapshot's own files take, without its parents
 * @size:   sizeof the struct, stored by the caller
 * @flags:  0
 * @bytes:  bytes on disk (blocks, not lengths); a hard-linked file once
 * @inodes: number of inodes; a hard-linked file once
 */
struct shale_usage {
	uint32_t size, flags;
	uint64_t bytes, inodes;
};

/* struct shale_finding, flags */
#define SHALE_FINDING_REPAIRED (1u << 0)

/**
 * struct shale_finding - one thing that is not as it must be
 * @size:   sizeof the struct, stored by who fills it
 * @flags:  SHALE_FINDING_REPAIRED: it is mended, and @remedy says how
 * @kind:   a word, [a-z0-9-]+, that programs may compare
 * @name:   of the snapshot; "" where it is none, or not known
 * @path:   of what is wrong, below the store's root or, from verify, below
 *          the layer's; any bytes
 * @what:   what is wrong: one line without full stop
 * @remedy: what to do, or what was done; likewise
 *
 * Valid until the callback that got it returns.
 */
struct shale_finding {
	uint32_t size, flags;
	const char *kind, *name, *path, *what, *remedy;
};

/**
 * struct shale_host - what a host offers to the plugin; outlives the handle
 * @log:       a line for the debug log or a warning; may be NULL
 * @cancelled: asked in long operations; nonzero: stop with -ECANCELED; may
 *             be NULL
 */
struct shale_host {
	uint32_t size, abi;
	void *ctx;
	void (*log)(void *ctx, int level, const char *line);
	int (*cancelled)(void *ctx);
};

/*
 * Callbacks run on the calling thread and return: no longjmp, no exception.
 * 0 goes on; more than 0 stops the operation, which returns that value.
 */
typedef int shale_mount_fn(void *ctx, const struct shale_mount_spec *mount);
typedef int shale_walk_fn(void *ctx, const struct shale_info *info);
typedef int shale_finding_fn(void *ctx, const struct shale_finding *finding);

/**
 * struct shale_snapshotter - the table
 *
 * Keys (of actives and views) and names (of committed snapshots) share one
 * space.  All strings are as SHALE_NAME_SIZE says; a parent may be NULL or
 * "" for none.  The errors of each operation are those of shale(3), by the
 * function of the same name.
 *
 * @name:     [a-z0-9-]+
 * @version:  free text
 * @description: one line
 * @features: SHALE_FEAT_*; a host ignores bits that it does not know
 * @open:     @root_fd is lent, an O_DIRECTORY descriptor of the root;
 *            @root_path its absolute path; @config key, value, ..., NULL:
 *            an unknown key is -EINVAL
 * @close:    accepts NULL
 * @prepare:  creates an active
 * @view:     creates a read-only view
 * @mounts:   gives @emit the one mount of an active or view
 * @commit:   makes the active @key the committed @name, or a copy of it
 * @remove:   removes an active or view
 * @parent:   writes the parent's name, or "", to @ret_parent
 * @exists:   0 or -ENOENT
 * @delete_:  deletes a committed snapshot without children
 * @walk:     calls @fn for each committed snapshot
 * @active:   calls @fn for each active and view
 * @stat:     calls @fn once
 * @update:   changes labels.  @fields: "labels" for all of them,
 *            "labels.K" for one; NULL-terminated; NULL: all.  A K of @fields
 *            that @labels has not is removed.
 * @usage:    fills @ret_usage
 * @cleanup:  removes what dead processes left; counts it in @ret_removed
 * @use:      optional; 0 when nothing uses the active @key, -EBUSY when it is
 *            mounted or a live container has it.  With an @emit, which may be
 *            NULL, it then gives that the mount, as @mounts does, and nobody
 *            commits, removes or uses @key until @emit has returned.
 * @check:    optional; gives @emit each contradiction in the store, and with
 *            SHALE_CHECK_REPAIR mends what it can without a loss.  0, whatever
 *            was found
 * @verify:   optional; gives @emit each difference between the committed @name
 *            and its manifest.  0, whatever was found; -ENODATA without a
 *            manifest
 */
struct shale_snapshotter {
	uint32_t size, abi;
	const char *name, *version, *description;
	uint64_t features;
	int (*open)(const struct shale_host *host, int root_fd,
		    const char *root_path, const char *const *config,
		    void **ret_self, struct shale_error *err);
	void (*close)(void *self);
	int (*prepare)(void *self, const char *key, const char *parent,
		       const struct shale_opts *opts, struct shale_error *err);
	int (*view)(void *self, const char *key, const char *parent,
		    const struct shale_opts *opts, struct shale_error *err);
	int (*mounts)(void *self, const char *key, shale_mount_fn *emit,
		      void *ctx, struct shale_error *err);
	int (*commit)(void *self, const char *name, const char *key,
		      const struct shale_opts *opts, struct shale_error *err);
	int (*remove)(void *self, const char *key, struct shale_error *err);
	int (*parent)(void *self, const char *name, char *ret_parent,
		      struct shale_error *err);
	int (*exists)(void *self, const char *name, struct shale_error *err);
	int (*delete_)(void *self, const char *name, struct shale_error *err);
	int (*walk)(void *self, shale_walk_fn *fn, void *ctx,
		    struct shale_error *err);
	int (*active)(void *self, shale_walk_fn *fn, void *ctx,
		      struct shale_error *err);
	int (*stat)(void *self, const char *name, shale_walk_fn *fn, void *ctx,
		    struct shale_error *err);
	int (*update)(void *self, const char *name, const char *const *labels,
		      const char *const *fields, struct shale_error *err);
	int (*usage)(void *self, const char *name,
		     struct shale_usage *ret_usage, struct shale_error *err);
	int (*cleanup)(void *self, uint64_t *ret_removed,
		       struct shale_error *err);
	int (*use)(void *self, const char *key, shale_mount_fn *emit, void *ctx,
		   struct shale_error *err);
	int (*check)(void *self, uint32_t flags, shale_finding_fn *emit,
		     void *ctx, struct shale_error *err);
	int (*verify)(void *self, const char *name, shale_finding_fn *emit,
		      void *ctx, struct shale_error *err);
	/* 1.0 ends here: append below, never insert. */
};

/* The one symbol that a plugin exports: shale_snapshotter_entry. */
typedef const struct shale_snapshotter *
shale_snapshotter_entry_fn(uint32_t host_abi);
shale_snapshotter_entry_fn shale_snapshotter_entry;

#define SHALE_REGISTER_SNAPSHOTTER(table)          \
	__attribute__((visibility("default")))     \
	const struct shale_snapshotter *           \
	shale_snapshotter_entry(uint32_t host_abi) \
	{                                          \
		(void)host_abi;                    \
		return &(table);                   \
	}

#ifdef __cplusplus
}
#endif

#endif

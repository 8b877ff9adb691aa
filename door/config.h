/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale.json, the administrator's file: where the store is, how its overlays
 * are mounted, and what containers may ask of it.  See shale.json(5).
 *
 * One object.  Keys, all optional: root, snapshotter, runtime, durability,
 * manifest (strings), mount_options, allowed_mount_options (lists of strings),
 * uppers (object of strings), lock_timeout_ms (whole number), any_filesystem,
 * slow_chown, delete_later, volatile (booleans), policy (list; see policy.h).
 * An unknown key, a wrong type and a file that others may write are refused.
 */
#ifndef DOOR_CONFIG_H
#define DOOR_CONFIG_H

#include <stdbool.h>

#include "conffile.h"
#include "policy.h"
#include "shale.h"

#define CONFIG_PATH SHALE_CONFIG_FILE
#define CONFIG_ROOT "/var/lib/shale"
#define CONFIG_SNAPSHOTTER "overlay"

/**
 * struct config - what the file says, with the defaults filled in
 * @root:         of the store; absolute; NULL for a user whose environment
 *                tells no place for it
 * @snapshotter:  short name or absolute path of a plugin
 * @runtime:      the runtime that shale-runtime execs; NULL if not said
 * @keeps_syncs:  `volatile` is false: see config_is_volatile
 * @store_config: key, value, ..., NULL for shale_store_open, from durability,
 *                manifest, mount_options, allowed_mount_options, uppers,
 *                lock_timeout_ms, any_filesystem, slow_chown and delete_later;
 *                `create` is not among them
 */
struct config {
	char *root;
	bool makes_above; /* @root is a user's default: make what is above */
	char *snapshotter;
	char *runtime;
	bool keeps_syncs;
	char **store_config;
	struct policy policy;
};

/**
 * config_load - read shale.json
 * @path: NULL for CONFIG_PATH, or for the user's own file where a user runs
 *        us (see home.h).  That may be absent: then all is default and no
 *        rule allows anything.  A file that is named must exist.
 * @ret:  taken; freed with config_free
 *
 * Return: 0, -ENOENT, -EPERM (its owner is neither root nor the caller, or
 *         its group or others may write it, or it is no regular file),
 *         -EFBIG, -EBADMSG (no JSON), -EINVAL (a key, which is named).
 */
int config_load(const char *path, struct config **ret, struct shale_error *err);

/**
 * config_load_for_hook - the same, from a program's own --root and --config
 * @root: of --root, or NULL; replaces the file's root
 * @path: of --config, or NULL
 *
 * @root without @path allows anything, since who writes a hook's arguments
 * runs programs as that user already; the other settings are still those of
 * CONFIG_PATH.  Else the rules are those of the file.  A user's hook must be
 * told one of them: its environment may be the container's, so nothing is
 * looked up by it.
 */
int config_load_for_hook(const char *root, const char *path,
			 struct config **ret, struct shale_error *err);

/**
 * config_load_for_runtime - the same, from shale-runtime's own options
 *
 * Its environment is that of who starts containers, so that a user's own file
 * and store are found by it.
 */
int config_load_for_runtime(const char *root, const char *path,
			    struct config **ret, struct shale_error *err);

/**
 * config_is_volatile - whether the layers of containers that are removed at
 * their stop are volatile (SHALE_LABEL_VOLATILE)
 *
 * `volatile` says so unless it is false, where the snapshotter is the built-in
 * overlay and the kernel knows such overlays (Linux 5.10).
 */
bool config_is_volatile(const struct config *config);

/** config_free - accepts NULL */
void config_free(struct config *config);

/**
 * config_open_store - load the snapshotter and open the store
 * @root, @snapshotter: instead of the file's; NULL for the file's
 * @create:     make the store if it is absent
 * @host:       lent until the store is closed; may be NULL
 * @ret_plugin: taken; shale_plugin_unload after the store is closed
 * @ret_store:  taken; shale_store_close
 */
int config_open_store(const struct config *config, const char *root,
		      const char *snapshotter, bool create,
		      const struct shale_host *host,
		      struct shale_plugin **ret_plugin,
		      struct shale_store **ret_store, struct shale_error *err);

static inline void drop_config(struct config **config)
{
	config_free(*config);
	*config = NULL;
}

#define auto_config __attribute__((cleanup(drop_config))) struct config *

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables of overlay, which is built in, and native, and what both share in
 * opening and closing a store.
 */
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "format.h"
#include "number.h"
#include "options.h"
#include "process.h"
#include "recent.h"
#include "scope.h"
#include "upper.h"

void overlay_warn(const struct overlay *ov, const struct shale_error *error)
{
	if (ov->host && ov->host->log)
		ov->host->log(ov->host->ctx, SHALE_LOG_WARNING, error->msg);
}

const char *overlay_ids_hint(int r)
{
	if ((r != -EACCES && r != -EPERM) || process_is_admin())
		return "";
	return " (it may hold files of subordinate ids: 'shale unshare' maps them)";
}

int overlay_opts_check(const struct shale_opts *opts, bool is_commit,
		       struct shale_error *err)
{
	const uint32_t known = is_commit ? SHALE_COMMIT_KEEP |
						   SHALE_COMMIT_FREEZE |
						   SHALE_COMMIT_MANIFEST
					 : 0;
	const unsigned char *bytes = (const unsigned char *)opts;

	if (!opts)
		return 0;
	if (opts->size < sizeof(*opts))
		return error_fail(err, EINVAL, "the options' size %u is wrong",
				  opts->size);
	for (size_t i = sizeof(*opts); i < opts->size; i++)
		if (bytes[i])
			return error_fail(
				err, E2BIG,
				"the options ask for something that this version does not know");
	if (opts->flags & ~known)
		return error_fail(err, EINVAL, "unknown flags 0x%x",
				  opts->flags & ~known);
	if ((opts->flags & SHALE_COMMIT_FREEZE) &&
	    !(opts->flags & SHALE_COMMIT_KEEP))
		return error_fail(err, EINVAL, "freeze goes with keep alone");
	if (!is_commit && opts->parent && *opts->parent)
		return error_fail(
			err, EINVAL,
			"only a commit takes a parent in its options");
	return 0;
}

static void free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

static void overlay_close(void *self)
{
	struct overlay *ov = self;

	if (!ov)
		return;
	cache_free(ov->cache);
	recent_free(ov->recent);
	free_list(ov->mount_options);
	free_list(ov->allowed_options);
	free_list(ov->uppers);
	free(ov->root_path);
	drop_fd(&ov->root_fd);
	drop_fd(&ov->room_fd[ROOM_ACTIVE]);
	drop_fd(&ov->room_fd[ROOM_SNAPSHOTS]);
	drop_fd(&ov->staging_fd);
	drop_fd(&ov->trash_fd);
	drop_fd(&ov->lock_fd);
	free(ov);
}

static void drop_overlay(struct overlay **ov)
{
	overlay_close(*ov);
	*ov = NULL;
}

static int bad_value(const char *key, const char *value,
		     struct shale_error *err)
{
	return error_fail(err, EINVAL, "configuration %s: bad value '%s'", key,
			  value);
}

static int set_durability(struct overlay *ov, const char *value,
			  struct shale_error *err)
{
	if (!strcmp(value, "none"))
		ov->durability = DURABLE_NONE;
	else if (!strcmp(value, "layer"))
		ov->durability = DURABLE_LAYER;
	else if (!strcmp(value, "all"))
		ov->durability = DURABLE_ALL;
	else
		return bad_value("durability", value, err);
	return 0;
}

static int set_manifest(struct overlay *ov, const char *value,
			struct shale_error *err)
{
	if (strcmp(value, "always") != 0 && strcmp(value, "asked") != 0)
		return bad_value("manifest", value, err);
	ov->always_manifest = !strcmp(value, "always");
	return 0;
}

static int set_lock_timeout(struct overlay *ov, const char *value,
			    struct shale_error *err)
{
	uint64_t ms;

	if (number_parse(value, INT64_MAX, &ms) < 0)
		return bad_value("lock_timeout_ms", value, err);
	ov->lock_timeout_ms = (int64_t)ms;
	return 0;
}

/* Into a list that configure() made long enough. */
static int append(char **list, const char *value, struct shale_error *err)
{
	while (*list)
		list++;
	*list = strdup(value);
	return *list ? 0 : error_fail(err, ENOMEM, "out of memory");
}

static int add_mount_option(struct overlay *ov, const char *value,
			    struct shale_error *err)
{
	if (!options_check_configured(value, false))
		return bad_value("mount_option", value, err);
	/* An active has to remember it: see volatile.h. */
	if (!strcmp(value, "volatile")) {
		ov->is_volatile = true;
		return 0;
	}
	return append(ov->mount_options, value, err);
}

static int allow_mount_option(struct overlay *ov, const char *value,
			      struct shale_error *err)
{
	if (!options_check_configured(value, true))
		return bad_value("allow_mount_option", value, err);
	return append(ov->allowed_options, value, err);
}

static int add_upper(struct overlay *ov, const char *value,
		     struct shale_error *err)
{
	int r = upper_configure(ov, value);

	if (r == -ENOMEM)
		return error_fail(err, ENOMEM, "out of memory");
	return r < 0 ? bad_value("upper", value, err) : 0;
}

static int set_flag(bool *flag, const char *key, const char *value,
		    struct shale_error *err)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return bad_value(key, value, err);
	*flag = !strcmp(value, "yes");
	return 0;
}

static int configure_one(struct overlay *ov, const char *key, const char *value,
			 bool *create, struct shale_error *err)
{
	if (!strcmp(key, "durability"))
		return set_durability(ov, value, err);
	if (!strcmp(key, "lock_timeout_ms"))
		return set_lock_timeout(ov, value, err);
	if (!strcmp(key, "mount_option") && !ov->driver->is_copying)
		return add_mount_option(ov, value, err);
	if (!strcmp(key, "allow_mount_option"))
		return allow_mount_option(ov, value, err);
	if (!strcmp(key, "upper") && !ov->driver->is_copying)
		return add_upper(ov, value, err);
	if (!strcmp(key, "manifest"))
		return set_manifest(ov, value, err);
	if (!strcmp(key, "create"))
		return set_flag(create, key, value, err);
	if (!strcmp(key, "any_filesystem"))
		return set_flag(&ov->any_filesystem, key, value, err);
	if (!strcmp(key, "slow_chown"))
		return set_flag(&ov->slow_chown, key, value, err);
	if (!strcmp(key, "delete_later"))
		return set_flag(&ov->deletes_later, key, value, err);
	return error_fail(err, EINVAL,
			  "configuration: the snapshotter '%s' knows no '%s'",
			  ov->driver->name, key);
}

static int configure(struct overlay *ov, const char *const *config,
		     bool *create, struct shale_error *err)
{
	size_t pairs = 0;
	int r = 0;

	while (config && config[2 * pairs] && config[2 * pairs + 1])
		pairs++;
	ov->mount_options = calloc(pairs + 1, sizeof(*ov->mount_options));
	ov->allowed_options = calloc(pairs + 1, sizeof(*ov->allowed_options));
	if (!ov->mount_options || !ov->allowed_options)
		return error_fail(err, ENOMEM, "out of memory");
	for (; r == 0 && config && *config; config += config[1] ? 2 : 1)
		r = config[1] ? configure_one(ov, config[0], config[1], create,
					      err)
			      : error_fail(err, EINVAL,
					   "configuration: '%s' has no value",
					   config[0]);
	return r;
}

/*
 * Whether overlayfs must keep its marks in user.*: trusted.* is the initial
 * namespace's alone.  A user outside of any can mount in one of his own only.
 */
static bool wants_userxattr(void)
{
	return process_in_user_namespace() ||
	       (geteuid() != 0 && !process_is_admin());
}

bool overlay_is_ordered(struct overlay *ov)
{
	int known = atomic_load(&ov->is_ordered);

	if (!known) {
		known = format_is_ordered(ov->root_fd) ? 1 : -1;
		atomic_store(&ov->is_ordered, known);
	}
	return known > 0;
}

static int open_as(const struct driver *driver, const struct shale_host *host,
		   int root_fd, const char *root_path,
		   const char *const *config, void **ret_self,
		   struct shale_error *err)
{
	__attribute__((cleanup(drop_overlay))) struct overlay *ov =
		calloc(1, sizeof(*ov));
	bool create = false;
	int r;

	if (!ov)
		return error_fail(err, ENOMEM, "open '%s': out of memory",
				  root_path);
	ov->driver = driver;
	ov->host = host;
	ov->root_fd = ov->staging_fd = ov->trash_fd = ov->lock_fd = -1;
	ov->room_fd[ROOM_ACTIVE] = ov->room_fd[ROOM_SNAPSHOTS] = -1;
	ov->durability = DURABLE_LAYER;
	ov->lock_timeout_ms = -1;
	ov->userxattr = wants_userxattr();
	ov->cache = cache_new();
	ov->recent = recent_new();
	ov->root_path = strdup(root_path);
	ov->root_fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ov->root_fd < 0)
		return error_errno(err, errno, "open '%s'", root_path);
	if (!ov->cache || !ov->recent || !ov->root_path)
		return error_fail(err, ENOMEM, "open '%s': out of memory",
				  root_path);
	r = configure(ov, config, &create, err);
	if (r == 0)
		r = format_check_root(ov, err);
	if (r == 0 && create)
		r = format_create(ov, err);
	if (r == 0)
		r = format_open(ov, err);
	if (r < 0)
		return error_context(err, r, "open '%s'", root_path);
	*ret_self = take_ptr(&ov);
	return 0;
}

static const struct driver overlay_driver = { .name = "overlay",
					      .format = "1" };
static const struct driver native_driver = { .name = "native",
					     .format = "native-1",
					     .is_copying = true };

static int overlay_open(const struct shale_host *host, int root_fd,
			const char *root_path, const char *const *config,
			void **ret_self, struct shale_error *err)
{
	return open_as(&overlay_driver, host, root_fd, root_path, config,
		       ret_self, err);
}

static int native_open(const struct shale_host *host, int root_fd,
		       const char *root_path, const char *const *config,
		       void **ret_self, struct shale_error *err)
{
	return open_as(&native_driver, host, root_fd, root_path, config,
		       ret_self, err);
}

/* All but the name, the description and open. */
#define OPERATIONS                                                         \
	.size = sizeof(struct shale_snapshotter), .abi = SHALE_PLUGIN_ABI, \
	.version = PACKAGE_VERSION, .features = SHALE_FEAT_PARALLEL,       \
	.close = overlay_close, .prepare = overlay_prepare,                \
	.view = overlay_view, .mounts = overlay_mounts,                    \
	.commit = overlay_commit, .remove = overlay_remove,                \
	.parent = overlay_parent, .exists = overlay_exists,                \
	.delete_ = overlay_delete, .walk = overlay_walk,                   \
	.active = overlay_active, .stat = overlay_stat,                    \
	.update = overlay_update, .usage = overlay_usage,                  \
	.cleanup = overlay_cleanup, .use = overlay_use,                    \
	.check = overlay_check, .verify = overlay_verify

const struct shale_snapshotter overlay_snapshotter = {
	.name = "overlay",
	.description = "layers joined by overlayfs",
	.open = overlay_open,
	OPERATIONS,
};

const struct shale_snapshotter native_snapshotter = {
	.name = "native",
	.description = "whole copies, for where overlayfs can't be",
	.open = native_open,
	OPERATIONS,
};

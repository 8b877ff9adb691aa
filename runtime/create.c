/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * create, run and restore: see door.h.
 *
 * In this order: everything that can be refused; the record; the key; the
 * mount; the runtime.  What was done by the time of a failure is undone in
 * the opposite one, and after SIGKILL the record says what to undo.
 */
#include "door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "config.h"
#include "error.h"
#include "fs.h"
#include "mark.h"
#include "mounted.h"
#include "owner.h"
#include "policy.h"
#include "presence.h"
#include "reap.h"
#include "rootmount.h"
#include "runtime.h"
#include "scope.h"
#include "target.h"

/**
 * struct creation - what one call knows of its container
 * @dir:       of the bundle, without links
 * @target_fd: the bundle's rootfs, flocked
 * @target:    its path
 * @is_left:   there is a mount or a key that could not be undone
 */
struct creation {
	const struct call *call;
	struct config *config;
	struct bundle bundle;
	char *dir;
	int target_fd;
	char target[PATH_MAX];
	struct mounted mounted;
	enum claimed claimed;
	bool is_left;
};

static void drop_creation(struct creation *c)
{
	mounted_clear(&c->mounted);
	drop_fd(&c->target_fd);
	bundle_clear(&c->bundle);
	config_free(c->config);
	free(c->dir);
}

/* ---- what is refused before anything is changed ---- */

static int check_policy(const struct creation *c, struct shale_error *err)
{
	const struct annotations *asked = &c->bundle.annotations;
	const struct policy_request request = {
		.runtime_root = c->call->root,
		.uid = runtime_caller(),
		.parent = asked->parent,
		.onstop = asked->onstop,
		.commit_name = asked->commit_name,
	};

	return policy_check(&c->config->policy, &request, NULL, err);
}

/* ---- the target ---- */

/*
 * Directories, files without content and podman's link to the mount table:
 * what runtimes and engines leave where they found an empty directory.
 */
static int is_mount_point_only(void *ctx, const struct fs_entry *entry)
{
	char link[FS_LINK_SIZE];
	struct stat st;
	char **ret_name = ctx;

	if (fstatat(entry->parent_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) <
	    0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && !st.st_size))
		return 0;
	if (S_ISLNK(st.st_mode) &&
	    fs_read_link(entry->parent_fd, entry->name, link) > 0 &&
	    !strcmp(link, "/proc/mounts"))
		return 0;
	*ret_name = strdup(entry->name);
	return -ENOTEMPTY;
}

static int check_empty(const struct creation *c, struct shale_error *err)
{
	auto_free char *name = NULL;
	int r = fs_walk(c->target_fd, is_mount_point_only, &name);

	if (r == -ENOTEMPTY)
		return error_fail(
			err, ENOTEMPTY,
			"the root '%s' has '%s' in it, which the layers would hide: name an empty directory",
			c->target, name ? name : "");
	return r < 0 ? error_errno(err, -r, "look into the root '%s'",
				   c->target)
		     : 0;
}

/* It stays flocked until it is mounted on: two can't find it empty. */
static int open_target(struct creation *c, struct shale_error *err)
{
	int r;

	c->target_fd = open(c->bundle.rootfs,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->target_fd < 0 && errno == ENOTDIR)
		return error_fail(
			err, ENOTDIR,
			"the root '%s' is no directory, or a link to one: name the directory itself",
			c->bundle.rootfs);
	if (c->target_fd < 0)
		return error_errno(err, errno, "open the root '%s'",
				   c->bundle.rootfs);
	r = fs_fd_target(c->target_fd, c->target);
	if (r < 0)
		return error_errno(err, -r, "find the path of the root '%s'",
				   c->bundle.rootfs);
	if (flock(c->target_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return error_fail(
			err, EBUSY,
			"another call mounts on the root '%s' just now: each container needs one of its own",
			c->target);
	return error_errno(err, errno, "lock the root '%s'", c->target);
}

static int check_target(struct creation *c, struct shale_error *err)
{
	struct statx stx;
	int r = open_target(c, err);

	if (r < 0)
		return r;
	if (statx(c->target_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return error_errno(err, errno, "look at the root '%s'",
				   c->target);
	if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return error_fail(
			err, EBUSY,
			"the root '%s' is a mount point: name a directory that nothing is mounted on",
			c->target);
	return check_empty(c, err);
}

/* ---- the bundle ---- */

/* 1: it is none of ours. */
static int load_bundle(struct creation *c, struct shale_error *err)
{
	const char *dir = c->call->command.value[COMMAND_BUNDLE];
	char path[PATH_MAX];
	auto_free char *file = NULL;
	struct json *json;
	int r;

	if (call_config(c->call, path) < 0 || !mark_is_in(path))
		return 1;
	c->dir = realpath(dir && *dir ? dir : ".", NULL);
	if (!c->dir)
		return error_errno(err, errno, "open bundle '%s'",
				   dir ? dir : ".");
	file = realpath(path, NULL); /* it may be a link, as for the runtime */
	if (!file)
		return error_errno(err, errno, "open '%s'", path);
	r = bundle_load_file(c->dir, file, &json, err);
	if (r < 0)
		return r;
	if (!annotations_any(json_get(json, "annotations"))) {
		json_free(json);
		return 1;
	}
	return bundle_parse(c->dir, json, &c->bundle, err);
}

static const char *key_of(const struct creation *c)
{
	return c->bundle.annotations.key ? c->bundle.annotations.key
					 : c->call->command.id;
}

/*
 * A container that is there already: the runtime refuses another of that id,
 * and what it stands on stays.  A record without a container is of one whose
 * end nobody told.  Returns 1 for the first.
 */
static int clear_way(const struct call *call, struct shale_error *err)
{
	const char *id = call->command.id;
	auto_mounted old = MOUNTED_INIT;
	int r;

	if (presence_has_directory(call->root, id))
		return 1;
	if (!mounted_is_on_record(DOOR_RUNTIME, call->path, call->root, id))
		return 0;
	r = mounted_open(DOOR_RUNTIME, call->path, call->root, id, MOUNTED_NOW,
			 &old, err);
	if (r == -ENOENT) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	if (old.is_certified && mounted_is_of_this_boot(&old) &&
	    !presence_is_gone(call->path, call->root, id))
		return 1;
	return reap_one(&old, true, err);
}

static int look(struct creation *c, struct shale_error *err)
{
	const struct command *command = &c->call->command;
	int r = load_bundle(c, err);

	if (r != 0)
		return r;
	r = config_load_for_runtime(command->value[COMMAND_SHALE_ROOT],
				    command->value[COMMAND_SHALE_CONFIG],
				    &c->config, err);
	if (r == 0)
		r = check_policy(c, err);
	if (r == 0)
		r = mapping_check_known(&c->bundle.mapping, err);
	if (r == 0)
		r = check_target(c, err);
	return r;
}

/* ---- making ---- */

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

static int make_record(struct creation *c, struct shale_error *err)
{
	const struct command *command = &c->call->command;
	char *real = realpath(c->config->root, NULL);
	int r;

	if (!real)
		return error_errno(err, errno, "open '%s'", c->config->root);
	c->mounted.door = DOOR_RUNTIME;
	c->mounted.store = real;
	c->mounted.runtime = copy(c->call->path);
	c->mounted.root = copy(c->call->root);
	c->mounted.id = copy(command->id);
	c->mounted.bundle = copy(c->dir);
	c->mounted.target = copy(c->target);
	c->mounted.key = copy(key_of(c));
	c->mounted.store_option = copy(command->value[COMMAND_SHALE_ROOT]);
	c->mounted.config_option = copy(command->value[COMMAND_SHALE_CONFIG]);
	if (!c->mounted.runtime || !c->mounted.root || !c->mounted.id ||
	    !c->mounted.bundle || !c->mounted.target || !c->mounted.key ||
	    !c->mounted.store_option || !c->mounted.config_option)
		return error_fail(err, ENOMEM, "out of memory");
	r = mounted_create(&c->mounted, err);
	if (r == 0)
		r = mounted_check_target(&c->mounted, err);
	return r;
}

static int mount_key(struct creation *c, struct shale_store *store,
		     struct shale_error *err)
{
	auto_fd fd = -1;
	int r = rootmount_make(store, c->mounted.key, c->bundle.mount_label,
			       c->bundle.annotations.is_view, &fd, err);

	if (r == 0)
		r = target_check_fixed(fd, err);
	return r < 0 ? r : mounted_attach(&c->mounted, fd, c->target_fd, err);
}

/* Until it is mounted its user is who makes it; then the mount will tell. */
static int give_root(struct creation *c, struct shale_store *store,
		     struct shale_error *err)
{
	const struct annotations *asked = &c->bundle.annotations;
	const struct owner owner = reap_owner(&c->mounted);
	struct claim claim = {
		.owner = &owner,
		.key = c->mounted.key,
		.parent = asked->parent,
		.onstop = asked->onstop_text,
		.is_view = asked->is_view,
		.is_volatile = config_is_volatile(c->config),
		.mapping = &c->bundle.mapping,
		.pid = getpid(),
	};
	int r = door_claim(store, &claim, &c->claimed, err);

	if (r < 0)
		return r;
	r = mount_key(c, store, err);
	claim.pid = 0;
	if (r == 0)
		r = door_set_user(store, &claim, err);
	if (r == 0)
		return 0;
	c->is_left = reap_undo(store, &c->mounted, c->claimed, NULL) < 0;
	return r;
}

/* ---- with the store, which is not kept open while a container runs ---- */

static int with_store(struct creation *c,
		      int (*fn)(struct creation *c, struct shale_store *store,
				struct shale_error *err),
		      struct shale_error *err)
{
	struct shale_plugin *plugin;
	struct shale_store *store;
	int r = config_open_store(c->config, NULL, NULL, false, NULL, &plugin,
				  &store, err);

	if (r < 0)
		return r;
	r = fn(c, store, err);
	shale_store_close(store);
	shale_plugin_unload(plugin);
	return r;
}

static int take_root(struct creation *c, struct shale_store *store,
		     struct shale_error *err)
{
	return reap_undo(store, &c->mounted, c->claimed, err);
}

/* ---- after the runtime ---- */

static bool is_foreground(const struct call *call)
{
	return !command_is(&call->command, call->argv, "create") &&
	       !call->command.value[COMMAND_DETACH];
}

/* Where no container has come of it. */
static int undo(struct creation *c, struct shale_error *err)
{
	bool is_unmounted;
	int r = mounted_unmount(&c->mounted, &is_unmounted, err);

	/* First, whether the store can be had or not. */
	if (r == 0)
		r = with_store(c, take_root, err);
	return r < 0 ? r : mounted_remove(&c->mounted, err);
}

static int settle(struct creation *c, const struct ending *ending,
		  struct shale_error *err)
{
	const struct mounted *m = &c->mounted;

	if (!is_foreground(c->call)) {
		/* A delete has not waited for us: say what its record is for. */
		if (!ending->signal && !ending->status)
			return presence_has_no_directory(m->root, m->id) &&
					       presence_is_gone(m->runtime,
								m->root, m->id)
				       ? reap_one(&c->mounted, false, err)
				       : 0;
		/* Killed late, it has left one that can be started.  (Where no
		 * root is known, what it refused may be there of another.)
		 */
		return (ending->signal ||
			*m->root) && presence_may_be(m->runtime, m->root, m->id)
			       ? 0
			       : undo(c, err);
	}
	if (presence_has_directory(m->root, m->id) ||
	    presence_may_be(m->runtime, m->root, m->id))
		return 0;
	return reap_one(&c->mounted, false, err);
}

int door_create(const struct call *call, struct ending *ret,
		struct shale_error *err)
{
	__attribute__((cleanup(drop_creation))) struct creation c = {
		.call = call,
		.target_fd = -1,
		.mounted = MOUNTED_INIT,
	};
	int r = clear_way(call, err);

	if (r == 0)
		r = look(&c, err);
	if (r == 1)
		return call_exec(call, err);
	if (r == 0)
		r = make_record(&c, err);
	if (r == 0)
		r = with_store(&c, give_root, err);
	drop_fd(&c.target_fd);
	if (r < 0) {
		if (c.mounted.is_certified && !c.is_left)
			(void)mounted_remove(&c.mounted, NULL);
		return r;
	}
	r = child_run(call, ret, err);
	if (r < 0) {
		(void)undo(&c, NULL);
		return r;
	}
	r = settle(&c, ret, err);
	if (r < 0)
		call_tell(call, err->msg);
	return 0;
}

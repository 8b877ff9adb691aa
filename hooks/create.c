/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stages prestart, createRuntime and createContainer: see hook.h.
 *
 * Which of them can be right depends on the runtime, and distributions patch
 * runtimes: so no version is asked, the hook looks.  A runtime that has the
 * root open already would pivot to what lies under the new one; one that says
 * "created" has bound its masked paths in the old one, so that only a hook in
 * the container's own namespace comes before the rest.  Every refusal names a
 * door that works.
 */
#include "hook.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "error.h"
#include "home.h"
#include "owner.h"
#include "place.h"
#include "rootmount.h"
#include "runtime.h"
#include "scope.h"
#include "target.h"

#define MOUNT_DOOR "'shale mount KEY DIR' before the runtime"

/**
 * struct creation - what one call knows of its container
 * @in_place:   our mount namespace is the container's (createContainer)
 * @is_created: the runtime has bound masks and set flags already
 * @init_pid:   of the container's init, as the host counts
 */
struct creation {
	const struct hook *hook;
	bool in_place, is_created;
	long init_pid;
	struct runtime runtime;
	struct bundle bundle;
	struct mapping mapping;
	const char *key;
	struct place *place;
};

static void drop_creation(struct creation *c)
{
	place_close(c->place);
	bundle_clear(&c->bundle);
	mapping_clear(&c->mapping);
}

/* ---- what is refused before the store is touched ---- */

static bool has_user_namespace(const struct creation *c)
{
	long pid = c->hook->state->pid;

	return pid > 0 && runtime_is_mapped(pid);
}

static bool is_in_place(const struct hook *hook)
{
	return !strcmp(hook->stage, "createContainer");
}

static int check_status(struct creation *c, struct shale_error *err)
{
	const char *status = c->hook->state->status;

	c->in_place = is_in_place(c->hook);
	c->is_created = !strcmp(status, "created");
	if (!c->is_created && strcmp(status, "creating") != 0)
		return error_fail(
			err, EINVAL,
			"the state says '%s', neither 'creating' nor 'created'",
			status);
	if (c->is_created && !c->in_place)
		return error_fail(
			err, ENOTSUP,
			"this runtime has bound its masked paths already and would lose them: use %s",
			has_user_namespace(c)
				? MOUNT_DOOR
				: "stage createContainer, or " MOUNT_DOOR);
	return 0;
}

int hook_check_user(const struct hook *hook, struct shale_error *err)
{
	if (!is_in_place(hook) || !runtime_is_mapped(0) || home_is_users())
		return 0;
	return error_fail(
		err, ENOTSUP,
		"this stage runs as the mapped root of the user namespace, who has no store: use " MOUNT_DOOR);
}

static int find_init(struct creation *c, struct shale_error *err)
{
	if (c->in_place)
		return runtime_find_init(&c->init_pid, err);
	c->init_pid = c->hook->state->pid;
	if (c->init_pid <= 0)
		return error_fail(
			err, EINVAL,
			"the state has no pid of the container's process");
	return 0;
}

/*
 * What config.json asks for, or where that names a namespace that was there
 * before, what the process has.  Asked last, since a process that is no
 * container's is to be called that.
 */
static int find_mapping(struct creation *c, struct shale_error *err)
{
	const struct mapping *asked = &c->bundle.mapping;
	int r = mapping_of_process(c->init_pid, &c->mapping, err);

	if (r < 0)
		return error_context(err, r, "find the user namespace");
	if (!asked->uid || mapping_is_same(asked, &c->mapping))
		return 0;
	return error_fail(
		err, EINVAL,
		"the container's process has the uids '%s' and gids '%s', not those of config.json",
		c->mapping.uid ? c->mapping.uid : "",
		c->mapping.gid ? c->mapping.gid : "");
}

static int check_policy(const struct creation *c, struct shale_error *err)
{
	const struct annotations *asked = &c->bundle.annotations;
	const struct policy_request request = {
		.runtime_root = c->runtime.root,
		.uid = runtime_caller(),
		.parent = asked->parent,
		.onstop = asked->onstop,
		.commit_name = asked->commit_name,
	};

	return policy_check(&c->hook->config->policy, &request, NULL, err);
}

/* The runtime has made their nodes by now, in the bundle's rootfs. */
static int check_devices(const struct creation *c, struct shale_error *err)
{
	const struct json *devices = c->bundle.devices;

	for (size_t i = 0; devices && i < devices->count; i++) {
		const char *path =
			json_string(json_get(devices->items[i], "path"));

		if (!place_covers(c->place, path))
			return error_fail(
				err, ENOTSUP,
				"the device '%s' is in the bundle's rootfs, where the layers hide it: use " MOUNT_DOOR,
				path);
	}
	return 0;
}

/* What only a rootfs that the runtime itself sees could have. */
static int check_bundle(const struct creation *c, struct shale_error *err)
{
	const char *own = place_own_bind(c->place);

	if (own)
		return error_fail(
			err, ENOTSUP,
			"this runtime has bound '%s' of the bundle's rootfs, which would hide the image's: use " MOUNT_DOOR,
			own);
	if (!place_has(c->place, "/dev"))
		return error_fail(
			err, ENOTSUP,
			"nothing is mounted at '/dev', so that its nodes are in the bundle's rootfs, where the layers hide them: use " MOUNT_DOOR);
	if (c->bundle.copy_up)
		return error_fail(
			err, ENOTSUP,
			"the mount at '%s' has tmpcopyup, which copies from the bundle's rootfs: use " MOUNT_DOOR,
			c->bundle.copy_up);
	return check_devices(c, err);
}

/* In createContainer a wrapper may stand between us and init: ask all. */
static int check_descriptors(const struct creation *c, struct shale_error *err)
{
	const uint64_t mnt_id = place_mnt_id(c->place);
	long pid = c->in_place ? c->runtime.parent : c->init_pid;
	bool held = false;

	if (c->is_created)
		return 0; /* crun holds it, and mounts by path all the same */
	for (int i = 0; !held && pid != c->init_pid && i < 8; i++) {
		held = runtime_holds_mount(pid, mnt_id) ||
		       runtime_parent(pid, &pid) < 0;
	}
	if (held || pid != c->init_pid || runtime_holds_mount(pid, mnt_id))
		return error_fail(
			err, ENOTSUP,
			"this runtime holds a descriptor of the root and would pivot under the layers: use " MOUNT_DOOR);
	return 0;
}

static int look(struct creation *c, struct shale_error *err)
{
	const struct state *state = c->hook->state;
	int r = check_status(c, err);

	if (r == 0)
		r = find_init(c, err);
	if (r == 0)
		r = bundle_load(state->bundle, &c->bundle, err);
	if (r == 0)
		r = runtime_find(state->id, &c->runtime, err);
	if (r == 0)
		r = check_policy(c, err);
	if (r == 0)
		r = place_open(c->in_place ? 0 : c->init_pid, c->bundle.rootfs,
			       &c->place, err);
	if (r == 0)
		r = check_descriptors(c, err);
	if (r == 0)
		r = find_mapping(c, err);
	if (r == 0)
		r = check_bundle(c, err);
	if (r == 0)
		c->key = c->bundle.annotations.key ? c->bundle.annotations.key
						   : state->id;
	return r;
}

/* ---- masks ---- */

/*
 * crun has masked by now what was in the bundle's rootfs, and that is empty:
 * a path outside of the mounts that only the image has would stay open.
 */
static int check_masks(const struct creation *c, const struct json *paths,
		       const char *what, int root_fd, struct shale_error *err)
{
	for (size_t i = 0; paths && i < paths->count; i++) {
		const char *path = paths->items[i]->text;
		int fd;

		if (place_covers(c->place, path))
			continue;
		fd = target_look(root_fd, path, 0);
		if (fd == -ENOENT)
			continue;
		if (fd >= 0)
			(void)close(fd);
		return error_fail(
			err, ENOTSUP,
			"%s path '%s' is in the image, where this runtime does not see it: use " MOUNT_DOOR,
			what, path);
	}
	return 0;
}

static int put(const struct creation *c, int root_fd, struct shale_error *err)
{
	struct place_wish wish = {
		.is_view = c->bundle.annotations.is_view,
		/* Newer crun does it too late, through an old descriptor. */
		.read_only = c->is_created && c->bundle.root_readonly,
		/* crun has made it by now, in the bundle's rootfs. */
		.cwd = c->is_created ? c->bundle.cwd : NULL,
	};
	int r;

	mapping_root(&c->mapping, &wish.uid, &wish.gid);
	r = place_put(c->place, root_fd, &wish, err);
	if (r == 0 && c->is_created)
		r = check_masks(c, c->bundle.masked, "masked", root_fd, err);
	if (r == 0 && c->is_created)
		r = check_masks(c, c->bundle.readonly, "read-only", root_fd,
				err);
	return r;
}

/* ---- the store ---- */

static int give_root(struct creation *c, struct shale_store *store,
		     struct shale_error *err)
{
	const struct annotations *asked = &c->bundle.annotations;
	const struct owner owner = {
		.door = HOOK_DOOR,
		.runtime_root = c->runtime.root,
		.container = c->hook->state->id,
		.bundle = c->hook->state->bundle,
	};
	const struct claim claim = {
		.owner = &owner,
		.key = c->key,
		.parent = asked->parent,
		.onstop = asked->onstop_text,
		.is_view = asked->is_view,
		.is_volatile = config_is_volatile(c->hook->config),
		.mapping = &c->mapping,
		.pid = c->init_pid,
	};
	enum claimed claimed;
	auto_fd root_fd = -1;
	int r = door_claim(store, &claim, &claimed, err);

	if (r < 0)
		return r;
	r = rootmount_make(store, c->key, c->bundle.mount_label, asked->is_view,
			   &root_fd, err);
	if (r == 0)
		r = put(c, root_fd, err);
	if (r < 0) {
		drop_fd(&root_fd);
		/* Its descriptors may be all that we may have. */
		place_close(take_ptr(&c->place));
		door_unclaim(store, c->key, claimed);
	}
	return r;
}

int hook_create(const struct hook *hook, struct shale_error *err)
{
	__attribute__((cleanup(drop_creation))) struct creation c = {
		.hook = hook,
	};
	struct shale_plugin *plugin;
	struct shale_store *store;
	int r = look(&c, err);

	if (r < 0)
		return r;
	r = config_open_store(hook->config, NULL, NULL, false, NULL, &plugin,
			      &store, err);
	if (r < 0)
		return r;
	r = give_root(&c, store, err);
	shale_store_close(store);
	shale_plugin_unload(plugin);
	return r;
}

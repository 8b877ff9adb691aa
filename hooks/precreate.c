/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stage precreate, which is podman's own: config.json comes on standard input,
 * and goes to standard output with another root.path, before any runtime has
 * seen it.  All other bytes stay as they are.
 *
 * No state, and so no id, is given: config.json tells which container it is.
 */
#include "hook.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "error.h"
#include "mounted.h"
#include "reap.h"
#include "rootmount.h"
#include "runtime.h"
#include "scope.h"
#include "target.h"

#define ID_LEN 64 /* of podman's containers, in hex */

/**
 * struct creation - what one call knows
 * @text:      config.json as it came, @len bytes
 * @container: podman's id
 */
struct creation {
	const struct hook *hook;
	char *text;
	size_t len;
	struct bundle bundle;
	char container[ID_LEN + 1];
	const char *key;
	struct mounted mounted;
	bool is_claimed;
	enum claimed claimed;
};

static void drop_creation(struct creation *c)
{
	mounted_clear(&c->mounted);
	bundle_clear(&c->bundle);
	free(c->text);
}

/* ---- which container ---- */

/* The 64 hex digits that end the first @len bytes of @text. */
static bool take_id(const char *text, size_t len, char ret[ID_LEN + 1])
{
	const char *id = text + len - ID_LEN;

	if (len < ID_LEN || strspn(id, "0123456789abcdef") < ID_LEN ||
	    (len > ID_LEN && strchr("0123456789abcdef", id[-1])))
		return false;
	memcpy(ret, id, ID_LEN);
	ret[ID_LEN] = '\0';
	return true;
}

/*
 * Without a cgroup there is the file that podman mounts into each container
 * out of the container's own directory: .../ID/userdata/.containerenv
 */
static bool take_id_of_directory(const struct json *config,
				 char ret[ID_LEN + 1])
{
	static const char end[] = "/userdata/.containerenv";
	const struct json *mounts = json_get(config, "mounts");

	for (size_t i = 0;
	     mounts && mounts->type == JSON_ARRAY && i < mounts->count; i++) {
		const struct json *mount = mounts->items[i];
		const char *at = json_string(json_get(mount, "destination"));
		const char *source = json_string(json_get(mount, "source"));
		const char *tail = source ? strstr(source, end) : NULL;

		if (at && !strcmp(at, "/run/.containerenv") && tail &&
		    tail[sizeof(end) - 1] == '\0' &&
		    take_id(source, (size_t)(tail - source), ret))
			return true;
	}
	return false;
}

static int find_container(struct creation *c, struct shale_error *err)
{
	const struct json *config = c->bundle.json;
	const char *path =
		json_string(json_get(json_get(config, "linux"), "cgroupsPath"));

	if ((path && take_id(path, strlen(path), c->container)) ||
	    take_id_of_directory(config, c->container))
		return 0;
	return error_fail(
		err, EINVAL,
		"config.json does not tell which container it is for: linux.cgroupsPath ends in no id, and no mount is podman's .containerenv: use 'shale mount KEY DIR' and 'podman run --rootfs DIR'");
}

/* ---- what is refused before the store is touched ---- */

static int check_policy(const struct creation *c, struct shale_error *err)
{
	const struct annotations *asked = &c->bundle.annotations;
	const struct policy_request request = {
		.runtime_root = "",
		.uid = runtime_caller(),
		.parent = asked->parent,
		.onstop = asked->onstop,
		.commit_name = asked->commit_name,
	};

	return policy_check(&c->hook->config->policy, &request, NULL, err);
}

static int look(struct creation *c, struct shale_error *err)
{
	struct json *json;
	int r = json_read_text(STDIN_FILENO, BUNDLE_SIZE_MAX, "config.json",
			       &c->text, &c->len, &json, err);

	if (r == 0)
		r = bundle_parse("", json, &c->bundle, err);
	if (r == 0)
		r = find_container(c, err);
	if (r == 0)
		r = mapping_check_known(&c->bundle.mapping, err);
	if (r == 0)
		r = check_policy(c, err);
	if (r == 0)
		c->key = c->bundle.annotations.key ? c->bundle.annotations.key
						   : c->container;
	return r;
}

/* ---- the answer ---- */

static int write_all(const char *text, size_t len, struct shale_error *err)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "write config.json");
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int answer(const struct creation *c, struct shale_error *err)
{
	auto_free char *text = NULL;
	size_t len;

	if (bundle_with_root(&c->bundle, c->text, c->len, c->mounted.target,
			     &text, &len) < 0)
		return error_fail(err, ENOMEM,
				  "write config.json: out of memory");
	return write_all(text, len, err);
}

/* ---- the mount ---- */

static int mount_root(struct creation *c, struct shale_store *store,
		      struct shale_error *err)
{
	auto_fd root_fd = -1, target_fd = -1;
	uid_t uid;
	gid_t gid;
	int r = rootmount_make(store, c->key, c->bundle.mount_label,
			       c->bundle.annotations.is_view, &root_fd, err);

	if (r == 0)
		r = target_check_fixed(root_fd, err);
	mapping_root(&c->bundle.mapping, &uid, &gid);
	if (r == 0)
		r = mounted_own_target(&c->mounted, gid, &target_fd, err);
	if (r == 0)
		r = mounted_attach(&c->mounted, root_fd, target_fd, err);
	return r < 0 ? r : answer(c, err);
}

static int claim_and_mount(struct creation *c, struct shale_store *store,
			   struct shale_error *err)
{
	const struct annotations *asked = &c->bundle.annotations;
	const struct owner owner = reap_owner(&c->mounted);
	const struct claim claim = {
		.owner = &owner,
		.key = c->key,
		.parent = asked->parent,
		.onstop = asked->onstop_text,
		.is_view = asked->is_view,
		.is_volatile = config_is_volatile(c->hook->config),
		.mapping = &c->bundle.mapping,
	};
	int r = door_claim(store, &claim, &c->claimed, err);

	if (r < 0)
		return r;
	c->is_claimed = true;
	return mount_root(c, store, err);
}

/* What can't be undone stays on record. */
static void undo(struct creation *c, struct shale_store *store)
{
	if (c->mounted.is_certified &&
	    (!c->is_claimed ||
	     reap_undo(store, &c->mounted, c->claimed, NULL) == 0))
		(void)mounted_remove(&c->mounted, NULL);
}

/*
 * An earlier start of the container that never came to its stop: podman calls
 * nothing back where a start failed.
 */
static int clear_way(const struct creation *c, struct shale_error *err)
{
	auto_mounted old = MOUNTED_INIT;
	int r = mounted_open(DOOR_PRECREATE, "", "", c->container, MOUNTED_WAIT,
			     &old, err);

	if (r == -ENOENT) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	if (mounted_is_used(&old, false))
		return error_fail(err, EBUSY,
				  "container '%s' runs on '%s' of the store",
				  old.id, old.key);
	return reap_one(&old, true, err);
}

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

/* podman's one id names the container: there is neither root nor bundle. */
static int make_record(struct creation *c, struct shale_error *err)
{
	struct mounted *m = &c->mounted;

	m->store = realpath(c->hook->config->root, NULL);
	if (!m->store)
		return error_errno(err, errno, "open '%s'",
				   c->hook->config->root);
	m->door = DOOR_PRECREATE;
	m->runtime = copy("");
	m->root = copy("");
	m->bundle = copy("");
	m->id = copy(c->container);
	m->key = copy(c->key);
	m->store_option = copy(c->hook->root_option);
	m->config_option = copy(c->hook->config_option);
	if (!m->runtime || !m->root || !m->bundle || !m->id || !m->key ||
	    !m->store_option || !m->config_option)
		return error_fail(err, ENOMEM, "out of memory");
	return mounted_create(m, err);
}

static int give_root(struct creation *c, struct shale_store *store,
		     struct shale_error *err)
{
	int r = clear_way(c, err);

	if (r == 0)
		r = make_record(c, err);
	if (r == 0)
		r = claim_and_mount(c, store, err);
	if (r < 0)
		undo(c, store);
	return r;
}

int hook_precreate(const struct hook *hook, struct shale_error *err)
{
	__attribute__((cleanup(drop_creation))) struct creation c = {
		.hook = hook,
		.mounted = MOUNTED_INIT,
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
	/* Who does not read the answer has to get an undone mount. */
	(void)signal(SIGPIPE, SIG_IGN);
	r = give_root(&c, store, err);
	shale_store_close(store);
	shale_plugin_unload(plugin);
	return r;
}

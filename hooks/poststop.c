/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stage poststop: see hook.h.  The bundle may be gone by now; only the key's
 * name is taken from it, all else is on record in the store.
 */
#include "hook.h"

#include <errno.h>

#include "bundle.h"
#include "error.h"
#include "owner.h"
#include "reap.h"
#include "runtime.h"
#include "scope.h"

/*
 * The annotations: what the runtime has on record since the start, where that
 * has ours; else the bundle's, whose config.json may have been changed, torn
 * or removed since.
 */
static const struct json *find_annotations(const struct state *state,
					   struct json **ret_json)
{
	if (json_get(state->annotations, "org.shale.parent"))
		return state->annotations;
	if (bundle_load_json(state->bundle, ret_json, NULL) < 0)
		return state->annotations;
	return json_get(*ret_json, "annotations");
}

static int release(const struct hook *hook, const char *key,
		   struct shale_store *store, struct shale_error *err)
{
	const struct state *state = hook->state;
	struct runtime runtime;
	const struct owner owner = {
		.door = HOOK_DOOR,
		.runtime_root = runtime.root,
		.container = state->id,
		.bundle = state->bundle,
	};
	const struct release wish = {
		.owner = &owner,
		.key = key,
		.root = hook->config->root,
		.policy = &hook->config->policy,
		.uid = runtime_caller(),
		.watch_fd = -1,
	};
	/* The container's directory may be gone: do not ask for it. */
	int r = runtime_find(NULL, &runtime, err);

	return r < 0 ? r : door_release(store, &wish, err);
}

/* What precreate has on record, if it is one of its containers. */
static int reap_precreate(const char *id, struct shale_error *err)
{
	auto_mounted mounted = MOUNTED_INIT;
	int r = mounted_open(DOOR_PRECREATE, "", "", id, MOUNTED_WAIT, &mounted,
			     err);

	if (r == -ENOENT) {
		error_clear(err);
		return 0;
	}
	return r < 0 ? r : reap_one(&mounted, false, err);
}

int hook_poststop(const struct hook *hook, struct shale_error *err)
{
	auto_json json = NULL;
	struct shale_plugin *plugin;
	struct shale_store *store;
	const char *key = annotations_key(find_annotations(hook->state, &json));
	int r = reap_precreate(hook->state->id, err);

	if (r == 0)
		r = config_open_store(hook->config, NULL, NULL, false, NULL,
				      &plugin, &store, err);
	if (r < 0)
		return r;
	r = release(hook, key && *key ? key : hook->state->id, store, err);
	shale_store_close(store);
	shale_plugin_unload(plugin);
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a container's mount: see reap.h.
 */
#include "reap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "error.h"
#include "owner.h"
#include "presence.h"
#include "runtime.h"
#include "scope.h"

/* A namespace goes after its last process: wait for it 100 times 20 ms. */
#define BUSY_TRIES 100
#define BUSY_PAUSE_NS 20000000L

/* What we did not unmount ourselves may be mounted all the same. */
static int wait_unmounted(struct shale_store *store,
			  const struct mounted *mounted,
			  struct shale_error *err)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	struct shale_error why = SHALE_ERROR_INIT;
	int r = shale_in_use(store, mounted->key, &why);

	for (int i = 0; r == -EBUSY && i < BUSY_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		error_clear(&why);
		r = shale_in_use(store, mounted->key, &why);
	}
	if (r != -EBUSY)
		return 0; /* whatever else it is, the key's removal says */
	return error_fail(
		err, EBUSY,
		"'%s' is not on '%s' in this mount namespace, and is still in use: %s",
		mounted->key, mounted->target, why.msg);
}

static int release(struct shale_store *store, const struct config *config,
		   const struct mounted *mounted, bool is_late,
		   struct shale_error *err)
{
	const struct owner owner = {
		.door = REAP_DOOR,
		.runtime_root = mounted->root,
		.container = mounted->id,
		.bundle = mounted->bundle,
	};
	const struct release wish = {
		.owner = &owner,
		.key = mounted->key,
		.root = mounted->store,
		.policy = &config->policy,
		.uid = runtime_caller(),
		.is_late = is_late,
	};

	return door_release(store, &wish, err);
}

/* The key stays as it is and has its own labels: the record is done with it. */
static bool is_final(int r)
{
	return r == -EPERM || r == -EFBIG || r == -ENOSPC || r == -EEXIST;
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static int reap_in_store(struct mounted *mounted, const struct config *config,
			 bool is_late, bool is_unmounted,
			 struct shale_error *err)
{
	struct shale_plugin *plugin;
	struct shale_store *store;
	int r = config_open_store(config, mounted->store, NULL, false, NULL,
				  &plugin, &store, err);

	if (r == -ENOENT) { /* with the key, and all others */
		error_clear(err);
		return mounted_remove(mounted, err);
	}
	if (r < 0)
		return r;
	if (!is_unmounted)
		r = wait_unmounted(store, mounted, err);
	if (r == 0) {
		r = release(store, config, mounted, is_late, err);
		if (r == 0)
			r = mounted_remove(mounted, err);
		else if (is_final(r))
			(void)mounted_remove(mounted, NULL);
	}
	shale_store_close(store);
	shale_plugin_unload(plugin);
	return r;
}

int reap_one(struct mounted *mounted, bool is_late, struct shale_error *err)
{
	auto_config config = NULL;
	bool is_unmounted;
	int r;

	if (!mounted->is_certified)
		return mounted_remove(mounted, err);
	r = mounted_unmount(mounted, &is_unmounted, err);
	if (r == 0)
		r = config_load_for_runtime(or_null(mounted->store_option),
					    or_null(mounted->config_option),
					    &config, err);
	return r < 0 ? r
		     : reap_in_store(mounted, config, is_late, is_unmounted,
				     err);
}

/* ---- all ---- */

struct sweep {
	const char *root;
	uint64_t removed;
	int first;
	struct shale_error *err;
};

static bool is_over(const struct mounted *mounted)
{
	return !mounted_is_of_this_boot(mounted) ||
	       presence_is_gone(mounted->runtime, mounted->root, mounted->id);
}

static int sweep_one(void *ctx, struct mounted *mounted)
{
	struct sweep *sweep = ctx;
	struct shale_error err = SHALE_ERROR_INIT;
	int r;

	if (mounted->is_certified &&
	    (strcmp(mounted->store, sweep->root) != 0 || !is_over(mounted)))
		return 0;
	r = reap_one(mounted, true, &err);
	if (r == 0)
		sweep->removed++;
	else if (r != -EBUSY && sweep->first == 0)
		sweep->first = error_fail(sweep->err, -r, "%s", err.msg);
	return 0;
}

int reap_gone(const char *root, uint64_t *ret_removed, struct shale_error *err)
{
	auto_free char *real = realpath(root, NULL);
	struct sweep sweep = { real ? real : root, 0, 0, err };
	int r = mounted_walk(sweep_one, &sweep, err);

	if (r == 0)
		r = sweep.first;
	if (r == 0 && ret_removed)
		*ret_removed = sweep.removed;
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a container's mount: see reap.h.
 */
#include "reap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "config.h"
#include "error.h"
#include "patience.h"
#include "presence.h"
#include "runtime.h"
#include "scope.h"

/* The kernel knows of an upper wherever it is mounted; a view has none. */
static int check_unmounted(struct shale_store *store,
			   const struct mounted *mounted,
			   struct shale_error *err)
{
	char place[MOUNTED_PLACE_SIZE];
	int r = shale_in_use(store, mounted->key, err);

	if (r == -EBUSY)
		return r;
	error_clear(err); /* whatever it is, the key's removal says */
	if (mounted_is_elsewhere(mounted, place))
		return error_fail(err, EBUSY,
				  "it is mounted at %s: unmount that first",
				  place);
	return 0;
}

/*
 * What mounted_unmount did not take down may be mounted all the same: for five
 * seconds.
 */
static int wait_unmounted(struct shale_store *store,
			  const struct mounted *mounted,
			  struct shale_error *err)
{
	struct patience patience = PATIENCE_INIT;
	struct shale_error why = SHALE_ERROR_INIT;
	int r = check_unmounted(store, mounted, NULL);

	while (r == -EBUSY && patience_wait(&patience))
		r = check_unmounted(store, mounted, NULL);
	if (r == -EBUSY) /* once more, to be told by whom */
		r = check_unmounted(store, mounted, &why);
	if (r == 0)
		return 0;
	return error_fail(
		err, EBUSY,
		"'%s' is not on '%s' in this mount namespace, and is still in use: %s",
		mounted->key, mounted->target, why.msg);
}

int reap_undo(struct shale_store *store, struct mounted *mounted,
	      enum claimed claimed, struct shale_error *err)
{
	bool is_unmounted;
	int r = mounted_unmount(mounted, &is_unmounted, err);

	if (r == 0 && !is_unmounted)
		r = wait_unmounted(store, mounted, err);
	return r < 0 ? r
		     : door_unclaim_unused(store, mounted->key, claimed,
					   mounted->watch_fd, err);
}

struct owner reap_owner(const struct mounted *mounted)
{
	return (struct owner){
		.door = mounted->door,
		.runtime_root = mounted->root,
		.container = mounted->id,
		.bundle = mounted->bundle,
	};
}

static int release(struct shale_store *store, const struct config *config,
		   const struct mounted *mounted, bool is_late,
		   struct shale_error *err)
{
	const struct owner owner = reap_owner(mounted);
	const struct release wish = {
		.owner = &owner,
		.key = mounted->key,
		.root = mounted->store,
		.policy = &config->policy,
		.uid = runtime_caller(),
		.watch_fd = mounted->watch_fd,
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

/* With the key, and all others. */
static bool is_store_gone(const struct mounted *mounted, bool is_unmounted)
{
	char place[MOUNTED_PLACE_SIZE];
	struct stat st;

	return stat(mounted->store, &st) < 0 && errno == ENOENT &&
	       (is_unmounted || !mounted_is_elsewhere(mounted, place));
}

static int reap_in_store(struct mounted *mounted, const struct config *config,
			 bool is_late, bool is_unmounted,
			 struct shale_error *err)
{
	struct shale_plugin *plugin;
	struct shale_store *store;
	int r = config_open_store(config, mounted->store, NULL, false, NULL,
				  &plugin, &store, err);

	if (r == -ENOENT && is_store_gone(mounted, is_unmounted)) {
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

/* As the door did that made it. */
static int load_config(const struct mounted *mounted, struct config **ret,
		       struct shale_error *err)
{
	const char *store = or_null(mounted->store_option);
	const char *file = or_null(mounted->config_option);

	return strcmp(mounted->door, DOOR_PRECREATE) == 0
		       ? config_load_for_hook(store, file, ret, err)
		       : config_load_for_runtime(store, file, ret, err);
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
		r = load_config(mounted, &config, err);
	return r < 0 ? r
		     : reap_in_store(mounted, config, is_late, is_unmounted,
				     err);
}

/* ---- all ---- */

static const char *const doors[] = { DOOR_RUNTIME, DOOR_PRECREATE };

#define DOORS (sizeof(doors) / sizeof(*doors))

static bool is_of_store(const struct mounted *mounted, const char *root)
{
	struct stat one, other;

	return !strcmp(mounted->store, root) ||
	       (stat(mounted->store, &one) == 0 && stat(root, &other) == 0 &&
		one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* By the runtime; where none is known, by who has it as its root. */
static bool is_over(const struct mounted *mounted)
{
	if (!mounted_is_of_this_boot(mounted))
		return true;
	if (*mounted->runtime)
		return presence_is_gone(mounted->runtime, mounted->root,
					mounted->id);
	return !mounted_is_used(mounted, true);
}

struct sweep {
	const char *root;
	uint64_t removed;
	int first;
	struct shale_error *err;
};

static int sweep_one(void *ctx, struct mounted *mounted, const char *torn)
{
	struct sweep *sweep = ctx;
	struct shale_error err = SHALE_ERROR_INIT;
	int r;

	if (torn || (mounted->is_certified &&
		     (!is_of_store(mounted, sweep->root) || !is_over(mounted))))
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
	struct sweep sweep = { root, 0, 0, err };
	int first = 0;

	for (size_t i = 0; i < DOORS; i++) {
		int r = mounted_walk(doors[i], sweep_one, &sweep, err);

		first = first ? first : r;
	}
	first = first ? first : sweep.first;
	if (first == 0 && ret_removed)
		*ret_removed = sweep.removed;
	return first;
}

/* ---- check ---- */

struct survey {
	struct shale_store *store;
	const char *root;
	bool repair;
	shale_finding_fn *emit;
	void *ctx;
};

/* A live door makes the directory, and holds it a moment later. */
static bool is_young(const struct mounted *mounted)
{
	struct timespec now;
	struct stat st;

	return clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	       fstat(mounted->fd, &st) == 0 && now.tv_sec - st.st_ctime < 2;
}

/* Whether there is one, and what of it, all but its place. */
static bool find(const struct survey *survey, const struct mounted *mounted,
		 const char *torn, struct shale_finding *ret)
{
	static const char cleanup[] = "'shale cleanup' takes it down";

	ret->name = "";
	if (torn) {
		ret->kind = "record-torn";
		ret->what = torn;
		ret->remedy = MOUNTED_TORN_REMEDY;
		return true;
	}
	ret->remedy = cleanup;
	if (!mounted->is_certified) {
		ret->kind = "record-leftover";
		ret->what = "what a door was doing here was not finished";
		return !is_young(mounted);
	}
	ret->name = mounted->key;
	if (!is_of_store(mounted, survey->root))
		return false;
	if (shale_exists(survey->store, mounted->key, NULL) == -ENOENT) {
		ret->kind = "mount-without-key";
		ret->what =
			"a container's mount is on record, and its key is gone";
		if (!is_over(mounted))
			ret->remedy =
				"stop the container, and 'shale cleanup' takes it down";
		return true;
	}
	ret->kind = "container-gone";
	ret->what = "the mount of a container that is gone is on record";
	return is_over(mounted);
}

/* Where there is no key, and nobody at work, a record holds nothing. */
static bool mend(const struct survey *survey, struct mounted *mounted,
		 const char *torn, const struct shale_finding *finding)
{
	if (!survey->repair || torn || !strcmp(finding->kind, "container-gone"))
		return false;
	if (mounted->is_certified && !is_over(mounted))
		return false;
	return reap_one(mounted, true, NULL) == 0;
}

static int survey_one(void *ctx, struct mounted *mounted, const char *torn)
{
	const struct survey *survey = ctx;
	auto_free char *key = strdup(mounted->key ? mounted->key : "");
	struct shale_finding finding = { .size = sizeof(finding) };
	char path[PATH_MAX];

	mounted_path(mounted, path);
	finding.path = path;
	if (!find(survey, mounted, torn, &finding))
		return 0;
	/* It goes with the record. */
	finding.name = key ? key : "";
	if (mend(survey, mounted, torn, &finding)) {
		finding.flags = SHALE_FINDING_REPAIRED;
		finding.remedy = "taken down";
	}
	return survey->emit(survey->ctx, &finding);
}

int reap_check(struct shale_store *store, const char *root, bool repair,
	       shale_finding_fn *emit, void *ctx, struct shale_error *err)
{
	struct survey survey = { store, root, repair, emit, ctx };
	int r = 0;

	for (size_t i = 0; r == 0 && i < DOORS; i++)
		r = mounted_walk(doors[i], survey_one, &survey, err);
	return r;
}

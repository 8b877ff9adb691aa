/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking down what precreate put up: see precreate.h.  The mount goes first,
 * then the key, then the record, so that whoever is killed on the way leaves
 * what the next one needs to go on.
 */
#include "precreate.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"

struct owner precreate_owner(const char *container)
{
	return (struct owner){
		.door = PRECREATE_DOOR,
		.runtime_root = "",
		.container = container,
		.bundle = "",
	};
}

bool precreate_is_of_store(const struct attachment *a, const char *root)
{
	struct stat one, other;

	if (!a->has_record)
		return false;
	return !strcmp(a->store, root) ||
	       (stat(a->store, &one) == 0 && stat(root, &other) == 0 &&
		one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

static int check_store(const struct attachment *a, const char *root,
		       struct shale_error *err)
{
	if (precreate_is_of_store(a, root))
		return 0;
	return error_fail(
		err, EEXIST,
		"container '%s' has its root from the store '%s', not '%s'",
		a->container, a->store, root);
}

int precreate_stop(struct shale_store *store, const char *container,
		   const struct release *release, struct shale_error *err)
{
	const struct owner owner = precreate_owner(container);
	auto_attachment a = ATTACHMENT_INIT;
	struct release own = *release;
	int r = attachment_open(PRECREATE_DOOR, container, false, true, &a,
				NULL);

	/* Containers of other doors have ids that none of ours could have. */
	if (r == -ENOENT || r == -EINVAL)
		return 0;
	if (r < 0)
		return attachment_open(PRECREATE_DOOR, container, false, true,
				       &a, err);
	if (!a.has_record)
		return attachment_forget(&a, err);
	r = check_store(&a, release->root, err);
	if (r == 0)
		r = attachment_take_down(&a, err);
	own.owner = &owner;
	own.key = a.key;
	if (r == 0)
		r = door_release(store, &own, err);
	return r < 0 ? r : attachment_forget(&a, err);
}

int precreate_abandon(struct shale_store *store, struct attachment *a,
		      struct shale_error *err)
{
	const struct owner owner = precreate_owner(a->container);
	int r;

	if (!a->has_record)
		return 0;
	if (attachment_is_used(a, false))
		return error_fail(err, EBUSY,
				  "container '%s' runs on '%s' of the store",
				  a->container, a->key);
	r = attachment_take_down(a, err);
	return r < 0 ? r : door_abandon(store, &owner, a->key, err);
}

struct sweep {
	struct shale_store *store;
	const char *root;
	uint64_t removed;
};

static int sweep_one(void *ctx, struct attachment *a, struct shale_error *err)
{
	struct sweep *sweep = ctx;
	struct shale_error one = SHALE_ERROR_INIT;
	int r = 0;

	if (a->has_record && (!precreate_is_of_store(a, sweep->root) ||
			      attachment_is_used(a, true)))
		return 0;
	r = precreate_abandon(sweep->store, a, &one);
	if (r == -EBUSY)
		return 0; /* it is used where we can't see it */
	if (r == 0)
		r = attachment_forget(a, &one);
	if (r == 0)
		sweep->removed++;
	return r < 0 ? error_fail(err, -r, "%s", one.msg) : 0;
}

int precreate_cleanup(struct shale_store *store, const char *root,
		      uint64_t *ret_removed, struct shale_error *err)
{
	struct sweep sweep = { .store = store, .root = root };
	int r = attachment_each(PRECREATE_DOOR, sweep_one, &sweep, err);

	if (r == 0 && ret_removed)
		*ret_removed = sweep.removed;
	return r;
}

struct survey {
	struct shale_store *store;
	const char *root;
	shale_finding_fn *emit;
	void *ctx;
	int stopped;
};

static int survey_one(void *ctx, struct attachment *a, struct shale_error *err)
{
	struct survey *survey = ctx;
	struct shale_finding finding = { .size = sizeof(finding),
					 .path = a->path };

	(void)err;
	if (!precreate_is_of_store(a, survey->root) || survey->stopped)
		return 0;
	finding.name = a->key;
	if (shale_exists(survey->store, a->key, NULL) == -ENOENT) {
		finding.kind = "mount-without-key";
		finding.what =
			"a container's mount is on record, and its key is gone";
	} else if (!attachment_is_used(a, true)) {
		finding.kind = "container-gone";
		finding.what =
			"the mount of a container that is gone is on record";
	} else {
		return 0;
	}
	finding.remedy = "'shale cleanup' takes it down";
	survey->stopped = survey->emit(survey->ctx, &finding);
	return 0;
}

int precreate_check(struct shale_store *store, const char *root,
		    shale_finding_fn *emit, void *ctx, struct shale_error *err)
{
	struct survey survey = { store, root, emit, ctx, 0 };
	int r = attachment_each(PRECREATE_DOOR, survey_one, &survey, err);

	return survey.stopped ? survey.stopped : r;
}

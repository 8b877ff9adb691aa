/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys made for containers: see owner.h.  What decides here is always what
 * the store has on record, never what a container says at its stop.
 */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "error.h"
#include "lastuse.h"
#include "mounted.h"
#include "patience.h"
#include "presence.h"
#include "process.h"
#include "scope.h"

/* For the kernel to tell that a mount is gone: as long as a patience lasts. */
#define LAST_USE_MS 5000
/* A commit leaves at least this part of the disk free. */
#define FREE_MIN_PERCENT 5
/* How often a key may come and go while we want it. */
#define CLAIM_TRIES 5

/* ---- what the store has on record ---- */

struct record {
	uint32_t kind;
	char *parent;
	char *door, *runtime_root, *container, *bundle, *boot, *onstop;
	char *is_volatile;	/* "" where it is not */
	struct mapping mapping; /* "", not NULL, where it has none */
};

static void drop_record(struct record *record)
{
	free(record->parent);
	free(record->door);
	free(record->runtime_root);
	free(record->container);
	free(record->bundle);
	free(record->boot);
	free(record->onstop);
	free(record->is_volatile);
	mapping_clear(&record->mapping);
	*record = (struct record){ 0 };
}

#define auto_record __attribute__((cleanup(drop_record))) struct record

/* "" where the label is absent; NULL without memory. */
static char *copy_label(const struct shale_info *info, const char *key)
{
	for (const char *const *l = info->labels; l && l[0] && l[1]; l += 2)
		if (!strcmp(l[0], key))
			return strdup(l[1]);
	return strdup("");
}

/* Positive without memory, as a callback may only stop so. */
static int record_fill(void *ctx, const struct shale_info *info)
{
	struct record *record = ctx;

	drop_record(record);
	record->kind = info->kind;
	record->parent = strdup(info->parent ? info->parent : "");
	record->door = copy_label(info, OWNER_LABEL_DOOR);
	record->runtime_root = copy_label(info, OWNER_LABEL_RUNTIME_ROOT);
	record->container = copy_label(info, OWNER_LABEL_CONTAINER);
	record->bundle = copy_label(info, OWNER_LABEL_BUNDLE);
	record->boot = copy_label(info, OWNER_LABEL_BOOT);
	record->onstop = copy_label(info, OWNER_LABEL_ONSTOP);
	record->is_volatile = copy_label(info, SHALE_LABEL_VOLATILE);
	record->mapping.uid = copy_label(info, SHALE_LABEL_UIDMAP);
	record->mapping.gid = copy_label(info, SHALE_LABEL_GIDMAP);
	return !record->parent || !record->door || !record->runtime_root ||
	       !record->container || !record->bundle || !record->boot ||
	       !record->onstop || !record->is_volatile ||
	       !record->mapping.uid || !record->mapping.gid;
}

static int record_load(struct shale_store *store, const char *key,
		       struct record *ret, struct shale_error *err)
{
	int r = shale_stat(store, key, record_fill, ret, err);

	if (r > 0)
		return error_fail(err, ENOMEM, "read key '%s': out of memory",
				  key);
	return r;
}

/* A root that was not known at the creation contradicts none. */
static bool is_own(const struct record *record, const struct owner *owner)
{
	return !strcmp(record->door, owner->door) &&
	       (!record->runtime_root[0] ||
		!strcmp(record->runtime_root, owner->runtime_root)) &&
	       !strcmp(record->container, owner->container) &&
	       !strcmp(record->bundle, owner->bundle);
}

/* Whether the container's directory is surely gone. */
static bool is_gone(const struct record *record)
{
	return presence_has_no_directory(record->runtime_root,
					 record->container);
}

/*
 * An engine that calls poststop itself, as podman does, leaves the runtime's
 * root unknown: then the container must be gone from the recorded one.
 */
static bool is_own_at_stop(const struct record *record,
			   const struct owner *owner)
{
	struct owner meant = *owner;

	if (!owner->runtime_root[0] && is_gone(record))
		meant.runtime_root = record->runtime_root;
	return is_own(record, &meant);
}

static int boot_id(char ret[PROCESS_BOOT_ID_SIZE], struct shale_error *err)
{
	int r = process_boot_id(ret);

	return r < 0 ? error_errno(err, -r, "read the boot id") : 0;
}

/* ---- labels ---- */

/* "PID START BOOT CONTAINER"; to be freed. */
static int user_label(const struct claim *claim, const char *boot, char **ret,
		      struct shale_error *err)
{
	uint64_t start = 0;
	int r = claim->pid ? process_start_time(claim->pid, &start) : 0;

	if (r < 0)
		return error_errno(err, -r,
				   "look at the container's process %ld",
				   claim->pid);
	if (asprintf(ret, "%ld %" PRIu64 " %s %s", claim->pid, start, boot,
		     claim->owner->container) < 0)
		return error_fail(err, ENOMEM, "claim '%s': out of memory",
				  claim->key);
	return 0;
}

#define LABELS_SIZE 21 /* ten pairs and NULL */
#define LABELS_USER 13 /* where the user's is */

static bool is_mapped(const struct claim *claim)
{
	return claim->mapping && claim->mapping->uid;
}

static bool is_removed(const char *onstop)
{
	return !strcmp(onstop, "remove");
}

static const char **add_label(const char **labels, const char *key,
			      const char *value)
{
	*labels++ = key;
	*labels++ = value;
	*labels = NULL;
	return labels;
}

static void fill_labels(const struct claim *claim, const char *boot,
			const char *user, const char *labels[LABELS_SIZE])
{
	const struct owner *owner = claim->owner;
	const char *const always[] = {
		OWNER_LABEL_DOOR,
		owner->door,
		OWNER_LABEL_RUNTIME_ROOT,
		owner->runtime_root,
		OWNER_LABEL_CONTAINER,
		owner->container,
		OWNER_LABEL_BUNDLE,
		owner->bundle,
		OWNER_LABEL_BOOT,
		boot,
		OWNER_LABEL_ONSTOP,
		claim->onstop,
		SHALE_LABEL_USER,
		user,
		NULL,
	};
	const char **end = labels + sizeof(always) / sizeof(*always) - 1;

	memcpy(labels, always, sizeof(always));
	if (claim->is_volatile && !claim->is_view && is_removed(claim->onstop))
		end = add_label(end, SHALE_LABEL_VOLATILE, "true");
	if (!is_mapped(claim))
		return;
	end = add_label(end, SHALE_LABEL_UIDMAP, claim->mapping->uid);
	(void)add_label(end, SHALE_LABEL_GIDMAP, claim->mapping->gid);
}

/* ---- claim ---- */

static int make(struct shale_store *store, const struct claim *claim,
		const char *const *labels, struct shale_error *err)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	return claim->is_view ? shale_view(store, claim->key, claim->parent,
					   &opts, err)
			      : shale_prepare(store, claim->key, claim->parent,
					      &opts, err);
}

static int check_same(const struct claim *claim, const struct record *record,
		      struct shale_error *err)
{
	const uint32_t kind = claim->is_view ? SHALE_KIND_VIEW
					     : SHALE_KIND_ACTIVE;
	const struct mapping none = { (char *)"", (char *)"", NULL };

	if (!is_own(record, claim->owner))
		return error_fail(
			err, EEXIST,
			"key '%s' exists and is not of this container: name another one with the annotation org.shale.key",
			claim->key);
	if (strcmp(record->parent, claim->parent) != 0)
		return error_fail(
			err, EEXIST,
			"key '%s' of this container exists with parent '%s', not '%s'",
			claim->key, record->parent, claim->parent);
	if (record->kind != kind)
		return error_fail(
			err, EEXIST,
			"key '%s' of this container exists and is no %s",
			claim->key, claim->is_view ? "view" : "active");
	if (!mapping_is_same(is_mapped(claim) ? claim->mapping : &none,
			     &record->mapping))
		return error_fail(
			err, EEXIST,
			"key '%s' of this container exists for another user namespace (uids '%s', gids '%s')",
			claim->key, record->mapping.uid, record->mapping.gid);
	return 0;
}

/* What was made volatile stays so. */
static int check_adoptable(const struct claim *claim,
			   const struct record *record, struct shale_error *err)
{
	if (*record->is_volatile && is_removed(record->onstop) &&
	    !is_removed(claim->onstop))
		return error_fail(
			err, EEXIST,
			"key '%s' of this container exists, was made to be removed, and is volatile, so that it can't be for '%s': 'shale remove' it first",
			claim->key, claim->onstop);
	return 0;
}

static int adopt(struct shale_store *store, const struct claim *claim,
		 const char *boot, const char *user, struct shale_error *err)
{
	const char *const labels[] = { OWNER_LABEL_BOOT,
				       boot,
				       OWNER_LABEL_ONSTOP,
				       claim->onstop,
				       SHALE_LABEL_USER,
				       user,
				       NULL };
	const char *const fields[] = { "labels." OWNER_LABEL_BOOT,
				       "labels." OWNER_LABEL_ONSTOP,
				       "labels." SHALE_LABEL_USER, NULL };
	int r = shale_in_use(store, claim->key, err);

	if (r == -EOPNOTSUPP) { /* an optional operation */
		error_clear(err);
		r = 0;
	}
	if (r < 0)
		return error_context(err, r, "adopt key '%s'", claim->key);
	return shale_update(store, claim->key, labels, fields, err);
}

/* The key exists: adopt it, or clear it away for a new one. */
static int claim_existing(struct shale_store *store, const struct claim *claim,
			  const char *boot, const char *const *labels,
			  enum claimed *ret, struct shale_error *err)
{
	const char *user = labels[LABELS_USER];
	auto_record record = { 0 };
	int r = record_load(store, claim->key, &record, err);

	if (r == 0)
		r = check_same(claim, &record, err);
	if (r < 0)
		return r;
	*ret = CLAIMED_ADOPTED;
	if (!is_removed(record.onstop) || !strcmp(record.boot, boot)) {
		r = check_adoptable(claim, &record, err);
		return r < 0 ? r : adopt(store, claim, boot, user, err);
	}
	r = shale_remove(store, claim->key, err);
	if (r < 0)
		return r;
	*ret = CLAIMED_MADE;
	return make(store, claim, labels, err);
}

static bool is_there(struct shale_store *store, const char *name)
{
	return shale_exists(store, name, NULL) == 0;
}

/* Said at once: at the stop nobody may read what fails. */
static int check_onstop(const struct claim *claim, struct shale_error *err)
{
	const char *name;
	enum onstop onstop;

	if (onstop_parse(claim->onstop, &onstop, &name) == 0 &&
	    onstop == ONSTOP_COMMIT && !strcmp(name, claim->key))
		return error_fail(
			err, EINVAL,
			"onstop commits '%s' by the name that it has already: choose another one",
			claim->key);
	return 0;
}

int door_claim(struct shale_store *store, const struct claim *claim,
	       enum claimed *ret, struct shale_error *err)
{
	char boot[PROCESS_BOOT_ID_SIZE];
	const char *labels[LABELS_SIZE];
	auto_free char *user = NULL;
	int r = check_onstop(claim, err);

	if (r == 0)
		r = boot_id(boot, err);
	if (r == 0)
		r = user_label(claim, boot, &user, err);
	if (r < 0)
		return r;
	fill_labels(claim, boot, user, labels);
	*ret = CLAIMED_MADE;
	r = make(store, claim, labels, err);
	if (r != -EEXIST)
		return r;
	/* The poststop of an earlier start may remove it under our eyes. */
	for (int try = 0; r == -EEXIST && try < CLAIM_TRIES; try++) {
		error_clear(err);
		r = claim_existing(store, claim, boot, labels, ret, err);
		if (r != -ENOENT || !is_there(store, claim->parent))
			break;
		error_clear(err);
		*ret = CLAIMED_MADE;
		r = make(store, claim, labels, err);
	}
	return r;
}

int door_set_user(struct shale_store *store, const struct claim *claim,
		  struct shale_error *err)
{
	static const char *const fields[] = { "labels." SHALE_LABEL_USER,
					      NULL };
	char boot[PROCESS_BOOT_ID_SIZE];
	auto_free char *user = NULL;
	int r = boot_id(boot, err);

	if (r == 0)
		r = user_label(claim, boot, &user, err);
	if (r == 0) {
		const char *const labels[] = { SHALE_LABEL_USER, user, NULL };

		r = shale_update(store, claim->key, labels, fields, err);
	}
	return r;
}

/* ---- release ---- */

static int check_space(const char *root, struct shale_error *err)
{
	struct statvfs vfs;

	if (statvfs(root, &vfs) < 0)
		return error_errno(err, errno, "look at the disk of '%s'",
				   root);
	if ((uint64_t)vfs.f_bavail * 100 <
	    (uint64_t)vfs.f_blocks * FREE_MIN_PERCENT)
		return error_fail(err, ENOSPC,
				  "less than %d %% of the disk of '%s' is free",
				  FREE_MIN_PERCENT, root);
	return 0;
}

static int check_size(struct shale_store *store, const char *key,
		      uint64_t max_bytes, struct shale_error *err)
{
	struct shale_usage usage = { .size = sizeof(usage) };
	int r;

	if (!max_bytes)
		return 0;
	r = shale_usage(store, key, &usage, err);
	if (r == 0 && usage.bytes > max_bytes)
		return error_fail(err, EFBIG,
				  "it takes %" PRIu64
				  " bytes, more than max_bytes %" PRIu64,
				  usage.bytes, max_bytes);
	return r;
}

static int check_commit(struct shale_store *store,
			const struct release *release,
			const struct record *record, const char *name,
			struct shale_error *err)
{
	const struct policy_request request = {
		.runtime_root = record->runtime_root,
		.uid = release->uid,
		.parent = record->parent,
		.onstop = ONSTOP_COMMIT,
		.commit_name = name,
	};
	uint64_t max_bytes;
	int r = policy_check(release->policy, &request, &max_bytes, err);

	if (r == 0)
		r = check_size(store, release->key, max_bytes, err);
	if (r == 0)
		r = check_space(release->root, err);
	return r;
}

/* Once; @name NULL removes. */
static int let_go(struct shale_store *store, const char *key, const char *name,
		  struct shale_error *err)
{
	return name ? shale_commit(store, name, key, NULL, err)
		    : shale_remove(store, key, err);
}

/*
 * Who is in the way is searched for in all processes: only at the end, or of a
 * hundred containers at once each would do that a hundred times.  A commit has
 * other failures, which may not come twice.
 */
static int let_go_patiently(struct shale_store *store, const char *key,
			    int watch_fd, const char *name,
			    struct shale_error *err)
{
	struct patience patience = PATIENCE_INIT;
	struct shale_error *unheard = name ? err : NULL;
	bool may_poll = true;
	int r;

	if (watch_fd >= 0)
		may_poll = lastuse_wait(watch_fd, LAST_USE_MS);
	r = let_go(store, key, name, unheard);
	while (r == -EBUSY && may_poll && patience_wait(&patience)) {
		error_clear(unheard);
		r = let_go(store, key, name, unheard);
	}
	if (r < 0 && r != -ENOENT && !unheard)
		r = let_go(store, key, name, err);
	/* Another call of the same hook was faster. */
	if (r == -ENOENT) {
		error_clear(err);
		return 0;
	}
	return r;
}

static int release_own(struct shale_store *store, const struct release *release,
		       const struct record *record, struct shale_error *err)
{
	enum onstop onstop;
	const char *name;
	int r;

	if (onstop_parse(record->onstop, &onstop, &name) < 0)
		return error_fail(err, EUCLEAN,
				  "label " OWNER_LABEL_ONSTOP
				  " of key '%s' is '%s'",
				  release->key, record->onstop);
	if (onstop == ONSTOP_KEEP ||
	    (onstop == ONSTOP_COMMIT && release->is_late))
		return 0;
	if (onstop == ONSTOP_COMMIT) {
		r = check_commit(store, release, record, name, err);
		if (r < 0)
			return error_context(err, r, "commit '%s' as '%s'",
					     release->key, name);
	}
	return let_go_patiently(store, release->key, release->watch_fd, name,
				err);
}

int door_release(struct shale_store *store, const struct release *release,
		 struct shale_error *err)
{
	auto_record record = { 0 };
	int r = record_load(store, release->key, &record, err);

	if (r == -ENOENT) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return r;
	if (record.kind == SHALE_KIND_COMMITTED ||
	    !is_own_at_stop(&record, release->owner))
		return 0;
	r = release_own(store, release, &record, err);
	if (r != -EBUSY)
		return r;
	return is_removed(record.onstop)
		       ? error_context(err, r,
				       "'%s' stays until 'shale cleanup'",
				       release->key)
		       : error_context(
				 err, r,
				 "'%s' stays: delete the container again, or 'shale commit' it",
				 release->key);
}

static void set_user(struct shale_store *store, const char *key,
		     const char *user)
{
	const char *const labels[] = { SHALE_LABEL_USER, user, NULL };
	static const char *const fields[] = { "labels." SHALE_LABEL_USER,
					      NULL };

	(void)shale_update(store, key, user ? labels : NULL, fields, NULL);
}

void door_unclaim(struct shale_store *store, const char *key,
		  enum claimed claimed)
{
	/* First, since a key in use is not removed. */
	set_user(store, key, NULL);
	if (claimed == CLAIMED_MADE)
		(void)shale_remove(store, key, NULL);
}

int door_unclaim_unused(struct shale_store *store, const char *key,
			enum claimed claimed, int watch_fd,
			struct shale_error *err)
{
	const bool is_made = claimed == CLAIMED_MADE;

	/* Without a process, but so that the kernel is asked. */
	set_user(store, key, is_made ? "0 0 - -" : NULL);
	return is_made ? let_go_patiently(store, key, watch_fd, NULL, err) : 0;
}

/* ---- cleanup ---- */

struct sweep {
	const char *boot;
	char **keys;
	size_t count;
	bool (*is_wanted)(const struct record *record, const char *boot);
};

static void drop_sweep(struct sweep *sweep)
{
	for (size_t i = 0; i < sweep->count; i++)
		free(sweep->keys[i]);
	free(sweep->keys);
}

static bool is_orphan(const struct record *record, const char *boot)
{
	if (!record->door[0] || !record->boot[0] || !is_removed(record->onstop))
		return false;
	return strcmp(record->boot, boot) != 0 || is_gone(record);
}

static int sweep_look(void *ctx, const struct shale_info *info)
{
	struct sweep *sweep = ctx;
	auto_record record = { 0 };
	char **bigger;

	if (record_fill(&record, info) != 0)
		return 1;
	/* One of a record goes with it: reap.h. */
	if (!sweep->is_wanted(&record, sweep->boot) ||
	    mounted_has_key(record.door, record.container, info->name))
		return 0;
	bigger = realloc(sweep->keys, (sweep->count + 1) * sizeof(*bigger));
	if (!bigger)
		return 1;
	sweep->keys = bigger;
	bigger[sweep->count] = strdup(info->name);
	return bigger[sweep->count++] ? 0 : 1;
}

int door_cleanup(struct shale_store *store, uint64_t *ret_removed,
		 struct shale_error *err)
{
	__attribute__((cleanup(drop_sweep))) struct sweep sweep = { 0 };
	char boot[PROCESS_BOOT_ID_SIZE];
	uint64_t removed = 0;
	int r = boot_id(boot, err), first = 0;

	if (r < 0)
		return r;
	sweep.boot = boot;
	sweep.is_wanted = is_orphan;
	r = shale_active(store, sweep_look, &sweep, err);
	if (r > 0)
		return error_fail(err, ENOMEM, "clean up: out of memory");
	if (r < 0 && r != -EUCLEAN)
		return r;
	first = r; /* one that is damaged: the others were visited */
	for (size_t i = 0; i < sweep.count; i++) {
		struct shale_error one = SHALE_ERROR_INIT;

		/* Also what lives where we don't see it: the kernel knows. */
		r = shale_in_use(store, sweep.keys[i], &one);
		if (r == -EOPNOTSUPP) {
			error_clear(&one);
			r = 0;
		}
		if (r == 0)
			r = shale_remove(store, sweep.keys[i], &one);
		if (r == 0)
			removed++;
		else if (r != -EBUSY && r != -ENOENT && first == 0)
			first = error_fail(err, -r, "%s", one.msg);
	}
	if (first == 0 && ret_removed)
		*ret_removed = removed;
	return first;
}

/* ---- check ---- */

/* One that waits for a commit is left where nobody will ever commit it. */
static bool is_left(const struct record *record, const char *boot)
{
	enum onstop onstop;
	const char *name;

	if (is_orphan(record, boot))
		return true;
	return record->door[0] && record->boot[0] &&
	       onstop_parse(record->onstop, &onstop, &name) == 0 &&
	       onstop == ONSTOP_COMMIT &&
	       (strcmp(record->boot, boot) != 0 || is_gone(record));
}

static int tell_left(struct shale_store *store, const char *key,
		     shale_finding_fn *emit, void *ctx)
{
	auto_record record = { 0 };
	char what[512];
	struct shale_finding finding = { .size = sizeof(finding),
					 .kind = "container-gone",
					 .name = key,
					 .path = "",
					 .what = what };

	/* It lives where we don't see it, or it is gone meanwhile. */
	if (shale_in_use(store, key, NULL) == -EBUSY ||
	    record_load(store, key, &record, NULL) < 0)
		return 0;
	(void)snprintf(what, sizeof(what),
		       "its container '%.300s' is gone, and never stopped",
		       record.container);
	finding.remedy =
		is_removed(record.onstop)
			? "'shale cleanup' removes it"
			: "'shale commit' it by hand, or 'shale remove' it";
	return emit(ctx, &finding);
}

int door_check(struct shale_store *store, shale_finding_fn *emit, void *ctx,
	       struct shale_error *err)
{
	__attribute__((cleanup(
		drop_sweep))) struct sweep sweep = { .is_wanted = is_left };
	char boot[PROCESS_BOOT_ID_SIZE];
	int r = boot_id(boot, err);

	if (r < 0)
		return r;
	sweep.boot = boot;
	r = shale_active(store, sweep_look, &sweep, err);
	if (r > 0)
		return error_fail(err, ENOMEM, "check keys: out of memory");
	if (r == -EUCLEAN) { /* the store's own check tells which */
		error_clear(err);
		r = 0;
	}
	for (size_t i = 0; r == 0 && i < sweep.count; i++)
		r = tell_left(store, sweep.keys[i], emit, ctx);
	return r;
}

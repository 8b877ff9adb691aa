/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Contestant: the operations of a store, by libshale in this process and
 * through its installed header alone.
 *
 *	cycle threads=N processes=N	prepare, mounts and remove on 10 layers
 *	commit				of an empty active
 *	commit-files files=N		writing N files, and their commit
 *	stat, walk, walk-label, walk-new, prepare, mounts, remove, delete,
 *	memory size=N			in a store of N snapshots
 *	chain, chain-new layers=N	mounts of N layers; in a new handle
 *	usage, remove-files files=N	of an active with N files; later=yes: what
 *			is left to cleanup, with cleaned=1 that too
 *	siblings size=N			prepare and remove beside N children
 *
 * All take durability=none|layer|all.
 */
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cycle.h"
#include "shelf.h"

/* So many of what takes a microsecond are timed together. */
#define BATCH 100

static struct shale_store *store;
static struct contest here; /* of the row: its words outlive the setup */
static char shelf[64];	    /* name of the store below the directory */
static long size;
static unsigned int seed;
static long is_cleaned; /* whether a removal ends when the space is back */

static int failed(const struct shale_error *err)
{
	return contest_fail("%s", err->msg);
}

static int open_shelf(void)
{
	store = shelf_open(&here, shelf);
	return store ? 0 : -1;
}

static void tear_down(void)
{
	shale_store_close(store);
	store = NULL;
}

/* ---- setups ---- */

static int set_up_full(const struct contest *contest)
{
	here = *contest;
	size = contest_number(contest, "size", 100);
	(void)snprintf(shelf, sizeof(shelf), "full-%ld", size);
	return shelf_fill(contest, shelf, size) < 0 ? -1 : open_shelf();
}

static int nothing(void *ctx, const struct shale_info *info)
{
	(void)ctx;
	(void)info;
	return 0;
}

/* With all that there is in the handle's cache. */
static int set_up_warm(const struct contest *contest)
{
	struct shale_error err = SHALE_ERROR_INIT;

	if (set_up_full(contest) < 0)
		return -1;
	return shale_walk(store, nothing, NULL, &err) < 0 ? failed(&err) : 0;
}

static int set_up_layers(const struct contest *contest)
{
	here = *contest;
	size = contest_number(contest, "layers", 10);
	(void)snprintf(shelf, sizeof(shelf), "chain-%ld", size);
	return shelf_fill_chain(contest, shelf, size) < 0 ? -1 : open_shelf();
}

/* A store with one layer, for actives that have files of their own. */
static int set_up_base(const struct contest *contest)
{
	here = *contest;
	size = contest_number(contest, "files", 100);
	(void)snprintf(shelf, sizeof(shelf), "base");
	return shelf_fill(contest, shelf, 1) < 0 ? -1 : open_shelf();
}

static int prepare(const char *key, const char *parent)
{
	struct shale_error err = SHALE_ERROR_INIT;

	return shale_prepare(store, key, parent, NULL, &err) < 0 ? failed(&err)
								 : 0;
}

static int removed(const char *key)
{
	struct shale_error err = SHALE_ERROR_INIT;

	return shale_remove(store, key, &err) < 0 ? failed(&err) : 0;
}

/* ---- looking ---- */

static int stat_some(uint64_t *ret_ns)
{
	char names[BATCH][SHELF_NAME_SIZE];
	struct shale_error err = SHALE_ERROR_INIT;
	uint64_t start;
	int r = 0;

	for (int i = 0; i < BATCH; i++)
		shelf_name(rand_r(&seed) % size, names[i]);
	start = contest_now();
	for (int i = 0; r == 0 && i < BATCH; i++)
		r = shale_stat(store, names[i], nothing, NULL, &err);
	*ret_ns = (contest_now() - start) / BATCH;
	return r < 0 ? failed(&err) : 0;
}

static int count_all(void *ctx, const struct shale_info *info)
{
	(void)info;
	++*(long *)ctx;
	return 0;
}

static int count_labelled(void *ctx, const struct shale_info *info)
{
	for (const char *const *l = info->labels; *l; l += 2)
		if (!strcmp(l[0], "bench") && !strcmp(l[1], "yes"))
			++*(long *)ctx;
	return 0;
}

static int walk_counting(shale_walk_fn *fn, long expected, uint64_t *ret_ns)
{
	struct shale_error err = SHALE_ERROR_INIT;
	const uint64_t start = contest_now();
	long count = 0;

	if (shale_walk(store, fn, &count, &err) < 0)
		return failed(&err);
	*ret_ns = contest_now() - start;
	return count == expected
		       ? 0
		       : contest_fail("%ld of %ld seen", count, expected);
}

static int walk(uint64_t *ret_ns)
{
	return walk_counting(count_all, size, ret_ns);
}

static int walk_label(uint64_t *ret_ns)
{
	return walk_counting(count_labelled, (size + 99) / 100, ret_ns);
}

/* What `--walk ROOT` does. */
static int walk_and_exit(const char *root)
{
	struct shale_error err = SHALE_ERROR_INIT;
	long count = 0;

	if (shale_store_open(root, NULL, NULL, NULL, &store, &err) < 0 ||
	    shale_walk(store, count_all, &count, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	tear_down();
	return count == 0;
}

static int walk_new(uint64_t *ret_ns)
{
	char self[] = "shale", verb[] = "--walk", root[PATH_MAX];
	char *const argv[] = { self, verb, root, NULL };
	const uint64_t start = contest_now();
	int status;
	pid_t pid;

	(void)snprintf(root, sizeof(root), "%s/%s", here.dir, shelf);
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) ||
	    waitpid(pid, &status, 0) < 0 || status)
		return contest_fail("a process that walks: it failed");
	*ret_ns = contest_now() - start;
	return 0;
}

static int see(void *ctx, const struct shale_mount_spec *spec)
{
	(void)spec;
	++*(long *)ctx;
	return 0;
}

static int mounts_times(const char *key, int times, uint64_t *ret_ns)
{
	struct shale_error err = SHALE_ERROR_INIT;
	const uint64_t start = contest_now();
	long seen = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < times; i++)
		r = shale_mounts(store, key, see, &seen, &err);
	*ret_ns = (contest_now() - start) / (uint64_t)times;
	return r < 0 ? failed(&err) : 0;
}

static int chain(uint64_t *ret_ns)
{
	return mounts_times("tip", BATCH, ret_ns);
}

static int chain_new(uint64_t *ret_ns)
{
	tear_down();
	if (open_shelf() < 0)
		return -1;
	return mounts_times("tip", 1, ret_ns);
}

/* ---- changing ---- */

static int prepare_one(uint64_t *ret_ns)
{
	char parent[SHELF_NAME_SIZE];
	uint64_t start;

	shelf_name(SHELF_CHAIN - 1, parent);
	start = contest_now();
	if (prepare("one", parent) < 0)
		return -1;
	*ret_ns = contest_now() - start;
	return removed("one");
}

static int remove_one(uint64_t *ret_ns)
{
	char parent[SHELF_NAME_SIZE];
	uint64_t start;

	shelf_name(SHELF_CHAIN - 1, parent);
	if (prepare("one", parent) < 0)
		return -1;
	start = contest_now();
	if (removed("one") < 0)
		return -1;
	*ret_ns = contest_now() - start;
	return 0;
}

static int mounts_one(uint64_t *ret_ns)
{
	char parent[SHELF_NAME_SIZE];

	shelf_name(SHELF_CHAIN - 1, parent);
	if (prepare("one", parent) < 0 ||
	    mounts_times("one", BATCH, ret_ns) < 0)
		return -1;
	return removed("one");
}

static int commit(const char *name, const char *key)
{
	struct shale_error err = SHALE_ERROR_INIT;

	return shale_commit(store, name, key, NULL, &err) < 0 ? failed(&err)
							      : 0;
}

static int deleted(const char *name)
{
	struct shale_error err = SHALE_ERROR_INIT;

	return shale_delete(store, name, &err) < 0 ? failed(&err) : 0;
}

static int delete_one(uint64_t *ret_ns)
{
	char parent[SHELF_NAME_SIZE];
	uint64_t start;

	shelf_name(SHELF_CHAIN - 1, parent);
	if (prepare("one", parent) < 0 || commit("two", "one") < 0)
		return -1;
	start = contest_now();
	if (deleted("two") < 0)
		return -1;
	*ret_ns = contest_now() - start;
	return 0;
}

static int commit_one(uint64_t *ret_ns)
{
	uint64_t start;

	if (prepare("one", "layer-0") < 0)
		return -1;
	start = contest_now();
	if (commit("two", "one") < 0)
		return -1;
	*ret_ns = contest_now() - start;
	return deleted("two");
}

/* Writing belongs to it: what is still to be written then, is. */
static int commit_files(uint64_t *ret_ns)
{
	uint64_t start;

	if (prepare("one", "layer-0") < 0)
		return -1;
	sync();
	start = contest_now();
	if (shelf_write_files(store, "one", size) < 0 ||
	    commit("two", "one") < 0)
		return -1;
	*ret_ns = contest_now() - start;
	return deleted("two");
}

static int set_up_files(const struct contest *contest)
{
	if (set_up_base(contest) < 0 || prepare("one", "layer-0") < 0)
		return -1;
	return shelf_write_files(store, "one", size);
}

static int usage(uint64_t *ret_ns)
{
	struct shale_usage used = { .size = sizeof(used) };
	struct shale_error err = SHALE_ERROR_INIT;
	const uint64_t start = contest_now();

	if (shale_usage(store, "one", &used, &err) < 0)
		return failed(&err);
	*ret_ns = contest_now() - start;
	return 0;
}

static int remove_files(uint64_t *ret_ns)
{
	uint64_t start;

	if (prepare("one", "layer-0") < 0 ||
	    shelf_write_files(store, "one", size) < 0)
		return -1;
	sync();
	start = contest_now();
	if (removed("one") < 0)
		return -1;
	*ret_ns = contest_now() - start;
	return 0;
}

/* Until the space is back. */
static int remove_and_clean(uint64_t *ret_ns)
{
	struct shale_error err = SHALE_ERROR_INIT;
	uint64_t start;

	if (remove_files(ret_ns) < 0)
		return -1;
	start = contest_now();
	if (shale_cleanup(store, NULL, &err) < 0)
		return failed(&err);
	if (is_cleaned)
		*ret_ns += contest_now() - start;
	return 0;
}

static int set_up_removal(const struct contest *contest)
{
	is_cleaned = contest_number(contest, "cleaned", 0);
	return set_up_base(contest);
}

static int set_up_siblings(const struct contest *contest)
{
	char key[SHELF_NAME_SIZE];

	here = *contest;
	size = contest_number(contest, "size", 1);
	(void)snprintf(shelf, sizeof(shelf), "siblings-%ld", size);
	if (shelf_fill(contest, shelf, SHELF_CHAIN) < 0 || open_shelf() < 0)
		return -1;
	for (long i = 0; i < size; i++) {
		(void)snprintf(key, sizeof(key), "sibling-%ld", i);
		if (prepare(key, "layer-9") < 0)
			return -1;
	}
	return 0;
}

static int beside(uint64_t *ret_ns)
{
	const uint64_t start = contest_now();

	if (prepare("one", "layer-9") < 0 || removed("one") < 0)
		return -1;
	*ret_ns = contest_now() - start;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct contest_row rows[] = {
		{ "cycle", cycle_set_up, NULL, cycle_tear_down, cycle },
		{ "commit", set_up_base, commit_one, tear_down, NULL },
		{ "commit-files", set_up_base, commit_files, tear_down, NULL },
		{ "stat", set_up_warm, stat_some, tear_down, NULL },
		{ "walk", set_up_warm, walk, tear_down, NULL },
		{ "walk-label", set_up_warm, walk_label, tear_down, NULL },
		{ "walk-new", set_up_full, walk_new, tear_down, NULL },
		{ "memory", set_up_warm, walk, tear_down, NULL },
		{ "prepare", set_up_warm, prepare_one, tear_down, NULL },
		{ "mounts", set_up_warm, mounts_one, tear_down, NULL },
		{ "remove", set_up_warm, remove_one, tear_down, NULL },
		{ "delete", set_up_warm, delete_one, tear_down, NULL },
		{ "chain", set_up_layers, chain, tear_down, NULL },
		{ "chain-new", set_up_layers, chain_new, tear_down, NULL },
		{ "usage", set_up_files, usage, tear_down, NULL },
		{ "remove-files", set_up_removal, remove_and_clean, tear_down,
		  NULL },
		{ "siblings", set_up_siblings, beside, tear_down, NULL },
	};

	if (argc == 3 && !strcmp(argv[1], "--walk"))
		return walk_and_exit(argv[2]);
	return contest_main(argc, argv, rows, sizeof(rows) / sizeof(*rows));
}

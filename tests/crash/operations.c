/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The operations and their world: see operations.h.
 */
#include "operations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs.h"
#include "idmap.h"
#include "mount.h"
#include "scope.h"

/* ---- the world ---- */

static const char *const some_labels[] = { "color", "grey", "kind", "slate",
					   NULL };

static const struct shale_opts labelled = { .size = sizeof(labelled),
					    .labels = some_labels };

static const struct shale_opts recorded = { .size = sizeof(recorded),
					    .flags = SHALE_COMMIT_MANIFEST,
					    .labels = some_labels };

/* Longer than a link's text, so that it becomes a file. */
static const char *const *long_labels(void)
{
	static char value[3000];
	static const char *const labels[] = { "long", value, NULL };

	memset(value, 'v', sizeof(value) - 1);
	return labels;
}

static void fill(const char *key)
{
	make_file(of_key(key, "fs/file"), key);
	make_dir(of_key(key, "fs/dir"));
	make_file(of_key(key, "fs/dir/below"), "deeper");
	make_link(of_key(key, "fs/link"), "file");
	if (link(of_key(key, "fs/file"), of_key(key, "fs/hard")) < 0)
		fail_msg("link: %s", strerror(errno));
	if (geteuid() == 0 && mknod(of_key(key, "fs/whiteout"), S_IFCHR | 0600,
				    makedev(0, 0)) < 0)
		fail_msg("mknod: %s", strerror(errno));
}

static void layer(const char *name, const char *parent)
{
	MUST(shale_prepare(store, "making", parent, NULL, &why));
	fill("making");
	MUST(shale_commit(store, name, "making", &labelled, &why));
}

struct shale_store *world_handle(void)
{
	return open_more(NULL, "durability", "all", "lock_timeout_ms", "10000",
			 NULL);
}

void world_clean(void)
{
	struct shale_store *next = world_handle();

	MUST(shale_cleanup(next, NULL, &why));
	close_handle(next);
}

static void remove_store(void)
{
	if (store)
		close_handle(store);
	store = NULL;
	assert_int_equal(fs_remove_tree(AT_FDCWD, at("store"), NULL, NULL), 0);
	assert_int_equal(fs_remove_tree(AT_FDCWD, at("mnt"), NULL, NULL), 0);
}

void world_unmount(void)
{
	while (umount2(at("mnt"), MNT_DETACH) == 0)
		;
}

void world_make(const struct operation *operation)
{
	world_unmount();
	remove_store();
	make_dir(at("mnt"));
	store = open_more(NULL, "durability", "none", NULL);
	layer("base", NULL);
	layer("two", "base");
	layer("top", "two");
	MUST(shale_prepare(store, "work", "two", &labelled, &why));
	fill("work");
	MUST(shale_prepare(store, "bare", NULL, NULL, &why));
	fill("bare");
	MUST(shale_view(store, "look", "two", NULL, &why));
	layer("long", "base");
	MUST(shale_update(store, "long", long_labels(), NULL, &why));
	if (operation->more)
		operation->more();
}

unsigned long world_stride(void)
{
	if (getenv("SHALE_LONG"))
		return 1;
#if defined(__SANITIZE_ADDRESS__)
	return 11;
#else
	return 3;
#endif
}

int world_run(int (*run)(const char *filter), const char *filter)
{
	char dir[] = "tmp.XXXXXX";
	bool mounted;
	int ret;

	if (!mkdtemp(dir))
		return 99;
	mounted = mount("worlds", dir, "tmpfs", 0, "mode=0755") == 0;
	ret = chdir(dir) < 0 ? 99 : run(filter);
	if (chdir("..") < 0 || (mounted && umount2(dir, MNT_DETACH) < 0) ||
	    rmdir(dir) < 0)
		return 99;
	return ret;
}

/* ---- what some of them find ---- */

/* What a power cut may leave: a directory that nothing certifies. */
static void add_ghosts(void)
{
	make_dir(of_key("ghost", ""));
	make_dir(of_key("ghost", "fs"));
	make_file(of_key("ghost", "fs/file"), "torn");
	make_dir(of_name("spirit", ""));
	make_dir(of_name("spirit", "fs"));
	make_link(of_name("spirit", "usage"), "4096,1");
}

/* What processes leave that died at the wrong moment. */
static void add_leftovers(void)
{
	add_ghosts();
	make_dir(at("store/staging/%s", id("staged")));
	make_dir(at("store/staging/%s/fs", id("staged")));
	make_dir(at("store/trash/%s", id("thrown")));
	make_file(at("store/trash/%s/file", id("thrown")), "gone");
	make_link(of_key("work", "name"), "half");
	make_link(of_key("work", "usage"), "4096,1");
	make_link(of_name("two", "key"), "an old key");
	make_dir(of_name("two", "work"));
}

static void add_manifest(void)
{
	MUST(shale_prepare(store, "making", "two", NULL, &why));
	fill("making");
	MUST(shale_commit(store, "recorded", "making", &recorded, &why));
}

static void remove_root(void)
{
	remove_store();
	make_dir(at("mnt"));
}

/* ---- the operations ---- */

static int ignore_mount(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	(void)spec;
	return 0;
}

static int ignore_finding(void *ctx, const struct shale_finding *finding)
{
	(void)ctx;
	(void)finding;
	return 0;
}

static int ignore_info(void *ctx, const struct shale_info *info)
{
	(void)ctx;
	(void)info;
	return 0;
}

#define OPERATION(name, call)                                                \
	static int name(struct shale_store *handle, struct shale_error *err) \
	{                                                                    \
		return call;                                                 \
	}

OPERATION(prepare, shale_prepare(handle, "new", "two", &labelled, err))
OPERATION(prepare_bare, shale_prepare(handle, "new", NULL, NULL, err))
OPERATION(prepare_ghost, shale_prepare(handle, "ghost", "two", NULL, err))
OPERATION(view, shale_view(handle, "new", "two", &labelled, err))
OPERATION(view_bare, shale_view(handle, "new", NULL, NULL, err))
OPERATION(mounts, shale_mounts(handle, "work", ignore_mount, NULL, err))
OPERATION(commit, shale_commit(handle, "new", "work", &labelled, err))
OPERATION(commit_manifest, shale_commit(handle, "new", "work", &recorded, err))
OPERATION(commit_bare, shale_commit(handle, "new", "bare", NULL, err))
OPERATION(commit_ghost, shale_commit(handle, "spirit", "work", NULL, err))
OPERATION(remove_active, shale_remove(handle, "work", err))
OPERATION(remove_view, shale_remove(handle, "look", err))
OPERATION(delete_, shale_delete(handle, "top", err))
OPERATION(exists, shale_exists(handle, "two", err))
OPERATION(walk, shale_walk(handle, ignore_info, NULL, err))
OPERATION(active, shale_active(handle, ignore_info, NULL, err))
OPERATION(stat_, shale_stat(handle, "long", ignore_info, NULL, err))
OPERATION(update, shale_update(handle, "work", long_labels(), NULL, err))
OPERATION(update_short, shale_update(handle, "long", some_labels, NULL, err))
OPERATION(update_none, shale_update(handle, "long", NULL, NULL, err))
OPERATION(cleanup, shale_cleanup(handle, NULL, err))
OPERATION(in_use, shale_in_use(handle, "work", err))
OPERATION(exclusive,
	  shale_mounts_exclusive(handle, "work", ignore_mount, NULL, err))
OPERATION(repair,
	  shale_check(handle, SHALE_CHECK_REPAIR, ignore_finding, NULL, err))
OPERATION(check, shale_check(handle, 0, NULL, NULL, err))
OPERATION(verify, shale_verify(handle, "recorded", NULL, NULL, err))

static int parent(struct shale_store *handle, struct shale_error *err)
{
	char name[SHALE_NAME_SIZE];

	return shale_parent(handle, "work", name, err);
}

static int usage(struct shale_store *handle, struct shale_error *err)
{
	struct shale_usage used = { .size = sizeof(used) };
	int r = shale_usage(handle, "two", &used, err);

	return r < 0 ? r : shale_usage(handle, "work", &used, err);
}

static int rebase(struct shale_store *handle, struct shale_error *err)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .parent = "two" };

	return shale_commit(handle, "new", "bare", &opts, err);
}

static int keep(struct shale_store *handle, struct shale_error *err)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = SHALE_COMMIT_KEEP,
					 .labels = some_labels };

	return shale_commit(handle, "new", "work", &opts, err);
}

OPERATION(flatten, shale_flatten(handle, "new", "top", &labelled, err))

static int open_(struct shale_store *handle, struct shale_error *err)
{
	const char *const config[] = { "any_filesystem", "yes", "create", "yes",
				       NULL };
	int r = shale_store_open(at("store"), NULL, config, NULL, &handle, err);

	if (r == 0)
		shale_store_close(handle);
	return r;
}

struct mounting {
	struct shale_error *err;
	int r;
};

static int mount_it(void *ctx, const struct shale_mount_spec *spec)
{
	struct mounting *mounting = ctx;

	mounting->r = shale_mount(spec, at("mnt"), mounting->err);
	return mounting->r < 0;
}

static int mount_key_by(struct shale_store *handle, const char *key,
			shale_mount_fn *fn, struct shale_error *err)
{
	struct mounting mounting = { err, 0 };
	int r = shale_mounts_exclusive(handle, key, fn, &mounting, err);

	if (mounting.r < 0)
		return mounting.r;
	return r < 0 ? r : shale_unmount(at("mnt"), err);
}

static int mount_key(struct shale_store *handle, const char *key,
		     struct shale_error *err)
{
	return mount_key_by(handle, key, mount_it, err);
}

OPERATION(mount_overlay, mount_key(handle, "work", err))
OPERATION(mount_bind, mount_key(handle, "bare", err))

static int mount_classic(struct shale_store *handle, struct shale_error *err)
{
	(void)setenv("SHALE_MOUNT_ENGINE", "libmount", 1);
	return mount_key(handle, "work", err);
}

/* ---- the same with mapped ids ---- */

#define MAP "0:100000:65536"

static bool can_map; /* tmpfs from 6.3 */

static void ask_to_map(void)
{
	auto_fd fd = open(at("store"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_idmaps maps = { NULL, NULL };

	MUST(idmaps_parse(MAP, MAP, &maps, &why));
	can_map = mount_can_map(fd, &maps);
}

static int mount_mapped_it(void *ctx, const struct shale_mount_spec *spec)
{
	const char *options[16];
	struct shale_mount_spec mapped = *spec;
	size_t n = 0;

	while (spec->options[n] && n < 13) {
		options[n] = spec->options[n];
		n++;
	}
	options[n++] = "uidmap=" MAP;
	options[n++] = "gidmap=" MAP;
	options[n] = NULL;
	mapped.options = options;
	return mount_it(ctx, can_map ? &mapped : spec);
}

OPERATION(mount_mapped_, mount_key_by(handle, "work", mount_mapped_it, err))

const struct operation operations[] = {
	{ .name = "prepare", .act = prepare },
	{ .name = "prepare without a parent", .act = prepare_bare },
	{ .name = "prepare over a ghost",
	  .act = prepare_ghost,
	  .more = add_ghosts },
	{ .name = "view", .act = view },
	{ .name = "view without a parent", .act = view_bare },
	{ .name = "mounts", .act = mounts },
	{ .name = "mounts, exclusively", .act = exclusive },
	{ .name = "commit", .act = commit },
	{ .name = "commit with a manifest", .act = commit_manifest },
	{ .name = "commit without a parent", .act = commit_bare },
	{ .name = "commit onto another parent", .act = rebase },
	{ .name = "commit over a ghost",
	  .act = commit_ghost,
	  .more = add_ghosts },
	{ .name = "commit and keep", .act = keep },
	{ .name = "flatten",
	  .act = flatten,
	  .mounts = true,
	  .has_temporary = true },
	{ .name = "remove an active", .act = remove_active },
	{ .name = "remove a view", .act = remove_view },
	{ .name = "delete", .act = delete_ },
	{ .name = "parent", .act = parent },
	{ .name = "exists", .act = exists },
	{ .name = "walk", .act = walk },
	{ .name = "active", .act = active },
	{ .name = "stat", .act = stat_ },
	{ .name = "update to a file", .act = update },
	{ .name = "update to a link", .act = update_short },
	{ .name = "update to nothing", .act = update_none },
	{ .name = "usage", .act = usage },
	{ .name = "cleanup", .act = cleanup, .more = add_leftovers },
	{ .name = "in use", .act = in_use },
	{ .name = "check", .act = check },
	{ .name = "check and repair", .act = repair, .more = add_leftovers },
	{ .name = "verify", .act = verify, .more = add_manifest },
	{ .name = "open", .act = open_, .opens = true },
	{ .name = "create", .act = open_, .opens = true, .more = remove_root },
	{ .name = "mount an overlay", .act = mount_overlay, .mounts = true },
	{ .name = "mount with mapped ids",
	  .act = mount_mapped_,
	  .more = ask_to_map,
	  .mounts = true },
	{ .name = "mount a bind", .act = mount_bind, .mounts = true },
	{ .name = "mount by libmount", .act = mount_classic, .mounts = true },
};

const size_t operation_count = sizeof(operations) / sizeof(*operations);

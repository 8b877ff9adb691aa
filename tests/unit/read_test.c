/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The operations that read: stat, parent, exists, walk, active, usage.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void stat_tells_kind_name_and_parent(void **state)
{
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	MUST(shale_prepare(store, "k", "child", NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	look("base", &seen);
	assert_int_equal(seen.size, sizeof(struct shale_info));
	assert_int_equal(seen.kind, SHALE_KIND_COMMITTED);
	assert_string_equal(seen.name, "base");
	assert_string_equal(seen.parent, "");
	look("child", &seen);
	assert_int_equal(seen.kind, SHALE_KIND_COMMITTED);
	assert_string_equal(seen.parent, "base");
	look("k", &seen);
	assert_int_equal(seen.kind, SHALE_KIND_ACTIVE);
	assert_string_equal(seen.name, "k");
	assert_string_equal(seen.parent, "child");
	look("v", &seen);
	assert_int_equal(seen.kind, SHALE_KIND_VIEW);
	assert_string_equal(seen.parent, "base");
}

static void created_is_the_mtime_of_the_kind_fact(void **state)
{
	const int64_t second = 1000000000;
	struct seen seen;
	struct timespec now;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
	look("k", &seen);
	assert_int_equal(seen.created_ns, mtime_ns(of_key("k", "key")));
	assert_int_equal(seen.updated_ns, seen.created_ns);
	assert_true(seen.created_ns <= now.tv_sec * second + now.tv_nsec);
	assert_true(seen.created_ns > (now.tv_sec - 60) * second);
	MUST(shale_view(store, "v", NULL, NULL, &why));
	look("v", &seen);
	assert_int_equal(seen.created_ns, mtime_ns(of_key("v", "view")));
}

static int stop_with_9(void *ctx, const struct shale_info *info)
{
	(void)info;
	++*(int *)ctx;
	return 9;
}

static void what_a_callback_returns_comes_back(void **state)
{
	int calls = 0;

	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
	assert_int_equal(shale_stat(store, "k", stop_with_9, &calls, &why), 9);
	assert_int_equal(calls, 1);
	assert_int_equal(shale_walk(store, stop_with_9, &calls, &why), 9);
	assert_int_equal(calls, 2);
	assert_int_equal(shale_active(store, stop_with_9, &calls, &why), 9);
	assert_int_equal(calls, 3);
}

static void stat_of_nothing_is_enoent(void **state)
{
	struct seen seen = { 0 };

	(void)state;
	REFUSED(ENOENT, "'k'", shale_stat(store, "k", see, &seen, &why));
	assert_int_equal(seen.calls, 0);
}

static void parent_names_the_parent_or_nothing(void **state)
{
	char parent[SHALE_NAME_SIZE] = "untouched";

	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	MUST(shale_prepare(store, "k", "child", NULL, &why));
	REFUSED(ENOENT, "'x'", shale_parent(store, "x", parent, &why));
	assert_string_equal(parent, "untouched");
	MUST(shale_parent(store, "k", parent, &why));
	assert_string_equal(parent, "child");
	MUST(shale_parent(store, "child", parent, &why));
	assert_string_equal(parent, "base");
	MUST(shale_parent(store, "base", parent, &why));
	assert_string_equal(parent, "");
}

static void a_parent_of_1023_bytes_fits(void **state)
{
	char name[SHALE_NAME_SIZE], parent[SHALE_NAME_SIZE] = "";

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	make_layer(name, NULL);
	MUST(shale_prepare(store, "k", name, NULL, &why));
	MUST(shale_parent(store, "k", parent, &why));
	assert_string_equal(parent, name);
}

static void exists_knows_every_kind(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	MUST(shale_exists(store, "base", &why));
	MUST(shale_exists(store, "k", &why));
	MUST(shale_exists(store, "v", &why));
	REFUSED(ENOENT, "'x'", shale_exists(store, "x", &why));
}

static void walk_visits_the_committed_and_active_the_others(void **state)
{
	(void)state;
	check_visits(shale_walk, "");
	check_visits(shale_active, "");
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(shale_prepare(store, "k", "2", NULL, &why));
	MUST(shale_view(store, "v", "1", NULL, &why));
	check_visits(shale_walk, "1 2");
	check_visits(shale_active, "k v");
	reopen();
	check_visits(shale_walk, "1 2");
	check_visits(shale_active, "k v");
}

/* Asks for each visited one by name, and compares. */
static int compare_with_stat(void *ctx, const struct shale_info *info)
{
	struct seen visited = { 0 }, asked = { 0 };

	(void)see(&visited, info);
	if (shale_stat(store, info->name, see, &asked, &why) != 0)
		return 1;
	++*(int *)ctx;
	free(visited.labels);
	free(asked.labels);
	return visited.kind != asked.kind || visited.size != asked.size ||
	       visited.created_ns != asked.created_ns ||
	       visited.updated_ns != asked.updated_ns ||
	       strcmp(visited.parent, asked.parent) != 0;
}

static void walk_tells_what_stat_tells(void **state)
{
	int count = 0;

	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(shale_prepare(store, "k", "2", NULL, &why));
	MUST(shale_walk(store, compare_with_stat, &count, &why));
	MUST(shale_active(store, compare_with_stat, &count, &why));
	assert_int_equal(count, 3);
}

/* Anything may be called from a callback, also what changes the store. */
static int change_all(void *ctx, const struct shale_info *info)
{
	const char *key = ctx;
	char parent[SHALE_NAME_SIZE];
	int r = shale_prepare(store, key, info->name, NULL, &why);

	if (r == 0)
		r = shale_parent(store, key, parent, &why);
	if (r == 0)
		r = strcmp(parent, info->name);
	if (r == 0)
		r = shale_update(store, info->name, NULL, NULL, &why);
	if (r == 0)
		r = shale_remove(store, key, &why);
	return r == 0 ? 0 : 1;
}

static int remove_all(void *ctx, const struct shale_info *info)
{
	char name[SHALE_NAME_SIZE];

	(void)ctx;
	(void)strcpy(name, info->name);
	return shale_remove(store, name, &why) == 0 ? 0 : 1;
}

static int delete_all(void *ctx, const struct shale_info *info)
{
	char name[SHALE_NAME_SIZE];

	(void)ctx;
	(void)strcpy(name, info->name);
	return shale_delete(store, name, &why) == 0 ? 0 : 1;
}

static void a_callback_may_call_anything(void **state)
{
	char key[] = "made in walk", name[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		make_layer(name, NULL);
		(void)snprintf(name, sizeof(name), "k%d", i);
		MUST(shale_prepare(store, name, NULL, NULL, &why));
	}
	MUST(shale_walk(store, change_all, key, &why));
	MUST(shale_stat(store, "n0", change_all, key, &why));
	MUST(shale_active(store, remove_all, NULL, &why));
	MUST(shale_walk(store, delete_all, NULL, &why));
	check_visits(shale_active, "");
	check_visits(shale_walk, "");
	check_list(at("store/active"), "");
	check_list(at("store/snapshots"), "");
}

static void reading_leaves_the_generation_alone(void **state)
{
	struct shale_usage usage = { .size = sizeof(usage) };
	char parent[SHALE_NAME_SIZE];
	struct seen seen;
	uint64_t before;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	reopen();
	before = generation();
	look("k", &seen);
	look("base", &seen);
	check_visits(shale_walk, "base");
	check_visits(shale_active, "k");
	MUST(shale_parent(store, "k", parent, &why));
	MUST(shale_exists(store, "k", &why));
	MUST(shale_usage(store, "k", &usage, &why));
	MUST(shale_usage(store, "base", &usage, &why));
	assert_int_equal(generation(), before);
}

static struct shale_usage usage_of(const char *name)
{
	struct shale_usage usage = { .size = sizeof(usage) };

	sync(); /* blocks are counted when they are there */
	MUST(shale_usage(store, name, &usage, &why));
	assert_int_equal(usage.flags, 0);
	return usage;
}

static uint64_t bytes_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void usage_counts_every_inode_with_its_blocks(void **state)
{
	struct shale_usage before, after;
	uint64_t bytes;
	char *text = malloc(100001);

	(void)state;
	memset(text, 'x', 100000);
	text[100000] = '\0';
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	before = usage_of("k");
	make_dir(of_key("k", "fs/dir"));
	make_file(of_key("k", "fs/dir/file"), text);
	make_link(of_key("k", "fs/link"), "x");
	assert_int_equal(mkfifo(of_key("k", "fs/fifo"), 0600), 0);
	free(text);
	after = usage_of("k");
	bytes = bytes_of(of_key("k", "fs/dir")) +
		bytes_of(of_key("k", "fs/dir/file")) +
		bytes_of(of_key("k", "fs/link")) +
		bytes_of(of_key("k", "fs/fifo"));
	assert_true(bytes >= 100000);
	assert_int_equal(after.inodes - before.inodes, 4);
	assert_int_equal(after.bytes - before.bytes, bytes);
}

static void usage_counts_a_hard_linked_file_once(void **state)
{
	struct shale_usage before, after;
	char name[24];

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_dir(of_key("k", "fs/a"));
	make_dir(of_key("k", "fs/b"));
	before = usage_of("k");
	make_file(of_key("k", "fs/a/file"), "text");
	for (int i = 0; i < 50; i++) {
		(void)snprintf(name, sizeof(name), "fs/b/%d", i);
		assert_int_equal(
			link(of_key("k", "fs/a/file"), of_key("k", name)), 0);
	}
	after = usage_of("k");
	assert_int_equal(after.inodes - before.inodes, 1);
	assert_int_equal(after.bytes - before.bytes,
			 bytes_of(of_key("k", "fs/a/file")));
	MUST(shale_commit(store, "n", "k", NULL, &why));
	assert_int_equal(usage_of("n").inodes, after.inodes);
}

static void usage_counts_blocks_and_not_lengths(void **state)
{
	struct shale_usage before, after;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	before = usage_of("k");
	make_file(of_key("k", "fs/sparse"), "");
	assert_int_equal(truncate(of_key("k", "fs/sparse"), 100 << 20), 0);
	after = usage_of("k");
	assert_int_equal(after.inodes - before.inodes, 1);
	assert_true(after.bytes - before.bytes < 65536);
}

static void usage_is_without_the_parents(void **state)
{
	struct shale_usage alone, child;

	(void)state;
	MUST(shale_prepare(store, "alone", NULL, NULL, &why));
	alone = usage_of("alone");
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	child = usage_of("k");
	assert_int_equal(child.inodes, alone.inodes);
	assert_int_equal(child.bytes, alone.bytes);
}

static void usage_of_an_active_follows_its_files(void **state)
{
	uint64_t before;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	before = usage_of("k").inodes;
	make_file(of_key("k", "fs/file"), "x");
	assert_int_equal(usage_of("k").inodes, before + 1);
	delete_path(of_key("k", "fs/file"));
	assert_int_equal(usage_of("k").inodes, before);
}

static void usage_of_a_view_is_that_of_its_own_files(void **state)
{
	struct shale_usage own, none;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", NULL, &why));
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	own = usage_of("v");
	none = usage_of("k");
	assert_true(own.inodes <= none.inodes);
	assert_true(own.bytes <= none.bytes);
}

static void usage_fills_no_more_than_the_callers_size(void **state)
{
	struct shale_usage usage;

	(void)state;
	memset(&usage, '#', sizeof(usage));
	usage.size = offsetof(struct shale_usage, inodes);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	/* Whether it is refused or filled as far as it goes. */
	(void)shale_usage(store, "k", &usage, &why);
	assert_int_equal(usage.size, offsetof(struct shale_usage, inodes));
	assert_int_equal(usage.inodes, UINT64_C(0x2323232323232323));
}

static void usage_of_nothing_is_enoent(void **state)
{
	struct shale_usage usage = { .size = sizeof(usage), .bytes = 7 };

	(void)state;
	REFUSED(ENOENT, "'k'", shale_usage(store, "k", &usage, &why));
	assert_int_equal(usage.bytes, 7);
}

static void verify_is_content_with_a_store_of_every_kind(void **state)
{
	(void)state;
	make_layer("1", NULL);
	make_layer("2", "1");
	MUST(shale_prepare(store, "k", "2", NULL, &why));
	MUST(shale_view(store, "v", "1", NULL, &why));
	MUST(shale_view(store, "w", NULL, NULL, &why));
	MUST(shale_check(store, 0, NULL, NULL, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(stat_tells_kind_name_and_parent),
		TEST_IN_STORE(created_is_the_mtime_of_the_kind_fact),
		TEST_IN_STORE(what_a_callback_returns_comes_back),
		TEST_IN_STORE(stat_of_nothing_is_enoent),
		TEST_IN_STORE(parent_names_the_parent_or_nothing),
		TEST_IN_STORE(a_parent_of_1023_bytes_fits),
		TEST_IN_STORE(exists_knows_every_kind),
		TEST_IN_STORE(walk_visits_the_committed_and_active_the_others),
		TEST_IN_STORE(walk_tells_what_stat_tells),
		TEST_IN_STORE(a_callback_may_call_anything),
		TEST_IN_STORE(reading_leaves_the_generation_alone),
		TEST_IN_STORE(usage_counts_every_inode_with_its_blocks),
		TEST_IN_STORE(usage_counts_a_hard_linked_file_once),
		TEST_IN_STORE(usage_counts_blocks_and_not_lengths),
		TEST_IN_STORE(usage_is_without_the_parents),
		TEST_IN_STORE(usage_of_an_active_follows_its_files),
		TEST_IN_STORE(usage_of_a_view_is_that_of_its_own_files),
		TEST_IN_STORE(usage_fills_no_more_than_the_callers_size),
		TEST_IN_STORE(usage_of_nothing_is_enoent),
		TEST_IN_STORE(verify_is_content_with_a_store_of_every_kind),
	};

	return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}

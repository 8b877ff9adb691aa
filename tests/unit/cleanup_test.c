/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale_cleanup: what the dead left goes, what the living have stays.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RANDOM_NAME "00112233445566778899aabbccddeeff"

static uint64_t cleanup(void)
{
	uint64_t removed = UINT64_MAX;

	MUST(shale_cleanup(store, &removed, &why));
	return removed;
}

static void cleanup_of_a_clean_store_removes_nothing(void **state)
{
	char *before, *after;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	before = dump();
	assert_int_equal(cleanup(), 0);
	after = dump();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void nobody_needs_the_count(void **state)
{
	(void)state;
	MUST(shale_cleanup(store, NULL, &why));
}

static void what_a_dead_builder_left_is_removed(void **state)
{
	(void)state;
	make_dir(at("store/staging/" RANDOM_NAME));
	make_dir(at("store/staging/" RANDOM_NAME "/fs"));
	make_file(at("store/staging/" RANDOM_NAME "/fs/file"), "");
	make_link(at("store/staging/" RANDOM_NAME "/key"), "k");
	assert_int_equal(cleanup(), 1);
	check_list(at("store/staging"), "");
}

static void what_a_dead_remover_left_is_removed(void **state)
{
	(void)state;
	make_dir(at("store/trash/" RANDOM_NAME));
	make_dir(at("store/trash/" RANDOM_NAME "/fs"));
	make_file(at("store/trash/" RANDOM_NAME "/fs/file"), "");
	assert_int_equal(chmod(at("store/trash/" RANDOM_NAME "/fs"), 0), 0);
	assert_int_equal(cleanup(), 1);
	check_list(at("store/trash"), "");
}

static void what_a_live_builder_has_stays(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	make_dir(at("store/staging/" RANDOM_NAME));
	make_dir(at("store/staging/" RANDOM_NAME "/fs"));
	(void)snprintf(path, sizeof(path), "%s",
		       at("store/staging/" RANDOM_NAME));
	helper_start(&helper, flock_path, path);
	assert_int_equal(cleanup(), 0);
	check_list(path, "fs");
	helper_stop(&helper);
	assert_int_equal(cleanup(), 1);
	check_list(at("store/staging"), "");
}

static void stage(char ret[PATH_MAX])
{
	make_dir(at("store/staging/" RANDOM_NAME));
	(void)snprintf(ret, PATH_MAX, "%s", at("store/staging/" RANDOM_NAME));
}

/* Or a cleanup would wait as often as others build. */
static void no_turn_is_taken_for_a_live_builder(void **state)
{
	struct shale_store *impatient =
		open_more(NULL, "lock_timeout_ms", "20", NULL);
	char path[PATH_MAX], lock_path[PATH_MAX];
	struct helper builder, writer;
	uint64_t removed = 1;

	(void)state;
	stage(path);
	(void)snprintf(lock_path, sizeof(lock_path), "%s", at("store/lock"));
	helper_start(&builder, flock_path, path);
	helper_start(&writer, flock_path, lock_path);
	MUST(shale_cleanup(impatient, &removed, &why));
	assert_int_equal(removed, 0);
	helper_stop(&builder);
	REFUSED(ETIMEDOUT, "lock", shale_cleanup(impatient, NULL, &why));
	helper_stop(&writer);
	close_handle(impatient);
	check_list(at("store/staging"), RANDOM_NAME);
}

static int cleanup_elsewhere(void *ctx)
{
	static const char *const config[] = { "any_filesystem", "yes", NULL };

	(void)ctx;
	if (shale_store_open(at("store"), NULL, config, NULL, &store, &why) < 0)
		return 1;
	return shale_cleanup(store, NULL, &why) == 0 ? 0 : 2;
}

/* A writer has a place in the line: see queue.c. */
static void wait_for_a_writer(const char *lock_path)
{
	int fd = open(lock_path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	for (int i = 0; i < 10000; i++) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
		if (lock.l_type != F_UNLCK)
			break;
		usleep(1000);
	}
	(void)close(fd);
}

static void a_builder_that_comes_meanwhile_stays(void **state)
{
	char path[PATH_MAX], lock_path[PATH_MAX];
	struct helper builder, writer, cleaner;

	(void)state;
	stage(path);
	(void)snprintf(lock_path, sizeof(lock_path), "%s", at("store/lock"));
	helper_start(&writer, flock_path, lock_path);
	helper_begin(&cleaner, cleanup_elsewhere, NULL);
	wait_for_a_writer(lock_path);
	helper_start(&builder, flock_path, path);
	helper_stop(&writer);
	helper_wait(&cleaner);
	helper_stop(&cleaner);
	check_list(at("store/staging"), RANDOM_NAME);
	helper_stop(&builder);
}

/* Its facts are written, and the lock is still to be had. */
static void a_commit_under_way_is_left_alone(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "usage"), "0,1");
	make_link(of_key("k", "name"), "n");
	(void)snprintf(path, sizeof(path), "%s", of_key("k", ""));
	helper_start(&helper, flock_path, path);
	assert_int_equal(cleanup(), 0);
	check_list(path, "fs key name usage");
	helper_stop(&helper);
	(void)cleanup();
	check_list(path, "fs key");
}

static void cleanup_ends_what_a_dead_writer_began(void **state)
{
	uint64_t odd = generation() + 1, even;
	int fd = open(at("store/lock"), O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pwrite(fd, &odd, sizeof(odd), 0), sizeof(odd));
	(void)close(fd);
	(void)cleanup();
	even = generation();
	assert_true(even > odd);
	assert_int_equal(even % 2, 0);
	(void)cleanup(); /* which has nothing to end */
	assert_int_equal(generation(), even);
}

static void uncertified_directories_are_removed(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("gone", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	MUST(shale_prepare(store, "stays", "base", NULL, &why));
	delete_path(of_key("k", "key"));
	delete_path(of_key("v", "view"));
	delete_path(of_name("gone", "name"));
	reopen();
	assert_int_equal(cleanup(), 3);
	assert_false(is_there(of_key("k", "")));
	assert_false(is_there(of_key("v", "")));
	assert_false(is_there(of_name("gone", "")));
	check_visits(shale_active, "stays");
	check_visits(shale_walk, "base");
	MUST(shale_check(store, 0, NULL, NULL, &why));
}

static void a_certified_directory_is_never_removed(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "key"), "another");
	reopen();
	(void)shale_cleanup(store, NULL, &why);
	assert_true(is_there(of_key("k", "fs")));
}

static void a_commit_that_died_after_its_rename_is_finished(void **state)
{
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	make_layer("n", "base");
	make_link(of_name("n", "key"), "k");
	make_link(of_name("n", "key.parent"), parent_fact("base"));
	make_link(of_name("n", "key.labels"), "{\"a\":\"1\"}");
	make_dir(of_name("n", "work"));
	make_dir(of_name("n", "work/work"));
	reopen();
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	look("n", &seen);
	assert_int_equal(seen.kind, SHALE_KIND_COMMITTED);
	assert_string_equal(seen.parent, "base");
	check_labels(store, "n", "");
	(void)cleanup();
	check_list(of_name("n", ""), "fs name name.parent usage");
}

static void two_cleanups_do_not_disturb_each_other(void **state)
{
	struct helper helper;

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++) {
			make_dir(at("store/trash/%032d", i));
			make_file(at("store/trash/%032d/file", i), "");
			make_dir(at("store/staging/%032d", i));
		}
		helper_begin(&helper, cleanup_elsewhere, NULL);
		MUST(shale_cleanup(store, NULL, &why));
		helper_wait(&helper);
		helper_stop(&helper);
		check_list(at("store/trash"), "");
		check_list(at("store/staging"), "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(cleanup_of_a_clean_store_removes_nothing),
		TEST_IN_STORE(nobody_needs_the_count),
		TEST_IN_STORE(what_a_dead_builder_left_is_removed),
		TEST_IN_STORE(what_a_dead_remover_left_is_removed),
		TEST_IN_STORE(what_a_live_builder_has_stays),
		TEST_IN_STORE(no_turn_is_taken_for_a_live_builder),
		TEST_IN_STORE(a_builder_that_comes_meanwhile_stays),
		TEST_IN_STORE(a_commit_under_way_is_left_alone),
		TEST_IN_STORE(cleanup_ends_what_a_dead_writer_began),
		TEST_IN_STORE(uncertified_directories_are_removed),
		TEST_IN_STORE(a_certified_directory_is_never_removed),
		TEST_IN_STORE(a_commit_that_died_after_its_rename_is_finished),
		TEST_IN_STORE(two_cleanups_do_not_disturb_each_other),
	};

	return cmocka_run_group_tests_name("cleanup", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a host may ask of every operation: to stop, not to wait for ever, and
 * to stay silent.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int stop_now;

static int is_cancelled(void *ctx)
{
	(void)ctx;
	return stop_now;
}

static const struct shale_host impatient = {
	.size = sizeof(struct shale_host),
	.abi = SHALE_PLUGIN_ABI,
	.cancelled = is_cancelled,
};

/* An active "k" with files, in a store whose host can say stop. */
static void make_long_work(void)
{
	char name[32];

	stop_now = 0;
	store = open_more(&impatient, NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "fs/%d", i);
		make_file(of_key("k", name), "");
	}
}

static void usage_stops_when_the_host_says_so(void **state)
{
	struct shale_usage usage = { .size = sizeof(usage), .bytes = 7 };

	(void)state;
	make_long_work();
	stop_now = 1;
	REFUSED(ECANCELED, "'k'", shale_usage(store, "k", &usage, &why));
	assert_int_equal(usage.bytes, 7);
	stop_now = 0;
	MUST(shale_usage(store, "k", &usage, &why));
}

static void commit_stops_when_the_host_says_so(void **state)
{
	(void)state;
	make_long_work();
	stop_now = 1;
	REFUSED(ECANCELED, "'k'", shale_commit(store, "n", "k", NULL, &why));
	stop_now = 0;
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

static void a_stopped_cleanup_can_be_called_again(void **state)
{
	(void)state;
	make_long_work();
	make_dir(at("store/trash/%032d", 1));
	for (int i = 0; i < 2000; i++)
		make_file(at("store/trash/%032d/%d", 1, i), "");
	stop_now = 1;
	assert_int_equal(shale_cleanup(store, NULL, &why), -ECANCELED);
	stop_now = 0;
	MUST(shale_cleanup(store, NULL, &why));
	check_list(at("store/trash"), "");
}

/* The key is gone at once, whatever becomes of its files. */
static void a_stopped_remove_leaves_only_trash(void **state)
{
	int r;

	(void)state;
	make_long_work();
	stop_now = 1;
	r = shale_remove(store, "k", &why);
	stop_now = 0;
	assert_true(r == 0 || r == -ECANCELED);
	if (shale_exists(store, "k", NULL) == 0) {
		/* Stopped before anything was done. */
		assert_int_equal(r, -ECANCELED);
		MUST(shale_remove(store, "k", &why));
	}
	MUST(shale_cleanup(store, NULL, &why));
	check_list(at("store/active"), "");
	check_list(at("store/trash"), "");
	check_list(at("store/staging"), "");
}

static int64_t now_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void hold_the_lock(struct helper *ret)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s", at("store/lock"));
	helper_start(ret, flock_path, path);
}

static void writers_give_up_after_their_timeout(void **state)
{
	struct shale_store *it;
	struct helper helper;
	int64_t start, took;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
	make_layer("lonely", NULL);
	it = open_more(NULL, "lock_timeout_ms", "100", NULL);
	hold_the_lock(&helper);
	start = now_ms();
	REFUSED(ETIMEDOUT, "'new'", shale_prepare(it, "new", NULL, NULL, &why));
	took = now_ms() - start;
	assert_true(took >= 90);
	assert_true(took < 5000);
	REFUSED(ETIMEDOUT, "'new'", shale_view(it, "new", "base", NULL, &why));
	REFUSED(ETIMEDOUT, "'k'", shale_remove(it, "k", &why));
	REFUSED(ETIMEDOUT, "'lonely'", shale_delete(it, "lonely", &why));
	REFUSED(ETIMEDOUT, "'k'", shale_update(it, "k", NULL, NULL, &why));
	REFUSED(ETIMEDOUT, "'l'", shale_commit(it, "n", "l", NULL, &why));
	helper_stop(&helper);
	MUST(shale_prepare(it, "new", NULL, NULL, &why));
	MUST(shale_commit(it, "n", "l", NULL, &why));
}

static void a_timeout_of_0_does_not_wait(void **state)
{
	struct shale_store *it = open_more(NULL, "lock_timeout_ms", "0", NULL);
	struct helper helper;
	int64_t start;

	(void)state;
	MUST(shale_prepare(it, "k", NULL, NULL, &why));
	hold_the_lock(&helper);
	start = now_ms();
	assert_int_equal(shale_prepare(it, "l", NULL, NULL, &why), -ETIMEDOUT);
	assert_true(now_ms() - start < 2000);
	helper_stop(&helper);
}

static void readers_need_no_lock(void **state)
{
	struct shale_usage usage = { .size = sizeof(usage) };
	char parent[SHALE_NAME_SIZE];
	struct helper helper;
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	MUST(shale_view(store, "v", "child", NULL, &why));
	reopen();
	hold_the_lock(&helper);
	look("v", &seen);
	MUST(shale_exists(store, "child", &why));
	MUST(shale_parent(store, "v", parent, &why));
	MUST(shale_usage(store, "child", &usage, &why));
	check_visits(shale_walk, "base child");
	check_visits(shale_active, "v");
	check_mount(store, "v", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("child", "fs"), of_name("base", "fs"));
	helper_stop(&helper);
}

static int let_go_soon(void *ctx)
{
	struct timespec pause = { .tv_nsec = 200000000 };
	int r = flock_path(ctx);

	if (r < 0 || fork() != 0)
		_exit(r < 0);
	(void)nanosleep(&pause, NULL);
	_exit(0);
}

static void writers_wait_for_a_lock_that_comes(void **state)
{
	struct shale_store *it =
		open_more(NULL, "lock_timeout_ms", "20000", NULL);
	char path[PATH_MAX];
	int64_t start;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", at("store/lock"));
	start = now_ms();
	assert_int_equal(in_child(let_go_soon, path), 0);
	MUST(shale_prepare(it, "k", NULL, NULL, &why));
	assert_true(now_ms() - start >= 190);
	assert_int_equal(in_child(let_go_soon, path), 0);
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
}

static void a_lock_that_was_replaced_is_not_trusted(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(at("lock"), "");
	assert_int_equal(truncate(at("lock"), 8), 0);
	assert_int_equal(rename(at("lock"), at("store/lock")), 0);
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
	assert_true(generation() > 0);
	assert_int_equal(generation() % 2, 0);
}

/* What the library wrote to both standard outputs. */
static void the_library_prints_nothing(void **state)
{
	int saved_out = dup(1), saved_err = dup(2), fd, r[4];
	struct stat st;

	(void)state;
	(void)fflush(NULL);
	fd = open(at("output"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	(void)dup2(fd, 1);
	(void)dup2(fd, 2);
	r[0] = shale_prepare(store, "k", NULL, NULL, NULL);
	r[1] = shale_prepare(store, "k", NULL, NULL, NULL);
	r[2] = shale_commit(store, "n", "k", NULL, NULL);
	r[3] = shale_remove(store, "n", NULL);
	(void)fflush(NULL);
	(void)dup2(saved_out, 1);
	(void)dup2(saved_err, 2);
	(void)close(saved_out);
	(void)close(saved_err);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	(void)close(fd);
	assert_int_equal(r[0], 0);
	assert_int_equal(r[1], -EEXIST);
	assert_int_equal(r[2], 0);
	assert_int_equal(r[3], -EBADFD);
}

static void nobody_needs_the_sentence(void **state)
{
	char parent[SHALE_NAME_SIZE];
	struct shale_usage usage = { .size = sizeof(usage) };
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(shale_prepare(store, "k", "p", NULL, NULL), -ENOENT);
	assert_int_equal(shale_remove(store, "k", NULL), -ENOENT);
	assert_int_equal(shale_delete(store, "k", NULL), -ENOENT);
	assert_int_equal(shale_commit(store, "n", "k", NULL, NULL), -ENOENT);
	assert_int_equal(shale_parent(store, "k", parent, NULL), -ENOENT);
	assert_int_equal(shale_exists(store, "k", NULL), -ENOENT);
	assert_int_equal(shale_stat(store, "k", see, &seen, NULL), -ENOENT);
	assert_int_equal(shale_update(store, "k", NULL, NULL, NULL), -ENOENT);
	assert_int_equal(shale_usage(store, "k", &usage, NULL), -ENOENT);
	assert_int_equal(shale_in_use(store, "k", NULL), -ENOENT);
}

static void an_error_that_is_set_already_is_kept(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	assert_int_equal(shale_exists(store, "first", &err), -ENOENT);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(shale_prepare(store, "k", NULL, NULL, &err), -EEXIST);
	assert_int_equal(err.code, ENOENT);
	assert_non_null(strstr(err.msg, "'first'"));
}

static void the_working_directory_is_not_touched(void **state)
{
	char before[PATH_MAX], after[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_remove(store, "k", &why));
	MUST(shale_cleanup(store, NULL, &why));
	assert_non_null(getcwd(after, sizeof(after)));
	assert_string_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(usage_stops_when_the_host_says_so),
		TEST_IN_DIR(commit_stops_when_the_host_says_so),
		TEST_IN_DIR(a_stopped_cleanup_can_be_called_again),
		TEST_IN_DIR(a_stopped_remove_leaves_only_trash),
		TEST_IN_STORE(writers_give_up_after_their_timeout),
		TEST_IN_STORE(a_timeout_of_0_does_not_wait),
		TEST_IN_STORE(readers_need_no_lock),
		TEST_IN_STORE(writers_wait_for_a_lock_that_comes),
		TEST_IN_STORE(a_lock_that_was_replaced_is_not_trusted),
		TEST_IN_STORE(the_library_prints_nothing),
		TEST_IN_STORE(nobody_needs_the_sentence),
		TEST_IN_STORE(an_error_that_is_set_already_is_kept),
		TEST_IN_STORE(the_working_directory_is_not_touched),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a store: what is one, what is refused as one, and the settings.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const insisting[] = { "any_filesystem", "yes", NULL };
static const char *const creating[] = { "create", "yes", "any_filesystem",
					"yes", NULL };

/* Opens here/store and closes it again. */
static int try_open(const char *const *config)
{
	struct shale_store *it = NULL;
	int r = shale_store_open(at("store"), NULL, config, NULL, &it, &why);

	if (r == 0)
		shale_store_close(it);
	else
		assert_null(it);
	return r;
}

static void create_makes_exactly_a_store(void **state)
{
	struct stat st;

	(void)state;
	(void)umask(0);
	MUST(try_open(creating));
	check_list(at("store"), "active format lock snapshots staging trash");
	check_list(at("store/active"), "");
	check_list(at("store/snapshots"), "");
	check_list(at("store/staging"), "");
	check_list(at("store/trash"), "");
	assert_int_equal(lstat(at("store"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(lstat(at("store/format"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(lstat(at("store/lock"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void a_fresh_store_has_an_even_generation_in_a_block(void **state)
{
	struct stat st;

	(void)state;
	MUST(try_open(creating));
	assert_int_equal(lstat(at("store/lock"), &st), 0);
	/* A block of its own from the start: see create_lock. */
	assert_int_equal(st.st_size, 4096);
	assert_int_equal(generation() % 2, 0);
}

static void the_modes_of_a_store_are_the_same_under_any_umask(void **state)
{
	char *first, *second;

	(void)state;
	(void)umask(0);
	MUST(try_open(creating));
	first = dump();
	delete_tree(at("store"));
	(void)umask(0777);
	MUST(try_open(creating));
	(void)umask(022);
	second = dump();
	assert_string_equal(first, second);
	free(first);
	free(second);
}

static void an_empty_directory_becomes_a_store(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("store"), 0700), 0);
	MUST(try_open(creating));
	check_list(at("store"), "active format lock snapshots staging trash");
}

static void create_opens_a_store_that_is_there(void **state)
{
	char *before, *after;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	before = dump();
	MUST(try_open(creating));
	after = dump();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void open_without_create_opens_what_create_made(void **state)
{
	(void)state;
	MUST(try_open(insisting));
}

static void an_absent_directory_is_enoent(void **state)
{
	(void)state;
	REFUSED(ENOENT, "store'", try_open(insisting));
	REFUSED(ENOENT, "store'", try_open(NULL));
}

static void a_file_is_no_store(void **state)
{
	(void)state;
	make_file(at("store"), "");
	REFUSED(ENOTDIR, "store'", try_open(insisting));
	REFUSED(ENOTDIR, "store'", try_open(creating));
}

static void a_directory_without_format_is_no_store(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("store"), 0700), 0);
	REFUSED(EMEDIUMTYPE, "store'", try_open(insisting));
}

static void an_unknown_format_is_refused_by_its_version(void **state)
{
	(void)state;
	make_link(at("store/format"), "4711");
	REFUSED(EMEDIUMTYPE, "4711", try_open(insisting));
	REFUSED(EMEDIUMTYPE, "4711", try_open(creating));
}

static void a_format_that_is_no_link_is_refused(void **state)
{
	(void)state;
	delete_path(at("store/format"));
	make_file(at("store/format"), "1");
	REFUSED(EMEDIUMTYPE, "store'", try_open(insisting));
}

static void a_root_of_somebody_else_is_refused(void **state)
{
	(void)state;
	needs_root();
	assert_int_equal(chown(at("store"), 1234, 0), 0);
	REFUSED(EPERM, "store'", try_open(insisting));
	REFUSED(EPERM, "store'", try_open(creating));
}

static void a_root_that_others_may_write_is_refused(void **state)
{
	(void)state;
	assert_int_equal(chmod(at("store"), 0770), 0);
	REFUSED(EPERM, "store'", try_open(insisting));
	assert_int_equal(chmod(at("store"), 0702), 0);
	REFUSED(EPERM, "store'", try_open(insisting));
	assert_int_equal(chmod(at("store"), 0700), 0);
	MUST(try_open(insisting));
}

/* Whatever a dead creator left, which made `format` last. */
static void a_half_made_store_is_completed_by_create(void **state)
{
	static const char *const parts[] = { "trash", "staging", "active",
					     "snapshots", "lock" };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		MUST(try_open(creating));
		delete_path(at("store/format"));
		for (size_t k = 0; k <= i; k++)
			delete_path(at("store/%s", parts[k]));
		REFUSED(EMEDIUMTYPE, "store'", try_open(insisting));
		MUST(try_open(creating));
		check_list(at("store"),
			   "active format lock snapshots staging trash");
		assert_int_equal(generation() % 2, 0);
	}
}

static void files_of_a_stranger_survive_create(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("store"), 0700), 0);
	make_file(at("store/precious"), "x");
	(void)try_open(creating);
	assert_true(is_there(at("store/precious")));
}

static void creators_do_not_disturb_each_other(void **state)
{
	pid_t pids[8];
	int status;

	(void)state;
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 8; i++) {
			pids[i] = fork();
			if (pids[i] == 0)
				_exit(try_open(creating) == 0 ? 0 : 1);
		}
		for (int i = 0; i < 8; i++) {
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
		check_list(at("store"),
			   "active format lock snapshots staging trash");
		delete_tree(at("store"));
	}
}

static void a_creator_killed_at_any_moment_leaves_no_wreck(void **state)
{
	struct shale_store *it = NULL;

	(void)state;
	for (useconds_t delay = 0; delay < 3000; delay += 60) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(try_open(creating) == 0 ? 0 : 1);
		(void)usleep(delay);
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		MUST(shale_store_open(at("store"), NULL, creating, NULL, &it,
				      &why));
		MUST(shale_cleanup(it, NULL, &why));
		shale_store_close(it);
		check_list(at("store"),
			   "active format lock snapshots staging trash");
		delete_tree(at("store"));
	}
}

static void overlay_is_refused_by_its_name(void **state)
{
	static const char *const plain[] = { "create", "yes", NULL };
	char options[PATH_MAX * 3 + 64];

	(void)state;
	needs_mounts();
	make_dir(at("lower"));
	make_dir(at("upper"));
	make_dir(at("work"));
	make_dir(at("store"));
	assert_int_equal(chmod(at("store"), 0700), 0);
	assert_int_equal(chmod(at("upper"), 0700), 0);
	(void)snprintf(options, sizeof(options),
		       "lowerdir=%s,upperdir=%s,workdir=%s", at("lower"),
		       at("upper"), at("work"));
	if (mount("o", at("store"), "overlay", 0, options) < 0)
		skip_because("needs an overlay");
	REFUSED(EOPNOTSUPP, "overlay", try_open(plain));
	assert_true(strstr(why.msg, "store'") != NULL);
	MUST(try_open(creating));
}

static void a_lost_lock_stops_writers_alone_and_is_made_anew(void **state)
{
	struct shale_store *now;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	delete_path(at("store/lock"));
	now = open_more(NULL, NULL);
	MUST(shale_exists(now, "k", &why));
	REFUSED(EUCLEAN, "lock' is lost: 'shale check --repair'",
		shale_remove(now, "k", &why));
	REFUSED(EUCLEAN, "'lock': the file is lost",
		shale_check(now, 0, NULL, NULL, &why));
	MUST(shale_check(now, SHALE_CHECK_REPAIR, see_finding, NULL, &why));
	MUST(shale_check(now, 0, NULL, NULL, &why));
	/* Of a handle that knows the lost one: nothing is remembered. */
	MUST(shale_remove(now, "k", &why));
	assert_int_equal(shale_exists(store, "k", NULL), -ENOENT);
	MUST(shale_prepare(store, "l", NULL, NULL, &why));
}

static void a_lost_lock_needs_no_lost_and_found(void **state)
{
	(void)state;
	make_file(at("store/lost+found"), "");
	delete_path(at("store/lock"));
	reopen();
	(void)shale_check(store, SHALE_CHECK_REPAIR, see_finding, NULL, &why);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
}

static void what_stands_for_the_lock_is_kept_and_it_is_made_anew(void **state)
{
	struct shale_store *now;

	(void)state;
	delete_path(at("store/lock"));
	make_dir(at("store/lock"));
	make_file(at("store/lock/file"), "");
	now = open_more(NULL, NULL);
	REFUSED(EUCLEAN, "lock' is lost: 'shale check --repair'",
		shale_prepare(now, "k", NULL, NULL, &why));
	REFUSED(EUCLEAN, "'lock': the file is lost",
		shale_check(now, 0, NULL, NULL, &why));
	MUST(shale_check(now, SHALE_CHECK_REPAIR, see_finding, NULL, &why));
	check_list(at("store/lost+found/lock"), "file");
	MUST(shale_prepare(now, "k", NULL, NULL, &why));
	delete_path(at("store/lock"));
	make_link(at("store/lock"), "nowhere");
	now = open_more(NULL, NULL);
	MUST(shale_exists(now, "k", &why));
	REFUSED(EUCLEAN, "lock' is lost", shale_remove(now, "k", &why));
	MUST(shale_check(now, SHALE_CHECK_REPAIR, see_finding, NULL, &why));
	MUST(shale_remove(now, "k", &why));
	for (size_t i = 0; i < 2; i++) {
		delete_path(at("store/lock"));
		assert_int_equal(mknod(at("store/lock"),
				       (i ? S_IFIFO : S_IFSOCK) | 0600, 0),
				 0);
		now = open_more(NULL, NULL);
		REFUSED(EUCLEAN, "lock' is lost",
			shale_prepare(now, "k", NULL, NULL, &why));
		MUST(shale_check(now, SHALE_CHECK_REPAIR, see_finding, NULL,
				 &why));
		MUST(shale_prepare(now, "k", NULL, NULL, &why));
		MUST(shale_remove(now, "k", &why));
	}
	check_list(at("store/lost+found"), "lock lock.1 lock.2 lock.3");
	MUST(shale_check(now, 0, NULL, NULL, &why));
}

static void a_refused_root_is_not_left_behind(void **state)
{
	static const char *const nonsense[] = { "create", "yes", "nonsense",
						"yes", NULL };

	(void)state;
	REFUSED(EINVAL, "nonsense", try_open(nonsense));
	assert_false(is_there(at("store")));
}

static void check_config(const char *key, const char *value)
{
	const char *const config[] = { "any_filesystem", "yes", key, value,
				       NULL };

	REFUSED(EINVAL, key, try_open(config));
}

static void unknown_settings_are_refused_by_name(void **state)
{
	(void)state;
	check_config("durabilty", "layer");
	check_config("", "x");
	check_config("Create", "yes");
}

static void malformed_settings_are_refused_by_name(void **state)
{
	(void)state;
	check_config("durability", "some");
	check_config("durability", "");
	check_config("create", "maybe");
	check_config("any_filesystem", "2");
	check_config("lock_timeout_ms", "soon");
	check_config("lock_timeout_ms", "-1");
	check_config("lock_timeout_ms", "10x");
	check_config("lock_timeout_ms", " 10");
	check_config("lock_timeout_ms", "+10");
	check_config("lock_timeout_ms", "");
	check_config("lock_timeout_ms", "99999999999999999999999");
}

static void a_setting_without_a_value_is_refused(void **state)
{
	const char **config = calloc(2, sizeof(*config));

	(void)state;
	config[0] = "durability";
	REFUSED(EINVAL, "durability", try_open(config));
	free(config);
}

static void every_known_setting_is_taken(void **state)
{
	static const char *const config[] = {
		"any_filesystem",
		"yes",
		"durability",
		"all",
		"mount_option",
		"xino=off",
		"mount_option",
		"metacopy=off",
		"lock_timeout_ms",
		"100",
		"create",
		"no",
		NULL,
	};

	(void)state;
	MUST(try_open(config));
}

static int emit_nothing(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	(void)spec;
	return 0;
}

static int use_after_fork(void *ctx)
{
	char parent[SHALE_NAME_SIZE];
	struct shale_usage usage = { .size = sizeof(usage) };
	struct seen seen = { 0 };
	const int results[] = {
		shale_prepare(store, "new", NULL, NULL, &why),
		shale_view(store, "new", "base", NULL, &why),
		shale_mounts(store, "k", emit_nothing, NULL, &why),
		shale_commit(store, "new", "k", NULL, &why),
		shale_remove(store, "k", &why),
		shale_delete(store, "base", &why),
		shale_parent(store, "k", parent, &why),
		shale_exists(store, "k", &why),
		shale_walk(store, see, &seen, &why),
		shale_active(store, see, &seen, &why),
		shale_stat(store, "k", see, &seen, &why),
		shale_update(store, "k", NULL, NULL, &why),
		shale_usage(store, "k", &usage, &why),
		shale_cleanup(store, NULL, &why),
		shale_in_use(store, "k", &why),
		shale_check(store, 0, NULL, NULL, &why),
		shale_verify(store, "base", NULL, NULL, &why),
	};

	(void)ctx;
	for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
		if (results[i] != -EINVAL)
			return (int)i + 1;
	return seen.calls ? 100 : 0;
}

static void a_forked_child_can_not_use_the_handle(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(in_child(use_after_fork, NULL), 0);
	assert_true(is_there(of_key("k", "key")));
	MUST(shale_exists(store, "k", &why));
}

static int open_after_fork(void *ctx)
{
	(void)ctx;
	if (shale_store_open(at("store"), NULL, insisting, NULL, &store, &why) <
	    0)
		return 1;
	return shale_prepare(store, "child's", NULL, NULL, &why) == 0 ? 0 : 2;
}

static void a_forked_child_opens_a_handle_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(in_child(open_after_fork, NULL), 0);
	MUST(shale_exists(store, "child's", &why));
}

static void a_relative_root_still_gives_absolute_mounts(void **state)
{
	const char *root = strrchr(here, '/') + 1;
	struct shale_store *it = NULL;
	char relative[PATH_MAX];

	(void)state;
	(void)snprintf(relative, sizeof(relative), "%s/store", root);
	MUST(shale_store_open(relative, NULL, insisting, NULL, &it, &why));
	MUST(shale_prepare(it, "k", NULL, NULL, &why));
	check_mount(it, "k", "bind %s rw rbind", of_key("k", "fs"));
	shale_store_close(it);
}

static void close_accepts_null(void **state)
{
	(void)state;
	shale_store_close(NULL);
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void handles_leak_no_descriptors_and_hand_none_to_exec(void **state)
{
	static const char *const wrong[] = { "what", "ever", NULL };
	int before;

	(void)state;
	MUST(try_open(insisting));
	before = count_fds();
	for (int i = 0; i < 10; i++) {
		MUST(try_open(insisting));
		assert_int_equal(try_open(wrong), -EINVAL);
	}
	assert_int_equal(count_fds(), before);
	for (int fd = 3; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);
		char link[64], path[PATH_MAX];
		ssize_t n;

		if (flags < 0)
			continue;
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof(path) - 1);
		path[n > 0 ? n : 0] = '\0';
		if (strstr(path, here))
			assert_true(flags & FD_CLOEXEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(create_makes_exactly_a_store),
		TEST_IN_DIR(a_fresh_store_has_an_even_generation_in_a_block),
		TEST_IN_DIR(the_modes_of_a_store_are_the_same_under_any_umask),
		TEST_IN_DIR(an_empty_directory_becomes_a_store),
		TEST_IN_STORE(create_opens_a_store_that_is_there),
		TEST_IN_STORE(open_without_create_opens_what_create_made),
		TEST_IN_DIR(an_absent_directory_is_enoent),
		TEST_IN_DIR(a_file_is_no_store),
		TEST_IN_DIR(a_directory_without_format_is_no_store),
		TEST_IN_STORE(an_unknown_format_is_refused_by_its_version),
		TEST_IN_STORE(a_format_that_is_no_link_is_refused),
		TEST_IN_STORE(a_root_of_somebody_else_is_refused),
		TEST_IN_STORE(a_root_that_others_may_write_is_refused),
		TEST_IN_DIR(a_half_made_store_is_completed_by_create),
		TEST_IN_DIR(files_of_a_stranger_survive_create),
		TEST_IN_DIR(creators_do_not_disturb_each_other),
		TEST_IN_DIR(a_creator_killed_at_any_moment_leaves_no_wreck),
		TEST_IN_DIR(overlay_is_refused_by_its_name),
		TEST_IN_STORE(a_lost_lock_stops_writers_alone_and_is_made_anew),
		TEST_IN_STORE(a_lost_lock_needs_no_lost_and_found),
		TEST_IN_STORE(
			what_stands_for_the_lock_is_kept_and_it_is_made_anew),
		TEST_IN_DIR(a_refused_root_is_not_left_behind),
		TEST_IN_STORE(unknown_settings_are_refused_by_name),
		TEST_IN_STORE(malformed_settings_are_refused_by_name),
		TEST_IN_STORE(a_setting_without_a_value_is_refused),
		TEST_IN_STORE(every_known_setting_is_taken),
		TEST_IN_STORE(a_forked_child_can_not_use_the_handle),
		TEST_IN_STORE(a_forked_child_opens_a_handle_of_its_own),
		TEST_IN_STORE(a_relative_root_still_gives_absolute_mounts),
		cmocka_unit_test(close_accepts_null),
		TEST_IN_STORE(
			handles_leak_no_descriptors_and_hand_none_to_exec),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

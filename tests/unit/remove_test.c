/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale_remove and shale_delete: what goes, what must stay, and that a full
 * disk stops neither.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void remove_takes_an_active_with_its_files(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_dir(of_key("k", "fs/dir"));
	make_file(of_key("k", "fs/dir/file"), "text");
	MUST(shale_remove(store, "k", &why));
	check_list(at("store/active"), "");
	check_list(at("store/trash"), "");
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
}

static void remove_takes_a_view_and_leaves_its_parent(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", NULL, &why));
	MUST(shale_remove(store, "v", &why));
	check_list(at("store/active"), "");
	check_list(of_name("base", "fs"), "file");
}

static void a_removed_key_can_be_prepared_again(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_file(of_key("k", "fs/old"), "");
	MUST(shale_remove(store, "k", &why));
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	check_list(of_key("k", ""), "fs key");
	check_list(of_key("k", "fs"), "");
}

static void remove_of_nothing_is_enoent(void **state)
{
	(void)state;
	REFUSED(ENOENT, "'k'", shale_remove(store, "k", &why));
}

static void remove_never_takes_a_committed_one(void **state)
{
	(void)state;
	make_layer("base", NULL);
	REFUSED(EBADFD, "'base'", shale_remove(store, "base", &why));
}

static void remove_refuses_while_a_live_process_uses_the_key(void **state)
{
	const char *const labels[] = { SHALE_LABEL_USER,
				       user_text(getpid(), "c1"), NULL };
	const char *const fields[] = { "labels." SHALE_LABEL_USER, NULL };
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_view(store, "v", "base", &opts, &why));
	REFUSED(EBUSY, "'k'", shale_remove(store, "k", &why));
	REFUSED(EBUSY, "'v'", shale_remove(store, "v", &why));
	MUST(shale_update(store, "k", NULL, fields, &why));
	MUST(shale_remove(store, "k", &why));
	REFUSED(EBUSY, "'v'", shale_remove(store, "v", &why));
	MUST(shale_update(store, "v", NULL, NULL, &why));
	MUST(shale_remove(store, "v", &why));
}

static void a_user_that_comes_by_update_blocks_as_well(void **state)
{
	const char *const labels[] = { SHALE_LABEL_USER,
				       user_text(getpid(), "c1"), NULL };
	const char *const fields[] = { "labels." SHALE_LABEL_USER, NULL };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_update(store, "k", labels, fields, &why));
	REFUSED(EBUSY, "'k'", shale_remove(store, "k", &why));
}

static void a_dead_user_does_not_block(void **state)
{
	const char *const labels[] = {
		SHALE_LABEL_USER,
		"4194304 1 00000000-0000-4000-8000-000000000000 c1", NULL
	};
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_remove(store, "k", &why));
}

static int mount_at(const char *dir)
{
	char options[3 * PATH_MAX + 64];

	(void)snprintf(options, sizeof(options),
		       "workdir=%s,upperdir=%s,lowerdir=%s,index=off",
		       of_key("k", "work"), of_key("k", "fs"),
		       of_name("base", "fs"));
	return mount("overlay", dir, "overlay", 0, options);
}

static void for_a_user_without_a_pid_remove_asks_the_kernel(void **state)
{
	const char *const labels[] = { SHALE_LABEL_USER, "0 0 boot c", NULL };
	struct shale_opts opts = { .size = sizeof(opts), .labels = labels };

	(void)state;
	needs_mounts();
	make_dir(at("m"));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", &opts, &why));
	if (mount_at(at("m")) < 0)
		skip_because("needs an overlay");
	REFUSED(EBUSY, "mounted", shale_remove(store, "k", &why));
	assert_int_equal(umount(at("m")), 0);
	MUST(shale_remove(store, "k", &why));
}

static void remove_refuses_while_a_commit_has_the_key(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	(void)snprintf(path, sizeof(path), "%s", of_key("k", ""));
	helper_start(&helper, flock_path, path);
	REFUSED(EBUSY, "'k'", shale_remove(store, "k", &why));
	helper_stop(&helper);
	MUST(shale_remove(store, "k", &why));
}

static void remove_takes_directories_without_permissions(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_dir(of_key("k", "fs/a"));
	make_dir(of_key("k", "fs/a/b"));
	make_file(of_key("k", "fs/a/b/file"), "");
	assert_int_equal(chmod(of_key("k", "fs/a/b"), 0500), 0);
	assert_int_equal(chmod(of_key("k", "fs/a"), 0), 0);
	make_dir(of_key("k", "work/work"));
	assert_int_equal(chmod(of_key("k", "work/work"), 0), 0);
	assert_int_equal(chmod(of_key("k", "fs"), 0555), 0);
	MUST(shale_remove(store, "k", &why));
	check_list(at("store/trash"), "");
}

static void remove_follows_no_link(void **state)
{
	(void)state;
	make_dir(at("outside"));
	make_file(at("outside/precious"), "");
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "fs/link"), at("outside"));
	MUST(shale_remove(store, "k", &why));
	check_list(at("outside"), "precious");
}

static void remove_takes_a_tree_of_5000_levels(void **state)
{
	int fd, next;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	fd = open(of_key("k", "fs"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	(void)close(fd);
	MUST(shale_remove(store, "k", &why));
	check_list(at("store/trash"), "");
}

static void delete_takes_a_committed_one(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_delete(store, "base", &why));
	check_list(at("store/snapshots"), "");
	check_list(at("store/trash"), "");
	REFUSED(ENOENT, "'base'", shale_exists(store, "base", &why));
	REFUSED(ENOENT, "'base'",
		shale_prepare(store, "k", "base", NULL, &why));
}

static void a_deleted_name_can_be_committed_again(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_delete(store, "base", &why));
	make_layer("base", NULL);
	assert_int_equal(kind_of("base"), SHALE_KIND_COMMITTED);
}

static void delete_of_nothing_is_enoent(void **state)
{
	(void)state;
	REFUSED(ENOENT, "'n'", shale_delete(store, "n", &why));
}

static void delete_never_takes_an_active_or_a_view(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_view(store, "v", NULL, NULL, &why));
	REFUSED(EBADFD, "'k'", shale_delete(store, "k", &why));
	REFUSED(EBADFD, "'v'", shale_delete(store, "v", &why));
}

static void a_parent_can_not_be_deleted_while_it_has_a_child(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_remove(store, "k", &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_remove(store, "v", &why));
	make_layer("child", "base");
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_delete(store, "child", &why));
	MUST(shale_delete(store, "base", &why));
}

static void a_child_found_by_a_fresh_handle_counts_too(void **state)
{
	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	reopen();
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
}

static void a_child_without_its_kind_fact_is_no_child(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	delete_path(of_key("k", "key"));
	reopen();
	MUST(shale_delete(store, "base", &why));
}

/* A store on a small tmpfs of its own, without an inode left. */
static void fill_store(void)
{
	static int i;
	char *path;

	for (;;) {
		path = strdup(at("store/fill%d", i++));
		if (symlink("x", path) < 0)
			break;
		free(path);
	}
	assert_int_equal(errno, ENOSPC);
	free(path);
}

static void make_small_store(void)
{
	needs_mounts();
	make_dir(at("store"));
	if (mount("small", at("store"), "tmpfs", 0,
		  "size=1m,nr_inodes=100,mode=0700") < 0)
		skip_because("needs tmpfs");
	store = open_more(NULL, NULL);
	MUST(shale_prepare(store, "p", NULL, NULL, &why));
	make_file(of_key("p", "fs/file"), "x");
	MUST(shale_commit(store, "base", "p", NULL, &why));
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_prepare(store, "l", "base", NULL, &why));
	fill_store();
}

static void a_full_disk_refuses_and_changes_nothing(void **state)
{
	const char *const labels[] = { "a", "1", NULL };

	(void)state;
	make_small_store();
	REFUSED(ENOSPC, "'new'",
		shale_prepare(store, "new", "base", NULL, &why));
	REFUSED(ENOSPC, "'new'", shale_view(store, "new", "base", NULL, &why));
	REFUSED(ENOSPC, "'k'", shale_update(store, "k", labels, NULL, &why));
	REFUSED(ENOSPC, "'k'", shale_commit(store, "n", "k", NULL, &why));
}

static void a_full_disk_does_not_stop_removal(void **state)
{
	(void)state;
	make_small_store();
	MUST(shale_remove(store, "k", &why));
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_remove(store, "k", &why));
	MUST(shale_remove(store, "l", &why));
	fill_store();
	MUST(shale_delete(store, "base", &why));
	check_list(at("store/active"), "");
	check_list(at("store/snapshots"), "");
	check_list(at("store/trash"), "");
}

static int remove_k_is_refused(void *ctx)
{
	struct shale_store *it = open_more(NULL, NULL);

	(void)ctx;
	return shale_remove(it, "k", &why) == -EBUSY ? 0 : 1;
}

/* Whether somebody holds the directory of k, as who removes it does. */
static bool is_held(void)
{
	int fd = open(of_key("k", ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool held = flock(fd, LOCK_SH | LOCK_NB) < 0;

	assert_true(fd >= 0);
	(void)close(fd);
	return held;
}

static void a_key_adopted_before_the_lock_is_had_stays(void **state)
{
	struct helper writer, remover;
	char lock[PATH_MAX], labels[512];

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(lock, sizeof(lock), "%s", at("store/lock"));
	helper_start(&writer, flock_path, lock);
	helper_begin(&remover, remove_k_is_refused, NULL);
	for (int i = 0; i < 3000 && !is_held(); i++)
		(void)usleep(10000);
	(void)snprintf(labels, sizeof(labels),
		       "{\"" SHALE_LABEL_USER "\":\"%s\"}",
		       user_text(getpid(), "c1"));
	make_link(of_key("k", "key.labels"), labels);
	set_generation(generation() + 2);
	helper_kill(&writer);
	helper_wait(&remover);
	helper_stop(&remover);
	assert_true(is_there(of_key("k", "key")));
}

static void what_is_to_be_deleted_later_is_left_to_cleanup(void **state)
{
	struct shale_store *it = open_more(NULL, "delete_later", "yes", NULL);
	uint64_t removed = 0;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(it, "k", "base", NULL, &why));
	MUST(shale_prepare(it, "empty", "base", NULL, &why));
	make_file(of_key("k", "fs/file"), "text");
	MUST(shale_remove(it, "empty", &why));
	check_list(at("store/trash"), "");
	MUST(shale_remove(it, "k", &why));
	REFUSED(ENOENT, "'k'", shale_exists(it, "k", &why));
	MUST(shale_prepare(it, "k", "base", NULL, &why));
	MUST(shale_cleanup(it, &removed, &why));
	assert_int_equal(removed, 1);
	check_list(at("store/trash"), "");
	MUST(shale_exists(it, "k", &why));
}

static int delete_base_is_refused(void *ctx)
{
	struct shale_store *it = open_more(NULL, NULL);

	(void)ctx;
	return shale_delete(it, "base", &why) == -EBUSY ? 0 : 1;
}

/* Whether a process waits for a lock: "1: -> FLOCK ADVISORY WRITE PID ...". */
static bool is_waiting(pid_t pid)
{
	FILE *file = fopen("/proc/locks", "re");
	char line[256];
	bool found = false;
	long waiter;

	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%*d: -> FLOCK %*s %*s %ld", &waiter) ==
				1 &&
			waiter == pid;
	(void)fclose(file);
	return found;
}

static void a_child_made_before_the_lock_is_had_counts(void **state)
{
	struct helper writer, deleter;
	char lock[PATH_MAX];

	(void)state;
	make_layer("base", NULL);
	(void)snprintf(lock, sizeof(lock), "%s", at("store/lock"));
	helper_start(&writer, flock_path, lock);
	helper_begin(&deleter, delete_base_is_refused, NULL);
	for (int i = 0; i < 3000 && !is_waiting(deleter.pid); i++)
		(void)usleep(10000);
	assert_true(is_waiting(deleter.pid));
	make_dir(of_key("k", ""));
	make_dir(of_key("k", "fs"));
	make_dir(of_key("k", "work"));
	make_link(of_key("k", "key.parent"), parent_fact("base"));
	make_link(of_key("k", "key"), "k");
	set_generation(generation() + 2);
	helper_kill(&writer);
	helper_wait(&deleter);
	helper_stop(&deleter);
	assert_true(is_there(of_name("base", "name")));
}

/* Where a writer died, no count outside the lock holds. */
static void children_count_while_the_generation_is_odd(void **state)
{
	uint64_t odd;
	int fd;

	(void)state;
	make_layer("base", NULL);
	make_layer("child", "base");
	reopen();
	odd = generation() + 1;
	fd = open(at("store/lock"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, &odd, sizeof(odd), 0), sizeof(odd));
	(void)close(fd);
	REFUSED(EBUSY, "it has 1 child", shale_delete(store, "base", &why));
	assert_int_equal(generation(), odd);
	MUST(shale_delete(store, "child", &why));
	MUST(shale_delete(store, "base", &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(remove_takes_an_active_with_its_files),
		TEST_IN_STORE(remove_takes_a_view_and_leaves_its_parent),
		TEST_IN_STORE(a_removed_key_can_be_prepared_again),
		TEST_IN_STORE(remove_of_nothing_is_enoent),
		TEST_IN_STORE(remove_never_takes_a_committed_one),
		TEST_IN_STORE(remove_refuses_while_a_live_process_uses_the_key),
		TEST_IN_STORE(a_user_that_comes_by_update_blocks_as_well),
		TEST_IN_STORE(a_dead_user_does_not_block),
		TEST_IN_STORE(for_a_user_without_a_pid_remove_asks_the_kernel),
		TEST_IN_STORE(remove_refuses_while_a_commit_has_the_key),
		TEST_IN_STORE(remove_takes_directories_without_permissions),
		TEST_IN_STORE(remove_follows_no_link),
		TEST_IN_STORE(remove_takes_a_tree_of_5000_levels),
		TEST_IN_STORE(delete_takes_a_committed_one),
		TEST_IN_STORE(a_deleted_name_can_be_committed_again),
		TEST_IN_STORE(delete_of_nothing_is_enoent),
		TEST_IN_STORE(delete_never_takes_an_active_or_a_view),
		TEST_IN_STORE(a_parent_can_not_be_deleted_while_it_has_a_child),
		TEST_IN_STORE(a_child_found_by_a_fresh_handle_counts_too),
		TEST_IN_STORE(a_key_adopted_before_the_lock_is_had_stays),
		TEST_IN_STORE(what_is_to_be_deleted_later_is_left_to_cleanup),
		TEST_IN_STORE(a_child_made_before_the_lock_is_had_counts),
		TEST_IN_STORE(children_count_while_the_generation_is_odd),
		TEST_IN_STORE(a_child_without_its_kind_fact_is_no_child),
		TEST_IN_DIR(a_full_disk_refuses_and_changes_nothing),
		TEST_IN_DIR(a_full_disk_does_not_stop_removal),
	};

	return cmocka_run_group_tests_name("remove", tests, NULL, NULL);
}

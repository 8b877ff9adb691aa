/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale_commit: what becomes of an active, and of one that may not become it.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct shale_opts onto(const char *parent)
{
	return (struct shale_opts){ .size = sizeof(struct shale_opts),
				    .parent = parent };
}

static struct shale_opts labelled(const char *const *labels)
{
	return (struct shale_opts){ .size = sizeof(struct shale_opts),
				    .labels = labels };
}

static void commit_makes_exactly_the_facts_of_a_committed_one(void **state)
{
	const char *const labels[] = { "a", "1", NULL };
	struct shale_opts opts = labelled(labels);

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_file(of_key("k", "fs/file"), "text");
	MUST(shale_commit(store, "n", "k", &opts, &why));
	check_list(of_name("n", ""), "fs name name.labels name.parent usage");
	check_link(of_name("n", "name"), "n");
	check_link(of_name("n", "name.parent"), parent_fact("base"));
	check_link(of_name("n", "name.labels"), "{\"a\":\"1\"}");
	check_list(of_name("n", "fs"), "file");
	check_list(of_name("base", ""), "fs name usage");
	check_list(at("store/active"), "");
	check_list(at("store/staging"), "");
	check_list(at("store/trash"), "");
}

static void commit_records_the_usage_of_the_active(void **state)
{
	struct shale_usage active = { .size = sizeof(active) };
	struct shale_usage committed = { .size = sizeof(committed) };
	char text[64];

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/file"), "text");
	sync();
	MUST(shale_usage(store, "k", &active, &why));
	assert_int_equal(active.inodes, 2); /* with the root directory */
	MUST(shale_commit(store, "n", "k", NULL, &why));
	(void)snprintf(text, sizeof(text), "%llu,%llu",
		       (unsigned long long)active.bytes,
		       (unsigned long long)active.inodes);
	check_link(of_name("n", "usage"), text);
	MUST(shale_usage(store, "n", &committed, &why));
	assert_int_equal(committed.bytes, active.bytes);
	assert_int_equal(committed.inodes, active.inodes);
}

static void the_key_is_free_after_commit(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
	REFUSED(ENOENT, "'k'", shale_exists(store, "k", &why));
	REFUSED(ENOENT, "'k'", shale_commit(store, "m", "k", NULL, &why));
	MUST(shale_prepare(store, "k", "n", NULL, &why));
	assert_int_equal(kind_of("n"), SHALE_KIND_COMMITTED);
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
}

static void labels_of_the_key_are_not_inherited(void **state)
{
	const char *const labels[] = { "a", "1", NULL };
	struct shale_opts opts = labelled(labels);

	(void)state;
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_labels(store, "n", "");
	assert_false(is_there(of_name("n", "name.labels")));
	assert_false(is_there(of_name("n", "key.labels")));
}

static void files_links_and_fifos_are_committed_as_they_are(void **state)
{
	struct stat a, b;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/file"), "text");
	make_link(of_key("k", "fs/link"), "/etc/passwd");
	assert_int_equal(mkfifo(of_key("k", "fs/fifo"), 0600), 0);
	assert_int_equal(link(of_key("k", "fs/file"), of_key("k", "fs/hard")),
			 0);
	assert_int_equal(chmod(of_key("k", "fs/file"), 04711), 0);
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_list(of_name("n", "fs"), "fifo file hard link");
	check_link(of_name("n", "fs/link"), "/etc/passwd");
	assert_int_equal(lstat(of_name("n", "fs/file"), &a), 0);
	assert_int_equal(lstat(of_name("n", "fs/hard"), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_mode, S_IFREG | 04711);
}

static void commit_of_an_unknown_key_is_enoent(void **state)
{
	(void)state;
	REFUSED(ENOENT, "'k'", shale_commit(store, "n", "k", NULL, &why));
}

static void commit_refuses_a_view(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_view(store, "v", "base", NULL, &why));
	MUST(shale_view(store, "w", NULL, NULL, &why));
	REFUSED(EBADFD, "'v'", shale_commit(store, "n", "v", NULL, &why));
	REFUSED(EBADFD, "'w'", shale_commit(store, "n", "w", NULL, &why));
}

static void commit_refuses_a_committed_one(void **state)
{
	(void)state;
	make_layer("base", NULL);
	REFUSED(EBADFD, "'base'", shale_commit(store, "n", "base", NULL, &why));
}

static void commit_refuses_a_taken_name(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_prepare(store, "a", NULL, NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	REFUSED(EEXIST, "'base'", shale_commit(store, "base", "k", NULL, &why));
	REFUSED(EEXIST, "'a'", shale_commit(store, "a", "k", NULL, &why));
	REFUSED(EEXIST, "'v'", shale_commit(store, "v", "k", NULL, &why));
}

static void commit_refuses_the_keys_own_name(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(EEXIST, "'k'", shale_commit(store, "k", "k", NULL, &why));
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
}

static void commit_gives_a_parent_to_one_that_has_none(void **state)
{
	struct shale_opts opts = onto("base");
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_commit(store, "n", "k", &opts, &why));
	check_link(of_name("n", "name.parent"), parent_fact("base"));
	look("n", &seen);
	assert_string_equal(seen.parent, "base");
	REFUSED(EBUSY, "'base'", shale_delete(store, "base", &why));
	MUST(shale_view(store, "v", "n", NULL, &why));
	check_mount(store, "v", "overlay overlay lowerdir=%s:%s " DEFAULTS,
		    of_name("n", "fs"), of_name("base", "fs"));
}

static void commit_takes_the_parent_that_it_has_already(void **state)
{
	struct shale_opts opts = onto("base");

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_commit(store, "n", "k", &opts, &why));
	check_link(of_name("n", "name.parent"), parent_fact("base"));
}

static void commit_refuses_another_parent(void **state)
{
	struct shale_opts opts = onto("other");

	(void)state;
	make_layer("base", NULL);
	make_layer("other", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	REFUSED(EINVAL, "'k'", shale_commit(store, "n", "k", &opts, &why));
}

static void commit_refuses_an_unknown_parent(void **state)
{
	struct shale_opts opts = onto("p"), self = onto("n");

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(ENOENT, "'p'", shale_commit(store, "n", "k", &opts, &why));
	REFUSED(ENOENT, "'n'", shale_commit(store, "n", "k", &self, &why));
}

static void commit_refuses_a_parent_that_is_not_committed(void **state)
{
	struct shale_opts opts = onto("a"), self = onto("k"), view = onto("v");

	(void)state;
	MUST(shale_prepare(store, "a", NULL, NULL, &why));
	MUST(shale_view(store, "v", NULL, NULL, &why));
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(EBADFD, "'a'", shale_commit(store, "n", "k", &opts, &why));
	REFUSED(EBADFD, "'v'", shale_commit(store, "n", "k", &view, &why));
	REFUSED(EBADFD, "'k'", shale_commit(store, "n", "k", &self, &why));
}

static void an_empty_parent_leaves_it_as_it_is(void **state)
{
	struct shale_opts opts = onto("");
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_commit(store, "n", "k", &opts, &why));
	look("n", &seen);
	assert_string_equal(seen.parent, "base");
}

static void commit_refuses_bad_labels(void **state)
{
	const char *const labels[] = { "a", "\xff", NULL };
	struct shale_opts opts = labelled(labels);

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	REFUSED(EINVAL, "", shale_commit(store, "n", "k", &opts, &why));
}

static void leftovers_of_a_failed_commit_are_not_taken_over(void **state)
{
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_link(of_key("k", "name"), "old");
	make_link(of_key("k", "name.parent"), parent_fact("base"));
	make_link(of_key("k", "name.labels"), "{\"old\":\"1\"}");
	make_link(of_key("k", "usage"), "1,1");
	reopen();
	look("k", &seen);
	assert_string_equal(seen.name, "k");
	assert_string_equal(seen.parent, "");
	check_labels(store, "k", "");
	REFUSED(ENOENT, "'old'", shale_exists(store, "old", &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_list(of_name("n", ""), "fs name usage");
	check_link(of_name("n", "name"), "n");
}

static void the_writing_room_of_a_key_is_no_part_of_the_layer(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_dir(of_key("k", "work/work"));
	make_file(of_key("k", "work/work/file"), "");
	assert_int_equal(chmod(of_key("k", "work/work"), 0), 0);
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_list(of_name("n", ""), "fs name name.parent usage");
}

static void commit_refuses_while_a_live_process_uses_the_key(void **state)
{
	const char *const labels[] = { SHALE_LABEL_USER,
				       user_text(getpid(), "c1"), NULL };
	const char *const fields[] = { "labels." SHALE_LABEL_USER, NULL };
	struct shale_opts opts = labelled(labels);

	(void)state;
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	REFUSED(EBUSY, "'k'", shale_in_use(store, "k", &why));
	MUST(shale_update(store, "k", NULL, fields, &why));
	MUST(shale_in_use(store, "k", &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

static int nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

static void a_user_label_of_a_dead_process_does_not_block(void **state)
{
	const char *text;
	struct helper helper;

	(void)state;
	helper_start(&helper, nothing, NULL);
	text = user_text(helper.pid, "c1");
	{
		const char *const labels[] = { SHALE_LABEL_USER, text, NULL };
		struct shale_opts opts = labelled(labels);

		MUST(shale_prepare(store, "k", NULL, &opts, &why));
	}
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	helper_stop(&helper);
	MUST(shale_in_use(store, "k", &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

static void a_reused_pid_does_not_block(void **state)
{
	char text[256];
	const char *const labels[] = { SHALE_LABEL_USER, text, NULL };
	struct shale_opts opts = labelled(labels);
	unsigned long long start;
	char boot[64];

	(void)state;
	assert_int_equal(
		sscanf(user_text(getpid(), "c"), "%*d %llu %63s", &start, boot),
		2);
	(void)snprintf(text, sizeof(text), "%d %llu %s c", (int)getpid(),
		       start + 1, boot);
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

static void a_process_of_another_boot_does_not_block(void **state)
{
	char text[256];
	const char *const labels[] = { SHALE_LABEL_USER, text, NULL };
	struct shale_opts opts = labelled(labels);
	unsigned long long start;

	(void)state;
	assert_int_equal(sscanf(user_text(getpid(), "c"), "%*d %llu", &start),
			 1);
	(void)snprintf(text, sizeof(text),
		       "%d %llu 00000000-0000-4000-8000-000000000000 c",
		       (int)getpid(), start);
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

static void commit_refuses_while_another_commit_has_the_key(void **state)
{
	char path[PATH_MAX];
	struct helper helper;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	(void)snprintf(path, sizeof(path), "%s", of_key("k", ""));
	helper_start(&helper, flock_path, path);
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	helper_stop(&helper);
	MUST(shale_commit(store, "n", "k", NULL, &why));
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

static void commit_refuses_a_mounted_overlay(void **state)
{
	(void)state;
	needs_mounts();
	make_dir(at("m"));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	if (mount_at(at("m")) < 0)
		skip_because("needs an overlay");
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	REFUSED(EBUSY, "'k'", shale_in_use(store, "k", &why));
	make_file(at("m/written"), "late");
	assert_int_equal(umount(at("m")), 0);
	MUST(shale_in_use(store, "k", &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
	check_list(of_name("n", "fs"), "written");
}

/* Which leaves no trace in the work directory that a mount of ours has. */
static void commit_refuses_one_with_another_work_directory(void **state)
{
	char options[3 * PATH_MAX];

	(void)state;
	needs_mounts();
	make_dir(at("m"));
	make_dir(at("other"));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(options, sizeof(options),
		       "workdir=%s,upperdir=%s,lowerdir=%s,index=off",
		       at("other"), of_key("k", "fs"), of_name("base", "fs"));
	if (mount("overlay", at("m"), "overlay", 0, options) < 0)
		skip_because("needs an overlay");
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	assert_int_equal(umount(at("m")), 0);
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

static int mount_elsewhere(void *ctx)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount_at(ctx);
}

static void commit_refuses_an_overlay_in_another_namespace(void **state)
{
	struct helper helper;
	char dir[PATH_MAX];

	(void)state;
	needs_mounts();
	make_dir(at("m"));
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(dir, sizeof(dir), "%s", at("m"));
	helper_start(&helper, mount_elsewhere, dir);
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	helper_stop(&helper);
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

static void a_probe_leaves_no_trace_in_the_layer(void **state)
{
	char *before, *after;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	before = dump();
	MUST(shale_in_use(store, "k", &why));
	after = dump();
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void check_of_a_committed_one_is_ebadfd(void **state)
{
	(void)state;
	make_layer("base", NULL);
	REFUSED(EBADFD, "'base'", shale_in_use(store, "base", &why));
	REFUSED(ENOENT, "'k'", shale_in_use(store, "k", &why));
}

static void created_is_the_time_of_the_commit(void **state)
{
	struct seen active, committed;

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	look("k", &active);
	(void)usleep(30000);
	MUST(shale_commit(store, "n", "k", NULL, &why));
	look("n", &committed);
	assert_true(committed.created_ns > active.created_ns);
	assert_int_equal(committed.created_ns, mtime_ns(of_name("n", "name")));
}

static int commit_k_as_n_is_refused(void *ctx)
{
	struct shale_store *it = open_more(NULL, NULL);

	(void)ctx;
	return shale_commit(it, "n", "k", NULL, &why) == -EEXIST ? 0 : 1;
}

static void a_name_taken_before_the_lock_is_had_is_refused(void **state)
{
	struct helper writer, committer;
	char lock[PATH_MAX];

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	(void)snprintf(lock, sizeof(lock), "%s", at("store/lock"));
	helper_start(&writer, flock_path, lock);
	helper_begin(&committer, commit_k_as_n_is_refused, NULL);
	/* Its last fact is written: it has looked, and waits for the lock. */
	for (int i = 0; i < 3000 && !is_there(of_key("k", "name")); i++)
		(void)usleep(10000);
	make_dir(of_name("n", ""));
	make_dir(of_name("n", "fs"));
	make_link(of_name("n", "usage"), "4096,1");
	make_link(of_name("n", "name"), "n");
	helper_kill(&writer);
	helper_wait(&committer);
	helper_stop(&committer);
	check_list(of_key("k", ""), "fs key");
	check_list(of_name("n", ""), "fs name usage");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(
			commit_makes_exactly_the_facts_of_a_committed_one),
		TEST_IN_STORE(commit_records_the_usage_of_the_active),
		TEST_IN_STORE(the_key_is_free_after_commit),
		TEST_IN_STORE(labels_of_the_key_are_not_inherited),
		TEST_IN_STORE(files_links_and_fifos_are_committed_as_they_are),
		TEST_IN_STORE(commit_of_an_unknown_key_is_enoent),
		TEST_IN_STORE(commit_refuses_a_view),
		TEST_IN_STORE(commit_refuses_a_committed_one),
		TEST_IN_STORE(commit_refuses_a_taken_name),
		TEST_IN_STORE(commit_refuses_the_keys_own_name),
		TEST_IN_STORE(commit_gives_a_parent_to_one_that_has_none),
		TEST_IN_STORE(commit_takes_the_parent_that_it_has_already),
		TEST_IN_STORE(commit_refuses_another_parent),
		TEST_IN_STORE(commit_refuses_an_unknown_parent),
		TEST_IN_STORE(commit_refuses_a_parent_that_is_not_committed),
		TEST_IN_STORE(an_empty_parent_leaves_it_as_it_is),
		TEST_IN_STORE(commit_refuses_bad_labels),
		TEST_IN_STORE(leftovers_of_a_failed_commit_are_not_taken_over),
		TEST_IN_STORE(
			the_writing_room_of_a_key_is_no_part_of_the_layer),
		TEST_IN_STORE(commit_refuses_while_a_live_process_uses_the_key),
		TEST_IN_STORE(a_user_label_of_a_dead_process_does_not_block),
		TEST_IN_STORE(a_reused_pid_does_not_block),
		TEST_IN_STORE(a_process_of_another_boot_does_not_block),
		TEST_IN_STORE(commit_refuses_while_another_commit_has_the_key),
		TEST_IN_STORE(commit_refuses_a_mounted_overlay),
		TEST_IN_STORE(commit_refuses_one_with_another_work_directory),
		TEST_IN_STORE(commit_refuses_an_overlay_in_another_namespace),
		TEST_IN_STORE(a_probe_leaves_no_trace_in_the_layer),
		TEST_IN_STORE(check_of_a_committed_one_is_ebadfd),
		TEST_IN_STORE(created_is_the_time_of_the_commit),
		TEST_IN_STORE(a_name_taken_before_the_lock_is_had_is_refused),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}

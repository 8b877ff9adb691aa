/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale_commit with SHALE_COMMIT_KEEP: a copy is committed, the key goes on.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "compare.h"
#include "oddtree.h"

static const struct shale_opts keeping = { .size = sizeof(keeping),
					   .flags = SHALE_COMMIT_KEEP };
static const struct shale_opts freezing = {
	.size = sizeof(freezing),
	.flags = SHALE_COMMIT_KEEP | SHALE_COMMIT_FREEZE,
};

static int compare(const char *a, const char *b)
{
	static const struct compare_options all = { .sparse = true };
	int a_fd = open(a, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int b_fd = open(b, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = compare_trees(a_fd, b_fd, &all, &why);

	(void)close(a_fd);
	(void)close(b_fd);
	return r;
}

static void keep_commits_a_copy_and_leaves_the_key(void **state)
{
	struct seen before, after;
	struct stat key, copy;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_file(of_key("k", "fs/file"), "text");
	look("k", &before);
	MUST(shale_commit(store, "n", "k", &keeping, &why));
	check_list(of_name("n", ""), "fs name name.parent usage");
	check_link(of_name("n", "name"), "n");
	check_link(of_name("n", "name.parent"), parent_fact("base"));
	check_list(of_key("k", ""), "fs key key.parent work");
	check_list(at("store/staging"), "");
	look("k", &after);
	assert_int_equal(after.kind, SHALE_KIND_ACTIVE);
	assert_int_equal(after.created_ns, before.created_ns);
	assert_int_equal(kind_of("n"), SHALE_KIND_COMMITTED);
	assert_int_equal(lstat(of_key("k", "fs/file"), &key), 0);
	assert_int_equal(lstat(of_name("n", "fs/file"), &copy), 0);
	assert_int_not_equal(key.st_ino, copy.st_ino);
	MUST(compare(of_key("k", "fs"), of_name("n", "fs")));
	MUST(shale_commit(store, "m", "k", NULL, &why));
	MUST(shale_check(store, 0, NULL, NULL, &why));
}

static void keep_keeps_all_that_an_upper_can_hold(void **state)
{
	(void)state;
	needs_root();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(oddtree_make(of_key("k", "fs"), true), 0);
	MUST(shale_commit(store, "n", "k", &keeping, &why));
	MUST(compare(of_key("k", "fs"), of_name("n", "fs")));
}

static void keep_records_the_usage_of_the_copy(void **state)
{
	struct shale_usage key = { .size = sizeof(key) };
	struct shale_usage copy = { .size = sizeof(copy) };

	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/file"), "text");
	MUST(shale_commit(store, "n", "k", &keeping, &why));
	MUST(shale_usage(store, "k", &key, &why));
	MUST(shale_usage(store, "n", &copy, &why));
	assert_int_equal(copy.inodes, key.inodes);
	assert_int_equal(copy.inodes, 2);
}

static void a_kept_copy_is_a_child_of_its_parent(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_commit(store, "n", "k", &keeping, &why));
	MUST(shale_remove(store, "k", &why));
	REFUSED(EBUSY, "1 child", shale_delete(store, "base", &why));
	MUST(shale_delete(store, "n", &why));
	MUST(shale_delete(store, "base", &why));
}

static void a_parent_given_with_keep_is_that_of_the_copy_alone(void **state)
{
	struct shale_opts opts = keeping;
	struct seen seen;

	(void)state;
	make_layer("base", NULL);
	make_layer("other", NULL);
	opts.parent = "base";
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	MUST(shale_commit(store, "n", "k", &opts, &why));
	look("n", &seen);
	assert_string_equal(seen.parent, "base");
	look("k", &seen);
	assert_string_equal(seen.parent, "");
	MUST(shale_prepare(store, "l", "other", NULL, &why));
	REFUSED(EINVAL, "its parent is 'other'",
		shale_commit(store, "m", "l", &opts, &why));
}

static void keep_refuses_what_commit_refuses(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	MUST(shale_view(store, "v", "base", NULL, &why));
	REFUSED(ENOENT, "'x'", shale_commit(store, "n", "x", &keeping, &why));
	REFUSED(EBADFD, "'v'", shale_commit(store, "n", "v", &keeping, &why));
	REFUSED(EBADFD, "'base'",
		shale_commit(store, "n", "base", &keeping, &why));
	REFUSED(EEXIST, "'base'",
		shale_commit(store, "base", "k", &keeping, &why));
	REFUSED(EEXIST, "'k'", shale_commit(store, "k", "k", &keeping, &why));
}

static void flags_that_are_not_known_are_refused(void **state)
{
	struct shale_opts opts = keeping;

	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	REFUSED(EINVAL, "unknown flags 0x1",
		shale_prepare(store, "l", "base", &opts, &why));
	REFUSED(EINVAL, "unknown flags 0x1",
		shale_view(store, "l", "base", &opts, &why));
	opts.flags = SHALE_COMMIT_KEEP | 1u << 31;
	REFUSED(EINVAL, "unknown flags 0x80000000",
		shale_commit(store, "n", "k", &opts, &why));
	opts.flags = SHALE_COMMIT_FREEZE;
	REFUSED(EINVAL, "freeze goes with keep alone",
		shale_commit(store, "n", "k", &opts, &why));
}

static void keep_works_while_the_overlay_is_mounted_and_used(void **state)
{
	const char *labels[] = { "org.shale.user", user_text(getpid(), "c"),
				 NULL };
	const char *const fields[] = { "labels", NULL };
	char options[3 * PATH_MAX];

	(void)state;
	needs_mounts();
	assert_int_equal(mount("none", at("store/.."), "tmpfs", 0, NULL), 0);
	reopen();
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_dir(at("mnt"));
	(void)snprintf(options, sizeof(options),
		       "lowerdir=%s,upperdir=%s,workdir=%s,index=off",
		       of_name("base", "fs"), of_key("k", "fs"),
		       of_key("k", "work"));
	assert_int_equal(mount("none", at("mnt"), "overlay", 0, options), 0);
	MUST(shale_update(store, "k", labels, fields, &why));
	make_file(at("mnt/new"), "new");
	delete_path(at("mnt/file"));
	REFUSED(EBUSY, "'k'", shale_commit(store, "n", "k", NULL, &why));
	MUST(shale_commit(store, "n", "k", &keeping, &why));
	MUST(compare(of_key("k", "fs"), of_name("n", "fs")));
	make_file(at("mnt/more"), "more");
	MUST(shale_commit(store, "m", "k", &keeping, &why));
	check_list(of_name("n", "fs"), "file new");
	check_list(of_name("m", "fs"), "file more new");
	assert_int_equal(umount(at("mnt")), 0);
	assert_int_equal(umount2(here, MNT_DETACH), 0);
}

static void an_upper_left_by_a_volatile_mount_is_not_kept(void **state)
{
	(void)state;
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	make_dir(of_key("k", "work/work"));
	make_dir(of_key("k", "work/work/incompat"));
	make_dir(of_key("k", "work/work/incompat/volatile"));
	REFUSED(EBADFD, "volatile",
		shale_commit(store, "n", "k", &keeping, &why));
}

/* ---- what happens meanwhile ---- */

struct meanwhile {
	int (*act)(struct shale_store *other);
	struct shale_store *other;
	int asked, r;
};

static int at_second(void *ctx)
{
	struct meanwhile *m = ctx;

	if (++m->asked == 2)
		m->r = m->act(m->other);
	return m->asked >= 2 && m->r == -ECANCELED;
}

static int keep_and(int (*act)(struct shale_store *other),
		    const struct shale_opts *opts)
{
	struct meanwhile m = { .act = act, .other = store };
	const struct shale_host host = { .size = sizeof(host),
					 .abi = SHALE_PLUGIN_ABI,
					 .ctx = &m,
					 .cancelled = at_second };
	struct shale_store *observed = open_more(&host, NULL);
	int r;

	for (int i = 0; i < 5; i++)
		make_file(of_key("k", i % 2 ? "fs/a" : "fs/b"), "text");
	why = (struct shale_error)SHALE_ERROR_INIT;
	r = shale_commit(observed, "n", "k", opts, &why);
	assert_true(m.asked >= 2);
	if (m.r != -ECANCELED)
		assert_int_equal(m.r, 0);
	check_list(at("store/staging"), "");
	check_list(at("store/trash"), "");
	return r;
}

static int remove_it(struct shale_store *other)
{
	return shale_remove(other, "k", NULL);
}

static int replace_it(struct shale_store *other)
{
	int r = shale_remove(other, "k", NULL);

	return r < 0 ? r : shale_prepare(other, "k", NULL, NULL, NULL);
}

static int commit_it(struct shale_store *other)
{
	return shale_commit(other, "m", "k", NULL, NULL);
}

static int keep_it_too(struct shale_store *other)
{
	return shale_commit(other, "m", "k", &keeping, NULL);
}

static int take_its_name(struct shale_store *other)
{
	return shale_prepare(other, "n", NULL, NULL, NULL);
}

static int cancel_it(struct shale_store *other)
{
	(void)other;
	return -ECANCELED;
}

static void a_key_that_goes_away_is_not_kept(void **state)
{
	static int (*const acts[])(
		struct shale_store *) = { remove_it, replace_it, commit_it };

	(void)state;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		MUST(shale_prepare(store, "k", NULL, NULL, &why));
		assert_int_equal(keep_and(acts[i], &keeping), -ENOENT);
		assert_non_null(strstr(why.msg, "'k'"));
		REFUSED(ENOENT, "'n'", shale_exists(store, "n", &why));
		(void)shale_remove(store, "k", NULL);
	}
}

static void two_may_keep_at_once(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(keep_and(keep_it_too, &keeping), 0);
	check_visits(shale_walk, "m n");
	MUST(compare(of_name("m", "fs"), of_name("n", "fs")));
}

static void a_name_taken_meanwhile_is_eexist(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(keep_and(take_its_name, &keeping), -EEXIST);
	assert_int_equal(kind_of("n"), SHALE_KIND_ACTIVE);
}

static void keep_stops_when_the_host_says_so(void **state)
{
	(void)state;
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	assert_int_equal(keep_and(cancel_it, &keeping), -ECANCELED);
	check_visits(shale_active, "k");
	check_visits(shale_walk, "");
}

static void no_room_for_the_copy_changes_nothing(void **state)
{
	(void)state;
	needs_mounts();
	assert_int_equal(mount("none", here, "tmpfs", 0, "size=1m"), 0);
	reopen();
	MUST(shale_prepare(store, "k", NULL, NULL, &why));
	make_file(of_key("k", "fs/large"), "");
	assert_int_equal(truncate(of_key("k", "fs/large"), 0), 0);
	{
		static char data[700 * 1024];
		int fd = open(of_key("k", "fs/large"), O_WRONLY | O_CLOEXEC);

		(void)memset(data, 'x', sizeof(data));
		assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
		(void)close(fd);
	}
	REFUSED(ENOSPC, "/fs/large'",
		shale_commit(store, "n", "k", &keeping, &why));
	assert_int_equal(umount2(here, MNT_DETACH), 0);
}

/* ---- freezing ---- */

static char cgroup[PATH_MAX];
static const char *state_file, *frozen;

static pid_t contained;

/* Any number of times; also after a test that failed. */
static void end_in_cgroup(void)
{
	char path[PATH_MAX + 64];

	if (contained <= 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", cgroup, state_file);
	make_file(path, *frozen == 'F' ? "THAWED" : "0");
	(void)kill(contained, SIGKILL);
	(void)waitpid(contained, NULL, 0);
	contained = 0;
	for (int i = 0; rmdir(cgroup) < 0 && i < 1000; i++)
		(void)usleep(10000);
}

static int end_all(void **state)
{
	end_in_cgroup();
	return teardown(state);
}

/* A cgroup of our own with a process in it, by whichever freezer is here. */
static pid_t start_in_cgroup(void)
{
	static const char *const roots[][3] = {
		{ "/sys/fs/cgroup/freezer", "freezer.state", "FROZEN" },
		{ "/sys/fs/cgroup", "cgroup.freeze", "1" },
		{ "/sys/fs/cgroup/unified", "cgroup.freeze", "1" },
	};
	char text[32], path[PATH_MAX + 64];
	pid_t pid;

	end_in_cgroup();
	pid = fork();
	if (pid == 0)
		for (;;)
			(void)pause();
	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		(void)snprintf(cgroup, sizeof(cgroup), "%s/shale-test-%d",
			       roots[i][0], (int)getpid());
		if (mkdir(cgroup, 0755) < 0)
			continue;
		state_file = roots[i][1];
		frozen = roots[i][2];
		(void)snprintf(path, sizeof(path), "%s/%s", cgroup, state_file);
		if (is_there(path)) {
			(void)snprintf(path, sizeof(path), "%s/cgroup.procs",
				       cgroup);
			contained = pid;
			make_file(path, text);
			return pid;
		}
		(void)rmdir(cgroup);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	skip_because("needs a cgroup freezer");
}

static bool is_frozen(void)
{
	char path[PATH_MAX + 64], text[32] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", cgroup, state_file);
	file = fopen(path, "re");
	(void)!fgets(text, sizeof(text), file);
	(void)fclose(file);
	return strncmp(text, frozen, strlen(frozen)) == 0;
}

static int see_it_frozen(struct shale_store *other)
{
	(void)other;
	return is_frozen() ? 0 : -EPROTO;
}

static int die_while_frozen(struct shale_store *other)
{
	(void)other;
	if (is_frozen())
		(void)kill(getpid(), SIGKILL);
	return -EPROTO;
}

static void prepare_used_by(pid_t pid)
{
	const char *labels[] = { "org.shale.user", user_text(pid, "c"), NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	MUST(shale_prepare(store, "k", NULL, &opts, &why));
}

static void freeze_stops_the_container_and_thaws_it(void **state)
{
	pid_t pid;

	(void)state;
	needs_root();
	pid = start_in_cgroup();
	prepare_used_by(pid);
	assert_int_equal(keep_and(see_it_frozen, &freezing), 0);
	assert_false(is_frozen());
	MUST(shale_delete(store, "n", &why));
	assert_int_equal(keep_and(cancel_it, &freezing), -ECANCELED);
	assert_false(is_frozen());
	/* No child is left, neither of ours to wait for nor of the library. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), 0);
	end_in_cgroup();
	REFUSED(EBADFD, "no live container",
		shale_commit(store, "n", "k", &freezing, &why));
}

static int begun[2], go_on[2];

static int say_it_is_frozen_and_wait(struct shale_store *other)
{
	char byte = 'x';

	(void)other;
	return is_frozen() && write(begun[1], &byte, 1) == 1 &&
			       read(go_on[0], &byte, 1) == 1
		       ? 0
		       : -EPROTO;
}

static int keep_first(void *ctx)
{
	struct meanwhile m = { .act = say_it_is_frozen_and_wait };
	const struct shale_host host = { .size = sizeof(host),
					 .abi = SHALE_PLUGIN_ABI,
					 .ctx = &m,
					 .cancelled = at_second };

	(void)ctx;
	return shale_commit(open_more(&host, NULL), "m", "k", &freezing, &why);
}

static struct helper first;

static int let_the_first_end(struct shale_store *other)
{
	(void)other;
	if (!is_frozen() || write(go_on[1], "x", 1) != 1)
		return -EPROTO;
	helper_wait(&first);
	return is_frozen() ? 0 : -EPROTO;
}

static void who_ends_first_thaws_it_for_nobody_else(void **state)
{
	char byte;
	pid_t pid;

	(void)state;
	needs_root();
	pid = start_in_cgroup();
	prepare_used_by(pid);
	make_file(of_key("k", "fs/a"), "");
	make_file(of_key("k", "fs/b"), "");
	assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go_on, O_CLOEXEC), 0);
	helper_begin(&first, keep_first, NULL);
	assert_int_equal(read(begun[0], &byte, 1), 1);
	assert_int_equal(keep_and(let_the_first_end, &freezing), 0);
	assert_false(is_frozen());
	helper_stop(&first);
	end_in_cgroup();
	check_visits(shale_walk, "m n");
	for (int i = 0; i < 2; i++) {
		(void)close(begun[i]);
		(void)close(go_on[i]);
	}
}

/* Whom the file lets read it can't make it stay frozen. */
static void a_reader_of_the_state_can_not_keep_it_frozen(void **state)
{
	struct flock lock = { .l_type = F_RDLCK,
			      .l_whence = SEEK_SET,
			      .l_start = 1,
			      .l_len = 1 };
	char path[PATH_MAX + 64];
	int fds[2];
	pid_t pid;

	(void)state;
	needs_root();
	pid = start_in_cgroup();
	prepare_used_by(pid);
	(void)snprintf(path, sizeof(path), "%s/%s", cgroup, state_file);
	fds[0] = open(path, O_RDONLY | O_CLOEXEC);
	fds[1] = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fcntl(fds[0], F_OFD_SETLK, &lock), 0);
	assert_int_equal(flock(fds[0], LOCK_SH), 0);
	assert_int_equal(flock(fds[1], LOCK_EX), 0);
	assert_int_equal(keep_and(see_it_frozen, &freezing), 0);
	assert_false(is_frozen());
	(void)close(fds[0]);
	(void)close(fds[1]);
	end_in_cgroup();
}

static void what_somebody_else_has_frozen_stays_so(void **state)
{
	char path[PATH_MAX + 64];
	pid_t pid;

	(void)state;
	needs_root();
	pid = start_in_cgroup();
	prepare_used_by(pid);
	(void)snprintf(path, sizeof(path), "%s/%s", cgroup, state_file);
	make_file(path, frozen);
	for (int i = 0; !is_frozen() && i < 1000; i++)
		(void)usleep(10000);
	assert_int_equal(keep_and(see_it_frozen, &freezing), 0);
	assert_true(is_frozen());
	make_file(path, *frozen == 'F' ? "THAWED" : "0");
	end_in_cgroup();
}

static int keep_and_die(void *ctx)
{
	(void)ctx;
	store = open_more(NULL, NULL);
	return keep_and(die_while_frozen, &freezing);
}

static void a_container_is_thawed_when_we_are_killed(void **state)
{
	uint64_t removed = 0;
	pid_t pid;

	(void)state;
	needs_root();
	pid = start_in_cgroup();
	prepare_used_by(pid);
	assert_int_equal(in_child(keep_and_die, NULL), 128);
	for (int i = 0; is_frozen() && i < 1000; i++)
		(void)usleep(10000);
	assert_false(is_frozen());
	end_in_cgroup();
	assert_int_equal(kind_of("k"), SHALE_KIND_ACTIVE);
	MUST(shale_cleanup(store, &removed, &why));
	assert_int_equal(removed, 1);
	check_list(at("store/staging"), "");
}

/* In memory that our children share. */
static pid_t *forked;

/* With all that we have open, as any thread of a host may do. */
static void fork_idle(void)
{
	const pid_t pid = fork();

	if (pid == 0) {
		(void)alarm(30); /* nor longer than whoever waits in vain */
		for (;;)
			(void)pause();
	}
	*forked = pid;
}

static void end_forked(void)
{
	if (*forked > 0)
		(void)kill(*forked, SIGKILL);
	(void)waitpid(*forked, NULL, 0);
	*forked = 0;
}

static int fork_while_frozen(struct shale_store *other)
{
	fork_idle();
	return see_it_frozen(other);
}

static int fork_and_die(struct shale_store *other)
{
	fork_idle();
	return die_while_frozen(other);
}

static int keep_fork_and_die(void *ctx)
{
	(void)ctx;
	store = open_more(NULL, NULL);
	return keep_and(fork_and_die, &freezing);
}

static void who_was_forked_meanwhile_keeps_nothing_frozen(void **state)
{
	pid_t pid;

	(void)state;
	needs_root();
	forked = mmap(NULL, sizeof(*forked), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(forked, MAP_FAILED);
	pid = start_in_cgroup();
	prepare_used_by(pid);
	assert_int_equal(keep_and(fork_while_frozen, &freezing), 0);
	assert_false(is_frozen());
	assert_int_equal(waitpid(*forked, NULL, WNOHANG), 0); /* not for it */
	end_forked();
	MUST(shale_delete(store, "n", &why));
	assert_int_equal(in_child(keep_fork_and_die, NULL), 128);
	for (int i = 0; is_frozen() && i < 500; i++)
		(void)usleep(10000);
	end_forked();
	assert_false(is_frozen());
	end_in_cgroup();
	(void)munmap(forked, sizeof(*forked));
}

static void a_process_without_a_cgroup_of_its_own_is_not_frozen(void **state)
{
	(void)state;
	prepare_used_by(getpid());
	REFUSED(EBADFD, "can't freeze",
		shale_commit(store, "n", "k", &freezing, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(keep_commits_a_copy_and_leaves_the_key),
		TEST_IN_STORE(keep_keeps_all_that_an_upper_can_hold),
		TEST_IN_STORE(keep_records_the_usage_of_the_copy),
		TEST_IN_STORE(a_kept_copy_is_a_child_of_its_parent),
		TEST_IN_STORE(
			a_parent_given_with_keep_is_that_of_the_copy_alone),
		TEST_IN_STORE(keep_refuses_what_commit_refuses),
		TEST_IN_STORE(flags_that_are_not_known_are_refused),
		TEST_IN_STORE(keep_works_while_the_overlay_is_mounted_and_used),
		TEST_IN_STORE(an_upper_left_by_a_volatile_mount_is_not_kept),
		TEST_IN_STORE(a_key_that_goes_away_is_not_kept),
		TEST_IN_STORE(two_may_keep_at_once),
		TEST_IN_STORE(a_name_taken_meanwhile_is_eexist),
		TEST_IN_STORE(keep_stops_when_the_host_says_so),
		TEST_IN_STORE(no_room_for_the_copy_changes_nothing),
		TEST_IN_STORE(freeze_stops_the_container_and_thaws_it),
		TEST_IN_STORE(who_ends_first_thaws_it_for_nobody_else),
		TEST_IN_STORE(a_reader_of_the_state_can_not_keep_it_frozen),
		TEST_IN_STORE(what_somebody_else_has_frozen_stays_so),
		TEST_IN_STORE(a_container_is_thawed_when_we_are_killed),
		TEST_IN_STORE(who_was_forked_meanwhile_keeps_nothing_frozen),
		TEST_IN_STORE(
			a_process_without_a_cgroup_of_its_own_is_not_frozen),
	};

	return cmocka_run_group_tests_name("keep", tests, NULL, end_all);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/fs: walking and deleting trees that somebody else made, and opening
 * paths that somebody else wrote.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"

#define DEEP 5000

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fail_msg("open %s: %s", path, strerror(errno));
	return fd;
}

/* DEEP directories, each in the one before, and a file in the last. */
static void make_deep_tree(const char *path)
{
	int fd, next;

	make_dir(path);
	fd = open_dir(path);
	for (int i = 0; i < DEEP; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	next = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(next >= 0);
	(void)close(next);
	(void)close(fd);
}

/* Files that the process may hold open; the old limit comes back. */
static struct rlimit limit_files(rlim_t soft)
{
	struct rlimit old, limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = (struct rlimit){ soft, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return old;
}

struct tally {
	int dirs, others, without_stat, stop_at;
	char order[256];
};

static int count_entry(void *ctx, const struct fs_entry *entry)
{
	struct tally *tally = ctx;

	if (!entry->st)
		tally->without_stat++;
	else if (S_ISDIR(entry->st->st_mode))
		tally->dirs++;
	else
		tally->others++;
	if (strlen(tally->order) + strlen(entry->name) + 2 <
	    sizeof(tally->order)) {
		(void)strcat(tally->order, entry->name);
		(void)strcat(tally->order, " ");
	}
	return tally->stop_at && tally->dirs + tally->others == tally->stop_at
		       ? 42
		       : 0;
}

static struct tally walk(const char *path)
{
	struct tally tally = { 0 };
	int fd = open_dir(path);

	assert_int_equal(fs_walk(fd, count_entry, &tally), 0);
	assert_int_equal(tally.without_stat, 0);
	(void)close(fd);
	return tally;
}

static void walk_visits_all_but_the_root(void **state)
{
	struct tally tally;

	(void)state;
	make_dir(at("t"));
	tally = walk(at("t"));
	assert_int_equal(tally.dirs + tally.others, 0);
	make_dir(at("t/a"));
	make_file(at("t/a/f"), "");
	make_dir(at("t/a/empty"));
	make_link(at("t/link"), "a");
	make_link(at("t/dangling"), "nowhere");
	assert_int_equal(mkfifo(at("t/fifo"), 0600), 0);
	tally = walk(at("t"));
	assert_int_equal(tally.dirs, 2);
	assert_int_equal(tally.others, 4);
}

static void walk_visits_a_directory_after_what_is_in_it(void **state)
{
	(void)state;
	make_dir(at("t"));
	make_dir(at("t/1"));
	make_dir(at("t/1/2"));
	make_file(at("t/1/2/3"), "");
	assert_string_equal(walk(at("t")).order, "3 2 1 ");
}

static void walk_follows_no_link(void **state)
{
	struct tally tally;

	(void)state;
	make_dir(at("outside"));
	make_file(at("outside/f"), "");
	make_dir(at("t"));
	make_link(at("t/link"), at("outside"));
	tally = walk(at("t"));
	assert_int_equal(tally.dirs, 0);
	assert_int_equal(tally.others, 1);
}

static void walk_stops_with_what_its_visitor_returned(void **state)
{
	struct tally tally = { .stop_at = 2 };
	int fd;

	(void)state;
	make_dir(at("t"));
	for (int i = 0; i < 5; i++)
		make_file(at("t/%d", i), "");
	fd = open_dir(at("t"));
	assert_int_equal(fs_walk(fd, count_entry, &tally), 42);
	assert_int_equal(tally.others, 2);
	(void)close(fd);
}

static int delete_all_files(void *ctx, const struct fs_entry *entry)
{
	(void)ctx;
	(void)unlink(at("t/a/f"));
	(void)rmdir(at("t/a"));
	(void)unlink(at("t/b/f"));
	(void)rmdir(at("t/b"));
	(void)entry;
	return 0;
}

static void walk_passes_over_what_disappears(void **state)
{
	int fd;

	(void)state;
	make_dir(at("t"));
	make_dir(at("t/a"));
	make_dir(at("t/b"));
	make_file(at("t/a/f"), "");
	make_file(at("t/b/f"), "");
	fd = open_dir(at("t"));
	assert_int_equal(fs_walk(fd, delete_all_files, NULL), 0);
	(void)close(fd);
	check_list(at("t"), "");
}

static void walk_takes_5000_levels_with_64_descriptors(void **state)
{
	struct tally tally = { 0 };
	struct rlimit old;
	int fd, r;

	(void)state;
	make_deep_tree(at("t"));
	fd = open_dir(at("t"));
	old = limit_files(64);
	r = fs_walk(fd, count_entry, &tally);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, 0);
	assert_int_equal(tally.dirs, DEEP);
	assert_int_equal(tally.others, 1);
	(void)close(fd);
}

static void walk_takes_a_wide_tree(void **state)
{
	struct tally tally;

	(void)state;
	make_dir(at("t"));
	for (int i = 0; i < 1500; i++) {
		make_dir(at("t/a directory with a long name %d", i));
		make_dir(at("t/a directory with a long name %d/sub", i));
	}
	tally = walk(at("t"));
	assert_int_equal(tally.dirs, 3000);
}

static void walk_does_not_enter_a_mount(void **state)
{
	struct tally tally;

	(void)state;
	needs_mounts();
	make_dir(at("t"));
	make_dir(at("t/m"));
	make_dir(at("outside"));
	make_file(at("outside/f"), "");
	assert_int_equal(mount("t", at("t/m"), "tmpfs", 0, NULL), 0);
	make_file(at("t/m/f"), "");
	tally = walk(at("t"));
	assert_int_equal(tally.others, 0);
	assert_int_equal(tally.dirs, 1);
	assert_int_equal(umount(at("t/m")), 0);
	/* The same file system again, where st_dev tells nothing. */
	assert_int_equal(mount(at("outside"), at("t/m"), NULL, MS_BIND, NULL),
			 0);
	tally = walk(at("t"));
	assert_int_equal(tally.others, 0);
	assert_int_equal(tally.dirs, 1);
}

static int remove_in(const char *dir, const char *name, int (*stop)(void *ctx))
{
	int fd = open_dir(dir), r = fs_remove_tree(fd, name, stop, NULL);

	(void)close(fd);
	return r;
}

static void remove_takes_5000_levels_with_64_descriptors(void **state)
{
	struct rlimit old;
	int r;

	(void)state;
	make_deep_tree(at("t"));
	old = limit_files(64);
	r = remove_in(here, "t", NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, 0);
	assert_false(is_there(at("t")));
}

static void remove_of_nothing_is_success(void **state)
{
	(void)state;
	assert_int_equal(remove_in(here, "absent", NULL), 0);
}

static void remove_takes_files_and_links_too(void **state)
{
	(void)state;
	make_dir(at("outside"));
	make_file(at("outside/f"), "");
	make_file(at("file"), "");
	make_link(at("link"), "outside");
	assert_int_equal(remove_in(here, "file", NULL), 0);
	assert_int_equal(remove_in(here, "link", NULL), 0);
	check_list(here, "outside");
	check_list(at("outside"), "f");
}

static void remove_follows_no_link(void **state)
{
	(void)state;
	make_dir(at("outside"));
	make_file(at("outside/f"), "");
	make_dir(at("t"));
	make_link(at("t/link"), at("outside"));
	make_link(at("t/up"), "..");
	assert_int_equal(remove_in(here, "t", NULL), 0);
	check_list(here, "outside");
	check_list(at("outside"), "f");
}

static void remove_takes_directories_without_permissions(void **state)
{
	(void)state;
	make_dir(at("t"));
	make_dir(at("t/a"));
	make_dir(at("t/a/b"));
	make_file(at("t/a/b/f"), "");
	assert_int_equal(chmod(at("t/a/b"), 0500), 0);
	assert_int_equal(chmod(at("t/a"), 0), 0);
	assert_int_equal(chmod(at("t"), 0500), 0);
	assert_int_equal(remove_in(here, "t", NULL), 0);
	assert_false(is_there(at("t")));
}

static int always(void *ctx)
{
	(void)ctx;
	return 1;
}

static void remove_stops_when_told(void **state)
{
	(void)state;
	make_dir(at("t"));
	make_file(at("t/f"), "");
	assert_int_equal(remove_in(here, "t", always), -ECANCELED);
	assert_true(is_there(at("t")));
}

static void remove_leaves_a_mount_alone(void **state)
{
	(void)state;
	needs_mounts();
	make_dir(at("t"));
	make_dir(at("t/m"));
	make_dir(at("outside"));
	make_file(at("outside/f"), "");
	assert_int_equal(mount(at("outside"), at("t/m"), NULL, MS_BIND, NULL),
			 0);
	assert_int_equal(remove_in(here, "t", NULL), -EBUSY);
	check_list(at("outside"), "f");
}

static void *remove_again(void *ctx)
{
	*(int *)ctx = remove_in(here, "t", NULL);
	return NULL;
}

static void two_may_remove_one_tree(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		int ours, theirs = 1;
		pthread_t thread;

		make_dir(at("t"));
		for (int i = 0; i < 200; i++) {
			make_dir(at("t/%d", i));
			make_file(at("t/%d/f", i), "");
		}
		assert_int_equal(
			pthread_create(&thread, NULL, remove_again, &theirs),
			0);
		ours = remove_in(here, "t", NULL);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(ours, 0);
		assert_int_equal(theirs, 0);
		assert_false(is_there(at("t")));
	}
}

static void empty_leaves_the_directory(void **state)
{
	int fd;

	(void)state;
	make_dir(at("t"));
	make_dir(at("t/a"));
	make_file(at("t/a/f"), "");
	make_file(at("t/f"), "");
	fd = open_dir(at("t"));
	assert_int_equal(fs_empty(fd, NULL, NULL), 0);
	(void)close(fd);
	check_list(at("t"), "");
}

/* What is read through @path, as if here/root were /; or the errno. */
static void check_in_root(const char *path, uint64_t resolve, int number,
			  const char *text)
{
	int root_fd = open_dir(at("root"));
	int fd = fs_open_in_root(root_fd, path, O_RDONLY, resolve);
	char back[64] = "";

	(void)close(root_fd);
	if (is_denied("openat2"))
		number = ENOTSUP;
	if (fd < 0) {
		if (fd != -number)
			fail_msg("%s: %s, not %s", path, strerrorname_np(-fd),
				 number ? strerrorname_np(number) : "success");
		return;
	}
	if (number)
		fail_msg("%s: opened, not %s", path, strerrorname_np(number));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(read(fd, back, sizeof(back) - 1) >= 0);
	assert_string_equal(back, text);
	(void)close(fd);
}

static void make_root(void)
{
	make_file(at("secret"), "outside");
	make_dir(at("root"));
	make_file(at("root/secret"), "inside");
	make_dir(at("root/dir"));
	make_link(at("root/absolute"), "/secret");
	make_link(at("root/up"), "../../../../secret");
	make_link(at("root/dir/up"), "../secret");
	make_link(at("root/host"), at("secret"));
	make_link(at("root/loop"), "loop");
}

static void nothing_escapes_from_a_root(void **state)
{
	(void)state;
	make_root();
	check_in_root("secret", 0, 0, "inside");
	check_in_root("/secret", 0, 0, "inside");
	check_in_root("../secret", 0, 0, "inside");
	check_in_root("dir/../../../secret", 0, 0, "inside");
	check_in_root("absolute", 0, 0, "inside");
	check_in_root("up", 0, 0, "inside");
	check_in_root("dir/up", 0, 0, "inside");
	check_in_root("host", 0, ENOENT, NULL);
	check_in_root("loop", 0, ELOOP, NULL);
	check_in_root("absent", 0, ENOENT, NULL);
}

static int rename_for_ever(void *ctx)
{
	const char *from = ctx;
	char to[PATH_MAX];

	(void)snprintf(to, sizeof(to), "%s.2", from);
	for (;;)
		if (rename(from, to) < 0 || rename(to, from) < 0)
			return -1;
}

/* The kernel says EAGAIN where anybody's rename or mount meets a "..". */
static void a_path_opens_while_others_rename(void **state)
{
	struct helper helper;
	char path[PATH_MAX];

	(void)state;
	make_root();
	make_dir(at("elsewhere"));
	(void)snprintf(path, sizeof(path), "%s", at("elsewhere"));
	helper_begin(&helper, rename_for_ever, path);
	for (int i = 0; i < 5000; i++)
		check_in_root("dir/up", 0, 0, "inside");
	helper_kill(&helper);
}

static void beneath_refuses_what_in_root_redirects(void **state)
{
	(void)state;
	make_root();
	check_in_root("secret", RESOLVE_BENEATH, 0, "inside");
	check_in_root("dir/up", RESOLVE_BENEATH, 0, "inside");
	check_in_root("/secret", RESOLVE_BENEATH, EXDEV, NULL);
	check_in_root("../secret", RESOLVE_BENEATH, EXDEV, NULL);
	check_in_root("absolute", RESOLVE_BENEATH, EXDEV, NULL);
	check_in_root("up", RESOLVE_BENEATH, EXDEV, NULL);
	check_in_root("dir/up", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, ELOOP,
		      NULL);
}

static void magic_links_are_refused(void **state)
{
	int fd, proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	if (proc_fd < 0)
		skip_because("needs /proc");
	fd = fs_open_in_root(proc_fd, "self/root", O_RDONLY, 0);
	if (is_denied("openat2")) {
		assert_int_equal(fd, -ENOTSUP);
		(void)close(proc_fd);
		return;
	}
	assert_int_equal(fd, -ELOOP);
	fd = fs_open_in_root(proc_fd, "self/stat", O_RDONLY, 0);
	assert_true(fd >= 0);
	(void)close(fd);
	(void)close(proc_fd);
}

static void read_link_takes_1023_bytes_and_no_more(void **state)
{
	char target[1100], text[FS_LINK_SIZE];
	int fd = open_dir(here);

	(void)state;
	memset(target, 't', sizeof(target));
	target[1023] = '\0';
	make_link(at("link"), target);
	assert_int_equal(fs_read_link(fd, "link", text), 1023);
	assert_string_equal(text, target);
	target[1023] = 't';
	target[1024] = '\0';
	(void)unlink(at("link"));
	if (symlink(target, at("link")) == 0)
		assert_int_equal(fs_read_link(fd, "link", text), -ENAMETOOLONG);
	(void)close(fd);
}

static void read_link_refuses_what_is_no_link(void **state)
{
	char text[FS_LINK_SIZE];
	int fd = open_dir(here);

	(void)state;
	make_file(at("file"), "");
	assert_int_equal(fs_read_link(fd, "file", text), -EINVAL);
	assert_int_equal(fs_read_link(fd, "absent", text), -ENOENT);
	(void)close(fd);
}

static void a_mount_has_an_id_of_its_own(void **state)
{
	uint64_t by_fd = 0, by_path = 0, other = 0;
	int fd = open_dir(here);

	(void)state;
	if (fs_mnt_id(fd, "", &by_fd) == -ENOSYS)
		skip_because("needs Linux 5.8");
	make_link(at("link"), "/proc");
	assert_int_equal(fs_mnt_id(fd, "link", &by_path), 0);
	assert_int_equal(by_fd, by_path);
	assert_int_equal(fs_mnt_id(AT_FDCWD, "/proc", &other), 0);
	assert_int_not_equal(by_fd, other);
	assert_int_equal(fs_mnt_id(fd, "absent", &other), -ENOENT);
	(void)close(fd);
}

static void a_path_for_a_sentence_has_one_slash_each(void **state)
{
	const int root_fd = open("/", O_PATH | O_CLOEXEC);
	const int usr_fd = open("/usr", O_PATH | O_CLOEXEC);
	char path[PATH_MAX];

	(void)state;
	fs_path(root_fd, "x", path);
	assert_string_equal(path, "/x");
	fs_path(usr_fd, "x", path);
	assert_string_equal(path, "/usr/x");
	(void)close(root_fd);
	(void)close(usr_fd);
	fs_path(root_fd, "x", path);
	assert_string_equal(path, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(walk_visits_all_but_the_root),
		TEST_IN_DIR(walk_visits_a_directory_after_what_is_in_it),
		TEST_IN_DIR(walk_follows_no_link),
		TEST_IN_DIR(walk_stops_with_what_its_visitor_returned),
		TEST_IN_DIR(walk_passes_over_what_disappears),
		TEST_IN_DIR(walk_takes_5000_levels_with_64_descriptors),
		TEST_IN_DIR(walk_takes_a_wide_tree),
		TEST_IN_DIR(walk_does_not_enter_a_mount),
		TEST_IN_DIR(remove_takes_5000_levels_with_64_descriptors),
		TEST_IN_DIR(remove_of_nothing_is_success),
		TEST_IN_DIR(remove_takes_files_and_links_too),
		TEST_IN_DIR(remove_follows_no_link),
		TEST_IN_DIR(remove_takes_directories_without_permissions),
		TEST_IN_DIR(remove_stops_when_told),
		TEST_IN_DIR(remove_leaves_a_mount_alone),
		TEST_IN_DIR(two_may_remove_one_tree),
		TEST_IN_DIR(empty_leaves_the_directory),
		TEST_IN_DIR(nothing_escapes_from_a_root),
		TEST_IN_DIR(a_path_opens_while_others_rename),
		TEST_IN_DIR(beneath_refuses_what_in_root_redirects),
		TEST_IN_DIR(magic_links_are_refused),
		TEST_IN_DIR(read_link_takes_1023_bytes_and_no_more),
		TEST_IN_DIR(read_link_refuses_what_is_no_link),
		TEST_IN_DIR(a_mount_has_an_id_of_its_own),
		cmocka_unit_test(a_path_for_a_sentence_has_one_slash_each),
	};

	return cmocka_run_group_tests_name("fs", tests, NULL, NULL);
}

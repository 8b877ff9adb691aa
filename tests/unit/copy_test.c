/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/copy: a tree is copied with all that a file system keeps of it, also
 * while others write to it.  base/compare: what it must not overlook.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "compare.h"
#include "content.h"
#include "copy.h"
#include "oddtree.h"

#define DEEP 10000

static const char *const no_names[] = { NULL };

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fail_msg("open %s: %s", path, strerror(errno));
	return fd;
}

static int copy_to(const char *from, const char *to,
		   const struct copy_options *options)
{
	static const struct copy_options all = { .without = NULL };
	int from_fd = open_dir(from), to_fd, r;

	make_dir(to);
	to_fd = open_dir(to);
	why = (struct shale_error)SHALE_ERROR_INIT;
	r = copy_tree(from_fd, to_fd, options ? options : &all, &why);
	(void)close(from_fd);
	(void)close(to_fd);
	return r;
}

static int compare(const char *a, const char *b, const char *const *without)
{
	const struct compare_options options = { .without = without,
						 .sparse = true };
	int a_fd = open_dir(a), b_fd = open_dir(b), r;

	why = (struct shale_error)SHALE_ERROR_INIT;
	r = compare_trees(a_fd, b_fd, &options, &why);
	(void)close(a_fd);
	(void)close(b_fd);
	return r;
}

static void a_copy_has_all_that_the_tree_has(void **state)
{
	char list[256];

	(void)state;
	needs_root();
	make_dir(at("a"));
	assert_int_equal(oddtree_make(at("a"), true), 0);
	assert_int_equal(copy_to(at("a"), at("b"), NULL), 0);
	MUST(compare(at("a"), at("b"), NULL));
	MUST(compare(at("b"), at("a"), NULL));
	/* Looked at without the library, too. */
	assert_true(getxattr(at("b/opaque"), "trusted.overlay.opaque", list,
			     sizeof(list)) == 1);
	assert_true(getxattr(at("b/setuid"), "security.capability", list,
			     sizeof(list)) == 20);
}

static void a_copy_changes_no_time_of_access(void **state)
{
	struct stat before, after;

	(void)state;
	make_dir(at("a"));
	make_file(at("a/file"), "text");
	assert_int_equal(lstat(at("a/file"), &before), 0);
	assert_int_equal(copy_to(at("a"), at("b"), NULL), 0);
	assert_int_equal(lstat(at("a/file"), &after), 0);
	assert_int_equal(before.st_atim.tv_nsec, after.st_atim.tv_nsec);
	assert_int_equal(before.st_atim.tv_sec, after.st_atim.tv_sec);
	assert_int_equal(lstat(at("b/file"), &after), 0);
	assert_int_equal(before.st_atim.tv_nsec, after.st_atim.tv_nsec);
}

static void attributes_of_given_names_are_left_out(void **state)
{
	static const char *const without[] = { "trusted.overlay.", NULL };
	const struct copy_options options = { .without = without };
	char value[8];

	(void)state;
	needs_root();
	make_dir(at("a"));
	make_dir(at("a/d"));
	assert_int_equal(
		setxattr(at("a/d"), "trusted.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(setxattr(at("a/d"), "trusted.over", "y", 1, 0), 0);
	assert_int_equal(copy_to(at("a"), at("b"), &options), 0);
	assert_int_equal(getxattr(at("b/d"), "trusted.overlay.opaque", value,
				  sizeof(value)),
			 -1);
	assert_int_equal(
		getxattr(at("b/d"), "trusted.over", value, sizeof(value)), 1);
	assert_int_equal(compare(at("a"), at("b"), no_names), -EBADMSG);
	MUST(compare(at("a"), at("b"), without));
}

/* With a limit of descriptors that a copy by recursion would pass. */
static void depth_costs_neither_stack_nor_descriptors(void **state)
{
	struct rlimit old, few;
	struct stat last;
	int fd, next;

	(void)state;
	needs_mounts();
	assert_int_equal(mount("none", here, "tmpfs", 0, NULL), 0);
	make_dir(at("a"));
	fd = open_dir(at("a"));
	for (int i = 0; i < DEEP; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	next = openat(fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(next >= 0);
	make_file(at("a/f"), "");
	assert_int_equal(fstat(next, &last), 0);
	(void)close(next);
	/* A hard link from top to bottom. */
	assert_int_equal(unlink(at("a/f")), 0);
	assert_int_equal(linkat(fd, "f", AT_FDCWD, at("a/f"), 0), 0);
	(void)close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ 64, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(copy_to(at("a"), at("b"), NULL), 0);
	MUST(compare(at("a"), at("b"), NULL));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(lstat(at("b/f"), &last), 0);
	assert_int_equal(last.st_nlink, 2);
	assert_int_equal(umount2(here, MNT_DETACH), 0);
}

static void a_mount_point_is_refused_by_its_name(void **state)
{
	(void)state;
	needs_mounts();
	make_dir(at("a"));
	make_dir(at("a/sub"));
	make_dir(at("a/sub/mnt"));
	assert_int_equal(mount("none", at("a/sub/mnt"), "tmpfs", 0, NULL), 0);
	assert_int_equal(copy_to(at("a"), at("b"), NULL), -EXDEV);
	assert_non_null(strstr(why.msg, "/a/sub/mnt'"));
	assert_int_equal(umount(at("a/sub/mnt")), 0);
	/* A bind of the same file system has its device number. */
	assert_int_equal(mount(at("a"), at("a/sub/mnt"), NULL, MS_BIND, NULL),
			 0);
	assert_int_equal(copy_to(at("a"), at("c"), NULL), -EXDEV);
	assert_int_equal(umount(at("a/sub/mnt")), 0);
}

static int copy_closed_as_nobody(void *ctx)
{
	(void)ctx;
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return 2;
	return copy_to(at("a"), at("free/b"), NULL) == -EACCES &&
			       strstr(why.msg, "/a/closed'")
		       ? 0
		       : 1;
}

static void an_unreadable_directory_is_named(void **state)
{
	(void)state;
	make_dir(at("a"));
	make_dir(at("a/closed"));
	make_dir(at("free"));
	assert_int_equal(chmod(here, 0755), 0);
	assert_int_equal(chmod(at("free"), 0777), 0);
	assert_int_equal(chmod(at("a/closed"), 0), 0);
	assert_int_equal(in_child(copy_closed_as_nobody, NULL), 0);
}

static int stop_at_third(void *ctx)
{
	return ++*(int *)ctx == 3;
}

static void a_copy_stops_when_the_host_says_so(void **state)
{
	int asked = 0;
	const struct copy_options options = { .stop = stop_at_third,
					      .ctx = &asked };

	(void)state;
	make_dir(at("a"));
	for (int i = 0; i < 9; i++)
		make_file(at("a/%d", i), "text");
	assert_int_equal(copy_to(at("a"), at("b"), &options), -ECANCELED);
	assert_string_equal(why.msg, "stopped by the host");
	assert_int_equal(asked, 3);
}

/* ---- while others write ---- */

struct writer {
	pthread_t thread;
	atomic_bool stop;
	void (*act)(int round);
	int rounds;
	char dir[PATH_MAX];
};

static struct writer writer;

static void *write_on(void *arg)
{
	(void)arg;
	for (writer.rounds = 0; !writer.stop; writer.rounds++)
		writer.act(writer.rounds);
	return NULL;
}

static void start_writer(void (*act)(int round))
{
	make_dir(at("a"));
	(void)snprintf(writer.dir, sizeof(writer.dir), "%s", at("a"));
	writer.act = act;
	writer.stop = false;
	act(0);
	assert_int_equal(pthread_create(&writer.thread, NULL, write_on, NULL),
			 0);
}

static void stop_writer(void)
{
	writer.stop = true;
	assert_int_equal(pthread_join(writer.thread, NULL), 0);
}

static int open_in(const char *name, int flags)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/%s", writer.dir, name);
	return open(path, flags | O_CREAT | O_CLOEXEC, 0644);
}

static void rename_in(const char *from, const char *to)
{
	char a[PATH_MAX + 32], b[PATH_MAX + 32];

	(void)snprintf(a, sizeof(a), "%s/%s", writer.dir, from);
	(void)snprintf(b, sizeof(b), "%s/%s", writer.dir, to);
	(void)rename(a, b);
}

/* Blocks that are all of one byte, none of another round's. */
static void replace(int round)
{
	char text[32768];
	int fd = open_in("new", O_WRONLY | O_TRUNC);

	(void)memset(text, 'a' + round % 26, sizeof(text));
	(void)!write(fd, text, sizeof(text));
	(void)close(fd);
	rename_in("new", "counter");
}

static void check_one_byte(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text));
	(void)close(fd);
	assert_true(n > 0);
	for (ssize_t i = 1; i < n; i++)
		assert_int_equal(text[i], text[0]);
}

static void a_file_that_is_replaced_is_copied_whole(void **state)
{
	(void)state;
	start_writer(replace);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(copy_to(at("a"), at("b%d", i), NULL), 0);
		check_one_byte(at("b%d/counter", i));
	}
	stop_writer();
}

/* Lines of 16 bytes with their own number. */
static void append(int round)
{
	char line[32];
	int fd = open_in("log", O_WRONLY | O_APPEND);

	(void)snprintf(line, sizeof(line), "%015d\n", round);
	(void)!write(fd, line, 16);
	(void)close(fd);
}

static void a_growing_log_is_copied_as_it_was(void **state)
{
	char line[32], expected[32];

	(void)state;
	start_writer(append);
	for (int i = 0; i < 20; i++) {
		FILE *file;
		int number = 0;

		assert_int_equal(copy_to(at("a"), at("b%d", i), NULL), 0);
		file = fopen(at("b%d/log", i), "re");
		assert_non_null(file);
		while (fgets(line, sizeof(line), file)) {
			/* The first was written before the thread. */
			(void)snprintf(expected, sizeof(expected), "%015d\n",
				       number ? number - 1 : 0);
			assert_string_equal(line, expected);
			number++;
		}
		(void)fclose(file);
		assert_true(number > 0);
	}
	stop_writer();
}

/* In place, with pauses as a program has them. */
static void rewrite(int round)
{
	const struct timespec pause = { 0, 2000000 };
	static char text[65536];
	int fd = open_in("data", O_WRONLY);

	(void)memset(text, 'a' + round % 26, sizeof(text));
	for (size_t i = 0; i < sizeof(text); i += 4096)
		(void)!pwrite(fd, text + i, 4096, (off_t)i);
	(void)close(fd);
	(void)nanosleep(&pause, NULL);
}

/* The blocks of one round, then those of the round before. */
static void check_one_moment(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC), changes = 0;

	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), sizeof(text));
	(void)close(fd);
	for (size_t i = 1; i < sizeof(text); i++)
		if (text[i] != text[i - 1]) {
			changes++;
			assert_int_equal((text[i - 1] - text[i] + 26) % 26, 1);
			assert_int_equal(i % 4096, 0);
		}
	assert_in_range(changes, 0, 1);
}

static void a_file_rewritten_in_place_is_copied_whole_or_refused(void **state)
{
	int whole = 0;

	(void)state;
	start_writer(rewrite);
	for (int i = 0; i < 30; i++) {
		int r = copy_to(at("a"), at("b%d", i), NULL);

		if (r == -EBUSY) {
			assert_non_null(strstr(why.msg, "/a/data'"));
			continue;
		}
		assert_int_equal(r, 0);
		check_one_moment(at("b%d/data", i));
		whole++;
	}
	stop_writer();
	assert_true(whole > 0);
}

static void come_and_go(int round)
{
	char name[32], path[PATH_MAX + 64];
	int fd;

	(void)snprintf(name, sizeof(name), "f%d", round % 50);
	(void)snprintf(path, sizeof(path), "%s/%s", writer.dir, name);
	if (unlink(path) == 0 || rmdir(path) == 0)
		return;
	if (round % 3 == 0) {
		(void)mkdir(path, 0755);
		return;
	}
	fd = open_in(name, O_WRONLY);
	(void)close(fd);
	(void)snprintf(name, sizeof(name), "f%d", (round + 7) % 50);
	rename_in(path + strlen(writer.dir) + 1, name);
}

static void what_comes_and_goes_breaks_no_copy(void **state)
{
	(void)state;
	start_writer(come_and_go);
	make_file(at("a/stays"), "text");
	for (int i = 0; i < 100; i++) {
		assert_int_equal(copy_to(at("a"), at("b%d", i), NULL), 0);
		assert_true(is_there(at("b%d/stays", i)));
	}
	stop_writer();
}

/* ---- the comparison itself ---- */

static void set_mtime(const char *path, long ns)
{
	const struct timespec times[2] = { { 1, 0 }, { 1000, ns } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW),
			 0);
}

static void make_pair(const char *dir)
{
	make_dir(dir);
	make_dir(at("%s/d", dir + strlen(here) + 1));
	make_file(at("%s/d/f", dir + strlen(here) + 1), "text");
	make_file(at("%s/g", dir + strlen(here) + 1), "text");
	make_link(at("%s/l", dir + strlen(here) + 1), "to");
	assert_int_equal(mknod(at("%s/n", dir + strlen(here) + 1),
			       S_IFCHR | 0600, makedev(0, 0)),
			 0);
}

static void settle(const char *dir)
{
	static const char *const names[] = { "d/f", "g", "l", "n", "d", "." };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_there(at("%s/%s", dir, names[i])))
			set_mtime(at("%s/%s", dir, names[i]), 0);
}

static void change_content(void)
{
	make_file(at("b/d/f"), "tex2");
}

static void change_mode(void)
{
	assert_int_equal(chmod(at("b/d"), 0700), 0);
}

static void change_owner(void)
{
	assert_int_equal(lchown(at("b/l"), 1, 0), 0);
}

static void change_target(void)
{
	make_link(at("b/l"), "xx");
}

static void change_device(void)
{
	delete_path(at("b/n"));
	assert_int_equal(mknod(at("b/n"), S_IFCHR | 0600, makedev(0, 1)), 0);
}

static void change_type(void)
{
	delete_path(at("b/n"));
	assert_int_equal(mkfifo(at("b/n"), 0600), 0);
}

static void change_to_directory(void)
{
	delete_path(at("b/n"));
	make_dir(at("b/n"));
}

static void add_a_name(void)
{
	make_file(at("b/d/more"), "");
}

static void drop_a_name(void)
{
	delete_path(at("b/d/f"));
}

static void add_an_attribute(void)
{
	assert_int_equal(setxattr(at("b/d"), "trusted.t", "", 0, 0), 0);
}

static void link_two(void)
{
	delete_path(at("b/g"));
	assert_int_equal(link(at("b/d/f"), at("b/g")), 0);
}

static void change_nothing(void)
{
}

static void comparison_sees_each_difference(void **state)
{
	static const struct {
		void (*change)(void);
		const char *says;
	} changes[] = {
		{ change_nothing, NULL },
		{ change_content, "/a/d/f' differs: content" },
		{ change_mode, "/a/d' differs: mode" },
		{ change_owner, "/a/l' differs: owner" },
		{ change_target, "/a/l' differs: link target" },
		{ change_device, "/a/n' differs: device" },
		{ change_type, "/a/n' differs: type" },
		{ change_to_directory, "/a/n' differs: type" },
		{ add_a_name, "/a/d' differs: the second one has more" },
		{ drop_a_name, "/a/d/f' differs: there is no second one" },
		{ add_an_attribute, "/a/d' differs: attribute 'trusted.t'" },
		{ link_two, "/a/g' differs: hard links" },
	};

	(void)state;
	needs_root();
	make_pair(at("a"));
	settle("a");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		int r;

		make_pair(at("b"));
		changes[i].change();
		settle("b");
		r = compare(at("a"), at("b"), NULL);
		if (!changes[i].says)
			assert_int_equal(r, 0);
		else if (r != -EBADMSG || !strstr(why.msg, changes[i].says))
			fail_msg("%d: \"%s\", not \"%s\"", r, why.msg,
				 changes[i].says);
		delete_tree(at("b"));
	}
	make_pair(at("b"));
	settle("b");
	set_mtime(at("b/l"), 1);
	assert_int_equal(compare(at("a"), at("b"), NULL), -EBADMSG);
	assert_non_null(strstr(why.msg, "/a/l' differs: time"));
}

static void comparison_sees_filled_holes(void **state)
{
	static char zeros[1 << 20];
	int fd;

	(void)state;
	make_dir(at("a"));
	make_dir(at("b"));
	make_file(at("a/f"), "");
	assert_int_equal(truncate(at("a/f"), sizeof(zeros)), 0);
	fd = open(at("b/f"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
	set_mtime(at("a/f"), 0);
	set_mtime(at("b/f"), 0);
	assert_int_equal(compare(at("a"), at("b"), NULL), -EBADMSG);
	assert_non_null(strstr(why.msg, "/a/f' differs: holes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(a_copy_has_all_that_the_tree_has),
		TEST_IN_DIR(a_copy_changes_no_time_of_access),
		TEST_IN_DIR(attributes_of_given_names_are_left_out),
		TEST_IN_DIR(depth_costs_neither_stack_nor_descriptors),
		TEST_IN_DIR(a_mount_point_is_refused_by_its_name),
		TEST_IN_DIR(an_unreadable_directory_is_named),
		TEST_IN_DIR(a_copy_stops_when_the_host_says_so),
		TEST_IN_DIR(a_file_that_is_replaced_is_copied_whole),
		TEST_IN_DIR(a_growing_log_is_copied_as_it_was),
		TEST_IN_DIR(
			a_file_rewritten_in_place_is_copied_whole_or_refused),
		TEST_IN_DIR(what_comes_and_goes_breaks_no_copy),
		TEST_IN_DIR(comparison_sees_each_difference),
		TEST_IN_DIR(comparison_sees_filled_holes),
	};

	return cmocka_run_group_tests_name("copy", tests, NULL, NULL);
}

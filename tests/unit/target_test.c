/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mount destinations in a hostile image: found or made inside of it, or
 * refused.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scope.h"
#include "target.h"

/* The image is here/image; here/outside must never change. */
static int image(void)
{
	int fd;

	make_dir(at("image"));
	make_dir(at("outside"));
	fd = open(at("image"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Opens and checks that this is the file of that name. */
static void check_is(int root_fd, const struct target *target, const char *path)
{
	struct stat got, expected;
	auto_fd fd = -1;

	why = (struct shale_error)SHALE_ERROR_INIT;
	fd = target_open(root_fd, target, &why);
	if (fd < 0)
		fail_msg("%s: %s", target->path, why.msg);
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(lstat(path, &expected), 0);
	assert_int_equal(got.st_ino, expected.st_ino);
	assert_int_equal(got.st_dev, expected.st_dev);
}

static void what_is_there_is_found(void **state)
{
	auto_fd root = image();

	(void)state;
	make_dir(at("image/run"));
	make_dir(at("image/run/x"));
	make_dir(at("image/var"));
	make_link(at("image/var/run"), "/run");
	make_file(at("image/f"), "");
	check_is(root, &(struct target){ .path = "/run", .is_dir = true },
		 at("image/run"));
	check_is(root, &(struct target){ .path = "/var/run/x", .is_dir = true },
		 at("image/run/x"));
	check_is(root, &(struct target){ .path = "f" }, at("image/f"));
	check_is(root, &(struct target){ .path = "/", .is_dir = true },
		 at("image"));
}

static void what_is_absent_is_made(void **state)
{
	auto_fd root = image();
	struct stat st;

	(void)state;
	check_is(root,
		 &(struct target){ "/a/b//c/", .is_dir = true,
				   .may_create = true },
		 at("image/a/b/c"));
	check_is(root, &(struct target){ "/a/f", .may_create = true },
		 at("image/a/f"));
	assert_int_equal(stat(at("image/a/f"), &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void nothing_is_made_in_a_view(void **state)
{
	auto_fd root = image();
	const struct target target = { .path = "/a/b", .is_dir = true };

	(void)state;
	REFUSED(ENOENT, "'/a/b'", target_open(root, &target, &why));
}

static void a_dangling_link_is_made_good_inside(void **state)
{
	auto_fd root = image();

	(void)state;
	make_dir(at("image/etc"));
	make_link(at("image/etc/resolv.conf"), "../run/resolve/stub.conf");
	check_is(root,
		 &(struct target){ "/etc/resolv.conf", .may_create = true },
		 at("image/run/resolve/stub.conf"));
	make_link(at("image/etc/abs"), "/x/y");
	check_is(root, &(struct target){ "/etc/abs", .may_create = true },
		 at("image/x/y"));
	make_link(at("image/dir"), "etc/new");
	check_is(root,
		 &(struct target){ "/dir/below", .is_dir = true,
				   .may_create = true },
		 at("image/etc/new/below"));
}

static void no_link_leads_outside(void **state)
{
	auto_fd root = image();
	char target[PATH_MAX];

	(void)state;
	make_link(at("image/up"), "../../../../outside/f");
	check_is(root, &(struct target){ "/up", .may_create = true },
		 at("image/outside/f"));
	(void)snprintf(target, sizeof(target), "%s/f", at("outside"));
	make_link(at("image/abs"), target);
	check_is(root, &(struct target){ "/abs", .may_create = true },
		 at("image/%s", target));
	check_list(at("outside"), "");
}

static void links_in_a_circle_end(void **state)
{
	auto_fd root = image();
	const struct target target = { "/a", .may_create = true };

	(void)state;
	make_link(at("image/a"), "b");
	make_link(at("image/b"), "a");
	REFUSED(ELOOP, "'/a'", target_open(root, &target, &why));
}

static void links_that_grow_for_ever_end(void **state)
{
	auto_fd root = image();
	const struct target target = { "/a", .may_create = true };

	(void)state;
	make_link(at("image/a"), "a/a/nothing");
	why = (struct shale_error)SHALE_ERROR_INIT;
	assert_true(target_open(root, &target, &why) < 0);
	assert_non_null(strstr(why.msg, "'/a'"));
}

static void strict_destinations_have_no_link_at_all(void **state)
{
	auto_fd root = image();
	const char *const paths[] = { "/proc", "/sys/fs", "/dangling" };

	(void)state;
	make_dir(at("image/tmp"));
	make_dir(at("image/tmp/fs"));
	make_link(at("image/proc"), "tmp");
	make_link(at("image/sys"), "/tmp");
	make_link(at("image/dangling"), "x");
	for (size_t i = 0; i < 3; i++) {
		const struct target target = { paths[i], true, true, true };

		REFUSED(ELOOP, paths[i], target_open(root, &target, &why));
	}
	check_is(root, &(struct target){ "/dev/x", true, true, true },
		 at("image/dev/x"));
}

static void fixed_directories_are_no_links(void **state)
{
	static const char *const names[] = { "/proc", "/sys", "/dev" };
	auto_fd root = image();

	(void)state;
	assert_int_equal(target_check_fixed(root, &why), 0);
	make_dir(at("image/dev"));
	make_file(at("image/sys"), ""); /* the runtime's to refuse */
	assert_int_equal(target_check_fixed(root, &why), 0);
	assert_int_equal(rmdir(at("image/dev")), 0);
	assert_int_equal(unlink(at("image/sys")), 0);
	for (size_t i = 0; i < 3; i++) {
		make_link(at("image%s", names[i]), "../outside");
		REFUSED(ELOOP, names[i], target_check_fixed(root, &why));
		assert_int_equal(unlink(at("image%s", names[i])), 0);
		make_link(at("image%s", names[i]), "dangling");
		REFUSED(ELOOP, names[i], target_check_fixed(root, &why));
		assert_int_equal(unlink(at("image%s", names[i])), 0);
	}
}

static void the_other_kind_is_refused(void **state)
{
	auto_fd root = image();
	const struct target dir = { "/f", .is_dir = true, .may_create = true };
	const struct target below = { "/f/x", .may_create = true };
	const struct target file = { "/d", .may_create = true };

	(void)state;
	make_file(at("image/f"), "");
	make_dir(at("image/d"));
	REFUSED(ENOTDIR, "'/f'", target_open(root, &dir, &why));
	REFUSED(ENOTDIR, "'/f/x'", target_open(root, &below, &why));
	REFUSED(EISDIR, "'/d'", target_open(root, &file, &why));
}

static void names_too_long_are_refused(void **state)
{
	auto_fd root = image();
	char path[PATH_MAX + 2];
	const struct target target = { path, .may_create = true };

	(void)state;
	memset(path, 'n', 256);
	path[256] = '\0';
	REFUSED(ENAMETOOLONG, "", target_open(root, &target, &why));
	memset(path, 'n', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	REFUSED(ENAMETOOLONG, "", target_open(root, &target, &why));
}

static void without_openat2_nothing_is_found_or_made(void **state)
{
	auto_fd root = image();

	(void)state;
	make_dir(at("image/run"));
	REFUSED(ENOTSUP, "no openat2(2) here (Linux 5.6)",
		target_open(root,
			    &(struct target){ .path = "/run", .is_dir = true },
			    &why));
	REFUSED(ENOTSUP, "use 'shale mount KEY DIR' before the runtime",
		target_open(root,
			    &(struct target){ .path = "/absent",
					      .may_create = true },
			    &why));
	REFUSED(ENOTSUP, "openat2", target_check(&why));
}

int main(void)
{
	const struct CMUnitTest denied[] = {
		TEST_IN_DIR(without_openat2_nothing_is_found_or_made),
	};

	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(what_is_there_is_found),
		TEST_IN_DIR(what_is_absent_is_made),
		TEST_IN_DIR(nothing_is_made_in_a_view),
		TEST_IN_DIR(a_dangling_link_is_made_good_inside),
		TEST_IN_DIR(no_link_leads_outside),
		TEST_IN_DIR(links_in_a_circle_end),
		TEST_IN_DIR(links_that_grow_for_ever_end),
		TEST_IN_DIR(strict_destinations_have_no_link_at_all),
		TEST_IN_DIR(fixed_directories_are_no_links),
		TEST_IN_DIR(the_other_kind_is_refused),
		TEST_IN_DIR(names_too_long_are_refused),
	};

	if (is_denied("openat2"))
		return cmocka_run_group_tests_name("target", denied, NULL,
						   NULL);
	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}

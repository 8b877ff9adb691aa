/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of what doors have mounted: whole or nothing, held by one,
 * and never another container's.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lastuse.h"
#include "mounted.h"
#include "rundir.h"
#include "scope.h"

/* A /run/shale of our own, in a mount namespace that ends with us. */
static int own_run(void **state)
{
	char path[PATH_MAX];

	(void)state;
	if (getuid() != 0) {
		assert_int_equal(setenv("XDG_RUNTIME_DIR", here, 1), 0);
		return 0;
	}
	assert_int_equal(rundir_path("", path), 0);
	(void)mkdir(path, 0700);
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	return mount("none", path, "tmpfs", 0, "mode=700");
}

static struct mounted record_of(const char *root, const char *id,
				const char *target)
{
	return (struct mounted){
		.door = DOOR_RUNTIME,
		.runtime = strdup("/usr/bin/runc"),
		.root = strdup(root),
		.id = strdup(id),
		.bundle = strdup("/bundle"),
		.target = strdup(target),
		.key = strdup("key"),
		.store = strdup("/store"),
		.store_option = strdup(""),
		.config_option = strdup("/c"),
		.watch_fd = -1,
		.room_fd = -1,
		.fd = -1,
	};
}

static void what_is_written_is_read_again(void **state)
{
	auto_mounted made = record_of("/r", "one", "/t");
	auto_mounted read = MOUNTED_INIT;

	(void)state;
	MUST(mounted_create(&made, &why));
	mounted_clear(&made);
	assert_true(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/runc", "/r",
					 "one"));
	assert_true(
		mounted_is_on_record(DOOR_RUNTIME, "/opt/runc", "/r", "one"));
	assert_false(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/crun", "/r",
					  "one"));
	assert_false(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/runc", "/s",
					  "one"));
	assert_false(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/runc", "/r",
					  "on"));
	assert_false(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/runc", "/r",
					  "../one"));
	assert_false(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/runc", "/r",
					  NULL));
	MUST(mounted_open(DOOR_RUNTIME, "/usr/bin/runc", "/r", "one",
			  MOUNTED_NOW, &read, &why));
	assert_true(read.is_certified);
	assert_string_equal(read.target, "/t");
	assert_string_equal(read.store_option, "");
	assert_string_equal(read.config_option, "/c");
	assert_int_equal(read.mount, 0);
	assert_true(mounted_is_of_this_boot(&read));
	MUST(mounted_remove(&read, &why));
	assert_false(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/runc", "/r",
					  "one"));
}

static void a_second_record_of_a_container_is_refused(void **state)
{
	auto_mounted made = record_of("/r", "twice", "/t");
	auto_mounted again = record_of("/r", "twice", "/u");
	auto_mounted other = record_of("/s", "twice", "/v");

	(void)state;
	MUST(mounted_create(&made, &why));
	assert_int_equal(mounted_create(&again, NULL), -EEXIST);
	MUST(mounted_create(&other, &why));
	MUST(mounted_remove(&made, &why));
	MUST(mounted_remove(&other, &why));
}

static void an_id_that_is_no_name_is_refused(void **state)
{
	static const char *const ids[] = { "", ".", "..", "a/b" };
	char longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		auto_mounted made = record_of("/r", ids[i], "/t");

		assert_int_equal(mounted_create(&made, NULL), -EINVAL);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	{
		auto_mounted made = record_of("/r", longest, "/t");

		assert_int_equal(mounted_create(&made, NULL), -EINVAL);
	}
}

static void a_target_belongs_to_one(void **state)
{
	auto_mounted one = record_of("/r", "one", "/t");
	auto_mounted two = record_of("/r", "two", "/t");
	auto_mounted three = record_of("/r", "three", "/u");

	(void)state;
	MUST(mounted_create(&one, &why));
	MUST(mounted_check_target(&one, &why));
	MUST(mounted_create(&two, &why));
	assert_int_equal(mounted_check_target(&two, &why), -EEXIST);
	assert_non_null(strstr(why.msg, "one@"));
	MUST(mounted_create(&three, &why));
	MUST(mounted_check_target(&three, &why));
	MUST(mounted_remove(&one, &why));
	MUST(mounted_remove(&two, &why));
	MUST(mounted_remove(&three, &why));
}

static void a_record_that_is_worked_on_is_left_alone(void **state)
{
	auto_mounted made = record_of("/r", "held", "/t");
	auto_mounted read = MOUNTED_INIT;

	(void)state;
	MUST(mounted_create(&made, &why));
	assert_int_equal(mounted_open(DOOR_RUNTIME, "/usr/bin/runc", "/r",
				      "held", MOUNTED_NOW, &read, NULL),
			 -EBUSY);
	MUST(mounted_remove(&made, &why));
	assert_int_equal(mounted_open(DOOR_RUNTIME, "/usr/bin/runc", "/r",
				      "held", MOUNTED_NOW, &read, NULL),
			 -ENOENT);
}

static int count(void *ctx, struct mounted *mounted, const char *torn)
{
	int *counts = ctx;

	if (torn)
		return 0;
	counts[mounted->is_certified]++;
	return mounted_remove(mounted, NULL);
}

static void a_torn_record_is_nothing_or_refused(void **state)
{
	auto_mounted made = record_of("/r", "torn", "/t");
	auto_mounted read = MOUNTED_INIT;
	int counts[2] = { 0, 0 };

	(void)state;
	MUST(mounted_create(&made, &why));
	assert_int_equal(unlinkat(made.fd, "key", 0), 0);
	drop_locked_fd(&made.fd);
	assert_int_equal(mounted_open(DOOR_RUNTIME, "/usr/bin/runc", "/r",
				      "torn", MOUNTED_NOW, &read, &why),
			 -EUCLEAN);
	assert_int_equal(mounted_walk(DOOR_RUNTIME, count, counts, &why), 0);
	assert_int_equal(counts[0] + counts[1], 0);
	/* What is not certified has done nothing, whatever it has. */
	made.fd = openat(made.room_fd, made.name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(unlinkat(made.fd, "format", 0), 0);
	drop_locked_fd(&made.fd);
	assert_int_equal(mounted_walk(DOOR_RUNTIME, count, counts, &why), 0);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 0);
	assert_false(mounted_is_on_record(DOOR_RUNTIME, "/usr/bin/runc", "/r",
					  "torn"));
}

static int note_torn(void *ctx, struct mounted *mounted, const char *torn)
{
	int *seen = ctx;

	(void)mounted;
	seen[torn != NULL]++;
	return 0;
}

/* A record that can't be read for want of descriptors may be whole. */
static void want_of_descriptors_tears_no_record(void **state)
{
	auto_mounted made = record_of("/r", "whole", "/t");
	struct rlimit old, low;
	int seen[2] = { 0, 0 }, refused = 0;

	(void)state;
	MUST(mounted_create(&made, &why));
	drop_locked_fd(&made.fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (low = old, low.rlim_cur = 3; low.rlim_cur < 64; low.rlim_cur++) {
		struct shale_error err = SHALE_ERROR_INIT;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		if (mounted_walk(DOOR_RUNTIME, note_torn, seen, &err) < 0)
			refused += *err.msg != '\0';
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	}
	assert_int_equal(seen[1], 0);
	assert_true(refused > 0);
	assert_int_equal(refused + seen[0], 61);
	made.fd = openat(made.room_fd, made.name, O_RDONLY | O_CLOEXEC);
	MUST(mounted_remove(&made, &why));
}

static int open_tmpfs(void)
{
	auto_fd config = fsopen("tmpfs", FSOPEN_CLOEXEC);

	assert_int_equal(fsconfig(config, FSCONFIG_CMD_CREATE, NULL, NULL, 0),
			 0);
	return fsmount(config, FSMOUNT_CLOEXEC, 0);
}

/* Needs root: a mount. */
static void only_the_recorded_mount_is_unmounted(void **state)
{
	char place[MOUNTED_PLACE_SIZE];
	auto_mounted made = record_of("/r", "mount", at("t"));
	auto_fd fd = -1, target = -1;
	bool done;

	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(mkdir(at("t"), 0700), 0);
	target = open(at("t"), O_PATH | O_CLOEXEC);
	fd = open_tmpfs();
	MUST(mounted_create(&made, &why));
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done); /* there was none yet */
	MUST(mounted_attach(&made, fd, target, &why));
	drop_fd(&fd);
	assert_int_equal(mount("none", at("t"), "tmpfs", 0, NULL), 0);
	MUST(mounted_unmount(&made, &done, &why));
	assert_false(done);
	assert_true(mounted_is_elsewhere(&made, place));
	assert_non_null(strstr(place, "t'"));
	assert_int_equal(umount2(at("t"), 0), 0);
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done);
	assert_false(mounted_is_elsewhere(&made, place));
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done);
	MUST(mounted_remove(&made, &why));
}

/* Whoever owns the directory above renames the target under our hands. */
static void a_mount_that_is_not_at_its_name_is_taken_away(void **state)
{
	auto_mounted made = record_of("/r", "mount", at("t"));
	auto_fd fd = -1, target = -1;
	struct stat before, after;

	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(mkdir(at("t"), 0700), 0);
	target = open(at("t"), O_PATH | O_CLOEXEC);
	assert_int_equal(fstat(target, &before), 0);
	assert_int_equal(rename(at("t"), at("away")), 0);
	assert_int_equal(mkdir(at("t"), 0700), 0);
	fd = open_tmpfs();
	MUST(mounted_create(&made, &why));
	REFUSED(ESTALE, "shows something else",
		mounted_attach(&made, fd, target, &why));
	assert_int_equal(stat(at("away"), &after), 0);
	assert_true(before.st_dev == after.st_dev);
	MUST(mounted_remove(&made, &why));
}

/* As each runtime does: with a copy of every mount. */
static int live_apart(void *ctx)
{
	(void)ctx;
	return unshare(CLONE_NEWNS);
}

/* Takes @fd. */
static void attach(struct mounted *made, int fd)
{
	auto_fd mount_fd = fd, target = -1;

	assert_int_equal(mkdir(at("t"), 0700), 0);
	target = open(at("t"), O_PATH | O_CLOEXEC);
	MUST(mounted_create(made, &why));
	MUST(mounted_attach(made, mount_fd, target, &why));
}

static void the_last_use_of_a_mount_is_told(void **state)
{
	auto_mounted made = record_of("/r", "mount", at("t"));
	struct helper helper;
	bool done;

	(void)state;
	if (getuid() != 0)
		skip();
	attach(&made, open_tmpfs());
	helper_start(&helper, live_apart, NULL);
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done);
	assert_true(made.watch_fd >= 0);
	assert_false(lastuse_wait(made.watch_fd, 50));
	helper_kill(&helper);
	assert_true(lastuse_wait(made.watch_fd, 10000));
	MUST(mounted_remove(&made, &why));
}

/* Takes the copies of all mounts away but that of the other namespace. */
static int see_from_apart(void *ctx)
{
	const struct mounted *made = ctx;
	char place[MOUNTED_PLACE_SIZE];

	if (unshare(CLONE_NEWNS) < 0 || umount2(made->target, 0) < 0)
		return errno;
	return mounted_is_elsewhere(made, place) &&
			       strstr(place,
				      "in the mount namespace of process")
		       ? 0
		       : 99;
}

static void a_mount_of_another_namespace_is_found(void **state)
{
	auto_mounted made = record_of("/r", "mount", at("t"));
	bool done;

	(void)state;
	if (getuid() != 0)
		skip();
	attach(&made, open_tmpfs());
	assert_int_equal(in_child(see_from_apart, &made), 0);
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done);
	MUST(mounted_remove(&made, &why));
}

static void a_last_use_of_our_own_is_told_at_once(void **state)
{
	auto_mounted made = record_of("/r", "mount", at("t"));
	bool done;

	(void)state;
	if (getuid() != 0)
		skip();
	attach(&made, open_tmpfs());
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(lastuse_wait(made.watch_fd, 0));
	MUST(mounted_remove(&made, &why));
}

/* Its file system stays mounted: to wait for that would be for nothing. */
static void a_bind_of_the_store_has_no_last_use(void **state)
{
	auto_mounted made = record_of("/r", "mount", at("t"));
	bool done;

	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(mkdir(at("fs"), 0700), 0);
	drop_free(&made.store);
	made.store = strdup(at("."));
	attach(&made, open_tree(AT_FDCWD, at("fs"),
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done);
	assert_int_equal(made.watch_fd, -1);
	MUST(mounted_remove(&made, &why));
}

/* A door that no runtime stands behind, and a directory of the record's. */
static struct mounted record_of_precreate(const char *id)
{
	return (struct mounted){
		.door = DOOR_PRECREATE,
		.runtime = strdup(""),
		.root = strdup(""),
		.id = strdup(id),
		.bundle = strdup(""),
		.key = strdup("key"),
		.store = strdup("/store"),
		.store_option = strdup(""),
		.config_option = strdup(""),
		.watch_fd = -1,
		.room_fd = -1,
		.fd = -1,
	};
}

static void without_a_runtime_the_caller_tells(void **state)
{
	auto_mounted made = record_of_precreate("caller");
	auto_mounted read = MOUNTED_INIT;

	(void)state;
	if (getuid() != 0)
		skip();
	MUST(mounted_create(&made, &why));
	assert_string_equal(made.name, "caller");
	mounted_clear(&made);
	MUST(mounted_open(DOOR_PRECREATE, "", "", "caller", MOUNTED_NOW, &read,
			  &why));
	assert_true(mounted_is_used(&read, true));
	assert_false(mounted_is_used(&read, false));
	read.caller[strlen(read.caller) - 1] ^= 1; /* of another boot */
	assert_false(mounted_is_used(&read, true));
	MUST(mounted_remove(&read, &why));
}

/* Needs root: a mount. */
static void nothing_else_may_lie_on_a_target_of_its_own(void **state)
{
	auto_mounted made = record_of_precreate("own");
	auto_fd fd = -1, target = -1;
	bool done;

	(void)state;
	if (getuid() != 0)
		skip();
	fd = open_tmpfs();
	MUST(mounted_create(&made, &why));
	MUST(mounted_own_target(&made, getegid(), &target, &why));
	MUST(mounted_attach(&made, fd, target, &why));
	drop_fd(&fd);
	drop_fd(&target);
	assert_false(mounted_is_used(&made, false));
	assert_int_equal(mount("none", made.target, "tmpfs", 0, NULL), 0);
	assert_int_equal(mounted_unmount(&made, &done, &why), -EBUSY);
	assert_non_null(strstr(why.msg, "not what its record says"));
	assert_int_equal(umount2(made.target, 0), 0);
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done);
	MUST(mounted_unmount(&made, &done, &why));
	assert_true(done);
	MUST(mounted_remove(&made, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(what_is_written_is_read_again),
		TEST_IN_DIR(a_second_record_of_a_container_is_refused),
		TEST_IN_DIR(an_id_that_is_no_name_is_refused),
		TEST_IN_DIR(a_target_belongs_to_one),
		TEST_IN_DIR(a_record_that_is_worked_on_is_left_alone),
		TEST_IN_DIR(a_torn_record_is_nothing_or_refused),
		TEST_IN_DIR(want_of_descriptors_tears_no_record),
		TEST_IN_DIR(only_the_recorded_mount_is_unmounted),
		TEST_IN_DIR(a_mount_that_is_not_at_its_name_is_taken_away),
		TEST_IN_DIR(the_last_use_of_a_mount_is_told),
		TEST_IN_DIR(a_mount_of_another_namespace_is_found),
		TEST_IN_DIR(a_last_use_of_our_own_is_told_at_once),
		TEST_IN_DIR(a_bind_of_the_store_has_no_last_use),
		TEST_IN_DIR(without_a_runtime_the_caller_tells),
		TEST_IN_DIR(nothing_else_may_lie_on_a_target_of_its_own),
	};

	return cmocka_run_group_tests(tests, own_run, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A refusal because something is busy names who it is: real processes, in
 * real namespaces.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char target[PATH_MAX];

static int mount_spec(void *ctx, const struct shale_mount_spec *spec)
{
	return shale_mount(spec, ctx, &why) < 0;
}

/* The active "k" on "base", mounted at @target. */
static void mount_k(void)
{
	needs_mounts();
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(target, sizeof(target), "%s", at("mnt"));
	make_dir(target);
	MUST(shale_mounts(store, "k", mount_spec, target, &why));
}

/* ---- umount ---- */

static int work_in_it(void *ctx)
{
	return chdir(ctx);
}

static int root_in_it(void *ctx)
{
	return chroot(ctx);
}

static int file_of_it(const char *dir, int flags)
{
	char path[PATH_MAX + 8];

	(void)snprintf(path, sizeof(path), "%s/file", dir);
	return open(path, flags | O_CLOEXEC);
}

static int open_in_it(void *ctx)
{
	return file_of_it(ctx, O_RDONLY) < 0 ? -1 : 0;
}

static int map_in_it(void *ctx)
{
	int fd = file_of_it(ctx, O_RDONLY);
	void *at_it = mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd, 0);

	(void)close(fd);
	return at_it == MAP_FAILED ? -1 : 0;
}

static void check_umount_names(int (*act)(void *ctx), const char *what)
{
	struct helper helper;
	char sentence[128];

	mount_k();
	helper_start(&helper, act, target);
	(void)snprintf(sentence, sizeof(sentence),
		       "process %ld (holders_test) %s", (long)helper.pid, what);
	REFUSED(EBUSY, sentence, shale_unmount(target, &why));
	helper_stop(&helper);
	MUST(shale_unmount(target, &why));
}

static void umount_names_who_works_in_it(void **state)
{
	(void)state;
	check_umount_names(work_in_it, "has its working directory in it");
}

static void umount_names_who_has_its_root_in_it(void **state)
{
	(void)state;
	check_umount_names(root_in_it, "has its root directory in it");
}

static void umount_names_who_has_a_file_open(void **state)
{
	(void)state;
	check_umount_names(open_in_it, "has a file of it open");
}

static void umount_names_who_has_a_file_mapped(void **state)
{
	(void)state;
	check_umount_names(map_in_it, "has a file of it mapped");
}

static void umount_names_what_is_mounted_in_it(void **state)
{
	char inner[PATH_MAX + 16];

	(void)state;
	mount_k();
	(void)snprintf(inner, sizeof(inner), "%s/in side", target);
	make_dir(inner);
	assert_int_equal(mount("none", inner, "tmpfs", 0, NULL), 0);
	REFUSED(EBUSY, "mnt/in side' is mounted in it",
		shale_unmount(target, &why));
	assert_int_equal(umount(inner), 0);
	MUST(shale_unmount(target, &why));
}

/* ---- the upper ---- */

static void commit_says_where_the_overlay_is(void **state)
{
	(void)state;
	mount_k();
	REFUSED(EBUSY, "an overlay is mounted on it, at '",
		shale_commit(store, "n", "k", NULL, &why));
	assert_non_null(strstr(why.msg, "/mnt': unmount that first"));
	assert_null(strstr(why.msg, "namespace"));
	REFUSED(EBUSY, "/mnt'", shale_in_use(store, "k", &why));
	REFUSED(EBUSY, "/mnt'",
		shale_mounts_exclusive(store, "k", mount_spec, target, &why));
	MUST(shale_unmount(target, &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

/* Mounts it where nobody else can see it. */
static int mount_apart(void *ctx)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return -1;
	return shale_mounts(open_more(NULL, NULL), "k", mount_spec, ctx, &why);
}

static void commit_says_in_whose_namespace_the_overlay_is(void **state)
{
	struct helper helper;
	char sentence[128];

	(void)state;
	needs_mounts();
	make_layer("base", NULL);
	MUST(shale_prepare(store, "k", "base", NULL, &why));
	(void)snprintf(target, sizeof(target), "%s", at("mnt"));
	make_dir(target);
	helper_start(&helper, mount_apart, target);
	(void)snprintf(sentence, sizeof(sentence),
		       "in the mount namespace of process %ld (holders_test)",
		       (long)helper.pid);
	REFUSED(EBUSY, sentence, shale_commit(store, "n", "k", NULL, &why));
	helper_kill(&helper);
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

/* By hand, with a work directory of its own or that of "k". */
static void mount_beside(const char *work)
{
	char data[3 * PATH_MAX];

	make_dir(at("upper"));
	(void)snprintf(target, sizeof(target), "%s", at("mnt"));
	make_dir(target);
	(void)snprintf(data, sizeof(data),
		       "lowerdir=%s,upperdir=%s,workdir=%s,index=off",
		       of_name("base", "fs"), at("upper"), work);
	assert_int_equal(mount("overlay", target, "overlay", 0, data), 0);
}

/* The upper is asked for, not what lies beside it. */
static void who_has_its_work_directory_alone_is_no_user(void **state)
{
	(void)state;
	mount_k();
	MUST(shale_unmount(target, &why)); /* so that it is touched */
	assert_int_equal(rmdir(target), 0);
	mount_beside(of_key("k", "work"));
	MUST(shale_in_use(store, "k", &why));
	MUST(shale_unmount(target, &why));
}

/* ---- the kernel's log ---- */

/* Lines of overlayfs from here to the end. */
static int count_lines(int fd)
{
	char line[8192];
	int count = 0;
	ssize_t n;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[n > 0 ? n : 0] = '\0';
		count += strstr(line, "overlayfs: ") != NULL;
		errno = 0;
	}
	return count;
}

/* How many there are in the quietest of some tries: others log as well. */
static int count_while_asking(int kmsg_fd, int expected)
{
	int least = INT_MAX;

	for (int try = 0; try < 50 && least > 0; try++) {
		int count;

		assert_true(lseek(kmsg_fd, 0, SEEK_END) >= 0);
		assert_int_equal(shale_in_use(store, "k", NULL), expected);
		count = count_lines(kmsg_fd);
		least = count < least ? count : least;
	}
	return least;
}

static void asking_for_what_nobody_has_logs_nothing(void **state)
{
	int fd;

	(void)state;
	needs_root();
	if (is_denied("fsopen"))
		skip_because("without fsopen(2) each question is logged");
	mount_k();
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(count_while_asking(fd, -EBUSY) > 0);
	MUST(shale_unmount(target, &why));
	assert_int_equal(count_while_asking(fd, 0), 0);
	assert_int_equal(close(fd), 0);
}

/* ---- a container on record ---- */

static int nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

static void all_refusals_name_the_container_and_its_process(void **state)
{
	struct helper helper;
	char sentence[128];

	(void)state;
	make_layer("base", NULL);
	helper_start(&helper, nothing, NULL);
	{
		const char *const labels[] = { SHALE_LABEL_USER,
					       user_text(helper.pid, "web-1"),
					       NULL };
		const struct shale_opts opts = { .size = sizeof(opts),
						 .labels = labels };

		MUST(shale_prepare(store, "k", "base", &opts, &why));
	}
	(void)snprintf(sentence, sizeof(sentence),
		       "container 'web-1' (process %ld) uses it",
		       (long)helper.pid);
	REFUSED(EBUSY, sentence, shale_remove(store, "k", &why));
	REFUSED(EBUSY, sentence, shale_commit(store, "n", "k", NULL, &why));
	REFUSED(EBUSY, sentence, shale_in_use(store, "k", &why));
	REFUSED(EBUSY, sentence,
		shale_mounts_exclusive(store, "k", mount_spec, target, &why));
	helper_kill(&helper);
	MUST(shale_in_use(store, "k", &why));
	MUST(shale_remove(store, "k", &why));
}

/* The boot id is another one: whatever process has the pid now is another. */
static void after_a_reboot_nobody_uses_it(void **state)
{
	char text[256], *boot;
	const char *const labels[] = { SHALE_LABEL_USER, text, NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };

	(void)state;
	(void)snprintf(text, sizeof(text), "%s", user_text(getpid(), "web"));
	boot = strchr(strchr(text, ' ') + 1, ' ') + 1;
	*boot = *boot == '0' ? '1' : '0';
	MUST(shale_prepare(store, "k", NULL, &opts, &why));
	MUST(shale_in_use(store, "k", &why));
	MUST(shale_commit(store, "n", "k", NULL, &why));
}

/* ---- the lock ---- */

static void a_stopped_holder_of_the_lock_is_named(void **state)
{
	static char path[PATH_MAX];
	struct shale_store *patient =
		open_more(NULL, "lock_timeout_ms", "100", NULL);
	struct helper helper;
	char sentence[128];
	int status;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", at("store/lock"));
	helper_start(&helper, flock_path, path);
	(void)snprintf(
		sentence, sizeof(sentence),
		"not had within 100 ms: process %ld (holders_test) holds it",
		(long)helper.pid);
	REFUSED(ETIMEDOUT, sentence,
		shale_prepare(patient, "k", NULL, NULL, &why));
	assert_int_equal(kill(helper.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(helper.pid, &status, WUNTRACED), helper.pid);
	assert_true(WIFSTOPPED(status));
	(void)snprintf(sentence, sizeof(sentence),
		       "process %ld (holders_test), which is stopped, holds it",
		       (long)helper.pid);
	REFUSED(ETIMEDOUT, sentence,
		shale_prepare(patient, "k", NULL, NULL, &why));
	/* Whoever only reads does not wait for it. */
	MUST(shale_check(patient, 0, NULL, NULL, &why));
	assert_int_equal(kill(helper.pid, SIGCONT), 0);
	helper_stop(&helper);
	MUST(shale_prepare(patient, "k", NULL, NULL, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_STORE(umount_names_who_works_in_it),
		TEST_IN_STORE(umount_names_who_has_its_root_in_it),
		TEST_IN_STORE(umount_names_who_has_a_file_open),
		TEST_IN_STORE(umount_names_who_has_a_file_mapped),
		TEST_IN_STORE(umount_names_what_is_mounted_in_it),
		TEST_IN_STORE(commit_says_where_the_overlay_is),
		TEST_IN_STORE(commit_says_in_whose_namespace_the_overlay_is),
		TEST_IN_STORE(who_has_its_work_directory_alone_is_no_user),
		TEST_IN_STORE(asking_for_what_nobody_has_logs_nothing),
		TEST_IN_STORE(all_refusals_name_the_container_and_its_process),
		TEST_IN_STORE(after_a_reboot_nobody_uses_it),
		TEST_IN_STORE(a_stopped_holder_of_the_lock_is_named),
	};

	return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}

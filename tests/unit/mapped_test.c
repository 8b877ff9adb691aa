/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mounts for a user namespace: each test runs with both engines.  What a
 * container sees is seen by tests/e2e/userns.sh; here the host looks.
 */
#include "fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsid.h"
#include "mount.h"
#include "scope.h"
#include "userns.h"

#define MAP "0:100000:1000,1000:300000:10"
#define UIDMAP "uidmap=" MAP
#define GIDMAP "gidmap=0:200000:65536"

static int setattr_errno; /* what idmapping fails with; 0: it works */

int mount_setattr(int dir_fd, const char *path, unsigned flags,
		  struct mount_attr *attr, size_t size)
{
	int (*real)(int, const char *, unsigned, struct mount_attr *, size_t) =
		(int (*)(int, const char *, unsigned, struct mount_attr *,
			 size_t))dlsym(RTLD_NEXT, "mount_setattr");

	if (setattr_errno == ENOSYS ||
	    (setattr_errno && (attr->attr_set & MOUNT_ATTR_IDMAP))) {
		errno = setattr_errno;
		return -1;
	}
	return real(dir_fd, path, flags, attr, size);
}

static int setup(void **state)
{
	(void)setenv("SHALE_MOUNT_ENGINE", *state, 1);
	return setup_store(state);
}

static int end(void **state)
{
	(void)umount2(at("m"), MNT_DETACH);
	setattr_errno = 0;
	(void)unsetenv("SHALE_MOUNT_ENGINE");
	return teardown(state);
}

/* ---- mounts ---- */

static void make_owned(const char *path, uid_t uid, mode_t mode)
{
	make_file(path, "text");
	assert_int_equal(chown(path, uid, uid), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* Directories l0, l1, ..., each with a file of root's and one of 1000's. */
static void make_lowers(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		make_dir(at("l%u", i));
		make_owned(at("l%u/root%u", i, i), 0, 04755);
		make_owned(at("l%u/user%u", i, i), 1000, 0600);
	}
	make_dir(at("m"));
	make_dir(at("upper"));
	make_dir(at("work"));
}

static int mount_options(const char *type, const char *source,
			 const char *const *options)
{
	const struct shale_mount_spec spec = { sizeof(spec), 0, type, source,
					       options };

	return shale_mount(&spec, at("m"), &why);
}

static int mount_writable(const char *lowers)
{
	char lower[2 * PATH_MAX], upper[PATH_MAX], work[PATH_MAX];
	const char *const options[] = { work,	lower,	"index=off", upper,
					UIDMAP, GIDMAP, NULL };

	(void)snprintf(lower, sizeof(lower), "lowerdir=%s", lowers);
	(void)snprintf(upper, sizeof(upper), "upperdir=%s", at("upper"));
	(void)snprintf(work, sizeof(work), "workdir=%s", at("work"));
	return mount_options("overlay", "overlay", options);
}

static void check_owner(const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		fail_msg("'%s': %s", path, strerror(errno));
	if (st.st_uid != uid || st.st_gid != gid ||
	    (st.st_mode & 07777) != mode)
		fail_msg("'%s' is %u:%u %o", path, st.st_uid, st.st_gid,
			 st.st_mode & 07777);
}

/* As a process of the container would, who is @id there. */
static int create_as(uid_t uid, gid_t gid, const char *path)
{
	int fd, r;

	assert_int_equal(fsid_become(uid, gid), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	r = fd < 0 ? -errno : 0;
	fsid_restore();
	drop_fd(&fd);
	return r;
}

static void check_is_written_mapped(void)
{
	assert_int_equal(create_as(100000, 200000, at("m/new")), 0);
	check_owner(at("m/new"), 100000, 200000, 0644);
	check_owner(at("upper/new"), 0, 0, 0644);
}

static void owners_are_mapped_and_written_back(void **state)
{
	(void)state;
	make_lowers(2);
	MUST(mount_writable(at("l0:%s", at("l1"))));
	for (unsigned i = 0; i < 2; i++) {
		check_owner(at("m/root%u", i), 100000, 200000, 04755);
		check_owner(at("m/user%u", i), 300000, 201000, 0600);
	}
	check_is_written_mapped();
	assert_int_equal(chown(at("m/new"), 300005, 200007), 0);
	check_owner(at("upper/new"), 1005, 7, 0644);
	/* The host's root is nobody in there. */
	assert_int_equal(open(at("m/host"), O_CREAT | O_WRONLY | O_CLOEXEC, 0),
			 -1);
	assert_int_equal(errno, EOVERFLOW);
	check_owner(at("l0/root0"), 0, 0, 04755);
}

static void an_unmapped_owner_is_nobody(void **state)
{
	(void)state;
	make_lowers(1);
	make_owned(at("l0/far"), 70000, 0644);
	MUST(mount_writable(at("l0")));
	check_owner(at("m/far"), 65534, 65534, 0644);
}

static void directories_far_apart_are_mapped_each(void **state)
{
	(void)state;
	make_lowers(2);
	make_dir(at("other"));
	assert_int_equal(mount("other", at("other"), "tmpfs", 0, NULL), 0);
	make_dir(at("other/l"));
	make_owned(at("other/l/far"), 0, 0644);
	MUST(mount_writable(at("l0:%s", at("other/l"))));
	check_owner(at("m/root0"), 100000, 200000, 04755);
	check_owner(at("m/far"), 100000, 200000, 0644);
	check_is_written_mapped();
	MUST(shale_unmount(at("m"), &why));
	(void)umount(at("other"));
}

/* The directory that they have in common is then not above the layer. */
static void a_layer_behind_a_link_is_mapped(void **state)
{
	(void)state;
	make_lowers(1);
	make_dir(at("far"));
	make_dir(at("far/l"));
	make_owned(at("far/l/far"), 0, 0644);
	make_dir(at("near"));
	make_dir(at("near/l"));
	make_owned(at("near/l/near"), 0, 0644);
	make_link(at("near/link"), at("far/l"));
	{
		char lower[2 * PATH_MAX];
		const char *const options[] = { lower, UIDMAP, GIDMAP, NULL };

		(void)snprintf(lower, sizeof(lower), "lowerdir=%s:%s",
			       at("near/l"), at("near/link"));
		MUST(mount_options("overlay", "overlay", options));
	}
	check_owner(at("m/near"), 100000, 200000, 0644);
	check_owner(at("m/far"), 100000, 200000, 0644);
}

/* What a mount hides is in the directory that all have in common. */
static void a_layer_that_is_mounted_over_is_mapped(void **state)
{
	struct stat st;

	(void)state;
	make_lowers(2);
	make_dir(at("over"));
	make_owned(at("over/shown"), 1000, 0644);
	assert_int_equal(mount(at("over"), at("l1"), NULL, MS_BIND, NULL), 0);
	MUST(mount_writable(at("l0:%s", at("l1"))));
	check_owner(at("m/root0"), 100000, 200000, 04755);
	check_owner(at("m/shown"), 300000, 201000, 0644);
	assert_int_equal(lstat(at("m/root1"), &st), -1);
	MUST(shale_unmount(at("m"), &why));
	(void)umount(at("l1"));
}

/* It is left out of a clone of the directory that all have in common. */
static void a_layer_on_an_unbindable_mount_is_mapped(void **state)
{
	(void)state;
	make_lowers(2);
	make_dir(at("over"));
	make_owned(at("over/shown"), 1000, 0644);
	assert_int_equal(mount(at("over"), at("l1"), NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, at("l1"), NULL, MS_UNBINDABLE, NULL), 0);
	MUST(mount_writable(at("l0:%s", at("l1"))));
	check_owner(at("m/root0"), 100000, 200000, 04755);
	check_owner(at("m/shown"), 300000, 201000, 0644);
	MUST(shale_unmount(at("m"), &why));
	(void)umount(at("l1"));
}

static void a_bind_is_mapped(void **state)
{
	const char *const rw[] = { "rw", "rbind", UIDMAP, GIDMAP, NULL };
	const char *const ro[] = { "ro", "rbind", UIDMAP, GIDMAP, NULL };

	(void)state;
	make_lowers(1);
	MUST(mount_options("bind", at("l0"), rw));
	check_owner(at("m/root0"), 100000, 200000, 04755);
	assert_int_equal(create_as(100000, 200000, at("m/new")), 0);
	check_owner(at("l0/new"), 0, 0, 0644);
	MUST(shale_unmount(at("m"), &why));
	MUST(mount_options("bind", at("l0"), ro));
	check_owner(at("m/user0"), 300000, 201000, 0600);
	assert_int_equal(create_as(100000, 200000, at("m/more")), -EROFS);
}

static void a_kernel_that_cannot_is_named(void **state)
{
	static const int codes[] = { EINVAL, EOPNOTSUPP };

	(void)state;
	make_lowers(1);
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		setattr_errno = codes[i];
		REFUSED(EOPNOTSUPP, " need Linux ", mount_writable(at("l0")));
		REFUSED(EOPNOTSUPP, here, mount_writable(at("l0")));
	}
	setattr_errno = ENOSYS; /* by a filter: the version would say nothing */
	REFUSED(EOPNOTSUPP, "no mount_setattr(2) here (Linux 5.12)",
		mount_writable(at("l0")));
	setattr_errno = EPERM;
	REFUSED(EPERM, "the host's root alone maps ids",
		mount_writable(at("l0")));
}

static void a_file_system_that_cannot_is_named(void **state)
{
	(void)state;
	make_lowers(1);
	make_dir(at("ram"));
	assert_int_equal(mount("ram", at("ram"), "ramfs", 0, NULL), 0);
	make_dir(at("ram/l"));
	REFUSED(EOPNOTSUPP, "ramfs, is not known to have idmapped mounts",
		mount_writable(at("l0:%s", at("ram/l"))));
	(void)umount(at("ram"));
}

/* ---- a store's ---- */

static const struct shale_opts mapped_opts = {
	.size = sizeof(mapped_opts),
	.labels = (const char *const[]){ SHALE_LABEL_UIDMAP, MAP,
					 SHALE_LABEL_GIDMAP, "0:200000:65536",
					 NULL },
};

static int mount_emitted(void *ctx, const struct shale_mount_spec *spec)
{
	(void)ctx;
	return shale_mount(spec, at("m"), &why) < 0;
}

static void depths_and_kinds_are_mapped(void **state)
{
	static const unsigned depths[] = { 1, 2, 10, 120 };
	char name[16], parent[16] = "";
	unsigned made = 0;

	(void)state;
	make_dir(at("m"));
	MUST(shale_prepare(store, "alone", NULL, &mapped_opts, &why));
	MUST(shale_mounts(store, "alone", mount_emitted, NULL, &why));
	check_owner(at("m"), 100000, 200000, 0755);
	MUST(shale_unmount(at("m"), &why));
	for (size_t i = 0; i < sizeof(depths) / sizeof(*depths); i++) {
		for (; made < depths[i]; made++) {
			(void)snprintf(name, sizeof(name), "%u", made);
			make_layer(name, parent);
			(void)strcpy(parent, name);
		}
		MUST(shale_prepare(store, "k", parent, &mapped_opts, &why));
		MUST(shale_mounts(store, "k", mount_emitted, NULL, &why));
		check_owner(at("m"), 100000, 200000, 0755);
		assert_int_equal(create_as(100000, 200000, at("m/new")), 0);
		check_owner(of_key("k", "fs/new"), 0, 0, 0644);
		MUST(shale_unmount(at("m"), &why));
		MUST(shale_remove(store, "k", &why));
		MUST(shale_view(store, "v", parent, &mapped_opts, &why));
		MUST(shale_mounts(store, "v", mount_emitted, NULL, &why));
		check_owner(at("m"), 100000, 200000, 0755);
		MUST(shale_unmount(at("m"), &why));
		MUST(shale_remove(store, "v", &why));
	}
}

/* ---- the namespace ---- */

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static volatile sig_atomic_t children;

static void on_child(int number)
{
	(void)number;
	children++;
}

static const struct idmaps *maps(void)
{
	static struct idmaps both;

	if (!both.uid)
		MUST(idmaps_parse(MAP, "0:200000:65536", &both, &why));
	return &both;
}

static void a_host_notices_nothing(void **state)
{
	struct sigaction action = { .sa_handler = on_child }, before;
	const unsigned descriptors = count_descriptors();

	(void)state;
	(void)maps();
	children = 0;
	assert_int_equal(sigaction(SIGCHLD, &action, &before), 0);
	for (int i = 0; i < 20; i++) {
		auto_fd fd = -1;

		MUST(userns_open(maps(), &fd, &why));
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(children, 0);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
	assert_int_equal(count_descriptors(), descriptors);
}

static void a_host_that_ignores_children_may_call(void **state)
{
	struct sigaction action = { .sa_handler = SIG_IGN,
				    .sa_flags = SA_NOCLDWAIT },
			 before;
	auto_fd fd = -1;

	(void)state;
	assert_int_equal(sigaction(SIGCHLD, &action, &before), 0);
	MUST(userns_open(maps(), &fd, &why));
	assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
}

static void *open_many(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 25; i++) {
		auto_fd fd = -1;

		if (userns_open(maps(), &fd, NULL) < 0)
			return (void *)1;
	}
	return NULL;
}

static void threads_may_call_at_once(void **state)
{
	pthread_t threads[4];

	(void)state;
	(void)maps();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, open_many, NULL), 0);
	for (size_t i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

static void a_caller_keeps_ids_and_namespaces(void **state)
{
	struct stat before, after;
	const unsigned descriptors = count_descriptors();

	(void)state;
	make_lowers(1);
	assert_int_equal(stat("/proc/thread-self/ns/mnt", &before), 0);
	MUST(mount_writable(at("l0")));
	MUST(shale_unmount(at("m"), &why));
	setattr_errno = EINVAL;
	assert_int_equal(mount_writable(at("l0")), -EOPNOTSUPP);
	assert_int_equal(stat("/proc/thread-self/ns/mnt", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	make_file(at("mine"), "");
	check_owner(at("mine"), 0, 0, 0644);
	assert_int_equal(count_descriptors(), descriptors);
}

/* To have other ids takes the first of them, and gives back the effective. */
static void a_caller_keeps_its_signals_and_file_ids(void **state)
{
	sigset_t mask;
	int death_signal = 0;

	(void)state;
	make_lowers(1);
	assert_int_equal(prctl(PR_SET_PDEATHSIG, SIGUSR1), 0);
	MUST(mount_writable(at("l0")));
	MUST(shale_unmount(at("m"), &why));
	assert_int_equal(prctl(PR_GET_PDEATHSIG, &death_signal), 0);
	assert_int_equal(death_signal, SIGUSR1);
	assert_int_equal(prctl(PR_SET_PDEATHSIG, 0), 0);
	(void)setfsgid(7);
	MUST(mount_writable(at("l0")));
	assert_int_equal(setfsgid(0), 7);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
	assert_int_equal(sigismember(&mask, SIGTERM), 0);
}

static struct shale_error thread_errors[4];

static void *mount_many(void *ctx)
{
	const size_t number = (size_t)ctx;
	char lower[3 * PATH_MAX], target[2 * PATH_MAX];
	const char *const options[] = { lower, UIDMAP, GIDMAP, NULL };
	const struct shale_mount_spec spec = { sizeof(spec), 0, "overlay",
					       "overlay", options };
	int r = 0;

	(void)snprintf(lower, sizeof(lower), "lowerdir=%s/l0:%s/l1", here,
		       here);
	(void)snprintf(target, sizeof(target), "%s/m%zu", here, number);
	for (int i = 0; r == 0 && i < 25; i++) {
		r = shale_mount(&spec, target, &thread_errors[number]);
		if (r == 0)
			r = shale_unmount(target, &thread_errors[number]);
	}
	return r < 0 || setfsuid((uid_t)-1) != 0 ? (void *)1 : NULL;
}

static void threads_may_mount_at_once(void **state)
{
	pthread_t threads[4];

	(void)state;
	make_lowers(2);
	for (size_t i = 0; i < 4; i++)
		make_dir(at("m%zu", i));
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, mount_many,
						(void *)i),
				 0);
	for (size_t i = 0; i < 4; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		if (failed)
			fail_msg("%s", thread_errors[i].msg);
	}
}

#define WITH(engine, f)                                           \
	{                                                         \
#f " with " engine, f, setup, end, (void *)engine \
	}
#define BOTH(f) WITH("fsmount", f), WITH("libmount", f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(owners_are_mapped_and_written_back),
		BOTH(an_unmapped_owner_is_nobody),
		BOTH(directories_far_apart_are_mapped_each),
		BOTH(a_layer_behind_a_link_is_mapped),
		BOTH(a_layer_that_is_mounted_over_is_mapped),
		BOTH(a_layer_on_an_unbindable_mount_is_mapped),
		BOTH(a_bind_is_mapped),
		BOTH(a_kernel_that_cannot_is_named),
		BOTH(a_file_system_that_cannot_is_named),
		BOTH(depths_and_kinds_are_mapped),
		TEST_IN_DIR(a_host_notices_nothing),
		TEST_IN_DIR(a_host_that_ignores_children_may_call),
		TEST_IN_DIR(threads_may_call_at_once),
		BOTH(threads_may_mount_at_once),
		BOTH(a_caller_keeps_ids_and_namespaces),
		BOTH(a_caller_keeps_its_signals_and_file_ids),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
		(void)puts("1..0 # SKIP needs root and a mount namespace");
		return 0;
	}
	if (!mount_fsmount_is_here())
		cmocka_set_skip_filter("*fsmount");
	return cmocka_run_group_tests_name("mapped", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Contestant: the system calls without which there is no such mount, and
 * nothing else: no check before, no look afterwards, no error told twice.
 *
 *	mount layers=N		fsopen, fsconfig for each directory, create,
 *				fsmount, move_mount; umount2
 *	mount-mapped layers=N	a user namespace; one idmapped clone of what
 *				all directories are in; each of them opened in
 *				it and given by descriptor; the rights of the
 *				mapped root while the overlay is created
 *
 * The directories lie as in a store, so that the kernel resolves as much.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contestant.h"

#define MAP "0 100000 65536"
#define MAPPED_ROOT 100000

extern int umount2(const char *target, int flags);

static char **lowers, *upper, *work, *target, *above;
static size_t count;

/* glibc's names for these need its own header, which linux/mount.h bars. */
static int fs_config(int fd, unsigned int cmd, const char *key,
		     const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

static int attach(int fs_fd)
{
	int fd, r;

	if (fs_config(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return contest_fail_errno("create");
	fd = (int)syscall(SYS_fsmount, fs_fd, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		return contest_fail_errno("fsmount");
	r = (int)syscall(SYS_move_mount, fd, "", AT_FDCWD, target,
			 MOVE_MOUNT_F_EMPTY_PATH);
	(void)close(fd);
	return r < 0 ? contest_fail_errno("move_mount") : 0;
}

/* ---- plain ---- */

static int mount_plain(void)
{
	int fs_fd = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC), r = 0;

	for (size_t i = 0; i < count; i++)
		r |= fs_config(fs_fd, FSCONFIG_SET_STRING, "lowerdir+",
			       lowers[i], 0);
	r |= fs_config(fs_fd, FSCONFIG_SET_STRING, "upperdir", upper, 0);
	r |= fs_config(fs_fd, FSCONFIG_SET_STRING, "workdir", work, 0);
	r = r < 0 ? contest_fail_errno("fsconfig") : attach(fs_fd);
	(void)close(fs_fd);
	return r;
}

static int once_plain(uint64_t *ret_ns)
{
	const uint64_t start = contest_now();

	if (mount_plain() < 0)
		return -1;
	if (umount2(target, 0) < 0)
		return contest_fail_errno("umount2");
	*ret_ns = contest_now() - start;
	return 0;
}

/* ---- mapped ---- */

static int write_map(pid_t pid, const char *name)
{
	char path[64];
	int fd, r;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	r = write(fd, MAP, strlen(MAP)) < 0 ? -1 : 0;
	(void)close(fd);
	return r;
}

static int die(void *ctx)
{
	(void)ctx;
	return 0;
}

/* The files in /proc of who has ended stay until it is waited for. */
static int open_userns(void)
{
	static _Alignas(16) char stack[4096];
	pid_t pid = clone(die, stack + sizeof(stack),
			  CLONE_NEWUSER | CLONE_VM | CLONE_VFORK | CLONE_FILES,
			  NULL);
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (write_map(pid, "uid_map") < 0 || write_map(pid, "gid_map") < 0)
		fd = -1;
	(void)waitpid(pid, NULL, __WALL);
	return fd;
}

/* Of the thread alone; the effective capabilities go with fsuid 0. */
static int raise_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3,
						   0 };
	struct __user_cap_data_struct sets[2];

	if (syscall(SYS_capget, &header, sets) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		sets[i].effective = sets[i].permitted;
	return (int)syscall(SYS_capset, &header, sets);
}

static int give(int fs_fd, const char *key, int clone_fd, const char *path)
{
	const int fd = openat(clone_fd, path + strlen(above) + 1,
			      O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int r = fs_config(fs_fd, FSCONFIG_SET_FD, key, NULL, fd);

	(void)close(fd);
	return r;
}

static int mount_mapped(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	const int userns_fd = open_userns();
	const int clone_fd = (int)syscall(SYS_open_tree, AT_FDCWD, above,
					  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	const int fs_fd = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
	int r = 0;

	attr.userns_fd = (uint64_t)userns_fd;
	r |= (int)syscall(SYS_mount_setattr, clone_fd, "", AT_EMPTY_PATH, &attr,
			  sizeof(attr));
	for (size_t i = 0; i < count; i++)
		r |= give(fs_fd, "lowerdir+", clone_fd, lowers[i]);
	r |= give(fs_fd, "upperdir", clone_fd, upper);
	r |= give(fs_fd, "workdir", clone_fd, work);
	(void)setfsgid(MAPPED_ROOT);
	(void)setfsuid(MAPPED_ROOT);
	r |= raise_capabilities();
	r = r < 0 ? contest_fail_errno("map") : attach(fs_fd);
	(void)setfsuid(0);
	(void)setfsgid(0);
	(void)close(fs_fd);
	(void)close(clone_fd);
	(void)close(userns_fd);
	return r;
}

static int once_mapped(uint64_t *ret_ns)
{
	const uint64_t start = contest_now();

	if (mount_mapped() < 0)
		return -1;
	if (umount2(target, 0) < 0)
		return contest_fail_errno("umount2");
	*ret_ns = contest_now() - start;
	return 0;
}

/* ---- directories as in a store ---- */

/* With all above it; to be freed. */
static __attribute__((format(printf, 1, 2))) char *make_dir(const char *fmt,
							    ...)
{
	char *path = NULL;
	va_list args;
	int r;

	va_start(args, fmt);
	r = vasprintf(&path, fmt, args);
	va_end(args);
	if (r < 0)
		return NULL;
	for (char *at = path; (at = strchr(at + 1, '/')); *at = '/') {
		*at = '\0';
		(void)mkdir(path, 0755);
	}
	(void)mkdir(path, 0755);
	return path;
}

static int set_up(const struct contest *contest)
{
	const char *dir = contest->dir;

	count = (size_t)contest_number(contest, "layers", 10);
	lowers = calloc(count, sizeof(*lowers));
	if (contest_alone() < 0 || !lowers ||
	    asprintf(&above, "%s/store", dir) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		lowers[i] = make_dir("%s/store/snapshots/%032zx/fs", dir,
				     count - i);
	upper = make_dir("%s/store/active/%032zx/fs", dir, (size_t)1);
	work = make_dir("%s/store/active/%032zx/work", dir, (size_t)1);
	target = make_dir("%s/target", dir);
	return 0;
}

static int set_up_mapped(const struct contest *contest)
{
	return set_up(contest);
}

static void tear_down(void)
{
	for (size_t i = 0; lowers && i < count; i++)
		free(lowers[i]);
	free(lowers);
	free(upper);
	free(work);
	free(target);
	free(above);
	lowers = NULL;
	upper = work = target = above = NULL;
}

int main(int argc, char **argv)
{
	static const struct contest_row rows[] = {
		{ "mount", set_up, once_plain, tear_down, NULL },
		{ "mount-mapped", set_up_mapped, once_mapped, tear_down, NULL },
	};

	return contest_main(argc, argv, rows, sizeof(rows) / sizeof(*rows));
}

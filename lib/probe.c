/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The question whether an upper is in use: see probe.h.
 *
 * It is a request for an overlay that can't be, since its work directory is
 * its upper.  The kernel looks first whether the upper is in use, which
 * index=on makes an EBUSY, and finds the nonsense, EINVAL, before it creates
 * anything.
 */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scope.h"

#define FD_PATH_SIZE (sizeof("/proc/self/fd/") + 3 * sizeof(int))

static int ask_by_fsopen(const char *upper)
{
	static const char *const dirs[] = { "lowerdir", "upperdir", "workdir" };
	auto_fd fd = fsopen("overlay", FSOPEN_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (fsconfig(fd, FSCONFIG_SET_STRING, dirs[i], upper, 0) < 0)
			return -errno;
	if (fsconfig(fd, FSCONFIG_SET_STRING, "index", "on", 0) < 0 ||
	    fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	return -EINVAL;
}

/* Until 5.2 there is no fsopen.  The target stays as it is. */
static int ask_by_mount(const char *upper)
{
	char data[3 * FD_PATH_SIZE + 64];

	(void)snprintf(data, sizeof(data),
		       "lowerdir=%s,upperdir=%s,workdir=%s,index=on", upper,
		       upper, upper);
	return mount("overlay", upper, "overlay", 0, data) < 0 ? -errno
							       : -EINVAL;
}

/* EINVAL is the nonsense found: nobody has the upper. */
static int ask(int fd)
{
	char upper[FD_PATH_SIZE];
	int r;

	(void)snprintf(upper, sizeof(upper), "/proc/self/fd/%d", fd);
	r = ask_by_fsopen(upper);
	if (r == -ENOSYS)
		r = ask_by_mount(upper);
	return r == -EINVAL ? 0 : r;
}

/*
 * In the child, which shares no memory with the caller but may hold locks
 * that other threads of his have left: nothing but system calls.  It opens
 * the path anew, since an overlay takes only what is mounted in its own mount
 * namespace.
 */
static int ask_apart(const char *path, const struct stat *st)
{
	struct stat seen;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &seen) < 0)
		return -errno;
	if (seen.st_ino != st->st_ino || seen.st_dev != st->st_dev)
		return -ESTALE;
	return ask(fd);
}

/* Overlays of unprivileged users came with 5.11, so clone3 (5.3) is there.
 * Without an exit signal the child is nobody's but ours.
 */
static int ask_from_child(int fd, const char *path)
{
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_NEWNS };
	struct stat st;
	int status = 0;
	pid_t pid;

	if (fstat(fd, &st) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(-ask_apart(path, &st));
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

int probe_upper(int fd, const char *path)
{
	int r = ask(fd);

	return r == -EPERM ? ask_from_child(fd, path) : r;
}

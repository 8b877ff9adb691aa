/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A user namespace with nobody in it: see userns.h.
 *
 * A namespace is born with a process, and its files in /proc stay for as long
 * as that process has not been waited for.  So the child ends at once, before
 * we go on (CLONE_VFORK); what is left of it names the namespace, cannot run
 * away with our descriptors, and keeps its pid from being given to another.
 */
#include "userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "error.h"
#include "scope.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#define PIDFD_TYPE ((idtype_t)3) /* P_PIDFD, which glibc 2.36 names */

/* Enough for a function that returns, and for a sanitizer's frame. */
#define STACK_SIZE 16384

struct birth {
	int uid_fd, gid_fd, ns_fd;
};

static void drop_birth(struct birth *birth)
{
	drop_fd(&birth->uid_fd);
	drop_fd(&birth->gid_fd);
	drop_fd(&birth->ns_fd);
}

static int live_and_die(void *ctx)
{
	(void)ctx;
	return 0;
}

/* Signals wait: a handler of the host's must not run in the child, which has
 * the host's memory.
 */
static int bear(pid_t *ret_pid, int *ret_pidfd)
{
	_Alignas(16) char stack[STACK_SIZE];
	sigset_t all, before;
	int code;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	/* No exit signal: neither SIGCHLD, nor a child for wait(2). */
	*ret_pid = clone(live_and_die, stack + sizeof(stack),
			 CLONE_NEWUSER | CLONE_VM | CLONE_VFORK | CLONE_FILES |
				 CLONE_PIDFD,
			 NULL, ret_pidfd);
	code = errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return *ret_pid < 0 ? -code : 0;
}

static int open_one(pid_t pid, const char *name, int flags, int *ret_fd,
		    struct shale_error *err)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	*ret_fd = open(path, flags | O_CLOEXEC);
	return *ret_fd < 0 ? error_errno(err, errno, "open '%s'", path) : 0;
}

static int open_all(pid_t pid, struct birth *birth, struct shale_error *err)
{
	int r = open_one(pid, "uid_map", O_WRONLY, &birth->uid_fd, err);

	if (r == 0)
		r = open_one(pid, "gid_map", O_WRONLY, &birth->gid_fd, err);
	if (r == 0)
		r = open_one(pid, "ns/user", O_RDONLY, &birth->ns_fd, err);
	return r;
}

/* That it was still there to be waited for proves that the pid was its own. */
static int bury(int pidfd)
{
	siginfo_t info = { 0 };
	int r;

	do
		r = waitid(PIDFD_TYPE, (id_t)pidfd, &info, WEXITED | __WALL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int write_map(int fd, const struct idmap *map, const char *what,
		     struct shale_error *err)
{
	auto_free char *text = idmap_format_kernel(map);
	ssize_t n;

	if (!text)
		return error_fail(err, ENOMEM, "%s: out of memory", what);
	n = write(fd, text, strlen(text)); /* in one go, or not at all */
	return n < 0 ? error_errno(err, errno, "%s '%s'", what, text) : 0;
}

int userns_open(const struct idmaps *maps, int *ret_fd, struct shale_error *err)
{
	__attribute__((cleanup(drop_birth))) struct birth birth = { -1, -1,
								    -1 };
	auto_fd pidfd = -1;
	pid_t pid;
	int buried, r = bear(&pid, &pidfd);

	if (r < 0)
		return error_errno(
			err, -r, "create a user namespace%s",
			r == -ENOSPC ? " (sysctl user.max_user_namespaces)"
				     : "");
	r = open_all(pid, &birth, err);
	buried = bury(pidfd);
	if (r == 0 && buried < 0)
		r = error_errno(err, -buried,
				"wait for the child of a user namespace");
	if (r == 0)
		r = write_map(birth.uid_fd, maps->uid, "map the uids", err);
	if (r == 0)
		r = write_map(birth.gid_fd, maps->gid, "map the gids", err);
	if (r == 0)
		*ret_fd = take_fd(&birth.ns_fd);
	return r;
}

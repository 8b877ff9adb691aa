/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole process as the measured thing: see spawned.h.
 */
#include "spawned.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contestant.h"

/* A pipe that has all of @input in it already, or /dev/null. */
static int open_input(const char *input)
{
	int ends[2];

	if (!input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (write(ends[1], input, strlen(input)) < 0) {
		(void)close(ends[0]);
		ends[0] = -1;
	}
	(void)close(ends[1]);
	return ends[0];
}

static int start(char *const argv[], int input_fd, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, input_fd, 0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null",
						     O_WRONLY, 0);
	if (r == 0)
		r = posix_spawnp(ret, argv[0], &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = r;
	return r ? contest_fail_errno("start '%s'", argv[0]) : 0;
}

int spawned_run(char *const argv[], const char *input, uint64_t *ret_ns,
		long *ret_kib)
{
	const int input_fd = open_input(input);
	const uint64_t began = contest_now();
	struct rusage usage;
	int status, r;
	pid_t pid;

	if (input_fd < 0)
		return contest_fail_errno("open the input of '%s'", argv[0]);
	r = start(argv, input_fd, &pid);
	if (r == 0 && wait4(pid, &status, 0, &usage) < 0)
		r = contest_fail_errno("wait for '%s'", argv[0]);
	*ret_ns = contest_now() - began;
	(void)close(input_fd);
	if (r == 0 && status)
		r = contest_fail("'%s' ended with status 0x%x", argv[0],
				 (unsigned int)status);
	if (r == 0 && ret_kib)
		*ret_kib = usage.ru_maxrss;
	return r;
}

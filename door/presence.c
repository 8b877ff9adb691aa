/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Containers of a runtime: see presence.h.
 */
#include "presence.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "scope.h"

/* 0, -ENOENT, or another errno: that can't be seen. */
static int look(const char *root, const char *id)
{
	auto_fd fd = -1;
	struct stat st;

	if (*root != '/' || !*id || strchr(id, '/') || *id == '.')
		return -EINVAL;
	fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fstatat(fd, id, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

bool presence_has_no_directory(const char *root, const char *id)
{
	return look(root, id) == -ENOENT;
}

bool presence_has_directory(const char *root, const char *id)
{
	return look(root, id) == 0;
}

/* Whether `RUNTIME --root ROOT state ID` knows it. */
static bool has_state(const char *runtime, const char *root, const char *id)
{
	const char *const with_root[] = { runtime, "--root", root,
					  "state", id,	     NULL };
	const char *const without[] = { runtime, "state", id, NULL };
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	struct sigaction inherited;
	bool is_told;
	int status;
	pid_t pid;

	/* Where a caller leaves it ignored, nobody is told how a child ended. */
	(void)sigaction(SIGCHLD, &standard, &inherited);
	pid = fork();
	if (pid == 0) {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		sigset_t none;

		/* The caller may hold all signals. */
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)dup2(fd, 0);
		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		(void)execv(runtime,
			    (char *const *)(*root ? with_root : without));
		_exit(127);
	}
	is_told = pid > 0 && waitpid(pid, &status, 0) == pid;
	(void)sigaction(SIGCHLD, &inherited, NULL);
	if (!is_told)
		return true;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool presence_is_gone(const char *runtime, const char *root, const char *id)
{
	if (*root && !presence_has_no_directory(root, id))
		return false;
	if (*root && command_kind(runtime) != RUNTIME_NONE)
		return true;
	return !has_state(runtime, root, id);
}

bool presence_is_known(const char *runtime, const char *root, const char *id)
{
	if (presence_has_no_directory(root, id))
		return false;
	return has_state(runtime, root, id);
}

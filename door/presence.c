/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Containers of a runtime: see presence.h.
 */
#include "presence.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "process.h"
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

/*
 * Starts it with no signal held, no streams, and in a process group of its own:
 * what the terminal sends to end the caller would end it before it has answered.
 */
static int start(pid_t *ret, const char *runtime, const char *const *argv)
{
	posix_spawn_file_actions_t streams;
	posix_spawnattr_t how;
	sigset_t none;
	int r = posix_spawn_file_actions_init(&streams);

	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&how);
	if (r != 0) {
		(void)posix_spawn_file_actions_destroy(&streams);
		return -r;
	}
	(void)sigemptyset(&none);
	(void)posix_spawnattr_setsigmask(&how, &none);
	(void)posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK |
						     POSIX_SPAWN_SETPGROUP);
	for (int fd = 0; r == 0 && fd < 3; fd++)
		r = posix_spawn_file_actions_addopen(&streams, fd, "/dev/null",
						     O_RDWR, 0);
	if (r == 0)
		r = posix_spawn(ret, runtime, &streams, &how,
				(char *const *)argv, environ);
	(void)posix_spawnattr_destroy(&how);
	(void)posix_spawn_file_actions_destroy(&streams);
	return -r;
}

enum answer {
	ANSWER_NO,
	ANSWER_YES,
	ANSWER_NONE,	  /* it was killed, or there was no room for it */
	ANSWER_NO_RUNTIME /* there is no program that can be started */
};

static bool is_no_program(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -ENOEXEC;
}

/* Whether `RUNTIME --root ROOT state ID` knows it. */
static enum answer ask(const char *runtime, const char *root, const char *id)
{
	const char *const with_root[] = { runtime, "--root", root,
					  "state", id,	     NULL };
	const char *const without[] = { runtime, "state", id, NULL };
	struct sigaction inherited;
	enum answer answer = ANSWER_NONE;
	int r, status;
	pid_t pid;

	process_hear_children(&inherited);
	r = start(&pid, runtime, *root ? with_root : without);
	if (is_no_program(r))
		answer = ANSWER_NO_RUNTIME;
	else if (r == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		answer = WEXITSTATUS(status) ? ANSWER_NO : ANSWER_YES;
	(void)sigaction(SIGCHLD, &inherited, NULL);
	return answer;
}

bool presence_is_gone(const char *runtime, const char *root, const char *id)
{
	if (*root && !presence_has_no_directory(root, id))
		return false;
	if (*root && command_kind(runtime) != RUNTIME_NONE)
		return true;
	return ask(runtime, root, id) == ANSWER_NO;
}

bool presence_may_be(const char *runtime, const char *root, const char *id)
{
	enum answer answer;

	if (command_kind(runtime) != RUNTIME_NONE &&
	    presence_has_no_directory(root, id))
		return false;
	answer = ask(runtime, root, id);
	return answer == ANSWER_YES || answer == ANSWER_NONE;
}

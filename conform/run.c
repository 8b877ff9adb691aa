/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Running one case: see conform.h.  The plugin is loaded in the child alone,
 * so that a runtime of its own (threads, a collector) is never forked.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs.h"
#include "scope.h"
#include "trial.h"

static const struct conform_case *const tables[] = {
	name_cases,  kind_cases,     commit_cases, removal_cases,
	label_cases, look_cases,     mounts_cases, content_cases,
	usage_cases, survival_cases, handle_cases, manner_cases,
	abi_cases,   NULL,
};

static volatile sig_atomic_t interrupted;

const struct conform_case *conform_next(const struct conform_case *after)
{
	if (!after)
		return tables[0];
	if (after[1].name)
		return after + 1;
	for (size_t i = 0; tables[i]; i++)
		for (const struct conform_case *c = tables[i]; c->name; c++)
			if (c == after)
				return tables[i + 1];
	return NULL;
}

const struct conform_case *conform_find(const char *name)
{
	const struct conform_case *c = NULL;

	while ((c = conform_next(c)) != NULL)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

const char *conform_name(const struct conform_case *c)
{
	return c->name;
}

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

void conform_catch_signals(void)
{
	/* Without SA_RESTART: poll must return. */
	struct sigaction action = { .sa_handler = interrupt };

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
}

/* ---- the child ---- */

/* Its mounts are seen by nobody, and gone with it. */
static bool may_mount(struct trial *t)
{
	if (geteuid() != 0)
		return trial_skip(t, "needs root, to mount");
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return trial_skip(t, "needs to mount: a mount namespace: %s",
				  strerror(errno));
	return true;
}

static void run_case(struct trial *t)
{
	if ((t->c->flags & NEEDS_ROOT) && !may_mount(t))
		return;
	if (!(t->c->flags & OPENS_ITSELF)) {
		if (!trial_load(t) || !trial_open(t, &t->self))
			return;
	}
	t->c->run(t);
}

__attribute__((noreturn)) static void child(const struct conform_case *c,
					    const char *snapshotter,
					    const char *dir, pid_t parent,
					    int pipe_fd)
{
	struct conform_outcome outcome = { .result = CONFORM_PASSED };
	struct trial t = { .c = c,
			   .snapshotter = snapshotter,
			   .dir = dir,
			   .outcome = &outcome };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGHUP, SIG_DFL);
	/* What a plugin prints is not to be read as a result. */
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	run_case(&t);
	/* Less than PIPE_BUF: all at once. */
	(void)!write(pipe_fd, &outcome, sizeof(outcome));
	_exit(0);
}

/* ---- the parent ---- */

/* 1 with an outcome, 0 without one: it died, hung or was interrupted. */
static int await(int pipe_fd, int timeout_ms, struct conform_outcome *ret)
{
	struct pollfd poll_fd = { .fd = pipe_fd, .events = POLLIN };
	int r;

	do
		r = poll(&poll_fd, 1, timeout_ms);
	while (r < 0 && errno == EINTR && !interrupted);
	return r == 1 &&
	       read(pipe_fd, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);
}

static void explain_death(struct conform_outcome *ret, int status,
			  int timeout_ms)
{
	ret->result = CONFORM_FAILED;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		(void)snprintf(ret->reason, sizeof(ret->reason),
			       "no answer within %d seconds, or killed",
			       timeout_ms / 1000);
	else if (WIFSIGNALED(status))
		(void)snprintf(ret->reason, sizeof(ret->reason),
			       "its process died of signal %d (%s)",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(ret->reason, sizeof(ret->reason),
			       "its process exited with %d",
			       WEXITSTATUS(status));
}

static int run_in_child(const struct conform_case *c, const char *snapshotter,
			const char *dir, int timeout_ms,
			struct conform_outcome *ret, struct shale_error *err)
{
	int ends[2], status = 0, has_outcome;
	const pid_t self = getpid();
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "make a pipe");
	(void)fflush(stdout);
	pid = fork();
	if (pid < 0) {
		int code = errno;

		(void)close(ends[0]);
		(void)close(ends[1]);
		return error_errno(err, code, "fork");
	}
	if (pid == 0) {
		(void)close(ends[0]);
		child(c, snapshotter, dir, self, ends[1]);
	}
	(void)close(ends[1]);
	has_outcome = await(ends[0], timeout_ms, ret);
	(void)close(ends[0]);
	if (!has_outcome)
		(void)kill(pid, SIGKILL); /* a child of ours until waited for */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (interrupted)
		return error_fail(err, EINTR, "interrupted");
	if (!has_outcome)
		explain_death(ret, status, timeout_ms);
	return 0;
}

int conform_run(const struct conform_case *c, const char *snapshotter,
		const char *dir, int timeout_ms, struct conform_outcome *ret,
		struct shale_error *err)
{
	auto_fd dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free char *own = NULL;
	int r, removed;

	if (dir_fd < 0)
		return error_errno(err, errno, "open '%s'", dir);
	if (asprintf(&own, "%s/%s", dir, c->name) < 0) {
		own = NULL;
		return error_fail(err, ENOMEM, "out of memory");
	}
	if (mkdirat(dir_fd, c->name, 0700) < 0)
		return error_errno(err, errno, "create '%s'", own);
	r = run_in_child(c, snapshotter, own, timeout_ms, ret, err);
	removed = fs_remove_tree(dir_fd, c->name, NULL, NULL);
	if (removed < 0)
		return error_errno(err, -removed, "delete '%s'", own);
	return r;
}

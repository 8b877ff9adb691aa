/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The real runtime as our child, so that the caller can't tell: see door.h.
 */
#include "door.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "process.h"

/* As the caller left it to us. */
struct inherited {
	sigset_t mask;
	struct sigaction sigchld;
};

/* All signals wait until we ask. */
static void hold_signals(struct inherited *ret)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &ret->mask);
	process_hear_children(&ret->sigchld);
}

static void restore_signals(const struct inherited *inherited)
{
	(void)sigaction(SIGCHLD, &inherited->sigchld, NULL);
	(void)sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}

/* Sockets that were handed to us by pid are for who takes our place. */
static void hand_over_sockets(pid_t parent)
{
	const char *listen_pid = getenv("LISTEN_PID");
	char text[24];

	(void)snprintf(text, sizeof(text), "%ld", (long)parent);
	if (!listen_pid || strcmp(listen_pid, text) != 0)
		return;
	(void)snprintf(text, sizeof(text), "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", text, 1);
}

static __attribute__((noreturn)) void
become_runtime(const struct call *call, const struct inherited *inherited,
	       pid_t parent)
{
	struct shale_error err = SHALE_ERROR_INIT;

	/* With the lock of our record the promise to clean up would go. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	hand_over_sockets(parent);
	restore_signals(inherited);
	(void)call_exec(call, &err);
	call_tell(call, err.msg);
	_exit(EXIT_FAILURE);
}

/*
 * What a terminal sends goes to all of its foreground, the child too; that it
 * hangs up is told to the leader of its session alone.
 */
static bool is_of_terminal(const siginfo_t *info)
{
	static const int signals[] = { SIGHUP,	SIGINT,	 SIGQUIT, SIGTSTP,
				       SIGTTIN, SIGTTOU, SIGWINCH };

	if (info->si_signo == SIGHUP && getsid(0) == getpid())
		return false;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (info->si_signo == signals[i])
			return info->si_code > 0;
	return false;
}

/*
 * Once we were told to stop and the child has, in whichever order we hear of
 * it, we stop as well.  Who stops the child alone has it go on alone, and would
 * leave us stopped.
 */
struct stop {
	bool is_told, has_come;
};

/* Whether the child has ended. */
static bool look_after(pid_t pid, struct stop *stop, int *ret_status)
{
	pid_t who = waitpid(pid, ret_status, WNOHANG | WUNTRACED | WCONTINUED);

	if (who == pid && !WIFSTOPPED(*ret_status) &&
	    !WIFCONTINUED(*ret_status))
		return true;
	if (who == pid) /* the other signals that stop may be a terminal's */
		stop->has_come = WIFSTOPPED(*ret_status) &&
				 WSTOPSIG(*ret_status) != SIGSTOP;
	if (stop->is_told && stop->has_come) {
		*stop = (struct stop){ 0 };
		(void)kill(getpid(), SIGSTOP);
	}
	return false;
}

static int wait_for(pid_t pid)
{
	struct stop stop = { 0 };
	sigset_t all;
	siginfo_t info;
	int status;

	(void)sigfillset(&all);
	while (!look_after(pid, &stop, &status)) {
		int signal = sigwaitinfo(&all, &info);

		if (signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
			stop.is_told = true;
		else if (signal == SIGCONT)
			stop.is_told = false;
		if (signal > 0 && signal != SIGCHLD && !is_of_terminal(&info))
			(void)kill(pid, signal);
	}
	return status;
}

int child_run(const struct call *call, struct ending *ret,
	      struct shale_error *err)
{
	struct inherited inherited;
	const pid_t parent = getpid();
	pid_t pid;
	int status;

	hold_signals(&inherited);
	pid = fork();
	if (pid == 0)
		become_runtime(call, &inherited, parent);
	if (pid < 0) {
		int code = errno;

		restore_signals(&inherited);
		return error_errno(err, code, "start the runtime '%s'",
				   call->path);
	}
	/* They stay held: what comes now must not keep us from tidying up. */
	status = wait_for(pid);
	*ret = (struct ending){ 0 };
	if (WIFSIGNALED(status))
		ret->signal = WTERMSIG(status);
	else
		ret->status = WEXITSTATUS(status);
	return 0;
}

void child_end_as(const struct ending *ending)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	const struct rlimit none = { 0, 0 };
	sigset_t one;

	if (ending->signal) {
		/* The core, if any, is the runtime's. */
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)sigaction(ending->signal, &standard, NULL);
		(void)sigemptyset(&one);
		(void)sigaddset(&one, ending->signal);
		(void)kill(getpid(), ending->signal);
		(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
		_exit(128 + ending->signal);
	}
	exit(ending->status);
}

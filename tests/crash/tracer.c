/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting system calls by ptrace(2): see tracer.h.
 *
 * A task that is killed while it stops at the entry of a call does not make
 * it: the kernel looks for a fatal signal before it goes on.
 */
#include "tracer.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* ---- the registers ---- */

#if defined(__x86_64__)
static bool deny(pid_t task)
{
	return ptrace(PTRACE_POKEUSER, task,
		      offsetof(struct user_regs_struct, orig_rax), -1L) == 0;
}

static bool set_result(pid_t task, long value)
{
	return ptrace(PTRACE_POKEUSER, task,
		      offsetof(struct user_regs_struct, rax), value) == 0;
}

bool tracer_is_here(void)
{
	return true;
}
#elif defined(__aarch64__)
static bool deny(pid_t task)
{
	int none = -1;
	struct iovec iov = { &none, sizeof(none) };

	return ptrace(PTRACE_SETREGSET, task, NT_ARM_SYSTEM_CALL, &iov) == 0;
}

static bool set_result(pid_t task, long value)
{
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, task, NT_PRSTATUS, &iov) < 0)
		return false;
	regs.regs[0] = (uint64_t)value;
	return ptrace(PTRACE_SETREGSET, task, NT_PRSTATUS, &iov) == 0;
}

bool tracer_is_here(void)
{
	return true;
}
#else
static bool deny(pid_t task)
{
	(void)task;
	return false;
}

static bool set_result(pid_t task, long value)
{
	(void)task;
	(void)value;
	return false;
}

bool tracer_is_here(void)
{
	return false;
}
#endif

/* ---- the watch ---- */

struct watch {
	const struct tracer_plan *plan;
	struct tracer_result *result;
	pid_t child;
	pid_t failing; /* the task whose call is being failed; 0 for none */
};

static pid_t group_of(pid_t task)
{
	char path[64], line[128];
	long group = task;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)task);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Tgid: %ld", &group) == 1)
			break;
	if (file)
		(void)fclose(file);
	return (pid_t)group;
}

static void kill_group_of(struct watch *watch, pid_t task)
{
	watch->result->killed = true;
	assert_int_equal(kill(group_of(task), SIGKILL), 0);
}

static void at_entry(struct watch *watch, pid_t task, long call)
{
	const struct tracer_plan *plan = watch->plan;
	int error = plan->error;

	if (++watch->result->calls != plan->at)
		return;
	watch->result->call = call;
	if (plan->deed == TRACER_KILL_BEFORE) {
		kill_group_of(watch, task);
	} else if (plan->deed == TRACER_FAIL) {
		if (!error)
			error = plan->choose(call, plan->ctx);
		if (!error)
			return;
		assert_true(deny(task));
		watch->result->error = error;
		watch->failing = task;
	}
}

static void at_exit(struct watch *watch, pid_t task)
{
	const struct tracer_plan *plan = watch->plan;

	if (watch->failing == task) {
		assert_true(set_result(task, -watch->result->error));
		watch->failing = 0;
	}
	if (plan->deed == TRACER_KILL_AFTER &&
	    watch->result->calls == plan->at && !watch->result->killed)
		kill_group_of(watch, task);
}

static void at_call(struct watch *watch, pid_t task)
{
	struct __ptrace_syscall_info info;

	/* It may have been killed by now. */
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		at_entry(watch, task, (long)info.entry.nr);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		at_exit(watch, task);
}

/* The signal to hand on, for a task that has stopped. */
static int at_stop(struct watch *watch, pid_t task, int status)
{
	int signal = WSTOPSIG(status);

	if (signal == (SIGTRAP | 0x80)) {
		at_call(watch, task);
		return 0;
	}
	/* Of the ptrace options, and the first stop of a new task. */
	if (signal == SIGTRAP || signal == SIGSTOP)
		return 0;
	return signal;
}

static void watch_all(struct watch *watch)
{
	int status;
	pid_t task;

	while ((task = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (task < 0)
			continue;
		if (WIFSTOPPED(status)) {
			int signal = at_stop(watch, task, status);

			(void)ptrace(PTRACE_SYSCALL, task, NULL, (long)signal);
		} else if (task == watch->child && WIFEXITED(status)) {
			watch->result->exited = WEXITSTATUS(status);
		}
	}
	assert_int_equal(errno, ECHILD);
}

void tracer_run(const struct tracer_plan *plan, void (*begin)(void *ctx),
		int (*act)(void *ctx), void *ctx, struct tracer_result *ret)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK |
			     PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
			     PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	struct watch watch = { .plan = plan, .result = ret };
	int status;

	*ret = (struct tracer_result){ .call = -1, .exited = -1 };
	(void)fflush(NULL);
	watch.child = fork();
	assert_true(watch.child >= 0);
	if (watch.child == 0) {
		if (begin)
			begin(ctx);
		if (ptrace(PTRACE_TRACEME) < 0)
			_exit(126);
		(void)kill(getpid(), SIGSTOP);
		_exit(act(ctx));
	}
	assert_int_equal(waitpid(watch.child, &status, 0), watch.child);
	if (!WIFSTOPPED(status))
		fail_msg("the child ended before it began");
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, watch.child, NULL, options),
			 0);
	assert_int_equal(ptrace(PTRACE_SYSCALL, watch.child, NULL, 0L), 0);
	watch_all(&watch);
}

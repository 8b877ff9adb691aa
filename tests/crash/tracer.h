/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child whose system calls are counted, and in which one of them, chosen by
 * its number, is where the process dies or where the kernel says no.
 */
#ifndef CRASH_TRACER_H
#define CRASH_TRACER_H

#include <stdbool.h>
#include <stddef.h>

enum tracer_deed {
	TRACER_COUNT,	    /* watch, change nothing */
	TRACER_KILL_BEFORE, /* SIGKILL: the call has no effect */
	TRACER_KILL_AFTER,  /* SIGKILL: the call has had its effect */
	TRACER_FAIL,	    /* the call has no effect and returns -@error */
};

/**
 * struct tracer_plan - what is done at which call
 * @at:    1 for the first one that the child makes after its begin
 * @error: positive errno, with TRACER_FAIL; 0: @choose is asked
 * @choose: with TRACER_FAIL: a positive errno for a call by its number of
 *          the kernel, or 0 to leave that call alone
 */
struct tracer_plan {
	enum tracer_deed deed;
	unsigned long at;
	int error;
	int (*choose)(long call, void *ctx);
	void *ctx;
};

/**
 * struct tracer_result - what came of it
 * @calls:  made by all threads and children of the child
 * @call:   the kernel's number of call @at; -1 where there was none
 * @error:  the errno that was put in; 0 where none was
 * @killed: whether the deed was done and the child died of it
 * @exited: its exit status; -1 where it died of a signal
 */
struct tracer_result {
	unsigned long calls;
	long call;
	int error;
	bool killed;
	int exited;
};

/* Whether this machine's registers are known here. */
bool tracer_is_here(void);

/**
 * tracer_run - fork, and watch
 * @begin: called in the child, unwatched; may be NULL
 * @act:   called in the child, watched; its return is the exit status
 *
 * A kill takes the thread group that made the call, as kill -9 does; what
 * other processes the child has made go on to their end.  Nothing of the child
 * is left at return.  The caller must have no other children.
 */
void tracer_run(const struct tracer_plan *plan, void (*begin)(void *ctx),
		int (*act)(void *ctx), void *ctx, struct tracer_result *ret);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work in a joined thread: see joined.h.
 */
#include "joined.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>

struct job {
	int (*fn)(void *ctx);
	void *ctx;
	int result;
};

static void *job_main(void *arg)
{
	struct job *job = arg;

	if (unshare(CLONE_FS) < 0)
		job->result = -errno;
	else
		job->result = job->fn(job->ctx);
	return NULL;
}

int joined_run(int (*fn)(void *ctx), void *ctx)
{
	struct job job = { fn, ctx, 0 };
	sigset_t all, before;
	pthread_t thread;
	int r, cancel;

	/* The host's handlers must not meet a foreign working directory. */
	(void)sigfillset(&all);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, NULL, job_main, &job);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		r = pthread_join(thread, NULL);
	(void)pthread_setcancelstate(cancel, NULL);
	return r ? -r : job.result;
}

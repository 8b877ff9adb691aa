/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work in a joined thread: see joined.h.
 */
#include "joined.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fsid.h"

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

/* What the host may do to a thread of its own, kept off for a while. */
struct peace {
	sigset_t before;
	int cancel;
};

static void peace_begin(struct peace *peace)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &peace->cancel);
	(void)pthread_sigmask(SIG_SETMASK, &all, &peace->before);
}

static void peace_end(const struct peace *peace)
{
	(void)pthread_sigmask(SIG_SETMASK, &peace->before, NULL);
	(void)pthread_setcancelstate(peace->cancel, NULL);
}

int joined_run(int (*fn)(void *ctx), void *ctx)
{
	struct job job = { fn, ctx, 0 };
	struct peace peace;
	pthread_t thread;
	int r;

	/* The host's handlers must not meet a foreign working directory. */
	peace_begin(&peace);
	r = pthread_create(&thread, NULL, job_main, &job);
	(void)pthread_sigmask(SIG_SETMASK, &peace.before, NULL);
	if (r == 0)
		r = pthread_join(thread, NULL);
	peace_end(&peace);
	return r ? -r : job.result;
}

/* ---- as somebody else ---- */

struct disguise {
	uid_t uid;
	gid_t gid;
	int (*fn)(void *ctx);
	void *ctx;
};

static int disguise_main(void *ctx)
{
	const struct disguise *disguise = ctx;
	int r = fsid_become(disguise->uid, disguise->gid);

	if (r < 0)
		return r;
	r = disguise->fn(disguise->ctx);
	fsid_restore();
	return r;
}

/*
 * Whether the calling thread is afterwards what it was.  With its ids the
 * kernel takes its signal of a dead parent, and they come back as the
 * effective ones (prctl(2), PR_SET_PDEATHSIG; fsid.h).
 */
static bool leaves_no_trace(void)
{
	int death_signal = 0;

	return prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && !death_signal &&
	       (uid_t)setfsuid((uid_t)-1) == geteuid() &&
	       (gid_t)setfsgid((gid_t)-1) == getegid();
}

int joined_run_as(uid_t uid, gid_t gid, int (*fn)(void *ctx), void *ctx)
{
	struct disguise disguise = { uid, gid, fn, ctx };
	struct peace peace;
	int r;

	if (!leaves_no_trace())
		return joined_run(disguise_main, &disguise);
	peace_begin(&peace);
	r = disguise_main(&disguise);
	peace_end(&peace);
	return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What outlives a handle and a process.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trial.h"

static void a_store_is_the_same_when_it_is_opened_again(struct trial *t)
{
	static const char *const labels[] = { "k", "v", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = labels };
	const char *before, *after;

	OK(t, layer(t, "base", NULL));
	OK(t, layer(t, "second", "base"));
	OK(t, view(t, "view", "base"));
	OK(t, t->ops->prepare(t->self, "key", "second", &opts, fresh(t)));
	TRY((before = picture(t)) != NULL);
	TRY(trial_reopen(t));
	TRY((after = picture(t)) != NULL);
	CHECK(t, !strcmp(before, after), "before: %s after: %s", before, after);
	OK(t, commit(t, "third", "key"));
	TRY(trial_reopen(t));
	TRY(is_told(t, "third", SHALE_KIND_COMMITTED, "second"));
	REFUSED(t, EBUSY, delete_name(t, "base"));
}

static void removal_frees_what_the_key_was_mounted_from(struct trial *t)
{
	struct mount_told mount;
	struct stat st;
	uint64_t removed;
	const char *place;

	OK(t, prepare(t, "key", NULL));
	OK(t, mounts(t, "key", &mount));
	place = strcmp(mount.type, "bind") ? value_of(&mount, "upperdir=")
					   : mount.source;
	CHECK(t, place && fstatat(-1, place, &st, 0) == 0,
	      "what it is mounted from does not exist");
	OK(t, remove_key(t, "key"));
	OK(t, t->ops->cleanup(t->self, &removed, fresh(t)));
	CHECK(t, fstatat(-1, place, &st, 0) < 0, "'%s' is still there", place);
}

/* Until it is killed. */
__attribute__((noreturn)) static void work_for_ever(struct trial *t)
{
	if (!trial_load(t) || !trial_open(t, &t->self))
		_exit(1);
	for (unsigned int i = 0;; i++) {
		const char *name = text_new("layer %u %u", getpid(), i);

		(void)prepare(t, "key", "base");
		(void)commit(t, name, "key");
		(void)prepare(t, "other", name);
		(void)remove_key(t, "other");
		if (i % 2)
			(void)delete_name(t, name);
	}
}

/* Kills a busy process after a while that is another each time. */
static bool kill_one(struct trial *t, unsigned int turn)
{
	const struct timespec while_ = { 0, 15000000L + turn * 3100000L };
	const pid_t self = getpid();
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return trial_errno(t, "fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(1);
		work_for_ever(t);
	}
	(void)nanosleep(&while_, NULL);
	(void)kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return trial_errno(t, "wait for the killed process");
	return WIFSIGNALED(status) ||
	       trial_fail(t, "a process that worked on the store gave up");
}

/* Each name that is told can be used, and each parent is there. */
static bool is_whole(struct trial *t)
{
	struct list lists[2];

	if (!trial_ok(t, walk(t, &lists[0]), "walk") ||
	    !trial_ok(t, active(t, &lists[1]), "active"))
		return false;
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < lists[i].count; k++) {
			const struct told *told = &lists[i].items[k];

			if (!is_told(t, told->name, told->kind, told->parent))
				return false;
			if (*told->parent &&
			    !trial_ok(t, exists(t, told->parent), "exists"))
				return false;
		}
	return true;
}

static int fail_finding(void *ctx, const struct shale_finding *finding)
{
	(void)trial_fail(ctx, "found: %s %s: %s", finding->kind, finding->path,
			 finding->what);
	return 0;
}

static void a_killed_process_leaves_a_whole_store(struct trial *t)
{
	uint64_t removed;

	for (unsigned int i = 0; i < 8; i++)
		TRY(kill_one(t, i));
	TRY(trial_load(t));
	TRY(trial_open(t, &t->self));
	TRY(is_whole(t));
	OK(t, t->ops->cleanup(t->self, &removed, fresh(t)));
	TRY(is_whole(t));
	if (exists(t, "key") == 0)
		OK(t, remove_key(t, "key"));
	OK(t, prepare(t, "key", NULL));
	OK(t, commit(t, "last", "key"));
	if (t->ops->check)
		OK(t, t->ops->check(t->self, 0, fail_finding, t, fresh(t)));
}

static void check_finds_nothing_in_a_whole_store(struct trial *t)
{
	if (!t->ops->check) {
		(void)trial_skip(t, "not offered: check is optional");
		return;
	}
	OK(t, t->ops->check(t->self, 0, fail_finding, t, fresh(t)));
	OK(t, layer(t, "base", NULL));
	OK(t, layer(t, "second", "base"));
	OK(t, prepare(t, "key", "second"));
	OK(t, view(t, "view", "base"));
	OK(t, t->ops->check(t->self, 0, fail_finding, t, fresh(t)));
}

const struct conform_case survival_cases[] = {
	CASE(a_store_is_the_same_when_it_is_opened_again, 0),
	CASE(removal_frees_what_the_key_was_mounted_from, 0),
	CASE(a_killed_process_leaves_a_whole_store, MUST_OFFER | OPENS_ITSELF),
	CASE(check_finds_nothing_in_a_whole_store, 0),
	CASES_END,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several handles and several threads on one store.  Threads go through
 * libshale, which makes the calls of a serial snapshotter take turns.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trial.h"

/* The same trial, with a handle of its own. */
static bool second_handle(struct trial *t, struct trial *ret)
{
	*ret = *t;
	return trial_open(ret, &ret->self);
}

static void a_second_handle_sees_what_the_first_did(struct trial *t)
{
	struct trial other;

	TRY(second_handle(t, &other));
	REFUSED(t, ENOENT, exists(&other, "key"));
	OK(t, prepare(t, "key", NULL));
	TRY(is_told(&other, "key", SHALE_KIND_ACTIVE, ""));
	OK(&other, commit(&other, "name", "key"));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, ""));
	REFUSED(t, ENOENT, exists(t, "key"));
	OK(t, delete_name(t, "name"));
	REFUSED(&other, ENOENT, exists(&other, "name"));
	REFUSED(&other, ENOENT, delete_name(&other, "name"));
}

static void a_second_handle_sees_changed_labels(struct trial *t)
{
	static const char *const labels[] = { "k", "v", NULL };
	struct trial other;
	struct told told;

	TRY(second_handle(t, &other));
	OK(t, prepare(t, "key", NULL));
	OK(&other, stat_of(&other, "key", &told));
	OK(t, t->ops->update(t->self, "key", labels, NULL, fresh(t)));
	OK(&other, stat_of(&other, "key", &told));
	CHECK(t, !strcmp(told.labels, "k=v;"), "it sees '%s'", told.labels);
}

static void a_second_handle_counts_the_children_of_the_first(struct trial *t)
{
	struct trial other;

	OK(t, layer(t, "base", NULL));
	TRY(second_handle(t, &other));
	OK(t, prepare(t, "child", "base"));
	REFUSED(&other, EBUSY, delete_name(&other, "base"));
	OK(&other, remove_key(&other, "child"));
	OK(t, delete_name(t, "base"));
}

static void a_handle_outlives_another_one(struct trial *t)
{
	struct trial other;

	TRY(second_handle(t, &other));
	OK(&other, prepare(&other, "key", NULL));
	other.ops->close(other.self);
	OK(t, exists(t, "key"));
	OK(t, remove_key(t, "key"));
}

/* ---- threads ---- */

#define THREADS 4
#define TURNS 15

struct worker {
	struct trial *t;
	struct shale_store *store;
	int number;
	unsigned int wins;
	struct shale_error err;
	pthread_t thread;
};

/* One worker a thread, each on @store or, where it is NULL, on its own. */
static bool run_workers(struct trial *t, struct shale_store *store,
			struct worker workers[THREADS],
			void *(*work)(void *worker))
{
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .t = t,
					      .store = store,
					      .number = i,
					      .err = SHALE_ERROR_INIT };
		if (!store)
			workers[i].store = trial_store(t);
		if (!workers[i].store)
			return false;
	}
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&workers[i].thread, NULL, work,
				   &workers[i]) != 0)
			return trial_fail(t, "no thread can be made");
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++)
		if (workers[i].err.code == EOPNOTSUPP)
			return trial_skip(t, "not offered: %s",
					  workers[i].err.msg);
		else if (workers[i].err.code)
			return trial_fail(t, "%s", workers[i].err.msg);
	return true;
}

static int count_info(void *ctx, const struct shale_info *info)
{
	(void)info;
	(*(unsigned int *)ctx)++;
	return 0;
}

/* A life of snapshots, under names of this worker's own. */
static void *live(void *ctx)
{
	struct worker *w = ctx;
	struct shale_error *err = &w->err;
	struct shale_store *store = w->store;
	unsigned int seen;

	for (int i = 0; i < TURNS && err->code == 0; i++) {
		const char *key = text_new("key %d", w->number);
		const char *name = text_new("name %d %d", w->number, i);
		int r = shale_prepare(store, key, "base", NULL, err);

		if (r == 0)
			r = shale_commit(store, name, key, NULL, err);
		if (r == 0)
			r = shale_prepare(store, key, name, NULL, err);
		if (r == 0)
			r = shale_stat(store, key, count_info, &seen, err);
		if (r == 0)
			r = shale_walk(store, count_info, &seen, err);
		if (r == 0)
			r = shale_active(store, count_info, &seen, err);
		if (r == 0)
			r = shale_remove(store, key, err);
		if (r == 0 && i % 2)
			(void)shale_delete(store, name, err);
	}
	return NULL;
}

static void check_lives(struct trial *t, bool shared)
{
	struct worker workers[THREADS];
	struct shale_store *store = NULL;
	struct list list;

	OK(t, layer(t, "base", NULL));
	if (shared)
		TRY((store = trial_store(t)) != NULL);
	TRY(run_workers(t, store, workers, live));
	OK(t, walk(t, &list));
	CHECK(t, list.count == 1 + THREADS * ((TURNS + 1) / 2),
	      "%zu are committed, not %d", list.count,
	      1 + THREADS * ((TURNS + 1) / 2));
	OK(t, active(t, &list));
	CHECK(t, list.count == 0, "%zu keys are left", list.count);
}

static void threads_may_share_a_handle(struct trial *t)
{
	check_lives(t, true);
}

static void threads_may_have_a_handle_each(struct trial *t)
{
	check_lives(t, false);
}

static void *race_for_keys(void *ctx)
{
	struct worker *w = ctx;

	for (int i = 0; i < TURNS && w->err.code == 0; i++) {
		struct shale_error err = SHALE_ERROR_INIT;
		int r = shale_prepare(w->store, text_new("key %d", i), NULL,
				      NULL, &err);

		w->wins += r == 0;
		if (r != 0 && r != -EEXIST)
			w->err = err;
	}
	return NULL;
}

static void of_many_that_want_a_key_one_gets_it(struct trial *t)
{
	struct worker workers[THREADS];
	unsigned int wins = 0;

	TRY(run_workers(t, NULL, workers, race_for_keys));
	for (int i = 0; i < THREADS; i++)
		wins += workers[i].wins;
	CHECK(t, wins == TURNS, "%d keys were given %u times", TURNS, wins);
}

/* Even ones make children of a base, odd ones delete it. */
static void *race_for_bases(void *ctx)
{
	struct worker *w = ctx;

	for (int i = 0; i < TURNS && w->err.code == 0; i++) {
		struct shale_error err = SHALE_ERROR_INIT;
		const char *base = text_new("base %d", i);
		int r = w->number % 2 ? shale_delete(w->store, base, &err)
				      : shale_prepare(w->store,
						      text_new("of %d %d", i,
							       w->number),
						      base, NULL, &err);

		if (r != 0 && r != -ENOENT && r != -EBUSY)
			w->err = err;
	}
	return NULL;
}

static void a_parent_never_goes_before_its_child(struct trial *t)
{
	struct worker workers[THREADS];
	struct list keys;

	for (int i = 0; i < TURNS; i++)
		OK(t, layer(t, text_new("base %d", i), NULL));
	TRY(run_workers(t, NULL, workers, race_for_bases));
	OK(t, active(t, &keys));
	for (size_t i = 0; i < keys.count; i++) {
		OK(t, exists(t, keys.items[i].parent));
		REFUSED(t, EBUSY, delete_name(t, keys.items[i].parent));
	}
}

static void after_fork_the_handle_is_refused(struct trial *t)
{
	struct shale_store *store = trial_store(t);
	int status = 0;
	pid_t pid;

	TRY(store != NULL);
	pid = fork();
	if (pid == 0)
		_exit(shale_exists(store, "key", NULL) == -EINVAL ? 0 : 1);
	CHECK(t, pid > 0 && waitpid(pid, &status, 0) == pid, "fork: %s",
	      strerror(errno));
	CHECK(t, status == 0, "a child could use its parent's handle");
	shale_store_close(store);
}

const struct conform_case handle_cases[] = {
	CASE(a_second_handle_sees_what_the_first_did, MUST_OFFER),
	CASE(a_second_handle_sees_changed_labels, 0),
	CASE(a_second_handle_counts_the_children_of_the_first, 0),
	CASE(a_handle_outlives_another_one, MUST_OFFER),
	CASE(threads_may_share_a_handle, 0),
	CASE(threads_may_have_a_handle_each, 0),
	CASE(of_many_that_want_a_key_one_gets_it, MUST_OFFER),
	CASE(a_parent_never_goes_before_its_child, 0),
	CASE(after_fork_the_handle_is_refused, MUST_OFFER),
	CASES_END,
};

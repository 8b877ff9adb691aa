/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * walk, active and stat, and how a callback stops them.
 */
#include <string.h>
#include <time.h>

#include "trial.h"

static void walk_tells_each_committed_one_once(struct trial *t)
{
	struct list list;

	for (int i = 0; i < 40; i++)
		OK(t, layer(t, text_new("name %d", i), NULL));
	OK(t, prepare(t, "key", NULL));
	OK(t, walk(t, &list));
	CHECK(t, list.count == 40, "40 are committed, %zu are told",
	      list.count);
	for (int i = 0; i < 40; i++)
		CHECK(t, list_count(&list, text_new("name %d", i)) == 1,
		      "'name %d' is told %zu times", i,
		      list_count(&list, text_new("name %d", i)));
	for (size_t i = 0; i < list.count; i++)
		CHECK(t, list.items[i].kind == SHALE_KIND_COMMITTED,
		      "'%s' is told as kind %u", list.items[i].name,
		      list.items[i].kind);
}

static void active_tells_each_key_once(struct trial *t)
{
	struct list list;

	OK(t, layer(t, "base", NULL));
	for (int i = 0; i < 20; i++) {
		OK(t, prepare(t, text_new("key %d", i), "base"));
		OK(t, view(t, text_new("view %d", i), "base"));
	}
	OK(t, active(t, &list));
	CHECK(t, list.count == 40, "there are 40, %zu are told", list.count);
	for (size_t i = 0; i < list.count; i++) {
		const struct told *told = &list.items[i];

		CHECK(t, list_count(&list, told->name) == 1,
		      "'%s' is told more than once", told->name);
		CHECK(t,
		      told->kind == (*told->name == 'k' ? SHALE_KIND_ACTIVE
							: SHALE_KIND_VIEW),
		      "'%s' is told as kind %u", told->name, told->kind);
		CHECK(t, !strcmp(told->parent, "base"),
		      "the parent of '%s' is told as '%s'", told->name,
		      told->parent);
	}
}

static void an_empty_store_tells_nothing(struct trial *t)
{
	struct list list;

	OK(t, walk(t, &list));
	CHECK(t, list.count == 0, "walk tells '%s'", list.items[0].name);
	OK(t, active(t, &list));
	CHECK(t, list.count == 0, "active tells '%s'", list.items[0].name);
}

/* Stops at once, with a number that is no errno of anybody. */
#define STOP 4711

static int stop_info(void *ctx, const struct shale_info *info)
{
	(void)info;
	(*(unsigned int *)ctx)++;
	return STOP;
}

static int stop_mount(void *ctx, const struct shale_mount_spec *mount)
{
	(void)mount;
	(*(unsigned int *)ctx)++;
	return STOP;
}

static bool stopped(struct trial *t, int r, unsigned int calls,
		    const char *what)
{
	if (r != STOP)
		return trial_fail(t, "%s returned %d, the callback %d", what, r,
				  STOP);
	return calls == 1 || trial_fail(t,
					"%s called back %u times, and was "
					"to stop at the first",
					what, calls);
}

static void a_callback_stops_walk_and_active(struct trial *t)
{
	unsigned int calls = 0;
	int r;

	OK(t, layer(t, "one", NULL));
	OK(t, layer(t, "two", NULL));
	OK(t, prepare(t, "three", NULL));
	OK(t, prepare(t, "four", NULL));
	r = t->ops->walk(t->self, stop_info, &calls, fresh(t));
	TRY(stopped(t, r, calls, "walk"));
	calls = 0;
	r = t->ops->active(t->self, stop_info, &calls, fresh(t));
	TRY(stopped(t, r, calls, "active"));
}

static void a_callback_stops_stat_and_mounts(struct trial *t)
{
	unsigned int calls = 0;
	int r;

	OK(t, prepare(t, "key", NULL));
	r = t->ops->stat(t->self, "key", stop_info, &calls, fresh(t));
	TRY(stopped(t, r, calls, "stat"));
	calls = 0;
	r = t->ops->mounts(t->self, "key", stop_mount, &calls, fresh(t));
	TRY(stopped(t, r, calls, "mounts"));
}

static void stat_refuses_an_absent_name(struct trial *t)
{
	struct told told;

	REFUSED(t, ENOENT, stat_of(t, "absent", &told));
	CHECK(t, told.calls == 0, "it called back all the same");
}

/* Infos of other sizes than the plugin's must be possible: it says its own. */
static int check_info(void *ctx, const struct shale_info *info)
{
	struct trial *t = ctx;

	if (info->size < sizeof(*info))
		(void)trial_fail(t, "an info says that its size is %u",
				 info->size);
	if (!info->name || !info->parent || !info->labels)
		(void)trial_fail(t, "an info has NULL in it");
	return 0;
}

static void each_info_is_filled(struct trial *t)
{
	OK(t, layer(t, "name", NULL));
	OK(t, prepare(t, "key", NULL));
	OK(t, t->ops->walk(t->self, check_info, t, fresh(t)));
	OK(t, t->ops->active(t->self, check_info, t, fresh(t)));
	OK(t, t->ops->stat(t->self, "name", check_info, t, fresh(t)));
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* File systems may keep whole seconds; their clocks may lag a tick. */
#define SLACK_NS INT64_C(2000000000)

static void created_is_the_time_of_the_creation(struct trial *t)
{
	const int64_t before = now_ns() - SLACK_NS;
	struct told told;

	OK(t, prepare(t, "key", NULL));
	OK(t, stat_of(t, "key", &told));
	CHECK(t,
	      told.created_ns >= before &&
		      told.created_ns <= now_ns() + SLACK_NS,
	      "created at %lld, which is not now", (long long)told.created_ns);
	CHECK(t, told.updated_ns >= told.created_ns,
	      "updated before it was created");
	OK(t, commit(t, "name", "key"));
	OK(t, stat_of(t, "name", &told));
	CHECK(t,
	      told.created_ns >= before &&
		      told.created_ns <= now_ns() + SLACK_NS,
	      "committed at %lld, which is not now",
	      (long long)told.created_ns);
}

/* ---- changes while walking ---- */

struct change {
	struct trial *t;
	struct list seen;
	int r;
};

/* On another handle: a serial plugin's own is in use. */
static int change_and_add(void *ctx, const struct shale_info *info)
{
	struct change *change = ctx;
	struct trial other = *change->t;

	if (change->seen.count == 0 && trial_open(&other, &other.self)) {
		for (int i = 0; i < 20 && change->r == 0; i++)
			change->r = layer(&other, text_new("new %d", i), NULL);
		for (int i = 0; i < 10 && change->r == 0; i++)
			change->r = delete_name(&other, text_new("go %d", i));
		other.ops->close(other.self);
	}
	return list_add(&change->seen, info);
}

static void walk_misses_nothing_while_the_store_changes(struct trial *t)
{
	struct change change = { .t = t };

	if (t->ops->features & SHALE_FEAT_GLOBAL_SERIAL) {
		(void)trial_skip(t,
				 "global-serial: callbacks may call nothing");
		return;
	}
	for (int i = 0; i < 20; i++) {
		OK(t, layer(t, text_new("stay %d", i), NULL));
		if (i < 10)
			OK(t, layer(t, text_new("go %d", i), NULL));
	}
	OK(t, t->ops->walk(t->self, change_and_add, &change, fresh(t)));
	OK(t, change.r);
	for (int i = 0; i < 20; i++)
		CHECK(t, list_count(&change.seen, text_new("stay %d", i)) == 1,
		      "'stay %d' was always there and told %zu times", i,
		      list_count(&change.seen, text_new("stay %d", i)));
	for (size_t i = 0; i < change.seen.count; i++)
		CHECK(t,
		      list_count(&change.seen, change.seen.items[i].name) == 1,
		      "'%s' is told more than once", change.seen.items[i].name);
}

const struct conform_case look_cases[] = {
	CASE(walk_tells_each_committed_one_once, MUST_OFFER),
	CASE(active_tells_each_key_once, 0),
	CASE(an_empty_store_tells_nothing, MUST_OFFER),
	CASE(a_callback_stops_walk_and_active, MUST_OFFER),
	CASE(a_callback_stops_stat_and_mounts, MUST_OFFER),
	CASE(stat_refuses_an_absent_name, MUST_OFFER),
	CASE(each_info_is_filled, MUST_OFFER),
	CASE(created_is_the_time_of_the_creation, MUST_OFFER),
	CASE(walk_misses_nothing_while_the_store_changes, MUST_OFFER),
	CASES_END,
};

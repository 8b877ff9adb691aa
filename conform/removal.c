/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * remove, delete and cleanup: two verbs on purpose, so that who abandons a
 * container's key can never delete an image's layer.
 */
#include <stdlib.h>
#include <string.h>

#include "trial.h"

static void remove_takes_an_active_and_a_view(struct trial *t)
{
	struct list list;

	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	OK(t, view(t, "view", "base"));
	OK(t, remove_key(t, "key"));
	OK(t, remove_key(t, "view"));
	REFUSED(t, ENOENT, exists(t, "key"));
	REFUSED(t, ENOENT, exists(t, "view"));
	OK(t, active(t, &list));
	CHECK(t, list.count == 0, "%zu keys are left", list.count);
	OK(t, exists(t, "base"));
}

static void remove_refuses_a_committed_one(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	REFUSED(t, EBADFD, remove_key(t, "base"));
	OK(t, exists(t, "base"));
}

static void remove_refuses_an_absent_key(struct trial *t)
{
	REFUSED(t, ENOENT, remove_key(t, "absent"));
	OK(t, prepare(t, "key", NULL));
	OK(t, remove_key(t, "key"));
	REFUSED(t, ENOENT, remove_key(t, "key"));
}

static void delete_takes_a_committed_one(struct trial *t)
{
	struct list list;

	OK(t, layer(t, "base", NULL));
	OK(t, delete_name(t, "base"));
	REFUSED(t, ENOENT, exists(t, "base"));
	OK(t, walk(t, &list));
	CHECK(t, list.count == 0, "%zu are left", list.count);
}

static void delete_refuses_an_active(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EBADFD, delete_name(t, "key"));
	OK(t, exists(t, "key"));
}

static void delete_refuses_a_view(struct trial *t)
{
	OK(t, view(t, "view", NULL));
	REFUSED(t, EBADFD, delete_name(t, "view"));
	OK(t, exists(t, "view"));
}

static void delete_refuses_an_absent_name(struct trial *t)
{
	REFUSED(t, ENOENT, delete_name(t, "absent"));
}

static void delete_refuses_one_with_a_committed_child(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, layer(t, "child", "base"));
	REFUSED(t, EBUSY, delete_name(t, "base"));
	TRY(is_told(t, "child", SHALE_KIND_COMMITTED, "base"));
	OK(t, delete_name(t, "child"));
	OK(t, delete_name(t, "base"));
}

static void delete_refuses_one_with_an_active_child(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "child", "base"));
	REFUSED(t, EBUSY, delete_name(t, "base"));
	OK(t, exists(t, "base"));
	OK(t, remove_key(t, "child"));
	OK(t, delete_name(t, "base"));
}

static void delete_refuses_one_with_a_view(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, view(t, "child", "base"));
	REFUSED(t, EBUSY, delete_name(t, "base"));
	OK(t, exists(t, "base"));
	OK(t, remove_key(t, "child"));
	OK(t, delete_name(t, "base"));
}

static void delete_counts_until_the_last_child_is_gone(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	for (int i = 0; i < 5; i++)
		OK(t, prepare(t, text_new("child %d", i), "base"));
	for (int i = 0; i < 5; i++) {
		REFUSED(t, EBUSY, delete_name(t, "base"));
		OK(t, remove_key(t, text_new("child %d", i)));
	}
	OK(t, delete_name(t, "base"));
}

static int cleanup(struct trial *t, uint64_t *ret_removed)
{
	return t->ops->cleanup(t->self, ret_removed, fresh(t));
}

static bool furnish(struct trial *t)
{
	return trial_ok(t, layer(t, "base", NULL), "layer") &&
	       trial_ok(t, layer(t, "second", "base"), "layer") &&
	       trial_ok(t, prepare(t, "key", "second"), "prepare") &&
	       trial_ok(t, view(t, "view", "base"), "view");
}

static void cleanup_takes_nothing_that_is_whole(struct trial *t)
{
	const char *before, *after;
	uint64_t removed = 0;

	TRY(furnish(t));
	TRY((before = picture(t)) != NULL);
	OK(t, cleanup(t, &removed));
	TRY((after = picture(t)) != NULL);
	CHECK(t, !strcmp(before, after), "before: %s after: %s", before, after);
}

static void cleanup_finds_nothing_the_second_time(struct trial *t)
{
	uint64_t removed = 4711;

	TRY(furnish(t));
	OK(t, remove_key(t, "key"));
	OK(t, cleanup(t, &removed));
	removed = 4711;
	OK(t, cleanup(t, &removed));
	CHECK(t, removed == 0, "the second time it removed %llu",
	      (unsigned long long)removed);
}

/* The errors of each operation, one after the other. */
static void refusals_leave_the_store_as_it_was(struct trial *t)
{
	const char *before, *after;

	TRY(furnish(t));
	TRY((before = picture(t)) != NULL);
	REFUSED(t, EEXIST, prepare(t, "key", "base"));
	REFUSED(t, ENOENT, prepare(t, "new", "absent"));
	REFUSED(t, EINVAL, prepare(t, "new", "key"));
	REFUSED(t, EEXIST, view(t, "view", "second"));
	REFUSED(t, ENOENT, view(t, "new", "absent"));
	REFUSED(t, EEXIST, commit(t, "base", "key"));
	REFUSED(t, EINVAL, commit_onto(t, "new", "key", "base"));
	REFUSED(t, EBADFD, commit(t, "new", "view"));
	REFUSED(t, EBADFD, remove_key(t, "second"));
	REFUSED(t, EBADFD, delete_name(t, "key"));
	REFUSED(t, EBUSY, delete_name(t, "base"));
	REFUSED(t, EBUSY, delete_name(t, "second"));
	TRY((after = picture(t)) != NULL);
	CHECK(t, !strcmp(before, after), "before: %s after: %s", before, after);
}

const struct conform_case removal_cases[] = {
	CASE(remove_takes_an_active_and_a_view, 0),
	CASE(remove_refuses_a_committed_one, MUST_OFFER),
	CASE(remove_refuses_an_absent_key, MUST_OFFER),
	CASE(delete_takes_a_committed_one, MUST_OFFER),
	CASE(delete_refuses_an_active, MUST_OFFER),
	CASE(delete_refuses_a_view, 0),
	CASE(delete_refuses_an_absent_name, MUST_OFFER),
	CASE(delete_refuses_one_with_a_committed_child, 0),
	CASE(delete_refuses_one_with_an_active_child, 0),
	CASE(delete_refuses_one_with_a_view, 0),
	CASE(delete_counts_until_the_last_child_is_gone, 0),
	CASE(cleanup_takes_nothing_that_is_whole, 0),
	CASE(cleanup_finds_nothing_the_second_time, 0),
	CASE(refusals_leave_the_store_as_it_was, 0),
	CASES_END,
};

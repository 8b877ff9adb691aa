/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels: given at creation, told by stat, changed by update.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trial.h"

/* Out of order on purpose. */
static const char *const two[] = { "b", "2", "a", "1", NULL };
static const struct shale_opts with_two = { .size = sizeof(with_two),
					    .labels = two };

static bool has_labels(struct trial *t, const char *name, const char *want)
{
	struct told told;

	if (!trial_ok(t, stat_of(t, name, &told), "stat"))
		return false;
	return !strcmp(told.labels, want) ||
	       trial_fail(t, "the labels of '%s' are '%s', not '%s'", name,
			  told.labels, want);
}

static int prepare_with(struct trial *t, const char *key,
			const struct shale_opts *opts)
{
	return t->ops->prepare(t->self, key, NULL, opts, fresh(t));
}

static int update(struct trial *t, const char *name, const char *const *labels,
		  const char *const *fields)
{
	return t->ops->update(t->self, name, labels, fields, fresh(t));
}

static void labels_of_a_creation_are_kept_and_sorted(struct trial *t)
{
	OK(t, prepare_with(t, "key", &with_two));
	TRY(has_labels(t, "key", "a=1;b=2;"));
	OK(t, t->ops->view(t->self, "view", NULL, &with_two, fresh(t)));
	TRY(has_labels(t, "view", "a=1;b=2;"));
	OK(t, t->ops->commit(t->self, "name", "key", &with_two, fresh(t)));
	TRY(has_labels(t, "name", "a=1;b=2;"));
}

static void without_labels_the_list_is_empty(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	TRY(has_labels(t, "key", ""));
	OK(t, commit(t, "name", "key"));
	TRY(has_labels(t, "name", ""));
}

static void commit_inherits_no_label_of_the_key(struct trial *t)
{
	static const char *const other[] = { "c", "3", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = other };

	OK(t, prepare_with(t, "key", &with_two));
	OK(t, t->ops->commit(t->self, "name", "key", &opts, fresh(t)));
	TRY(has_labels(t, "name", "c=3;"));
	OK(t, prepare_with(t, "key", &with_two));
	OK(t, commit(t, "bare", "key"));
	TRY(has_labels(t, "bare", ""));
}

static void update_replaces_all_labels(struct trial *t)
{
	static const char *const now[] = { "c", "3", NULL };
	static const char *const none[] = { NULL };
	static const char *const all[] = { "labels", NULL };

	OK(t, prepare_with(t, "key", &with_two));
	OK(t, update(t, "key", now, NULL));
	TRY(has_labels(t, "key", "c=3;"));
	OK(t, update(t, "key", two, all));
	TRY(has_labels(t, "key", "a=1;b=2;"));
	OK(t, update(t, "key", none, all));
	TRY(has_labels(t, "key", ""));
}

static void update_of_a_field_leaves_the_others(struct trial *t)
{
	static const char *const now[] = { "a", "one", "b", "not asked for",
					   NULL };
	static const char *const field[] = { "labels.a", NULL };

	OK(t, prepare_with(t, "key", &with_two));
	OK(t, update(t, "key", now, field));
	TRY(has_labels(t, "key", "a=one;b=2;"));
}

static void update_adds_a_field_that_was_not_there(struct trial *t)
{
	static const char *const now[] = { "c.d", "3", NULL };
	static const char *const field[] = { "labels.c.d", NULL };

	OK(t, prepare_with(t, "key", &with_two));
	OK(t, update(t, "key", now, field));
	TRY(has_labels(t, "key", "a=1;b=2;c.d=3;"));
}

static void update_removes_a_field_without_value(struct trial *t)
{
	static const char *const none[] = { NULL };
	static const char *const field[] = { "labels.a", NULL };

	OK(t, prepare_with(t, "key", &with_two));
	OK(t, update(t, "key", none, field));
	TRY(has_labels(t, "key", "b=2;"));
}

static void update_refuses_what_is_no_label(struct trial *t)
{
	static const char *const fields[][3] = { { "parent", NULL },
						 { "name", NULL },
						 { "labels.a", "kind", NULL },
						 { "", NULL } };

	OK(t, prepare_with(t, "key", &with_two));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		REFUSED(t, EINVAL, update(t, "key", two, fields[i]));
	TRY(has_labels(t, "key", "a=1;b=2;"));
}

static void update_refuses_an_absent_name(struct trial *t)
{
	OK(t, prepare_with(t, "key", &with_two));
	REFUSED(t, ENOENT, update(t, "absent", two, NULL));
}

static void update_changes_labels_alone(struct trial *t)
{
	const struct timespec pause = { 0, 20000000 }; /* coarse clocks */
	struct told before, after;

	OK(t, layer(t, "base", NULL));
	OK(t, layer(t, "name", "base"));
	OK(t, stat_of(t, "name", &before));
	(void)nanosleep(&pause, NULL);
	OK(t, update(t, "name", two, NULL));
	OK(t, stat_of(t, "name", &after));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, "base"));
	CHECK(t, before.created_ns == after.created_ns,
	      "the time of creation changed");
	CHECK(t, before.updated_ns < after.updated_ns,
	      "the time of the update did not change");
}

static void labels_of_a_committed_one_can_be_changed(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, layer(t, "child", "base"));
	OK(t, update(t, "base", two, NULL));
	TRY(has_labels(t, "base", "a=1;b=2;"));
	TRY(has_labels(t, "child", ""));
}

static void a_label_may_be_40000_bytes_of_utf8(struct trial *t)
{
	char *value = text_new("%40000s", "");
	const char *const pairs[] = { "long", value, "\xc3\xbc \"'\\",
				      "\xe2\x82\xac\n\t;=", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = pairs };

	OK(t, prepare_with(t, "key", &opts));
	TRY(has_labels(t, "key",
		       text_new("long=%s;%s=%s;", value, pairs[2], pairs[3])));
	OK(t, update(t, "key", two, NULL));
	TRY(has_labels(t, "key", "a=1;b=2;"));
	OK(t, update(t, "key", pairs, NULL));
	OK(t, trial_reopen(t) ? 0 : -EIO);
	TRY(has_labels(t, "key",
		       text_new("long=%s;%s=%s;", value, pairs[2], pairs[3])));
}

static void walk_and_active_tell_the_labels(struct trial *t)
{
	struct list list;

	OK(t, prepare_with(t, "key", &with_two));
	OK(t, active(t, &list));
	CHECK(t, list.count == 1 && !strcmp(list.items[0].labels, "a=1;b=2;"),
	      "active tells '%s'",
	      list.count ? list.items[0].labels : "nothing");
	OK(t, t->ops->commit(t->self, "name", "key", &with_two, fresh(t)));
	OK(t, walk(t, &list));
	CHECK(t, list.count == 1 && !strcmp(list.items[0].labels, "a=1;b=2;"),
	      "walk tells '%s'", list.count ? list.items[0].labels : "nothing");
}

const struct conform_case label_cases[] = {
	CASE(labels_of_a_creation_are_kept_and_sorted, 0),
	CASE(without_labels_the_list_is_empty, MUST_OFFER),
	CASE(commit_inherits_no_label_of_the_key, 0),
	CASE(update_replaces_all_labels, 0),
	CASE(update_of_a_field_leaves_the_others, 0),
	CASE(update_adds_a_field_that_was_not_there, 0),
	CASE(update_removes_a_field_without_value, 0),
	CASE(update_refuses_what_is_no_label, 0),
	CASE(update_refuses_an_absent_name, 0),
	CASE(update_changes_labels_alone, 0),
	CASE(labels_of_a_committed_one_can_be_changed, 0),
	CASE(a_label_may_be_40000_bytes_of_utf8, 0),
	CASE(walk_and_active_tell_the_labels, 0),
	CASES_END,
};

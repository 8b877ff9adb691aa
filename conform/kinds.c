/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The three kinds, and what may be whose parent.
 */
#include <string.h>

#include "trial.h"

/* How often each of the two listings has a name. */
static bool is_listed(struct trial *t, const char *name, size_t in_walk,
		      size_t in_active)
{
	struct list committed, others;

	if (!trial_ok(t, walk(t, &committed), "walk") ||
	    !trial_ok(t, active(t, &others), "active"))
		return false;
	if (list_count(&committed, name) != in_walk)
		return trial_fail(t, "walk tells '%s' %zu times, not %zu", name,
				  list_count(&committed, name), in_walk);
	if (list_count(&others, name) != in_active)
		return trial_fail(t, "active tells '%s' %zu times, not %zu",
				  name, list_count(&others, name), in_active);
	return true;
}

static void prepare_makes_an_active(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	OK(t, exists(t, "key"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
	TRY(is_listed(t, "key", 0, 1));
}

static void prepare_makes_an_active_on_its_parent(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, "base"));
}

static void view_makes_a_view(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, view(t, "view", "base"));
	OK(t, exists(t, "view"));
	TRY(is_told(t, "view", SHALE_KIND_VIEW, "base"));
	TRY(is_listed(t, "view", 0, 1));
}

static void a_view_may_do_without_parent(struct trial *t)
{
	OK(t, view(t, "view", NULL));
	TRY(is_told(t, "view", SHALE_KIND_VIEW, ""));
}

static void commit_makes_a_committed_one_of_the_key(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	OK(t, commit(t, "name", "key"));
	OK(t, exists(t, "name"));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, ""));
	TRY(is_listed(t, "name", 1, 0));
	REFUSED(t, ENOENT, exists(t, "key"));
	TRY(is_listed(t, "key", 0, 0));
}

static void an_empty_parent_is_none(struct trial *t)
{
	OK(t, prepare(t, "key", ""));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
	OK(t, view(t, "view", ""));
	TRY(is_told(t, "view", SHALE_KIND_VIEW, ""));
}

static void prepare_refuses_an_absent_parent(struct trial *t)
{
	REFUSED(t, ENOENT, prepare(t, "key", "absent"));
	REFUSED(t, ENOENT, exists(t, "key"));
}

static void prepare_refuses_a_parent_that_is_not_committed(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "active", NULL));
	OK(t, view(t, "view", "base"));
	REFUSED(t, EINVAL, prepare(t, "key", "active"));
	REFUSED(t, EINVAL, prepare(t, "key", "view"));
	REFUSED(t, ENOENT, exists(t, "key"));
}

static void view_refuses_an_absent_parent(struct trial *t)
{
	REFUSED(t, ENOENT, view(t, "view", "absent"));
	REFUSED(t, ENOENT, exists(t, "view"));
}

static void view_refuses_a_parent_that_is_not_committed(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "active", NULL));
	OK(t, view(t, "other", "base"));
	REFUSED(t, EINVAL, view(t, "view", "active"));
	REFUSED(t, EINVAL, view(t, "view", "other"));
	REFUSED(t, ENOENT, exists(t, "view"));
}

static int parent_of(struct trial *t, const char *name, char *ret)
{
	return t->ops->parent(t->self, name, ret, fresh(t));
}

static void parent_tells_the_parent_of_each_kind(struct trial *t)
{
	char parent[SHALE_NAME_SIZE] = "untouched";

	OK(t, layer(t, "base", NULL));
	OK(t, parent_of(t, "base", parent));
	CHECK(t, !*parent, "the parent of 'base' is '%s', not ''", parent);
	OK(t, layer(t, "second", "base"));
	OK(t, parent_of(t, "second", parent));
	CHECK(t, !strcmp(parent, "base"), "it is '%s', not 'base'", parent);
	OK(t, prepare(t, "key", "second"));
	OK(t, parent_of(t, "key", parent));
	CHECK(t, !strcmp(parent, "second"), "it is '%s', not 'second'", parent);
	OK(t, view(t, "view", "base"));
	OK(t, parent_of(t, "view", parent));
	CHECK(t, !strcmp(parent, "base"), "it is '%s', not 'base'", parent);
}

static void parent_of_an_absent_name_is_refused(struct trial *t)
{
	char parent[SHALE_NAME_SIZE] = "untouched";

	REFUSED(t, ENOENT, parent_of(t, "absent", parent));
	CHECK(t, !strcmp(parent, "untouched"),
	      "it failed and wrote '%s' all the same", parent);
}

static void a_chain_keeps_its_order(struct trial *t)
{
	const char *parent = "";

	for (int i = 0; i < 20; i++) {
		const char *name = text_new("layer %d", i);

		OK(t, layer(t, name, parent));
		parent = name;
	}
	for (int i = 19; i > 0; i--)
		TRY(is_told(t, text_new("layer %d", i), SHALE_KIND_COMMITTED,
			    text_new("layer %d", i - 1)));
	TRY(is_told(t, "layer 0", SHALE_KIND_COMMITTED, ""));
}

static void exists_denies_what_is_not_there(struct trial *t)
{
	REFUSED(t, ENOENT, exists(t, "absent"));
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, ENOENT, exists(t, "absent"));
	OK(t, remove_key(t, "key"));
	REFUSED(t, ENOENT, exists(t, "key"));
}

const struct conform_case kind_cases[] = {
	CASE(prepare_makes_an_active, MUST_OFFER),
	CASE(prepare_makes_an_active_on_its_parent, 0),
	CASE(view_makes_a_view, 0),
	CASE(a_view_may_do_without_parent, 0),
	CASE(commit_makes_a_committed_one_of_the_key, MUST_OFFER),
	CASE(an_empty_parent_is_none, 0),
	CASE(prepare_refuses_an_absent_parent, 0),
	CASE(prepare_refuses_a_parent_that_is_not_committed, 0),
	CASE(view_refuses_an_absent_parent, 0),
	CASE(view_refuses_a_parent_that_is_not_committed, 0),
	CASE(parent_tells_the_parent_of_each_kind, 0),
	CASE(parent_of_an_absent_name_is_refused, MUST_OFFER),
	CASE(a_chain_keeps_its_order, 0),
	CASE(exists_denies_what_is_not_there, MUST_OFFER),
	CASES_END,
};

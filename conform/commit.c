/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commit, and the parent that it may give.
 */
#include "trial.h"

static void commit_refuses_a_view(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, view(t, "view", "base"));
	REFUSED(t, EBADFD, commit(t, "name", "view"));
	TRY(is_told(t, "view", SHALE_KIND_VIEW, "base"));
	REFUSED(t, ENOENT, exists(t, "name"));
}

static void commit_refuses_a_committed_one(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	REFUSED(t, EBADFD, commit(t, "name", "base"));
	TRY(is_told(t, "base", SHALE_KIND_COMMITTED, ""));
	REFUSED(t, ENOENT, exists(t, "name"));
}

static void commit_refuses_an_absent_key(struct trial *t)
{
	REFUSED(t, ENOENT, commit(t, "name", "absent"));
	REFUSED(t, ENOENT, exists(t, "name"));
}

static void commit_keeps_the_parent(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	OK(t, commit(t, "name", "key"));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, "base"));
}

static void commit_accepts_the_parent_it_has(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	OK(t, commit_onto(t, "name", "key", "base"));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, "base"));
}

static void an_empty_new_parent_changes_nothing(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	OK(t, commit_onto(t, "name", "key", ""));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, "base"));
}

static void commit_gives_a_parent_to_one_without(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", NULL));
	OK(t, commit_onto(t, "name", "key", "base"));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, "base"));
	REFUSED(t, EBUSY, delete_name(t, "base"));
}

static void commit_refuses_another_parent_than_it_has(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, layer(t, "other", NULL));
	OK(t, prepare(t, "key", "base"));
	REFUSED(t, EINVAL, commit_onto(t, "name", "key", "other"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, "base"));
}

static void commit_refuses_an_absent_new_parent(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, ENOENT, commit_onto(t, "name", "key", "absent"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
	REFUSED(t, ENOENT, exists(t, "name"));
}

static void commit_refuses_a_new_parent_that_is_not_committed(struct trial *t)
{
	OK(t, prepare(t, "active", NULL));
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EBADFD, commit_onto(t, "name", "key", "active"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
	REFUSED(t, ENOENT, exists(t, "name"));
}

static void keep_commits_a_copy_and_leaves_the_key(struct trial *t)
{
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	TRY(keep(t, "copy", "key", NULL));
	TRY(is_told(t, "copy", SHALE_KIND_COMMITTED, "base"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, "base"));
	TRY(keep(t, "another", "key", "base"));
	OK(t, commit(t, "name", "key"));
	TRY(is_told(t, "another", SHALE_KIND_COMMITTED, "base"));
}

static void freeze_without_keep_is_refused(struct trial *t)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = SHALE_COMMIT_FREEZE };

	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EINVAL,
		t->ops->commit(t->self, "name", "key", &opts, fresh(t)));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
}

/* A failed commit must not keep a key from its next one. */
static void a_refused_commit_can_be_repeated(struct trial *t)
{
	OK(t, layer(t, "taken", NULL));
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EEXIST, commit(t, "taken", "key"));
	OK(t, commit(t, "name", "key"));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, ""));
}

const struct conform_case commit_cases[] = {
	CASE(commit_refuses_a_view, 0),
	CASE(commit_refuses_a_committed_one, MUST_OFFER),
	CASE(commit_refuses_an_absent_key, MUST_OFFER),
	CASE(commit_keeps_the_parent, 0),
	CASE(commit_accepts_the_parent_it_has, 0),
	CASE(an_empty_new_parent_changes_nothing, 0),
	CASE(commit_gives_a_parent_to_one_without, 0),
	CASE(commit_refuses_another_parent_than_it_has, 0),
	CASE(commit_refuses_an_absent_new_parent, 0),
	CASE(commit_refuses_a_new_parent_that_is_not_committed, 0),
	CASE(keep_commits_a_copy_and_leaves_the_key, 0),
	CASE(freeze_without_keep_is_refused, MUST_OFFER),
	CASE(a_refused_commit_can_be_repeated, MUST_OFFER),
	CASES_END,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names and keys: what one may be, and the one space they share.
 */
#include <stdlib.h>
#include <string.h>

#include "trial.h"

/* A name of @len bytes. */
static char *long_name(size_t len)
{
	char *name = text_new("%*s", (int)len, "");

	for (size_t i = 0; i < len; i++)
		name[i] = (char)('a' + i % 26);
	return name;
}

/* The first case: where this fails, all do. */
static void a_store_opens_and_closes(struct trial *t)
{
	t->ops->close(t->self);
	TRY(trial_open(t, &t->self));
	t->ops->close(t->self);
}

static void names_of_1_and_of_1023_bytes_are_taken(struct trial *t)
{
	const char *most = long_name(1023);

	OK(t, prepare(t, "k", NULL));
	OK(t, commit(t, most, "k"));
	TRY(is_told(t, most, SHALE_KIND_COMMITTED, ""));
	OK(t, prepare(t, long_name(1022), most));
	TRY(is_told(t, long_name(1022), SHALE_KIND_ACTIVE, most));
}

static void a_name_of_1024_bytes_is_refused(struct trial *t)
{
	const char *more = long_name(1024);

	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EINVAL, prepare(t, more, NULL));
	REFUSED(t, EINVAL, commit(t, more, "key"));
	REFUSED(t, EINVAL, exists(t, more));
}

static void an_empty_name_is_refused(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EINVAL, prepare(t, "", NULL));
	REFUSED(t, EINVAL, commit(t, "", "key"));
	REFUSED(t, EINVAL, remove_key(t, ""));
	REFUSED(t, EINVAL, delete_name(t, ""));
	REFUSED(t, EINVAL, exists(t, ""));
}

static void a_name_may_hold_any_byte_but_nul(struct trial *t)
{
	char name[256];

	for (int i = 0; i < 255; i++)
		name[i] = (char)(i + 1);
	name[255] = '\0';
	OK(t, layer(t, name, NULL));
	TRY(is_told(t, name, SHALE_KIND_COMMITTED, ""));
	OK(t, delete_name(t, name));
	REFUSED(t, ENOENT, exists(t, name));
}

static void a_name_is_not_a_path(struct trial *t)
{
	static const char *const names[] = { ".",	  "..", "/",
					     "../escape", "a/", "a/../a/b/",
					     "-",	  "a b" };
	struct list list;
	const size_t count = sizeof(names) / sizeof(names[0]);

	for (size_t i = 0; i < count; i++) {
		OK(t, prepare(t, names[i], NULL));
		TRY(is_told(t, names[i], SHALE_KIND_ACTIVE, ""));
	}
	OK(t, active(t, &list));
	CHECK(t, list.count == count, "%zu keys were made and %zu are active",
	      count, list.count);
}

static void names_that_differ_in_one_byte_are_two(struct trial *t)
{
	char *a = long_name(1023), *b = long_name(1023);

	b[1022] = '!';
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, ENOENT, exists(t, "KEY"));
	REFUSED(t, ENOENT, exists(t, "key "));
	OK(t, prepare(t, a, NULL));
	REFUSED(t, ENOENT, exists(t, b));
	OK(t, prepare(t, b, NULL));
	OK(t, remove_key(t, a));
	OK(t, exists(t, b));
}

static void prepare_refuses_a_taken_key(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	OK(t, layer(t, "name", NULL));
	REFUSED(t, EEXIST, prepare(t, "key", NULL));
	REFUSED(t, EEXIST, prepare(t, "name", NULL));
	TRY(is_told(t, "name", SHALE_KIND_COMMITTED, ""));
}

static void view_refuses_a_taken_key(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	OK(t, layer(t, "name", NULL));
	OK(t, view(t, "view", "name"));
	REFUSED(t, EEXIST, view(t, "key", "name"));
	REFUSED(t, EEXIST, view(t, "view", "name"));
	REFUSED(t, EEXIST, view(t, "name", "name"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
}

static void prepare_refuses_the_key_of_a_view(struct trial *t)
{
	OK(t, layer(t, "name", NULL));
	OK(t, view(t, "view", "name"));
	REFUSED(t, EEXIST, prepare(t, "view", NULL));
	TRY(is_told(t, "view", SHALE_KIND_VIEW, "name"));
}

static void commit_refuses_a_taken_name(struct trial *t)
{
	OK(t, layer(t, "name", NULL));
	OK(t, prepare(t, "other", NULL));
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EEXIST, commit(t, "name", "key"));
	REFUSED(t, EEXIST, commit(t, "other", "key"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
	TRY(is_told(t, "other", SHALE_KIND_ACTIVE, ""));
}

static void commit_refuses_its_own_key_as_the_name(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EEXIST, commit(t, "key", "key"));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
}

static void what_is_gone_leaves_its_name_free(struct trial *t)
{
	OK(t, prepare(t, "first", NULL));
	OK(t, remove_key(t, "first"));
	OK(t, prepare(t, "first", NULL));
	OK(t, commit(t, "second", "first"));
	OK(t, prepare(t, "first", NULL));
	OK(t, delete_name(t, "second"));
	OK(t, commit(t, "second", "first"));
	OK(t, layer(t, "first", "second"));
	TRY(is_told(t, "first", SHALE_KIND_COMMITTED, "second"));
}

const struct conform_case name_cases[] = {
	CASE(a_store_opens_and_closes, MUST_OFFER),
	CASE(names_of_1_and_of_1023_bytes_are_taken, MUST_OFFER),
	CASE(a_name_of_1024_bytes_is_refused, MUST_OFFER),
	CASE(an_empty_name_is_refused, MUST_OFFER),
	CASE(a_name_may_hold_any_byte_but_nul, MUST_OFFER),
	CASE(a_name_is_not_a_path, MUST_OFFER),
	CASE(names_that_differ_in_one_byte_are_two, MUST_OFFER),
	CASE(prepare_refuses_a_taken_key, MUST_OFFER),
	CASE(view_refuses_a_taken_key, 0),
	CASE(prepare_refuses_the_key_of_a_view, 0),
	CASE(commit_refuses_a_taken_name, MUST_OFFER),
	CASE(commit_refuses_its_own_key_as_the_name, MUST_OFFER),
	CASE(what_is_gone_leaves_its_name_free, 0),
	CASES_END,
};

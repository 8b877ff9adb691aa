/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What keeps old plugins and new hosts together: sizes, unknown requests, and
 * what is said when something fails.
 */
#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "text.h"
#include "trial.h"

/* Options of a host that is newer than the plugin. */
struct newer_opts {
	struct shale_opts opts;
	uint64_t later;
};

static int prepare_with(struct trial *t, const char *key,
			const struct shale_opts *opts)
{
	return t->ops->prepare(t->self, key, NULL, opts, fresh(t));
}

static int view_with(struct trial *t, const char *key,
		     const struct shale_opts *opts)
{
	return t->ops->view(t->self, key, "base", opts, fresh(t));
}

static int commit_with(struct trial *t, const char *name,
		       const struct shale_opts *opts)
{
	return t->ops->commit(t->self, name, "key", opts, fresh(t));
}

static void an_unknown_flag_is_refused(struct trial *t)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = 1u << 30 };

	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EINVAL, prepare_with(t, "new", &opts));
	REFUSED(t, EINVAL, commit_with(t, "name", &opts));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
	REFUSED(t, ENOENT, exists(t, "new"));
}

static void an_unknown_flag_of_a_view_is_refused(struct trial *t)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .flags = 1u << 30 };

	OK(t, layer(t, "base", NULL));
	REFUSED(t, EINVAL, view_with(t, "view", &opts));
	REFUSED(t, ENOENT, exists(t, "view"));
}

static void an_option_from_the_future_is_refused(struct trial *t)
{
	const struct newer_opts newer = { .opts = { .size = sizeof(newer) },
					  .later = 1 };

	OK(t, prepare(t, "key", NULL));
	REFUSED(t, E2BIG, prepare_with(t, "new", &newer.opts));
	REFUSED(t, E2BIG, commit_with(t, "name", &newer.opts));
	TRY(is_told(t, "key", SHALE_KIND_ACTIVE, ""));
	REFUSED(t, ENOENT, exists(t, "new"));
}

static void an_option_of_a_view_from_the_future_is_refused(struct trial *t)
{
	const struct newer_opts newer = { .opts = { .size = sizeof(newer) },
					  .later = 1 };

	OK(t, layer(t, "base", NULL));
	REFUSED(t, E2BIG, view_with(t, "view", &newer.opts));
	REFUSED(t, ENOENT, exists(t, "view"));
}

static void options_that_end_in_zeros_are_taken(struct trial *t)
{
	const struct newer_opts newer = { .opts = { .size = sizeof(newer) } };

	OK(t, prepare_with(t, "key", &newer.opts));
	OK(t, commit_with(t, "base", &newer.opts));
	OK(t, view_with(t, "view", &newer.opts));
}

static void options_that_are_too_short_are_refused(struct trial *t)
{
	const struct shale_opts opts = { .size = 4 };

	OK(t, prepare(t, "key", NULL));
	REFUSED(t, EINVAL, prepare_with(t, "new", &opts));
	REFUSED(t, EINVAL, commit_with(t, "name", &opts));
}

static void prepare_refuses_a_parent_in_its_options(struct trial *t)
{
	const struct shale_opts opts = { .size = sizeof(opts),
					 .parent = "base" };

	OK(t, layer(t, "base", NULL));
	REFUSED(t, EINVAL, prepare_with(t, "new", &opts));
	REFUSED(t, ENOENT, exists(t, "new"));
}

/* ---- errors ---- */

/* Fails in each operation that takes a name, with @err. */
static bool fail_all(struct trial *t, struct shale_error *err,
		     bool (*after)(struct trial *t, int r, const char *op))
{
	const struct shale_snapshotter *ops = t->ops;
	struct shale_usage told = { .size = sizeof(told) };
	const struct shale_error empty = *err;
	char parent[SHALE_NAME_SIZE];
	struct told info = { .calls = 0 };

#define FAIL(op, ...) \
	(*err = empty, after(t, ops->op(t->self, __VA_ARGS__, err), #op))
	return FAIL(prepare, "it's", "absent", NULL) &&
	       FAIL(view, "it's", "absent", NULL) &&
	       FAIL(mounts, "it's", NULL, NULL) &&
	       FAIL(commit, "name", "it's", NULL) && FAIL(remove, "it's") &&
	       FAIL(parent, "it's", parent) && FAIL(exists, "it's") &&
	       FAIL(delete_, "it's") && FAIL(stat, "it's", NULL, &info) &&
	       FAIL(usage, "it's", &told);
#undef FAIL
}

static bool is_told_well(struct trial *t, int r, const char *op)
{
	const char *msg = t->err.msg;
	const size_t len = strnlen(msg, sizeof(t->err.msg));

	if (r == -EOPNOTSUPP)
		return true;
	if (r != -ENOENT)
		return trial_fail(t, "%s returned %d, not -ENOENT", op, r);
	if (t->err.code != ENOENT)
		return trial_fail(t, "%s: the error's code is %d, not %d", op,
				  t->err.code, ENOENT);
	if (!len || len == sizeof(t->err.msg))
		return trial_fail(t, "%s: no sentence, or no end of it", op);
	if (!text_are_utf8(msg, len) || strpbrk(msg, "\n\r\t"))
		return trial_fail(t, "%s: not one line of UTF-8: %s", op, msg);
	if (msg[len - 1] == '.' || isupper((unsigned char)msg[0]))
		return trial_fail(t, "%s: a full stop or a capital letter: %s",
				  op, msg);
	return true;
}

static void each_refusal_has_a_number_and_a_sentence(struct trial *t)
{
	TRY(fail_all(t, fresh(t), is_told_well));
}

static bool names_it(struct trial *t, int r, const char *op)
{
	return r == -EOPNOTSUPP || strstr(t->err.msg, "it's") ||
	       strstr(t->err.msg, "absent") ||
	       trial_fail(t, "%s names neither: %s", op, t->err.msg);
}

static void each_sentence_names_what_it_is_about(struct trial *t)
{
	TRY(fail_all(t, fresh(t), names_it));
}

static void a_sentence_about_a_long_name_ends_in_time(struct trial *t)
{
	char name[SHALE_NAME_SIZE];

	memset(name, '\x01', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	REFUSED(t, ENOENT, exists(t, name));
	TRY(is_told_well(t, -ENOENT, "exists"));
}

static bool is_kept(struct trial *t, int r, const char *op)
{
	(void)r;
	return (t->err.code == EIO && strstr(t->err.msg, "the first one")) ||
	       trial_fail(t, "%s replaced the error that was there by: %s", op,
			  t->err.msg);
}

static void the_first_failure_is_kept(struct trial *t)
{
	struct shale_error *err = fresh(t);

	err->code = EIO;
	(void)stpcpy(err->msg, "the first one");
	TRY(fail_all(t, err, is_kept));
}

/* An older host's struct, and behind it what is not the plugin's. */
static struct {
	struct shale_error err;
	char behind[64];
} guarded;

#define SMALL (offsetof(struct shale_error, msg) + 8)

static bool is_within(struct trial *t, int r, const char *op)
{
	const char *bytes = (const char *)&guarded;

	(void)r;
	for (size_t i = SMALL; i < sizeof(guarded); i++)
		if (bytes[i] != 0x55)
			return trial_fail(t, "%s wrote past the end of it", op);
	return true;
}

static void a_shorter_error_is_not_overrun(struct trial *t)
{
	memset(&guarded, 0x55, sizeof(guarded));
	guarded.err.size = SMALL;
	guarded.err.code = 0;
	memset(guarded.err.msg, 0, 8);
	TRY(fail_all(t, &guarded.err, is_within));
}

static void an_error_may_be_null(struct trial *t)
{
	const struct shale_snapshotter *ops = t->ops;
	char parent[SHALE_NAME_SIZE];
	struct list list = { 0 };
	void *self = t->self;

	OK(t, ops->prepare(self, "key", NULL, NULL, NULL));
	REFUSED(t, EEXIST, ops->prepare(self, "key", NULL, NULL, NULL));
	REFUSED(t, ENOENT, ops->exists(self, "absent", NULL));
	REFUSED(t, ENOENT, ops->remove(self, "absent", NULL));
	REFUSED(t, ENOENT, ops->delete_(self, "absent", NULL));
	REFUSED(t, ENOENT, ops->parent(self, "absent", parent, NULL));
	REFUSED(t, ENOENT, ops->commit(self, "name", "absent", NULL, NULL));
	REFUSED(t, ENOENT, ops->mounts(self, "absent", NULL, NULL, NULL));
	OK(t, ops->walk(self, list_add, &list, NULL));
	OK(t, ops->active(self, list_add, &list, NULL));
	OK(t, ops->commit(self, "name", "key", NULL, NULL));
}

const struct conform_case abi_cases[] = {
	CASE(an_unknown_flag_is_refused, MUST_OFFER),
	CASE(an_unknown_flag_of_a_view_is_refused, 0),
	CASE(an_option_from_the_future_is_refused, MUST_OFFER),
	CASE(an_option_of_a_view_from_the_future_is_refused, 0),
	CASE(options_that_end_in_zeros_are_taken, 0),
	CASE(options_that_are_too_short_are_refused, MUST_OFFER),
	CASE(prepare_refuses_a_parent_in_its_options, 0),
	CASE(each_refusal_has_a_number_and_a_sentence, MUST_OFFER),
	CASE(each_sentence_names_what_it_is_about, MUST_OFFER),
	CASE(a_sentence_about_a_long_name_ends_in_time, 0),
	CASE(the_first_failure_is_kept, MUST_OFFER),
	CASE(a_shorter_error_is_not_overrun, MUST_OFFER),
	CASE(an_error_may_be_null, MUST_OFFER),
	CASES_END,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `mounts` computes, read as snapshotter.h says that a spec is written.
 * Nothing is mounted here.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "trial.h"

static bool is_directory(struct trial *t, const char *path, const char *what)
{
	struct stat st;

	if (*path != '/')
		return trial_fail(t, "%s '%s' is no absolute path", what, path);
	if (fstatat(-1, path, &st, 0) < 0 || !S_ISDIR(st.st_mode))
		return trial_fail(t, "%s '%s' is no directory", what, path);
	return true;
}

/* The layers of lowerdir=: a '\' stands before a ':' or '\' of a path. */
static bool are_directories(struct trial *t, const char *lowers)
{
	char *path = text_new("%s", lowers), *out = path;

	for (const char *in = lowers;; in++) {
		if (*in == '\\' && (in[1] == ':' || in[1] == '\\')) {
			*out++ = *++in;
		} else if (*in == '\\') {
			return trial_fail(t, "a '\\' in '%s' is not escaped",
					  lowers);
		} else if (*in == ':' || !*in) {
			*out = '\0';
			if (!is_directory(t, path, "the layer"))
				return false;
			out = path;
			if (!*in)
				return true;
		} else {
			*out++ = *in;
		}
	}
}

/* An overlay without upper is read-only by itself. */
static bool is_read_only(const struct mount_told *mount)
{
	return has_option(mount, "ro") || (!strcmp(mount->type, "overlay") &&
					   !value_of(mount, "upperdir="));
}

static bool check_overlay(struct trial *t, const struct mount_told *mount)
{
	const char *lower = value_of(mount, "lowerdir=");
	const char *upper = value_of(mount, "upperdir=");
	const char *work = value_of(mount, "workdir=");

	if (!lower)
		return trial_fail(t, "an overlay has no lowerdir=");
	if (!upper != !work)
		return trial_fail(t, "upperdir= and workdir= go together");
	return are_directories(t, lower) &&
	       (!upper || (is_directory(t, upper, "upperdir") &&
			   is_directory(t, work, "workdir")));
}

/* One mount, well-formed, of what is there; then as the kind wants it. */
static bool is_mountable(struct trial *t, const char *key, bool is_writable)
{
	struct mount_told mount;

	if (!trial_ok(t, mounts(t, key, &mount), "mounts"))
		return false;
	if (mount.calls != 1)
		return trial_fail(t, "'%s' is given %u mounts", key,
				  mount.calls);
	if (mount.size < sizeof(struct shale_mount_spec) || mount.flags)
		return trial_fail(t, "the mount of '%s' has size %u, flags %u",
				  key, mount.size, mount.flags);
	if (!strcmp(mount.type, "bind")) {
		if (!is_directory(t, mount.source, "the bind's source"))
			return false;
		if (!has_option(&mount, "bind") && !has_option(&mount, "rbind"))
			return trial_fail(t,
					  "a bind says neither bind nor rbind");
	} else if (!strcmp(mount.type, "overlay")) {
		if (!check_overlay(t, &mount))
			return false;
	} else {
		return trial_fail(t, "the mount of '%s' is of type '%s'", key,
				  mount.type);
	}
	if (is_read_only(&mount) && has_option(&mount, "rw"))
		return trial_fail(t, "the mount of '%s' contradicts itself",
				  key);
	return is_read_only(&mount) != is_writable ||
	       trial_fail(t, "the mount of '%s' is %s", key,
			  is_writable ? "read-only" : "writable");
}

static void an_active_is_mounted_read_write(struct trial *t)
{
	OK(t, prepare(t, "key", NULL));
	TRY(is_mountable(t, "key", true));
}

static void an_active_on_layers_is_mounted_read_write(struct trial *t)
{
	OK(t, layer(t, "one", NULL));
	OK(t, layer(t, "two", "one"));
	OK(t, prepare(t, "key", "one"));
	TRY(is_mountable(t, "key", true));
	OK(t, prepare(t, "other", "two"));
	TRY(is_mountable(t, "other", true));
}

static void a_view_is_mounted_read_only(struct trial *t)
{
	OK(t, layer(t, "one", NULL));
	OK(t, layer(t, "two", "one"));
	OK(t, view(t, "of none", NULL));
	TRY(is_mountable(t, "of none", false));
	OK(t, view(t, "of one", "one"));
	TRY(is_mountable(t, "of one", false));
	OK(t, view(t, "of two", "two"));
	TRY(is_mountable(t, "of two", false));
}

static void mounts_refuses_a_committed_one(struct trial *t)
{
	struct mount_told mount;

	OK(t, layer(t, "name", NULL));
	REFUSED(t, EBADFD, mounts(t, "name", &mount));
	CHECK(t, mount.calls == 0, "it gave a mount all the same");
}

static void mounts_refuses_an_absent_key(struct trial *t)
{
	struct mount_told mount;

	REFUSED(t, ENOENT, mounts(t, "absent", &mount));
	CHECK(t, mount.calls == 0, "it gave a mount all the same");
}

static char *text_of(const struct mount_told *mount)
{
	char *text = text_new("%s %s", mount->type, mount->source);

	for (char **option = mount->options; *option; option++)
		text = text_new("%s %s", text, *option);
	return text;
}

static void mounts_says_the_same_each_time(struct trial *t)
{
	struct mount_told first, second, reopened;

	OK(t, layer(t, "one", NULL));
	OK(t, layer(t, "two", "one"));
	OK(t, prepare(t, "key", "two"));
	OK(t, mounts(t, "key", &first));
	OK(t, mounts(t, "key", &second));
	TRY(trial_reopen(t));
	OK(t, mounts(t, "key", &reopened));
	CHECK(t, !strcmp(text_of(&first), text_of(&second)), "%s, then %s",
	      text_of(&first), text_of(&second));
	CHECK(t, !strcmp(text_of(&first), text_of(&reopened)), "%s, then %s",
	      text_of(&first), text_of(&reopened));
}

static void two_keys_are_not_written_to_the_same_place(struct trial *t)
{
	struct mount_told a, b;

	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "a", "base"));
	OK(t, prepare(t, "b", "base"));
	OK(t, mounts(t, "a", &a));
	OK(t, mounts(t, "b", &b));
	CHECK(t, strcmp(text_of(&a), text_of(&b)) != 0, "both are: %s",
	      text_of(&a));
}

static void use_says_that_nothing_uses_a_new_key(struct trial *t)
{
	if (!t->ops->use) {
		(void)trial_skip(t, "not offered: use is optional");
		return;
	}
	OK(t, layer(t, "base", NULL));
	OK(t, prepare(t, "key", "base"));
	OK(t, t->ops->use(t->self, "key", NULL, NULL, fresh(t)));
	REFUSED(t, ENOENT,
		t->ops->use(t->self, "absent", NULL, NULL, fresh(t)));
	REFUSED(t, EBADFD, t->ops->use(t->self, "base", NULL, NULL, fresh(t)));
}

const struct conform_case mounts_cases[] = {
	CASE(an_active_is_mounted_read_write, MUST_OFFER),
	CASE(an_active_on_layers_is_mounted_read_write, 0),
	CASE(a_view_is_mounted_read_only, 0),
	CASE(mounts_refuses_a_committed_one, MUST_OFFER),
	CASE(mounts_refuses_an_absent_key, MUST_OFFER),
	CASE(mounts_says_the_same_each_time, 0),
	CASE(two_keys_are_not_written_to_the_same_place, 0),
	CASE(use_says_that_nothing_uses_a_new_key, 0),
	CASES_END,
};

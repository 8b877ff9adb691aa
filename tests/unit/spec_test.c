/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mount specs taken apart: what is understood, and each refusal by code and
 * sentence.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "scope.h"
#include "spec.h"
#include "text.h"

#define OVERLAY_OF "upperdir=/u", "workdir=/w"

static int parse(const char *type, const char *source,
		 const char *const *options, struct spec **ret,
		 struct shale_error *err)
{
	struct shale_mount_spec mount = { sizeof(mount), 0, type, source,
					  options };

	return spec_parse(&mount, ret, err);
}

static struct spec *parsed(const char *type, const char *source,
			   const char *const *options)
{
	struct shale_error err = SHALE_ERROR_INIT;
	struct spec *ret = NULL;

	if (parse(type, source, options, &ret, &err) != 0)
		fail_msg("%s", err.msg);
	return ret;
}

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void lowerdir_is_split_and_unescaped(void **state)
{
	static const struct {
		const char *text;
		const char *lowers[4];
	} cases[] = {
		{ "lowerdir=/a", { "/a" } },
		{ "lowerdir=/a:/b:/c", { "/a", "/b", "/c" } },
		{ "lowerdir=/a\\:b:/c", { "/a:b", "/c" } },
		{ "lowerdir=/a\\\\:/c", { "/a\\", "/c" } },
		{ "lowerdir=/a\\\\\\:/c", { "/a\\:/c" } },
		{ "lowerdir=/a,b c:/=", { "/a,b c", "/=" } },
		{ "lowerdir=/\xff\n\"", { "/\xff\n\"" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		auto_spec spec = parsed("overlay", "overlay",
					OPTIONS(cases[i].text, OVERLAY_OF));
		size_t n = 0;

		for (; cases[i].lowers[n]; n++)
			assert_string_equal(spec->lowers[n],
					    cases[i].lowers[n]);
		assert_int_equal(spec->lower_count, n);
	}
}

static void escaped_lower_reads_back(void **state)
{
	static const char *const paths[] = {
		"/a", "/a:b", "/\\", "/\\:", "/::\\\\", "/a,b=\" c\n", "/",
	};
	char text[256] = "lowerdir=";
	char *end = text + strlen(text);
	const size_t n = sizeof(paths) / sizeof(*paths);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		if (i)
			*end++ = ':';
		end = text_escape_lower(end, paths[i]);
	}
	assert_int_equal(*end, '\0');
	auto_spec spec =
		parsed("overlay", "overlay", OPTIONS(text, OVERLAY_OF));
	assert_int_equal(spec->lower_count, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(spec->lowers[i], paths[i]);
}

static void upperdir_and_workdir_are_raw(void **state)
{
	auto_spec spec = parsed("overlay", "src",
				OPTIONS("workdir=/w\\:,\"", "lowerdir=/l",
					"upperdir=/u\\\\a:b"));

	(void)state;
	assert_string_equal(spec->upper, "/u\\\\a:b");
	assert_string_equal(spec->work, "/w\\:,\"");
	assert_string_equal(spec->source, "src");
	assert_false(spec->is_read_only);
}

static void other_options_are_kept_in_order(void **state)
{
	auto_spec spec =
		parsed("overlay", "",
		       OPTIONS("index=off", "lowerdir=/l", "userxattr",
			       OVERLAY_OF, "context=\"a:b,c\"", "empty="));

	(void)state;
	assert_string_equal(spec->source, "overlay");
	assert_int_equal(spec->rest_count, 4);
	assert_string_equal(spec->rest[0].key, "index");
	assert_string_equal(spec->rest[0].value, "off");
	assert_string_equal(spec->rest[1].key, "userxattr");
	assert_null(spec->rest[1].value);
	assert_string_equal(spec->rest[2].key, "context");
	assert_string_equal(spec->rest[2].value, "a:b,c");
	assert_string_equal(spec->rest[3].value, "");
}

static void last_of_contradicting_flags_wins(void **state)
{
	auto_spec spec =
		parsed("bind", "/s",
		       OPTIONS("ro", "rw", "rbind", "nosuid", "suid", "dev",
			       "nodev", "noatime", "relatime", "strictatime"));

	(void)state;
	assert_false(spec->is_read_only);
	assert_true(spec->is_recursive);
	assert_int_equal(spec->attr_set,
			 MOUNT_ATTR_NODEV | MOUNT_ATTR_STRICTATIME);
	assert_int_equal(spec->attr_clear,
			 MOUNT_ATTR_NOSUID | MOUNT_ATTR__ATIME);
}

static void overlay_of_lowers_alone_is_read_only(void **state)
{
	auto_spec spec =
		parsed("overlay", "overlay", OPTIONS("lowerdir=/a:/b"));

	(void)state;
	assert_true(spec->is_read_only);
	assert_null(spec->upper);
}

static void contradictions_are_refused(void **state)
{
	static const struct {
		const char *type, *source;
		const char *options[6];
		int code;
		const char *sentence;
	} cases[] = {
		{ "tmpfs",
		  "x",
		  { NULL },
		  EINVAL,
		  "mount spec: type 'tmpfs' is neither bind nor overlay" },
		{ "bind",
		  "",
		  { "rbind" },
		  EINVAL,
		  "mount spec: the source of a bind is empty" },
		{ "bind",
		  NULL,
		  { "rbind" },
		  EINVAL,
		  "mount spec: the source of a bind is empty" },
		{ "bind",
		  "s",
		  { "rbind" },
		  EINVAL,
		  "mount spec: the source of a bind 's' is not an absolute path" },
		{ "bind",
		  "/s",
		  { "lowerdir=/a" },
		  EINVAL,
		  "mount spec: mount option 'lowerdir=/a' has no place in a bind" },
		{ "overlay",
		  "o",
		  { NULL },
		  EINVAL,
		  "mount spec: overlay without lowerdir" },
		{ "overlay",
		  "o",
		  { "lowerdir=" },
		  EINVAL,
		  "mount spec: a layer in lowerdir is empty" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a:" },
		  EINVAL,
		  "mount spec: a layer in lowerdir is empty" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a::/b" },
		  EINVAL,
		  "mount spec: a layer in lowerdir is empty" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a:b" },
		  EINVAL,
		  "mount spec: a layer in lowerdir 'b' is not an absolute path" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a\\b" },
		  EINVAL,
		  "mount spec: lowerdir has a '\\' before neither ':' nor '\\': '/a\\b'" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a\\" },
		  EINVAL,
		  "mount spec: lowerdir has a '\\' before neither ':' nor '\\': '/a\\'" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a", "lowerdir=/b" },
		  EINVAL,
		  "mount spec: lowerdir is there twice" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a" },
		  EINVAL,
		  "mount spec: overlay of one layer without upperdir: mount it as a bind" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a", "upperdir=/u" },
		  EINVAL,
		  "mount spec: overlay with upperdir but without workdir" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a:/b", "workdir=/w" },
		  EINVAL,
		  "mount spec: overlay with workdir but without upperdir" },
		{ "overlay",
		  "o",
		  { "upperdir=u" },
		  EINVAL,
		  "mount spec: upperdir 'u' is not an absolute path" },
		{ "overlay",
		  "o",
		  { "workdir=/w", "workdir=/w" },
		  EINVAL,
		  "mount spec: workdir is there twice" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a:/b", "rw" },
		  EINVAL,
		  "mount spec: rw is asked of an overlay without upperdir" },
		{ "overlay",
		  "o",
		  { "rbind" },
		  EINVAL,
		  "mount spec: mount option 'rbind' has no place in an overlay" },
		{ "overlay",
		  "o",
		  { "" },
		  EINVAL,
		  "mount spec: mount option '' has no place in an overlay" },
		{ "overlay",
		  "o",
		  { "remount" },
		  EINVAL,
		  "mount spec: mount option 'remount' has no place in a spec" },
		{ "overlay",
		  "o",
		  { "nofail" },
		  EINVAL,
		  "mount spec: mount option 'nofail' has no place in a spec" },
		{ "overlay",
		  "o",
		  { "x-mount.mkdir=0" },
		  EINVAL,
		  "mount spec: mount option 'x-mount.mkdir' has no place in a spec" },
		{ "overlay",
		  "o",
		  { "nodev,lowerdir=/etc" },
		  EINVAL,
		  "mount spec: mount option 'nodev,lowerdir=/etc' has a ',', '\"' or '\\' in its name: give each option by itself" },
		{ "overlay",
		  "o",
		  { "lowerdir+=/x" },
		  EINVAL,
		  "mount spec: mount option 'lowerdir+' has no place in a spec" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a:/b", "uidmap=0:1:1" },
		  EINVAL,
		  "mount spec: uidmap without gidmap" },
		{ "bind",
		  "/s",
		  { "gidmap=0:1:1" },
		  EINVAL,
		  "mount spec: gidmap without uidmap" },
		{ "bind",
		  "/s",
		  { "uidmap=0:1:1", "uidmap=0:1:1" },
		  EINVAL,
		  "mount spec: uidmap is there twice" },
		{ "overlay",
		  "o",
		  { "lowerdir=/a:/b", "uidmap=0:1" },
		  EINVAL,
		  "mount spec: uidmap '0:1' is not inside:outside:size, or several of them joined by ','" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct shale_error err = SHALE_ERROR_INIT;
		struct spec *spec = NULL;

		assert_int_equal(parse(cases[i].type, cases[i].source,
				       cases[i].options, &spec, &err),
				 -cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.msg, cases[i].sentence);
		assert_null(spec);
	}
}

static void layers_are_limited_to_500(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;
	char text[8192] = "lowerdir=/0";
	char *end = text + strlen(text);
	struct spec *refused = NULL;

	(void)state;
	for (int i = 1; i < 500; i++)
		end += snprintf(end, 8, ":/%d", i);
	auto_spec spec =
		parsed("overlay", "overlay", OPTIONS(text, OVERLAY_OF));
	assert_int_equal(spec->lower_count, 500);
	(void)snprintf(end, 8, ":/500");
	assert_int_equal(parse("overlay", "overlay", OPTIONS(text, OVERLAY_OF),
			       &refused, &err),
			 -E2BIG);
	assert_string_equal(
		err.msg,
		"mount spec: 501 layers are too many: an overlay takes at most 500, and 'shale flatten NEW NAME' makes one of them");
}

static void struct_is_checked_by_size(void **state)
{
	struct {
		struct shale_mount_spec mount;
		uint64_t more;
	} longer = { { sizeof(longer), 0, "bind", "/s", OPTIONS("rbind") }, 0 };
	struct shale_error err = SHALE_ERROR_INIT;
	struct spec *spec = NULL;

	(void)state;
	assert_int_equal(spec_parse(&longer.mount, &spec, &err), 0);
	spec_free(spec);
	spec = NULL;
	longer.more = 1;
	assert_int_equal(spec_parse(&longer.mount, &spec, &err), -E2BIG);
	err = (struct shale_error)SHALE_ERROR_INIT;
	longer.mount.size = 8;
	assert_int_equal(spec_parse(&longer.mount, &spec, &err), -EINVAL);
	assert_string_equal(err.msg, "mount spec: the struct is too short");
	err = (struct shale_error)SHALE_ERROR_INIT;
	longer.mount.size = sizeof(longer.mount);
	longer.mount.flags = 4;
	assert_int_equal(spec_parse(&longer.mount, &spec, &err), -EINVAL);
	assert_string_equal(err.msg, "mount spec: unknown flags 0x4");
	assert_null(spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lowerdir_is_split_and_unescaped),
		cmocka_unit_test(escaped_lower_reads_back),
		cmocka_unit_test(upperdir_and_workdir_are_raw),
		cmocka_unit_test(other_options_are_kept_in_order),
		cmocka_unit_test(last_of_contradicting_flags_wins),
		cmocka_unit_test(overlay_of_lowers_alone_is_read_only),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(layers_are_limited_to_500),
		cmocka_unit_test(struct_is_checked_by_size),
	};

	return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bundle's config.json and the annotations in it.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"

#define NAMED "\"annotations\":{\"org.shale.parent\":\"two\"}"

static struct json *parse(const char *text)
{
	struct json *json = NULL;

	MUST(json_parse(text, strlen(text), "test", &json, &why));
	return json;
}

static void what_a_door_needs_is_read(void **state)
{
	auto_bundle bundle = { 0 };

	(void)state;
	MUST(bundle_parse(
		"/b",
		parse("{\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
		      "\"process\":{\"cwd\":\"/w\"},"
		      "\"mounts\":[{\"destination\":\"/x\",\"options\":[\"ro\"]},"
		      "{\"destination\":\"/y\",\"options\":[\"tmpcopyup\"]}],"
		      "\"linux\":{\"mountLabel\":\"l:l\",\"maskedPaths\":[\"/m\"],"
		      "\"readonlyPaths\":[\"/r\"]}," NAMED "}"),
		&bundle, &why));
	assert_string_equal(bundle.rootfs, "/b/rootfs");
	assert_true(bundle.root_readonly);
	assert_string_equal(bundle.cwd, "/w");
	assert_string_equal(bundle.copy_up, "/y");
	assert_string_equal(bundle.mount_label, "l:l");
	assert_string_equal(bundle.masked->items[0]->text, "/m");
	assert_string_equal(bundle.readonly->items[0]->text, "/r");
	assert_string_equal(bundle.annotations.parent, "two");
}

static void what_is_absent_or_null_has_its_default(void **state)
{
	auto_bundle bundle = { 0 };

	(void)state;
	MUST(bundle_parse("/b",
			  parse("{\"root\":{\"path\":\"/abs\"},\"mounts\":null,"
				"\"linux\":{\"mountLabel\":\"\"}," NAMED "}"),
			  &bundle, &why));
	assert_string_equal(bundle.rootfs, "/abs");
	assert_false(bundle.root_readonly);
	assert_null(bundle.cwd);
	assert_null(bundle.copy_up);
	assert_null(bundle.mount_label);
	assert_null(bundle.masked);
	assert_null(bundle.annotations.key);
	assert_false(bundle.annotations.is_view);
	assert_int_equal(bundle.annotations.onstop, ONSTOP_REMOVE);
	assert_string_equal(bundle.annotations.onstop_text, "remove");
}

#define WITH_LINUX(text) \
	"{\"root\":{\"path\":\"r\"},\"linux\":{" text "}," NAMED "}"
#define USER_NAMESPACE \
	"\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"user\"}],"
#define RANGE(c, h, s) "{\"containerID\":" c ",\"hostID\":" h ",\"size\":" s "}"

static void the_mapping_of_a_user_namespace_is_read(void **state)
{
	auto_bundle bundle = { 0 };

	(void)state;
	MUST(bundle_parse(
		"/b",
		parse(WITH_LINUX(USER_NAMESPACE "\"uidMappings\":[" RANGE(
			"1", "7", "2") ","
				       "{\"hostID\":5,\"size\":1}],"
				       "\"gidMappings\":[" RANGE("0", "9",
								 "3") "]")),
		&bundle, &why));
	assert_string_equal(bundle.mapping.uid, "0:5:1,1:7:2");
	assert_string_equal(bundle.mapping.gid, "0:9:3");
	assert_null(bundle.mapping.path);
}

static void a_mapping_without_a_user_namespace_is_none(void **state)
{
	auto_bundle bundle = { 0 };

	(void)state;
	MUST(bundle_parse("/b",
			  parse(WITH_LINUX("\"uidMappings\":[" RANGE(
				  "0", "7", "2") "],"
						 "\"gidMappings\":null")),
			  &bundle, &why));
	assert_null(bundle.mapping.uid);
	assert_null(bundle.mapping.gid);
}

static void a_user_namespace_may_be_there_before(void **state)
{
	auto_bundle bundle = { 0 };

	(void)state;
	MUST(bundle_parse("/b",
			  parse(WITH_LINUX("\"namespaces\":[{\"type\":\"user\","
					   "\"path\":\"/proc/1/ns/user\"}]")),
			  &bundle, &why));
	assert_null(bundle.mapping.uid);
	assert_string_equal(bundle.mapping.path, "/proc/1/ns/user");
}

static void a_wrong_type_is_named(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "[]", "no object" },
		{ "{" NAMED "}", "no root.path" },
		{ "{\"root\":[]," NAMED "}", "root is no object" },
		{ "{\"root\":{\"path\":\"\"}," NAMED "}", "no root.path" },
		{ "{\"root\":{\"path\":1}," NAMED "}",
		  "root.path is no string" },
		{ "{\"root\":{\"path\":\"r\",\"readonly\":1}," NAMED "}",
		  "root.readonly is no boolean" },
		{ "{\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":1}," NAMED
		  "}",
		  "process.cwd is no string" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":1," NAMED "}",
		  "linux is no object" },
		{ "{\"root\":{\"path\":\"r\"},\"linux\":{\"maskedPaths\":[1]}," NAMED
		  "}",
		  "linux.maskedPaths is no list of strings" },
		{ "{\"root\":{\"path\":\"r\"},\"mounts\":[1]," NAMED "}",
		  "mounts is no list of objects" },
		{ "{\"root\":{\"path\":\"r\"},\"mounts\":[{}]," NAMED "}",
		  "no destination" },
		{ "{\"root\":{\"path\":\"r\"},\"mounts\":"
		  "[{\"destination\":\"/d\",\"options\":\"ro\"}]," NAMED "}",
		  "options of a mount" },
		{ "{\"annotations\":[]}", "annotations is no object" },
		{ WITH_LINUX(USER_NAMESPACE "\"uidMappings\":1"),
		  "linux.uidMappings is no list" },
		{ WITH_LINUX(USER_NAMESPACE "\"uidMappings\":[1]"),
		  "linux.uidMappings is no list" },
		{ WITH_LINUX(USER_NAMESPACE
			     "\"uidMappings\":[],"
			     "\"gidMappings\":[" RANGE("0", "-1", "1") "]"),
		  "linux.gidMappings is no list" },
		{ WITH_LINUX(USER_NAMESPACE
			     "\"gidMappings\":[" RANGE("0", "1", "1") "]"),
		  "a gidmap without a uidmap" },
		{ WITH_LINUX(USER_NAMESPACE
			     "\"uidMappings\":[" RANGE("0", "1", "5") "," RANGE(
				     "4", "9", "5") "],"
						    "\"gidMappings\":[" RANGE(
							    "0", "1", "1") "]"),
		  "overlap inside" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bundle bundle = { 0 };

		REFUSED(EINVAL, cases[i].part,
			bundle_parse("/b", parse(cases[i].text), &bundle,
				     &why));
	}
}

static void config_json_must_be_a_file_in_the_bundle(void **state)
{
	struct bundle bundle = { 0 };

	(void)state;
	REFUSED(ENOENT, "nowhere", bundle_load(at("nowhere"), &bundle, &why));
	REFUSED(ENOENT, "config.json", bundle_load(here, &bundle, &why));
	make_file(at("real"), "{}");
	make_link(at("config.json"), "real");
	REFUSED(ELOOP, "config.json", bundle_load(here, &bundle, &why));
	delete_path(at("config.json"));
	assert_int_equal(mkfifo(at("config.json"), 0600), 0);
	REFUSED(EINVAL, "no regular file", bundle_load(here, &bundle, &why));
	delete_path(at("config.json"));
	make_file(at("config.json"), "{");
	REFUSED(EBADMSG, "config.json", bundle_load(here, &bundle, &why));
	assert_int_equal(truncate(at("config.json"), BUNDLE_SIZE_MAX + 1), 0);
	REFUSED(EFBIG, "config.json", bundle_load(here, &bundle, &why));
}

/* ---- annotations ---- */

static int read_annotations(const char *text, struct annotations *ret)
{
	struct json *json = parse(text);
	int r;

	why = (struct shale_error)SHALE_ERROR_INIT;
	r = annotations_parse(json, ret, &why);
	if (r == 0 && ret->parent)
		assert_string_equal(ret->parent, "p");
	json_free(json);
	return r;
}

static void annotations_that_are_not_allowed_are_named(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{ "{}", "no annotation org.shale.parent" },
		{ "{\"org.shale.key\":\"k\"}", "no annotation" },
		{ "{\"org.shale.parent\":1}", "org.shale.parent is no string" },
		{ "{\"org.shale.parent\":\"\"}", "org.shale.parent" },
		{ "{\"org.shale.parent\":\"/p\"}", "the path '/p'" },
		{ "{\"org.shale.parent\":\"..\"}", "the path '..'" },
		{ "{\"org.shale.parent\":\"a/../b\"}", "the path" },
		{ "{\"org.shale.parent\":\"a/.\"}", "the path" },
		{ "{\"org.shale.parent\":\"p\",\"org.shale.Key\":\"k\"}",
		  "unknown annotation org.shale.Key" },
		{ "{\"org.shale.parent\":\"p\",\"org.shale.lowerdir\":\"/\"}",
		  "unknown annotation org.shale.lowerdir" },
		{ "{\"org.shale.parent\":\"p\",\"org.shale.key\":\"./k\"}",
		  "org.shale.key" },
		{ "{\"org.shale.parent\":\"p\",\"org.shale.kind\":\"View\"}",
		  "org.shale.kind is 'View'" },
		{ "{\"org.shale.parent\":\"p\",\"org.shale.onstop\":\"x\"}",
		  "org.shale.onstop is 'x'" },
		{ "{\"org.shale.parent\":\"p\","
		  "\"org.shale.onstop\":\"commit=/x\"}",
		  "the path '/x'" },
		{ "{\"org.shale.parent\":\"p\",\"org.shale.kind\":\"view\","
		  "\"org.shale.onstop\":\"commit=x\"}",
		  "view" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct annotations got;

		assert_int_equal(read_annotations(cases[i].text, &got),
				 -EINVAL);
		if (!strstr(why.msg, cases[i].part))
			fail_msg("'%s' has no '%s'", why.msg, cases[i].part);
	}
}

static void names_are_any_bytes_that_are_no_path(void **state)
{
	static const char *const names[] = {
		"docker.io/library/debian:12",
		"sha256:00",
		"a b",
		"...",
		"a/...",
		"..a",
		".a/b.",
		"a//b",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char text[256];
		struct annotations got;

		(void)snprintf(text, sizeof(text),
			       "{\"org.shale.parent\":\"p\","
			       "\"org.shale.key\":\"%s\",\"other\":1}",
			       names[i]);
		if (read_annotations(text, &got) != 0)
			fail_msg("%s: %s", names[i], why.msg);
	}
}

static void the_key_is_found_whatever_else_is_wrong(void **state)
{
	struct json *json =
		parse("{\"org.shale.key\":\"k\",\"org.shale.x\":1}");

	(void)state;
	assert_string_equal(annotations_key(json), "k");
	json_free(json);
	json = parse("{\"org.shale.key\":1}");
	assert_null(annotations_key(json));
	json_free(json);
	assert_null(annotations_key(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(what_a_door_needs_is_read),
		TEST_IN_DIR(what_is_absent_or_null_has_its_default),
		TEST_IN_DIR(the_mapping_of_a_user_namespace_is_read),
		TEST_IN_DIR(a_mapping_without_a_user_namespace_is_none),
		TEST_IN_DIR(a_user_namespace_may_be_there_before),
		TEST_IN_DIR(a_wrong_type_is_named),
		TEST_IN_DIR(config_json_must_be_a_file_in_the_bundle),
		TEST_IN_DIR(annotations_that_are_not_allowed_are_named),
		TEST_IN_DIR(names_are_any_bytes_that_are_no_path),
		TEST_IN_DIR(the_key_is_found_whatever_else_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

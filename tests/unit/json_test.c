/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/json: one whole document or a refusal, however hostile it is.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "scope.h"

#define BYTES(text) text, sizeof(text) - 1

static struct json *parse(const char *text)
{
	struct json *json = NULL;

	MUST(json_parse(text, strlen(text), "test", &json, &why));
	assert_non_null(json);
	return json;
}

static void check_refused(const char *text, size_t len, const char *part)
{
	struct json *json = NULL;

	why = (struct shale_error)SHALE_ERROR_INIT;
	if (json_parse(text, len, "'/b/config.json'", &json, &why) != -EBADMSG)
		fail_msg("accepted: %.*s", (int)(len < 60 ? len : 60), text);
	assert_null(json);
	assert_int_equal(why.code, EBADMSG);
	assert_non_null(strstr(why.msg, "'/b/config.json'"));
	if (!strstr(why.msg, part))
		fail_msg("'%s' has no '%s'", why.msg, part);
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const cases[] = {
		"",	    " ",	  "\n",		 "nul",	  "tru",
		"'a'",	    "{a:1}",	  "[1,]",	 "{,}",	  "{\"a\":1,}",
		"[,1]",	    "{\"a\"}",	  "{\"a\" 1}",	 "[1 2]", "{1:2}",
		"[01]",	    "[+1]",	  "[.5]",	 "[1.]",  "[1e]",
		"[-]",	    "[NaN]",	  "[Infinity]",	 "[0x1]", "[\"\\x\"]",
		"[\"\t\"]", "[\"a\nb\"]", "/* c */ {}",	 "]",	  "}",
		"[}",	    "{]",	  "[\"\\u12\"]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_refused(cases[i], strlen(cases[i]), "not JSON");
}

/* The bytes of a string, cut out of its document, are that string. */
static void check_place(const char *text, const struct json *json)
{
	auto_free char *cut = NULL;
	struct json *again = NULL;

	for (size_t i = 0; i < json->count; i++)
		check_place(text, json->items[i]);
	if (json->type != JSON_STRING)
		return;
	assert_in_range(json->end, json->start + 2, strlen(text));
	cut = strndup(text + json->start, json->end - json->start);
	assert_non_null(cut);
	again = parse(cut);
	assert_int_equal(again->type, JSON_STRING);
	assert_string_equal(again->text, json->text);
	json_free(again);
}

static void each_string_tells_its_place_in_the_document(void **state)
{
	static const char *const cases[] = {
		"\"a\"",
		" \n\"\" ",
		"[\"\\\"\", \"\\\\\",1E400,\"b\",-0.0 , \"c\" ]",
		"{\"\":\"\",\"\\u0061\" : \t\"\\ud83d\\ude00\",\"k\":[{},\"x\"]}",
		"[[],{},null,\"n\",true,\"t\",false,\"f\",[[\"d\"]],\"e\"]",
		"{\"a\":{\"a\":{\"a\":\"a\"},\"b\":\"\\\"a\\\":\"},\"c\":\"\xc3\xa9\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct json *json = parse(cases[i]);

		check_place(cases[i], json);
		json_free(json);
	}
}

static void a_torn_document_is_refused_at_every_byte(void **state)
{
	static const char text[] =
		"{\"a\": [1, -2.5e3, true, null, \"x\\u00e9\"], \"b\": {}}";

	(void)state;
	json_free(parse(text));
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		check_refused(text, len, "cut short");
}

static void anything_behind_the_document_is_refused(void **state)
{
	(void)state;
	check_refused(BYTES("{}x"), "byte");
	check_refused(BYTES("{} {}"), "byte");
	check_refused(BYTES("{}]"), "byte");
	check_refused(BYTES("1 2"), "byte");
	check_refused(BYTES("{}\0"), "byte");
	json_free(parse(" \t\r\n{} \t\r\n"));
}

static void a_key_twice_in_one_object_is_refused(void **state)
{
	(void)state;
	check_refused(BYTES("{\"a\":1,\"a\":1}"), "twice");
	check_refused(BYTES("{\"a\":1,\"b\":2,\"\\u0061\":3}"), "twice");
	check_refused(BYTES("[{\"x\":{\"a\":1,\"a\":1}}]"), "twice");
	check_refused(BYTES("{\"\":1,\"\":1}"), "twice");
	json_free(parse("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"));
}

static void nul_is_refused_in_strings_and_keys(void **state)
{
	(void)state;
	check_refused(BYTES("[\"a\\u0000b\"]"), "NUL");
	check_refused(BYTES("{\"a\\u0000\":1}"), "NUL");
	check_refused(BYTES("[\"a\0b\"]"), "");
}

static void bytes_that_are_no_utf8_are_refused(void **state)
{
	(void)state;
	check_refused(BYTES("[\"\xff\"]"), "");
	check_refused(BYTES("[\"\xc3\"]"), "");
	check_refused(BYTES("[\"\xc0\x80\"]"), "");
	check_refused(BYTES("{\"\xff\":1}"), "");
}

static char *nested(size_t depth, char open, char shut)
{
	char *text = malloc(2 * depth + 1);

	assert_non_null(text);
	memset(text, open, depth);
	memset(text + depth, shut, depth);
	text[2 * depth] = '\0';
	return text;
}

static void depth_is_limited_to_json_depth_max(void **state)
{
	static const size_t too_deep[] = { JSON_DEPTH_MAX + 1, 10000, 1000000 };
	char *text = nested(JSON_DEPTH_MAX, '[', ']');

	(void)state;
	json_free(parse(text));
	free(text);
	for (size_t i = 0; i < 3; i++) {
		text = nested(too_deep[i], '[', ']');
		check_refused(text, 2 * too_deep[i], "deep");
		free(text);
	}
}

static void objects_count_as_depth(void **state)
{
	char text[8 * (JSON_DEPTH_MAX + 2)] = "";

	(void)state;
	for (int i = 0; i < JSON_DEPTH_MAX + 1; i++)
		(void)strcat(text, "{\"a\":");
	check_refused(text, strlen(text), "deep");
}

static void numbers_are_kept_as_they_were_written(void **state)
{
	static const char *const numbers[] = {
		"0",	   "-0",     "1e400",
		"-1.5E-7", "0.1000", "123456789012345678901234567890",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		char text[64];
		struct json *json;

		(void)snprintf(text, sizeof(text), "[%s]", numbers[i]);
		json = parse(text);
		assert_int_equal(json->count, 1);
		assert_int_equal(json->items[0]->type, JSON_NUMBER);
		assert_string_equal(json->items[0]->text, numbers[i]);
		assert_null(json_string(json->items[0]));
		json_free(json);
	}
}

static void a_tree_has_all_of_its_document(void **state)
{
	struct json *json = parse("{\"s\":\"\\u20ac\\/\\\"\",\"t\":true,"
				  "\"f\":false,\"n\":null,\"a\":[[],{}],"
				  "\"\":\"empty\"}");

	(void)state;
	assert_int_equal(json->type, JSON_OBJECT);
	assert_int_equal(json->count, 6);
	assert_string_equal(json->keys[0], "s");
	assert_string_equal(json_string(json_get(json, "s")),
			    "\xe2\x82\xac/\"");
	assert_int_equal(json_get(json, "t")->type, JSON_BOOL);
	assert_true(json_get(json, "t")->boolean);
	assert_false(json_get(json, "f")->boolean);
	assert_int_equal(json_get(json, "n")->type, JSON_NULL);
	assert_int_equal(json_get(json, "a")->count, 2);
	assert_int_equal(json_get(json, "a")->items[1]->type, JSON_OBJECT);
	assert_string_equal(json_string(json_get(json, "")), "empty");
	assert_null(json_get(json, "absent"));
	json_free(json);
}

static void get_and_string_accept_what_they_are_not_for(void **state)
{
	struct json *json = parse("[\"s\"]");

	(void)state;
	assert_null(json_get(NULL, "a"));
	assert_null(json_get(json, "a"));
	assert_null(json_string(NULL));
	assert_null(json_string(json));
	json_free(json);
	json_free(NULL);
}

static void a_document_of_many_members_keeps_them_all(void **state)
{
	const size_t count = 5000;
	char *text = malloc(count * 32), *end = text;
	struct json *json;

	(void)state;
	*end++ = '{';
	for (size_t i = 0; i < count; i++)
		end += sprintf(end, "%s\"k%zu\":\"%zu\"", i ? "," : "", i, i);
	(void)strcpy(end, "}");
	json = parse(text);
	assert_int_equal(json->count, count);
	assert_string_equal(json_string(json_get(json, "k0")), "0");
	assert_string_equal(json_string(json_get(json, "k4999")), "4999");
	json_free(json);
	free(text);
}

static void read_takes_exactly_as_much_as_allowed(void **state)
{
	struct json *json = NULL;
	int fd;

	(void)state;
	make_file(at("doc"), "[12345678]");
	fd = open(at("doc"), O_RDONLY | O_CLOEXEC);
	MUST(json_read(fd, 10, "'doc'", &json, &why));
	assert_string_equal(json->items[0]->text, "12345678");
	json_free(json);
	json = NULL;
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	REFUSED(EFBIG, "'doc'", json_read(fd, 9, "'doc'", &json, &why));
	assert_null(json);
	(void)close(fd);
}

static void read_stops_soon_in_an_endless_document(void **state)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct json *json = NULL;

	(void)state;
	REFUSED(EFBIG, "state", json_read(fd, 1 << 20, "state", &json, &why));
	(void)close(fd);
}

static void read_puts_a_document_of_many_chunks_together(void **state)
{
	const size_t len = 1000000;
	char *text = malloc(len + 5);
	struct json *json = NULL;
	int fd;

	(void)state;
	memset(text, 'x', len + 4);
	memcpy(text, "[\"", 2);
	memcpy(text + len + 2, "\"]", 3);
	make_file(at("doc"), text);
	free(text);
	fd = open(at("doc"), O_RDONLY | O_CLOEXEC);
	MUST(json_read(fd, 2 * len, "'doc'", &json, &why));
	assert_int_equal(strlen(json->items[0]->text), len);
	json_free(json);
	(void)close(fd);
}

static void read_of_a_directory_says_why(void **state)
{
	int fd = open(here, O_RDONLY | O_CLOEXEC);
	struct json *json = NULL;

	(void)state;
	REFUSED(EISDIR, "'dir'", json_read(fd, 10, "'dir'", &json, &why));
	(void)close(fd);
}

static void written_strings_are_read_back(void **state)
{
	static const char *const pairs[] = {
		"plain",	"value", "quote\"\\/",
		"\x01\n\t\x7f", "",	 "\xe2\x82\xac</script>",
		NULL,
	};
	char *text = NULL;
	struct json *json;

	(void)state;
	assert_int_equal(json_write_strings(pairs, &text), 0);
	assert_null(strchr(text, '\n'));
	json = parse(text);
	assert_int_equal(json->count, 3);
	for (size_t i = 0; pairs[i]; i += 2)
		assert_string_equal(json_string(json_get(json, pairs[i])),
				    pairs[i + 1]);
	json_free(json);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(each_string_tells_its_place_in_the_document),
		cmocka_unit_test(a_torn_document_is_refused_at_every_byte),
		cmocka_unit_test(anything_behind_the_document_is_refused),
		cmocka_unit_test(a_key_twice_in_one_object_is_refused),
		cmocka_unit_test(nul_is_refused_in_strings_and_keys),
		cmocka_unit_test(bytes_that_are_no_utf8_are_refused),
		cmocka_unit_test(depth_is_limited_to_json_depth_max),
		cmocka_unit_test(objects_count_as_depth),
		cmocka_unit_test(numbers_are_kept_as_they_were_written),
		cmocka_unit_test(a_tree_has_all_of_its_document),
		cmocka_unit_test(get_and_string_accept_what_they_are_not_for),
		cmocka_unit_test(a_document_of_many_members_keeps_them_all),
		TEST_IN_DIR(read_takes_exactly_as_much_as_allowed),
		TEST_IN_DIR(read_stops_soon_in_an_endless_document),
		TEST_IN_DIR(read_puts_a_document_of_many_chunks_together),
		TEST_IN_DIR(read_of_a_directory_says_why),
		cmocka_unit_test(written_strings_are_read_back),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}

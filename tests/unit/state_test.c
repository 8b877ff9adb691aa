/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The OCI state on a hook's standard input.
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "scope.h"
#include "state.h"

#define REST "\"status\":\"creating\",\"bundle\":\"/b\""

static int read_state(const char *text, struct state *ret)
{
	const char *path = at("state");
	auto_fd fd = -1;

	make_file(path, text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return state_read(fd, ret, &why);
}

static void all_members_are_read(void **state)
{
	auto_state got = { 0 };

	(void)state;
	MUST(read_state("{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"pid\":42,"
			"\"more\":[1],\"annotations\":{\"a\":\"b\"}," REST "}",
			&got));
	assert_string_equal(got.id, "c");
	assert_string_equal(got.status, "creating");
	assert_string_equal(got.bundle, "/b");
	assert_int_equal(got.pid, 42);
	assert_string_equal(json_string(json_get(got.annotations, "a")), "b");
}

static void pid_and_annotations_may_be_absent(void **state)
{
	auto_state got = { 0 };

	(void)state;
	MUST(read_state("{\"id\":\"c\"," REST "}", &got));
	assert_int_equal(got.pid, 0);
	assert_null(got.annotations);
}

static void a_bad_member_is_named(void **state)
{
	static const struct {
		int code;
		const char *text, *part;
	} cases[] = {
		{ EBADMSG, "", "not JSON" },
		{ EBADMSG, "{\"id\":\"c\"", "not JSON" },
		{ EBADMSG, "{\"id\":\"c\\u0000\"}", "NUL" },
		{ EBADMSG, "{\"id\":\"c\",\"id\":\"d\"}", "twice" },
		{ EINVAL, "[]", "no object" },
		{ EINVAL, "{}", "no id" },
		{ EINVAL, "{\"id\":1}", "id of the state" },
		{ EINVAL, "{\"id\":\"\"}", "id of the state" },
		{ EINVAL, "{\"id\":\"c\"}", "no status" },
		{ EINVAL, "{\"id\":\"c\",\"status\":\"x\"}", "no bundle" },
		{ EINVAL, "{\"id\":\"c\",\"status\":\"x\",\"bundle\":\"b\"}",
		  "'b' of the state is no absolute path" },
		{ EINVAL, "{\"id\":\"c\",\"pid\":\"1\"," REST "}", "pid" },
		{ EINVAL, "{\"id\":\"c\",\"pid\":-1," REST "}", "pid" },
		{ EINVAL, "{\"id\":\"c\",\"pid\":1e2," REST "}", "pid" },
		{ EINVAL, "{\"id\":\"c\",\"pid\":2147483648," REST "}", "pid" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct state got = { 0 };

		why = (struct shale_error)SHALE_ERROR_INIT;
		assert_int_equal(read_state(cases[i].text, &got),
				 -cases[i].code);
		assert_null(got.json);
		if (!strstr(why.msg, cases[i].part))
			fail_msg("'%s' has no '%s'", why.msg, cases[i].part);
	}
}

static void no_more_than_its_greatest_size_is_read(void **state)
{
	struct state got = { 0 };
	auto_fd fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)state;
	REFUSED(EFBIG, "longer than", state_read(fd, &got, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_IN_DIR(all_members_are_read),
		TEST_IN_DIR(pid_and_annotations_may_be_absent),
		TEST_IN_DIR(a_bad_member_is_named),
		TEST_IN_DIR(no_more_than_its_greatest_size_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

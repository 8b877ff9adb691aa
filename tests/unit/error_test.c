/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/error: the first failure wins, its cause is never lost, and no byte is
 * written past what the caller said it has.
 */
#include "fixture.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "text.h"

static void a_failure_returns_its_negative_number(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	assert_int_equal(error_fail(&err, EBUSY, "remove '%s': in use", "k"),
			 -EBUSY);
	assert_int_equal(err.code, EBUSY);
	assert_string_equal(err.msg, "remove 'k': in use");
}

static void errno_brings_its_text(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	assert_int_equal(error_errno(&err, ENOENT, "open '%s'", "/x"), -ENOENT);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.msg, "open '/x': No such file or directory");
}

static void nobody_needs_an_error(void **state)
{
	(void)state;
	assert_int_equal(error_fail(NULL, EBUSY, "x"), -EBUSY);
	assert_int_equal(error_errno(NULL, EIO, "x"), -EIO);
	assert_int_equal(error_context(NULL, -EIO, "x"), -EIO);
	error_clear(NULL);
}

static void the_first_failure_wins(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	(void)error_fail(&err, ENOENT, "first");
	assert_int_equal(error_fail(&err, EIO, "second"), -EIO);
	assert_int_equal(error_errno(&err, EPERM, "third"), -EPERM);
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.msg, "first");
}

static void context_goes_before_the_sentence(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	(void)error_fail(&err, ENOENT, "no such key");
	assert_int_equal(error_context(&err, -ENOENT, "remove '%s'", "k"),
			 -ENOENT);
	(void)error_context(&err, -ENOENT, "stop");
	assert_int_equal(err.code, ENOENT);
	assert_string_equal(err.msg, "stop: remove 'k': no such key");
}

static void context_of_a_silent_failure_says_the_number(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	assert_int_equal(error_context(&err, -ENOSPC, "prepare"), -ENOSPC);
	assert_int_equal(err.code, ENOSPC);
	assert_string_equal(err.msg, "prepare: No space left on device");
}

static void a_cleared_error_takes_the_next_failure(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	(void)error_fail(&err, ENOENT, "first");
	error_clear(&err);
	assert_int_equal(err.code, 0);
	assert_string_equal(err.msg, "");
	(void)error_fail(&err, EIO, "second");
	assert_int_equal(err.code, EIO);
	assert_string_equal(err.msg, "second");
}

static void a_long_sentence_keeps_its_cause_and_its_start(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;
	char name[1024];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)error_errno(&err, ENOENT, "open '%s'", name);
	for (int i = 0; i < 10; i++)
		(void)error_context(&err, -ENOENT, "commit %d '%s'", i, name);
	assert_int_equal(strncmp(err.msg, "commit 9 'nnn", 13), 0);
	assert_non_null(strstr(err.msg, "..."));
	assert_non_null(strstr(err.msg, "': No such file or directory"));
	assert_true(strlen(err.msg) < sizeof(err.msg));
	assert_true(strlen(err.msg) > sizeof(err.msg) - 16);
}

static void two_names_of_escapes_keep_the_cause(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;
	char name[1024];

	(void)state;
	memset(name, '\xff', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	(void)error_errno(&err, EIO, "commit '%s' as '%s'", name, name);
	assert_int_equal(strncmp(err.msg, "commit '\\xff\\xff", 16), 0);
	assert_non_null(strstr(err.msg, "\\xff': Input/output error"));
}

static void no_byte_of_a_name_reaches_a_terminal(void **state)
{
	struct shale_error err = SHALE_ERROR_INIT;

	(void)state;
	(void)error_fail(&err, EIO, "open '%s'", "a\n\x1b[2J\xff");
	assert_string_equal(err.msg, "open 'a\\x0a\\x1b[2J\\xff'");
}

static void a_cut_sentence_is_still_utf8(void **state)
{
	char name[901];

	(void)state;
	for (size_t shift = 0; shift < 8; shift++) {
		struct shale_error err = SHALE_ERROR_INIT;

		memset(name, 'x', shift);
		for (size_t i = shift; i + 4 < sizeof(name); i += 4)
			memcpy(name + i, "\xf0\x9f\x98\x80", 5);
		(void)error_fail(&err, EIO, "%s", name);
		assert_true(text_is_utf8(err.msg));
	}
}

/* An error of a caller that was built against another header. */
union sized {
	struct shale_error err;
	char bytes[sizeof(struct shale_error) + 64];
};

static void check_sized(size_t size)
{
	union sized it;
	size_t end = size < sizeof(it.err) ? size : sizeof(it.err);

	memset(&it, 0, sizeof(it));
	memset(it.bytes + end, '#', sizeof(it) - end);
	it.err.size = (uint32_t)size;
	assert_int_equal(error_errno(&it.err, ENOENT, "open '%s'", "/a/b/c"),
			 -ENOENT);
	(void)error_context(&it.err, -ENOENT, "a context of some length");
	for (size_t i = end; i < sizeof(it); i++)
		if (it.bytes[i] != '#')
			fail_msg("size %zu: byte %zu written", size, i);
	if (end >= offsetof(struct shale_error, msg))
		assert_int_equal(it.err.code, ENOENT);
	if (end > offsetof(struct shale_error, msg))
		assert_true(memchr(it.err.msg, 0,
				   end - offsetof(struct shale_error, msg)) !=
			    NULL);
	error_clear(&it.err);
	for (size_t i = end; i < sizeof(it); i++)
		assert_int_equal(it.bytes[i], '#');
}

static void nothing_is_written_past_the_callers_size(void **state)
{
	(void)state;
	for (size_t size = 4; size <= 80; size++)
		check_sized(size);
	check_sized(sizeof(struct shale_error));
}

static void a_longer_error_is_filled_as_far_as_known(void **state)
{
	(void)state;
	check_sized(sizeof(struct shale_error) + 32);
	check_sized(UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_returns_its_negative_number),
		cmocka_unit_test(errno_brings_its_text),
		cmocka_unit_test(nobody_needs_an_error),
		cmocka_unit_test(the_first_failure_wins),
		cmocka_unit_test(context_goes_before_the_sentence),
		cmocka_unit_test(context_of_a_silent_failure_says_the_number),
		cmocka_unit_test(a_cleared_error_takes_the_next_failure),
		cmocka_unit_test(a_long_sentence_keeps_its_cause_and_its_start),
		cmocka_unit_test(two_names_of_escapes_keep_the_cause),
		cmocka_unit_test(no_byte_of_a_name_reaches_a_terminal),
		cmocka_unit_test(a_cut_sentence_is_still_utf8),
		cmocka_unit_test(nothing_is_written_past_the_callers_size),
		cmocka_unit_test(a_longer_error_is_filled_as_far_as_known),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}

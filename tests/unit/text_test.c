/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/text: what is UTF-8, what may reach a terminal, what a shell reads back.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

static void utf8_length_is_that_of_rfc_3629(void **state)
{
	static const struct {
		const char *bytes;
		size_t left, length;
	} cases[] = {
		{ "a", 1, 1 },
		{ "a", 0, 0 },
		{ "\x7f", 1, 1 },
		{ "\xc2\x80", 2, 2 },
		{ "\xdf\xbf", 2, 2 },
		{ "\xe0\xa0\x80", 3, 3 },
		{ "\xed\x9f\xbf", 3, 3 },
		{ "\xee\x80\x80", 3, 3 },
		{ "\xf0\x90\x80\x80", 4, 4 },
		{ "\xf4\x8f\xbf\xbf", 4, 4 },
		/* torn */
		{ "\xc2\x80", 1, 0 },
		{ "\xe0\xa0\x80", 2, 0 },
		{ "\xf0\x90\x80\x80", 3, 0 },
		{ "\xc2", 1, 0 },
		{ "\xc2"
		  "a",
		  2, 0 },
		/* a byte that starts nothing */
		{ "\x80", 1, 0 },
		{ "\xbf", 1, 0 },
		{ "\xff", 1, 0 },
		{ "\xfe", 1, 0 },
		{ "\xf8\x88\x80\x80\x80", 5, 0 },
		/* overlong */
		{ "\xc0\x80", 2, 0 },
		{ "\xc1\xbf", 2, 0 },
		{ "\xe0\x9f\xbf", 3, 0 },
		{ "\xf0\x8f\xbf\xbf", 4, 0 },
		/* surrogates, and past the last code point */
		{ "\xed\xa0\x80", 3, 0 },
		{ "\xed\xbf\xbf", 3, 0 },
		{ "\xf4\x90\x80\x80", 4, 0 },
		{ "\xf5\x80\x80\x80", 4, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (text_utf8_length(cases[i].bytes, cases[i].left) !=
		    cases[i].length)
			fail_msg("case %zu: %zu", i,
				 text_utf8_length(cases[i].bytes,
						  cases[i].left));
}

static void one_bad_byte_makes_a_string_no_utf8(void **state)
{
	(void)state;
	assert_true(text_is_utf8(""));
	assert_true(text_is_utf8("a\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
	assert_false(text_is_utf8("\xff"));
	assert_false(text_is_utf8("good\xc3"));
	assert_false(text_is_utf8("good\xc3 good"));
}

static void printable_escapes_what_a_terminal_obeys(void **state)
{
	static const struct {
		const char *bytes, *printable;
	} cases[] = {
		{ "", "" },
		{ "sha256:4f/a b", "sha256:4f/a b" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\x1b[31m", "\\x1b[31m" },
		{ "a\nb", "a\\x0ab" },
		{ "\x7f", "\\x7f" },
		{ "\xff", "\\xff" },
		{ "\xc3", "\\xc3" },
		{ "\xc2\x85", "\\xc2\\x85" },
		{ "\xc2\x9b", "\\xc2\\x9b" },
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
		{ "\xe2\x80\xa9", "\\xe2\\x80\\xa9" },
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },
		{ "\xe2\x80\x8e", "\\xe2\\x80\\x8e" },
		{ "\xe2\x80\x8f", "\\xe2\\x80\\x8f" },
		{ "\xe2\x81\xa6", "\\xe2\\x81\\xa6" },
		{ "\xe2\x81\xa9", "\\xe2\\x81\\xa9" },
		{ "\xd8\x9c", "\\xd8\\x9c" },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		text_printable(cases[i].bytes, text, sizeof(text));
		assert_string_equal(text, cases[i].printable);
	}
}

static void printable_never_cuts_a_character_or_an_escape(void **state)
{
	char text[32];

	(void)state;
	for (size_t size = 1; size < sizeof(text); size++) {
		memset(text, '#', sizeof(text));
		text_printable("\xe2\x82\xac\xe2\x82\xac", text, size);
		assert_int_equal(strlen(text), (size - 1) / 3 * 3 < 6
						       ? (size - 1) / 3 * 3
						       : 6);
		memset(text, '#', sizeof(text));
		text_printable("\xff\xff", text, size);
		assert_int_equal(strlen(text), (size - 1) / 4 * 4 < 8
						       ? (size - 1) / 4 * 4
						       : 8);
		assert_int_equal(text[size], '#');
	}
}

static void quote_leaves_harmless_words_alone(void **state)
{
	static const struct {
		const char *bytes, *word;
	} cases[] = {
		{ "sha256:4f@a-b_c/d.e,f+g%h=1",
		  "sha256:4f@a-b_c/d.e,f+g%h=1" },
		{ "", "''" },
		{ "a b", "'a b'" },
		{ "it's", "'it'\\''s'" },
		{ "$HOME", "'$HOME'" },
		{ "\xc3\xa9", "'\xc3\xa9'" },
		{ "a\nb", "$'a\\nb'" },
		{ "\xff", "$'\\377'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *word = text_quote(cases[i].bytes);

		assert_non_null(word);
		assert_string_equal(word, cases[i].word);
		free(word);
	}
}

static void check_bash_reads(const char *bytes)
{
	char command[4096], back[1024];
	char *word = text_quote(bytes);
	FILE *bash;
	size_t n;

	assert_non_null(word);
	for (const char *c = word; *c; c++)
		if ((unsigned char)*c < 0x20)
			fail_msg("a control character in %s", word);
	make_file(at("word"), word);
	(void)snprintf(command, sizeof(command),
		       "LC_ALL=C bash -c 'eval \"printf %%s $(cat %s)\"'",
		       at("word"));
	bash = popen(command, "re");
	assert_non_null(bash);
	n = fread(back, 1, sizeof(back) - 1, bash);
	assert_int_equal(pclose(bash), 0);
	back[n] = '\0';
	assert_string_equal(back, bytes);
	free(word);
}

static void quote_is_read_back_by_bash(void **state)
{
	char all[256], printable[96];

	(void)state;
	if (system("bash -c :") != 0)
		skip_because("needs bash");
	for (size_t i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	check_bash_reads(all);
	for (size_t i = 0; i < 95; i++)
		printable[i] = (char)(0x20 + i);
	printable[95] = '\0';
	check_bash_reads(printable);
	check_bash_reads("\x01"
			 "1 octal, then a digit");
	check_bash_reads("\xc2\x85'\\\n");
	check_bash_reads("-n");
}

static void hex_is_lower_case(void **state)
{
	char text[9];

	(void)state;
	text_hex("\x00\xab\xff\x10", 4, text);
	assert_string_equal(text, "00abff10");
	text_hex("", 0, text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_length_is_that_of_rfc_3629),
		cmocka_unit_test(one_bad_byte_makes_a_string_no_utf8),
		cmocka_unit_test(printable_escapes_what_a_terminal_obeys),
		cmocka_unit_test(printable_never_cuts_a_character_or_an_escape),
		cmocka_unit_test(quote_leaves_harmless_words_alone),
		TEST_IN_DIR(quote_is_read_back_by_bash),
		cmocka_unit_test(hex_is_lower_case),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes that people look at: nothing that a terminal obeys comes out, and a
 * shell reads a quoted word back as it was.
 */
#include "fuzz.h"

#include <string.h>

#include "scope.h"
#include "text.h"

const char fuzz_name[] = "text";

static char *printable(const char *s, size_t size)
{
	/* Of its very length, for who sees the first byte past it. */
	char *ret = malloc(size);

	REQUIRE(ret);
	text_printable(s, ret, size);
	REQUIRE(strlen(ret) < size);
	return ret;
}

static void check_is_printable(const char *s)
{
	auto_free char *again = printable(s, 4 * strlen(s) + 1);

	REQUIRE(!strcmp(s, again));
	for (; *s; s++)
		REQUIRE((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_printable(const char *s, size_t size)
{
	auto_free char *whole = printable(s, 4 * strlen(s) + 1);
	auto_free char *cut = printable(s, size);

	check_is_printable(whole);
	REQUIRE(!strncmp(whole, cut, strlen(cut)));
	REQUIRE(text_is_utf8(cut));
	REQUIRE(strlen(cut) == strlen(whole) || strlen(cut) + 16 >= size);
}

/* ---- a shell's reader of one word ---- */

/* What follows a backslash in $'...'; NULL for what we never write. */
static const char *read_escape(const char *s, char *ret)
{
	int value = 0;

	if (*s == 'n' || *s == 't') {
		*ret = *s == 'n' ? '\n' : '\t';
		return s + 1;
	}
	if (*s == '\'' || *s == '\\') {
		*ret = *s;
		return s + 1;
	}
	for (int i = 0; i < 3; i++, s++) {
		if (*s < '0' || *s > '7')
			return NULL;
		value = 8 * value + (*s - '0');
	}
	*ret = (char)value;
	return value && value < 256 ? s : NULL;
}

static const char *read_dollar(const char *s, char **out)
{
	while (*s && *s != '\'') {
		if (*s == '\\') {
			s = read_escape(s + 1, *out);
			REQUIRE(s);
			++*out;
		} else {
			*(*out)++ = *s++;
		}
	}
	REQUIRE(*s == '\'');
	return s + 1;
}

static const char *read_single(const char *s, char **out)
{
	while (*s && *s != '\'')
		*(*out)++ = *s++;
	REQUIRE(*s == '\'');
	return s + 1;
}

static char *read_word(const char *s)
{
	static const char special[] = " \t\n|&;<>()$`\\\"'*?[]#~{}!^";
	char *ret = malloc(strlen(s) + 1), *out = ret;

	REQUIRE(ret && *s);
	while (*s) {
		if (s[0] == '$' && s[1] == '\'') {
			s = read_dollar(s + 2, &out);
		} else if (s[0] == '\'') {
			s = read_single(s + 1, &out);
		} else if (s[0] == '\\') {
			REQUIRE(s[1] == '\'');
			*out++ = s[1];
			s += 2;
		} else {
			REQUIRE(!strchr(special, *s));
			*out++ = *s++;
		}
	}
	*out = '\0';
	return ret;
}

/* A length for cut text, and the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	size_t room = 1u + bytes_take(&bytes);
	auto_free char *s = bytes_word(&bytes);
	auto_free char *quoted = text_quote(s), *read = NULL;

	REQUIRE(quoted);
	check_is_printable(quoted);
	read = read_word(quoted);
	REQUIRE(!strcmp(read, s));
	check_printable(s, room);
	return 0;
}

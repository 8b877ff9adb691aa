/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Showing bytes safely: see text.h.
 */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t text_utf8_length(const char *s, size_t left)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n;

	if (left == 0)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] >= 0xc2 && u[0] <= 0xdf)
		n = 2;
	else if (u[0] >= 0xe0 && u[0] <= 0xef)
		n = 3;
	else if (u[0] >= 0xf0 && u[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and past U+10FFFF. */
	if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
	    (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
		return 0;
	return n;
}

bool text_are_utf8(const char *bytes, size_t len)
{
	while (len) {
		size_t n = text_utf8_length(bytes, len);

		if (!n)
			return false;
		bytes += n;
		len -= n;
	}
	return true;
}

bool text_is_utf8(const char *s)
{
	return text_are_utf8(s, strlen(s));
}

static bool is_printable(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t point;

	if (n == 0)
		return false;
	if (n == 1)
		return u[0] >= 0x20 && u[0] != 0x7f;
	if (n == 2)
		return (u[0] != 0xc2 || u[1] >= 0xa0) && /* C1 controls */
		       (u[0] != 0xd8 || u[1] != 0x9c);	 /* U+061C */
	if (n == 4)
		return true;
	point = (uint32_t)(u[0] & 0x0f) << 12 | (uint32_t)(u[1] & 0x3f) << 6 |
		(uint32_t)(u[2] & 0x3f);
	/* Separators and what turns the direction of a line. */
	return !(point >= 0x200e && point <= 0x200f) &&
	       !(point >= 0x2028 && point <= 0x202e) &&
	       !(point >= 0x2066 && point <= 0x2069);
}

void text_printable(const char *s, char *ret, size_t size)
{
	size_t left = strlen(s), out = 0;

	while (left) {
		size_t n = text_utf8_length(s, left);

		if (is_printable(s, n)) {
			if (out + n >= size)
				break;
			memcpy(ret + out, s, n);
			out += n;
		} else {
			n = n ? n : 1;
			if (out + 4 * n >= size)
				break;
			for (size_t i = 0; i < n; i++)
				out += (size_t)snprintf(ret + out, 5, "\\x%02x",
							(unsigned char)s[i]);
		}
		s += n;
		left -= n;
	}
	ret[out] = '\0';
}

static bool is_plain(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789@%_+=:,./-";

	return *s && !s[strspn(s, plain)];
}

static bool is_all_printable(const char *s)
{
	size_t left = strlen(s);

	while (left) {
		size_t n = text_utf8_length(s, left);

		if (!is_printable(s, n))
			return false;
		s += n;
		left -= n;
	}
	return true;
}

static char *quote_with(const char *s, const char *open, bool escape)
{
	char *ret = malloc(4 * strlen(s) + 4), *out = ret;
	size_t left = strlen(s);

	if (!ret)
		return NULL;
	out = stpcpy(out, open);
	while (left) {
		size_t n = text_utf8_length(s, left);

		if (!escape && *s == '\'') {
			out = stpcpy(out, "'\\''");
		} else if (escape && (*s == '\'' || *s == '\\')) {
			*out++ = '\\';
			*out++ = *s;
		} else if (escape && *s == '\n') {
			out = stpcpy(out, "\\n");
		} else if (escape && *s == '\t') {
			out = stpcpy(out, "\\t");
		} else if (is_printable(s, n)) {
			memcpy(out, s, n);
			out += n;
		} else {
			n = n ? n : 1;
			for (size_t i = 0; i < n; i++)
				out += snprintf(out, 5, "\\%03o",
						(unsigned char)s[i]);
		}
		n = n ? n : 1;
		s += n;
		left -= n;
	}
	*out++ = '\'';
	*out = '\0';
	return ret;
}

char *text_quote(const char *s)
{
	if (is_plain(s))
		return strdup(s);
	if (is_all_printable(s))
		return quote_with(s, "'", false);
	return quote_with(s, "$'", true);
}

void text_hex(const void *bytes, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *u = bytes;

	for (size_t i = 0; i < len; i++) {
		*ret++ = digits[u[i] >> 4];
		*ret++ = digits[u[i] & 15];
	}
	*ret = '\0';
}

char *text_escape_lower(char *out, const char *path)
{
	for (; *path; path++) {
		if (*path == ':' || *path == '\\')
			*out++ = '\\';
		*out++ = *path;
	}
	*out = '\0';
	return out;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text that grows: see growing.h.
 */
#include "growing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void growing_add(struct growing *text, const char *bytes, size_t len)
{
	if (text->len + len + 1 > text->room) {
		size_t room = 2 * (text->len + len + 128);
		char *bigger = realloc(text->bytes, room);

		if (!bigger) {
			text->failed = true;
			return;
		}
		text->bytes = bigger;
		text->room = room;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
}

void growing_cut(struct growing *text, size_t len)
{
	text->len = len;
	if (text->bytes)
		text->bytes[len] = '\0';
}

void growing_addf(struct growing *text, const char *fmt, ...)
{
	char some[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(some, sizeof(some), fmt, args);
	va_end(args);
	growing_add(text, some, strlen(some));
}

/* One word, whatever is in it: \ooo for all but printable ASCII. */
void growing_add_word(struct growing *text, const char *word)
{
	if (!*word)
		growing_add(text, "\\", 1); /* nothing else makes it so */
	for (; *word; word++) {
		const unsigned char c = (unsigned char)*word;

		if (c > ' ' && c < 0x7f && c != '\\')
			growing_add(text, word, 1);
		else
			growing_addf(text, "\\%03o", c);
	}
}

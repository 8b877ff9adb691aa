/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One sentence, one line, always UTF-8, always with its cause: see error.h.
 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/* Long enough for two names of the greatest length, each byte escaped. */
#define RAW_SIZE 4608

static size_t room_of(const struct shale_error *err)
{
	size_t size = err->size;

	if (size > sizeof(*err))
		size = sizeof(*err);
	if (size <= offsetof(struct shale_error, msg))
		return 0;
	return size - offsetof(struct shale_error, msg);
}

/* True where a UTF-8 sequence starts, so that a cut leaves none torn. */
static int is_boundary(const char *s)
{
	return ((unsigned char)*s & 0xc0) != 0x80;
}

static void store_msg(struct shale_error *err, const char *raw)
{
	char safe[4 * RAW_SIZE + 1];
	size_t room = room_of(err), len, head, tail;

	if (!room)
		return;
	text_printable(raw, safe, sizeof(safe));
	len = strlen(safe);
	if (len < room) {
		memcpy(err->msg, safe, len + 1);
		return;
	}
	/* The end has the cause and the start what was done: keep both. */
	head = room > 4 ? (room - 4) / 2 : 0;
	while (head > 0 && !is_boundary(safe + head))
		head--;
	if (head == 0) { /* a caller with next to no room */
		err->msg[0] = '\0';
		return;
	}
	tail = len - (room - 4 - head);
	while (!is_boundary(safe + tail))
		tail++;
	memcpy(err->msg, safe, head);
	memcpy(err->msg + head, "...", 3);
	memcpy(err->msg + head + 3, safe + tail, len - tail + 1);
}

static int is_set(const struct shale_error *err)
{
	return err->size < offsetof(struct shale_error, msg) || err->code != 0;
}

int error_fail(struct shale_error *err, int code, const char *fmt, ...)
{
	char raw[RAW_SIZE];
	va_list args;

	if (!err || is_set(err))
		return -code;
	va_start(args, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	err->code = code;
	store_msg(err, raw);
	return -code;
}

int error_errno(struct shale_error *err, int code, const char *fmt, ...)
{
	char raw[RAW_SIZE];
	va_list args;
	size_t len;

	if (!err || is_set(err))
		return -code;
	va_start(args, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	len = strlen(raw);
	(void)snprintf(raw + len, sizeof(raw) - len, ": %s",
		       strerrordesc_np(code) ? strerrordesc_np(code)
					     : "unknown error");
	err->code = code;
	store_msg(err, raw);
	return -code;
}

int error_context(struct shale_error *err, int r, const char *fmt, ...)
{
	char raw[RAW_SIZE];
	va_list args;
	size_t len;

	if (!err || err->size <= offsetof(struct shale_error, msg))
		return r;
	va_start(args, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	len = strlen(raw);
	if (err->code == 0) {
		/* Whoever failed had no sentence: its number is the cause. */
		err->code = r < 0 ? -r : EPROTO;
		(void)snprintf(raw + len, sizeof(raw) - len, ": %s",
			       strerrordesc_np(err->code)
				       ? strerrordesc_np(err->code)
				       : "unknown error");
	} else {
		(void)snprintf(raw + len, sizeof(raw) - len, ": %.*s",
			       (int)room_of(err), err->msg);
	}
	store_msg(err, raw);
	return r;
}

void error_clear(struct shale_error *err)
{
	if (!err || err->size < offsetof(struct shale_error, msg))
		return;
	err->code = 0;
	if (room_of(err))
		err->msg[0] = '\0';
}

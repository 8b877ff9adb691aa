/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that shale(1) writes to stdout, as text for people or as JSON.  A
 * failed write is remembered and told by out_finish, so that nobody has to
 * look at each line.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "snapshotter.h"

struct cli;

/* Room for what the next three write. */
#define OUT_WORD_SIZE 48

/** out_time - RFC 3339, UTC, with nanoseconds */
void out_time(int64_t ns, char ret[OUT_WORD_SIZE]);

/** out_size - "4.1 MiB" */
void out_size(uint64_t bytes, char ret[OUT_WORD_SIZE]);

/** out_age - "3 minutes"; what is in the future is "0 seconds" old */
void out_age(int64_t now_ns, int64_t then_ns, char ret[OUT_WORD_SIZE]);

/** out_kind - "committed", "active", "view" */
const char *out_kind(uint32_t kind);

/* ---- text ---- */

void out_text(const char *fmt, ...) PRINTF_LIKE(1, 2);

/**
 * out_quoted - a name as text_quote shows it
 * @width: columns to fill with spaces; 0 for none
 */
void out_quoted(const char *name, size_t width);

/**
 * out_locale - read the user's locale of characters
 *
 * Not at the start: it takes a tenth of the process, and few need it.
 */
void out_locale(void);

/** out_quoted_width - columns that out_quoted takes for @name */
size_t out_quoted_width(const char *name);

/* ---- JSON ----
 * @key is NULL in an array and at the top.
 */

void out_object(const char *key);
void out_object_end(void);
void out_array(const char *key);
void out_array_end(void);
void out_bool(const char *key, bool value);
void out_number(const char *key, uint64_t value);

/** out_string - a string; NULL is null, a byte that is no UTF-8 U+FFFD */
void out_string(const char *key, const char *value);

/**
 * out_name - a member that may hold any bytes
 *
 * Followed by "KEY_hex" where they are no UTF-8; "" is null.
 */
void out_name(const char *key, const char *name);

/** out_hex - the bytes of a string, in hex */
void out_hex(const char *key, const char *bytes);

/** out_snapshot - the members of a snapshot, without the object around them */
void out_snapshot(const struct shale_info *info);

/**
 * out_result - what a verb that changes a snapshot says: its object, or
 *              nothing in text
 *
 * Return: 0 or a negative errno with cli->err filled.
 */
int out_result(struct cli *cli, const char *name);

/**
 * out_finish - flush
 *
 * Return: 0 or a negative errno.
 */
int out_finish(struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text that grows.  Without memory the rest is lost, and it says so at the end.
 */
#ifndef LIB_GROWING_H
#define LIB_GROWING_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/**
 * struct growing - zeroed when empty
 * @bytes:  to be freed; NUL-terminated, but NULL while nothing was added
 * @failed: there was no memory
 */
struct growing {
	char *bytes;
	size_t len, room;
	bool failed;
};

/** growing_add - append bytes */
void growing_add(struct growing *text, const char *bytes, size_t len);

/** growing_addf - append what fits into 255 bytes */
PRINTF_LIKE(2, 3)
void growing_addf(struct growing *text, const char *fmt, ...);

/**
 * growing_add_word - append as one word, whatever is in it
 *
 * All but printable ASCII, and a backslash, become \ooo; nothing a backslash.
 */
void growing_add_word(struct growing *text, const char *word);

/** growing_cut - keep the first @len bytes */
void growing_cut(struct growing *text, size_t len);

#endif

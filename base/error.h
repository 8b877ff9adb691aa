/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filling struct shale_error: a number for machines, a sentence for people.
 * All accept a NULL err, need no memory from the heap, and return the negative
 * errno to hand on.  Bytes of a name that are no printable UTF-8 are written
 * as \xNN, and an over-long sentence loses its middle, never its cause.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "snapshotter.h"

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/**
 * error_fail - record a failure of our own; the first one wins
 * @code: positive errno
 *
 * Return: -@code
 */
int error_fail(struct shale_error *err, int code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/**
 * error_errno - the same, with ": " and the errno's text behind it
 */
int error_errno(struct shale_error *err, int code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/**
 * error_context - put "what was being done: " before the sentence
 * @r: the negative errno that the failed call returned
 *
 * Return: @r
 */
int error_context(struct shale_error *err, int r, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/**
 * error_clear - forget a failure, before a fallback is tried
 */
void error_clear(struct shale_error *err);

#endif

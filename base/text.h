/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes that people look at: names may hold anything but NUL, a terminal must
 * not.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/**
 * text_utf8_length - length of the UTF-8 sequence at @s
 * @left: bytes that may be read
 *
 * Return: 1..4, or 0 where no well-formed sequence (RFC 3629) starts.
 */
size_t text_utf8_length(const char *s, size_t left);

/** text_is_utf8 - whether all of @s is well-formed UTF-8 */
bool text_is_utf8(const char *s);

/** text_are_utf8 - the same for @len bytes, which may hold NUL */
bool text_are_utf8(const char *bytes, size_t len);

/**
 * text_printable - copy @s with each unprintable byte as \xNN
 * @ret:  NUL-terminated; cut between characters where it is too short
 * @size: 4 * strlen(s) + 1 is always enough
 *
 * Control characters (C0, DEL, C1, line and paragraph separators,
 * bidirectional controls) and bytes that are no UTF-8 count as unprintable.
 */
void text_printable(const char *s, char *ret, size_t size);

/**
 * text_quote - @s as a word that a shell would read back
 *
 * As it is where every byte is harmless, else in single quotes, or in $'...'
 * where something is unprintable.
 *
 * Return: to be freed by the caller; NULL without memory.
 */
char *text_quote(const char *s);

/**
 * text_hex - bytes in lower-case hex
 * @ret: 2 * @len + 1 bytes
 */
void text_hex(const void *bytes, size_t len, char *ret);

/**
 * text_escape_lower - append a path to a lowerdir= value
 * @out:  where to write; up to 2 * strlen(@path) + 1 bytes
 * @path: any absolute path
 *
 * Puts '\' before ':' and '\', and NUL behind it; the ':' between two layers
 * is the caller's.
 *
 * Return: the NUL, to go on from, as stpcpy does.
 */
char *text_escape_lower(char *out, const char *path);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A name's directory: the first 128 bits of its SHA-256 in hex.
 */
#ifndef LIB_ID_H
#define LIB_ID_H

#include <stdbool.h>

#include "snapshotter.h"

#define ID_SIZE 33 /* 32 digits and NUL */

/** id_from_name - the ID of a name or key */
void id_from_name(const char *name, char ret[ID_SIZE]);

/** id_is_valid - whether @text is 32 lower-case hex digits */
bool id_is_valid(const char *text);

/**
 * id_random - an ID that nobody else has, for staging/ and trash/
 *
 * Return: 0 or a negative errno.
 */
int id_random(char ret[ID_SIZE]);

/**
 * name_check - whether a name or key is 1..1023 bytes long
 * @what: "key", "name" or "parent", for the error
 *
 * Return: 0 or -EINVAL.
 */
int name_check(const char *name, const char *what, struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A store as a host sees it, in text: what must be the same before and after
 * a call that did not happen.
 */
#ifndef CRASH_PICTURE_H
#define CRASH_PICTURE_H

#include <stdbool.h>

/**
 * picture_take - here/store, read through a handle of its own
 * @with_temporary: also the keys of an operation that ended half-way, which
 *                  are cleanup's to remove
 *
 * A line for each snapshot (kind, name, parent, labels, usage where it is on
 * record) and below it one for each entry of its own tree, with a digest of
 * its content.  "no store" where there is none.  A snapshot that can't be read
 * fails the test.
 *
 * Return: to be freed.
 */
char *picture_take(bool with_temporary);

/**
 * picture_difference - the first line in which two pictures differ
 *
 * Return: "'LINE' and not 'LINE'"; valid until the next call.
 */
const char *picture_difference(const char *got, const char *wanted);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a configuration may have annotations of ours: a look at its bytes,
 * which costs less than to read it as what it is.
 */
#ifndef RUNTIME_MARK_H
#define RUNTIME_MARK_H

#include <stdbool.h>

/**
 * mark_is_in - whether "org.shale." may be in a file
 * @path: of a JSON document; links are followed, as the runtime does
 *
 * Return: true also where its letters may be written as \uXXXX.  False for
 *         what is no regular file or can't be read: the runtime will say so.
 */
bool mark_is_in(const char *path);

#endif

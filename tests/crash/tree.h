/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trees that a number tells whole: what was written can be checked byte for
 * byte by who knows the number alone, after any crash.
 */
#ifndef CRASH_TREE_H
#define CRASH_TREE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * tree_write - fill an empty directory as @seed says
 *
 * Directories, files of 0 to 80,000 bytes, links, hard links, a fifo, and,
 * as root, a whiteout.
 *
 * Return: false where something could not be written.
 */
bool tree_write(const char *path, uint64_t seed);

/**
 * tree_check - compare a directory with what @seed says
 * @ret: why it differs
 *
 * Return: whether it is that tree and nothing else.
 */
bool tree_check(const char *path, uint64_t seed, char *ret, unsigned int size);

#endif

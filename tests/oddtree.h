/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree with one of everything that a file system can hold.
 */
#ifndef TESTS_ODDTREE_H
#define TESTS_ODDTREE_H

#include <stdbool.h>

/**
 * oddtree_make - fill an existing directory; as root
 * @is_upper: also with what overlayfs keeps in an upper: not through a mount
 *
 * Return: 0 or -1, after a line on standard error that says where.
 */
int oddtree_make(const char *dir, bool is_upper);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Comparing two trees, entry by entry.
 */
#ifndef BASE_COMPARE_H
#define BASE_COMPARE_H

#include <stdbool.h>

#include "snapshotter.h"

/**
 * struct compare_options - what to look at
 * @without: prefixes of extended attributes to pass over, or NULL
 * @sparse:  the second may take no more room for a sparse file than the first
 * @stop:    asked again and again; may be NULL
 */
struct compare_options {
	const char *const *without;
	bool sparse;
	int (*stop)(void *ctx);
	void *ctx;
};

/**
 * compare_trees - whether two directories hold the same
 * @a_fd, @b_fd: readable directories that nobody writes to
 *
 * Compared are, of both directories and of all below: names, types, content,
 * link targets, device numbers, modes, owners, times of modification, extended
 * attributes, and which names are hard links of one file.
 *
 * Return: 0, -EBADMSG with a sentence that names the first difference,
 *         -ECANCELED, or another negative errno.
 */
int compare_trees(int a_fd, int b_fd, const struct compare_options *options,
		  struct shale_error *err);

#endif

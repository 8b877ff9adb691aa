/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes of anything, ACLs and capabilities among them: copying
 * and comparing all but those of some names.
 */
#ifndef BASE_XATTRS_H
#define BASE_XATTRS_H

#include "snapshotter.h"

/* Largest list and largest value that the kernel has (XATTR_LIST_MAX). */
#define XATTRS_MAX 65536

/* Buffers that many calls share. */
struct xattrs {
	const char *const
		*without; /* prefixes of names to pass over, or NULL */
	char *names, *value, *other;
};

/** xattrs_begin - 0 or -ENOMEM; @without stays */
int xattrs_begin(struct xattrs *xattrs);

/** xattrs_end - frees the buffers; any number of times */
void xattrs_end(struct xattrs *xattrs);

/**
 * xattrs_copy - give @to_fd what @from_fd has
 *
 * Either may be O_PATH, so that links and devices can be meant.  What @to_fd
 * has besides stays.
 *
 * Return: how many were set, or a negative errno; with a sentence where one
 *         attribute failed.
 */
int xattrs_copy(struct xattrs *xattrs, int from_fd, int to_fd,
		struct shale_error *err);

/**
 * xattrs_compare - whether both have the same
 * @ret_name: XATTR_NAME_MAX + 1 bytes; the first that differs
 *
 * Return: 1 (the same), 0, or a negative errno.
 */
int xattrs_compare(struct xattrs *xattrs, int a_fd, int b_fd, char *ret_name);

#endif

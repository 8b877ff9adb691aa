/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes: see xattrs.h.  All goes by /proc/self/fd, since the
 * calls that take a descriptor refuse O_PATH, and those that take a path
 * might meet another file.
 */
#include "xattrs.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "error.h"
#include "fs.h"

int xattrs_begin(struct xattrs *xattrs)
{
	xattrs->names = malloc((size_t)3 * XATTRS_MAX);
	if (!xattrs->names)
		return -ENOMEM;
	xattrs->value = xattrs->names + XATTRS_MAX;
	xattrs->other = xattrs->value + XATTRS_MAX;
	return 0;
}

void xattrs_end(struct xattrs *xattrs)
{
	free(xattrs->names);
	xattrs->names = NULL;
}

static bool is_passed_over(const struct xattrs *xattrs, const char *name)
{
	const char *const *prefix = xattrs->without;

	for (; prefix && *prefix; prefix++)
		if (!strncmp(name, *prefix, strlen(*prefix)))
			return true;
	return false;
}

/* A file system without attributes has none. */
static ssize_t list(const char *path, char *ret)
{
	ssize_t n = listxattr(path, ret, XATTRS_MAX);

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	return n;
}

int xattrs_copy(struct xattrs *xattrs, int from_fd, int to_fd,
		struct shale_error *err)
{
	char from[FS_FD_PATH_SIZE], to[FS_FD_PATH_SIZE];
	ssize_t len;
	int count = 0;

	fs_fd_path(from_fd, from);
	len = list(from, xattrs->names);
	if (len <= 0)
		return (int)len;
	fs_fd_path(to_fd, to);
	for (const char *name = xattrs->names; name < xattrs->names + len;
	     name += strlen(name) + 1) {
		ssize_t n;

		if (is_passed_over(xattrs, name))
			continue;
		n = getxattr(from, name, xattrs->value, XATTRS_MAX);
		if (n < 0 && errno == ENODATA) /* removed meanwhile */
			continue;
		if (n < 0)
			return error_errno(err, errno, "read attribute '%s'",
					   name);
		if (setxattr(to, name, xattrs->value, (size_t)n, 0) < 0)
			return error_errno(err, errno, "set attribute '%s'",
					   name);
		count++;
	}
	return count;
}

/* Whether all that @a has is in @b with the same value. */
static int is_within(struct xattrs *xattrs, const char *a, const char *b,
		     char *ret_name)
{
	ssize_t len = list(a, xattrs->names);

	if (len < 0)
		return (int)len;
	for (const char *name = xattrs->names; name < xattrs->names + len;
	     name += strlen(name) + 1) {
		ssize_t n, m;

		if (is_passed_over(xattrs, name))
			continue;
		n = getxattr(a, name, xattrs->value, XATTRS_MAX);
		if (n < 0)
			return -errno;
		m = getxattr(b, name, xattrs->other, XATTRS_MAX);
		if (m < 0 && errno != ENODATA && errno != EOPNOTSUPP)
			return -errno;
		if (n == m &&
		    memcmp(xattrs->value, xattrs->other, (size_t)n) == 0)
			continue;
		(void)snprintf(ret_name, XATTR_NAME_MAX + 1, "%s", name);
		return 0;
	}
	return 1;
}

int xattrs_compare(struct xattrs *xattrs, int a_fd, int b_fd, char *ret_name)
{
	char a[FS_FD_PATH_SIZE], b[FS_FD_PATH_SIZE];
	int r;

	fs_fd_path(a_fd, a);
	fs_fd_path(b_fd, b);
	r = is_within(xattrs, a, b, ret_name);
	return r == 1 ? is_within(xattrs, b, a, ret_name) : r;
}

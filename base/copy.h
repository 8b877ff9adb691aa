/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying a tree by descriptor, with all that a file system keeps of it.
 */
#ifndef BASE_COPY_H
#define BASE_COPY_H

#include "snapshotter.h"

/**
 * struct copy_options - how to copy
 * @without: prefixes of extended attributes to leave out, NULL-terminated; or
 *           NULL to copy all
 * @stop:    asked again and again; nonzero ends with -ECANCELED; may be NULL
 */
struct copy_options {
	const char *const *without;
	int (*stop)(void *ctx);
	void *ctx;
};

/**
 * copy_tree - copy all below a directory, and the directory's own properties
 * @from_fd: readable directory; others may write below it meanwhile
 * @to_fd:   readable, empty directory of the caller's alone
 *
 * Kept are: content (shared extents where the file system can; holes stay
 * holes), hard links within the tree, links, fifos, sockets, devices
 * (whiteouts among them), modes, owners, times in nanoseconds, and extended
 * attributes with ACLs and capabilities.  No link is followed, no device or
 * fifo opened, no file's time of access changed, and any depth is taken.
 *
 * What is written to meanwhile comes as content_copy says; what disappears may
 * be there or not.  What is there all the time, under one name, is copied.
 *
 * Return: 0, -EXDEV (something is mounted in it, or a subvolume is), -EBUSY (a
 *         file is written to all the time), -ESTALE (directories are moved all
 *         the time), -ECANCELED, or another negative errno; with a sentence
 *         that names the file.  What was copied till then stays.
 */
int copy_tree(int from_fd, int to_fd, const struct copy_options *options,
	      struct shale_error *err);

#endif

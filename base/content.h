/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is in a regular file: copying it as it was at one moment while others
 * write to it, and comparing two.  Shares extents where the file system can,
 * and leaves holes.
 */
#ifndef BASE_CONTENT_H
#define BASE_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

/* What several copies share: a buffer, and what the file systems can't. */
struct content {
	char *buffer;
	bool no_clone, no_range;
	int (*stop)(void *ctx); /* asked between pieces; may be NULL */
	void *ctx;
};

/** content_begin - 0 or -ENOMEM; @content is zeroed but for @stop and @ctx */
int content_begin(struct content *content);

/** content_end - frees the buffer; any number of times */
void content_end(struct content *content);

/**
 * content_copy - copy all of a file
 * @from_fd: readable
 * @to_fd:   empty; readable and writable
 *
 * The copy is what the file held at one moment during the call: a clone where
 * the file system can; else copied again until nothing was written meanwhile,
 * or a second look shows that it was whole.  (Without clones, what a program
 * writes through a shared mapping is not seen to change.)
 *
 * Return: 0, -EBUSY (written to all the time), -ECANCELED, or another
 *         negative errno.
 */
int content_copy(struct content *content, int from_fd, int to_fd);

/**
 * content_compare - whether the first @size bytes are the same
 *
 * Return: 1 (the same), 0, -ECANCELED or another negative errno.
 */
int content_compare(struct content *content, int a_fd, int b_fd, int64_t size);

#endif

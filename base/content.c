/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is in a regular file: see content.h.
 */
#include "content.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs.h"

/* Half of the buffer; a comparison needs both. */
#define PIECE (256 * 1024)
/* Between two questions whether to stop. */
#define RANGE ((size_t)64 * 1024 * 1024)
/* Up to here one read and one write beat asking for holes. */
#define SMALL (64 * 1024)
#define COPY_TRIES 10
/* How many pieces of what was appended meanwhile are fetched at the most. */
#define TAIL_TRIES 100
#define BLOCK_BYTES 512 /* of st_blocks */

int content_begin(struct content *content)
{
	content->no_clone = content->no_range = false;
	content->buffer = malloc((size_t)2 * PIECE);
	return content->buffer ? 0 : -ENOMEM;
}

void content_end(struct content *content)
{
	free(content->buffer);
	content->buffer = NULL;
}

static bool is_stopped(const struct content *content)
{
	return content->stop && content->stop(content->ctx);
}

static ssize_t read_at(int fd, char *buffer, size_t size, off_t at)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n =
			pread(fd, buffer + done, size - done, at + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int write_at(int fd, const char *buffer, size_t size, off_t at)
{
	while (size) {
		ssize_t n = pwrite(fd, buffer, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buffer += n;
		size -= (size_t)n;
		at += n;
	}
	return 0;
}

/* 0: copied, or the file is shorter now; 1: this pair of files can't. */
static int copy_in_kernel(struct content *content, int from_fd, int to_fd,
			  off_t *at, off_t end)
{
	while (*at < end) {
		const off_t left = end - *at;
		size_t len = left > (off_t)RANGE ? RANGE : (size_t)left;
		off_t in = *at, out = *at;
		ssize_t n = copy_file_range(from_fd, &in, to_fd, &out, len, 0);

		if (n == 0)
			return 0;
		if (n < 0 && (errno == EXDEV || errno == EINVAL ||
			      errno == ENOSYS || errno == EOPNOTSUPP)) {
			content->no_range = errno != EINVAL;
			return 1;
		}
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			*at += n;
		if (is_stopped(content))
			return -ECANCELED;
	}
	return 0;
}

static int copy_piecewise(struct content *content, int from_fd, int to_fd,
			  off_t at, off_t end)
{
	while (at < end) {
		const off_t left = end - at;
		ssize_t n = read_at(from_fd, content->buffer,
				    left > PIECE ? PIECE : (size_t)left, at);
		int r = n < 0 ? (int)n : 0;

		if (n == 0)
			return 0;
		if (r == 0)
			r = write_at(to_fd, content->buffer, (size_t)n, at);
		if (r == 0 && is_stopped(content))
			r = -ECANCELED;
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}

static int copy_data(struct content *content, int from_fd, int to_fd, off_t at,
		     off_t end)
{
	if (end - at > PIECE && !content->no_range) {
		int r = copy_in_kernel(content, from_fd, to_fd, &at, end);

		if (r <= 0)
			return r;
	}
	return copy_piecewise(content, from_fd, to_fd, at, end);
}

/* Start of the next data at or after @at, @end where there is none. */
static off_t next_data(int fd, off_t at, off_t end)
{
	off_t data = lseek(fd, at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? end : at;
	return data < end ? data : end;
}

static off_t next_hole(int fd, off_t at, off_t end)
{
	off_t hole = lseek(fd, at, SEEK_HOLE);

	return hole < 0 || hole > end ? end : hole;
}

/* A range of a file, its holes left out; @to_fd is @end long afterwards. */
static int copy_range(struct content *content, int from_fd, int to_fd, off_t at,
		      off_t end)
{
	if (ftruncate(to_fd, end) < 0)
		return -errno;
	while (at < end) {
		off_t data = next_data(from_fd, at, end);
		off_t hole = next_hole(from_fd, data, end);
		int r = copy_data(content, from_fd, to_fd, data, hole);

		if (r < 0)
			return r;
		if (is_stopped(content))
			return -ECANCELED;
		at = hole > at ? hole : end;
	}
	return 0;
}

/*
 * A read that comes back short has met the end: at that moment the file was
 * @at + n long, however fast it grows.  An error would come back short, too,
 * and as an error only the next time.
 */
static int copy_tail(struct content *content, int from_fd, int to_fd, off_t at,
		     off_t *ret_size)
{
	for (int try = 0; try < TAIL_TRIES; try++) {
		ssize_t n = pread(from_fd, content->buffer, PIECE, at);
		int r;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		r = write_at(to_fd, content->buffer, (size_t)n, at);
		if (r < 0)
			return r;
		at += n;
		if (n == PIECE)
			continue;
		if (n > 0 && pread(from_fd, content->buffer, 1, at) < 0)
			return -errno;
		*ret_size = at;
		return 1;
	}
	return 0;
}

/*
 * From front to end; @ret_size is how long the file was when its end was met.
 * 0 where it grows faster than it is read.
 */
static int copy_to_the_end(struct content *content, int from_fd, int to_fd,
			   const struct stat *st, off_t *ret_size)
{
	const off_t size = st->st_size;
	int r;

	if (size <= SMALL && st->st_blocks * BLOCK_BYTES >= size)
		r = copy_piecewise(content, from_fd, to_fd, 0, size);
	else
		r = copy_range(content, from_fd, to_fd, 0, size);
	return r < 0 ? r : copy_tail(content, from_fd, to_fd, size, ret_size);
}

/*
 * Whole is what was read between two equal moments.  It is also whole as of
 * the moment when its end was met, when a look back finds all before that
 * unchanged: a log that grows passes so, whatever is appended.
 */
static int copy_whole(struct content *content, int from_fd, int to_fd)
{
	for (int try = 0; try < COPY_TRIES; try++) {
		struct fs_moment before, last;
		off_t size = 0;
		int r;

		if (try > 0 && ftruncate(to_fd, 0) < 0)
			return -errno;
		r = fs_moment_take(from_fd, &before);
		if (r == 0)
			r = copy_to_the_end(content, from_fd, to_fd, &before.st,
					    &size);
		if (r == 1 && fs_moment_take(from_fd, &last) < 0)
			return -errno;
		if (r == 1 && !fs_moment_same(&before, &last))
			r = last.st.st_size < size
				    ? 0
				    : content_compare(content, from_fd, to_fd,
						      size);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return -EBUSY;
}

/* 0: done; 1: not here. */
static int clone_whole(struct content *content, int from_fd, int to_fd)
{
	if (ioctl(to_fd, FICLONE, from_fd) == 0)
		return 0;
	if (errno == ENOSPC || errno == EDQUOT || errno == EIO ||
	    errno == ENOMEM)
		return -errno;
	/* Else it is this file: a swap file, or one without checksums. */
	if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV ||
	    errno == ENOSYS)
		content->no_clone = true;
	return 1;
}

int content_copy(struct content *content, int from_fd, int to_fd)
{
	if (!content->no_clone) {
		int r = clone_whole(content, from_fd, to_fd);

		if (r <= 0)
			return r;
	}
	return copy_whole(content, from_fd, to_fd);
}

int content_compare(struct content *content, int a_fd, int b_fd, int64_t size)
{
	char *const a = content->buffer, *const b = content->buffer + PIECE;
	off_t at = 0;

	while (at < size) {
		const off_t in_a = next_data(a_fd, at, size);
		const off_t in_b = next_data(b_fd, at, size);
		ssize_t n, m;
		off_t left;

		at = in_a < in_b ? in_a : in_b;
		left = size - at;
		n = read_at(a_fd, a, left > PIECE ? PIECE : (size_t)left, at);
		m = read_at(b_fd, b, left > PIECE ? PIECE : (size_t)left, at);
		if (n < 0 || m < 0)
			return n < 0 ? (int)n : (int)m;
		if (n != m || memcmp(a, b, (size_t)n) != 0)
			return 0;
		if (is_stopped(content))
			return -ECANCELED;
		if (n == 0 && at < size) /* both are shorter than that */
			return 0;
		at += n;
	}
	return 1;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock and the generation: see lock.h.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "error.h"
#include "holders.h"
#include "queue.h"
#include "scope.h"

/* How often ROOT/lock may be another file than the one that we locked. */
#define REOPEN_TRIES 100

/* pread and pwrite, never mmap: a full btrfs or a truncated file would be a
 * SIGBUS in the host's process.
 */
uint64_t generation_read(const struct overlay *ov)
{
	struct stat st;

	/* Another file has taken its place: this one tells nothing more. */
	if (fstat(ov->lock_fd, &st) < 0 || st.st_nlink == 0)
		return 1;
	return generation_read_fd(ov->lock_fd);
}

uint64_t generation_read_fd(int lock_fd)
{
	uint64_t generation;

	if (pread(lock_fd, &generation, sizeof(generation), 0) !=
	    (ssize_t)sizeof(generation))
		return 1;
	return generation;
}

static bool is_still_the_lock(const struct overlay *ov, int fd)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 &&
	       fstatat(ov->root_fd, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

static int refuse_late(const struct overlay *ov, int fd,
		       struct shale_error *err)
{
	char holder[HOLDER_SIZE];

	holders_name_flock(fd, holder);
	return error_fail(
		err, ETIMEDOUT, "lock '%s/lock': not had within %lld ms%s%s%s",
		ov->root_path, (long long)ov->lock_timeout_ms,
		*holder ? ": " : "", holder, *holder ? " holds it" : "");
}

static int take_lock(struct overlay *ov, struct writer *writer,
		     struct shale_error *err)
{
	for (int try = 0; try < REOPEN_TRIES; try++) {
		auto_locked_fd fd = openat(ov->root_fd, "lock",
					   O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		int r;

		if (fd < 0)
			return -errno;
		r = queue_wait(ov, fd);
		if (r == -ETIMEDOUT)
			return refuse_late(ov, fd, err);
		if (r < 0)
			return r;
		if (is_still_the_lock(ov, fd)) {
			writer->fd = take_fd(&fd);
			return 0;
		}
	}
	return -EAGAIN;
}

/* Any even number that no handle can have seen. */
static uint64_t fresh_generation(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) &
	       ~UINT64_C(1);
}

int writer_begin(struct overlay *ov, struct writer *writer,
		 struct shale_error *err)
{
	ssize_t n;
	int r = take_lock(ov, writer, err);

	if (r == -ETIMEDOUT)
		return r;
	/* Not ENOENT, by which callers understand that a snapshot is gone. */
	if (r == -ENOENT)
		return error_fail(
			err, EUCLEAN,
			"the file '%s/lock' is lost: 'shale check --repair' makes it anew",
			ov->root_path);
	if (r < 0)
		return error_errno(err, -r, "lock '%s/lock'", ov->root_path);
	writer->ov = ov;
	n = pread(writer->fd, &writer->generation, sizeof(writer->generation),
		  0);
	if (n != (ssize_t)sizeof(writer->generation)) /* truncated */
		writer->generation = fresh_generation();
	if (writer->generation & 1) /* a writer died while changing */
		writer->generation++;
	return 0;
}

static int write_generation(const struct writer *writer, uint64_t generation)
{
	ssize_t n = pwrite(writer->fd, &generation, sizeof(generation), 0);

	if (n == (ssize_t)sizeof(generation))
		return 0;
	return n < 0 ? -errno : -EIO;
}

int writer_change(struct writer *writer, struct shale_error *err)
{
	int r;

	if (writer->changing)
		return 0;
	r = write_generation(writer, writer->generation + 1);
	if (r < 0)
		return error_errno(err, -r, "write '%s/lock'",
				   writer->ov->root_path);
	writer->changing = true;
	cache_change(writer->ov->cache, writer->generation);
	return 0;
}

void writer_end(struct writer *writer)
{
	if (writer->fd < 0)
		return;
	/* Should this fail, the next writer finds it odd and mends it. */
	if (writer->changing)
		(void)write_generation(writer, writer->generation + 2);
	writer->changing = false;
	drop_locked_fd(&writer->fd);
}

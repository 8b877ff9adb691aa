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

static bool is_still_the_lock(const struct overlay *ov, const struct stat *held)
{
	struct stat there;

	return fstatat(ov->root_fd, "lock", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held->st_ino == there.st_ino && held->st_dev == there.st_dev;
}

/* Where another file has taken the place of ours, ours tells nothing more.  A
 * rename leaves a trace in its time of change, so that most looks are one call.
 * (Until 6.13 that time moves a few hundred times a second.)
 */
static bool is_ours_the_lock(struct overlay *ov)
{
	struct stat st;
	int64_t changed_ns;

	if (fstat(ov->lock_fd, &st) < 0 || st.st_nlink == 0)
		return false;
	changed_ns =
		(int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
	if (changed_ns == atomic_load(&ov->lock_changed_ns))
		return true;
	if (!is_still_the_lock(ov, &st))
		return false;
	atomic_store(&ov->lock_changed_ns, changed_ns);
	return true;
}

/* pread and pwrite, never mmap: a full btrfs or a truncated file would be a
 * SIGBUS in the host's process.
 */
uint64_t generation_read(struct overlay *ov)
{
	return is_ours_the_lock(ov) ? generation_read_fd(ov->lock_fd) : 1;
}

uint64_t generation_read_fd(int lock_fd)
{
	uint64_t generation;

	if (pread(lock_fd, &generation, sizeof(generation), 0) !=
	    (ssize_t)sizeof(generation))
		return 1;
	return generation;
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

bool lock_is_lost(const struct overlay *ov)
{
	struct stat st;

	return fstatat(ov->root_fd, "lock", &st, AT_SYMLINK_NOFOLLOW) < 0
		       ? errno == ENOENT
		       : !S_ISREG(st.st_mode);
}

/* What it is to open one that is lost, or has something else in its place. */
static bool is_no_file(int r)
{
	return r == -ENOENT || r == -ELOOP || r == -EISDIR || r == -ENXIO;
}

static int take_lock(struct overlay *ov, struct writer *writer,
		     struct shale_error *err)
{
	for (int try = 0; try < REOPEN_TRIES; try++) {
		auto_locked_fd fd =
			openat(ov->root_fd, "lock",
			       O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		struct stat st;
		int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

		if (r == 0 && !S_ISREG(st.st_mode))
			r = -ENOENT;
		if (is_no_file(r) && !lock_is_lost(ov))
			continue; /* a repair has made it anew */
		if (r == 0)
			r = queue_wait(ov, fd);
		if (r == -ETIMEDOUT)
			return refuse_late(ov, fd, err);
		if (r < 0)
			return r;
		if (is_still_the_lock(ov, &st)) {
			writer->fd = take_fd(&fd);
			return 0;
		}
	}
	return -EAGAIN;
}

/* An even number that no handle can have seen, also where the lock file was
 * truncated, or an earlier one was written back.
 */
static uint64_t generation_after(uint64_t generation)
{
	struct timespec now;
	uint64_t ns;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	ns = ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) &
	     ~UINT64_C(1);
	return ns > generation ? ns : generation + 2;
}

int writer_begin(struct overlay *ov, struct writer *writer,
		 struct shale_error *err)
{
	ssize_t n;
	int r = take_lock(ov, writer, err);

	if (r == -ETIMEDOUT)
		return r;
	/* Not ENOENT, by which callers understand that a snapshot is gone. */
	if (r == -ENOENT || (r < 0 && lock_is_lost(ov)))
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
		writer->generation = generation_after(0);
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
	writer->next = generation_after(writer->generation);
	r = write_generation(writer, writer->generation + 1);
	if (r < 0)
		return error_errno(err, -r, "write '%s/lock'",
				   writer->ov->root_path);
	writer->changing = true;
	cache_change(writer->ov->cache, writer->generation, writer->next);
	return 0;
}

void writer_end(struct writer *writer)
{
	if (writer->fd < 0)
		return;
	/* Should this fail, the next writer finds it odd and mends it. */
	if (writer->changing)
		(void)write_generation(writer, writer->next);
	writer->changing = false;
	drop_locked_fd(&writer->fd);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files by descriptor: see fs.h.  Walking and removing trees is in fs_walk.c.
 */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "scope.h"

/* A ".." that meets anybody's rename or mount in the whole system is EAGAIN. */
#define OPEN_TRIES 10000
/* STATX_MNT_ID_UNIQUE, which older headers have not. */
#define UNIQUE_MNT_ID 0x4000U
/* Two changes so close may have the same time: until 6.13 the clock of files
 * moves with the timer's tick, at most 10 ms.
 */
#define TICK_NS 20000000

int fs_open_in_root(int root_fd, const char *path, uint64_t flags,
		    uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	if (!(resolve & RESOLVE_BENEATH))
		how.resolve |= RESOLVE_IN_ROOT;
	if (flags & O_CREAT)
		how.mode = 0644;
	for (int try = 0; try < OPEN_TRIES; try++) {
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
	}
	if (fd < 0)
		return errno == ENOSYS ? -ENOTSUP : -errno;
	return (int)fd;
}

int fs_flock(int fd, int how, int tries)
{
	const struct timespec pause = { 0, 1000000 };

	for (int try = 0; flock(fd, how | LOCK_NB) < 0; try++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (try == tries)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int fs_read_link(int dir_fd, const char *name, char *ret)
{
	ssize_t n = readlinkat(dir_fd, name, ret, FS_LINK_SIZE);

	if (n < 0)
		return -errno;
	if (n == FS_LINK_SIZE)
		return -ENAMETOOLONG;
	ret[n] = '\0';
	return (int)n;
}

int fs_mnt_id(int fd, const char *path, uint64_t *ret)
{
	struct statx stx;

	if (statx(fd, path,
		  AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_MNT_ID, &stx) < 0)
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID))
		return -ENOSYS; /* until 5.8 */
	*ret = stx.stx_mnt_id;
	return 0;
}

int fs_unique_mnt_id(int fd, const char *path, uint64_t *ret)
{
	struct statx stx;

	if (statx(fd, path,
		  AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  UNIQUE_MNT_ID, &stx) < 0)
		return -errno;
	if (!(stx.stx_mask & UNIQUE_MNT_ID))
		return fs_mnt_id(fd, path, ret); /* until 6.8 */
	*ret = stx.stx_mnt_id;
	return 0;
}

int fs_moment_take(int fd, struct fs_moment *ret)
{
	struct timespec now;
	int64_t age_ns;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0 || fstat(fd, &ret->st) < 0)
		return -errno;
	age_ns = (now.tv_sec - ret->st.st_ctim.tv_sec) * INT64_C(1000000000) +
		 now.tv_nsec - ret->st.st_ctim.tv_nsec;
	ret->is_settled = age_ns > TICK_NS;
	return 0;
}

bool fs_moment_same(const struct fs_moment *before,
		    const struct fs_moment *after)
{
	const struct stat *a = &before->st, *b = &after->st;

	return before->is_settled && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void fs_path(int dir_fd, const char *name, char *ret)
{
	char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	const size_t size = PATH_MAX;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	n = readlink(link, ret, size);
	if (n < 0 || (size_t)n + strlen(name) + 2 > size) {
		(void)snprintf(ret, size, "%s", name);
		return;
	}
	if (n == 1) /* "/" has its slash already */
		n = 0;
	(void)snprintf(ret + n, size - (size_t)n, "/%s", name);
}

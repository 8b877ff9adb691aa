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
/* And what statmount(2) of the same kernel has. */
#ifndef SYS_statmount
#define SYS_statmount 457
#endif
#define STAT_MOUNT_BASIC 2U
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

int fs_find_mnt(uint64_t unique, uint64_t *ret)
{
	const struct {
		uint32_t size, spare;
		uint64_t id, mask;
	} request = { sizeof(request), 0, unique, STAT_MOUNT_BASIC };
	struct {
		uint32_t unused[14]; /* mnt_id_old follows */
		uint32_t id, rest[113];
	} answer;

	if (syscall(SYS_statmount, &request, &answer, sizeof(answer), 0U) < 0) {
		if (errno != ENOSYS || unique > UINT32_MAX)
			return -errno;
		*ret = unique; /* until 6.8 */
		return 0;
	}
	*ret = answer.id;
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

void fs_fd_path(int fd, char ret[FS_FD_PATH_SIZE])
{
	(void)snprintf(ret, FS_FD_PATH_SIZE, "/proc/self/fd/%d", fd);
}

int fs_fd_target(int fd, char *ret)
{
	char link[FS_FD_PATH_SIZE];
	ssize_t n;

	fs_fd_path(fd, link);
	n = readlink(link, ret, PATH_MAX - 1);
	ret[n < 0 ? 0 : n] = '\0';
	if (n < 0)
		return -errno;
	return *ret == '/' ? 0 : -ENOENT;
}

void fs_path(int dir_fd, const char *name, char *ret)
{
	size_t len = fs_fd_target(dir_fd, ret) < 0 ? PATH_MAX : strlen(ret);

	if (len + strlen(name) + 2 > PATH_MAX) {
		(void)snprintf(ret, PATH_MAX, "%s", name);
		return;
	}
	if (len == 1) /* "/" has its slash already */
		len = 0;
	(void)snprintf(ret + len, PATH_MAX - len, "/%s", name);
}

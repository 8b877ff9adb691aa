/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mount destinations in an image: see target.h.  Every step asks the kernel
 * again from the root, with openat2, so that no step trusts an earlier one.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "scope.h"

/* As many links as the kernel follows in one path. */
#define LINKS_MAX 40
/* openat2 says EAGAIN where a mount or rename anywhere crossed a "..". */
#define RACE_TRIES 32

int target_look(int root_fd, const char *path, uint64_t resolve)
{
	int fd = -EAGAIN;

	while (*path == '/')
		path++;
	for (int i = 0; fd == -EAGAIN && i < RACE_TRIES; i++)
		fd = fs_open_in_root(root_fd, *path ? path : ".", O_PATH,
				     resolve);
	return fd;
}

int target_check(struct shale_error *err)
{
	auto_fd fd = target_look(AT_FDCWD, "/", 0);

	if (fd != -ENOTSUP)
		return 0;
	return error_fail(
		err, ENOTSUP,
		"no openat2(2) here (Linux 5.6), without which a path of an image may lead anywhere: use 'shale mount KEY DIR' before the runtime");
}

static int open_path(int root_fd, const struct target *target, const char *path)
{
	const uint64_t resolve =
		target->is_strict ? RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS : 0;

	return target_look(root_fd, path, resolve | RESOLVE_NO_XDEV);
}

/* A directory or a file as asked for; else an errno that says what is there. */
static int check_type(int fd, const struct target *target)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (target->is_dir)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	return S_ISDIR(st.st_mode) ? -EISDIR : 0;
}

static int make(int dir_fd, const char *name, bool is_dir)
{
	int fd;

	if (is_dir)
		return mkdirat(dir_fd, name, 0755) < 0 && errno != EEXIST
			       ? -errno
			       : 0;
	fd = openat(dir_fd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	(void)close(fd);
	return 0;
}

/* path becomes HEAD/LINK/REST, or LINK/REST where LINK is absolute. */
static int splice_link(char path[PATH_MAX], size_t head_len, const char *link,
		       const char *rest)
{
	char joined[3 * PATH_MAX];
	int n = *link == '/'
			? snprintf(joined, sizeof(joined), "%s/%s", link, rest)
			: snprintf(joined, sizeof(joined), "%.*s/%s/%s",
				   (int)head_len, path, link, rest);

	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(path, joined, (size_t)n + 1);
	/* A slash at the end would ask for a directory. */
	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	return 0;
}

/*
 * What to do about a component that is not there: @name below @dir_fd is
 * made, or is a link, which then takes its place in @path.
 */
static int make_or_follow(int dir_fd, const struct target *target,
			  char path[PATH_MAX], size_t head_len,
			  const char *name, const char *rest)
{
	char link[FS_LINK_SIZE];
	int r = fs_read_link(dir_fd, name, link);

	if (r >= 0)
		return target->is_strict
			       ? -ELOOP
			       : splice_link(path, head_len, link, rest);
	if (r != -ENOENT)
		return r == -EINVAL ? -ENOTDIR : r; /* no link */
	return make(dir_fd, name, target->is_dir || *rest);
}

/* Finds the first component of @path that is not there, and deals with it. */
static int advance(int root_fd, const struct target *target,
		   char path[PATH_MAX])
{
	char head[PATH_MAX], name[NAME_MAX + 1];
	auto_fd dir_fd = open_path(root_fd, target, "");
	size_t at = 0;

	for (;;) {
		size_t head_len = at, len;
		int fd;

		if (dir_fd < 0)
			return dir_fd;
		at += strspn(path + at, "/");
		len = strcspn(path + at, "/");
		if (!len)
			return 0; /* somebody else made it meanwhile */
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, path + at, len);
		name[len] = '\0';
		at += len;
		memcpy(head, path, at);
		head[at] = '\0';
		fd = open_path(root_fd, target, head);
		if (fd == -ENOENT)
			return make_or_follow(
				dir_fd, target, path, head_len, name,
				path + at + strspn(path + at, "/"));
		drop_fd(&dir_fd);
		dir_fd = fd;
	}
}

static int find(int root_fd, const struct target *target, char path[PATH_MAX])
{
	size_t tries = LINKS_MAX + PATH_MAX / 2;

	while (tries--) {
		auto_fd fd = open_path(root_fd, target, path);
		int r;

		if (fd >= 0) {
			r = check_type(fd, target);
			return r < 0 ? r : take_fd(&fd);
		}
		if (fd != -ENOENT || !target->may_create)
			return fd;
		r = advance(root_fd, target, path);
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

static int refuse_link(const char *path, struct shale_error *err)
{
	return error_fail(
		err, ELOOP,
		"the image has a link at '%s', which would lead the mount there elsewhere",
		path);
}

int target_check_fixed(int root_fd, struct shale_error *err)
{
	static const char *const fixed[] = { "/proc", "/sys", "/dev" };

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		int fd = target_look(root_fd, fixed[i],
				     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

		if (fd == -ELOOP)
			return refuse_link(fixed[i], err);
		if (fd < 0 && fd != -ENOENT)
			return error_errno(err, -fd,
					   "look at '%s' in the image",
					   fixed[i]);
		if (fd >= 0)
			(void)close(fd);
	}
	return 0;
}

int target_open(int root_fd, const struct target *target,
		struct shale_error *err)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s", target->path) >=
	    (int)sizeof(path))
		return error_errno(err, ENAMETOOLONG,
				   "find mount destination '%s'", target->path);
	fd = find(root_fd, target, path);
	if (fd >= 0)
		return fd;
	if (fd == -ENOTSUP)
		return target_check(err);
	if (fd == -ELOOP && target->is_strict)
		return refuse_link(target->path, err);
	if (fd == -ENOTDIR || fd == -EISDIR)
		return error_fail(
			err, -fd,
			"the image has %s at '%s', where a %s is to be mounted",
			fd == -EISDIR ? "a directory"
				      : "something that is no directory",
			target->path, target->is_dir ? "directory" : "file");
	if (fd == -ENOENT && !target->may_create)
		return error_fail(
			err, ENOENT,
			"the image has nothing at '%s', and a view can't be given it",
			target->path);
	return error_errno(err, -fd, "find mount destination '%s' in the image",
			   target->path);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /run/shale: see rundir.h.
 */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "runtime.h"
#include "scope.h"

/* Only search for others. */
#define SHARED 0711

/* What the directory for a name is in. */
static int run_path(const char *name, char ret[PATH_MAX])
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	const uid_t uid = runtime_caller();
	int n;

	if (uid == 0)
		n = snprintf(ret, PATH_MAX, "/run/shale");
	else if (xdg && *xdg == '/' && strcmp(name, RUNDIR_PRECREATE) != 0)
		n = snprintf(ret, PATH_MAX, "%s/shale", xdg);
	else
		n = snprintf(ret, PATH_MAX, "/run/user/%u/shale",
			     (unsigned int)uid);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int rundir_path(const char *name, char ret[PATH_MAX])
{
	char above[PATH_MAX];
	int n, r = run_path(name, above);

	if (r < 0)
		return r;
	n = snprintf(ret, PATH_MAX, "%s%s%s", above, *name ? "/" : "", name);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* What others could have made would tell us what to unmount. */
static int check_owner(int fd, const char *path, bool create,
		       struct shale_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "open '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_fail(
			err, EPERM,
			"'%s' belongs to uid %u with mode %o: it should be uid %u's, whom alone it lets write",
			path, (unsigned int)st.st_uid, st.st_mode & 07777,
			(unsigned int)geteuid());
	/* By a mask, or whoever made it for itself alone. */
	if (create && !(st.st_mode & S_IXOTH) && fchmod(fd, SHARED) < 0)
		return error_errno(err, errno, "let others search '%s'", path);
	return 0;
}

static int open_one(const char *path, bool create, int *ret_fd,
		    struct shale_error *err)
{
	auto_fd fd = -1;
	int r;

	if (create && mkdir(path, SHARED) < 0 && errno != EEXIST)
		return error_errno(err, errno, "create '%s'", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !create)
		return -ENOENT;
	if (fd < 0)
		return error_errno(err, errno, "open '%s'", path);
	r = check_owner(fd, path, create, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

int rundir_open(const char *name, bool create, int *ret_fd,
		struct shale_error *err)
{
	char path[PATH_MAX];
	auto_fd above = -1;
	int r = run_path(name, path);

	if (r == 0)
		r = open_one(path, create, &above, err);
	if (r == 0 && *name)
		r = rundir_path(name, path);
	if (r == -ENAMETOOLONG)
		return error_errno(err, -r, "find the directory for '%s'",
				   name);
	if (r == 0 && *name)
		return open_one(path, create, ret_fd, err);
	if (r == 0)
		*ret_fd = take_fd(&above);
	return r;
}

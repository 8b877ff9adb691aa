/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /run/shale: see rundir.h.
 */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "runtime.h"
#include "scope.h"

int rundir_path(const char *name, char ret[PATH_MAX])
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	const uid_t uid = runtime_caller();
	const char *slash = *name ? "/" : "";
	int n;

	if (uid == 0)
		n = snprintf(ret, PATH_MAX, "/run/shale%s%s", slash, name);
	else if (xdg && *xdg == '/')
		n = snprintf(ret, PATH_MAX, "%s/shale%s%s", xdg, slash, name);
	else
		n = snprintf(ret, PATH_MAX, "/run/user/%u/shale%s%s",
			     (unsigned int)uid, slash, name);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* What others could have made would tell us what to unmount. */
static int check_owner(int fd, const char *path, struct shale_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "open '%s'", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return error_fail(
			err, EPERM,
			"'%s' belongs to uid %u, or its group or others may write it",
			path, (unsigned int)st.st_uid);
	return 0;
}

static int open_made(const char *path, int *ret_fd, struct shale_error *err)
{
	auto_fd fd = -1;
	int r;

	/* Only search for others: a mapped root has to come through. */
	if (mkdir(path, 0711) < 0 && errno != EEXIST)
		return error_errno(err, errno, "create '%s'", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "open '%s'", path);
	r = check_owner(fd, path, err);
	if (r == 0)
		*ret_fd = take_fd(&fd);
	return r;
}

int rundir_open(const char *name, int *ret_fd, struct shale_error *err)
{
	char path[PATH_MAX];
	auto_fd above = -1;
	int r = rundir_path("", path);

	if (r == 0)
		r = open_made(path, &above, err);
	if (r == 0 && *name)
		r = rundir_path(name, path);
	if (r == -ENAMETOOLONG)
		return error_errno(err, -r, "find the directory for '%s'",
				   name);
	if (r == 0 && *name)
		return open_made(path, ret_fd, err);
	if (r == 0)
		*ret_fd = take_fd(&above);
	return r;
}

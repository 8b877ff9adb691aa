/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file shale.json: see conffile.h.
 */
#include "conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "scope.h"

/* Who may write this file decides what every container gets. */
static int check_owner(int fd, const char *path, struct shale_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "read '%s'", path);
	if (!S_ISREG(st.st_mode))
		return error_fail(err, EPERM,
				  "read '%s': it is no regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return error_fail(
			err, EPERM,
			"read '%s': it belongs to uid %u, not to root", path,
			(unsigned int)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return error_fail(err, EPERM,
				  "read '%s': its group or others may write it",
				  path);
	return 0;
}

int conffile_read(const char *path, struct json **ret, struct shale_error *err)
{
	const char *name = path ? path : SHALE_CONFIG_FILE;
	char what[PATH_MAX + 3];
	auto_fd fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	auto_json json = NULL;
	int r;

	if (fd < 0 && errno == ENOENT && !path)
		return 0;
	if (fd < 0)
		return error_errno(err, errno, "read '%s'", name);
	r = check_owner(fd, name, err);
	if (r < 0)
		return r;
	(void)snprintf(what, sizeof(what), "'%s'", name);
	r = json_read(fd, CONFFILE_SIZE_MAX, what, &json, err);
	if (r == 0 && json->type != JSON_OBJECT)
		r = error_fail(err, EINVAL, "read '%s': it is no object", name);
	if (r == 0)
		*ret = take_ptr(&json);
	return r;
}

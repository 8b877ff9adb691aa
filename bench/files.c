/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files to measure with: see files.h.
 */
#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A_DIRECTORY 100

static int write_file(int dir_fd, long number)
{
	static char content[4096];
	char name[32];
	int fd, r;

	(void)snprintf(name, sizeof(name), "file-%ld", number);
	(void)memset(content, 'a' + (int)(number % 26), sizeof(content));
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0644);
	if (fd < 0)
		return -1;
	r = write(fd, content, sizeof(content)) == (ssize_t)sizeof(content)
		    ? 0
		    : -1;
	(void)close(fd);
	return r;
}

int files_write(const char *dir, long count)
{
	int top_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int dir_fd = -1, r = top_fd < 0 ? -1 : 0;

	for (long i = 0; r == 0 && i < count; i++) {
		char name[32];

		if (i % A_DIRECTORY == 0) {
			(void)snprintf(name, sizeof(name), "dir-%ld",
				       i / A_DIRECTORY);
			if (dir_fd >= 0)
				(void)close(dir_fd);
			dir_fd = mkdirat(top_fd, name, 0755) < 0
					 ? -1
					 : openat(top_fd, name,
						  O_RDONLY | O_DIRECTORY |
							  O_CLOEXEC);
		}
		r = dir_fd < 0 ? -1 : write_file(dir_fd, i);
	}
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (top_fd >= 0)
		(void)close(top_fd);
	return r;
}

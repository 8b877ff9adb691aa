/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile image or container does, for scripts:
 *
 *	hostile deep DIR N	N directories, each in the one before
 *	hostile many DIR N	N links in one directory, to "/" and upwards
 *	hostile swap A B	exchange two names until somebody ends it
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *what)
{
	(void)fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
	return 1;
}

static int deep(int dir_fd, unsigned long count)
{
	while (count--) {
		int below;

		if (mkdirat(dir_fd, "d", 0755) < 0)
			return fail("mkdirat");
		below = openat(dir_fd, "d", O_DIRECTORY | O_CLOEXEC);
		if (below < 0)
			return fail("openat");
		(void)close(dir_fd);
		dir_fd = below;
	}
	(void)close(dir_fd);
	return 0;
}

static int many(int dir_fd, unsigned long count)
{
	char name[32];

	while (count--) {
		(void)snprintf(name, sizeof(name), "%lu", count);
		if (symlinkat(count % 2 ? "/" : "../../../../../../..", dir_fd,
			      name) < 0)
			return fail("symlinkat");
	}
	(void)close(dir_fd);
	return 0;
}

/* Whichever is there is there at once: RENAME_EXCHANGE leaves no gap. */
static int swap(const char *a, const char *b)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
			return fail("renameat2");
}

int main(int argc, char **argv)
{
	int fd;

	if (argc == 4 && !strcmp(argv[1], "swap"))
		return swap(argv[2], argv[3]);
	if (argc != 4)
		return 2;
	fd = open(argv[2], O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail(argv[2]);
	if (!strcmp(argv[1], "deep"))
		return deep(fd, strtoul(argv[3], NULL, 10));
	return many(fd, strtoul(argv[3], NULL, 10));
}

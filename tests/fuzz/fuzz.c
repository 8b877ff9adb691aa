/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fuzz targets share: see fuzz.h.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "scope.h"
#include "text.h"

void fuzz_failed(const char *file, int line, const char *condition)
{
	(void)fprintf(stderr, "%s:%d: false: %s\n", file, line, condition);
	abort();
}

void fuzz_check_result(int r, const struct shale_error *err)
{
	char text[4 * sizeof(err->msg) + 1];

	if (r == 0)
		return;
	REQUIRE(r < 0);
	REQUIRE(err->code == -r);
	REQUIRE(err->msg[0]);
	text_printable(err->msg, text, sizeof(text));
	REQUIRE(!strcmp(text, err->msg));
}

int fuzz_file(const void *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, data, size) == (ssize_t)size);
	REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static int tmpfs(void)
{
	auto_fd fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, 0);
}

static char own_dir[PATH_MAX];

static void remove_own_dir(void)
{
	(void)fs_remove_tree(AT_FDCWD, own_dir, NULL, NULL);
}

static int directory(void)
{
	const char *parent = getenv("TMPDIR");

	(void)snprintf(own_dir, sizeof(own_dir), "%s/tmp.XXXXXX",
		       parent ? parent : ".");
	REQUIRE(mkdtemp(own_dir));
	REQUIRE(atexit(remove_own_dir) == 0);
	return open(own_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int fuzz_dir(void)
{
	static int root = -1, dir = -1;

	if (dir >= 0)
		return dir;
	root = tmpfs();
	if (root < 0)
		root = directory();
	REQUIRE(root >= 0 && mkdirat(root, "dir", 0700) == 0);
	dir = openat(root, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(dir >= 0);
	return dir;
}

uint8_t bytes_take(struct bytes *bytes)
{
	if (!bytes->left)
		return 0;
	bytes->left--;
	return *bytes->at++;
}

char *bytes_word(struct bytes *bytes)
{
	size_t len = strnlen((const char *)bytes->at, bytes->left);
	char *word = strndup((const char *)bytes->at, len);

	REQUIRE(word);
	if (len < bytes->left)
		len++;
	bytes->at += len;
	bytes->left -= len;
	return word;
}

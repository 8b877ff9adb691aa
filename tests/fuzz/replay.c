/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A fuzz target without a fuzzer: gives it each file of its corpus, or those
 * that are named, and tells in TAP that it came back.  What libFuzzer found
 * once stays found.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scope.h"

static void replay(int dir_fd, const char *name)
{
	auto_fd fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	auto_free uint8_t *data = NULL;
	struct stat st;
	size_t size;

	REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
	size = (size_t)st.st_size;
	/* Of its very length: a sanitizer sees the first byte past it. */
	data = malloc(size ? size : 1);
	REQUIRE(data && read(fd, data, size) == (ssize_t)size);
	REQUIRE(LLVMFuzzerTestOneInput(data, size) == 0);
}

static int replay_all(const char *dir)
{
	struct dirent **entries;
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int count = scandir(dir, &entries, NULL, alphasort), done = 0;

	REQUIRE(dir_fd >= 0 && count >= 0);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			replay(dir_fd, entries[i]->d_name);
			printf("ok %d - %s takes %s\n", ++done, fuzz_name,
			       entries[i]->d_name);
			(void)fflush(stdout);
		}
		free(entries[i]);
	}
	free(entries);
	(void)close(dir_fd);
	return done;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	char dir[PATH_MAX];
	int count;

	for (int i = 1; i < argc; i++)
		replay(AT_FDCWD, argv[i]);
	if (argc > 1)
		return 0;
	(void)snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s",
		       srcdir ? srcdir : ".", fuzz_name);
	count = replay_all(dir);
	printf("1..%d\n", count);
	return count ? 0 : 1;
}

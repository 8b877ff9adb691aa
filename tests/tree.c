/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the tests: makes a tree with one of everything, copies trees, and
 * compares them.  `tree make DIR`, `tree copy FROM TO`, `tree compare A B`;
 * `tree merged A B` passes over overlayfs's own attributes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compare.h"
#include "copy.h"
#include "oddtree.h"

static const char *const of_overlay[] = { "trusted.overlay.", "user.overlay.",
					  NULL };

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		(void)fprintf(stderr, "open %s: %s\n", path, strerror(errno));
	return fd;
}

static int run(const char *verb, int a_fd, int b_fd, struct shale_error *err)
{
	static const struct copy_options all = { .without = NULL };
	const struct compare_options same = {
		.without = strcmp(verb, "merged") == 0 ? of_overlay : NULL,
		.sparse = true,
	};

	if (strcmp(verb, "copy") == 0)
		return copy_tree(a_fd, b_fd, &all, err);
	return compare_trees(a_fd, b_fd, &same, err);
}

int main(int argc, char **argv)
{
	struct shale_error err = SHALE_ERROR_INIT;
	int a_fd, b_fd;

	if (argc == 3 && strcmp(argv[1], "make") == 0)
		return oddtree_make(argv[2], false) < 0;
	if (argc != 4) {
		(void)fprintf(stderr,
			      "usage: tree make|copy|compare|merged DIR...\n");
		return 2;
	}
	a_fd = open_dir(argv[2]);
	b_fd = open_dir(argv[3]);
	if (a_fd < 0 || b_fd < 0)
		return 1;
	if (run(argv[1], a_fd, b_fd, &err) == 0)
		return 0;
	(void)fprintf(stderr, "%s\n", err.msg);
	return 1;
}

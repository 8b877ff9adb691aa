/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes a chain of committed layers in less time than as many commands take:
 *
 *	chain ROOT FIRST LAST PARENT
 *
 * Layers deep-FIRST to deep-LAST, the first of them on PARENT.  Layer deep-N
 * has a file layer-N that holds N, and its own text in the file `top`.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shale.h"

static int write_file(int dir_fd, const char *name, int number)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", number);
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			0644);
	int r = fd < 0 || write(fd, text, (size_t)len) != len;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

/* A spec that is an overlay's: files go into its upper without a mount. */
static int fill(void *ctx, const struct shale_mount_spec *spec)
{
	const int number = *(const int *)ctx;
	char name[32];
	int fd, r;

	for (const char *const *o = spec->options; *o; o++) {
		if (strncmp(*o, "upperdir=", 9) != 0)
			continue;
		fd = open(*o + 9, O_PATH | O_DIRECTORY | O_CLOEXEC);
		(void)snprintf(name, sizeof(name), "layer-%d", number);
		r = fd < 0 || write_file(fd, name, number) ||
		    write_file(fd, "top", number);
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	return 1;
}

static int make(struct shale_store *store, int number, const char *parent,
		const char *name, struct shale_error *err)
{
	int r = shale_prepare(store, "making", parent, NULL, err);

	if (r == 0)
		r = shale_mounts(store, "making", fill, &number, err);
	if (r == 0)
		r = shale_commit(store, name, "making", NULL, err);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const config[] = { "durability", "none", NULL };
	struct shale_error err = SHALE_ERROR_INIT;
	struct shale_store *store;
	char name[32], parent[32];
	int r, last;

	if (argc != 5) {
		(void)fputs("usage: chain ROOT FIRST LAST PARENT\n", stderr);
		return 2;
	}
	(void)snprintf(parent, sizeof(parent), "%s", argv[4]);
	last = (int)strtol(argv[3], NULL, 10);
	r = shale_store_open(argv[1], NULL, config, NULL, &store, &err);
	for (int i = (int)strtol(argv[2], NULL, 10); r == 0 && i <= last; i++) {
		(void)snprintf(name, sizeof(name), "deep-%d", i);
		r = make(store, i, parent, name, &err);
		(void)memcpy(parent, name, sizeof(parent));
	}
	if (r == 0)
		shale_store_close(store);
	else
		(void)fprintf(stderr, "chain: %d %s\n", r, err.msg);
	return r != 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stores to measure in: see shelf.h.
 */
#include "shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "files.h"

static struct shale_store *open_with(const char *dir, const char *name,
				     const char *durability, const char *later)
{
	const char *const config[] = { "create",   "yes",	   "durability",
				       durability, "delete_later", later,
				       NULL };
	struct shale_error err = SHALE_ERROR_INIT;
	struct shale_store *store = NULL;
	char root[PATH_MAX];

	(void)snprintf(root, sizeof(root), "%s/%s", dir, name);
	if (shale_store_open(root, NULL, config, NULL, &store, &err) < 0)
		(void)contest_fail("%s", err.msg);
	return store;
}

struct shale_store *shelf_open(const struct contest *contest, const char *name)
{
	return open_with(contest->dir, name,
			 contest_arg(contest, "durability", "layer"),
			 contest_arg(contest, "later", "no"));
}

void shelf_name(long number, char ret[SHELF_NAME_SIZE])
{
	(void)snprintf(ret, SHELF_NAME_SIZE, "layer-%ld", number);
}

static int add_layer(struct shale_store *store, long number, long chain,
		     struct shale_error *err)
{
	static const char *const labels[] = { "bench", "yes", NULL };
	const struct shale_opts opts = { .size = sizeof(opts),
					 .labels = number % 100 ? NULL
								: labels };
	char name[SHELF_NAME_SIZE], parent[SHELF_NAME_SIZE] = "";
	int r;

	shelf_name(number, name);
	if (number % chain)
		shelf_name(number - 1, parent);
	r = shale_prepare(store, "making", parent, NULL, err);
	return r < 0 ? r : shale_commit(store, name, "making", &opts, err);
}

static int add_layers(const struct contest *contest, const char *name,
		      long size, long chain, const char *tip)
{
	struct shale_store *store = open_with(contest->dir, name, "none", "no");
	struct shale_error err = SHALE_ERROR_INIT;
	char parent[SHELF_NAME_SIZE];
	int r = store ? 0 : -1;

	for (long i = 0; r == 0 && i < size; i++)
		r = add_layer(store, i, chain, &err);
	if (r == 0 && tip) {
		shelf_name(size - 1, parent);
		r = shale_prepare(store, tip, parent, NULL, &err);
	}
	shale_store_close(store);
	if (r < 0)
		(void)fprintf(stderr, "fill '%s': %s\n", name, err.msg);
	return r;
}

/* In a process of its own; the mark says that it is done. */
static int fill(const struct contest *contest, const char *name, long size,
		long chain, const char *tip)
{
	char mark[PATH_MAX];
	int status, fd;
	pid_t pid;

	(void)snprintf(mark, sizeof(mark), "%s/%s.full", contest->dir, name);
	if (access(mark, F_OK) == 0)
		return 0;
	pid = fork();
	if (pid == 0)
		_exit(add_layers(contest, name, size, chain, tip) < 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return contest_fail_errno("fill '%s'", name);
	if (status)
		return contest_fail("fill '%s': it failed", name);
	fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return contest_fail_errno("create '%s'", mark);
	(void)close(fd);
	sync();
	return 0;
}

int shelf_fill(const struct contest *contest, const char *name, long size)
{
	return fill(contest, name, size, SHELF_CHAIN, NULL);
}

int shelf_fill_chain(const struct contest *contest, const char *name,
		     long layers)
{
	return fill(contest, name, layers, LONG_MAX, "tip");
}

/* ---- files ---- */

static int write_below(void *ctx, const struct shale_mount_spec *spec)
{
	const char *prefix = "upperdir=";

	for (const char *const *o = spec->options; *o; o++)
		if (!strncmp(*o, prefix, strlen(prefix)))
			return files_write(*o + strlen(prefix),
					   *(const long *)ctx) < 0;
	return 1;
}

int shelf_write_files(struct shale_store *store, const char *key, long files)
{
	struct shale_error err = SHALE_ERROR_INIT;
	int r = shale_mounts(store, key, write_below, &files, &err);

	if (r < 0)
		return contest_fail("%s", err.msg);
	return r > 0 ? contest_fail("'%s': no files written", key) : 0;
}

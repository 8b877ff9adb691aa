/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Contestant: what the rows of a store can't do without, and nothing else.
 * No lock, no check, no error but that of the call itself.
 *
 *	cycle			a directory with fs/, work/ and two facts is
 *				made aside, renamed in, renamed out and deleted
 *	commit			three facts, a rename and one fsync
 *	commit-files files=N	the same files, and one syncfs
 *	remove-files files=N	rm -rf
 *	usage files=N		du -s
 */
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contestant.h"
#include "files.h"
#include "spawned.h"

static int dir_fd = -1;
static char place[PATH_MAX - 8];
static long files;
static int is_synced;

static int set_up(const struct contest *contest)
{
	(void)snprintf(place, sizeof(place), "%s/floor", contest->dir);
	files = contest_number(contest, "files", 0);
	is_synced = !strcmp(contest_arg(contest, "durability", "layer"), "all");
	(void)mkdir(place, 0700);
	dir_fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? contest_fail_errno("open '%s'", place) : 0;
}

static void tear_down(void)
{
	if (dir_fd >= 0)
		(void)close(dir_fd);
	dir_fd = -1;
}

static int make(void)
{
	return mkdirat(dir_fd, "new", 0700) ||
	       mkdirat(dir_fd, "new/fs", 0755) ||
	       mkdirat(dir_fd, "new/work", 0700) ||
	       symlinkat("../../snapshots/00112233445566778899aabbccddeeff",
			 dir_fd, "new/key.parent") ||
	       symlinkat("worker-0", dir_fd, "new/key") ||
	       renameat(dir_fd, "new", dir_fd, "key");
}

static int unmake(void)
{
	return renameat(dir_fd, "key", dir_fd, "old") ||
	       unlinkat(dir_fd, "old/key", 0) ||
	       unlinkat(dir_fd, "old/key.parent", 0) ||
	       unlinkat(dir_fd, "old/fs", AT_REMOVEDIR) ||
	       unlinkat(dir_fd, "old/work", AT_REMOVEDIR) ||
	       unlinkat(dir_fd, "old", AT_REMOVEDIR);
}

static int cycle(long count, uint64_t *ret_ns)
{
	const uint64_t start = contest_now();

	for (long i = 0; i < count; i++)
		if (make() || (is_synced && fsync(dir_fd)) || unmake() ||
		    (is_synced && fsync(dir_fd)))
			return contest_fail_errno("a cycle");
	*ret_ns = contest_now() - start;
	return 0;
}

/* Three facts, a rename and the sync of that. */
static int commit(uint64_t *ret_ns)
{
	uint64_t start;

	if (make())
		return contest_fail_errno("make what is to be committed");
	start = contest_now();
	if (symlinkat("4096,1", dir_fd, "key/usage") ||
	    symlinkat("../../snapshots/00112233445566778899aabbccddeeff",
		      dir_fd, "key/name.parent") ||
	    symlinkat("two", dir_fd, "key/name") ||
	    renameat(dir_fd, "key", dir_fd, "two") || fsync(dir_fd))
		return contest_fail_errno("commit");
	*ret_ns = contest_now() - start;
	if (renameat(dir_fd, "two", dir_fd, "key") ||
	    unlinkat(dir_fd, "key/usage", 0) ||
	    unlinkat(dir_fd, "key/name.parent", 0) ||
	    unlinkat(dir_fd, "key/name", 0) || unmake())
		return contest_fail_errno("clean up");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int commit_files(uint64_t *ret_ns)
{
	char tree[PATH_MAX];
	uint64_t start;

	(void)stpcpy(stpcpy(tree, place), "/tree");
	if (mkdir(tree, 0755) < 0)
		return contest_fail_errno("make '%s'", tree);
	sync();
	start = contest_now();
	if (files_write(tree, files) < 0 || syncfs(dir_fd) < 0)
		return contest_fail_errno("write '%s'", tree);
	*ret_ns = contest_now() - start;
	return nftw(tree, remove_one, 16, FTW_DEPTH | FTW_PHYS)
		       ? contest_fail_errno("remove '%s'", tree)
		       : 0;
}

/* ---- what anybody would do ---- */

static int make_tree(char tree[PATH_MAX])
{
	(void)stpcpy(stpcpy(tree, place), "/tree");
	if (mkdir(tree, 0755) < 0 || files_write(tree, files) < 0)
		return contest_fail_errno("make '%s'", tree);
	return 0;
}

static int remove_files(uint64_t *ret_ns)
{
	char rm[] = "rm", how[] = "-rf", tree[PATH_MAX];
	char *const argv[] = { rm, how, tree, NULL };

	if (make_tree(tree) < 0)
		return -1;
	sync();
	return spawned_run(argv, NULL, ret_ns, NULL);
}

static int set_up_usage(const struct contest *contest)
{
	char tree[PATH_MAX];

	return set_up(contest) < 0 ? -1 : make_tree(tree);
}

static int usage(uint64_t *ret_ns)
{
	char du[] = "du", how[] = "-s";
	char *const argv[] = { du, how, place, NULL };

	return spawned_run(argv, NULL, ret_ns, NULL);
}

int main(int argc, char **argv)
{
	static const struct contest_row rows[] = {
		{ "cycle", set_up, NULL, tear_down, cycle },
		{ "commit", set_up, commit, tear_down, NULL },
		{ "commit-files", set_up, commit_files, tear_down, NULL },
		{ "remove-files", set_up, remove_files, tear_down, NULL },
		{ "usage", set_up_usage, usage, tear_down, NULL },
	};

	return contest_main(argc, argv, rows, sizeof(rows) / sizeof(*rows));
}

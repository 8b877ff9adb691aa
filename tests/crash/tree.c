/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Trees by number: see tree.h.  Writing and checking walk the same plan.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "scope.h"

#define DIRS 3
#define FILES_MAX 24
#define SIZE_MAX_BYTES 80000

static uint64_t next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* What is done with each entry of a plan: it is written, or checked. */
struct hand {
	bool (*dir)(struct hand *hand, const char *path);
	bool (*file)(struct hand *hand, const char *path, const char *bytes,
		     size_t len);
	bool (*link)(struct hand *hand, const char *path, const char *target);
	bool (*hard)(struct hand *hand, const char *path, const char *other);
	bool (*node)(struct hand *hand, const char *path, mode_t mode);
	char *why;
	unsigned int size;
	unsigned int entries;
};

static bool follow_files(struct hand *hand, const char *path, uint64_t *random)
{
	static const size_t sizes[] = { 0, 1, 100, 4096, 5000, 70000 };
	auto_free char *bytes = malloc(SIZE_MAX_BYTES);
	unsigned int files = 2 + (unsigned int)(next(random) % FILES_MAX);
	char name[PATH_MAX];

	for (unsigned int i = 0; bytes && i < files; i++) {
		size_t len = sizes[next(random) % 6] + next(random) % 100;

		for (size_t at = 0; at < len; at += 8) {
			uint64_t word = next(random);

			memcpy(bytes + at, &word, 8);
		}
		(void)snprintf(name, sizeof(name), "%s/d%u/file%u", path,
			       i % DIRS, i);
		hand->entries++;
		if (!hand->file(hand, name, bytes, len))
			return false;
	}
	return bytes != NULL;
}

static bool follow(struct hand *hand, const char *path, uint64_t seed)
{
	uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	char name[PATH_MAX], other[PATH_MAX];

	for (int i = 0; i < DIRS; i++) {
		(void)snprintf(name, sizeof(name), "%s/d%d", path, i);
		hand->entries++;
		if (!hand->dir(hand, name))
			return false;
	}
	if (!follow_files(hand, path, &random))
		return false;
	(void)snprintf(name, sizeof(name), "%s/link", path);
	(void)snprintf(other, sizeof(other), "target of %llu",
		       (unsigned long long)seed);
	hand->entries++;
	if (!hand->link(hand, name, other))
		return false;
	(void)snprintf(name, sizeof(name), "%s/hard", path);
	(void)snprintf(other, sizeof(other), "%s/d0/file0", path);
	hand->entries++;
	if (!hand->hard(hand, name, other))
		return false;
	(void)snprintf(name, sizeof(name), "%s/fifo", path);
	hand->entries++;
	if (!hand->node(hand, name, S_IFIFO | 0600))
		return false;
	if (geteuid() != 0)
		return true;
	(void)snprintf(name, sizeof(name), "%s/whiteout", path);
	hand->entries++;
	return hand->node(hand, name, S_IFCHR | 0600);
}

/* ---- writing ---- */

static bool write_dir(struct hand *hand, const char *path)
{
	(void)hand;
	return mkdir(path, 0755) == 0;
}

static bool write_file(struct hand *hand, const char *path, const char *bytes,
		       size_t len)
{
	auto_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	(void)hand;
	return fd >= 0 && write(fd, bytes, len) == (ssize_t)len;
}

static bool write_link(struct hand *hand, const char *path, const char *target)
{
	(void)hand;
	return symlink(target, path) == 0;
}

static bool write_hard(struct hand *hand, const char *path, const char *other)
{
	(void)hand;
	return link(other, path) == 0;
}

static bool write_node(struct hand *hand, const char *path, mode_t mode)
{
	(void)hand;
	return mknod(path, mode, makedev(0, 0)) == 0;
}

bool tree_write(const char *path, uint64_t seed)
{
	struct hand hand = { .dir = write_dir,
			     .file = write_file,
			     .link = write_link,
			     .hard = write_hard,
			     .node = write_node };

	return follow(&hand, path, seed);
}

/* ---- checking ---- */

static bool differs(struct hand *hand, const char *path, const char *what)
{
	(void)snprintf(hand->why, hand->size, "'%s' %s", path, what);
	return false;
}

static bool is_type(struct hand *hand, const char *path, mode_t mode,
		    struct stat *st)
{
	if (lstat(path, st) < 0)
		return differs(hand, path, strerror(errno));
	if ((st->st_mode & S_IFMT) != (mode & S_IFMT))
		return differs(hand, path, "is of another type");
	return true;
}

static bool check_dir(struct hand *hand, const char *path)
{
	struct stat st;

	return is_type(hand, path, S_IFDIR, &st);
}

static bool check_file(struct hand *hand, const char *path, const char *bytes,
		       size_t len)
{
	auto_free char *found = malloc(SIZE_MAX_BYTES);
	auto_fd fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || !found)
		return differs(hand, path, strerror(errno));
	n = read(fd, found, SIZE_MAX_BYTES);
	if (n != (ssize_t)len)
		return differs(hand, path,
			       n ? "has another length" : "is empty");
	return memcmp(found, bytes, len) == 0 ||
	       differs(hand, path, "has other content");
}

static bool check_link(struct hand *hand, const char *path, const char *target)
{
	char text[PATH_MAX];
	ssize_t n = readlink(path, text, sizeof(text));

	if (n < 0)
		return differs(hand, path, strerror(errno));
	return ((size_t)n == strlen(target) &&
		memcmp(text, target, (size_t)n) == 0) ||
	       differs(hand, path, "leads elsewhere");
}

static bool check_hard(struct hand *hand, const char *path, const char *other)
{
	struct stat st, there;

	return is_type(hand, path, S_IFREG, &st) &&
	       is_type(hand, other, S_IFREG, &there) &&
	       (st.st_ino == there.st_ino ||
		differs(hand, path, "is another file"));
}

static bool check_node(struct hand *hand, const char *path, mode_t mode)
{
	struct stat st;

	return is_type(hand, path, mode, &st);
}

static unsigned int count(const char *path)
{
	char copy[PATH_MAX];
	char *const paths[] = { copy, NULL };
	unsigned int n = 0;
	const FTSENT *entry;
	FTS *fts;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	while (fts && (entry = fts_read(fts)) != NULL)
		n += entry->fts_info != FTS_DP && entry->fts_level > 0;
	if (fts)
		(void)fts_close(fts);
	return n;
}

bool tree_check(const char *path, uint64_t seed, char *ret, unsigned int size)
{
	struct hand hand = { .dir = check_dir,
			     .file = check_file,
			     .link = check_link,
			     .hard = check_hard,
			     .node = check_node,
			     .why = ret,
			     .size = size };

	if (!follow(&hand, path, seed))
		return false;
	return count(path) == hand.entries ||
	       differs(&hand, path, "has more or fewer entries");
}

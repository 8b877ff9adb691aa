/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Comparing two trees: see compare.h.  The first is walked; all that it has is
 * looked up in the second, and counted there.
 */
#include "compare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "error.h"
#include "fs.h"
#include "scope.h"
#include "xattrs.h"

#define BLOCK_BYTES 512 /* of st_blocks */
/* File systems may round up, and count what tells of the extents. */
#define SPARSE_SLACK (64 * 1024)

/* What a file of several names in one tree is in the other. */
struct pair {
	dev_t dev;
	ino_t ino, other;
};

struct comparison {
	const struct compare_options *options;
	struct content content;
	struct xattrs xattrs;
	int b_fd; /* the directory of the second that we are in */
	void *pairs[2];
	struct shale_error *err;
};

static int differ(const struct comparison *c, const struct fs_entry *entry,
		  const char *what)
{
	char path[PATH_MAX];

	fs_path(entry->parent_fd, entry->name, path);
	return error_fail(c->err, EBADMSG, "'%s' differs: %s", path, what);
}

static int fail(const struct comparison *c, const struct fs_entry *entry, int r)
{
	char path[PATH_MAX];

	if (r >= 0 || (c->err && c->err->code))
		return r;
	fs_path(entry->parent_fd, entry->name, path);
	return error_errno(c->err, -r, "compare '%s'", path);
}

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return (x->dev > y->dev) - (x->dev < y->dev);
}

/* 1: the first name of that file, or the same partner as before; 0: not. */
static int is_partner(void **pairs, const struct stat *st, ino_t other)
{
	struct pair *pair = malloc(sizeof(*pair));
	struct pair *const *found;

	if (!pair)
		return -ENOMEM;
	*pair = (struct pair){ st->st_dev, st->st_ino, other };
	found = tsearch(pair, pairs, compare_pairs);
	if (!found || *found != pair)
		free(pair);
	if (!found)
		return -ENOMEM;
	return (*found)->other == other;
}

static int compare_linking(struct comparison *c, const struct fs_entry *entry,
			   const struct stat *a, const struct stat *b)
{
	int r;

	if (a->st_nlink < 2 && b->st_nlink < 2)
		return 0;
	r = is_partner(&c->pairs[0], a, b->st_ino);
	if (r == 1)
		r = is_partner(&c->pairs[1], b, a->st_ino);
	return r == 0 ? differ(c, entry, "hard links") : r < 0 ? r : 0;
}

/* What of the two stats must be equal, or NULL where it is. */
static const char *unequal(const struct comparison *c, const struct stat *a,
			   const struct stat *b)
{
	const bool is_dir = S_ISDIR(a->st_mode);
	const int64_t a_bytes = a->st_blocks * BLOCK_BYTES;

	if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
		return "type";
	if (a->st_mode != b->st_mode)
		return "mode";
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		return "owner";
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	    a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		return "time of modification";
	if ((S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode)) &&
	    a->st_rdev != b->st_rdev)
		return "device";
	if (!is_dir && a->st_size != b->st_size)
		return "size";
	if (c->options->sparse && S_ISREG(a->st_mode) && a_bytes < a->st_size &&
	    b->st_blocks * BLOCK_BYTES > a_bytes + SPARSE_SLACK)
		return "holes";
	return NULL;
}

static int compare_content(struct comparison *c, const struct fs_entry *entry,
			   int64_t size)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	auto_fd a_fd = openat(entry->parent_fd, entry->name, flags);
	auto_fd b_fd = openat(c->b_fd, entry->name, flags);
	int r;

	if (a_fd < 0 || b_fd < 0)
		return -errno;
	r = content_compare(&c->content, a_fd, b_fd, size);
	return r == 0 ? differ(c, entry, "content") : r < 0 ? r : 0;
}

static int compare_targets(const struct comparison *c,
			   const struct fs_entry *entry, int a_fd, int b_fd)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n = readlinkat(a_fd, "", a, sizeof(a));
	ssize_t m = readlinkat(b_fd, "", b, sizeof(b));

	if (n < 0 || m < 0)
		return -errno;
	return n == m && memcmp(a, b, (size_t)n) == 0
		       ? 0
		       : differ(c, entry, "link target");
}

static int compare_xattrs(struct comparison *c, const struct fs_entry *entry,
			  int a_fd, int b_fd)
{
	char name[XATTR_NAME_MAX + 1], what[XATTR_NAME_MAX + 32];
	int r = xattrs_compare(&c->xattrs, a_fd, b_fd, name);

	if (r != 0)
		return r < 0 ? r : 0;
	(void)snprintf(what, sizeof(what), "attribute '%s'", name);
	return differ(c, entry, what);
}

/* Both are O_PATH, or directories. */
static int compare_opened(struct comparison *c, const struct fs_entry *entry,
			  int a_fd, int b_fd)
{
	const char *what;
	struct stat a, b;
	int r;

	if (fstat(a_fd, &a) < 0 || fstat(b_fd, &b) < 0)
		return -errno;
	what = unequal(c, &a, &b);
	if (what)
		return differ(c, entry, what);
	r = compare_xattrs(c, entry, a_fd, b_fd);
	if (r < 0 || S_ISDIR(a.st_mode))
		return r;
	if (S_ISREG(a.st_mode))
		r = compare_content(c, entry, a.st_size);
	else if (S_ISLNK(a.st_mode))
		r = compare_targets(c, entry, a_fd, b_fd);
	return r < 0 ? r : compare_linking(c, entry, &a, &b);
}

static int open_second(const struct comparison *c, const struct fs_entry *entry,
		       int flags)
{
	int fd = openat(c->b_fd, entry->name, flags | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return differ(c, entry, "there is no second one");
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return differ(c, entry, "type");
	return fd < 0 ? -errno : fd;
}

static int visit(void *ctx, const struct fs_entry *entry)
{
	struct comparison *c = ctx;
	auto_fd a_fd = -1;
	auto_fd b_fd = -1;
	struct stat st;

	if (c->options->stop && c->options->stop(c->options->ctx))
		return error_fail(c->err, ECANCELED, "stopped by the host");
	if (entry->st)
		return error_fail(c->err, EXDEV, "'%s' is a mount point",
				  entry->name);
	a_fd = openat(entry->parent_fd, entry->name,
		      O_PATH | O_NOFOLLOW | O_CLOEXEC);
	/* Listed and not there: a whiteout below nothing, in an overlay. */
	if (a_fd < 0 && errno == ENOENT)
		return 0;
	if (a_fd < 0 || fstat(a_fd, &st) < 0)
		return fail(c, entry, -errno);
	if (S_ISDIR(st.st_mode))
		return FS_IS_DIR;
	b_fd = open_second(c, entry, O_PATH);
	if (b_fd < 0)
		return fail(c, entry, b_fd);
	return fail(c, entry, compare_opened(c, entry, a_fd, b_fd));
}

static int enter(void *ctx, const struct fs_entry *entry, int fd)
{
	struct comparison *c = ctx;
	int b_fd = open_second(c, entry, O_RDONLY | O_DIRECTORY);

	(void)fd;
	if (b_fd < 0)
		return fail(c, entry, b_fd);
	drop_fd(&c->b_fd);
	c->b_fd = b_fd;
	return 0;
}

/* @really: not those that are listed only */
static int count(int dir_fd, bool really)
{
	const struct dirent *entry;
	struct stat st;

	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir dir = fd < 0 ? NULL : fdopendir(fd);
	int n = 0;

	if (fd >= 0 && !dir)
		drop_fd(&fd);
	if (!dir)
		return -errno;
	while (errno = 0, (entry = readdir(dir)) != NULL)
		n += !really || fstatat(dir_fd, entry->d_name, &st,
					AT_SYMLINK_NOFOLLOW) == 0;
	return errno ? -errno : n;
}

/* All names of the first are in the second: that has as many, or more. */
static int compare_directory(struct comparison *c, const struct fs_entry *entry,
			     int a_fd)
{
	int n = count(a_fd, false), m = count(c->b_fd, false);

	if (n != m && n >= 0 && m >= 0) {
		n = count(a_fd, true);
		m = count(c->b_fd, true);
	}

	if (n < 0 || m < 0)
		return n < 0 ? n : m;
	if (n != m)
		return differ(c, entry, "the second one has more in it");
	return compare_opened(c, entry, a_fd, c->b_fd);
}

static int leave(void *ctx, const struct fs_entry *entry, int fd)
{
	struct comparison *c = ctx;
	int up_fd, r = compare_directory(c, entry, fd);

	if (r < 0)
		return fail(c, entry, r);
	up_fd = openat(c->b_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (up_fd < 0)
		return fail(c, entry, -errno);
	drop_fd(&c->b_fd);
	c->b_fd = up_fd;
	return 0;
}

static int fail_to_read(void *ctx, const struct fs_entry *entry, int fd, int r)
{
	(void)fd;
	return fail(ctx, entry, r);
}

static int compare_all(struct comparison *c, int a_fd)
{
	static const struct fs_visitor visitor = { enter, visit, leave,
						   fail_to_read };
	const struct fs_entry root = { a_fd, ".", NULL };
	int r = fs_walk_live(a_fd, &visitor, c);

	if (r == 0)
		r = compare_directory(c, &root, a_fd);
	return fail(c, &root, r);
}

int compare_trees(int a_fd, int b_fd, const struct compare_options *options,
		  struct shale_error *err)
{
	struct comparison c = {
		.options = options,
		.content = { .stop = options->stop, .ctx = options->ctx },
		.xattrs = { .without = options->without },
		.b_fd = openat(b_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.err = err,
	};
	int r = c.b_fd < 0 ? -errno : content_begin(&c.content);

	if (r == 0)
		r = xattrs_begin(&c.xattrs);
	if (r == 0)
		r = compare_all(&c, a_fd);
	else
		r = error_errno(err, -r, "compare");
	tdestroy(c.pairs[0], free);
	tdestroy(c.pairs[1], free);
	xattrs_end(&c.xattrs);
	content_end(&c.content);
	drop_fd(&c.b_fd);
	return r;
}

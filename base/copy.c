/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying a tree: see copy.h.  A file is pinned with O_PATH before anything is
 * asked of it, so that all that is copied is of one inode whatever its name
 * means by then.  Of a hard-linked file a further link is kept in a directory
 * of the copy until the end, from where it reaches any depth.
 */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "content.h"
#include "error.h"
#include "fs.h"
#include "scope.h"
#include "xattrs.h"

#define COPY_TRIES 5
#define LINKS_NAME_SIZE sizeof(".shale-links-0123456789abcdef")

/* A file of several names, by what no other file has. */
struct link {
	uint32_t major, minor;
	uint64_t ino;
	struct statx_timestamp born; /* an inode number may be used again */
	unsigned int number;	     /* its name among the kept links */
	bool is_spent;		     /* moved from there to its last place */
};

struct copy {
	const struct copy_options *options;
	struct content content;
	struct xattrs xattrs;
	int root_fd; /* lent */
	int to_fd;   /* the directory that is being filled */
	void *links; /* of tsearch */
	unsigned int link_count;
	int links_fd;
	char links_name[LINKS_NAME_SIZE];
	struct shale_error *err;
};

static int fail(const struct copy *copy, int r, const struct fs_entry *entry)
{
	char path[PATH_MAX];

	fs_path(entry->parent_fd, entry->name, path);
	if (copy->err->code)
		return error_context(copy->err, r, "copy '%s'", path);
	if (r == -ECANCELED)
		return error_fail(copy->err, -r, "stopped by the host");
	if (r == -EBUSY)
		return error_fail(
			copy->err, -r,
			"copy '%s': it is written to all the time: freeze or stop its writer",
			path);
	return error_errno(copy->err, -r, "copy '%s'", path);
}

/* ---- owner, attributes, mode and times, of what was created ---- */

static void times_of(const struct statx *st, struct timespec ret[2])
{
	ret[0] = (struct timespec){ st->stx_atime.tv_sec,
				    st->stx_atime.tv_nsec };
	ret[1] = (struct timespec){ st->stx_mtime.tv_sec,
				    st->stx_mtime.tv_nsec };
}

static int look(int fd, struct statx *ret)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_SYNC_AS_STAT,
		     STATX_BASIC_STATS | STATX_BTIME, ret) < 0
		       ? -errno
		       : 0;
}

/*
 * chown clears set-ID bits and capabilities, and an ACL changes the mode: it
 * is owner, attributes, mode.  Times are last.  What is right already is left
 * alone: to change an inode costs more than to look at it.
 */
static int dress_open(struct copy *copy, int from_fd, int to_fd)
{
	struct timespec times[2];
	struct stat now;
	struct statx st;
	bool is_dressed;
	int r = look(from_fd, &st);

	if (r < 0)
		return r;
	if (fstat(to_fd, &now) < 0)
		return -errno;
	is_dressed = now.st_mode == st.stx_mode;
	if (now.st_uid != st.stx_uid || now.st_gid != st.stx_gid) {
		if (fchown(to_fd, st.stx_uid, st.stx_gid) < 0)
			return -errno;
		is_dressed = false;
	}
	r = xattrs_copy(&copy->xattrs, from_fd, to_fd, copy->err);
	if (r < 0)
		return r;
	if ((!is_dressed || r > 0) && fchmod(to_fd, st.stx_mode & 07777) < 0)
		return -errno;
	times_of(&st, times);
	return futimens(to_fd, times) < 0 ? -errno : 0;
}

/* The same for what can't be opened. */
static int dress_name(struct copy *copy, int from_fd, const struct statx *st,
		      const char *name)
{
	struct timespec times[2];
	auto_fd to_fd =
		openat(copy->to_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (to_fd < 0 || fchownat(copy->to_fd, name, st->stx_uid, st->stx_gid,
				  AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	r = xattrs_copy(&copy->xattrs, from_fd, to_fd, copy->err);
	if (r < 0)
		return r;
	if (!S_ISLNK(st->stx_mode) &&
	    fchmodat(copy->to_fd, name, st->stx_mode & 07777, 0) < 0)
		return -errno;
	times_of(st, times);
	return utimensat(copy->to_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0
		       ? -errno
		       : 0;
}

/* ---- one file ---- */

/* Of what O_PATH has pinned, whatever its name means now. */
static int open_pinned(int path_fd)
{
	char path[FS_FD_PATH_SIZE];
	int fd;

	fs_fd_path(path_fd, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);
	if (fd < 0 && errno == EPERM) /* of another owner */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int copy_regular(struct copy *copy, int path_fd, mode_t mode,
			const char *name)
{
	auto_fd from_fd = open_pinned(path_fd);
	auto_fd to_fd = -1;
	int r;

	if (from_fd < 0)
		return from_fd;
	to_fd = openat(copy->to_fd, name,
		       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       mode & 0777);
	if (to_fd < 0)
		return -errno;
	r = content_copy(&copy->content, from_fd, to_fd);
	return r < 0 ? r : dress_open(copy, from_fd, to_fd);
}

static int copy_symlink(struct copy *copy, int path_fd, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(path_fd, "", target, sizeof(target));

	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	return symlinkat(target, copy->to_fd, name) < 0 ? -errno : 0;
}

static int copy_node(struct copy *copy, int path_fd, const struct statx *st,
		     const char *name)
{
	const mode_t type = st->stx_mode & S_IFMT;
	int r = 0;

	if (type == S_IFREG)
		return copy_regular(copy, path_fd, st->stx_mode, name);
	if (type == S_IFLNK)
		r = copy_symlink(copy, path_fd, name);
	else if (mknodat(copy->to_fd, name, type | 0600,
			 makedev(st->stx_rdev_major, st->stx_rdev_minor)) < 0)
		r = -errno;
	return r < 0 ? r : dress_name(copy, path_fd, st, name);
}

/* ---- hard links ---- */

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	if (x->minor != y->minor)
		return x->minor < y->minor ? -1 : 1;
	if (x->born.tv_sec != y->born.tv_sec)
		return x->born.tv_sec < y->born.tv_sec ? -1 : 1;
	return (x->born.tv_nsec > y->born.tv_nsec) -
	       (x->born.tv_nsec < y->born.tv_nsec);
}

static struct link link_key(const struct statx *st)
{
	struct link key = { .major = st->stx_dev_major,
			    .minor = st->stx_dev_minor,
			    .ino = st->stx_ino };

	if (st->stx_mask & STATX_BTIME)
		key.born = st->stx_btime;
	return key;
}

static void link_name(const struct link *link, char ret[16])
{
	(void)snprintf(ret, 16, "%u", link->number);
}

/* The directory of kept links, made when the first one is. */
static int make_links(struct copy *copy)
{
	uint64_t number;

	if (copy->links_fd >= 0)
		return 0;
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -errno;
	(void)snprintf(copy->links_name, sizeof(copy->links_name),
		       ".shale-links-%016" PRIx64, number);
	if (mkdirat(copy->root_fd, copy->links_name, 0700) < 0)
		return -errno;
	copy->links_fd =
		openat(copy->root_fd, copy->links_name,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return copy->links_fd < 0 ? -errno : 0;
}

/* Keeps a link of what was just copied for its other names. */
static int keep_link(struct copy *copy, const struct statx *st,
		     const char *name)
{
	struct link *link = malloc(sizeof(*link));
	struct link *const *found;
	char kept[16];
	int r;

	if (!link)
		return -ENOMEM;
	*link = link_key(st);
	found = tsearch(link, &copy->links, compare_links);
	if (!found || *found != link)
		free(link);
	if (!found)
		return -ENOMEM;
	if (*found != link) /* spent: this one is a copy of its own */
		return 0;
	link->number = copy->link_count++;
	r = make_links(copy);
	if (r < 0)
		return r;
	link_name(link, kept);
	return linkat(copy->to_fd, name, copy->links_fd, kept, 0) < 0 ? -errno
								      : 0;
}

/* 1: linked; 0: this is the first of its names. */
static int link_again(struct copy *copy, const struct statx *st,
		      const char *name)
{
	const struct link key = link_key(st);
	struct link *const *found = tfind(&key, &copy->links, compare_links);
	char kept[16];

	if (!found || (*found)->is_spent)
		return 0;
	link_name(*found, kept);
	if (linkat(copy->links_fd, kept, copy->to_fd, name, 0) == 0)
		return 1;
	/* It has as many links as there can be: ours is one too many. */
	if (errno != EMLINK ||
	    renameat(copy->links_fd, kept, copy->to_fd, name) < 0)
		return -errno;
	(*found)->is_spent = true;
	return 1;
}

/* ---- the walk ---- */

static bool is_stopped(const struct copy *copy)
{
	return copy->options->stop && copy->options->stop(copy->options->ctx);
}

/* What is deleted after it was pinned was there at one moment: it is copied. */
static int copy_entry(struct copy *copy, const struct fs_entry *entry)
{
	auto_fd fd = openat(entry->parent_fd, entry->name,
			    O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	r = look(fd, &st);
	if (r < 0)
		return r;
	if (S_ISDIR(st.stx_mode))
		return FS_IS_DIR;
	if (st.stx_nlink > 1) {
		r = link_again(copy, &st, entry->name);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = copy_node(copy, fd, &st, entry->name);
	if (r == 0 && st.stx_nlink > 1)
		r = keep_link(copy, &st, entry->name);
	return r;
}

static int visit(void *ctx, const struct fs_entry *entry)
{
	struct copy *copy = ctx;
	int r;

	if (is_stopped(copy))
		r = -ECANCELED;
	else if (entry->st)
		r = error_fail(copy->err, EXDEV,
			       "it is a mount point or a subvolume");
	else
		r = copy_entry(copy, entry);
	return r < 0 ? fail(copy, r, entry) : r;
}

static int enter(void *ctx, const struct fs_entry *entry, int fd)
{
	struct copy *copy = ctx;
	auto_fd to_fd = -1;

	(void)fd;
	if (is_stopped(copy))
		return fail(copy, -ECANCELED, entry);
	if (mkdirat(copy->to_fd, entry->name, 0700) < 0)
		return fail(copy, -errno, entry);
	to_fd = openat(copy->to_fd, entry->name,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to_fd < 0)
		return fail(copy, -errno, entry);
	drop_fd(&copy->to_fd);
	copy->to_fd = take_fd(&to_fd);
	return 0;
}

/* Its mode may shut us out: we leave before it is set. */
static int leave(void *ctx, const struct fs_entry *entry, int fd)
{
	struct copy *copy = ctx;
	auto_fd up_fd =
		openat(copy->to_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = up_fd < 0 ? -errno : dress_open(copy, fd, copy->to_fd);

	if (r < 0)
		return fail(copy, r, entry);
	drop_fd(&copy->to_fd);
	copy->to_fd = take_fd(&up_fd);
	return 0;
}

static int fail_to_read(void *ctx, const struct fs_entry *entry, int fd, int r)
{
	(void)fd;
	return fail(ctx, r, entry);
}

/* The directory of kept links must not stay in the copy. */
static int end_links(struct copy *copy)
{
	tdestroy(copy->links, free);
	copy->links = NULL;
	copy->link_count = 0;
	if (copy->links_fd < 0)
		return 0;
	drop_fd(&copy->links_fd);
	return fs_remove_tree(copy->root_fd, copy->links_name, NULL, NULL);
}

static int copy_once(struct copy *copy, int from_fd)
{
	static const struct fs_visitor visitor = { enter, visit, leave,
						   fail_to_read };
	int r, ended;

	copy->to_fd =
		openat(copy->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy->to_fd < 0)
		return -errno;
	r = fs_walk_live(from_fd, &visitor, copy);
	ended = end_links(copy);
	if (r == 0)
		r = ended;
	if (r == 0)
		r = dress_open(copy, from_fd, copy->to_fd);
	drop_fd(&copy->to_fd);
	return r;
}

int copy_tree(int from_fd, int to_fd, const struct copy_options *options,
	      struct shale_error *err)
{
	struct shale_error own = SHALE_ERROR_INIT;
	struct copy copy = {
		.options = options,
		.content = { .stop = options->stop, .ctx = options->ctx },
		.xattrs = { .without = options->without },
		.root_fd = to_fd,
		.to_fd = -1,
		.links_fd = -1,
		.err = err ? err : &own,
	};
	int r = content_begin(&copy.content);

	if (r == 0)
		r = xattrs_begin(&copy.xattrs);
	for (int try = 0; r == 0 || r == -ESTALE; try++) {
		r = copy_once(&copy, from_fd);
		if (r != -ESTALE || try == COPY_TRIES)
			break;
		error_clear(copy.err);
		r = fs_empty(to_fd, options->stop, options->ctx);
	}
	xattrs_end(&copy.xattrs);
	content_end(&copy.content);
	if (r < 0 && !copy.err->code) {
		char path[PATH_MAX];

		fs_path(from_fd, ".", path);
		return error_errno(err, -r, "copy '%s'", path);
	}
	return r;
}

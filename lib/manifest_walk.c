/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making the lines of a manifest: see manifest_walk.h.
 */
#include "manifest_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "scope.h"
#include "text.h"

#define XATTRS_MAX 65536
#define READ_SIZE ((size_t)1 << 18)

struct named {
	ino_t ino;
	char *path; /* the first in the order of the walk */
};

static int by_ino(const void *a, const void *b)
{
	const ino_t x = ((const struct named *)a)->ino;
	const ino_t y = ((const struct named *)b)->ino;

	return x < y ? -1 : x > y;
}

static void named_free(void *named)
{
	free(((struct named *)named)->path);
	free(named);
}

void manifest_walk_end(struct manifest_walk *m)
{
	tdestroy(m->linked, named_free);
	free(m->buffer);
	free(m->xattrs);
	free(m->value);
	free(m->path.bytes);
	free(m->line.bytes);
}

int manifest_out_of_memory(const struct manifest_walk *m)
{
	return error_fail(m->err, ENOMEM, "manifest: out of memory");
}

int manifest_walk_begin(struct manifest_walk *m)
{
	m->buffer = malloc(READ_SIZE);
	m->xattrs = malloc(XATTRS_MAX);
	m->value = malloc(XATTRS_MAX);
	return m->buffer && m->xattrs && m->value ? 0
						  : manifest_out_of_memory(m);
}

static int fail_here(const struct manifest_walk *m, int r)
{
	return error_errno(m->err, -r, "read '%s' of the layer%s",
			   m->path.len ? m->path.bytes : ".",
			   overlay_ids_hint(r));
}

void manifest_digest(struct digest *digest, char ret[MANIFEST_DIGEST_SIZE])
{
	unsigned char bytes[DIGEST_BYTES];

	digest_end(digest, bytes);
	text_hex(bytes, DIGEST_BYTES, ret);
}

static int add_content(struct manifest_walk *m, int fd, off_t size)
{
	char hex[MANIFEST_DIGEST_SIZE];
	struct digest digest;
	ssize_t n = 1;

	digest_begin(&digest);
	while (n > 0) {
		if (overlay_cancelled(m->ov))
			return -ECANCELED;
		n = read(fd, m->buffer, READ_SIZE);
		if (n < 0)
			return -errno;
		digest_add(&digest, m->buffer, (size_t)n);
	}
	manifest_digest(&digest, hex);
	growing_addf(&m->line, " %jd:%s", (intmax_t)size, hex);
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By descriptor where that is enough: O_PATH needs the way through /proc. */
struct source {
	int fd;
	bool is_path;
	char path[FS_FD_PATH_SIZE];
};

static ssize_t list_xattrs(const struct source *from, char *ret)
{
	ssize_t n = from->is_path ? listxattr(from->path, ret, XATTRS_MAX)
				  : flistxattr(from->fd, ret, XATTRS_MAX);

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	return n;
}

static int add_xattr(struct manifest_walk *m, const struct source *from,
		     const char *name)
{
	ssize_t n = from->is_path
			    ? getxattr(from->path, name, m->value, XATTRS_MAX)
			    : fgetxattr(from->fd, name, m->value, XATTRS_MAX);
	char hex[MANIFEST_DIGEST_SIZE];
	struct digest digest;

	if (n < 0)
		return -errno;
	digest_begin(&digest);
	digest_add(&digest, m->value, (size_t)n);
	manifest_digest(&digest, hex);
	growing_add(&m->line, " ", 1);
	growing_add_word(&m->line, name);
	growing_addf(&m->line, "=%s", hex);
	return 0;
}

/* Sorted, for a file system lists them as it likes. */
static int add_xattrs(struct manifest_walk *m, int fd, bool is_path)
{
	struct source from = { .fd = fd, .is_path = is_path };
	auto_free char **names = NULL;
	size_t count = 0;
	ssize_t len;
	int r = 0;

	fs_fd_path(fd, from.path);
	len = list_xattrs(&from, m->xattrs);
	if (len <= 0)
		return (int)len;
	for (char *name = m->xattrs; name < m->xattrs + len;
	     name += strlen(name) + 1)
		count++;
	names = malloc(count * sizeof(*names));
	if (!names)
		return -ENOMEM;
	count = 0;
	for (char *name = m->xattrs; name < m->xattrs + len;
	     name += strlen(name) + 1)
		names[count++] = name;
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_xattr(m, &from, names[i]);
	return r;
}

/* The path under which an inode with several names was met first: "" for now,
 * this one.
 */
static int first_name(struct manifest_walk *m, ino_t ino, const char **ret)
{
	auto_free struct named *named = calloc(1, sizeof(*named));
	struct named *const *there;

	*ret = "";
	if (!named)
		return -ENOMEM;
	named->ino = ino;
	there = tsearch(named, &m->linked, by_ino);
	if (!there)
		return -ENOMEM;
	if (*there != named) {
		*ret = (*there)->path;
		return 0;
	}
	named->path = strdup(m->path.bytes);
	return take_ptr(&named)->path ? 0 : -ENOMEM;
}

static char letter_of(mode_t mode)
{
	static const struct {
		mode_t type;
		char letter;
	} letters[] = { { S_IFREG, 'f' }, { S_IFDIR, 'd' }, { S_IFLNK, 'l' },
			{ S_IFCHR, 'c' }, { S_IFBLK, 'b' }, { S_IFIFO, 'p' },
			{ S_IFSOCK, 's' } };

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (letters[i].type == (mode & S_IFMT))
			return letters[i].letter;
	return '?';
}

static int add_value(struct manifest_walk *m, int fd, const struct stat *st)
{
	char target[PATH_MAX + 1];
	ssize_t n;

	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return add_content(m, fd, st->st_size);
	case S_IFLNK:
		n = readlinkat(fd, "", target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		growing_add(&m->line, " ", 1);
		growing_add_word(&m->line, target);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		growing_addf(&m->line, " %u:%u", major(st->st_rdev),
			     minor(st->st_rdev));
		return 0;
	default:
		growing_add(&m->line, " -", 2);
		return 0;
	}
}

/* To the walk a positive number means something else. */
static int stop_at(struct manifest_walk *m, int r)
{
	if (r > 0)
		m->stopped = r;
	return r > 0 ? -ECANCELED : r;
}

/* "TYPE MODE UID GID MTIME VALUE PATH [NAME=DIGEST]..." */
static int make_line(struct manifest_walk *m, int fd, const struct stat *st)
{
	const char *first = "", *path = m->path.len ? m->path.bytes : "";
	int r = 0;

	growing_cut(&m->line, 0);
	if (st->st_dev != m->dev)
		return -EXDEV;
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
		r = first_name(m, st->st_ino, &first);
	if (r < 0)
		return r;
	growing_addf(&m->line, "%c %04o %u %u %jd.%09ld",
		     *first ? 'h' : letter_of(st->st_mode), st->st_mode & 07777,
		     st->st_uid, st->st_gid, (intmax_t)st->st_mtim.tv_sec,
		     st->st_mtim.tv_nsec);
	if (*first) {
		growing_add(&m->line, " ", 1);
		growing_add_word(&m->line, first);
	} else {
		r = add_value(m, fd, st);
	}
	growing_add(&m->line, " ", 1);
	growing_add_word(&m->line, *path ? path : ".");
	if (r == 0 && !*first)
		r = add_xattrs(m, fd,
			       !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode));
	if (r == 0 && (m->line.failed || m->path.failed))
		r = -ENOMEM;
	if (r == 0)
		r = m->emit(m->ctx, path, m->line.bytes);
	return stop_at(m, r);
}

/* What is not the medium's, or ends the whole walk: who may not read a layer
 * can't say that it is damaged.
 */
static bool is_ours(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE ||
	       r == -ECANCELED || r == -EXDEV || r == -EACCES || r == -EPERM;
}

static int tell(struct manifest_walk *m, bool is_tree, int r)
{
	if (r >= 0 || m->stopped || (m->err && m->err->code))
		return r;
	if (!m->lose || is_ours(r))
		return fail_here(m, r);
	return stop_at(m, m->lose(m->ctx, m->path.len ? m->path.bytes : "",
				  is_tree, r));
}

static size_t go_into(struct manifest_walk *m, const char *name)
{
	const size_t before = m->path.len;

	if (before)
		growing_add(&m->path, "/", 1);
	growing_add(&m->path, name, strlen(name));
	return before;
}

static int visit(void *ctx, const struct fs_entry *entry)
{
	struct manifest_walk *m = ctx;
	const size_t before = go_into(m, entry->name);
	auto_fd fd = -1;
	struct stat st;
	int r = 0;

	if (fstatat(entry->parent_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) <
	    0)
		r = -errno;
	else if (S_ISDIR(st.st_mode))
		r = entry->st ? -EXDEV : FS_IS_DIR;
	else
		fd = openat(
			entry->parent_fd, entry->name,
			(S_ISREG(st.st_mode) ? O_RDONLY | O_NONBLOCK : O_PATH) |
				O_NOFOLLOW | O_CLOEXEC);
	if (r == 0)
		r = fd < 0 ? -errno : make_line(m, fd, &st);
	if (r != FS_IS_DIR)
		r = tell(m, false, r);
	growing_cut(&m->path, before);
	return r;
}

static int enter(void *ctx, const struct fs_entry *entry, int fd)
{
	struct manifest_walk *m = ctx;
	struct stat st;

	(void)go_into(m, entry->name);
	return tell(m, false,
		    fstat(fd, &st) < 0 ? -errno : make_line(m, fd, &st));
}

static int leave(void *ctx, const struct fs_entry *entry, int fd)
{
	struct manifest_walk *m = ctx;
	const size_t len = strlen(entry->name);

	(void)fd;
	growing_cut(&m->path, m->path.len > len ? m->path.len - len - 1 : 0);
	return 0;
}

static int fail(void *ctx, const struct fs_entry *entry, int fd, int r)
{
	struct manifest_walk *m = ctx;
	const size_t before = m->path.len;

	if (fd < 0)
		(void)go_into(m, entry->name);
	r = tell(m, true, r);
	if (fd < 0)
		growing_cut(&m->path, before);
	return r;
}

int manifest_walk(struct manifest_walk *m, int fs_fd)
{
	static const struct fs_visitor visitor = { enter, visit, leave, fail };
	struct stat st;
	int r = fstat(fs_fd, &st) < 0 ? -errno : 0;

	m->dev = st.st_dev;
	if (r == 0)
		r = tell(m, false, make_line(m, fs_fd, &st));
	if (r == 0)
		r = fs_walk_live(fs_fd, &visitor, m);
	return r < 0 && !m->stopped && !(m->err && m->err->code)
		       ? fail_here(m, r)
		       : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing manifests and comparing with them: see manifest.h.  Both walk the
 * layer in the same order and make the same lines, so that comparing is
 * merging two sorted lists.
 */
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "digest.h"
#include "error.h"
#include "fs.h"
#include "scope.h"
#include "text.h"

#define HEAD "shale-manifest 1"
#define DIGEST_SIZE (2 * DIGEST_BYTES + 1)
#define XATTRS_MAX 65536
#define READ_SIZE ((size_t)1 << 18)
/* Longer than any manifest of a file system that exists. */
#define MANIFEST_MAX ((off_t)1 << 32)

/* ---- text that grows ---- */

struct text {
	char *bytes; /* NUL-terminated, but NULL while empty */
	size_t len, room;
	bool failed; /* no memory: the rest is lost */
};

static void text_add(struct text *text, const char *bytes, size_t len)
{
	if (text->len + len + 1 > text->room) {
		size_t room = 2 * (text->len + len + 128);
		char *bigger = realloc(text->bytes, room);

		if (!bigger) {
			text->failed = true;
			return;
		}
		text->bytes = bigger;
		text->room = room;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = '\0';
}

static void text_cut(struct text *text, size_t len)
{
	text->len = len;
	if (text->bytes)
		text->bytes[len] = '\0';
}

PRINTF_LIKE(2, 3)
static void text_addf(struct text *text, const char *fmt, ...)
{
	char some[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(some, sizeof(some), fmt, args);
	va_end(args);
	text_add(text, some, strlen(some));
}

/* One word, whatever is in it: \ooo for all but printable ASCII. */
static void text_add_word(struct text *text, const char *word)
{
	if (!*word)
		text_add(text, "\\", 1); /* nothing else makes it so */
	for (; *word; word++) {
		const unsigned char c = (unsigned char)*word;

		if (c > ' ' && c < 0x7f && c != '\\')
			text_add(text, word, 1);
		else
			text_addf(text, "\\%03o", c);
	}
}

/* ---- making lines ---- */

struct named {
	ino_t ino;
	char *path; /* the first in the order of the walk */
};

struct manifest {
	struct overlay *ov;
	char *buffer, *xattrs, *value;
	void *linked; /* struct named, by inode */
	struct text path, line;
	dev_t dev;
	/* Gets each line, without newline, and the path, "" for the root. */
	int (*emit)(void *ctx, const char *path, const char *line);
	void *ctx;
	int stopped;	/* with what the host's callback did it */
	bool forgiving; /* what can't be read has a digest like no other */
	struct shale_error *err;
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

static void manifest_end(struct manifest *m)
{
	tdestroy(m->linked, named_free);
	free(m->buffer);
	free(m->xattrs);
	free(m->value);
	free(m->path.bytes);
	free(m->line.bytes);
}

#define auto_manifest __attribute__((cleanup(manifest_end))) struct manifest

static int out_of_memory(const struct manifest *m)
{
	return error_fail(m->err, ENOMEM, "manifest: out of memory");
}

static int manifest_begin(struct manifest *m)
{
	m->buffer = malloc(READ_SIZE);
	m->xattrs = malloc(XATTRS_MAX);
	m->value = malloc(XATTRS_MAX);
	return m->buffer && m->xattrs && m->value ? 0 : out_of_memory(m);
}

static int fail_here(const struct manifest *m, int r)
{
	return error_errno(m->err, -r, "read '%s' of the layer",
			   m->path.len ? m->path.bytes : ".");
}

static void digest_hex(struct digest *digest, char ret[DIGEST_SIZE])
{
	unsigned char bytes[DIGEST_BYTES];

	digest_end(digest, bytes);
	text_hex(bytes, DIGEST_BYTES, ret);
}

static int add_content(struct manifest *m, int fd, off_t size)
{
	char hex[DIGEST_SIZE];
	struct digest digest;
	ssize_t n = 1;

	digest_begin(&digest);
	while (n > 0) {
		if (overlay_cancelled(m->ov))
			return -ECANCELED;
		n = read(fd, m->buffer, READ_SIZE);
		if (n < 0 && m->forgiving) {
			text_addf(&m->line, " %jd:unreadable", (intmax_t)size);
			return 0;
		}
		if (n < 0)
			return -errno;
		digest_add(&digest, m->buffer, (size_t)n);
	}
	digest_hex(&digest, hex);
	text_addf(&m->line, " %jd:%s", (intmax_t)size, hex);
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
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
};

static ssize_t list_xattrs(const struct source *from, char *ret)
{
	ssize_t n = from->is_path ? listxattr(from->path, ret, XATTRS_MAX)
				  : flistxattr(from->fd, ret, XATTRS_MAX);

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	return n;
}

static int add_xattr(struct manifest *m, const struct source *from,
		     const char *name)
{
	ssize_t n = from->is_path
			    ? getxattr(from->path, name, m->value, XATTRS_MAX)
			    : fgetxattr(from->fd, name, m->value, XATTRS_MAX);
	char hex[DIGEST_SIZE];
	struct digest digest;

	if (n < 0 && !m->forgiving)
		return -errno;
	digest_begin(&digest);
	digest_add(&digest, m->value, n < 0 ? 0 : (size_t)n);
	digest_hex(&digest, hex);
	text_add(&m->line, " ", 1);
	text_add_word(&m->line, name);
	text_addf(&m->line, "=%s", n < 0 ? "unreadable" : hex);
	return 0;
}

/* Sorted, for a file system lists them as it likes. */
static int add_xattrs(struct manifest *m, int fd, bool is_path)
{
	struct source from = { .fd = fd, .is_path = is_path };
	auto_free char **names = NULL;
	size_t count = 0;
	ssize_t len;
	int r = 0;

	(void)snprintf(from.path, sizeof(from.path), "/proc/self/fd/%d", fd);
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
static int first_name(struct manifest *m, ino_t ino, const char **ret)
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

static int add_value(struct manifest *m, int fd, const struct stat *st)
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
		text_add(&m->line, " ", 1);
		text_add_word(&m->line, target);
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		text_addf(&m->line, " %u:%u", major(st->st_rdev),
			  minor(st->st_rdev));
		return 0;
	default:
		text_add(&m->line, " -", 2);
		return 0;
	}
}

/* "TYPE MODE UID GID MTIME VALUE PATH [NAME=DIGEST]..." */
static int make_line(struct manifest *m, int fd, const struct stat *st)
{
	const char *first = "", *path = m->path.len ? m->path.bytes : "";
	int r = 0;

	text_cut(&m->line, 0);
	if (st->st_dev != m->dev)
		return -EXDEV;
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
		r = first_name(m, st->st_ino, &first);
	if (r < 0)
		return r;
	text_addf(&m->line, "%c %04o %u %u %jd.%09ld",
		  *first ? 'h' : letter_of(st->st_mode), st->st_mode & 07777,
		  st->st_uid, st->st_gid, (intmax_t)st->st_mtim.tv_sec,
		  st->st_mtim.tv_nsec);
	if (*first) {
		text_add(&m->line, " ", 1);
		text_add_word(&m->line, first);
	} else {
		r = add_value(m, fd, st);
	}
	text_add(&m->line, " ", 1);
	text_add_word(&m->line, *path ? path : ".");
	if (r == 0 && !*first)
		r = add_xattrs(m, fd,
			       !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode));
	if (r == 0 && (m->line.failed || m->path.failed))
		r = -ENOMEM;
	if (r == 0)
		r = m->emit(m->ctx, path, m->line.bytes);
	/* To the walk a positive number means something else. */
	if (r > 0)
		m->stopped = r;
	return r > 0 ? -ECANCELED : r;
}

static int tell(const struct manifest *m, int r)
{
	return r < 0 && !m->stopped && !(m->err && m->err->code)
		       ? fail_here(m, r)
		       : r;
}

static size_t go_into(struct manifest *m, const char *name)
{
	const size_t before = m->path.len;

	if (before)
		text_add(&m->path, "/", 1);
	text_add(&m->path, name, strlen(name));
	return before;
}

static int visit(void *ctx, const struct fs_entry *entry)
{
	struct manifest *m = ctx;
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
		r = tell(m, r);
	text_cut(&m->path, before);
	return r;
}

static int enter(void *ctx, const struct fs_entry *entry, int fd)
{
	struct manifest *m = ctx;
	struct stat st;

	(void)go_into(m, entry->name);
	return tell(m, fstat(fd, &st) < 0 ? -errno : make_line(m, fd, &st));
}

static int leave(void *ctx, const struct fs_entry *entry, int fd)
{
	struct manifest *m = ctx;
	const size_t len = strlen(entry->name);

	(void)fd;
	text_cut(&m->path, m->path.len > len ? m->path.len - len - 1 : 0);
	return 0;
}

static void fail(void *ctx, const struct fs_entry *entry, int r)
{
	struct manifest *m = ctx;

	(void)go_into(m, entry->name);
	(void)fail_here(m, r);
}

static int walk(struct manifest *m, int fs_fd)
{
	static const struct fs_visitor visitor = { enter, visit, leave, fail };
	struct stat st;
	int r = fstat(fs_fd, &st) < 0 ? -errno : 0;

	m->dev = st.st_dev;
	if (r == 0)
		r = make_line(m, fs_fd, &st);
	if (r == 0)
		r = fs_walk_live(fs_fd, &visitor, m);
	return tell(m, r);
}

/* ---- writing ---- */

struct writing {
	FILE *file;
	struct digest digest;
};

static int write_line(void *ctx, const char *path, const char *line)
{
	struct writing *w = ctx;
	const size_t len = strlen(line);

	(void)path;
	digest_add(&w->digest, line, len);
	digest_add(&w->digest, "\n", 1);
	return fwrite(line, 1, len, w->file) != len ||
			       putc('\n', w->file) == EOF
		       ? -EIO
		       : 0;
}

static int write_all(struct manifest *m, struct writing *w, int fs_fd,
		     const char *parent_id)
{
	char head[sizeof(HEAD) + sizeof(" parent ") + ID_SIZE];
	char hex[DIGEST_SIZE];
	int r;

	digest_begin(&w->digest);
	(void)snprintf(head, sizeof(head), HEAD " parent %s",
		       *parent_id ? parent_id : "-");
	r = write_line(w, "", head);
	if (r == 0)
		r = walk(m, fs_fd);
	if (r < 0)
		return r;
	digest_hex(&w->digest, hex);
	if (fprintf(w->file, "sha256 %s\n", hex) < 0 || fflush(w->file) != 0 ||
	    (m->ov->durability != DURABLE_NONE && fsync(fileno(w->file)) < 0))
		return error_errno(m->err, errno, "write 'manifest'");
	return 0;
}

int manifest_store(struct overlay *ov, int dir_fd, int fs_fd,
		   const char *parent_id, struct shale_error *err)
{
	auto_fd fd = openat(
		dir_fd, "manifest",
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	auto_file file = NULL;
	struct writing w = { .file = NULL };
	auto_manifest m = {
		.ov = ov, .emit = write_line, .ctx = &w, .err = err
	};
	int r = manifest_begin(&m);

	if (r < 0)
		return r;
	if (fd < 0 || fchmod(fd, 0600) < 0)
		return error_errno(err, errno, "create 'manifest'");
	file = fdopen(fd, "w");
	if (!file)
		return out_of_memory(&m);
	(void)take_fd(&fd);
	w.file = file;
	return write_all(&m, &w, fs_fd, parent_id);
}

/* ---- comparing ---- */

struct comparing {
	char *at; /* the next line to compare with; "" is the end */
	struct text path;
	int (*found)(void *ctx, const char *kind, const char *path,
		     const char *what);
	void *ctx;
};

#define COLUMNS 7
static const char *const columns[COLUMNS] = {
	"type", "mode", "owner", "group", "time of modification",
	NULL, /* by the type */
	"path",
};

static int digit(char c)
{
	return c >= '0' && c <= '7' ? c - '0' : -1;
}

/* Column @n of a line, and its length; "" where there is none. */
static const char *column(const char *line, int n, size_t *ret_len)
{
	for (; n > 0 && *line; n--) {
		line += strcspn(line, " ");
		line += *line == ' ';
	}
	*ret_len = strcspn(line, " ");
	return line;
}

/* The path that a line is about; "" is the root. */
static int read_path(const char *line, struct text *ret)
{
	size_t len;
	const char *word = column(line, 6, &len);

	text_cut(ret, 0);
	text_add(ret, "", 0);
	if (len == 1 && *word == '.')
		len = 0;
	for (size_t i = 0; i < len; i++) {
		char c = word[i];

		if (c == '\\' && i + 3 < len && digit(word[i + 1]) >= 0 &&
		    digit(word[i + 2]) >= 0 && digit(word[i + 3]) >= 0) {
			c = (char)(digit(word[i + 1]) * 64 +
				   digit(word[i + 2]) * 8 + digit(word[i + 3]));
			i += 3;
		}
		text_add(ret, &c, 1);
	}
	return ret->failed ? -ENOMEM : 0;
}

/* The order of the walk: a directory, then what is in it, then the next. */
static int compare_paths(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		;
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static const char *value_name(char type)
{
	switch (type) {
	case 'f':
		return "content";
	case 'l':
		return "target";
	case 'h':
		return "hard link";
	default:
		return "device number";
	}
}

static void add_difference(struct text *what, const char *name)
{
	if (what->len)
		text_add(what, ", ", 2);
	text_add(what, name, strlen(name));
}

static void compare_value(struct text *what, char type, const char *a,
			  size_t a_len, const char *b, size_t b_len)
{
	const char *a_rest = memchr(a, ':', a_len);
	const char *b_rest = memchr(b, ':', b_len);

	if (a_len == b_len && !memcmp(a, b, a_len))
		return;
	if (type == 'f' && a_rest && b_rest &&
	    (a_rest - a != b_rest - b || memcmp(a, b, (size_t)(a_rest - a))))
		add_difference(what, "size");
	if (b_rest && !strncmp(b_rest, ":unreadable", 11))
		add_difference(what, "content, which can't be read");
	else
		add_difference(what, value_name(type));
}

static bool has_word(const char *words, const char *word, size_t len)
{
	for (; *words; words += *words == ' ') {
		size_t n = strcspn(words, " ");

		if (n == len && !memcmp(words, word, len))
			return true;
		words += n;
	}
	return false;
}

/* Names of the attributes of @a that @b has not, or with another value. */
static void compare_xattrs(struct text *what, const char *a, const char *b,
			   bool by_name)
{
	for (; *a; a += *a == ' ') {
		size_t n = strcspn(a, " "), name = 0;
		char at[XATTR_NAME_MAX + 32];

		while (name < n && a[name] != '=')
			name++;
		(void)snprintf(at, sizeof(at), "attribute %.*s", (int)name, a);
		if (!has_word(b, a, n) &&
		    !(by_name && what->bytes && strstr(what->bytes, at)))
			add_difference(what, at);
		a += n;
	}
}

static int compare_lines(struct comparing *c, const char *path, const char *old,
			 const char *new)
{
	auto_free char *sentence = NULL;
	struct text what = { NULL, 0, 0, false };
	size_t old_len, new_len;
	int r;

	if (!strcmp(old, new))
		return 0;
	for (int i = 0; i < COLUMNS; i++) {
		const char *a = column(old, i, &old_len);
		const char *b = column(new, i, &new_len);

		if (i == 5)
			compare_value(&what, *new, a, old_len, b, new_len);
		else if (old_len != new_len || memcmp(a, b, old_len) != 0)
			add_difference(&what, columns[i]);
	}
	old = column(old, COLUMNS, &old_len);
	new = column(new, COLUMNS, &new_len);
	compare_xattrs(&what, old, new, false);
	compare_xattrs(&what, new, old, true);
	r = what.failed ? -1
			: asprintf(&sentence, "it differs in %s",
				   what.len ? what.bytes : "its record");
	free(what.bytes);
	if (r < 0) {
		sentence = NULL;
		return -ENOMEM;
	}
	return c->found(c->ctx, "changed", path, sentence);
}

/* The next line of the manifest, in place; NULL at its end. */
static char *next_line(struct comparing *c)
{
	return *c->at ? c->at : NULL;
}

static void line_done(struct comparing *c)
{
	c->at += strlen(c->at) + 1;
}

static int compare_entry(void *ctx, const char *path, const char *line)
{
	struct comparing *c = ctx;
	char *old;

	while ((old = next_line(c)) != NULL) {
		int order, r;

		r = read_path(old, &c->path);
		if (r < 0)
			return r;
		order = compare_paths(c->path.bytes, path);
		if (order > 0)
			break;
		line_done(c);
		if (order == 0)
			return compare_lines(c, path, old, line);
		r = c->found(c->ctx, "missing", c->path.bytes,
			     "the manifest has it, and the layer has not");
		if (r != 0)
			return r;
	}
	return c->found(c->ctx, "added", path,
			"the layer has it, and the manifest has not");
}

static int compare_rest(struct comparing *c)
{
	char *old;
	int r = 0;

	while (r == 0 && (old = next_line(c)) != NULL) {
		r = read_path(old, &c->path);
		line_done(c);
		if (r < 0)
			return r;
		r = c->found(c->ctx, "missing", c->path.bytes,
			     "the manifest has it, and the layer has not");
	}
	return r;
}

static int load(int dir_fd, char **ret, size_t *ret_len,
		struct shale_error *err)
{
	auto_fd fd = openat(dir_fd, "manifest",
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_free char *text = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 && errno == ENOENT)
		return error_fail(
			err, ENODATA,
			"it has no manifest: 'shale commit --manifest' records one");
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "open its manifest");
	if (!S_ISREG(st.st_mode) || st.st_size > MANIFEST_MAX)
		return error_fail(err, EUCLEAN, "its manifest is no such file");
	text = malloc((size_t)st.st_size + 2);
	if (!text)
		return error_fail(err, ENOMEM, "out of memory");
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0)
			return error_errno(err, errno, "read its manifest");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	text[len] = text[len + 1] = '\0';
	*ret = take_ptr(&text);
	*ret_len = len;
	return 0;
}

/* Whether the last line has the digest of all before it; cuts that off. */
static bool is_whole(char *text, size_t len)
{
	static const char word[] = "sha256 ";
	const size_t last = sizeof(word) - 1 + DIGEST_SIZE - 1 + 1;
	char hex[DIGEST_SIZE];
	struct digest digest;

	if (len < last || memchr(text, '\0', len) || text[len - 1] != '\n' ||
	    strncmp(text + len - last, word, sizeof(word) - 1) != 0)
		return false;
	digest_begin(&digest);
	digest_add(&digest, text, len - last);
	digest_hex(&digest, hex);
	if (strncmp(text + len - 1 - strlen(hex), hex, strlen(hex)) != 0)
		return false;
	text[len - last] = '\0';
	return true;
}

static int check_head(struct comparing *c, const char *parent_id)
{
	static const char head[] = HEAD " parent ";
	const char *parent = *parent_id ? parent_id : "-";
	char *line = next_line(c);
	bool is_right;

	if (!line || strncmp(line, head, sizeof(head) - 1) != 0)
		return c->found(c->ctx, "manifest", "manifest",
				"its first line is of an unknown format");
	is_right = !strcmp(line + sizeof(head) - 1, parent);
	line_done(c);
	return is_right ? 0
			: c->found(c->ctx, "parent", "",
				   "it was committed on another parent");
}

int manifest_compare(struct overlay *ov, int dir_fd, const char *parent_id,
		     int (*found)(void *ctx, const char *kind, const char *path,
				  const char *what),
		     void *ctx, struct shale_error *err)
{
	auto_free char *text = NULL;
	struct comparing c = { .found = found, .ctx = ctx };
	auto_manifest m = { .ov = ov,
			    .emit = compare_entry,
			    .ctx = &c,
			    .forgiving = true,
			    .err = err };
	auto_fd fs_fd = openat(dir_fd, "fs",
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	size_t len = 0;
	int r = load(dir_fd, &text, &len, err);

	if (r == 0)
		r = manifest_begin(&m);
	if (r < 0)
		return r;
	if (fs_fd < 0)
		return error_errno(err, errno, "open its 'fs'");
	if (!is_whole(text, len))
		return found(ctx, "manifest", "manifest",
			     "the manifest is damaged itself");
	c.at = text;
	for (char *line = text; *line; line++)
		if (*line == '\n')
			*line = '\0';
	r = check_head(&c, parent_id);
	if (r == 0)
		r = walk(&m, fs_fd);
	if (r == 0)
		r = compare_rest(&c);
	free(c.path.bytes);
	return m.stopped ? m.stopped : r;
}

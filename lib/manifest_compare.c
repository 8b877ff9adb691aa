/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Comparing layers with their manifests: see manifest.h.
 */
#include "manifest.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "manifest_walk.h"
#include "scope.h"

/* Longer than any manifest of a file system that exists. */
#define MANIFEST_MAX ((off_t)1 << 32)

struct comparing {
	char *at;    /* the next line to compare with; "" is the end */
	char *first; /* all of them; what was not met has its type in capitals */
	char **lines; /* in order; NULL until somebody searches */
	size_t line_count;
	struct growing path;
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

/* A word without its escapes. */
static int read_word(const char *word, size_t len, struct growing *ret)
{
	growing_cut(ret, 0);
	growing_add(ret, "", 0);
	for (size_t i = 0; i < len; i++) {
		char c = word[i];

		if (c == '\\' && i + 3 < len && digit(word[i + 1]) >= 0 &&
		    digit(word[i + 2]) >= 0 && digit(word[i + 3]) >= 0) {
			c = (char)(digit(word[i + 1]) * 64 +
				   digit(word[i + 2]) * 8 + digit(word[i + 3]));
			i += 3;
		}
		growing_add(ret, &c, 1);
	}
	return ret->failed ? -ENOMEM : 0;
}

/* The path that a line is about; "" is the root. */
static int read_path(const char *line, struct growing *ret)
{
	size_t len;
	const char *word = column(line, 6, &len);

	return read_word(word, len == 1 && *word == '.' ? 0 : len, ret);
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

static void add_difference(struct growing *what, const char *name)
{
	if (what->len)
		growing_add(what, ", ", 2);
	growing_add(what, name, strlen(name));
}

static void compare_value(struct growing *what, char type, const char *a,
			  size_t a_len, const char *b, size_t b_len)
{
	const char *a_rest = memchr(a, ':', a_len);
	const char *b_rest = memchr(b, ':', b_len);

	if (a_len == b_len && !memcmp(a, b, a_len))
		return;
	if (type == 'f' && a_rest && b_rest &&
	    (a_rest - a != b_rest - b || memcmp(a, b, (size_t)(a_rest - a))))
		add_difference(what, "size");
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

/* How much of "NAME=DIGEST" is the name, which may have a '=' as well. */
static size_t name_length(const char *word, size_t len)
{
	const char *equals = memrchr(word, '=', len);

	return equals ? (size_t)(equals - word) : len;
}

static bool has_name(const char *words, const char *name, size_t len)
{
	for (; *words; words += *words == ' ') {
		size_t n = strcspn(words, " ");

		if (name_length(words, n) == len && !memcmp(words, name, len))
			return true;
		words += n;
	}
	return false;
}

/* Names of the attributes of @a that @b has not; unless @by_name, also of those
 * that it has with another value.
 */
static void compare_xattrs(struct growing *what, const char *a, const char *b,
			   bool by_name)
{
	for (; *a; a += *a == ' ') {
		size_t n = strcspn(a, " "), name = name_length(a, n);
		char at[XATTR_NAME_MAX + 32];

		(void)snprintf(at, sizeof(at), "attribute %.*s", (int)name, a);
		if (by_name ? !has_name(b, a, name) : !has_word(b, a, n))
			add_difference(what, at);
		a += n;
	}
}

static int list_lines(struct comparing *c)
{
	size_t count = 0;

	for (const char *at = c->first; *at; at += strlen(at) + 1)
		count++;
	c->lines = calloc(count + 1, sizeof(*c->lines));
	if (!c->lines)
		return -ENOMEM;
	for (char *at = c->first; *at; at += strlen(at) + 1)
		c->lines[c->line_count++] = at;
	return 0;
}

/* The line of the file that a hard link's line names; NULL for none. */
static int find_linked(struct comparing *c, const char *link, char **ret)
{
	struct growing wanted = { NULL, 0, 0, false };
	size_t low = 0, high, len;
	const char *value = column(link, 5, &len);
	int r = c->lines ? 0 : list_lines(c);

	*ret = NULL;
	if (r == 0)
		r = read_word(value, len, &wanted);
	for (high = c->line_count; r == 0 && low < high;) {
		const size_t middle = low + (high - low) / 2;
		int order;

		r = read_path(c->lines[middle], &c->path);
		order = r < 0 ? 0 : compare_paths(c->path.bytes, wanted.bytes);
		if (r == 0 && order == 0) {
			*ret = c->lines[middle];
			break;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	free(wanted.bytes);
	return r;
}

static void mark_unmet(char *line)
{
	*line = (char)toupper((unsigned char)*line);
}

static bool is_unmet(const char *line)
{
	return *line >= 'A' && *line <= 'Z';
}

static bool have_same_value(const char *a, const char *b)
{
	size_t a_len, b_len;
	const char *a_value = column(a, 5, &a_len);
	const char *b_value = column(b, 5, &b_len);

	return a_len == b_len && !memcmp(a_value, b_value, a_len);
}

/*
 * Hard links are lines without what their first name has.  Where that was not
 * met, another name is the first one now, and the others are links to it.
 * *ret_full is the line that has the rest; NULL: nothing has.
 */
static int compare_links(struct comparing *c, char *old, const char *new,
			 char **ret_full, bool *ret_differs)
{
	char *origin = NULL, *other = NULL;
	int r = 0;

	*ret_full = *old != 'h' && *new != 'h' ? old : NULL;
	*ret_differs = (*old == 'h') != (*new == 'h') ||
		       (*old == 'h' && !have_same_value(old, new));
	if (*old != 'h' || !*ret_differs)
		return 0;
	r = find_linked(c, old, &origin);
	if (r == 0 && *new == 'h')
		r = find_linked(c, new, &other);
	if (r < 0 || !origin)
		return r;
	if (*new != 'h')
		*ret_full = origin;
	if (is_unmet(origin))
		*ret_differs = *new == 'h' && !(other && *other == 'h' &&
						have_same_value(old, other));
	return 0;
}

static void compare_rest_of(struct growing *what, const char *full,
			    const char *new)
{
	size_t full_len, new_len;
	const char *a = column(full, 5, &full_len);
	const char *b = column(new, 5, &new_len);

	compare_value(what, *new, a, full_len, b, new_len);
	a = column(full, COLUMNS, &full_len);
	b = column(new, COLUMNS, &new_len);
	compare_xattrs(what, a, b, false);
	compare_xattrs(what, b, a, true);
}

static int tell_changed(struct comparing *c, const char *path,
			const struct growing *what)
{
	auto_free char *sentence = NULL;

	if (what->failed ||
	    asprintf(&sentence, "it differs in %s", what->bytes) < 0)
		return -ENOMEM;
	return c->found(c->ctx, "changed", path, sentence);
}

static int compare_lines(struct comparing *c, const char *path, char *old,
			 const char *new)
{
	struct growing what = { NULL, 0, 0, false };
	size_t old_len, new_len;
	bool differs;
	char *full;
	int r;

	if (!strcmp(old, new))
		return 0;
	r = compare_links(c, old, new, &full, &differs);
	if (r < 0)
		return r;
	if (full && tolower((unsigned char)*full) != *new)
		add_difference(&what, columns[0]);
	if (differs)
		add_difference(&what, value_name('h'));
	for (int i = 1; i < COLUMNS; i++) {
		const char *a = column(old, i, &old_len);
		const char *b = column(new, i, &new_len);

		if (i != 5 &&
		    (old_len != new_len || memcmp(a, b, old_len) != 0))
			add_difference(&what, columns[i]);
	}
	if (full)
		compare_rest_of(&what, full, new);
	if (full == old && !what.len)
		add_difference(&what, "its record");
	if (what.len || what.failed)
		r = tell_changed(c, path, &what);
	free(what.bytes);
	return r;
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

static void line_lost(struct comparing *c)
{
	mark_unmet(c->at);
	line_done(c);
}

static int tell_missing(struct comparing *c)
{
	return c->found(c->ctx, "missing", c->path.bytes,
			"the manifest has it, and the layer has not");
}

/* Tells of all that comes before @path; *ret is its line, or NULL. */
static int go_to(struct comparing *c, const char *path, char **ret)
{
	int r = 0;

	while (r == 0 && (*ret = next_line(c)) != NULL) {
		int order;

		r = read_path(*ret, &c->path);
		if (r < 0)
			return r;
		order = compare_paths(c->path.bytes, path);
		if (order > 0)
			*ret = NULL;
		if (order >= 0)
			return 0;
		line_lost(c);
		r = tell_missing(c);
	}
	return r;
}

static int compare_entry(void *ctx, const char *path, const char *line)
{
	struct comparing *c = ctx;
	char *old;
	int r = go_to(c, path, &old);

	if (r != 0)
		return r;
	if (!old)
		return c->found(c->ctx, "added", path,
				"the layer has it, and the manifest has not");
	line_done(c);
	return compare_lines(c, path, old, line);
}

static bool is_below(const char *path, const char *dir)
{
	const size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!len || path[len] == '/');
}

static int skip_tree(struct comparing *c, const char *path)
{
	char *old;

	while ((old = next_line(c)) != NULL) {
		int r = read_path(old, &c->path);

		if (r < 0 || !is_below(c->path.bytes, path))
			return r;
		line_lost(c);
	}
	return 0;
}

static int lose_entry(void *ctx, const char *path, bool is_tree, int error)
{
	struct shale_error why = SHALE_ERROR_INIT;
	struct comparing *c = ctx;
	char *old;
	int r = go_to(c, path, &old);

	if (r == 0 && old)
		line_lost(c);
	if (r == 0 && is_tree)
		r = skip_tree(c, path);
	if (r != 0)
		return r;
	(void)error_errno(&why, -error, "it can't be read%s",
			  is_tree ? ", nor what is in it" : "");
	return c->found(c->ctx, "unreadable", path, why.msg);
}

static int compare_rest(struct comparing *c)
{
	char *old;
	int r = 0;

	while (r == 0 && (old = next_line(c)) != NULL) {
		r = read_path(old, &c->path);
		line_done(c);
		if (r == 0)
			r = tell_missing(c);
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
	const size_t last = sizeof(word) - 1 + MANIFEST_DIGEST_SIZE - 1 + 1;
	char hex[MANIFEST_DIGEST_SIZE];
	struct digest digest;

	if (len < last || memchr(text, '\0', len) || text[len - 1] != '\n' ||
	    strncmp(text + len - last, word, sizeof(word) - 1) != 0)
		return false;
	digest_begin(&digest);
	digest_add(&digest, text, len - last);
	manifest_digest(&digest, hex);
	if (strncmp(text + len - 1 - strlen(hex), hex, strlen(hex)) != 0)
		return false;
	text[len - last] = '\0';
	return true;
}

static int check_head(struct comparing *c, const char *parent_id)
{
	static const char head[] = MANIFEST_HEAD " parent ";
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
	auto_manifest_walk m = { .ov = ov,
				 .emit = compare_entry,
				 .lose = lose_entry,
				 .ctx = &c,
				 .err = err };
	auto_fd fs_fd = openat(dir_fd, "fs",
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	size_t len = 0;
	int r = load(dir_fd, &text, &len, err);

	if (r == 0)
		r = manifest_walk_begin(&m);
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
	c.first = c.at;
	if (r == 0)
		r = manifest_walk(&m, fs_fd);
	if (r == 0)
		r = compare_rest(&c);
	free(c.path.bytes);
	free(c.lines);
	return m.stopped ? m.stopped : r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walking and removing trees: see fs.h.  The walk keeps a stack of its own, so
 * that a tree of any depth costs a few descriptors and no C stack.
 */
#include "fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scope.h"

/* Descriptors that one walk holds open at the most. */
#define WALK_OPEN_MAX 16
/* Another deleter or a container that still writes: how often to begin anew. */
#define REMOVE_TRIES 5
/* How often a directory is read that others write to. */
#define LIST_TRIES 5

/* A directory on the way down, and what of it is still to be entered. */
struct frame {
	int fd; /* -1: closed to save descriptors, reopened through ".." */
	struct stat st;
	char *names; /* to be entered: of each a type, the name and NUL */
	size_t used, next;
};

#define TYPE_DIR 'd'
#define TYPE_OTHER 'o' /* when it was listed; in a live walk alone */

struct walk {
	struct frame *frames;
	size_t depth, room;
	dev_t dev;
	uint64_t mnt_id;
	bool has_mnt_id;
	bool forced;	/* make directories of ours readable */
	bool unstatted; /* spare the stat where the type is known */
	int (*visit)(void *ctx, const struct fs_entry *entry);
	const struct fs_visitor *live; /* instead of visit */
	void *ctx;
};

static void frame_drop(struct frame *frame)
{
	drop_fd(&frame->fd);
	free(frame->names);
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int frame_add_name(struct frame *frame, char type, const char *name)
{
	size_t len = strlen(name) + 2;
	char *bigger = frame->names;

	/* Doubles at each power of two that the names grow past. */
	if (!frame->used || (frame->used ^ (frame->used + len)) > frame->used) {
		size_t room = 256;

		while (room < 2 * (frame->used + len))
			room *= 2;
		bigger = realloc(frame->names, room);
	}
	if (!bigger)
		return -ENOMEM;
	frame->names = bigger;
	frame->names[frame->used] = type;
	memcpy(frame->names + frame->used + 1, name, len - 1);
	frame->used += len;
	return 0;
}

/* The name that is next, and going on to the one after it. */
static const char *frame_name(const struct frame *frame)
{
	return frame->names + frame->next + 1;
}

static void frame_advance(struct frame *frame)
{
	frame->next += strlen(frame_name(frame)) + 2;
}

static int open_list(int dir_fd, DIR **ret)
{
	auto_fd fd = openat(dir_fd, ".",
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	*ret = fd < 0 ? NULL : fdopendir(fd);
	if (!*ret)
		return -errno;
	(void)take_fd(&fd);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

/* Sorts a frame's names and drops what is there twice. */
static int frame_sort(struct frame *frame)
{
	struct frame sorted = { .fd = -1 };
	auto_free char **names = NULL;
	size_t count = 0, n = 0;
	int r = 0;

	for (size_t at = 0; at < frame->used; count++)
		at += strlen(frame->names + at) + 1;
	if (count < 2)
		return 0;
	names = malloc(count * sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (size_t at = 0; n < count; at += strlen(frame->names + at) + 1)
		names[n++] = frame->names + at;
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count && r == 0; i++)
		if (i == 0 || by_name(&names[i], &names[i - 1]) != 0)
			r = frame_add_name(&sorted, *names[i], names[i] + 1);
	free(frame->names);
	frame->names = sorted.names;
	frame->used = sorted.used;
	return r;
}

/* One reading adds the names that it finds. */
static int frame_list_once(struct frame *frame)
{
	auto_dir dir = NULL;
	const struct dirent *entry;
	int r = open_list(frame->fd, &dir);

	while (r == 0 && (errno = 0, (entry = readdir(dir)) != NULL))
		if (!is_dots(entry->d_name))
			r = frame_add_name(frame,
					   entry->d_type == DT_DIR ? TYPE_DIR
								   : TYPE_OTHER,
					   entry->d_name);
	if (r == 0)
		r = -errno;
	return r < 0 ? r : frame_sort(frame);
}

/*
 * On btrfs a name that is replaced by a rename while the directory is read
 * moves to its end, past where the reading stops: until nothing has changed,
 * or nothing new was found, it is read again.
 */
static int frame_list(struct frame *frame)
{
	struct fs_moment before, after;
	int r = 0;

	for (int try = 0; try < LIST_TRIES; try++) {
		size_t used = frame->used;

		r = fs_moment_take(frame->fd, &before);
		if (r == 0)
			r = frame_list_once(frame);
		if (r == 0)
			r = fs_moment_take(frame->fd, &after);
		if (r < 0 || fs_moment_same(&before, &after) ||
		    (try > 0 && frame->used == used))
			break;
	}
	return r == -ENOENT ? 0 : r; /* deleted since it was opened */
}

/* Visits all but the directories of the top frame and notes those. */
static int frame_scan(struct walk *walk, struct frame *frame)
{
	auto_dir dir = NULL;
	const struct dirent *entry;
	int r = open_list(frame->fd, &dir);

	if (r < 0)
		return r;
	while (errno = 0, (entry = readdir(dir)) != NULL) {
		struct fs_entry visited = { frame->fd, entry->d_name, NULL };
		bool is_dir = entry->d_type == DT_DIR;
		struct stat st;

		if (is_dots(entry->d_name))
			continue;
		if (entry->d_type == DT_UNKNOWN ||
		    (!is_dir && !walk->unstatted)) {
			if (fstatat(frame->fd, entry->d_name, &st,
				    AT_SYMLINK_NOFOLLOW) < 0) {
				if (errno == ENOENT)
					continue;
				return -errno;
			}
			is_dir = S_ISDIR(st.st_mode);
			visited.st = &st;
		}
		r = is_dir ? frame_add_name(frame, TYPE_DIR, entry->d_name)
			   : walk->visit(walk->ctx, &visited);
		if (r != 0)
			return r;
	}
	return -errno;
}

static bool is_other_mount(const struct walk *walk, int fd,
			   const struct stat *st)
{
	uint64_t mnt_id = 0;

	if (st->st_dev != walk->dev)
		return true;
	return walk->has_mnt_id && fs_mnt_id(fd, "", &mnt_id) == 0 &&
	       mnt_id != walk->mnt_id;
}

static int push(struct walk *walk, int fd, const struct stat *st)
{
	struct frame *frame;

	if (walk->depth == walk->room) {
		size_t room = walk->room ? 2 * walk->room : 16;
		struct frame *bigger =
			realloc(walk->frames, room * sizeof(*bigger));

		if (!bigger) {
			(void)close(fd);
			return -ENOMEM;
		}
		walk->frames = bigger;
		walk->room = room;
	}
	if (walk->depth >= WALK_OPEN_MAX)
		drop_fd(&walk->frames[walk->depth - WALK_OPEN_MAX].fd);
	frame = &walk->frames[walk->depth++];
	*frame = (struct frame){ .fd = fd, .st = *st };
	return walk->live ? frame_list(frame) : frame_scan(walk, frame);
}

/* Names of which some are missing are in no order. */
static int push_live(struct walk *walk, const struct fs_entry *entry, int fd,
		     const struct stat *st)
{
	const size_t depth = walk->depth;
	int r = push(walk, fd, st);

	if (r == 0 || walk->depth == depth) /* no memory */
		return r;
	walk->frames[walk->depth - 1].used = 0;
	return walk->live->fail(walk->ctx, entry, fd, r);
}

static int open_subdir(const struct walk *walk, int dir_fd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir_fd, name, flags);

	if (fd < 0 && errno == EACCES && walk->forced &&
	    fchmodat(dir_fd, name, 0700, 0) == 0)
		fd = openat(dir_fd, name, flags);
	return fd < 0 ? -errno : fd;
}

/* What is no directory, or one where something is mounted. */
static int visit_other(const struct walk *walk, const struct fs_entry *entry)
{
	return walk->live ? walk->live->visit(walk->ctx, entry)
			  : walk->visit(walk->ctx, entry);
}

/* Was a directory when its parent was read, and is no more. */
static int visit_replaced(const struct walk *walk, int dir_fd, const char *name)
{
	struct fs_entry visited = { dir_fd, name, NULL };
	struct stat st;

	if (walk->live)
		return visit_other(walk, &visited);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.st_mode))
		return -ESTALE;
	visited.st = &st;
	return visit_other(walk, &visited);
}

static int enter(struct walk *walk, const char *name)
{
	struct frame *frame = &walk->frames[walk->depth - 1];
	struct fs_entry entry = { frame->fd, name, NULL };
	struct stat st;
	auto_fd fd = open_subdir(walk, frame->fd, name);
	int r;

	if (fd == -ENOENT)
		return 0;
	if (fd == -ENOTDIR || fd == -ELOOP)
		return visit_replaced(walk, frame->fd, name);
	if (fd < 0 && walk->live)
		return walk->live->fail(walk->ctx, &entry, -1, fd);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (is_other_mount(walk, fd, &st)) {
		entry.st = &st;
		return visit_other(walk, &entry);
	}
	if (!walk->live)
		return push(walk, take_fd(&fd), &st);
	r = walk->live->enter(walk->ctx, &entry, fd);
	return r == 0 ? push_live(walk, &entry, take_fd(&fd), &st) : r;
}

/* The next name of the top frame, as what it was when that was read. */
static int enter_next(struct walk *walk)
{
	struct frame *frame = &walk->frames[walk->depth - 1];
	struct fs_entry entry = { frame->fd, frame_name(frame), NULL };
	int r = FS_IS_DIR;

	if (frame->names[frame->next] == TYPE_OTHER)
		r = visit_other(walk, &entry);
	if (r == FS_IS_DIR)
		r = enter(walk, entry.name);
	/* It changed twice between two looks. */
	return r == FS_IS_DIR && walk->live ? -ESTALE : r;
}

/* Makes sure that the frame below the top has a descriptor again. */
static int reopen_parent(const struct frame *top, struct frame *parent)
{
	struct stat st;
	auto_fd fd = -1;

	if (parent->fd >= 0)
		return 0;
	fd = openat(top->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != parent->st.st_ino || st.st_dev != parent->st.st_dev)
		return -ESTALE; /* somebody moved the tree under us */
	parent->fd = take_fd(&fd);
	return 0;
}

/* The top is done: visits it from its parent, whose name for it is next. */
static int leave(struct walk *walk)
{
	struct frame *top = &walk->frames[walk->depth - 1];
	struct frame *parent = top - 1;
	struct fs_entry visited = { -1, frame_name(parent), NULL };
	struct stat st = top->st;
	int r = reopen_parent(top, parent);

	if (r < 0)
		return r;
	visited.parent_fd = parent->fd;
	if (walk->live) {
		r = walk->live->leave(walk->ctx, &visited, top->fd);
	} else {
		drop_fd(&top->fd);
		visited.st = &st;
		r = walk->visit(walk->ctx, &visited);
	}
	frame_drop(top);
	walk->depth--;
	frame_advance(parent);
	return r;
}

static int walk_run(struct walk *walk)
{
	while (walk->depth) {
		struct frame *top = &walk->frames[walk->depth - 1];
		size_t depth = walk->depth;
		int r;

		if (top->next == top->used) {
			if (walk->depth == 1)
				return 0;
			r = leave(walk);
		} else {
			r = enter_next(walk);
			if (walk->depth == depth) /* visited, or gone */
				frame_advance(&walk->frames[depth - 1]);
		}
		if (r != 0)
			return r;
	}
	return 0;
}

static int walk_tree(int dir_fd, struct walk *walk)
{
	struct stat st;
	int r, fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct fs_entry root = { fd, ".", NULL };

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	walk->dev = st.st_dev;
	walk->has_mnt_id = fs_mnt_id(fd, "", &walk->mnt_id) == 0;
	r = walk->live ? push_live(walk, &root, fd, &st) : push(walk, fd, &st);
	if (r == 0)
		r = walk_run(walk);
	while (walk->depth)
		frame_drop(&walk->frames[--walk->depth]);
	free(walk->frames);
	return r;
}

int fs_walk(int dir_fd, int (*visit)(void *ctx, const struct fs_entry *entry),
	    void *ctx)
{
	struct walk walk = { .visit = visit, .ctx = ctx };

	return walk_tree(dir_fd, &walk);
}

int fs_walk_live(int dir_fd, const struct fs_visitor *visitor, void *ctx)
{
	struct walk walk = { .live = visitor, .ctx = ctx };

	return walk_tree(dir_fd, &walk);
}

struct removal {
	int (*stop)(void *ctx);
	void *ctx;
};

/* A directory of ours may have been left without permission to write. */
static int unlink_forced(int dir_fd, const char *name, int flags)
{
	int r = unlinkat(dir_fd, name, flags);

	if (r < 0 && errno == EACCES && fchmod(dir_fd, 0700) == 0)
		r = unlinkat(dir_fd, name, flags);
	return r;
}

static int remove_entry(void *ctx, const struct fs_entry *entry)
{
	const struct removal *removal = ctx;

	if (removal->stop && removal->stop(removal->ctx))
		return -ECANCELED;
	/* Only directories and what had no type come with a stat. */
	if (unlink_forced(entry->parent_fd, entry->name,
			  entry->st && S_ISDIR(entry->st->st_mode)
				  ? AT_REMOVEDIR
				  : 0) == 0 ||
	    errno == ENOENT)
		return 0;
	return -errno;
}

int fs_empty(int dir_fd, int (*stop)(void *ctx), void *ctx)
{
	struct removal removal = { stop, ctx };
	struct walk walk = { .visit = remove_entry,
			     .ctx = &removal,
			     .forced = true,
			     .unstatted = true };

	return walk_tree(dir_fd, &walk);
}

int fs_remove_tree(int dir_fd, const char *name, int (*stop)(void *ctx),
		   void *ctx)
{
	static const struct walk forced = { .forced = true };
	int r = 0;

	for (int try = 0; try < REMOVE_TRIES; try++) {
		auto_fd fd = open_subdir(&forced, dir_fd, name);

		if (fd == -ENOTDIR || fd == -ELOOP)
			return unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT
				       ? 0
				       : -errno;
		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		r = fs_empty(fd, stop, ctx);
		if (r == 0 && (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 ||
			       errno == ENOENT))
			return 0;
		if (r == 0)
			r = -errno;
		if (r != -ENOTEMPTY && r != -EEXIST && r != -ESTALE)
			return r;
	}
	return r;
}

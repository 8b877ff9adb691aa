/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check: the store as a whole, its root and its rooms; see check.h.  What a
 * snapshot may have wrong is in check_snapshot.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "cleaning.h"
#include "error.h"
#include "lock.h"
#include "scope.h"

/* From the first look to the second: more than any step of a live writer
 * takes between a rename and the flock that tells of it.
 */
#define SECOND_LOOK_NS 20000000L
/* How old a leftover must be. */
#define FRESH_MS 1000

static int compare_suspects(const void *a, const void *b)
{
	return strcmp(a, b);
}

static char *suspect_new(const char *kind, const char *path)
{
	char *text;

	return asprintf(&text, "%s %s", kind, path) < 0 ? NULL : text;
}

int check_suspect(struct check *c, const char *kind, const char *path)
{
	auto_free char *text = suspect_new(kind, path);
	char *const *there =
		text ? tsearch(text, &c->suspects, compare_suspects) : NULL;

	if (!there)
		return error_fail(c->err, ENOMEM, "out of memory");
	if (*there == text)
		(void)take_ptr(&text);
	return 0;
}

static bool is_suspect(const struct check *c, const char *kind,
		       const char *path)
{
	auto_free char *text = suspect_new(kind, path);

	return text && tfind(text, &c->suspects, compare_suspects);
}

int check_found(struct check *c, const struct trouble *trouble)
{
	struct shale_finding finding = {
		.size = sizeof(finding),
		.kind = trouble->kind,
		.name = trouble->name ? trouble->name : "",
		.path = trouble->path,
		.what = trouble->what,
		.remedy = trouble->remedy,
	};
	struct shale_error error = SHALE_ERROR_INIT;
	char done[CHECK_DONE_SIZE] = "";
	int r;

	if (!c->telling)
		return check_suspect(c, trouble->kind, trouble->path);
	/* Another one than what the first look found: it just began. */
	if (!is_suspect(c, trouble->kind, trouble->path))
		return 0;
	if (!c->repairing || !trouble->repair)
		return c->emit(c->ctx, &finding);
	r = trouble->repair(c, trouble->ctx, done, &error);
	if (r == 0) {
		finding.flags = SHALE_FINDING_REPAIRED;
		finding.remedy = done;
	} else if (r == -ENOENT) {
		return 0; /* gone, or as it must be, meanwhile */
	} else {
		(void)snprintf(done, sizeof(done), "not repaired: %.480s",
			       error.msg);
		finding.remedy = done;
	}
	return c->emit(c->ctx, &finding);
}

/* ---- names in a directory ---- */

int check_each_name(struct check *c, int dir_fd, const char *what,
		    int (*fn)(struct check *c, void *ctx, int dir_fd,
			      const char *name),
		    void *ctx)
{
	struct dirent **entries = NULL;
	int r = 0, n = scandirat(dir_fd, ".", &entries, NULL, alphasort);

	if (n < 0)
		return error_errno(c->err, errno, "list '%s/%s'",
				   c->ov->root_path, what);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (r == 0 && overlay_cancelled(c->ov))
			r = error_fail(c->err, ECANCELED,
				       "stopped by the host");
		if (r == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			r = fn(c, ctx, dir_fd, name);
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* As in st_mode; 0 where nothing is there. */
static mode_t type_of(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0
		       ? st.st_mode & S_IFMT
		       : 0;
}

/* ---- the root ---- */

static const struct {
	const char *name;
	mode_t mode;
} members[] = {
	{ "active", S_IFDIR | 0700 },	  { "format", S_IFLNK },
	{ "mapped", S_IFDIR | 0700 },	  { "lock", S_IFREG | 0600 },
	{ "lost+found", S_IFDIR | 0700 }, { "snapshots", S_IFDIR | 0700 },
	{ "staging", S_IFDIR | 0700 },	  { "trash", S_IFDIR | 0700 },
};

int check_access(struct check *c, struct access *access, const char *name,
		 const char *path)
{
	const bool is_file = access->mode == 0600;
	const struct trouble owner = {
		"owner",
		name,
		path,
		"it belongs to somebody else",
		"chown it to the owner of the store",
		repair_access,
		access,
	};
	const struct trouble mode = {
		"mode",
		name,
		path,
		is_file ? "its mode is not 0600" : "its mode is not 0700",
		is_file ? "chmod it to 0600" : "chmod it to 0700",
		repair_access,
		access,
	};
	struct stat st;
	int r = 0;

	if (fstatat(access->dir_fd, access->name, &st,
		    AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return 0;
	if (st.st_uid != geteuid())
		r = check_found(c, &owner);
	return r == 0 && (st.st_mode & 07777) != access->mode
		       ? check_found(c, &mode)
		       : r;
}

static int check_root_access(struct check *c, const char *name, mode_t mode)
{
	struct access access = { c->ov->root_fd, name, mode };

	return check_access(c, &access, "", name);
}

static int check_member(struct check *c, void *ctx, int dir_fd,
			const char *name)
{
	struct site site = { .entry = name, .fd = dir_fd };
	const struct trouble stray = {
		"stray",
		"",
		name,
		"a store has no such entry",
		"'shale check --repair' moves it to lost+found",
		repair_entry,
		&site,
	};

	(void)ctx;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const mode_t mode = members[i].mode;

		if (strcmp(name, members[i].name) != 0 ||
		    type_of(dir_fd, name) != (mode & S_IFMT))
			continue;
		return S_ISLNK(mode) ? 0
				     : check_root_access(c, name, mode & 07777);
	}
	/* What is no lock is told of, and mended, as if there were none. */
	return strcmp(name, "lock") != 0 ? check_found(c, &stray) : 0;
}

static int check_lock(struct check *c)
{
	struct site site = { .entry = "lock", .fd = c->ov->root_fd };
	const struct trouble lost = {
		.kind = "lock",
		.path = "lock",
		.what = "the file is lost, and nobody can change the store",
		.remedy = "'shale check --repair' makes it anew",
		.repair = repair_lock,
		.ctx = &site,
	};

	return S_ISREG(type_of(site.fd, site.entry)) ? 0
						     : check_found(c, &lost);
}

static int repair_generation(struct check *c, void *ctx, char *ret_done,
			     struct shale_error *err)
{
	auto_writer writer = WRITER_INIT;
	int r = writer_begin(c->ov, &writer, err);

	(void)ctx;
	if (r == 0)
		r = writer_change(&writer, err);
	if (r == 0)
		(void)stpcpy(ret_done, "made even");
	return r;
}

/* Odd while nobody holds the lock: who made it so is dead. */
static int check_generation(struct check *c)
{
	static const struct trouble odd = {
		.kind = "generation",
		.path = "lock",
		.what = "the generation is odd: a writer died while changing",
		.remedy = "the next change of the store makes it even",
		.repair = repair_generation,
	};
	auto_fd fd = openat(c->ov->root_fd, "lock",
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool is_odd;

	if (fd < 0 || !S_ISREG(type_of(c->ov->root_fd, "lock")) ||
	    flock(fd, LOCK_SH | LOCK_NB) < 0)
		return 0;
	is_odd = (generation_read_fd(fd) & 1) != 0;
	(void)flock(fd, LOCK_UN);
	return is_odd ? check_found(c, &odd) : 0;
}

static int check_root(struct check *c)
{
	int r = check_root_access(c, ".", 0700);

	if (r == 0)
		r = check_each_name(c, c->ov->root_fd, "", check_member, NULL);
	if (r == 0)
		r = check_lock(c);
	return r == 0 ? check_generation(c) : r;
}

/* ---- staging/ and trash/ ---- */

static int repair_staged(struct check *c, void *ctx, char *ret_done,
			 struct shale_error *err)
{
	int r = cleaning_staged(c->ov, ctx, err);

	if (r == 0)
		(void)stpcpy(ret_done, "deleted");
	return r;
}

static int repair_trash(struct check *c, void *ctx, char *ret_done,
			struct shale_error *err)
{
	int r = cleaning_trash(c->ov, ctx, err);

	if (r == 0)
		(void)stpcpy(ret_done, "deleted");
	return r;
}

/* Whether a live process holds its flock. */
static bool is_held(int dir_fd, const char *name)
{
	auto_fd fd = openat(dir_fd, name,
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool held;

	if (fd < 0)
		return errno == ENOENT;
	held = flock(fd, LOCK_EX | LOCK_NB) < 0;
	(void)flock(fd, LOCK_UN);
	return held;
}

/*
 * A directory is made before it is flocked, and is in trash/ before who deletes
 * it has flocked it, and that process may not run for a while in between: what
 * changed within the last second may be such a one.
 */
static bool is_fresh(int dir_fd, const char *name)
{
	struct timespec now;
	struct stat st;
	int64_t age_ms;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    clock_gettime(CLOCK_REALTIME, &now) < 0)
		return true;
	age_ms = (int64_t)(now.tv_sec - st.st_ctim.tv_sec) * 1000 +
		 (now.tv_nsec - st.st_ctim.tv_nsec) / 1000000;
	return age_ms >= 0 && age_ms < FRESH_MS; /* else a clock was set */
}

bool check_is_left(int dir_fd, const char *name)
{
	return !is_fresh(dir_fd, name) && !is_held(dir_fd, name) &&
	       type_of(dir_fd, name);
}

static int check_leftover(struct check *c, int dir_fd, const char *name,
			  const char *room, const char *what, repair_fn *repair)
{
	char path[NAME_MAX + sizeof("staging/")];
	const struct trouble trouble = {
		.kind = "leftover",
		.path = path,
		.what = what,
		.remedy = "'shale cleanup' deletes it",
		.repair = repair,
		.ctx = (void *)(uintptr_t)name,
	};

	(void)snprintf(path, sizeof(path), "%s/%s", room, name);
	return check_is_left(dir_fd, name) ? check_found(c, &trouble) : 0;
}

static int check_staged(struct check *c, void *ctx, int dir_fd,
			const char *name)
{
	auto_writer writer = WRITER_INIT;

	(void)ctx;
	/* It is let go, and published, under the lock: with that it is held,
	 * or gone.  (Where the lock is lost nobody publishes.)
	 */
	if (c->telling && !is_fresh(dir_fd, name)) {
		int r = writer_begin(c->ov, &writer, c->err);

		if (r < 0 && r != -EUCLEAN)
			return r;
		if (r < 0)
			error_clear(c->err);
		if (is_held(dir_fd, name))
			return 0;
		writer_end(&writer);
	}
	return check_leftover(c, dir_fd, name, "staging",
			      "who was building it is dead", repair_staged);
}

static int check_trash(struct check *c, void *ctx, int dir_fd, const char *name)
{
	(void)ctx;
	return check_leftover(c, dir_fd, name, "trash",
			      "who was deleting it is dead", repair_trash);
}

/* ---- the rooms ---- */

static int check_place(struct check *c, enum room room, int dir_fd,
		       const char *name)
{
	static const char *const rooms[] = { "active", "snapshots" };
	char path[NAME_MAX + sizeof("snapshots/")];
	struct site site = {
		.room = room, .id = "", .entry = name, .fd = dir_fd
	};
	const struct trouble stray = {
		"stray",
		"",
		path,
		"it is no snapshot's directory",
		"'shale check --repair' moves it to lost+found",
		repair_entry,
		&site,
	};
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (id_is_valid(name) && S_ISDIR(st.st_mode))
		return check_snapshot(c, room, name);
	(void)snprintf(path, sizeof(path), "%s/%s", rooms[room], name);
	return check_found(c, &stray);
}

static int check_active(struct check *c, void *ctx, int dir_fd,
			const char *name)
{
	(void)ctx;
	return check_place(c, ROOM_ACTIVE, dir_fd, name);
}

static int check_committed(struct check *c, void *ctx, int dir_fd,
			   const char *name)
{
	(void)ctx;
	return check_place(c, ROOM_SNAPSHOTS, dir_fd, name);
}

/* ---- all of it, twice ---- */

static int look(struct check *c)
{
	struct overlay *ov = c->ov;
	int r = check_root(c);

	if (r == 0)
		r = check_each_name(c, ov->room_fd[ROOM_SNAPSHOTS], "snapshots",
				    check_committed, NULL);
	if (r == 0)
		r = check_each_name(c, ov->room_fd[ROOM_ACTIVE], "active",
				    check_active, NULL);
	if (r == 0)
		r = check_each_name(c, ov->staging_fd, "staging", check_staged,
				    NULL);
	if (r == 0)
		r = check_each_name(c, ov->trash_fd, "trash", check_trash,
				    NULL);
	if (r == 0)
		r = check_mapped(c);
	if (r == 0)
		r = check_uppers(c);
	return r == 0 ? check_mounts(c) : r;
}

static int check_store(struct check *c)
{
	const struct timespec pause = { .tv_nsec = SECOND_LOOK_NS };
	int r;

	c->lineage = lineage_new();
	if (!c->lineage)
		return error_fail(c->err, ENOMEM, "out of memory");
	r = look(c);
	lineage_find_circles(c->lineage);
	if (r != 0 || (!c->suspects && !lineage_has_circle(c->lineage)))
		return r;
	(void)nanosleep(&pause, NULL);
	c->telling = true;
	return look(c);
}

int overlay_check(void *self, uint32_t flags, shale_finding_fn *emit, void *ctx,
		  struct shale_error *err)
{
	struct check c = {
		.ov = self,
		.repairing = (flags & SHALE_CHECK_REPAIR) != 0,
		.emit = emit,
		.ctx = ctx,
		.err = err,
	};
	int r = flags & ~SHALE_CHECK_REPAIR
			? error_fail(err, EINVAL, "unknown flags 0x%x",
				     flags & ~SHALE_CHECK_REPAIR)
			: check_store(&c);

	lineage_free(c.lineage);
	tdestroy(c.suspects, free);
	return r < 0 ? error_context(err, r, "check") : r;
}

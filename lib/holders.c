/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for holders in /proc: see holders.h.
 */
#include "holders.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs.h"
#include "mountinfo.h"
#include "scope.h"

/* To explain a refusal nobody shall wait longer. */
#define NAMING_MS 500

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static FILE *open_text(int dir_fd, const char *path)
{
	auto_fd fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (file)
		(void)take_fd(&fd);
	return file;
}

static DIR *open_dir(int dir_fd, const char *path)
{
	auto_fd fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir)
		(void)take_fd(&fd);
	return dir;
}

/* ---- processes ---- */

static void read_comm(int proc_fd, const char *pid, char ret[HOLDER_COMM_SIZE])
{
	char path[64];
	auto_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/comm", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret, HOLDER_COMM_SIZE - 1);
	if (n > 0 && ret[n - 1] == '\n')
		n--;
	ret[n > 0 ? n : 0] = '\0';
}

typedef int process_fn(void *ctx, int proc_fd, const char *pid);

/* Nonzero from @fn stops; so does the end of the time. */
static int each_process(int64_t until_ms, process_fn *fn, void *ctx)
{
	auto_dir dir = open_dir(AT_FDCWD, "/proc");
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && dir && (entry = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (until_ms >= 0 && now_ms() > until_ms)
			break;
		r = fn(ctx, dirfd(dir), entry->d_name);
	}
	return r;
}

/* ---- overlays ---- */

struct search {
	int (*fn)(void *ctx, const struct upper_mount *mount);
	void *ctx;
	ino_t own, *seen; /* mount namespaces */
	size_t count;
};

static bool parse_line(char *line, struct upper_mount *ret)
{
	struct mountinfo mount;
	char *option, *upper = NULL;

	if (!mountinfo_parse(line, &mount) ||
	    strcmp(mount.type, "overlay") != 0)
		return false;
	while ((option = strsep(&mount.super, ",")) != NULL)
		if (!strncmp(option, "upperdir=", 9))
			upper = option + 9;
	if (!upper)
		return false;
	mountinfo_unescape(upper);
	ret->source = mount.source;
	ret->upperdir = upper;
	ret->dev = mount.dev;
	ret->target = mount.target;
	return true;
}

static int search_table(struct search *search, int proc_fd, const char *pid,
			bool is_own)
{
	char path[64], comm[HOLDER_COMM_SIZE];
	struct upper_mount mount = { .comm = comm };
	auto_free char *line = NULL;
	auto_file file = NULL;
	size_t room = 0;
	int r = 0;

	(void)snprintf(path, sizeof(path), "%s/mountinfo", pid);
	file = open_text(proc_fd, path);
	if (!file)
		return 0;
	read_comm(proc_fd, pid, comm);
	mount.pid = is_own ? 0 : strtol(pid, NULL, 10);
	while (r == 0 && getline(&line, &room, file) > 0)
		if (parse_line(line, &mount))
			r = search->fn(search->ctx, &mount);
	return r;
}

static int search_process(void *ctx, int proc_fd, const char *pid)
{
	struct search *search = ctx;
	char path[64];
	struct stat st;
	ino_t *bigger;

	(void)snprintf(path, sizeof(path), "%s/ns/mnt", pid);
	if (fstatat(proc_fd, path, &st, 0) < 0)
		return 0;
	for (size_t i = 0; i < search->count; i++)
		if (search->seen[i] == st.st_ino)
			return 0;
	bigger = realloc(search->seen, (search->count + 1) * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	search->seen = bigger;
	bigger[search->count++] = st.st_ino;
	return search_table(search, proc_fd, pid, st.st_ino == search->own);
}

int holders_each_upper(int64_t limit_ms,
		       int (*fn)(void *ctx, const struct upper_mount *mount),
		       void *ctx)
{
	struct search search = { .fn = fn, .ctx = ctx };
	auto_fd proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r = 0;

	/* Our own first: that is where whoever asks can look himself. */
	if (proc_fd >= 0 &&
	    fstatat(proc_fd, "thread-self/ns/mnt", &st, 0) == 0) {
		search.own = st.st_ino;
		r = search_process(&search, proc_fd, "thread-self");
	}
	if (r == 0)
		r = each_process(limit_ms < 0 ? -1 : now_ms() + limit_ms,
				 search_process, &search);
	free(search.seen);
	return r;
}

void holders_where(const struct upper_mount *mount, char ret[HOLDER_SIZE])
{
	if (mount->pid)
		(void)snprintf(
			ret, HOLDER_SIZE,
			"at '%.160s' in the mount namespace of process %ld (%s)",
			mount->target, mount->pid, mount->comm);
	else
		(void)snprintf(ret, HOLDER_SIZE, "at '%.160s'", mount->target);
}

struct wanted {
	const char *end;
	char *ret;
};

static int name_upper(void *ctx, const struct upper_mount *mount)
{
	struct wanted *wanted = ctx;
	size_t len = strlen(mount->upperdir), end = strlen(wanted->end);

	if (len < end || strcmp(mount->upperdir + len - end, wanted->end) != 0)
		return 0;
	holders_where(mount, wanted->ret);
	return 1;
}

void holders_name_upper(const char *end, char ret[HOLDER_SIZE])
{
	struct wanted wanted = { .end = end, .ret = ret };

	*ret = '\0';
	(void)holders_each_upper(NAMING_MS, name_upper, &wanted);
}

/* ---- what keeps a mount busy ---- */

struct busy {
	uint64_t mnt_id;
	char *ret;
};

/* By the mount's number, since a copy of it elsewhere keeps ours not busy; the
 * flags spare a server that does not answer.
 */
static bool is_on(const struct busy *busy, int fd, const char *path)
{
	struct statx stx;

	return statx(fd, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		     STATX_MNT_ID, &stx) == 0 &&
	       (stx.stx_mask & STATX_MNT_ID) && stx.stx_mnt_id == busy->mnt_id;
}

static bool has_one_on(const struct busy *busy, int proc_fd, const char *path)
{
	auto_dir dir = open_dir(proc_fd, path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' &&
		    is_on(busy, dirfd(dir), entry->d_name))
			return true;
	return false;
}

static int name_busy(void *ctx, int proc_fd, const char *pid)
{
	static const struct {
		const char *name, *what;
		bool is_dir;
	} places[] = {
		{ "cwd", "has its working directory in it", false },
		{ "root", "has its root directory in it", false },
		{ "exe", "runs a program of it", false },
		{ "fd", "has a file of it open", true },
		{ "map_files", "has a file of it mapped", true },
	};
	struct busy *busy = ctx;
	char path[64], comm[HOLDER_COMM_SIZE];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", pid,
			       places[i].name);
		if (!(places[i].is_dir ? has_one_on(busy, proc_fd, path)
				       : is_on(busy, proc_fd, path)))
			continue;
		read_comm(proc_fd, pid, comm);
		(void)snprintf(busy->ret, HOLDER_SIZE, "process %s (%s) %s",
			       pid, comm, places[i].what);
		return 1;
	}
	return 0;
}

/* "36 35 98:0 / /target ...": whether something is mounted in it */
static bool name_child(const struct busy *busy)
{
	auto_file file = open_text(AT_FDCWD, "/proc/thread-self/mountinfo");
	auto_free char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		struct mountinfo mount;

		if (!mountinfo_parse(line, &mount) ||
		    mount.parent != busy->mnt_id)
			continue;
		(void)snprintf(busy->ret, HOLDER_SIZE,
			       "'%.160s' is mounted in it", mount.target);
		return true;
	}
	return false;
}

void holders_name_mount(uint64_t mnt_id, char ret[HOLDER_SIZE])
{
	struct busy busy = { mnt_id, ret };

	*ret = '\0';
	if (!name_child(&busy))
		(void)each_process(now_ms() + NAMING_MS, name_busy, &busy);
}

/* ---- who holds a flock ---- */

/* The device that the kernel's table of locks has; on btrfs stat has another.
 */
static bool device_of(int fd, unsigned int *ret_major, unsigned int *ret_minor)
{
	auto_file file = open_text(AT_FDCWD, "/proc/thread-self/mountinfo");
	auto_free char *line = NULL;
	size_t room = 0;
	uint64_t mnt_id;

	if (!file || fs_mnt_id(fd, "", &mnt_id) < 0)
		return false;
	while (getline(&line, &room, file) > 0) {
		char *rest;

		if (strtoull(line, &rest, 10) != mnt_id)
			continue;
		(void)strtoull(rest, &rest, 10);
		*ret_major = (unsigned int)strtoul(rest, &rest, 10);
		*ret_minor = *rest ? (unsigned int)strtoul(rest + 1, NULL, 10)
				   : 0;
		return true;
	}
	return false;
}

/* "1: FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF"; 0 where it is not that. */
static long parse_flock(const char *line, unsigned int major,
			unsigned int minor, ino_t ino)
{
	const char *at = strstr(line, " FLOCK ");
	unsigned long found_major, found_minor;
	char *rest;
	long pid;

	/* "-> " marks one who waits. */
	if (!at || strstr(line, "-> "))
		return 0;
	at += strcspn(at, "0123456789");
	pid = strtol(at, &rest, 10);
	found_major = strtoul(rest, &rest, 16);
	found_minor = *rest ? strtoul(rest + 1, &rest, 16) : 0;
	if (*rest != ':' || found_major != major || found_minor != minor ||
	    strtoull(rest + 1, NULL, 10) != ino)
		return 0;
	return pid;
}

static bool is_stopped(long pid)
{
	char path[64], text[512];
	const char *past_comm;
	auto_fd fd = -1;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	past_comm = strrchr(text, ')');
	return past_comm && past_comm[1] == ' ' &&
	       (past_comm[2] == 'T' || past_comm[2] == 't');
}

static void name_process(long pid, char ret[HOLDER_SIZE])
{
	auto_fd proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char comm[HOLDER_COMM_SIZE] = "", text[24];

	(void)snprintf(text, sizeof(text), "%ld", pid);
	if (proc_fd >= 0)
		read_comm(proc_fd, text, comm);
	(void)snprintf(ret, HOLDER_SIZE, "process %ld (%s)%s", pid, comm,
		       is_stopped(pid) ? ", which is stopped," : "");
}

void holders_name_flock(int fd, char ret[HOLDER_SIZE])
{
	auto_file file = open_text(AT_FDCWD, "/proc/locks");
	auto_free char *line = NULL;
	unsigned int major, minor;
	size_t room = 0;
	struct stat st;
	long pid = 0;

	*ret = '\0';
	if (!file || fstat(fd, &st) < 0 || !device_of(fd, &major, &minor))
		return;
	while (pid <= 0 && getline(&line, &room, file) > 0)
		pid = parse_flock(line, major, minor, st.st_ino);
	if (pid > 0)
		name_process(pid, ret);
}

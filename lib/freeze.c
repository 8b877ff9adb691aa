/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stopping a container for a moment: see freeze.h.
 *
 * Who wants a cgroup frozen holds a shared flock on its state's file; who can
 * make that an exclusive one is alone.  All that is asked and done so is done
 * under the flock of the cgroup's directory.
 */
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "fs.h"
#include "inuse.h"
#include "scope.h"

#define FREEZE_TRIES 10000
#define FREEZE_PAUSE_NS 1000000

/* The two freezers, the one to try first first. */
static const struct version {
	const char *controller; /* in /proc/PID/cgroup, between the colons */
	const char *mounts[3];	/* where it is mounted */
	const char *file, *freeze, *thaw;
	const char *state, *frozen; /* where it says so, and how */
} versions[] = {
	{ "freezer",
	  { "/sys/fs/cgroup/freezer", NULL },
	  "freezer.state",
	  "FROZEN",
	  "THAWED",
	  "freezer.state",
	  "FROZEN\n" },
	{ "",
	  { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL },
	  "cgroup.freeze",
	  "1",
	  "0",
	  "cgroup.events",
	  "frozen 1\n" },
};

#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

/* A process's cgroup by a version's hierarchy; 0 or -ENOENT. */
static int cgroup_of(long pid, const struct version *version, char *ret)
{
	char path[64], line[PATH_MAX + 256];
	auto_file file = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%ld/cgroup", pid);
	file = fdopen(open(path, O_RDONLY | O_CLOEXEC), "r");
	while (file && fgets(line, sizeof(line), file)) {
		char *controller = strchr(line, ':');
		char *cgroup = controller ? strchr(controller + 1, ':') : NULL;

		if (!cgroup)
			continue;
		*cgroup++ = '\0';
		if (strcmp(controller + 1, version->controller) != 0)
			continue;
		cgroup[strcspn(cgroup, "\n")] = '\0';
		(void)snprintf(ret, PATH_MAX, "%s", cgroup);
		return 0;
	}
	return -ENOENT;
}

/* To freeze what we are in, or all that there is, would be the end. */
static bool is_ours(const struct version *version, const char *cgroup)
{
	const size_t len = strlen(cgroup);
	char own[PATH_MAX];

	if (!strcmp(cgroup, "/") || !strncmp(cgroup, "/..", 3))
		return true;
	return cgroup_of(getpid(), version, own) == 0 &&
	       strncmp(own, cgroup, len) == 0 && (own[len] == '/' || !own[len]);
}

/* The cgroup's directory where that freezer is mounted, or -ENOENT. */
static int open_cgroup(const struct version *version, const char *cgroup)
{
	for (const char *const *mount = version->mounts; *mount; mount++) {
		char path[2 * PATH_MAX];
		auto_fd fd = -1;

		(void)snprintf(path, sizeof(path), "%s%s", *mount, cgroup);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && faccessat(fd, version->file, F_OK, 0) == 0)
			return take_fd(&fd);
	}
	return -ENOENT;
}

static bool says(int dir_fd, const char *file, const char *what)
{
	char text[256];
	auto_fd fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, what) != NULL;
}

static int write_state(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

/* Thaws where nobody else wants it frozen. */
static int let_go(const struct freezer *freezer)
{
	/* Held for moments, unless its holder is stopped; and to thaw too early
	 * is better than never.
	 */
	(void)fs_flock(freezer->dir_fd, LOCK_EX, FREEZE_TRIES);
	if (flock(freezer->state_fd, LOCK_EX | LOCK_NB) < 0 &&
	    errno == EWOULDBLOCK)
		return 0;
	return write_state(freezer->state_fd, freezer->thaw);
}

/* Else the host's flocks would outlive the host for a moment. */
static void close_all_but(int a, int b, int c)
{
	unsigned int kept[] = { (unsigned int)a, (unsigned int)b,
				(unsigned int)c };
	unsigned int from = 0;

	for (size_t i = 0; i < 3; i++) {
		for (size_t j = i + 1; j < 3; j++)
			if (kept[j] < kept[i]) {
				const unsigned int other = kept[i];

				kept[i] = kept[j];
				kept[j] = other;
			}
		if (kept[i] > from)
			(void)syscall(SYS_close_range, from, kept[i] - 1, 0U);
		from = kept[i] + 1;
	}
	(void)syscall(SYS_close_range, from, ~0U, 0U);
}

/*
 * Waits for our end, of whichever kind, and thaws.  Between clone and _exit
 * of a threaded process only such calls are allowed as signal handlers may
 * make.
 */
static void guard(int alive_fd, const struct freezer *freezer)
{
	char byte;

	(void)setsid(); /* what kills our group spares it */
	close_all_but(alive_fd, freezer->dir_fd, freezer->state_fd);
	while (read(alive_fd, &byte, 1) < 0 && errno == EINTR)
		;
	(void)let_go(freezer);
	_exit(0);
}

/* Without a signal at its end, and for no wait of the host's. */
static int start_guardian(struct freezer *freezer)
{
	sigset_t all, before;
	auto_fd read_fd = -1;
	int ends[2];
	long pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_fd = ends[0];
	freezer->alive_fd = ends[1];
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0)
		guard(read_fd, freezer);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -errno;
	freezer->guardian = (pid_t)pid;
	return 0;
}

static int wait_until_frozen(const struct version *version, int dir_fd,
			     int state_fd)
{
	const struct timespec pause = { 0, FREEZE_PAUSE_NS };

	for (int try = 0; try < FREEZE_TRIES; try++) {
		/* Version 1 looks for newcomers only when it is asked again. */
		int r = write_state(state_fd, version->freeze);

		if (r < 0 && r != -EINTR && r != -EBUSY)
			return r;
		if (says(dir_fd, version->state, version->frozen))
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

/* 1: it is to be frozen and thawed by us; 0: somebody else has, and thaws it. */
static int take_part(const struct version *version, int dir_fd, int state_fd)
{
	int r = fs_flock(dir_fd, LOCK_EX, FREEZE_TRIES);
	bool is_alone;

	if (r < 0)
		return r;
	is_alone = flock(state_fd, LOCK_EX | LOCK_NB) == 0;
	if (is_alone && says(dir_fd, version->state, version->frozen))
		return 0;
	r = fs_flock(state_fd, LOCK_SH, FREEZE_TRIES);
	(void)flock(dir_fd, LOCK_UN);
	return r < 0 ? r : 1;
}

static int freeze(const struct version *version, int *dir_fd,
		  struct freezer *freezer)
{
	auto_locked_fd state_fd =
		openat(*dir_fd, version->file, O_WRONLY | O_CLOEXEC);
	int r;

	if (state_fd < 0)
		return -errno;
	r = take_part(version, *dir_fd, state_fd);
	if (r <= 0)
		return r;
	freezer->thaw = version->thaw;
	freezer->dir_fd = take_fd(dir_fd);
	freezer->state_fd = take_fd(&state_fd);
	r = start_guardian(freezer);
	if (r == 0)
		r = wait_until_frozen(version, freezer->dir_fd,
				      freezer->state_fd);
	if (r < 0)
		(void)freeze_end(freezer, NULL);
	return r;
}

static int freeze_by(const struct version *version, const char *cgroup,
		     struct freezer *ret, struct shale_error *err)
{
	auto_locked_fd dir_fd = open_cgroup(version, cgroup);
	int r = dir_fd < 0 ? dir_fd : freeze(version, &dir_fd, ret);

	return r < 0 ? error_errno(err, -r, "freeze cgroup '%s'", cgroup) : 0;
}

int freeze_user(const struct record *record, struct freezer *ret,
		struct shale_error *err)
{
	long pid = inuse_user_pid(record);
	char cgroup[PATH_MAX];

	for (size_t i = 0; pid > 0 && i < VERSIONS; i++) {
		const struct version *version = &versions[i];
		auto_fd dir_fd = -1;

		if (cgroup_of(pid, version, cgroup) < 0 ||
		    is_ours(version, cgroup))
			continue;
		dir_fd = open_cgroup(version, cgroup);
		/* Still the same process, so it was its cgroup. */
		if (dir_fd >= 0 && inuse_user_pid(record) == pid)
			return freeze_by(version, cgroup, ret, err);
	}
	if (pid <= 0 || inuse_user_pid(record) != pid)
		return error_fail(
			err, EBADFD,
			"can't freeze: no live container is on record as its user");
	return error_fail(
		err, EBADFD,
		"can't freeze: process %ld has no freezer's cgroup of its own",
		pid);
}

int freeze_end(struct freezer *freezer, struct shale_error *err)
{
	int r = 0;

	if (freezer->state_fd >= 0)
		r = let_go(freezer);
	/* It does the same once more; till it has, nobody else begins. */
	drop_fd(&freezer->alive_fd);
	if (freezer->guardian > 0)
		while (waitpid(freezer->guardian, NULL, __WALL) < 0 &&
		       errno == EINTR)
			;
	freezer->guardian = 0;
	drop_locked_fd(&freezer->state_fd);
	drop_locked_fd(&freezer->dir_fd);
	return r < 0 ? error_errno(err, -r, "thaw the container") : 0;
}

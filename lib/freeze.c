/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stopping a container for a moment: see freeze.h.
 *
 * Who wants a cgroup frozen has a byte of its state's file, by a lock of the open
 * file; who finds no other has that byte is alone.  That is asked, and what
 * follows is done, with the first byte, which is everybody's.  All are locks for
 * writing: who may only read the file can have none, and is not asked for.
 */
#include "freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "inuse.h"
#include "scope.h"

#define FREEZE_TRIES 10000
/* To thaw too early is better than never, or late. */
#define THAW_TRIES 1000
/* How many may want one cgroup frozen at once. */
#define WANTS_MAX 4096
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

/* ---- who wants it frozen ---- */

/* As all that the guardian calls, it is what a signal handler may call. */
static int lock_byte(int state_fd, off_t at)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = at,
			      .l_len = 1 };

	return fcntl(state_fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static int lock_first(int state_fd, int tries)
{
	const struct timespec pause = { 0, FREEZE_PAUSE_NS };
	int r;

	while ((r = lock_byte(state_fd, 0)) == -EAGAIN && tries-- > 0)
		(void)nanosleep(&pause, NULL);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static void unlock_first(int state_fd)
{
	struct flock lock = { .l_type = F_UNLCK,
			      .l_whence = SEEK_SET,
			      .l_len = 1 };

	(void)fcntl(state_fd, F_OFD_SETLK, &lock);
}

/* A child that somebody forked would keep what close alone lets go. */
static void unlock_all(int state_fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)fcntl(state_fd, F_OFD_SETLK, &lock);
}

static int want(int state_fd)
{
	int r = -EAGAIN;

	for (off_t at = 1; r == -EAGAIN && at <= WANTS_MAX; at++)
		r = lock_byte(state_fd, at);
	return r;
}

/* One for reading would meet those for writing alone. */
static bool is_wanted_by_others(int state_fd)
{
	struct flock lock = { .l_type = F_RDLCK,
			      .l_whence = SEEK_SET,
			      .l_start = 1 };

	return fcntl(state_fd, F_OFD_GETLK, &lock) == 0 &&
	       lock.l_type != F_UNLCK;
}

/* Thaws where nobody else wants it frozen. */
static int let_go(const struct freezer *freezer)
{
	(void)lock_first(freezer->state_fd, THAW_TRIES);
	return is_wanted_by_others(freezer->state_fd)
		       ? 0
		       : write_state(freezer->state_fd, freezer->thaw);
}

/* ---- the guardian ---- */

/* Else the host's flocks would outlive the host for a moment. */
static void close_all_but(int a, int b, int c)
{
	int next = 0;

	while (next >= 0) {
		int kept = -1; /* the lowest of them from there on */

		for (int i = 0; i < 3; i++) {
			const int fd = i == 0 ? a : i == 1 ? b : c;

			if (fd >= next && (kept < 0 || fd < kept))
				kept = fd;
		}
		if (kept != next)
			(void)syscall(SYS_close_range, (unsigned int)next,
				      kept < 0 ? ~0U : (unsigned int)kept - 1,
				      0U);
		next = kept < 0 ? -1 : kept + 1;
	}
}

/*
 * Waits for our word or our end, of whichever kind, and thaws.  A child that
 * somebody forked has our end of the socket as well, so that its close alone
 * tells nothing.  Between clone and _exit of a threaded process only such calls
 * are allowed as signal handlers may make.
 */
static void guard(int alive_fd, int host_fd, const struct freezer *freezer)
{
	/* A host_fd below 0, until Linux 5.3, is passed over. */
	struct pollfd ends[] = { { .fd = alive_fd, .events = POLLIN },
				 { .fd = host_fd, .events = POLLIN } };

	(void)setsid(); /* what kills our group spares it */
	(void)close(freezer->alive_fd);
	close_all_but(alive_fd, host_fd, freezer->state_fd);
	while (poll(ends, 2, -1) < 0 && errno == EINTR)
		;
	(void)let_go(freezer);
	unlock_all(freezer->state_fd);
	_exit(0);
}

/* Without a signal at its end, and for no wait of the host's. */
static int start_guardian(struct freezer *freezer)
{
	sigset_t all, before;
	auto_fd guard_fd = -1, host_fd = -1;
	int ends[2];
	long pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	guard_fd = ends[0];
	freezer->alive_fd = ends[1];
	host_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0)
		guard(guard_fd, host_fd, freezer);
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

/* Its guardian is there before it is wanted: who dies between is missed by none.
 * 1: it is to be frozen and thawed by us; 0: somebody else has, and thaws it.
 */
static int take_part(const struct version *version, int dir_fd,
		     struct freezer *freezer)
{
	int r = lock_first(freezer->state_fd, FREEZE_TRIES);

	if (r < 0)
		return r;
	if (!is_wanted_by_others(freezer->state_fd) &&
	    says(dir_fd, version->state, version->frozen))
		return 0;
	r = start_guardian(freezer);
	if (r == 0)
		r = want(freezer->state_fd);
	unlock_first(freezer->state_fd);
	return r < 0 ? r : 1;
}

static int freeze(const struct version *version, int dir_fd,
		  struct freezer *freezer)
{
	int r;

	freezer->thaw = version->thaw;
	freezer->state_fd = openat(dir_fd, version->file, O_WRONLY | O_CLOEXEC);
	if (freezer->state_fd < 0)
		return -errno;
	r = take_part(version, dir_fd, freezer);
	if (r > 0) {
		r = wait_until_frozen(version, dir_fd, freezer->state_fd);
		if (r == 0)
			return 0;
	}
	(void)freeze_end(freezer, NULL);
	return r;
}

static int freeze_by(const struct version *version, const char *cgroup,
		     struct freezer *ret, struct shale_error *err)
{
	auto_fd dir_fd = open_cgroup(version, cgroup);
	int r = dir_fd < 0 ? dir_fd : freeze(version, dir_fd, ret);

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

	if (freezer->guardian > 0)
		r = let_go(freezer);
	/* It does the same once more; till it has, nobody else begins. */
	if (freezer->alive_fd >= 0)
		(void)shutdown(freezer->alive_fd, SHUT_RDWR);
	drop_fd(&freezer->alive_fd);
	if (freezer->guardian > 0)
		while (waitpid(freezer->guardian, NULL, __WALL) < 0 &&
		       errno == EINTR)
			;
	freezer->guardian = 0;
	if (freezer->state_fd >= 0)
		unlock_all(freezer->state_fd);
	drop_fd(&freezer->state_fd);
	return r < 0 ? error_errno(err, -r, "thaw the container") : 0;
}

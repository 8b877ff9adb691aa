/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of a file system, as inotify(7) tells it: see lastuse.h.
 */
#include "lastuse.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "scope.h"

#define MOMENT_NS 2000000L

int lastuse_watch(const char *path)
{
	auto_fd fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	/* IN_UNMOUNT always comes; a watch for nothing is none. */
	if (fd < 0 ||
	    inotify_add_watch(fd, path,
			      IN_DELETE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW) < 0)
		return -1;
	return take_fd(&fd);
}

/* Whether it is among the events that are there; none of them has a name. */
static bool is_told(int watch_fd)
{
	struct inotify_event events[8];
	ssize_t n = read(watch_fd, events, sizeof(events));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*events); i++)
		if (events[i].mask & IN_UNMOUNT)
			return true;
	return false;
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool lastuse_wait(int watch_fd, int timeout_ms)
{
	const int64_t until = now_ms() + timeout_ms;
	const struct timespec moment = { .tv_nsec = MOMENT_NS };
	struct pollfd pollfd = { .fd = watch_fd, .events = POLLIN };

	if (is_told(watch_fd)) /* we have ended it ourselves, and wholly */
		return true;
	do {
		const int64_t left = until - now_ms();

		if (left <= 0)
			return false;
		if (poll(&pollfd, 1, (int)left) < 0 && errno != EINTR)
			return true;
	} while (!is_told(watch_fd));
	/* Who ends it tells us first, and gives its directories back then. */
	(void)nanosleep(&moment, NULL);
	return true;
}

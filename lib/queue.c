/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The queue of the writers: see queue.h.
 *
 * A place is an open file description lock on one byte of ROOT/lock, far
 * behind its end, whose number is the nanosecond of the writer's coming.  Its
 * turn has come when no byte before its own is locked.  Nothing is shared
 * between threads or with a forked child, and the kernel takes a place back
 * however a process ends.
 *
 * Who is stopped keeps its place.  It is passed by, and so that not everybody
 * finds out anew, which takes a second, the lock file has the last such place:
 * a hint, by which nobody gets the lock but sooner or later.
 */
#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format.h"

/* Between two looks at the queue, or at a lock that is not waited for in the
 * kernel, since there is a timeout or a host that may cancel.
 */
#define PAUSE_MIN_NS 50000
#define PAUSE_MAX_NS 10000000
/* How long nothing happens until one looks whether the first is stopped, and
 * how long that one has then to take the lock.
 */
#define STOPPED_NS 900000000
#define OFFER_NS 100000000
/* How long a turn is. */
#define TURN_NS 2000000
/* How often two may come in the same nanosecond. */
#define PLACE_TRIES 100
/* Where the place passed by is, in eight bytes: behind the generation. */
#define PASSED_AT 8

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- places ---- */

/* Not one that is to come: the clock began anew with the machine. */
static off_t passed_load(int fd)
{
	int64_t passed;

	if (pread(fd, &passed, sizeof(passed), PASSED_AT) != sizeof(passed) ||
	    passed < 0 || passed > now_ns())
		return 0;
	return passed;
}

/* With the lock, so that nobody else does.  In a file that was truncated the
 * hole before it would be a generation, which comes again.
 */
static void passed_store(int fd, off_t place)
{
	const int64_t passed = place;
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size >= PASSED_AT &&
	    place > passed_load(fd))
		(void)pwrite(fd, &passed, sizeof(passed), PASSED_AT);
}

/* A place before @place that is taken and not passed by, or any such before 0;
 * 0 for none, or where that can't be known.
 */
static off_t place_before(int fd, off_t place)
{
	const off_t from = passed_load(fd) + 1;
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_start = from,
			      .l_len = place ? place - from : 0 };

	if (place && place <= from)
		return 0;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_start;
}

/* 0 where there is none: before Linux 3.15, or where flock(2) is a lock of all
 * bytes on a server.
 */
static off_t place_take(int fd)
{
	struct flock lock = { .l_type = F_WRLCK,
			      .l_whence = SEEK_SET,
			      .l_len = 1 };

	if (format_is_remote(fd))
		return 0;
	for (int try = 0; try < PLACE_TRIES; try++) {
		lock.l_start = now_ns();
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return lock.l_start;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return 0;
}

/* A child that was forked meanwhile would keep what close alone lets go. */
static void place_leave(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)fcntl(fd, F_OFD_SETLK, &lock);
}

/* ---- waiting ---- */

struct wait {
	const struct overlay *ov;
	int fd;
	int64_t start_ns, pause_ns;
};

static int64_t pause_within_bounds(int64_t pause_ns)
{
	if (pause_ns < PAUSE_MIN_NS)
		return PAUSE_MIN_NS;
	return pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS;
}

/* Whether to go on waiting; each time the pause is twice as long. */
static int wait_a_little(struct wait *wait)
{
	const struct overlay *ov = wait->ov;
	struct timespec pause = { 0, wait->pause_ns };

	if (overlay_cancelled(ov))
		return -ECANCELED;
	if (ov->lock_timeout_ms >= 0 &&
	    (now_ns() - wait->start_ns) / 1000000 >= ov->lock_timeout_ms)
		return -ETIMEDOUT;
	(void)nanosleep(&pause, NULL);
	wait->pause_ns = pause_within_bounds(2 * wait->pause_ns);
	return 0;
}

/*
 * Takes the lock before the first one, if that doesn't: nobody has the lock,
 * nor has it after a while in which the first one would have been woken.
 */
static bool pass_stopped(const struct wait *wait, off_t place, off_t first)
{
	struct timespec while_woken = { 0, OFFER_NS };

	if (flock(wait->fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	(void)flock(wait->fd, LOCK_UN);
	while (nanosleep(&while_woken, &while_woken) < 0 && errno == EINTR)
		continue;
	if (flock(wait->fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	if (place_before(wait->fd, place) == first) {
		passed_store(wait->fd, first);
		return true;
	}
	(void)flock(wait->fd, LOCK_UN);
	return false;
}

/*
 * Where the queue moves, one that came so much later than the first has to wait
 * so much longer, and sleeps through half of it.
 *
 * Returns 0 when its turn has come, 1 where it has the lock already.
 */
static int wait_for_turn(struct wait *wait, off_t place)
{
	int64_t since_ns = 0;
	off_t first, last = 0;

	while ((first = place_before(wait->fd, place)) != 0) {
		int r;

		if (first != last) {
			last = first;
			since_ns = now_ns();
			wait->pause_ns =
				pause_within_bounds((place - first) / 2);
		}
		r = wait_a_little(wait);
		if (r == -ETIMEDOUT && flock(wait->fd, LOCK_EX | LOCK_NB) == 0)
			return 1;
		if (r < 0)
			return r;
		if (now_ns() - since_ns < STOPPED_NS)
			continue;
		if (pass_stopped(wait, place, first))
			return 1;
		since_ns = now_ns();
	}
	return 0;
}

/* Who is not to wait for ever can't wait in the kernel, from which only a
 * signal would wake it.
 */
static int wait_for_holder(struct wait *wait)
{
	const struct overlay *ov = wait->ov;
	const bool may_end = ov->lock_timeout_ms >= 0 ||
			     (ov->host && ov->host->cancelled);

	wait->pause_ns = PAUSE_MIN_NS;
	while (flock(wait->fd, LOCK_EX | (may_end ? LOCK_NB : 0)) < 0) {
		int r = 0;

		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (may_end)
			r = wait_a_little(wait);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * One lock a turn would be a change of the running thread for each lock, which
 * is dear where many wait: so who had its turn goes on out of turn for a while.
 */
static bool may_pass(struct overlay *ov, int fd)
{
	if (now_ns() - atomic_load(&ov->turn_ns) < TURN_NS)
		return true;
	if (place_before(fd, 0) != 0)
		return false;
	atomic_store(&ov->turn_ns, now_ns());
	return true;
}

int queue_wait(struct overlay *ov, int fd)
{
	struct wait wait = { .ov = ov, .fd = fd };
	off_t place;
	int r = 0;

	if (may_pass(ov, fd) && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	wait.start_ns = now_ns();
	place = place_take(fd);
	if (place)
		r = wait_for_turn(&wait, place);
	if (r == 0) {
		r = wait_for_holder(&wait);
		atomic_store(&ov->turn_ns, now_ns());
	}
	if (place)
		place_leave(fd);
	return r < 0 ? r : 0;
}

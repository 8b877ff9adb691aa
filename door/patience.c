/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pauses of 20 ms, then twice as long each time up to 320 ms: see patience.h.
 * A namespace goes after its last process.  The kernel logs each EBUSY of its
 * overlay, which takes milliseconds where a serial line is told.
 */
#include "patience.h"

#include <time.h>

#define TRIES 20
#define PAUSE_MIN_NS 20000000L
#define PAUSE_MAX_NS 320000000L

bool patience_wait(struct patience *patience)
{
	long pause_ns = 2 * patience->pause_ns;

	if (patience->tries++ >= TRIES)
		return false;
	if (pause_ns < PAUSE_MIN_NS)
		pause_ns = PAUSE_MIN_NS;
	if (pause_ns > PAUSE_MAX_NS)
		pause_ns = PAUSE_MAX_NS;
	patience->pause_ns = pause_ns;
	(void)nanosleep(&(struct timespec){ .tv_nsec = pause_ns }, NULL);
	return true;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for what a container that has just ended still holds.
 */
#ifndef DOOR_PATIENCE_H
#define DOOR_PATIENCE_H

#include <stdbool.h>

struct patience {
	int tries;
	long pause_ns;
};

#define PATIENCE_INIT                       \
	{                                   \
		.tries = 0, .pause_ns = 0L, \
	}

/**
 * patience_wait - wait a little, each time longer, five seconds in all
 *
 * Return: false, at once, where that has been waited already.
 */
bool patience_wait(struct patience *patience);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who waits for the store's lock has it in the order of coming.
 *
 * flock(2) excludes, but is not fair: it wakes who waits, and whoever runs
 * already takes it first.  Among 512 writers one waited 39 seconds for what
 * took half a second in the mean.  The queue decides nothing but the order:
 * where there is none, or somebody knows of none, flock(2) still excludes.
 */
#ifndef LIB_QUEUE_H
#define LIB_QUEUE_H

#include "overlay.h"

/**
 * queue_wait - flock the lock file when it is our turn
 * @fd: of ROOT/lock, opened anew for this one writer, for reading and writing
 *
 * One that waits is passed by at most once by each that had looked before it
 * came, and by all while it is stopped.  Whoever has a timeout and is late
 * takes the lock out of turn if it is free.
 *
 * Return: 0, -ETIMEDOUT, -ECANCELED, or another negative errno.
 */
int queue_wait(struct overlay *ov, int fd);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs with something to mount or to tidy up.  Each gives back how the
 * runtime ended, or fails where none ran, or does not return: a container that
 * is none of ours is the real runtime's alone.
 */
#ifndef RUNTIME_DOOR_H
#define RUNTIME_DOOR_H

#include <sys/types.h>

#include "call.h"

/* An exit status, or the number of the signal that ended the runtime. */
struct ending {
	int status, signal;
};

/**
 * child_run - run the real runtime and wait for it
 *
 * In the caller's place: signals that come are passed on, and the runtime dies
 * with us.  Its descriptors, signal dispositions and mask are the caller's.
 *
 * Return: 0 or a negative errno: nothing ran.
 */
int child_run(const struct call *call, struct ending *ret,
	      struct shale_error *err);

/** child_end_as - end this process as the runtime has ended */
__attribute__((noreturn)) void child_end_as(const struct ending *ending);

/** door_create - create, run and restore */
int door_create(const struct call *call, struct ending *ret,
		struct shale_error *err);

/** door_delete - delete */
int door_delete(const struct call *call, struct ending *ret,
		struct shale_error *err);

#endif

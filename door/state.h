/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The OCI state that a runtime writes to a hook's standard input.
 */
#ifndef DOOR_STATE_H
#define DOOR_STATE_H

#include "json.h"
#include "snapshotter.h"

#define STATE_SIZE_MAX 4194304

/**
 * struct state - strings live as long as @json
 * @status: "creating", "created", "running", "stopped", or a runtime's own
 * @pid:    of the container's init, as the runtime says; 0 where it says none
 * @bundle: absolute path
 * @annotations: an object, or NULL.  Not asked while the bundle is there.
 */
struct state {
	struct json *json;
	const char *id, *status, *bundle;
	long pid;
	const struct json *annotations;
};

/**
 * state_read - read a state up to the end of the file
 * @ret: cleared with state_clear
 *
 * Return: 0, -EBADMSG (no JSON), -EFBIG, -EINVAL (a member missing or of a
 *         wrong type, which is named).
 */
int state_read(int fd, struct state *ret, struct shale_error *err);

/** state_clear - free what a state holds */
void state_clear(struct state *state);

#define auto_state __attribute__((cleanup(state_clear))) struct state

#endif

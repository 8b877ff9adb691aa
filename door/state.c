/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The OCI state: see state.h.
 */
#include "state.h"

#include <errno.h>
#include <limits.h>

#include "error.h"
#include "number.h"

static int take_string(const struct json *json, const char *key,
		       const char **slot, struct shale_error *err)
{
	const struct json *value = json_get(json, key);

	if (!value)
		return error_fail(err, EINVAL, "the state has no %s", key);
	*slot = json_string(value);
	if (!*slot || !**slot)
		return error_fail(err, EINVAL,
				  "%s of the state is no string, or empty",
				  key);
	return 0;
}

static int take_pid(const struct json *json, long *slot,
		    struct shale_error *err)
{
	const struct json *value = json_get(json, "pid");
	uint64_t pid = 0;

	if (value && (value->type != JSON_NUMBER ||
		      number_parse(value->text, INT_MAX, &pid) < 0))
		return error_fail(err, EINVAL, "pid of the state is no pid");
	*slot = (long)pid;
	return 0;
}

static int take_members(struct state *state, struct shale_error *err)
{
	const struct json *json = state->json;
	int r;

	if (json->type != JSON_OBJECT)
		return error_fail(err, EINVAL, "the state is no object");
	r = take_string(json, "id", &state->id, err);
	if (r == 0)
		r = take_string(json, "status", &state->status, err);
	if (r == 0)
		r = take_string(json, "bundle", &state->bundle, err);
	if (r == 0)
		r = take_pid(json, &state->pid, err);
	if (r < 0)
		return r;
	if (state->bundle[0] != '/')
		return error_fail(
			err, EINVAL,
			"bundle '%s' of the state is no absolute path",
			state->bundle);
	state->annotations = json_get(json, "annotations");
	return 0;
}

int state_read(int fd, struct state *ret, struct shale_error *err)
{
	struct state state = { 0 };
	int r = json_read(fd, STATE_SIZE_MAX, "the state", &state.json, err);

	if (r < 0)
		return r;
	r = take_members(&state, err);
	if (r < 0) {
		state_clear(&state);
		return r;
	}
	*ret = state;
	return 0;
}

void state_clear(struct state *state)
{
	json_free(state->json);
	*state = (struct state){ 0 };
}

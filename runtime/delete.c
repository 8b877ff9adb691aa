/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delete: see door.h.  What to clean up is what the record says; whether, is
 * what the runtime has left: its exit status tells nothing, since an absent
 * container is no failure to all of them.
 */
#include "door.h"

#include <errno.h>

#include "error.h"
#include "mounted.h"
#include "presence.h"
#include "reap.h"

static int reap_if_gone(const struct call *call, struct mounted *mounted,
			struct shale_error *err)
{
	if (mounted->is_certified &&
	    !presence_is_gone(call->path, mounted->root, mounted->id))
		return 0;
	return reap_one(mounted, false, err);
}

static int delete_one(const struct call *call, struct shale_error *err)
{
	auto_mounted mounted = MOUNTED_INIT;
	int r = mounted_open(DOOR_RUNTIME, call->path, call->root,
			     call->command.id, MOUNTED_WAIT, &mounted, err);

	if (r == -ENOENT) { /* its own `run` was faster */
		error_clear(err);
		return 0;
	}
	return r < 0 ? r : reap_if_gone(call, &mounted, err);
}

/* crun's --regex: whichever of this root are gone now. */
static int delete_matching(void *ctx, struct mounted *mounted, const char *torn)
{
	const struct call *call = ctx;
	struct shale_error err = SHALE_ERROR_INIT;

	if (!torn && mounted_is_same_runtime(mounted, call->path, call->root) &&
	    reap_if_gone(call, mounted, &err) < 0)
		call_tell(call, err.msg);
	return 0;
}

int door_delete(const struct call *call, struct ending *ret,
		struct shale_error *err)
{
	int r = child_run(call, ret, err);

	if (r < 0)
		return r;
	if (call->command.value[COMMAND_REGEX])
		r = mounted_walk(DOOR_RUNTIME, delete_matching, (void *)call,
				 err);
	else
		r = delete_one(call, err);
	/* The container is gone all the same. */
	if (r < 0)
		call_tell(call, err->msg);
	return 0;
}

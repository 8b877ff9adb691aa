/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mount namespace for a moment, and moving what was made in it out of it.
 */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "error.h"
#include "joined.h"
#include "scope.h"

struct apart {
	int (*fn)(void *ctx);
	void *ctx;
	struct shale_error *err;
};

static int apart_main(void *ctx)
{
	struct apart *apart = ctx;
	auto_fd home = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0)
		return error_errno(apart->err, errno,
				   "open '/proc/thread-self/ns/mnt'");
	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(apart->err, errno,
				   "unshare the mount namespace");
	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		r = error_errno(apart->err, errno,
				"make all mounts of the thread private");
	else
		r = apart->fn(apart->ctx);
	/*
	 * Going home ends the namespace now; at the thread's end it would go
	 * after the join, and a caller's umount might meet it.
	 */
	(void)setns(home, CLONE_NEWNS);
	return r;
}

int mount_apart(int (*fn)(void *ctx), void *ctx, struct shale_error *err)
{
	struct apart apart = { fn, ctx, err };
	int r = joined_run(apart_main, &apart);

	return r < 0 ? error_context(err, r, "in a mount namespace apart") : r;
}

int mount_move(int fd, int target_fd, const char *target,
	       struct shale_error *err)
{
	if (move_mount(fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_errno(err, errno, "attach to '%s'", target);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Touching files as somebody else: see fsid.h.
 */
#include "fsid.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
};

static int capabilities_get(struct capabilities *ret)
{
	*ret = (struct capabilities){
		.header.version = _LINUX_CAPABILITY_VERSION_3,
	};
	return syscall(SYS_capget, &ret->header, ret->sets) < 0 ? -errno : 0;
}

/* Both calls tell the id before, and nothing of an error. */
static int set_ids(uid_t uid, gid_t gid)
{
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	if ((gid_t)setfsgid((gid_t)-1) == gid &&
	    (uid_t)setfsuid((uid_t)-1) == uid)
		return 0;
	return -EPERM;
}

int fsid_become(uid_t uid, gid_t gid)
{
	struct capabilities capabilities;
	int r = capabilities_get(&capabilities);

	if (r == 0)
		r = set_ids(uid, gid);
	/* To leave 0 has taken away those that are about files. */
	if (r == 0 &&
	    syscall(SYS_capset, &capabilities.header, capabilities.sets) < 0)
		r = -errno;
	if (r < 0)
		fsid_restore();
	return r;
}

void fsid_restore(void)
{
	struct capabilities capabilities;
	int r = capabilities_get(&capabilities);

	(void)set_ids(geteuid(), getegid());
	if (r ==
	    0) /* to come back to 0 gives all of those that are permitted */
		(void)syscall(SYS_capset, &capabilities.header,
			      capabilities.sets);
}

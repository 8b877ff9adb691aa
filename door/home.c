/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The user's own places: see home.h.
 */
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "runtime.h"
#include "scope.h"

/* Of the user namespace that we are in; without an answer (until 4.11) it is
 * taken for ours.
 */
static bool owns_namespace(void)
{
	auto_fd fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	uid_t owner;

	if (fd < 0 || ioctl(fd, NS_GET_OWNER_UID, &owner) < 0)
		return true;
	return owner == geteuid();
}

bool home_is_users(void)
{
	if (geteuid() != 0)
		return true;
	return runtime_is_mapped(0) && runtime_caller() != 0 &&
	       owns_namespace();
}

char *home_path(const char *variable, const char *below, const char *leaf)
{
	const char *dir = secure_getenv(variable);
	const char *home = secure_getenv("HOME");
	char *path;
	int n;

	if (dir && *dir == '/')
		n = asprintf(&path, "%s/%s", dir, leaf);
	else if (home && *home == '/')
		n = asprintf(&path, "%s/%s/%s", home, below, leaf);
	else
		return errno = ENOENT, NULL;
	return n < 0 ? NULL : path;
}

char *home_config(void)
{
	return home_path("XDG_CONFIG_HOME", ".config", "shale/shale.json");
}

int home_make_above(const char *path, struct shale_error *err)
{
	auto_free char *dir = strdup(path);

	if (!dir)
		return error_fail(err, ENOMEM, "create '%s': out of memory",
				  path);
	for (char *slash = strchr(dir + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		/* Only what is absent: a directory may be there that we could
		 * not have made.
		 */
		if (mkdir(dir, 0700) < 0 && errno != EEXIST &&
		    access(dir, F_OK) < 0)
			return error_errno(err, errno, "create '%s'", dir);
		*slash = '/';
	}
	return 0;
}

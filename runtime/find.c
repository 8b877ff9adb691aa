/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The real runtime: see find.h.
 */
#include "find.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

#define USUAL_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

/* Under whatever name: it would call itself for ever. */
static bool is_ourselves(const char *path)
{
	struct stat ours, theirs;

	return stat("/proc/self/exe", &ours) == 0 && stat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* The first program of that name in $PATH that is not this one. */
static bool search(const char *name, char ret[PATH_MAX])
{
	const char *dir = getenv("PATH");
	size_t len;

	if (!dir || !*dir)
		dir = USUAL_PATH;
	for (;; dir += len + 1) {
		int n;

		len = strcspn(dir, ":");
		n = snprintf(ret, PATH_MAX, "%.*s/%s", len ? (int)len : 1,
			     len ? dir : ".", name);
		if (n > 0 && n < PATH_MAX && is_program(ret) &&
		    !is_ourselves(ret))
			return true;
		if (!dir[len])
			return false;
	}
}

static int find_named(const char *asked, char ret[PATH_MAX],
		      struct shale_error *err)
{
	if (!strchr(asked, '/'))
		return search(asked, ret)
			       ? 0
			       : error_fail(err, ENOENT,
					    "there is no runtime '%s' in PATH",
					    asked);
	if (is_ourselves(asked))
		return error_fail(
			err, ELOOP,
			"the runtime '%s' is shale-runtime itself: name the real one",
			asked);
	if (snprintf(ret, PATH_MAX, "%s", asked) >= PATH_MAX)
		return error_errno(err, ENAMETOOLONG, "run the runtime '%s'",
				   asked);
	return 0;
}

int find_runtime(const char *asked, char ret[PATH_MAX], const char **ret_name,
		 struct shale_error *err)
{
	static const char *const usual[] = { "runc", "crun" };

	*ret_name = asked;
	if (asked)
		return find_named(asked, ret, err);
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++) {
		*ret_name = usual[i];
		if (search(usual[i], ret))
			return 0;
	}
	return error_fail(
		err, ENOENT,
		"neither runc nor crun is in PATH: install one, or name a runtime with --shale-runtime-path or as \"runtime\" in shale.json");
}

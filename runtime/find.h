/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the real runtime is.
 */
#ifndef RUNTIME_FIND_H
#define RUNTIME_FIND_H

#include <limits.h>

#include "snapshotter.h"

/**
 * find_runtime - find a program that is not this one
 * @asked:    a path, or a name to look for in $PATH; NULL: runc, else crun
 * @ret_name: the name it is called by; @asked or static
 *
 * Return: 0, -ENOENT, -ELOOP (it is this program).
 */
int find_runtime(const char *asked, char ret[PATH_MAX], const char **ret_name,
		 struct shale_error *err);

#endif

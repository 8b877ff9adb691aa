/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose store and configuration are meant where nobody says: the machine's,
 * or those of the user who runs us.
 */
#ifndef DOOR_HOME_H
#define DOOR_HOME_H

#include <stdbool.h>

#include "snapshotter.h"

/**
 * home_is_users - whether the caller is a user, who has a store of his own
 *
 * That is any uid but 0, and the root of a user namespace that a user has
 * made for himself.  The root of a container's namespace, which somebody
 * else made, is none.
 */
bool home_is_users(void);

/**
 * home_path - a path of the user's, as the XDG base directory rules have it
 * @variable: "XDG_DATA_HOME", ...; what is not absolute counts as not set
 * @below:    where it is below $HOME without that: ".local/share", ...
 * @leaf:     what to append
 *
 * Reads the environment, unless the program is setuid: not for a hook, whose
 * environment may be the container's.
 *
 * Return: to be freed by the caller; NULL with ENOENT in errno where neither
 *         @variable nor HOME is set, or ENOMEM.
 */
char *home_path(const char *variable, const char *below, const char *leaf);

/** home_config - home_path of the user's own shale.json */
char *home_config(void);

/**
 * home_make_above - make the directories above @path that are absent, 0700
 *
 * Return: 0, or a negative errno with a sentence.
 */
int home_make_above(const char *path, struct shale_error *err);

#endif

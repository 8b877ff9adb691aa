/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the loader thinks of a plugin's table.
 */
#ifndef LIB_PLUGIN_H
#define LIB_PLUGIN_H

#include "snapshotter.h"

/**
 * plugin_check_table - check a table and copy what both sides know of it
 * @path:  of the plugin, for the sentence
 * @table: of which `size` bytes are read, no more; may be NULL
 * @ret:   without NULL in version and description; strings stay the plugin's
 *
 * Return: 0, -EINVAL (no table, too short, no name, an operation missing),
 *         -EPROTONOSUPPORT (another ABI).
 */
int plugin_check_table(const char *path, const struct shale_snapshotter *table,
		       struct shale_snapshotter *ret, struct shale_error *err);

#endif

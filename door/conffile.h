/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shale.json as a JSON document that nobody but its owner could have written.
 * What is in it is config.h's.
 */
#ifndef DOOR_CONFFILE_H
#define DOOR_CONFFILE_H

#include <stdbool.h>

#include "json.h"
#include "snapshotter.h"

#ifndef SHALE_CONFIG_FILE /* configure's --with-config-file */
#define SHALE_CONFIG_FILE "/etc/shale/shale.json"
#endif
#define CONFFILE_SIZE_MAX 1048576

/**
 * conffile_read - read shale.json
 * @path: NULL for SHALE_CONFIG_FILE, which may be absent
 * @ret:  taken; freed with json_free; untouched where the file is absent
 *
 * Return: 0, -ENOENT, -EPERM (its owner is neither root nor the caller, or
 *         its group or others may write it, or it is no regular file),
 *         -EFBIG, -EBADMSG (no JSON), -EINVAL (no object).
 */
int conffile_read(const char *path, struct json **ret, struct shale_error *err);

#endif

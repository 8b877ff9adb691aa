/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel's list of mounts, /proc/PID/mountinfo, says of one of them.
 * A path in it is anybody's who may mount; libmount reads it whole (place.c),
 * here it is a line that counts.
 */
#ifndef LIB_MOUNTINFO_H
#define LIB_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/**
 * mountinfo_find - the first line of a mount
 * @is_below: of one that is mounted on it instead
 * @ret:      taken; freed with free
 *
 * Return: 0 or -ENOENT.
 */
int mountinfo_find(FILE *file, uint64_t id, bool is_below, char **ret);

/** mountinfo_parent - id of the mount that a line's mount is mounted on */
uint64_t mountinfo_parent(const char *line);

/** mountinfo_count_layers - the lower layers that a line of an overlay shows */
size_t mountinfo_count_layers(const char *line);

/** mountinfo_is_covered - whether a mount sits on the very root of another */
bool mountinfo_is_covered(FILE *file, uint64_t id);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the kernel's list of mounts, /proc/PID/mountinfo, says of one of them.
 * A path in it is anybody's who may mount.
 */
#ifndef BASE_MOUNTINFO_H
#define BASE_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A line, taken apart; all but `super` without escapes. */
struct mountinfo {
	uint64_t id, parent;
	const char *dev; /* "8:1" */
	const char *root, *target;
	const char *options; /* of the mount: "rw,nosuid" */
	const char *type, *source;
	char *super; /* options of the file system, escaped, to be cut */
};

/**
 * mountinfo_parse - take a line apart
 * @line: lent to @ret, and changed
 *
 * Return: whether it is one (Documentation/filesystems/proc.rst).
 */
bool mountinfo_parse(char *line, struct mountinfo *ret);

/** mountinfo_unescape - in place: "\040" and its like, as the kernel writes */
void mountinfo_unescape(char *text);

/** mountinfo_has - whether a list of options has the word */
bool mountinfo_has(const char *options, const char *word);

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

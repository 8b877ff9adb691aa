/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mappings of a user namespace as text and as numbers: which id outside an id
 * inside stands for.  Nothing here asks the kernel.
 *
 * The text is inside:outside:size[,...], as mount options and labels have it;
 * the kernel's own files have the same three with blanks, one range a line.
 */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshotter.h"

/* What the kernel takes (UID_GID_MAP_MAX_EXTENTS). */
#define IDMAP_RANGES_MAX 340

/* And its text must be shorter than the smallest page: user_namespaces(7). */
#define IDMAP_KERNEL_TEXT_SIZE 4096

struct idmap_range {
	uint32_t inside, outside, size;
};

/* Never without a range; sorted by inside. */
struct idmap {
	size_t count;
	struct idmap_range ranges[];
};

/* The two mappings of one user namespace; both, or neither. */
struct idmaps {
	struct idmap *uid, *gid;
};

/**
 * idmap_parse - read inside:outside:size[,...]
 * @what: "uidmap", ... for the sentence
 * @ret:  taken; freed with free
 *
 * Return: 0, -EINVAL (no such text, a size of 0, an id past 4294967294, two
 *         ranges that overlap inside or outside, more than the kernel takes),
 *         -ENOMEM.
 */
int idmap_parse(const char *text, const char *what, struct idmap **ret,
		struct shale_error *err);

/**
 * idmap_parse_kernel - the same from what /proc/PID/uid_map holds
 */
int idmap_parse_kernel(const char *text, const char *what, struct idmap **ret,
		       struct shale_error *err);

/**
 * idmap_format - the mapping as text, its ranges in order
 *
 * One mapping has one such text.  Return: to be freed; NULL without memory.
 */
char *idmap_format(const struct idmap *map);

/**
 * idmap_format_kernel - the mapping as /proc/PID/uid_map takes it
 */
char *idmap_format_kernel(const struct idmap *map);

/** idmap_to_outside - what an id inside is outside; false where nothing */
bool idmap_to_outside(const struct idmap *map, uint32_t id, uint32_t *ret);

/** idmap_to_inside - what an id outside is inside; false where nothing */
bool idmap_to_inside(const struct idmap *map, uint32_t id, uint32_t *ret);

/** idmap_root - what 0 is outside; where it is nothing, the first id */
uint32_t idmap_root(const struct idmap *map);

/**
 * idmaps_parse - read both mappings
 * @uid, @gid: NULL or "" for none; one alone is refused
 * @ret:       cleared with idmaps_clear; empty where both are none
 *
 * Return: as idmap_parse.
 */
int idmaps_parse(const char *uid, const char *gid, struct idmaps *ret,
		 struct shale_error *err);

/** idmaps_clear - free both */
void idmaps_clear(struct idmaps *maps);

#define auto_idmaps __attribute__((cleanup(idmaps_clear))) struct idmaps

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The user namespace of a container: as config.json asks for it, and as its
 * process has it.
 */
#ifndef DOOR_MAPPING_H
#define DOOR_MAPPING_H

#include <stdbool.h>
#include <sys/types.h>

#include "json.h"
#include "snapshotter.h"

/**
 * struct mapping - two mappings as SHALE_LABEL_UIDMAP and _GIDMAP have them
 * @uid, @gid: one text for one mapping, so that strcmp tells; both NULL where
 *             the ids are ours
 * @path:      of a user namespace that is there already, the mapping of which
 *             config.json does not tell; NULL for none; lent
 */
struct mapping {
	char *uid, *gid;
	const char *path;
};

/**
 * mapping_of_config - linux.namespaces, uidMappings and gidMappings
 * @object: the member "linux" of config.json; may be NULL
 * @ret:    cleared with mapping_clear; @ret->path is the document's
 *
 * Without a user namespace the two lists say nothing.
 *
 * Return: 0, -EINVAL (a list of something else, or no mapping), -ENOMEM.
 */
int mapping_of_config(const struct json *object, struct mapping *ret,
		      struct shale_error *err);

/**
 * mapping_of_process - the mapping that a process has, as we count outside
 * @ret: cleared with mapping_clear; empty where its user namespace is ours
 *
 * Return: 0 or a negative errno.
 */
int mapping_of_process(long pid, struct mapping *ret, struct shale_error *err);

/**
 * mapping_check_known - for who has no process yet that could be asked
 *
 * Return: 0, or -ENOTSUP where there is a path and nothing else.
 */
int mapping_check_known(const struct mapping *mapping, struct shale_error *err);

/** mapping_is_same - whether two map alike */
bool mapping_is_same(const struct mapping *a, const struct mapping *b);

/**
 * mapping_root - who the container's root is outside
 *
 * We without a mapping; where it maps no 0, its first id.
 */
void mapping_root(const struct mapping *mapping, uid_t *ret_uid,
		  gid_t *ret_gid);

/** mapping_clear - free what it holds */
void mapping_clear(struct mapping *mapping);

#define auto_mapping __attribute__((cleanup(mapping_clear))) struct mapping

#endif

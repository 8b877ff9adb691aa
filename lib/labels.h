/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels: pairs of UTF-8 strings, kept sorted by key, written as one line of
 * JSON into a symlink, or into a file where that is too short.
 */
#ifndef LIB_LABELS_H
#define LIB_LABELS_H

#include <stddef.h>
#include <sys/stat.h>

#include "idmap.h"
#include "snapshotter.h"

/* All labels of one snapshot, as JSON. */
#define LABELS_SIZE_MAX 65536

/**
 * labels_new - a sorted copy of key, value, ..., NULL
 * @pairs: may be NULL
 * @ret:   taken; freed with labels_free
 *
 * Return: 0, -EINVAL (an empty or repeated key, no UTF-8, too much), -ENOMEM.
 */
int labels_new(const char *const *pairs, char ***ret, struct shale_error *err);

/** labels_free - accepts NULL */
void labels_free(char **labels);

/** labels_get - the value of @key, or NULL */
const char *labels_get(const char *const *labels, const char *key);

/**
 * labels_maps - the mapping that SHALE_LABEL_UIDMAP and _GIDMAP tell
 * @ret: cleared with idmaps_clear; empty without these labels
 *
 * Return: 0, -EINVAL (malformed, one without the other, or without an id for
 *         0), -ENOMEM.
 */
int labels_maps(const char *const *labels, struct idmaps *ret,
		struct shale_error *err);

/**
 * labels_merge - what an update makes of @old
 * @pairs, @fields: as of shale_update
 */
int labels_merge(const char *const *old, const char *const *pairs,
		 const char *const *fields, char ***ret,
		 struct shale_error *err);

/**
 * labels_load - read the labels that @name in @dir_fd holds
 * @ret:  taken; an empty list where there is no @name
 * @ret_st: of @name; st_ino 0 where there is none
 *
 * Return: 0, -EUCLEAN (not what labels_store writes), or another errno.
 */
int labels_load(int dir_fd, const char *name, char ***ret, struct stat *ret_st);

/**
 * labels_store - create @name in @dir_fd; nothing where @labels is empty
 *
 * A file is synced here, at every level of durability: renamed into place
 * unsynced it could come back empty (measured on xfs).
 *
 * Return: 0 or a negative errno.
 */
int labels_store(int dir_fd, const char *name, const char *const *labels);

static inline void drop_labels(char ***labels)
{
	labels_free(*labels);
	*labels = NULL;
}

#define auto_labels __attribute__((cleanup(drop_labels))) char **

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Giving the files of a tree to others: each owner becomes what a mapping makes
 * of it.  For kernels and file systems without idmapped mounts.
 */
#ifndef BASE_SHIFT_H
#define BASE_SHIFT_H

#include <stdbool.h>
#include <sys/types.h>

#include "idmap.h"

/* The owner of what the mapping has not, on either side: nobody. */
#define SHIFT_NOBODY 65534u

/**
 * struct shift - how to shift
 * @maps:      lent
 * @to_inside: from the ids outside to those inside; else the other way
 * @stop:      asked again and again; nonzero ends with -ECANCELED; may be NULL
 */
struct shift {
	const struct idmaps *maps;
	bool to_inside;
	int (*stop)(void *ctx);
	void *ctx;
};

/** shift_uid, shift_gid - what becomes of an owner */
uid_t shift_uid(const struct shift *shift, uid_t uid);
gid_t shift_gid(const struct shift *shift, gid_t gid);

/**
 * shift_tree - shift a directory and all below it
 * @dir_fd: readable; of the caller's alone
 *
 * Owners, the ids in ACLs, and the owner of a namespace in capabilities; a
 * file of several names once, whiteouts not at all.  Modes with their set-ID bits, capabilities and
 * times of change of content stay.  Crosses no mount, follows no link.
 *
 * Return: 0, -ECANCELED or another negative errno; with a sentence.  What was
 *         shifted till then stays so.
 */
int shift_tree(int dir_fd, const struct shift *shift, struct shale_error *err);

#endif

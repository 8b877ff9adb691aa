/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The end of what a door has mounted on the host for a container: its mount,
 * its key and its record.
 */
#ifndef DOOR_REAP_H
#define DOOR_REAP_H

#include <stdbool.h>
#include <stdint.h>

#include "mounted.h"
#include "owner.h"
#include "shale.h"

/**
 * reap_one - unmount, do with the key what its creation recorded, forget
 * @mounted: held; cleared where the record is removed
 * @is_late: as in struct release: nobody told of the stop
 *
 * May be called again after it failed or died at any point.  Needs the record
 * and the store alone.  A mount that is in another mount namespace is waited
 * for, five seconds, and then left with its key and record.
 *
 * Return: 0, -EBUSY (it is mounted where we can't reach it), or as
 *         door_release: then it is unmounted and forgotten, and the key is
 *         still there.
 */
int reap_one(struct mounted *mounted, bool is_late, struct shale_error *err);

/**
 * reap_undo - unmount, and undo the claim of the key; the record stays
 * @mounted: held, with what its door has mounted so far
 *
 * For a door that failed, or whose runtime did.  Where it fails the record is
 * still wanted: reap_one tries again.
 *
 * Return: 0, -EBUSY as reap_one, or as door_unclaim_unused.
 */
int reap_undo(struct shale_store *store, struct mounted *mounted,
	      enum claimed claimed, struct shale_error *err);

/**
 * reap_owner - whose key the record's is, as its labels have it
 *
 * Return: strings are the record's.
 */
struct owner reap_owner(const struct mounted *mounted);

/**
 * reap_gone - the same for every container of a store that is gone
 * @root:        of the store
 * @ret_removed: how many records; may be NULL
 *
 * Return: 0 or the first failure; the others are reaped all the same.
 */
int reap_gone(const char *root, uint64_t *ret_removed, struct shale_error *err);

/**
 * reap_check - find the records that say what can't be true
 * @root:   of the store; records about others are left alone
 * @repair: reap those with which nothing is lost: that are no record, or whose
 *          key is gone with their container
 * @emit:   gets each; nonzero stops and is returned
 *
 * Return: 0, what @emit returned, or a negative errno.
 */
int reap_check(struct shale_store *store, const char *root, bool repair,
	       shale_finding_fn *emit, void *ctx, struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stage precreate leaves on the host, and who takes it down: poststop,
 * the next call for the same container, or `shale cleanup`.
 *
 * podman calls poststop at each stop, but never after a start that failed.
 */
#ifndef DOOR_PRECREATE_H
#define DOOR_PRECREATE_H

#include <stdint.h>

#include "attachment.h"
#include "owner.h"
#include "shale.h"

/* In labels and below /run/shale. */
#define PRECREATE_DOOR "precreate"

/**
 * precreate_owner - whose key it is: podman's one id names the container
 */
struct owner precreate_owner(const char *container);

/**
 * precreate_is_of_store - whether a record is about this store
 * @root: of the store
 */
bool precreate_is_of_store(const struct attachment *a, const char *root);

/**
 * precreate_stop - a container has stopped: unmount, then door_release
 * @release: its owner and key are filled in here
 *
 * Return: 0, also where nothing is on record, or as door_release; what could
 *         not be done is left to `shale cleanup`.
 */
int precreate_stop(struct shale_store *store, const char *container,
		   const struct release *release, struct shale_error *err);

/**
 * precreate_abandon - what an earlier start left, when nothing uses it
 * @a: stays open, and the directory with it
 *
 * Unmounts, then door_abandon.
 *
 * Return: 0, -EBUSY (a process has it as its root), or another errno.
 */
int precreate_abandon(struct shale_store *store, struct attachment *a,
		      struct shale_error *err);

/**
 * precreate_check - find records whose container or key is gone
 * @root: of the store; records about others are left alone
 * @emit: gets each; nonzero stops and is returned
 *
 * Return: 0, what @emit returned, or a negative errno.
 */
int precreate_check(struct shale_store *store, const char *root,
		    shale_finding_fn *emit, void *ctx, struct shale_error *err);

/**
 * precreate_cleanup - precreate_abandon for all containers that are gone
 * @root: of the store; records about others are left alone
 * @ret_removed: how many mounts and directories; may be NULL
 *
 * What a live process uses, or the caller of a start that is going on, stays.
 *
 * Return: 0 or the first failure; the others are removed all the same.
 */
int precreate_cleanup(struct shale_store *store, const char *root,
		      uint64_t *ret_removed, struct shale_error *err);

#endif

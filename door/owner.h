/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keys made for containers: whose they are, how the same container gets its
 * key again at its next start, and what becomes of it at its stop.
 *
 * A key made here carries labels: org.shale.door, org.shale.runtime-root,
 * org.shale.container, org.shale.bundle (whose it is), org.shale.boot and
 * org.shale.onstop.  A key whose first four are not the caller's own is never
 * adopted, changed, committed or removed; a runtime root that was not known
 * when the key was made, "", is anybody's.
 */
#ifndef DOOR_OWNER_H
#define DOOR_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mapping.h"
#include "policy.h"
#include "shale.h"

#define OWNER_LABEL_DOOR "org.shale.door"
#define OWNER_LABEL_RUNTIME_ROOT "org.shale.runtime-root"
#define OWNER_LABEL_CONTAINER "org.shale.container"
#define OWNER_LABEL_BUNDLE "org.shale.bundle"
#define OWNER_LABEL_BOOT "org.shale.boot"
#define OWNER_LABEL_ONSTOP "org.shale.onstop"

/**
 * struct owner - who a key is for; strings are lent
 * @door:         "hook", "precreate" or "runtime"
 * @runtime_root: "" where it is not known
 */
struct owner {
	const char *door, *runtime_root, *container, *bundle;
};

/**
 * struct claim - what a container is to get; strings are lent
 * @onstop: as the annotation has it
 * @mapping: of its user namespace; NULL for none
 * @is_volatile: where @onstop is `remove`, and a new active is made, that is
 *          volatile: nobody reads it after a crash of the machine
 * @pid:    of the container's init, as the host counts; 0 where it has none
 *          yet and its mount alone will tell (see SHALE_LABEL_USER)
 */
struct claim {
	const struct owner *owner;
	const char *key, *parent, *onstop;
	const struct mapping *mapping;
	bool is_view, is_volatile;
	long pid;
};

/* What door_claim did, so that door_unclaim can undo it. */
enum claimed {
	CLAIMED_MADE,
	CLAIMED_ADOPTED,
};

/**
 * door_claim - make a container's key, or adopt the one that it has
 *
 * A new key is made by prepare or view, with its owner and user on record at
 * once.  A key that exists is adopted when it is the owner's own, of the same
 * parent, kind and mapping, and not in use.  One that is left of an earlier boot with
 * onstop `remove` is removed and made anew.
 *
 * Return: 0, -EEXIST (somebody else's key, or of another parent, kind or
 *         mapping, or one that was made volatile to be removed and now is to
 *         be kept or committed), -EBUSY (its own, in use), or as shale_prepare.
 */
int door_claim(struct shale_store *store, const struct claim *claim,
	       enum claimed *ret, struct shale_error *err);

/**
 * door_unclaim - undo door_claim after a later failure, of which the container
 * dies
 *
 * A key that was made is removed, even if the container has it mounted still;
 * one that was adopted is in nobody's use.
 */
void door_unclaim(struct shale_store *store, const char *key,
		  enum claimed claimed);

/**
 * door_unclaim_unused - the same, once nothing is mounted on a key that was
 * made: five seconds
 * @watch_fd: as in struct release
 *
 * Return: 0, also where it is gone already, or as shale_remove: then the key
 *         is still there.
 */
int door_unclaim_unused(struct shale_store *store, const char *key,
			enum claimed claimed, int watch_fd,
			struct shale_error *err);

/**
 * door_set_user - say who uses a key of ours from now on
 * @claim: its owner, key and pid count
 */
int door_set_user(struct shale_store *store, const struct claim *claim,
		  struct shale_error *err);

/**
 * struct release - what a stop needs to know; all lent
 * @root:   of the store, for how full its disk is
 * @policy: asked again before a commit
 * @uid:    who runs the runtime
 * @watch_fd: lent; tells of the last use of the key's mount (lastuse.h); -1
 *           for none
 * @is_late: nobody told of the stop, the container was found to be gone: what
 *           is to be committed stays as it is
 */
struct release {
	const struct owner *owner;
	const char *key, *root;
	const struct policy *policy;
	uid_t uid;
	int watch_fd;
	bool is_late;
};

/**
 * door_release - do with a container's key what its creation recorded
 *
 * remove removes it, keep leaves it to the next start, commit=NAME commits it.
 * Any number of times: an absent key, and one of another owner, is success.
 * Where the owner's runtime_root is "", as at a stop that podman reports, the
 * key is its own once the recorded runtime no longer has the container.
 * While the kernel still takes the container's mounts down, -EBUSY is tried
 * again for five seconds; with a @watch_fd from when that tells, or once when
 * five seconds are over.  A commit that fails, is past the policy's max_bytes or
 * finds less than 5 % of the disk free leaves the key as it is.
 *
 * Return: 0, -EBUSY, -EPERM (the policy no longer allows it), -EFBIG
 *         (max_bytes), -ENOSPC, or as shale_commit and shale_remove.
 */
int door_release(struct shale_store *store, const struct release *release,
		 struct shale_error *err);

/**
 * door_check - find the keys of containers that are gone
 * @emit: gets each; nonzero stops and is returned
 *
 * For `shale check`.  Told are those that door_cleanup would remove, and those
 * that were to be committed at a stop that never came.  What is to be kept
 * waits for the next start, and is in order.
 *
 * Return: 0, what @emit returned, or a negative errno.
 */
int door_check(struct shale_store *store, shale_finding_fn *emit, void *ctx,
	       struct shale_error *err);

/**
 * door_cleanup - remove the keys of containers that are gone
 * @ret_removed: how many; may be NULL
 *
 * For `shale cleanup`.  Removed are keys that a door made with onstop
 * `remove`, that no live process uses, and that are of an earlier boot or
 * whose container has no directory in its runtime's root any more.  What
 * is to be kept or committed stays, and what is on record with its mount
 * (mounted.h): reap_gone takes that down.
 *
 * Return: 0 or the first failure; the others are removed all the same.
 */
int door_cleanup(struct shale_store *store, uint64_t *ret_removed,
		 struct shale_error *err);

#endif

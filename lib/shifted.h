/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies of layers in which files belong to whom a mapping gives them, for
 * kernels and file systems without idmapped mounts (slow_chown): one copy for
 * each layer and mapping, in ROOT/mapped/MAP-ID/ID.  A copy is a cache: where
 * it is missing it is made again.
 */
#ifndef LIB_SHIFTED_H
#define LIB_SHIFTED_H

#include "chain.h"
#include "idmap.h"

/**
 * shifted_is_needed - whether a mapping wants copies here
 *
 * slow_chown is set, and the store can't be mounted idmapped.
 */
bool shifted_is_needed(struct overlay *ov, const struct idmaps *maps);

/** shifted_map_id - the ID of a mapping; -ENOMEM */
int shifted_map_id(const struct idmaps *maps, char ret[ID_SIZE]);

/**
 * shifted_make - see that each layer of a chain has its copy
 * @map_id: of @maps
 *
 * Takes as long as it takes, without the lock; synced unless durability is
 * `none`, since a half copy must not be taken for a whole one.
 */
int shifted_make(struct overlay *ov, const struct idmaps *maps,
		 const char *map_id, const struct chain *chain,
		 struct shale_error *err);

/**
 * shifted_give_back - give the files of a copy of an active's to the owners
 * inside; nothing where the active is none of slow_chown
 */
int shifted_give_back(struct overlay *ov, const struct record *active,
		      int fs_fd, struct shale_error *err);

/**
 * shifted_take - move all copies of a layer to trash; the lock is held
 * @ret_trash: its name there; "" where there was none
 *
 * Before the layer itself goes.
 */
void shifted_take(struct overlay *ov, const char *id, char ret_trash[ID_SIZE]);

/** shifted_is_whole - whether a copy is one of a layer that is there */
bool shifted_is_whole(struct overlay *ov, const char *map_id, const char *id);

/**
 * shifted_remove - remove a copy that is not whole
 *
 * Return: 0, -ENOENT (it is gone, or whole), or another errno with a sentence.
 */
int shifted_remove(struct overlay *ov, const char *map_id, const char *id,
		   struct shale_error *err);

/**
 * shifted_cleanup - remove the copies that no key needs
 * @removed: counted up
 *
 * Those of mappings that no active or view has, and of layers that are gone.
 */
int shifted_cleanup(struct overlay *ov, uint64_t *removed,
		    struct shale_error *err);

#endif

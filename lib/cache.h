/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a handle has read, under a mutex: records, and how many children each
 * committed snapshot has.  All of it belongs to one even generation.  It is
 * served while the store still has that generation, so no answer is stale.
 */
#ifndef LIB_CACHE_H
#define LIB_CACHE_H

#include "record.h"

struct cache *cache_new(void);
void cache_free(struct cache *cache); /* accepts NULL */

/**
 * cache_get - the record of an ID, if it is known at @generation
 *
 * Return: a reference, or NULL.
 */
struct record *cache_get(struct cache *cache, uint64_t generation,
			 enum room room, const char *id);

/**
 * cache_find - the same of either room: no ID is in both
 */
struct record *cache_find(struct cache *cache, uint64_t generation,
			  const char *id);

/**
 * cache_put - keep what was read while @generation, even, did not change
 */
void cache_put(struct cache *cache, uint64_t generation, struct record *record);

/**
 * cache_change - a writer of this handle changes the store
 * @generation: even; the one that the writer found
 * @next:       the one after the change
 *
 * Called with the store's lock held.  What is kept goes over to @next, or is
 * dropped where it was of another than @generation.
 */
void cache_change(struct cache *cache, uint64_t generation, uint64_t next);

/**
 * cache_add - the writer has made this one, for the generation after its change
 */
void cache_add(struct cache *cache, struct record *record);

/** cache_forget - the writer changed or moved this directory */
void cache_forget(struct cache *cache, enum room room, const char *id);

/**
 * cache_drop - the writer has moved a layer, which may be below others: nothing
 * that was read before is served any more
 */
void cache_drop(struct cache *cache);

/**
 * cache_set_whole - a room was read from end to end while @generation, even, did
 * not change, and @count snapshots were found
 *
 * Until the next change cache_list knows them all.
 */
void cache_set_whole(struct cache *cache, uint64_t generation, enum room room,
		     size_t count);

/**
 * cache_list - all snapshots of a room
 *
 * Return: references, NULL after the last; to be freed, and each to be given
 *         back.  NULL where not all are known at @generation.
 */
struct record **cache_list(struct cache *cache, uint64_t generation,
			   enum room room);

/** cache_count - the writer gave @parent_id a child more or less; "" is none
 */
void cache_count(struct cache *cache, const char *parent_id, int by);

/**
 * cache_children - number of children of a committed snapshot
 *
 * Return: the number, or -1 where it is not known at @generation.
 */
long cache_children(struct cache *cache, uint64_t generation, const char *id);

/* A count of all children under way: see children.c. */
struct tally;
struct tally *tally_new(void);
void tally_free(struct tally *tally); /* accepts NULL */
int tally_add(struct tally *tally, const char *id);
long tally_get(const struct tally *tally, const char *id);

/**
 * cache_put_tally - keep a whole count
 * @tally: taken
 */
void cache_put_tally(struct cache *cache, uint64_t generation,
		     struct tally *tally);

#endif

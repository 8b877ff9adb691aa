/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cache of a handle: see cache.h.
 */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "idtable.h"
#include "scope.h"

struct count {
	char id[ID_SIZE]; /* first: see idtable.h */
	long n;
};

struct tally {
	struct idtable counts;
};

struct cache {
	pthread_mutex_t mutex;
	uint64_t generation;
	struct idtable records[2]; /* by enum room */
	bool is_whole[2];	   /* all that the room has is there */
	struct tally *tally;	   /* NULL: not counted */
};

struct tally *tally_new(void)
{
	return calloc(1, sizeof(struct tally));
}

void tally_free(struct tally *tally)
{
	if (!tally)
		return;
	idtable_clear(&tally->counts, free);
	free(tally);
}

static int tally_change(struct tally *tally, const char *id, int by)
{
	struct count *count = idtable_find(&tally->counts, id);

	if (!count) {
		count = calloc(1, sizeof(*count));
		if (!count)
			return -ENOMEM;
		memcpy(count->id, id, ID_SIZE);
		if (idtable_add(&tally->counts, count) < 0) {
			free(count);
			return -ENOMEM;
		}
	}
	count->n += by;
	/* Or it would stay when the snapshot is long deleted. */
	if (count->n == 0)
		free(idtable_take(&tally->counts, id));
	return 0;
}

int tally_add(struct tally *tally, const char *id)
{
	return tally_change(tally, id, 1);
}

long tally_get(const struct tally *tally, const char *id)
{
	const struct count *count = idtable_find(&tally->counts, id);

	return count ? count->n : 0;
}

static void unref_entry(void *record)
{
	record_unref(record);
}

static void flush(struct cache *cache)
{
	for (int room = 0; room < 2; room++) {
		idtable_clear(&cache->records[room], unref_entry);
		cache->is_whole[room] = false;
	}
	tally_free(take_ptr(&cache->tally));
}

struct cache *cache_new(void)
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (cache)
		(void)pthread_mutex_init(&cache->mutex, NULL);
	return cache;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	flush(cache);
	(void)pthread_mutex_destroy(&cache->mutex);
	free(cache);
}

struct record *cache_get(struct cache *cache, uint64_t generation,
			 enum room room, const char *id)
{
	struct record *ret = NULL;

	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation == generation)
		ret = idtable_find(&cache->records[room], id);
	if (ret)
		(void)record_ref(ret);
	(void)pthread_mutex_unlock(&cache->mutex);
	return ret;
}

struct record *cache_find(struct cache *cache, uint64_t generation,
			  const char *id)
{
	struct record *ret = NULL;

	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation == generation)
		ret = idtable_find(&cache->records[ROOM_ACTIVE], id);
	if (cache->generation == generation && !ret)
		ret = idtable_find(&cache->records[ROOM_SNAPSHOTS], id);
	if (ret)
		(void)record_ref(ret);
	(void)pthread_mutex_unlock(&cache->mutex);
	return ret;
}

/* Makes the cache one of @generation; false where it is of a later one. */
static bool move_to(struct cache *cache, uint64_t generation)
{
	if (cache->generation > generation)
		return false;
	if (cache->generation < generation)
		flush(cache);
	cache->generation = generation;
	return true;
}

static void forget(struct cache *cache, enum room room, const char *id)
{
	record_unref(idtable_take(&cache->records[room], id));
}

/* Without memory it is read again next time. */
static void add(struct cache *cache, struct record *record)
{
	if (idtable_add(&cache->records[record->room], record) == 0)
		(void)record_ref(record);
}

void cache_put(struct cache *cache, uint64_t generation, struct record *record)
{
	(void)pthread_mutex_lock(&cache->mutex);
	if (move_to(cache, generation) &&
	    !idtable_find(&cache->records[record->room], record->id))
		add(cache, record);
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_change(struct cache *cache, uint64_t generation, uint64_t next)
{
	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation != generation)
		flush(cache);
	cache->generation = next;
	cache->is_whole[ROOM_ACTIVE] = cache->is_whole[ROOM_SNAPSHOTS] = false;
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_add(struct cache *cache, struct record *record)
{
	(void)pthread_mutex_lock(&cache->mutex);
	forget(cache, record->room, record->id);
	add(cache, record);
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_forget(struct cache *cache, enum room room, const char *id)
{
	(void)pthread_mutex_lock(&cache->mutex);
	forget(cache, room, id);
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_drop(struct cache *cache)
{
	(void)pthread_mutex_lock(&cache->mutex);
	flush(cache);
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_set_whole(struct cache *cache, uint64_t generation, enum room room,
		     size_t count)
{
	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation == generation &&
	    cache->records[room].used == count)
		cache->is_whole[room] = true;
	(void)pthread_mutex_unlock(&cache->mutex);
}

static struct record **list(const struct idtable *table)
{
	struct record **ret = malloc((table->used + 1) * sizeof(*ret));
	size_t n = 0;

	for (size_t i = 0; ret && i < table->size; i++)
		if (table->slots[i])
			ret[n++] = record_ref(table->slots[i]);
	if (ret)
		ret[n] = NULL;
	return ret;
}

struct record **cache_list(struct cache *cache, uint64_t generation,
			   enum room room)
{
	struct record **ret = NULL;

	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation == generation && cache->is_whole[room])
		ret = list(&cache->records[room]);
	(void)pthread_mutex_unlock(&cache->mutex);
	return ret;
}

void cache_count(struct cache *cache, const char *parent_id, int by)
{
	if (!*parent_id)
		return;
	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->tally && tally_change(cache->tally, parent_id, by) < 0)
		tally_free(take_ptr(&cache->tally));
	(void)pthread_mutex_unlock(&cache->mutex);
}

long cache_children(struct cache *cache, uint64_t generation, const char *id)
{
	long n = -1;

	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation == generation && cache->tally)
		n = tally_get(cache->tally, id);
	(void)pthread_mutex_unlock(&cache->mutex);
	return n;
}

void cache_put_tally(struct cache *cache, uint64_t generation,
		     struct tally *tally)
{
	(void)pthread_mutex_lock(&cache->mutex);
	if (move_to(cache, generation)) {
		tally_free(cache->tally);
		cache->tally = take_ptr(&tally);
	}
	(void)pthread_mutex_unlock(&cache->mutex);
	tally_free(tally);
}

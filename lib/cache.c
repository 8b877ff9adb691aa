/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The cache of a handle: see cache.h.  libc's balanced trees hold it.
 */
#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "scope.h"

struct count {
	char id[ID_SIZE];
	long n;
};

struct tally {
	void *counts;
};

struct cache {
	pthread_mutex_t mutex;
	uint64_t generation;
	void *records[2];    /* by enum room */
	struct tally *tally; /* NULL: not counted */
};

static int compare_counts(const void *a, const void *b)
{
	return memcmp(((const struct count *)a)->id,
		      ((const struct count *)b)->id, ID_SIZE);
}

struct tally *tally_new(void)
{
	return calloc(1, sizeof(struct tally));
}

void tally_free(struct tally *tally)
{
	if (!tally)
		return;
	tdestroy(tally->counts, free);
	free(tally);
}

static struct count *tally_find(const struct tally *tally, const char *id)
{
	struct count wanted;
	struct count *const *found;

	memcpy(wanted.id, id, ID_SIZE);
	found = tfind(&wanted, &tally->counts, compare_counts);
	return found ? *found : NULL;
}

static int tally_change(struct tally *tally, const char *id, int by)
{
	struct count *count = tally_find(tally, id);

	if (!count) {
		count = calloc(1, sizeof(*count));
		if (!count)
			return -ENOMEM;
		memcpy(count->id, id, ID_SIZE);
		if (!tsearch(count, &tally->counts, compare_counts)) {
			free(count);
			return -ENOMEM;
		}
	}
	count->n += by;
	return 0;
}

int tally_add(struct tally *tally, const char *id)
{
	return tally_change(tally, id, 1);
}

long tally_get(const struct tally *tally, const char *id)
{
	const struct count *count = tally_find(tally, id);

	return count ? count->n : 0;
}

static int compare_records(const void *a, const void *b)
{
	return memcmp(((const struct record *)a)->id,
		      ((const struct record *)b)->id, ID_SIZE);
}

static void unref_node(void *record)
{
	record_unref(record);
}

static void flush(struct cache *cache)
{
	for (int room = 0; room < 2; room++) {
		tdestroy(cache->records[room], unref_node);
		cache->records[room] = NULL;
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

static struct record **find(struct cache *cache, enum room room, const char *id)
{
	struct record wanted;

	memcpy(wanted.id, id, ID_SIZE);
	return tfind(&wanted, &cache->records[room], compare_records);
}

struct record *cache_get(struct cache *cache, uint64_t generation,
			 enum room room, const char *id)
{
	struct record *ret = NULL;

	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation == generation) {
		struct record **found = find(cache, room, id);

		if (found)
			ret = record_ref(*found);
	}
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
	struct record **found = find(cache, room, id);
	struct record *record;

	if (!found)
		return;
	record = *found;
	(void)tdelete(record, &cache->records[room], compare_records);
	record_unref(record);
}

void cache_put(struct cache *cache, uint64_t generation, struct record *record)
{
	(void)pthread_mutex_lock(&cache->mutex);
	if (move_to(cache, generation)) {
		/* Without memory it is read again next time. */
		struct record **node = tsearch(
			record, &cache->records[record->room], compare_records);

		if (node && *node == record)
			(void)record_ref(record);
	}
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_change(struct cache *cache, uint64_t generation)
{
	(void)pthread_mutex_lock(&cache->mutex);
	if (cache->generation != generation)
		flush(cache);
	cache->generation = generation + 2;
	(void)pthread_mutex_unlock(&cache->mutex);
}

void cache_forget(struct cache *cache, enum room room, const char *id)
{
	(void)pthread_mutex_lock(&cache->mutex);
	forget(cache, room, id);
	(void)pthread_mutex_unlock(&cache->mutex);
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

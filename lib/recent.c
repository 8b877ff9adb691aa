/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A few mounts, each in the place that its ID gives it: see recent.h.
 */
#include "recent.h"

#include <pthread.h>
#include <stdlib.h>

#include "scope.h"

/* A mount of 500 layers takes 40 KB: in all less than 3 MB. */
#define PLACES 64

struct recent {
	pthread_mutex_t mutex;
	struct recipe *recipes[PLACES];
};

struct recipe *recipe_new(struct record *record)
{
	struct recipe *recipe = calloc(1, sizeof(*recipe));

	if (!recipe)
		return NULL;
	atomic_init(&recipe->refs, 1);
	recipe->record = record_ref(record);
	recipe->spec.size = sizeof(recipe->spec);
	return recipe;
}

void recipe_unref(struct recipe *recipe)
{
	if (!recipe || atomic_fetch_sub(&recipe->refs, 1) != 1)
		return;
	record_unref(recipe->record);
	options_drop(&recipe->options);
	free(recipe->source);
	free(recipe);
}

struct recent *recent_new(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));

	if (recent)
		(void)pthread_mutex_init(&recent->mutex, NULL);
	return recent;
}

void recent_free(struct recent *recent)
{
	if (!recent)
		return;
	for (size_t i = 0; i < PLACES; i++)
		recipe_unref(recent->recipes[i]);
	(void)pthread_mutex_destroy(&recent->mutex);
	free(recent);
}

/* The ID is a digest: two digits of it are spread well enough. */
static struct recipe **place_of(struct recent *recent,
				const struct record *record)
{
	unsigned int sum = (unsigned char)record->id[0] * 31u +
			   (unsigned char)record->id[1];

	return &recent->recipes[sum % PLACES];
}

struct recipe *recent_get(struct recent *recent, const struct record *record)
{
	struct recipe *ret;

	(void)pthread_mutex_lock(&recent->mutex);
	ret = *place_of(recent, record);
	if (ret && ret->record == record)
		(void)atomic_fetch_add(&ret->refs, 1);
	else
		ret = NULL;
	(void)pthread_mutex_unlock(&recent->mutex);
	return ret;
}

void recent_put(struct recent *recent, struct recipe *recipe)
{
	struct recipe **place = place_of(recent, recipe->record);
	struct recipe *old;

	(void)atomic_fetch_add(&recipe->refs, 1);
	(void)pthread_mutex_lock(&recent->mutex);
	old = *place;
	*place = recipe;
	(void)pthread_mutex_unlock(&recent->mutex);
	recipe_unref(old);
}

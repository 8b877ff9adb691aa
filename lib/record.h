/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one directory of snapshots/ or active/ says.
 */
#ifndef LIB_RECORD_H
#define LIB_RECORD_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "overlay.h"
#include "process.h"

/* Immutable once it is made, and shared by reference. */
struct record {
	char id[ID_SIZE];	 /* first: see idtable.h */
	char parent_id[ID_SIZE]; /* "" for none */
	char map_id[ID_SIZE];	 /* whose copies it has (shifted.h), or "" */
	atomic_uint refs;
	enum room room;
	uint32_t kind;
	char *name, *parent; /* parent "" for none */
	char **labels;	     /* sorted, NULL-terminated, never NULL */
	int64_t created_ns, updated_ns;
	char *upper; /* NAME/RANDOM of upper.h, or NULL: in the store */
	/* The boot of a volatile active, see volatile.h; "" for all others. */
	char volatile_boot[PROCESS_BOOT_ID_SIZE];
	dev_t dev; /* of the directory; proves nothing without its fd */
	ino_t ino;
};

struct record *record_ref(struct record *record);
void record_unref(struct record *record); /* accepts NULL */

static inline void drop_record(struct record **record)
{
	record_unref(*record);
	*record = NULL;
}

#define auto_record __attribute__((cleanup(drop_record))) struct record *

/**
 * record_load - a record from the cache, or from disk
 * @ret: taken; given back with record_unref
 *
 * Return: 0, -ENOENT (no certified directory), -EUCLEAN with a sentence, or
 *         another negative errno with one.  -ENOENT has none.
 */
int record_load(struct overlay *ov, enum room room, const char *id,
		struct record **ret, struct shale_error *err);

/**
 * record_load_at - the same for who reads many
 * @generation: generation_read of just now; made odd where the answer does
 *              not hold for it
 */
int record_load_at(struct overlay *ov, uint64_t *generation, enum room room,
		   const char *id, struct record **ret,
		   struct shale_error *err);

/**
 * record_read_still - the same for who compares the generation afterwards
 * @generation: even; as long as it stands nothing appears, goes or changes, so
 *              that half the calls do and even "absent" is true
 *
 * Nothing is put into the cache.
 *
 * Return: 0, -ENOENT, or -ESTALE: record_load finds out more.
 */
int record_read_still(struct overlay *ov, uint64_t generation, enum room room,
		      const char *id, struct record **ret);

/**
 * record_load_fresh - the same past the cache, as a writer that holds the
 * lock needs it
 */
int record_load_fresh(struct overlay *ov, enum room room, const char *id,
		      struct record **ret, struct shale_error *err);

/**
 * record_find - the snapshot of any kind that has a name
 *
 * Return: 0, -ENOENT with the sentence "no such snapshot", or as above; the name
 *         is the caller's context.
 */
int record_find(struct overlay *ov, const char *name, struct record **ret,
		struct shale_error *err);

/**
 * record_find_at - the same, and when that was so
 * @generation: the even generation for which the answer holds, or an odd number;
 *              a writer that finds this generation need not look again
 */
int record_find_at(struct overlay *ov, const char *name, uint64_t *generation,
		   struct record **ret, struct shale_error *err);

/**
 * record_find_fresh - the same past the cache
 */
int record_find_fresh(struct overlay *ov, const char *name, struct record **ret,
		      struct shale_error *err);

/**
 * record_load_removable, record_find_removable - the same, past the cache,
 * also where parent or labels contradict the rest
 *
 * Such a record has what could be read; it is good for taking it away alone.
 */
int record_load_removable(struct overlay *ov, enum room room, const char *id,
			  struct record **ret, struct shale_error *err);
int record_find_removable(struct overlay *ov, const char *name,
			  struct record **ret, struct shale_error *err);

/** record_info - the record as snapshotter.h shows it; borrowed from it */
struct shale_info record_info(const struct record *record);

/** record_kind_fact - "key", "view" or "name" */
const char *record_kind_fact(uint32_t kind);

/** record_room_name - "active" or "snapshots" */
const char *record_room_name(enum room room);

/**
 * record_each_id - visit the IDs of a room
 * @visit: nonzero stops and is returned
 */
int record_each_id(struct overlay *ov, enum room room,
		   int (*visit)(void *ctx, const char *id), void *ctx,
		   struct shale_error *err);

#endif

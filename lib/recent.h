/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mounts that a handle computed lately.  What a record says never changes,
 * nor do the layers below a snapshot while that is there, so that a mount is
 * the same as long as the record is.  What mends or sweeps up a damaged layer
 * drops all records (cache_drop).
 */
#ifndef LIB_RECENT_H
#define LIB_RECENT_H

#include <stdatomic.h>

#include "options.h"
#include "record.h"

/* A mount with all that it points to; shared by reference.  Of a committed
 * record that others were mounted on: `lowerdir=`, with it and all below, alone.
 */
struct recipe {
	atomic_uint refs;
	struct record *record; /* whose mount it is */
	struct options options;
	char *source; /* NULL: the type's own */
	struct shale_mount_spec spec;
};

/** recipe_new - an empty one for a record, or NULL without memory */
struct recipe *recipe_new(struct record *record);

void recipe_unref(struct recipe *recipe); /* accepts NULL */

static inline void drop_recipe(struct recipe **recipe)
{
	recipe_unref(*recipe);
	*recipe = NULL;
}

#define auto_recipe __attribute__((cleanup(drop_recipe))) struct recipe *

struct recent *recent_new(void);
void recent_free(struct recent *recent); /* accepts NULL */

/** recent_get - the mount of this very record: a reference, or NULL */
struct recipe *recent_get(struct recent *recent, const struct record *record);

/** recent_put - keep it, instead of an older one */
void recent_put(struct recent *recent, struct recipe *recipe);

#endif

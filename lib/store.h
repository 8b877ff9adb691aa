/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the operations that are composed of others need of a store handle.
 */
#ifndef LIB_STORE_H
#define LIB_STORE_H

#include "shale.h"

/** store_stop - whether the store's host said stop; @store is the handle */
int store_stop(void *store);

/**
 * flatten_cleanup - remove the keys of operations that died
 * @removed: added to
 *
 * Return: 0 or the first failure; the others are removed all the same.
 */
int flatten_cleanup(struct shale_store *store, uint64_t *removed,
		    struct shale_error *err);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What many did to one key at once, and whether there is an order of it in
 * which each got the right answer: one that also keeps who was done before
 * somebody else began (linearizability).
 *
 * An object is a key on a parent that stays, the name as which the key is
 * committed, and a child of that name: what couples two snapshots in a store
 * is within one object, so that each object is judged alone.
 */
#ifndef CRASH_HISTORY_H
#define CRASH_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many are a set of bits. */
#define HISTORY_MAX 64

enum history_op {
	HISTORY_PREPARE,
	HISTORY_UPDATE_KEY,
	HISTORY_STAT_KEY,
	HISTORY_COMMIT,
	HISTORY_REMOVE,
	HISTORY_UPDATE_NAME,
	HISTORY_STAT_NAME,
	HISTORY_DELETE,
	HISTORY_PREPARE_CHILD,
	HISTORY_EXISTS_CHILD,
	HISTORY_REMOVE_CHILD,
	HISTORY_OPS,
};

/**
 * struct history_event - one call
 * @object:      which key, name and child it was about
 * @version:     what prepare, update and commit write, unlike any other; what
 *               stat has read
 * @invoked_ns, @returned_ns: of one clock; a lost one returned when its
 *               process was dead for certain
 * @result:      0 or a negative errno
 * @is_lost:     the caller died in it: it has happened or it has not
 */
struct history_event {
	uint64_t object, version;
	int64_t invoked_ns, returned_ns;
	int32_t result;
	uint8_t op;
	bool is_lost;
};

/** history_op_name - "prepare", ... */
const char *history_op_name(enum history_op op);

/**
 * history_is_linear - whether such an order exists
 * @events: of one object, which begins with nothing; at most HISTORY_MAX
 *
 * Return: 1, 0, or -1 where the search was given up.
 */
int history_is_linear(const struct history_event *events, size_t count);

/** history_print - the events as comments of TAP, by the time they began */
void history_print(const struct history_event *events, size_t count);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The search for an order: see history.h.  Wing and Gong's, with the memory of
 * Lowe: a set of calls that are done, with the state they lead to, is tried
 * once.
 */
#include "history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_SIZE (1u << 20)

static const char *const names[HISTORY_OPS] = {
	[HISTORY_PREPARE] = "prepare",
	[HISTORY_UPDATE_KEY] = "update key",
	[HISTORY_STAT_KEY] = "stat key",
	[HISTORY_COMMIT] = "commit",
	[HISTORY_REMOVE] = "remove",
	[HISTORY_UPDATE_NAME] = "update name",
	[HISTORY_STAT_NAME] = "stat name",
	[HISTORY_DELETE] = "delete",
	[HISTORY_PREPARE_CHILD] = "prepare child",
	[HISTORY_EXISTS_CHILD] = "exists child",
	[HISTORY_REMOVE_CHILD] = "remove child",
};

const char *history_op_name(enum history_op op)
{
	return names[op];
}

/* Which event wrote what is there, counted from 1; 0: it is not there. */
struct state {
	uint8_t key, name;
	bool child;
};

struct seen {
	uint64_t done;
	struct state state;
	uint32_t search; /* of which this is; an older one's is free */
};

struct search {
	const struct history_event *events;
	size_t count;
	uint64_t all;
	uint8_t read[HISTORY_MAX]; /* the event whose version was read */
	bool may_be_busy[HISTORY_MAX];
	uint32_t number;
	size_t remembered;
};

static struct seen *memory;

/* ---- the model ---- */

/* Whether a snapshot that is there as @have, or not, gives this answer. */
static bool found(int result, bool have)
{
	return result == (have ? 0 : -ENOENT);
}

static bool apply_to_key(const struct search *s, size_t i, int result,
			 struct state *state)
{
	const uint8_t self = (uint8_t)(i + 1);

	switch (s->events[i].op) {
	case HISTORY_PREPARE:
		if (result != (state->key ? -EEXIST : 0))
			return false;
		state->key = state->key ? state->key : self;
		return true;
	case HISTORY_UPDATE_KEY:
		if (!found(result, state->key))
			return false;
		state->key = state->key ? self : 0;
		return true;
	case HISTORY_STAT_KEY:
		return found(result, state->key) &&
		       (result || s->read[i] == state->key);
	case HISTORY_REMOVE:
		if (result == -EBUSY)
			return s->may_be_busy[i];
		if (!found(result, state->key))
			return false;
		state->key = 0;
		return true;
	default: /* commit */
		if (result == -EBUSY)
			return s->may_be_busy[i];
		if (result == -ENOENT)
			return !state->key;
		if (result == -EEXIST)
			return state->name;
		if (result || !state->key || state->name)
			return false;
		state->key = 0;
		state->name = self;
		return true;
	}
}

static bool apply_to_name(const struct search *s, size_t i, int result,
			  struct state *state)
{
	switch (s->events[i].op) {
	case HISTORY_UPDATE_NAME:
		if (!found(result, state->name))
			return false;
		state->name = state->name ? (uint8_t)(i + 1) : 0;
		return true;
	case HISTORY_STAT_NAME:
		return found(result, state->name) &&
		       (result || s->read[i] == state->name);
	case HISTORY_DELETE:
		if (result == -EBUSY)
			return state->child;
		if (!found(result, state->name) || state->child)
			return false;
		state->name = 0;
		return true;
	case HISTORY_PREPARE_CHILD:
		if (result == -ENOENT)
			return !state->name;
		if (result == -EEXIST)
			return state->child;
		if (result || !state->name || state->child)
			return false;
		state->child = true;
		return true;
	case HISTORY_EXISTS_CHILD:
		return found(result, state->child);
	default: /* remove child */
		if (result == -EBUSY)
			return s->may_be_busy[i];
		if (!found(result, state->child))
			return false;
		state->child = false;
		return true;
	}
}

static bool apply(const struct search *s, size_t i, struct state *state)
{
	const struct history_event *event = &s->events[i];
	int result = event->is_lost ? 0 : event->result;

	return event->op <= HISTORY_REMOVE ? apply_to_key(s, i, result, state)
					   : apply_to_name(s, i, result, state);
}

/* ---- what is known before the search ---- */

/* Who holds a key's directory meanwhile: another commit or removal of it. */
static bool excludes(uint8_t op, uint8_t other)
{
	if (op == HISTORY_REMOVE_CHILD)
		return other == HISTORY_REMOVE_CHILD;
	return other == HISTORY_REMOVE || other == HISTORY_COMMIT;
}

static void prepare(struct search *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct history_event *a = &s->events[i];

		for (size_t k = 0; k < s->count; k++) {
			const struct history_event *b = &s->events[k];

			if (k == i)
				continue;
			if (b->version == a->version &&
			    b->op != HISTORY_STAT_KEY &&
			    b->op != HISTORY_STAT_NAME)
				s->read[i] = (uint8_t)(k + 1);
			if (excludes(a->op, b->op) &&
			    a->invoked_ns <= b->returned_ns &&
			    b->invoked_ns <= a->returned_ns)
				s->may_be_busy[i] = true;
		}
	}
}

/* ---- the search ---- */

/* Whether this is new; it is remembered then. */
static bool remember(struct search *s, uint64_t done, struct state state)
{
	uint64_t hash = done * UINT64_C(0x9e3779b97f4a7c15) +
			(state.key * 131u + state.name * 17u + state.child) *
				UINT64_C(0xc2b2ae3d27d4eb4f);
	size_t at = (hash >> 32) % MEMORY_SIZE;

	for (;; at = (at + 1) % MEMORY_SIZE) {
		struct seen *seen = &memory[at];

		if (seen->search != s->number) {
			*seen = (struct seen){ done, state, s->number };
			s->remembered++;
			return true;
		}
		if (seen->done == done && seen->state.key == state.key &&
		    seen->state.name == state.name &&
		    seen->state.child == state.child)
			return false;
	}
}

/* Who is not done and returned first; nobody that began later is next. */
static int64_t first_return(const struct search *s, uint64_t done)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < s->count; i++)
		if (!(done >> i & 1) && s->events[i].returned_ns < first)
			first = s->events[i].returned_ns;
	return first;
}

static int search(struct search *s, uint64_t done, struct state state)
{
	int64_t first;

	if (done == s->all)
		return 1;
	if (!remember(s, done, state))
		return 0;
	if (s->remembered > MEMORY_SIZE / 2)
		return -1;
	first = first_return(s, done);
	for (size_t i = 0; i < s->count; i++) {
		struct state next = state;
		uint64_t with = done | UINT64_C(1) << i;
		int r = 0;

		if (done >> i & 1 || s->events[i].invoked_ns > first)
			continue;
		if (apply(s, i, &next))
			r = search(s, with, next);
		if (r == 0 && s->events[i].is_lost)
			r = search(s, with, state);
		if (r != 0)
			return r;
	}
	return 0;
}

int history_is_linear(const struct history_event *events, size_t count)
{
	static uint32_t number;
	struct search s = { .events = events, .count = count };

	if (!memory)
		memory = calloc(MEMORY_SIZE, sizeof(*memory));
	if (!memory || count > HISTORY_MAX)
		return -1;
	s.number = ++number;
	s.all = count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
	prepare(&s);
	return search(&s, 0, (struct state){ 0 });
}

void history_print(const struct history_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct history_event *e = &events[i];
		int64_t since = e->invoked_ns - events[0].invoked_ns;

		printf("# %10lld +%10lld us  %-13s %-8s version %llx\n",
		       (long long)since / 1000,
		       (long long)(e->returned_ns - e->invoked_ns) / 1000,
		       names[e->op],
		       e->is_lost  ? "(died)"
		       : e->result ? strerrorname_np(-e->result)
				   : "0",
		       (unsigned long long)e->version);
	}
}

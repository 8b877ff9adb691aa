/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory for yajl: see yajl_memory.h.  Blocks hang in a ring, so that all of
 * them are found when yajl is left by longjmp.
 */
#include "yajl_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>

struct ring {
	struct ring *next, *before;
};

struct block {
	struct ring ring;
	max_align_t data[];
};

struct memory {
	struct ring ring;
	jmp_buf out;
};

static struct block *block_of(void *data)
{
	void *block = (char *)data - offsetof(struct block, data);

	return block;
}

static void *link_in(struct memory *memory, struct block *block)
{
	struct ring *first = memory->ring.next;

	if (!block)
		longjmp(memory->out, 1);
	block->ring = (struct ring){ first, &memory->ring };
	first->before = memory->ring.next = &block->ring;
	return block->data;
}

static void link_out(struct block *block)
{
	block->ring.before->next = block->ring.next;
	block->ring.next->before = block->ring.before;
}

static void *allocate(void *ctx, size_t size)
{
	return link_in(ctx, malloc(sizeof(struct block) + size));
}

static void release(void *ctx, void *data)
{
	(void)ctx;
	if (!data)
		return;
	link_out(block_of(data));
	free(block_of(data));
}

static void *resize(void *ctx, void *data, size_t size)
{
	struct block *block, *bigger;

	if (!data)
		return allocate(ctx, size);
	block = block_of(data);
	link_out(block);
	bigger = realloc(block, sizeof(*block) + size);
	if (!bigger)
		free(block);
	return link_in(ctx, bigger);
}

/* A function of its own, whose variables longjmp leaves as they are. */
static int run(struct memory *memory,
	       int (*work)(void *ctx, yajl_alloc_funcs *memory), void *ctx)
{
	yajl_alloc_funcs funcs = { allocate, resize, release, memory };

	return setjmp(memory->out) == 0 ? work(ctx, &funcs) : -ENOMEM;
}

int yajl_memory_run(int (*work)(void *ctx, yajl_alloc_funcs *memory), void *ctx)
{
	struct memory memory = { .ring = { &memory.ring, &memory.ring } };
	int r = run(&memory, work, ctx);

	while (memory.ring.next != &memory.ring) {
		struct ring *first = memory.ring.next;

		memory.ring.next = first->next;
		free(first); /* the first member of its block */
	}
	return r;
}

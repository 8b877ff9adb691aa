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

struct block {
	struct block *next, *before;
	max_align_t data[];
};

struct memory {
	struct block ring;
	jmp_buf out;
};

static struct block *block_of(void *data)
{
	return (struct block *)((char *)data - offsetof(struct block, data));
}

static void *link_in(struct memory *memory, struct block *block)
{
	if (!block)
		longjmp(memory->out, 1);
	block->next = memory->ring.next;
	block->before = &memory->ring;
	block->next->before = memory->ring.next = block;
	return block->data;
}

static void link_out(struct block *block)
{
	block->before->next = block->next;
	block->next->before = block->before;
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

int yajl_memory_run(int (*work)(void *ctx, yajl_alloc_funcs *memory), void *ctx)
{
	struct memory memory = { .ring = { &memory.ring, &memory.ring } };
	yajl_alloc_funcs funcs = { allocate, resize, release, &memory };
	int r = setjmp(memory.out) == 0 ? work(ctx, &funcs) : -ENOMEM;

	while (memory.ring.next != &memory.ring)
		release(&memory, memory.ring.next->data);
	return r;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "hwpt/table_memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_SIZE (UINT64_C(1) << 21)

/* A table of more blocks is large: what the last huge page of it leaves unused is less than what it has. */
#define SMALL_BLOCKS 64U

void table_memory_fini(struct table_memory *memory)
{
	for (struct table_block *block = memory->blocks, *next; block; block = next) {
		next = block->next;
		if (block->mapped)
			munmap(block, block->mapped);
		else
			free(block);
	}
	*memory = (struct table_memory){0};
}

void table_memory_expect(struct table_memory *memory, uint64_t bytes)
{
	memory->expected = memory->count + bytes / TABLE_BLOCK_SIZE;
}

static void keep(struct table_memory *memory, struct table_block *block, uint64_t mapped)
{
	block->mapped = mapped;
	block->next = memory->blocks;
	memory->blocks = block;
}

/* Maps a huge page, or what may become one. */
static void map_huge(struct table_memory *memory)
{
	char *at = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t head;

	if (at == MAP_FAILED)
		return;
	head = -(uintptr_t)at & (HUGE_SIZE - 1);
	if (head)
		munmap(at, head);
	munmap(at + head + HUGE_SIZE, HUGE_SIZE - head);
	memory->huge = at + head;
	memory->room = HUGE_SIZE;
	madvise(memory->huge, HUGE_SIZE, MADV_HUGEPAGE);
	keep(memory, (struct table_block *)memory->huge, HUGE_SIZE);
}

struct table_block *table_memory_take(struct table_memory *memory)
{
	struct table_block *block;

	if (!memory->room && (memory->count >= SMALL_BLOCKS || memory->expected >= SMALL_BLOCKS))
		map_huge(memory);
	if (memory->room) {
		block = (struct table_block *)memory->huge;
		memory->huge += TABLE_BLOCK_SIZE;
		memory->room -= TABLE_BLOCK_SIZE;
	} else {
		block = aligned_alloc(TABLE_BLOCK_SIZE, TABLE_BLOCK_SIZE);
		if (block)
			keep(memory, block, 0);
	}
	memory->count += block != NULL;
	return block;
}

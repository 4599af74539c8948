/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a table: blocks, aligned to their size, that stay until the table goes. A large table has its blocks in
 * huge pages, as a lookup at random would else miss the TLB at each step.
 */
#ifndef IOMMUSE_HWPT_TABLE_MEMORY_H
#define IOMMUSE_HWPT_TABLE_MEMORY_H

#include <stdint.h>

#define TABLE_BLOCK_SIZE   (UINT64_C(1) << 14)
#define TABLE_BLOCK_HEADER 64U

/* The first bytes of a block, which are not its user's. */
struct table_block {
	_Alignas(64) struct table_block *next;
	uint64_t mapped; /* bytes, of which this is the first block; 0: this one was allocated alone */
	uint64_t unused[6];
};

_Static_assert(sizeof(struct table_block) == TABLE_BLOCK_HEADER, "what follows begins at a cache line");

/* Begins as zeroes. */
struct table_memory {
	struct table_block *blocks; /* those that are freed */
	uint64_t count, expected;
	char *huge; /* the rest of what was mapped last */
	uint64_t room;
};

void table_memory_fini(struct table_memory *memory);

/* So many bytes are going to be wanted. */
void table_memory_expect(struct table_memory *memory, uint64_t bytes);

/* NULL: no memory. */
struct table_block *table_memory_take(struct table_memory *memory);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The translations of a paging domain: disjoint ranges of IOVAs, looked up by device threads without a lock while one
 * writer at a time (the IOAS's lock) changes them. A reader is inside an epoch (base/epoch.h) as long as it uses what
 * it found.
 *
 * A B+tree. Nodes have slots in ascending order, and a slot is dead while its pointer is NULL. A lookup follows, on
 * each level, the last slot whose start is not beyond the IOVA; what it finds in the end it checks. It never retries,
 * as each word that the writer stores keeps this true of every translation that is in the tree before and after: on
 * its way, slots before its own have starts that are not beyond its start, slots after its own have starts beyond its
 * last. Where that cannot be kept (a node is full, or spread anew) the writer makes new nodes, which come into sight by
 * one store; the old ones stay as they were until no reader can be in them.
 */
#ifndef IOMMUSE_HWPT_TABLE_H
#define IOMMUSE_HWPT_TABLE_H

#include "hwpt/table_memory.h"
#include "ioas/domain.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct dirty_bits;
struct epoch;

/*
 * One translation. Its memory is used again for other translations only, never for anything else while the table lives:
 * who kept a pointer may look at serial, which changes when the translation ends. The mapping stays as it is until
 * flush.
 */
struct translation {
	_Alignas(64) _Atomic uint64_t serial; /* never the same twice in a table; 0: ended */
	struct ioas_mapping mapping;
};

_Static_assert(sizeof(struct translation) == 64, "a lookup touches one cache line of a translation");

/* What belongs to a translation and is seldom looked at. */
struct translation_side {
	struct dirty_bits *_Atomic dirty; /* with a reference; NULL: nothing is tracked */
	struct dirty_bits *old;           /* tracking has been switched off; put when no reader can use it */
	struct translation *next;         /* of those that ended and wait for flush, or are free */
};

#define TABLE_SLAB_ROOM                                                                                                \
	((TABLE_BLOCK_SIZE - 2 * TABLE_BLOCK_HEADER) / (sizeof(struct translation) + sizeof(struct translation_side)))

struct table_slab {
	struct table_block block;
	unsigned used;
	struct translation_side side[TABLE_SLAB_ROOM];
	struct translation translation[TABLE_SLAB_ROOM];
};

static inline struct translation_side *translation_side(const struct translation *translation)
{
	struct table_slab *slab = (struct table_slab *)((uintptr_t)translation & ~(TABLE_BLOCK_SIZE - 1));

	return &slab->side[translation - slab->translation];
}

#define TABLE_SLOTS 64U

struct table_node {
	/* Of a dead slot, between the last of the slot before and the start of the next one. */
	_Alignas(64) _Atomic uint64_t start[TABLE_SLOTS];
	void *_Atomic at[TABLE_SLOTS]; /* struct translation in a leaf, else struct table_node */
	/* The writer's. */
	_Alignas(64) struct table_node *next; /* of those that are retired or spare */
	unsigned live;
};

struct table {
	/* The root's address plus its height (0: a leaf); 0: there is none. */
	_Atomic uintptr_t root;
	/* The writer's, out of the readers' cache line. */
	char apart[64];
	uint64_t count;
	uint64_t serial;
	/* Where the last insertion was: what follows its start and ends below bound goes into the same leaf. */
	struct {
		struct table_node *leaf; /* NULL: not known any more */
		int slot;
		uint64_t start, bound;
	} finger;
	struct epoch *epoch;
	struct table_memory memory;
	struct table_slab *slab; /* the last one */
	struct translation *free;
	struct table_node *spare;
	unsigned spares;
	/* Nodes that a reader may be in; those of retired wait for a grace period to be named. */
	struct table_node *dying;
	uint64_t period; /* after which dying are free */
	unsigned retirements;
	struct table_node *_Atomic retired;
	/* What flush takes, and gives back. */
	struct translation *_Atomic ended, *_Atomic recycled;
	struct table_node *_Atomic recycled_nodes;
};

#define TABLE_HEIGHT_MASK UINT64_C(63)

void table_init(struct table *table, struct epoch *epoch);
/* No reader can be in it. */
void table_fini(struct table *table);

/* So many mappings are going to be added. */
void table_expect(struct table *table, uint64_t count);

/*
 * By the writer. Adds a mapping that meets no other; dirty (may be NULL) passes a reference. Returns 0 or -ENOMEM.
 */
int table_insert(struct table *table, const struct ioas_mapping *mapping, struct dirty_bits *dirty);

/* Replaces the translation that crosses from address to the next by two. Returns 0 (also where there is none) or
 * -ENOMEM. */
int table_split(struct table *table, iova_t address);

/* Takes the translations inside [start, last] out of sight. */
void table_remove(struct table *table, iova_t start, iova_t last);

/* Without a lock: returns when no reader can use what was taken out of sight before, and lets it be used again. */
void table_flush(struct table *table);

/* Visits what lies in [start, last], also in part, ascending, until visit returns not 0; returns that. */
int table_walk(struct table *table, iova_t start, iova_t last, int (*visit)(struct translation *, void *), void *arg);

/* How many of the starts are at most key. Without a branch, as none of them could be foretold. */
static inline unsigned table_count(const struct table_node *node, uint64_t key)
{
	const _Atomic uint64_t *at = node->start;

#pragma GCC unroll 8
	for (size_t half = TABLE_SLOTS / 2; half; half /= 2)
		at = atomic_load_explicit(&at[half - 1], memory_order_relaxed) <= key ? at + half : at;
	return (unsigned)(at - node->start) + (atomic_load_explicit(at, memory_order_relaxed) <= key);
}

/* A start that is not used; no translation has it, as they begin at pages. */
#define TABLE_NO_START UINT64_MAX

static inline uint64_t table_key(iova_t iova)
{
	return iova < TABLE_NO_START ? iova : TABLE_NO_START - 1;
}

/* The translation of an IOVA, or NULL. By the writer, or inside an epoch. */
static inline struct translation *table_find(struct table *table, iova_t iova)
{
	uintptr_t root = atomic_load(&table->root);
	const struct table_node *node = (const struct table_node *)(root & ~TABLE_HEIGHT_MASK);
	uint64_t key = table_key(iova);
	const struct translation *found;

	for (unsigned height = root & TABLE_HEIGHT_MASK; node; height--) {
		unsigned n;

		/* Below the root, nodes are seldom in a near cache: all their lines at once, not one after the other.
		 */
		if (height < (root & TABLE_HEIGHT_MASK))
#pragma GCC unroll 16
			for (unsigned line = 0; line < 2 * TABLE_SLOTS / 8; line++)
				__builtin_prefetch((const char *)node + line * UINT64_C(64));
		n = table_count(node, key);

		if (!n)
			return NULL;
		if (!height) {
			found = atomic_load(&node->at[n - 1]);
			if (!found || iova < found->mapping.start || iova > found->mapping.last)
				return NULL;
			return (struct translation *)found;
		}
		node = atomic_load(&node->at[n - 1]);
	}
	return NULL;
}

#endif

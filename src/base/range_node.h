/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The nodes of a range map: private to range_map.c, range_map_gap.c and the test that checks the invariants, all of
 * which are told at the top of range_map.c.
 */
#ifndef IOMMUSE_BASE_RANGE_NODE_H
#define IOMMUSE_BASE_RANGE_NODE_H

#include "base/range_map.h"

#include <stdbool.h>
#include <stdint.h>

/* Seven groups of eight and one of seven: see range_count_le(). */
#define RANGE_SLOTS 63U

/* Alignments are 2^0 to 2^21. Slacks of the orders up to 16 fit 16 bits. */
#define RANGE_ORDERS       22U
#define RANGE_SHORT_ORDERS 16U

/* The bound of a child of which nothing is known; nor is of the nodes above it then. */
#define RANGE_UNKNOWN UINT64_MAX

struct range_leaf {
	struct range_leaf *next;
	uint16_t head, count; /* entries are in the slots from head on */
	/* The last change here put an entry at the end, or at the front. */
	bool ascending, descending;
	uint64_t start[RANGE_SLOTS];
	uint64_t last[RANGE_SLOTS];
	void *value[RANGE_SLOTS];
};

struct range_inner {
	uint32_t count;
	uint64_t first[RANGE_SLOTS]; /* start of the child's first range */
	uint64_t last[RANGE_SLOTS];  /* last of its last one */
	struct range_node *child[RANGE_SLOTS];
	/* No gap of the child is longer; or RANGE_UNKNOWN. */
	uint64_t bound[RANGE_SLOTS];
	/* Bit n: the slack of order n is not 0. */
	uint32_t slacks[RANGE_SLOTS];
	/* The bound of order n is bound - slack, where slack < 2^n. */
	uint16_t short_slack[RANGE_SHORT_ORDERS][RANGE_SLOTS];
	uint32_t long_slack[RANGE_ORDERS - 1 - RANGE_SHORT_ORDERS][RANGE_SLOTS];
};

static inline struct range_leaf *range_leaf(const struct range_node *node)
{
	return (struct range_leaf *)node;
}

static inline struct range_inner *range_inner(const struct range_node *node)
{
	return (struct range_inner *)node;
}

/* How many of the RANGE_SLOTS ascending keys are at most key. Without a branch, and the loads do not wait for each
 * other. */
static inline unsigned range_count_le(const uint64_t *keys, uint64_t key)
{
	unsigned groups = (keys[7] <= key) + (keys[15] <= key) + (keys[23] <= key) + (keys[31] <= key) +
			  (keys[39] <= key) + (keys[47] <= key) + (keys[55] <= key);

	keys += (size_t)groups * 8;
	return groups * 8 + (keys[0] <= key) + (keys[1] <= key) + (keys[2] <= key) + (keys[3] <= key) +
	       (keys[4] <= key) + (keys[5] <= key) + (keys[6] <= key);
}

/* The child in which key is, or would be. */
static inline unsigned range_inner_slot(const struct range_inner *node, uint64_t key)
{
	unsigned n = range_count_le(node->first, key);

	if (n > node->count)
		n = node->count;
	return n ? n - 1 : 0;
}

/* The first slot whose start is beyond key. */
static inline unsigned range_leaf_slot(const struct range_leaf *leaf, uint64_t key)
{
	unsigned n = range_count_le(leaf->start, key);
	unsigned end = leaf->head + leaf->count;

	return n < end ? n : end;
}

/* The slot of the range that begins at key; RANGE_SLOTS where there is none. */
static inline unsigned range_leaf_find(const struct range_leaf *leaf, uint64_t key)
{
	unsigned slot;

	if (leaf->start[leaf->head] == key && leaf->count)
		return leaf->head;
	slot = range_leaf_slot(leaf, key);
	return slot > leaf->head && leaf->start[slot - 1] == key ? slot - 1 : RANGE_SLOTS;
}

static inline uint64_t range_slack(const struct range_inner *node, unsigned slot, unsigned order)
{
	if (!order)
		return 0;
	if (order <= RANGE_SHORT_ORDERS)
		return node->short_slack[order - 1][slot];
	return node->long_slack[order - 1 - RANGE_SHORT_ORDERS][slot];
}

/* No gap of the child has more room once its start is rounded up to 2^order. */
static inline uint64_t range_bound(const struct range_inner *node, unsigned slot, unsigned order)
{
	return node->bound[slot] - range_slack(node, slot, order);
}

/* The room in the gap between before and after, which are the numbers next to it, for addresses that are multiples of
 * mask + 1. */
static inline uint64_t range_room(uint64_t before, uint64_t after, uint64_t mask)
{
	uint64_t gap = after - before - 1, skip = ~before & mask;

	return gap > skip ? gap - skip : 0;
}

/* Nothing is known of the child. */
static inline void range_bound_unknown(struct range_inner *node, unsigned slot)
{
	node->bound[slot] = RANGE_UNKNOWN;
	node->slacks[slot] = 0;
	for (unsigned i = 0; i < RANGE_SHORT_ORDERS; i++)
		node->short_slack[i][slot] = 0;
	for (unsigned i = 0; i < RANGE_ORDERS - 1 - RANGE_SHORT_ORDERS; i++)
		node->long_slack[i][slot] = 0;
}

/* Puts a range into a leaf that has room, before the entry that is in the slot. */
void range_leaf_insert(struct range_leaf *leaf, unsigned slot, const struct range *range);
void range_leaf_erase(struct range_leaf *leaf, unsigned slot);

/* Moves all entries, so that the first is in the slot head. */
void range_leaf_slide(struct range_leaf *leaf, unsigned head);

/* Moves the last n entries of a leaf in front of those of its neighbour. */
void range_leaf_pass_right(struct range_leaf *leaf, struct range_leaf *right, unsigned n);

/* Moves the first n entries of a leaf behind those of its neighbour. */
void range_leaf_pass_left(struct range_leaf *left, struct range_leaf *leaf, unsigned n);

/* Moves n children with all that is said of them. The counts and the padding are the caller's. */
void range_inner_move(struct range_inner *to, unsigned to_slot, const struct range_inner *from, unsigned slot,
		      unsigned n);
void range_inner_erase(struct range_inner *node, unsigned slot);

/* Makes a slot for a child that is split off the one before it, and that inherits its bounds. */
void range_inner_open(struct range_inner *node, unsigned slot);

/* Sets the child, its first and its last. */
void range_inner_set_leaf(struct range_inner *node, unsigned slot, struct range_leaf *leaf);
void range_inner_set_inner(struct range_inner *node, unsigned slot, struct range_inner *inner);

/* Sets the bounds of the child so that they hold for what they held for, and for what those of the other held for. */
void range_bound_join(struct range_inner *node, unsigned slot, const struct range_inner *from, unsigned other);

/* The child got the gap between before and after. */
void range_bound_raise(struct range_inner *node, unsigned slot, uint64_t before, uint64_t after);

#endif

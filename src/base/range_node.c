/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries moved within nodes and between them. Nothing here knows of the tree.
 */
#include "base/range_node.h"

#include <string.h>

static void leaf_move(struct range_leaf *to, unsigned to_slot, const struct range_leaf *from, unsigned slot, unsigned n)
{
	if (!n)
		return;
	memmove(&to->start[to_slot], &from->start[slot], n * sizeof(from->start[0]));
	memmove(&to->last[to_slot], &from->last[slot], n * sizeof(from->last[0]));
	memmove(&to->value[to_slot], &from->value[slot], n * sizeof(from->value[0]));
}

/* Makes the starts outside of the entries what they have to be. */
static void leaf_pad(struct range_leaf *leaf)
{
	unsigned end = leaf->head + leaf->count;

	memset(leaf->start, 0, leaf->head * sizeof(leaf->start[0]));
	memset(&leaf->start[end], 0xff, (RANGE_SLOTS - end) * sizeof(leaf->start[0]));
}

void range_leaf_slide(struct range_leaf *leaf, unsigned head)
{
	leaf_move(leaf, head, leaf, leaf->head, leaf->count);
	leaf->head = (uint16_t)head;
	leaf_pad(leaf);
}

void range_leaf_insert(struct range_leaf *leaf, unsigned slot, const struct range *range)
{
	unsigned before = slot - leaf->head, behind = leaf->count - before;
	unsigned room_behind = RANGE_SLOTS - leaf->head - leaf->count;
	bool forward = before < behind;

	/* Room at the wrong end only: half of it changes sides, for the inserts that follow. */
	if (forward ? !leaf->head && room_behind > 1 : !room_behind && leaf->head > 1) {
		range_leaf_slide(leaf, (leaf->head + room_behind) / 2);
		slot = leaf->head + before;
		room_behind = RANGE_SLOTS - leaf->head - leaf->count;
	}
	if (forward ? leaf->head > 0 : !room_behind) {
		leaf->head--;
		slot--;
		leaf_move(leaf, leaf->head, leaf, leaf->head + 1, before);
	} else {
		leaf_move(leaf, slot + 1, leaf, slot, behind);
	}
	leaf->start[slot] = range->start;
	leaf->last[slot] = range->last;
	leaf->value[slot] = range->value;
	leaf->count++;
	leaf->ascending = !behind;
	leaf->descending = !before;
}

void range_leaf_erase(struct range_leaf *leaf, unsigned slot)
{
	unsigned before = slot - leaf->head, behind = leaf->count - before - 1;

	leaf->count--;
	leaf->ascending = false;
	leaf->descending = false;
	if (before < behind) {
		leaf_move(leaf, leaf->head + 1, leaf, leaf->head, before);
		leaf->start[leaf->head++] = 0;
	} else {
		leaf_move(leaf, slot, leaf, slot + 1, behind);
		leaf->start[leaf->head + leaf->count] = UINT64_MAX;
	}
}

void range_leaf_pass_right(struct range_leaf *leaf, struct range_leaf *right, unsigned n)
{
	unsigned head = (RANGE_SLOTS - right->count - n) / 2;

	leaf_move(right, head + n, right, right->head, right->count);
	leaf_move(right, head, leaf, leaf->head + leaf->count - n, n);
	right->head = head;
	right->count += n;
	leaf->count -= n;
	leaf_pad(leaf);
	leaf_pad(right);
}

void range_leaf_pass_left(struct range_leaf *left, struct range_leaf *leaf, unsigned n)
{
	range_leaf_slide(left, (RANGE_SLOTS - left->count - n) / 2);
	leaf_move(left, left->head + left->count, leaf, leaf->head, n);
	left->count += n;
	leaf->head += n;
	leaf->count -= n;
	leaf_pad(leaf);
}

void range_inner_move(struct range_inner *to, unsigned to_slot, const struct range_inner *from, unsigned slot,
		      unsigned n)
{
	if (!n)
		return;
	memmove(&to->first[to_slot], &from->first[slot], n * sizeof(from->first[0]));
	memmove(&to->last[to_slot], &from->last[slot], n * sizeof(from->last[0]));
	memmove(&to->child[to_slot], &from->child[slot], n * sizeof(from->child[0]));
	memmove(&to->bound[to_slot], &from->bound[slot], n * sizeof(from->bound[0]));
	memmove(&to->slacks[to_slot], &from->slacks[slot], n * sizeof(from->slacks[0]));
	for (unsigned i = 0; i < RANGE_SHORT_ORDERS; i++)
		memmove(&to->short_slack[i][to_slot], &from->short_slack[i][slot], n * sizeof(from->short_slack[0][0]));
	for (unsigned i = 0; i < RANGE_ORDERS - 1 - RANGE_SHORT_ORDERS; i++)
		memmove(&to->long_slack[i][to_slot], &from->long_slack[i][slot], n * sizeof(from->long_slack[0][0]));
}

void range_inner_erase(struct range_inner *node, unsigned slot)
{
	node->count--;
	range_inner_move(node, slot, node, slot + 1, node->count - slot);
	node->first[node->count] = UINT64_MAX;
}

static void set(struct range_inner *node, unsigned slot, void *child, uint64_t first, uint64_t last)
{
	node->child[slot] = child;
	node->first[slot] = first;
	node->last[slot] = last;
}

void range_inner_set_leaf(struct range_inner *node, unsigned slot, struct range_leaf *leaf)
{
	set(node, slot, leaf, leaf->start[leaf->head], leaf->last[leaf->head + leaf->count - 1]);
}

void range_inner_set_inner(struct range_inner *node, unsigned slot, struct range_inner *inner)
{
	set(node, slot, inner, inner->first[0], inner->last[inner->count - 1]);
}

void range_inner_open(struct range_inner *node, unsigned slot)
{
	range_inner_move(node, slot + 1, node, slot, node->count - slot);
	range_inner_move(node, slot, node, slot - 1, 1);
	node->count++;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way from the root of a range map to a leaf, and what a change of the leaf makes the nodes on it say. Private to
 * range_map.c.
 *
 * The map keeps the way of its last change. It stays right until nodes are split, merged or unlinked; what is in them
 * may change.
 */
#ifndef IOMMUSE_BASE_RANGE_PATH_H
#define IOMMUSE_BASE_RANGE_PATH_H

#include "base/range_node.h"

static inline void range_path_descend(const struct range_map *map, uint64_t key, struct range_path *path)
{
	struct range_node *node = map->root;
	unsigned level = map->height - 1;

	path->inner_levels = level;
	while (level--) {
		struct range_inner *inner = range_inner(node);
		unsigned slot = range_inner_slot(inner, key);

		path->step[level].node = inner;
		path->step[level].slot = slot;
		node = inner->child[slot];
	}
	path->leaf = range_leaf(node);
}

/* The lowest level at which there is a child on the left of the way; inner_levels where there is none. */
static inline unsigned range_path_left_level(const struct range_path *path)
{
	unsigned level = 0;

	while (level < path->inner_levels && !path->step[level].slot)
		level++;
	return level;
}

static inline unsigned range_path_right_level(const struct range_path *path)
{
	unsigned level = 0;

	while (level < path->inner_levels && path->step[level].slot + 1 == path->step[level].node->count)
		level++;
	return level;
}

/* Where the first range behind the leaf starts. */
static inline bool range_path_next_start(const struct range_path *path, uint64_t *start)
{
	unsigned level = range_path_right_level(path);

	if (level == path->inner_levels)
		return false;
	*start = path->step[level].node->first[path->step[level].slot + 1];
	return true;
}

/* Whether the way is known, and range_path_descend() would find it for the key. */
static inline bool range_path_leads_to(const struct range_path *path, uint64_t key)
{
	const struct range_leaf *leaf = path->leaf;
	uint64_t next;

	if (!leaf || !path->inner_levels)
		return leaf;
	if (key < leaf->start[leaf->head])
		return false;
	return key <= leaf->last[leaf->head + leaf->count - 1] || !range_path_next_start(path, &next) || key < next;
}

/* A gap came to be in the child at this level of the way. */
static inline void range_path_raise_from(const struct range_path *path, unsigned level, uint64_t before, uint64_t after)
{
	for (; level < path->inner_levels; level++) {
		struct range_inner *node = path->step[level].node;
		unsigned slot = path->step[level].slot;

		if (node->bound[slot] == RANGE_UNKNOWN)
			break;
		range_bound_raise(node, slot, before, after);
	}
}

/* The range becomes the leaf's entry number index. In the midst of the leaf it only makes smaller gaps of one. */
static inline void range_path_raise_insert(const struct range_path *path, unsigned index, const struct range *range)
{
	const struct range_leaf *leaf = path->leaf;

	if (!path->inner_levels)
		return;
	if (index == leaf->count)
		range_path_raise_from(path, 0, leaf->last[leaf->head + index - 1], range->start);
	else if (!index)
		range_path_raise_from(path, 0, range->last, leaf->start[leaf->head]);
}

/* The gap between the leaf's entries before and behind the slot, or those of its neighbours. */
static inline struct range_fresh range_path_gap_around(const struct range_path *path, unsigned slot)
{
	const struct range_leaf *leaf = path->leaf;
	unsigned end = leaf->head + leaf->count, left = 0, right = 0;
	struct range_fresh gap = {.known = path->inner_levels > 0};

	if (!gap.known)
		return gap;
	if (slot == leaf->head)
		left = range_path_left_level(path);
	if (slot + 1 == end)
		right = range_path_right_level(path);
	if (left == path->inner_levels || right == path->inner_levels) {
		gap.known = false;
		return gap;
	}
	gap.before = slot > leaf->head ? leaf->last[slot - 1] : path->step[left].node->last[path->step[left].slot - 1];
	gap.after = slot + 1 < end ? leaf->start[slot + 1] : path->step[right].node->first[path->step[right].slot + 1];
	/* Between two leaves, it is the right one's, and belongs where their ways part. */
	gap.right = slot + 1 == end;
	gap.level = (uint16_t)(gap.right ? right : left);
	if (path->step[gap.level].node->bound[path->step[gap.level].slot + gap.right] == RANGE_UNKNOWN)
		gap.known = false;
	return gap;
}

/* The gap behind the leaf's entry in the slot, were the entry to end at last. */
static inline struct range_fresh range_path_gap_behind(const struct range_path *path, unsigned slot, uint64_t last)
{
	const struct range_leaf *leaf = path->leaf;
	struct range_fresh gap = {.known = path->inner_levels > 0, .before = last};

	if (slot + 1U < leaf->head + leaf->count) {
		gap.after = leaf->start[slot + 1];
	} else {
		gap.known = range_path_next_start(path, &gap.after);
		gap.right = true;
		gap.level = (uint16_t)range_path_right_level(path);
	}
	return gap;
}

/* Makes the bounds know of the gap. */
static inline void range_path_raise(const struct range_path *path, const struct range_fresh *gap)
{
	if (!gap->known)
		return;
	range_bound_raise(path->step[gap->level].node, path->step[gap->level].slot + gap->right, gap->before,
			  gap->after);
	range_path_raise_from(path, gap->level + 1U, gap->before, gap->after);
}

/* Makes the nodes from this level on say where their child on the way begins and ends. */
static inline void range_path_refresh_from(const struct range_path *path, unsigned level, uint64_t first, uint64_t last)
{
	for (; level < path->inner_levels; level++) {
		struct range_inner *node = path->step[level].node;
		unsigned slot = path->step[level].slot;

		if (node->first[slot] == first && node->last[slot] == last)
			return;
		node->first[slot] = first;
		node->last[slot] = last;
		first = node->first[0];
		last = node->last[node->count - 1];
	}
}

static inline void range_path_refresh_leaf(const struct range_path *path)
{
	const struct range_leaf *leaf = path->leaf;

	range_path_refresh_from(path, 0, leaf->start[leaf->head], leaf->last[leaf->head + leaf->count - 1]);
}

#endif

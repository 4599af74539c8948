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

/* What there is to know when the entry in the slot has gone, and the gap between those next to it in any leaf. */
static inline struct range_fresh range_path_fresh(const struct range_path *path, unsigned slot)
{
	const struct range_leaf *leaf = path->leaf;
	unsigned end = leaf->head + leaf->count, left = 0, right = 0;
	struct range_fresh fresh = {
		.known = true,
		.index = (uint16_t)(slot - leaf->head),
		.start = leaf->start[slot],
		.last = leaf->last[slot],
		/* Between two leaves, the gap is the right one's. */
		.right = slot + 1 == end,
	};

	if (slot == leaf->head)
		left = range_path_left_level(path);
	if (fresh.right)
		right = range_path_right_level(path);
	if (left == path->inner_levels || right == path->inner_levels)
		return fresh;
	fresh.level = (uint16_t)(fresh.right ? right : left);
	if (path->step[fresh.level].node->bound[path->step[fresh.level].slot + fresh.right] == RANGE_UNKNOWN)
		return fresh;
	fresh.before =
		slot > leaf->head ? leaf->last[slot - 1] : path->step[left].node->last[path->step[left].slot - 1];
	fresh.after =
		slot + 1 < end ? leaf->start[slot + 1] : path->step[right].node->first[path->step[right].slot + 1];
	fresh.gap = true;
	return fresh;
}

/* Makes the bounds know of the gap. */
static inline void range_path_settle(const struct range_path *path, const struct range_fresh *fresh)
{
	if (!fresh->gap)
		return;
	range_bound_raise(path->step[fresh->level].node, path->step[fresh->level].slot + fresh->right, fresh->before,
			  fresh->after);
	range_path_raise_from(path, fresh->level + 1U, fresh->before, fresh->after);
}

/* The leaf's entry in the slot will end earlier, at last. */
static inline void range_path_raise_behind(const struct range_path *path, unsigned slot, uint64_t last)
{
	const struct range_leaf *leaf = path->leaf;
	unsigned level = range_path_right_level(path);

	if (slot + 1U < leaf->head + leaf->count) {
		range_path_raise_from(path, 0, last, leaf->start[slot + 1]);
	} else if (level < path->inner_levels) {
		struct range_inner *node = path->step[level].node;
		unsigned next = path->step[level].slot + 1;

		range_bound_raise(node, next, last, node->first[next]);
		range_path_raise_from(path, level + 1, last, node->first[next]);
	}
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

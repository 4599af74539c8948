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

/* Where the last range before the leaf ends. */
static inline bool range_path_previous_last(const struct range_path *path, uint64_t *last)
{
	unsigned level = range_path_left_level(path);

	if (level == path->inner_levels)
		return false;
	*last = path->step[level].node->last[path->step[level].slot - 1];
	return true;
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

/* A gap came to be, or grew, between the leaf and what follows it. */
static inline void range_path_raise_right(const struct range_path *path, uint64_t before)
{
	unsigned level = range_path_right_level(path);

	if (level == path->inner_levels)
		return;

	struct range_inner *node = path->step[level].node;
	unsigned next = path->step[level].slot + 1;

	if (node->bound[next] != RANGE_UNKNOWN) {
		range_bound_raise(node, next, before, node->first[next]);
		range_path_raise_from(path, level + 1, before, node->first[next]);
	}
}

/* A gap came to be, or grew, between the leaf and what precedes it. */
static inline void range_path_raise_left(const struct range_path *path, uint64_t after)
{
	uint64_t before;

	if (range_path_previous_last(path, &before))
		range_path_raise_from(path, range_path_left_level(path), before, after);
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

/* The entry in the slot will go. */
static inline void range_path_raise_remove(const struct range_path *path, unsigned slot)
{
	const struct range_leaf *leaf = path->leaf;
	bool first = slot == leaf->head, last = slot + 1 == leaf->head + leaf->count;
	uint64_t before;

	if (!first && !last)
		range_path_raise_from(path, 0, leaf->last[slot - 1], leaf->start[slot + 1]);
	else if (!first)
		range_path_raise_right(path, leaf->last[slot - 1]);
	else if (!last)
		range_path_raise_left(path, leaf->start[slot + 1]);
	else if (range_path_previous_last(path, &before))
		range_path_raise_right(path, before);
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

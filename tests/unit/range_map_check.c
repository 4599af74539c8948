/* SPDX-License-Identifier: BSD-3-Clause */
#include "range_map_check.h"

#include "base/range_node.h"

/* Of two neighbours one has more than this. */
#define LOW_SLOTS (RANGE_SLOTS / 4)

/* What a walk in ascending order has seen. */
struct walk {
	const struct range_fresh *fresh;
	const struct range_leaf *expected; /* whom the last leaf calls the next */
	size_t count;
	bool any;
	uint64_t last;
};

/* What a node is, measured and not read from its parent. */
struct summary {
	uint64_t first, last;
	uint64_t room[RANGE_ORDERS];
};

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			return #condition;                                                                             \
	} while (0)

static void add_gap(const struct walk *walk, struct summary *sum, uint64_t before, uint64_t after)
{
	/* The bounds need not know of it. */
	if (walk->fresh->gap && walk->fresh->before == before && walk->fresh->after == after)
		return;
	for (unsigned order = 0; order < RANGE_ORDERS; order++) {
		uint64_t align = UINT64_C(1) << order, start = before + 1, room = 0;

		start += (align - start % align) % align;
		if (start > before && start < after)
			room = after - start;
		if (room > sum->room[order])
			sum->room[order] = room;
	}
}

static const char *check_leaf(const struct range_leaf *leaf, struct walk *walk, struct summary *sum)
{
	unsigned end = leaf->head + leaf->count;

	REQUIRE(end <= RANGE_SLOTS);
	REQUIRE(leaf->count > 0);
	REQUIRE(!walk->any || walk->expected == leaf);
	for (unsigned slot = 0; slot < leaf->head; slot++)
		REQUIRE(leaf->start[slot] == 0);
	for (unsigned slot = end; slot < RANGE_SLOTS; slot++)
		REQUIRE(leaf->start[slot] == UINT64_MAX);
	for (unsigned slot = leaf->head; slot < end; slot++) {
		REQUIRE(leaf->start[slot] <= leaf->last[slot]);
		REQUIRE(!walk->any || walk->last < leaf->start[slot]);
		if (slot > leaf->head)
			add_gap(walk, sum, leaf->last[slot - 1], leaf->start[slot]);
		walk->any = true;
		walk->last = leaf->last[slot];
	}
	sum->first = leaf->start[leaf->head];
	sum->last = leaf->last[end - 1];
	walk->expected = leaf->next;
	walk->count += leaf->count;
	return NULL;
}

/* The bounds of the child hold for what was measured. */
static const char *check_bounds(const struct range_inner *node, unsigned slot, unsigned level,
				const struct summary *child)
{
	for (unsigned order = 0; order < RANGE_ORDERS; order++) {
		uint64_t slack = range_slack(node, slot, order);

		REQUIRE(slack < UINT64_C(1) << order);
		REQUIRE(slack <= node->bound[slot]);
		REQUIRE(!(node->slacks[slot] >> order & 1) == !slack);
		REQUIRE(range_bound(node, slot, order) >= child->room[order]);
	}
	if (node->bound[slot] == RANGE_UNKNOWN)
		REQUIRE(!node->slacks[slot]);
	for (unsigned i = 0; level > 1 && i < range_inner(node->child[slot])->count; i++)
		REQUIRE(node->bound[slot] == RANGE_UNKNOWN ||
			range_inner(node->child[slot])->bound[i] != RANGE_UNKNOWN);
	return NULL;
}

static const char *check_node(const struct range_node *node, unsigned level, struct walk *walk, struct summary *sum);

static unsigned entries(const struct range_node *node, unsigned level)
{
	return level ? range_inner(node)->count : range_leaf(node)->count;
}

static const char *check_inner(const struct range_inner *node, unsigned level, struct walk *walk, struct summary *sum)
{
	REQUIRE(node->count > 0);
	REQUIRE(node->count <= RANGE_SLOTS);
	for (unsigned slot = 0; slot < node->count; slot++) {
		struct summary child = {0};
		const char *wrong = check_node(node->child[slot], level - 1, walk, &child);

		if (wrong)
			return wrong;
		REQUIRE(node->first[slot] == child.first);
		REQUIRE(node->last[slot] == child.last);
		REQUIRE(!slot || entries(node->child[slot - 1], level - 1) > LOW_SLOTS ||
			entries(node->child[slot], level - 1) > LOW_SLOTS);
		if (slot)
			add_gap(walk, &child, node->last[slot - 1], node->first[slot]);
		wrong = check_bounds(node, slot, level, &child);
		if (wrong)
			return wrong;
		for (unsigned order = 0; order < RANGE_ORDERS; order++)
			if (child.room[order] > sum->room[order])
				sum->room[order] = child.room[order];
	}
	for (unsigned slot = node->count; slot < RANGE_SLOTS; slot++)
		REQUIRE(node->first[slot] == UINT64_MAX);
	sum->first = node->first[0];
	sum->last = node->last[node->count - 1];
	return NULL;
}

static const char *check_node(const struct range_node *node, unsigned level, struct walk *walk, struct summary *sum)
{
	return level ? check_inner(range_inner(node), level, walk, sum) : check_leaf(range_leaf(node), walk, sum);
}

/* The way of the last change is one from the root down. */
static const char *check_path(const struct range_map *map)
{
	const struct range_path *path = &map->path;
	const void *node = path->leaf;

	if (!path->leaf) {
		REQUIRE(!map->fresh.known && !map->fresh.gap);
		return NULL;
	}
	REQUIRE(path->inner_levels + 1 == map->height);
	for (unsigned level = 0; level < path->inner_levels; level++) {
		REQUIRE(path->step[level].slot < path->step[level].node->count);
		REQUIRE(path->step[level].node->child[path->step[level].slot] == node);
		node = path->step[level].node;
	}
	REQUIRE(node == map->root);
	return NULL;
}

const char *range_map_check(const struct range_map *map)
{
	struct walk walk = {.fresh = &map->fresh};
	struct summary sum = {0};
	const char *wrong;

	if (!map->count) {
		REQUIRE(!map->spare_leaf && !map->spare_inner);
		REQUIRE(map->height == (map->root ? 1 : 0));
		REQUIRE(!map->root || !range_leaf(map->root)->count);
		return NULL;
	}
	REQUIRE(map->root);
	REQUIRE(map->height >= 1 && map->height <= RANGE_MAP_MAX_HEIGHT);
	REQUIRE(map->height == 1 || range_inner(map->root)->count >= 2);
	wrong = check_node(map->root, map->height - 1, &walk, &sum);
	if (wrong)
		return wrong;
	REQUIRE(walk.count == map->count);
	REQUIRE(!walk.expected);
	return check_path(map);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree. Each range is an entry of a leaf; the leaves are linked in ascending order; all are equally deep. A map of
 * one leaf has the leaf as its root. map->height counts the levels, the leaves' own included.
 *
 * Keys. Entries are in ascending order and disjoint. An inner node says of each child where its first range starts and
 * where its last one ends, exactly; a key belongs to the last child whose first is at most the key, or to the first
 * child. So all that is in the leaves on the left of the key's leaf ends before that leaf's first start, and only the
 * leftmost leaf is ever asked for a key below its first start. "last" is closed everywhere, and last + 1 is nowhere
 * computed without knowing that something follows: a range may end at UINT64_MAX.
 *
 * Padding. A leaf's entries are in the slots [head, head + count); starts before them are 0, starts after them
 * UINT64_MAX, and so are the firsts behind an inner node's children. So range_count_le() may look at all slots of any
 * node. Entries move towards the nearer end of the leaf: removals from either end of a leaf move nothing.
 *
 * Gaps. A gap lies between two ranges. A child's bounds speak of the gaps between its own ranges, and of the one
 * between it and the child on its left in the same node. The gaps before the first range of the map and after its last
 * are in no bound. For each order n from 0 to 21 a bound is at least the room of each such gap once its start is
 * rounded up to 2^n. Bounds are never too low; they may be too high. What makes a gap raises the bounds all the way up;
 * what fills one leaves them. A search that descends into a child in vain lowers the child's bounds, of order 0 and of
 * its own order, to what it found. So each change costs at most one vain descent for each order, and what does not
 * change costs none. Of a child that was never searched nothing is known, nor is of those above it: there raising ends.
 * See range_map_gap.c.
 *
 * Orders. Rounding a start up to 2^n costs a gap less than 2^n, so the bound of order n is above the bound of order 0
 * less 2^n: the difference, the slack, takes two bytes up to order 16 and four from there on, and is exact all the
 * same.
 *
 * What is fresh. Where the last change removed a range, its place is known until the next: most often that puts it
 * back, and no bound has to be touched. The gap that it left is the only one that bounds may not know of.
 *
 * The way. The map keeps the way from the root to the leaf that was changed last, as the next change is often near. It
 * is given up where nodes are split, merged or unlinked.
 *
 * Fill. A full leaf passes entries to a sibling with room, else it splits: in halves, or, where the new range goes on
 * with a series of inserts at the leaf's end (or at the front of all), so that only the new range is in the new leaf.
 * Ascending inserts thus leave full leaves. Where the leaf on the right has room the range goes there, so leaves of one
 * range do not gather. Leaves that run low merge only where the result is far from full, and else drain; an empty one
 * is unlinked, and ends the series that led to it. So a pair of insert and remove that is repeated in one place soon
 * finds a leaf with room, and does not split and unlink each time. A node of each kind is kept for the next split. A
 * map that becomes empty keeps its last leaf, and nothing else.
 *
 * Depth. Of two leaves that are neighbours in a node, one has more than LOW_SLOTS entries, and so it is with inner
 * nodes. Nodes are thus filled with eight on average at the least, and a tree of RANGE_MAP_MAX_HEIGHT levels would take
 * more than ten terabytes. An insert that wanted one more gets -ENOMEM.
 *
 * Memory. An insert takes all the nodes that it needs before it changes anything.
 */
#include "base/range_map.h"

#include "base/range_node.h"
#include "base/range_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Two nodes become one where the sum is at most this. */
#define MERGED_SLOTS (RANGE_SLOTS * 3 / 4)
/* Nodes with more than this are left alone. */
#define LOW_SLOTS (RANGE_SLOTS / 4)
/* A full leaf passes entries to a sibling that has at least this much room. */
#define WORTHWHILE_ROOM 8

/* The nodes that an insert may need. */
struct reserve {
	struct range_leaf *leaf;
	struct range_inner *inner[RANGE_MAP_MAX_HEIGHT];
	unsigned inners;
};

/* Nodes made, freed and kept. */

static struct range_leaf *take_leaf(struct range_map *map)
{
	struct range_leaf *leaf = range_leaf(map->spare_leaf);

	map->spare_leaf = NULL;
	if (!leaf)
		leaf = malloc(sizeof(*leaf));
	if (!leaf)
		return NULL;
	leaf->next = NULL;
	leaf->head = 0;
	leaf->count = 0;
	leaf->ascending = false;
	leaf->descending = false;
	memset(leaf->start, 0xff, sizeof(leaf->start));
	return leaf;
}

static struct range_inner *take_inner(struct range_map *map)
{
	struct range_inner *inner = range_inner(map->spare_inner);

	map->spare_inner = NULL;
	if (!inner)
		inner = malloc(sizeof(*inner));
	if (!inner)
		return NULL;
	inner->count = 0;
	memset(inner->first, 0xff, sizeof(inner->first));
	return inner;
}

static void drop(struct range_node **spare, void *node)
{
	if (*spare)
		free(node);
	else
		*spare = node;
}

static void drop_leaf(struct range_map *map, struct range_leaf *leaf)
{
	drop(&map->spare_leaf, leaf);
}

static void drop_inner(struct range_map *map, struct range_inner *inner)
{
	drop(&map->spare_inner, inner);
}

static void free_spares(struct range_map *map)
{
	free(map->spare_leaf);
	free(map->spare_inner);
	map->spare_leaf = NULL;
	map->spare_inner = NULL;
}

/* Takes what a split of the leaf needs. Returns 0, or -ENOMEM. */
static int reserve_split(struct range_map *map, const struct range_path *path, struct reserve *reserve)
{
	unsigned full = 0;

	while (full < path->inner_levels && path->step[full].node->count == RANGE_SLOTS)
		full++;
	/* A new root, where all are full. */
	if (full == path->inner_levels && map->height == RANGE_MAP_MAX_HEIGHT)
		return -ENOMEM;
	if (full == path->inner_levels)
		full++;

	reserve->inners = 0;
	reserve->leaf = take_leaf(map);
	if (!reserve->leaf)
		return -ENOMEM;
	while (reserve->inners < full) {
		struct range_inner *inner = take_inner(map);

		if (!inner)
			goto out_drop;
		reserve->inner[reserve->inners++] = inner;
	}
	return 0;

out_drop:
	while (reserve->inners)
		drop_inner(map, reserve->inner[--reserve->inners]);
	drop_leaf(map, reserve->leaf);
	return -ENOMEM;
}

/* A root above the map's root. */
static struct range_inner *grow_root(struct range_map *map, struct reserve *reserve, struct range_path *path)
{
	struct range_inner *root = reserve->inner[--reserve->inners];
	unsigned level = path->inner_levels++;

	root->count = 1;
	root->child[0] = map->root;
	range_bound_unknown(root, 0);
	map->root = (struct range_node *)root;
	map->height++;
	path->step[level].node = root;
	path->step[level].slot = 0;
	return root;
}

/* Splits a full inner node of the way, so that its level has a slot behind the way's. Returns the new node. */
static struct range_inner *split_inner(struct range_path *path, unsigned level, struct reserve *reserve)
{
	struct range_inner *node = path->step[level].node, *right = reserve->inner[--reserve->inners];
	bool rightmost = true;

	for (unsigned above = level; above < path->inner_levels; above++)
		rightmost &= path->step[above].slot + 1 == path->step[above].node->count;

	unsigned keep = rightmost ? RANGE_SLOTS - 1 : RANGE_SLOTS / 2;

	range_inner_move(right, 0, node, keep, node->count - keep);
	right->count = node->count - keep;
	node->count = keep;
	memset(&node->first[keep], 0xff, (RANGE_SLOTS - keep) * sizeof(node->first[0]));
	if (path->step[level].slot >= keep) {
		path->step[level].node = right;
		path->step[level].slot -= keep;
	}
	return right;
}

/*
 * Hooks a leaf in that was split off the way's leaf. From the top down, as each split of an inner node wants a slot
 * above.
 */
static void link_split(struct range_map *map, struct range_path *path, struct reserve *reserve)
{
	unsigned full = 0;

	while (full < path->inner_levels && path->step[full].node->count == RANGE_SLOTS)
		full++;
	if (full == path->inner_levels) {
		void *child = map->root;
		struct range_inner *root = grow_root(map, reserve, path);

		if (full)
			range_inner_set_inner(root, 0, child);
		else
			range_inner_set_leaf(root, 0, child);
	}
	while (full) {
		struct range_inner *above = path->step[full].node;
		unsigned slot = path->step[full].slot;
		struct range_inner *left = path->step[full - 1].node;
		struct range_inner *right = split_inner(path, full - 1, reserve);

		range_inner_open(above, slot + 1);
		range_inner_set_inner(above, slot, left);
		range_inner_set_inner(above, slot + 1, right);
		if (path->step[full - 1].node == right)
			path->step[full].slot++;
		full--;
	}

	struct range_inner *parent = path->step[0].node;
	unsigned slot = path->step[0].slot;

	range_inner_open(parent, slot + 1);
	range_inner_set_leaf(parent, slot, path->leaf);
	range_inner_set_leaf(parent, slot + 1, reserve->leaf);
	for (unsigned level = 1; level < path->inner_levels; level++)
		range_inner_set_inner(path->step[level].node, path->step[level].slot, path->step[level - 1].node);
}

/* Whether a range that becomes the full leaf's entry number index goes on with a series that filled it. */
static bool goes_on(const struct range_leaf *leaf, unsigned index)
{
	return index == RANGE_SLOTS ? leaf->ascending : !index && leaf->descending;
}

/* Splits the full leaf of the way and puts the range in, as its entry number index. Returns 0, or -ENOMEM. */
static int split_insert(struct range_map *map, struct range_path *path, unsigned index, const struct range *range)
{
	struct range_leaf *leaf = path->leaf, *right;
	unsigned keep = RANGE_SLOTS / 2;
	struct reserve reserve;
	int rc;

	rc = reserve_split(map, path, &reserve);
	if (rc)
		return rc;
	range_path_raise_insert(path, index, range);
	right = reserve.leaf;
	right->next = leaf->next;
	leaf->next = right;
	if (goes_on(leaf, index))
		keep = index;
	if (keep < RANGE_SLOTS)
		range_leaf_pass_right(leaf, right, RANGE_SLOTS - keep);
	/* Descending inserts find their room before the first. */
	if (!keep)
		range_leaf_slide(leaf, RANGE_SLOTS - 1);
	if (index > keep || keep == RANGE_SLOTS)
		range_leaf_insert(right, right->head + index - keep, range);
	else
		range_leaf_insert(leaf, leaf->head + index, range);
	link_split(map, path, &reserve);
	path->leaf = NULL;
	return 0;
}

/* Makes both leaves that are children of the node, at slot and slot + 1, about equally full. */
static void even_out(struct range_inner *node, unsigned slot)
{
	struct range_leaf *left = range_leaf(node->child[slot]), *right = range_leaf(node->child[slot + 1]);
	unsigned half = (left->count + right->count) / 2;

	if (left->count > right->count) {
		range_bound_join(node, slot + 1, node, slot);
		range_leaf_pass_right(left, right, left->count - half);
	} else {
		range_bound_join(node, slot, node, slot + 1);
		range_leaf_pass_left(left, right, right->count - half);
	}
	range_inner_set_leaf(node, slot, left);
	range_inner_set_leaf(node, slot + 1, right);
}

static bool has_room(const struct range_inner *node, unsigned slot, unsigned room)
{
	return slot < node->count && range_leaf(node->child[slot])->count + room <= RANGE_SLOTS;
}

/* Passes entries of the way's full leaf to a sibling. Returns false where none has room. */
static bool pass_entries(const struct range_path *path)
{
	if (!path->inner_levels)
		return false;

	struct range_inner *node = path->step[0].node;
	unsigned slot = path->step[0].slot;

	if (has_room(node, slot + 1, WORTHWHILE_ROOM)) {
		even_out(node, slot);
		return true;
	}
	if (slot && has_room(node, slot - 1, WORTHWHILE_ROOM)) {
		even_out(node, slot - 1);
		return true;
	}
	return false;
}

/* Puts a range into the leaf of the way, which has room, as its entry number index. */
static void insert_into_leaf(const struct range_path *path, unsigned index, const struct range *range)
{
	struct range_leaf *leaf = path->leaf;

	range_path_raise_insert(path, index, range);
	range_leaf_insert(leaf, leaf->head + index, range);
	if (!index || index + 1 == leaf->count)
		range_path_refresh_leaf(path);
}

static int insert_into_full(struct range_map *map, struct range_path *path, unsigned index, const struct range *range)
{
	if (index == RANGE_SLOTS && path->inner_levels && has_room(path->step[0].node, path->step[0].slot + 1, 1)) {
		path->leaf = range_leaf(path->step[0].node->child[++path->step[0].slot]);
		insert_into_leaf(path, 0, range);
		return 0;
	}
	if (!goes_on(path->leaf, index) && pass_entries(path)) {
		range_path_descend(map, range->start, path);
		insert_into_leaf(path, range_leaf_slot(path->leaf, range->start) - path->leaf->head, range);
		return 0;
	}
	return split_insert(map, path, index, range);
}

static inline void settle_fresh(struct range_map *map)
{
	range_path_settle(&map->path, &map->fresh);
	map->fresh.gap = false;
	map->fresh.known = false;
}

/* The way to where the key is or would be. What is fresh is settled before, as its way may be given up. */
static inline struct range_path *way_to(struct range_map *map, uint64_t key)
{
	settle_fresh(map);
	if (!range_path_leads_to(&map->path, key))
		range_path_descend(map, key, &map->path);
	return &map->path;
}

/* Puts back what was removed last. Its place in the leaf is known, and has room; no bound has been told that it went.
 */
static void refill(struct range_map *map, const struct range *range)
{
	struct range_leaf *leaf = map->path.leaf;
	unsigned index = map->fresh.index;

	map->fresh.known = false;
	map->fresh.gap = false;
	range_leaf_insert(leaf, leaf->head + index, range);
	if (!index || index + 1U == leaf->count)
		range_path_refresh_leaf(&map->path);
	map->count++;
}

int range_map_insert(struct range_map *map, uint64_t start, uint64_t last, void *value)
{
	const struct range range = {start, last, value};
	struct range_path *path;
	struct range_leaf *leaf;
	unsigned slot;
	uint64_t next;
	int rc;

	if (map->fresh.known && start == map->fresh.start && last == map->fresh.last) {
		refill(map, &range);
		return 0;
	}
	if (!map->root) {
		map->root = (struct range_node *)take_leaf(map);
		if (!map->root)
			return -ENOMEM;
		map->height = 1;
	}
	path = way_to(map, start);
	leaf = path->leaf;
	slot = range_leaf_slot(leaf, start);
	if (slot > leaf->head && leaf->last[slot - 1] >= start)
		return -EEXIST;
	if (slot < leaf->head + leaf->count ? leaf->start[slot] <= last
					    : range_path_next_start(path, &next) && next <= last)
		return -EEXIST;
	if (leaf->count < RANGE_SLOTS) {
		insert_into_leaf(path, slot - leaf->head, &range);
	} else {
		rc = insert_into_full(map, path, slot, &range);
		if (rc)
			return rc;
	}
	map->count++;
	return 0;
}

/* The leaf of the way is empty: the one before it has to skip it, and a series that led to it is over. */
static void unlink_leaf(const struct range_path *path)
{
	unsigned level = range_path_left_level(path);
	struct range_leaf *next = path->leaf->next;
	struct range_node *node;

	if (next)
		next->descending = false;
	if (level == path->inner_levels)
		return;
	node = path->step[level].node->child[path->step[level].slot - 1];
	while (level--)
		node = range_inner(node)->child[range_inner(node)->count - 1];
	range_leaf(node)->next = next;
	range_leaf(node)->ascending = false;
}

static void collapse_root(struct range_map *map)
{
	while (map->height > 1 && range_inner(map->root)->count == 1) {
		struct range_inner *root = range_inner(map->root);

		map->root = root->child[0];
		map->height--;
		drop_inner(map, root);
	}
}

/* Appends the children at slot + 1, an inner node, to those of the one at slot. */
static void merge_inner(struct range_map *map, struct range_inner *above, unsigned slot)
{
	struct range_inner *left = range_inner(above->child[slot]), *right = range_inner(above->child[slot + 1]);

	range_inner_move(left, left->count, right, 0, right->count);
	range_bound_raise(left, left->count, left->last[left->count - 1], right->first[0]);
	left->count += right->count;
	range_bound_join(above, slot, above, slot + 1);
	range_inner_set_inner(above, slot, left);
	drop_inner(map, right);
}

/* Merges the inner node at slot with a sibling. Returns which slot is to be erased; above->count where none. */
static unsigned merge_low_inner(struct range_map *map, struct range_inner *above, unsigned slot)
{
	unsigned count = range_inner(above->child[slot])->count;

	if (count > LOW_SLOTS)
		return above->count;
	if (slot + 1 < above->count && range_inner(above->child[slot + 1])->count + count <= MERGED_SLOTS) {
		merge_inner(map, above, slot);
		return slot + 1;
	}
	if (slot && range_inner(above->child[slot - 1])->count + count <= MERGED_SLOTS) {
		merge_inner(map, above, slot - 1);
		return slot;
	}
	return above->count;
}

/* Erases a child of the lowest inner node of the way, and what becomes empty or low by it. */
static void erase_child(struct range_map *map, struct range_path *path, unsigned slot)
{
	unsigned level = 0;

	for (;;) {
		struct range_inner *node = path->step[level].node;

		range_inner_erase(node, slot);
		if (++level == path->inner_levels)
			break;

		struct range_inner *above = path->step[level].node;

		slot = path->step[level].slot;
		if (!node->count) {
			drop_inner(map, node);
			continue;
		}
		range_path_refresh_from(path, level, node->first[0], node->last[node->count - 1]);
		slot = merge_low_inner(map, above, slot);
		if (slot == above->count)
			break;
	}
	collapse_root(map);
	path->leaf = NULL;
}

static void merge_leaves(struct range_map *map, struct range_inner *node, unsigned slot)
{
	struct range_leaf *left = range_leaf(node->child[slot]), *right = range_leaf(node->child[slot + 1]);

	range_bound_join(node, slot, node, slot + 1);
	range_leaf_pass_left(left, right, right->count);
	left->next = right->next;
	range_inner_set_leaf(node, slot, left);
	drop_leaf(map, right);
}

/* The leaf of the way runs low. */
static void shrink(struct range_map *map, struct range_path *path)
{
	struct range_inner *node = path->step[0].node;
	unsigned slot = path->step[0].slot, room = RANGE_SLOTS - MERGED_SLOTS + path->leaf->count;

	if (!path->leaf->count) {
		unlink_leaf(path);
		drop_leaf(map, path->leaf);
		erase_child(map, path, slot);
	} else if (has_room(node, slot + 1, room)) {
		merge_leaves(map, node, slot);
		erase_child(map, path, slot + 1);
	} else if (slot && has_room(node, slot - 1, room)) {
		merge_leaves(map, node, slot - 1);
		erase_child(map, path, slot);
	}
}

void *range_map_remove(struct range_map *map, uint64_t start)
{
	struct range_path *path;
	struct range_leaf *leaf;
	unsigned slot;
	void *value;
	bool edge;

	if (!map->count)
		return NULL;
	path = way_to(map, start);
	leaf = path->leaf;
	slot = range_leaf_find(leaf, start);
	if (slot == RANGE_SLOTS)
		return NULL;
	value = leaf->value[slot];
	edge = slot == leaf->head || slot + 1 == leaf->head + leaf->count;
	map->fresh = range_path_fresh(path, slot);
	range_leaf_erase(leaf, slot);
	map->count--;
	if (path->inner_levels && leaf->count && edge)
		range_path_refresh_leaf(path);
	if (path->inner_levels && leaf->count <= LOW_SLOTS) {
		settle_fresh(map);
		shrink(map, path);
	}
	if (!map->count && (map->spare_leaf || map->spare_inner))
		free_spares(map);
	return value;
}

int range_map_update(struct range_map *map, uint64_t start, uint64_t last, void *value)
{
	struct range_path *path;
	struct range_leaf *leaf;
	unsigned slot;
	uint64_t next;
	bool behind;

	if (!map->count)
		return -ENOENT;
	path = way_to(map, start);
	leaf = path->leaf;
	slot = range_leaf_find(leaf, start);
	if (slot == RANGE_SLOTS)
		return -ENOENT;
	behind = slot + 1 < leaf->head + leaf->count;
	if (behind ? leaf->start[slot + 1] <= last : range_path_next_start(path, &next) && next <= last)
		return -EEXIST;
	if (last < leaf->last[slot])
		range_path_raise_behind(path, slot, last);
	leaf->last[slot] = last;
	leaf->value[slot] = value;
	if (!behind)
		range_path_refresh_leaf(path);
	return 0;
}

/* Finds where the lowest range that ends at start or later is. */
static const struct range_leaf *seek(const struct range_map *map, uint64_t start, unsigned *slot)
{
	const struct range_node *node = map->root;
	const struct range_leaf *leaf;

	if (!map->count)
		return NULL;
	for (unsigned level = map->height; --level;)
		node = range_inner(node)->child[range_inner_slot(range_inner(node), start)];
	leaf = range_leaf(node);
	*slot = range_leaf_slot(leaf, start);
	if (*slot > leaf->head && leaf->last[*slot - 1] >= start)
		--*slot;
	if (*slot == leaf->head + leaf->count) {
		leaf = leaf->next;
		if (leaf)
			*slot = leaf->head;
	}
	return leaf;
}

static inline bool take_range(const struct range_leaf *leaf, unsigned slot, uint64_t last, struct range *range)
{
	if (leaf->start[slot] > last)
		return false;
	*range = (struct range){leaf->start[slot], leaf->last[slot], leaf->value[slot]};
	return true;
}

bool range_map_find(const struct range_map *map, uint64_t start, uint64_t last, struct range *found)
{
	unsigned slot = 0;
	const struct range_leaf *leaf = seek(map, start, &slot);

	return leaf && take_range(leaf, slot, last, found);
}

bool range_map_find_below(const struct range_map *map, uint64_t number, struct range *found)
{
	struct range_path path;
	unsigned slot;

	if (!map->count)
		return false;
	range_path_descend(map, number, &path);
	slot = range_leaf_slot(path.leaf, number);
	if (slot == path.leaf->head)
		return false; /* nothing begins so low: the way would have gone further to the left */
	*found = (struct range){path.leaf->start[slot - 1], path.leaf->last[slot - 1], path.leaf->value[slot - 1]};
	return true;
}

bool range_map_first(const struct range_map *map, uint64_t start, uint64_t last, struct range_cursor *c)
{
	unsigned slot = 0;
	const struct range_leaf *leaf = seek(map, start, &slot);

	c->leaf = (const struct range_node *)leaf;
	c->slot = slot;
	c->last = last;
	return leaf && take_range(leaf, slot, last, &c->range);
}

bool range_map_next(struct range_cursor *c)
{
	const struct range_leaf *leaf = range_leaf(c->leaf);

	if (++c->slot == leaf->head + leaf->count) {
		leaf = leaf->next;
		if (!leaf)
			return false;
		c->leaf = (const struct range_node *)leaf;
		c->slot = leaf->head;
	}
	return take_range(leaf, c->slot, c->last, &c->range);
}

static void free_below(struct range_node *node, unsigned level)
{
	if (level)
		for (unsigned i = 0; i < range_inner(node)->count; i++)
			free_below(range_inner(node)->child[i], level - 1);
	free(node);
}

void range_map_clear(struct range_map *map)
{
	if (map->root)
		free_below(map->root, map->height - 1);
	free_spares(map);
	*map = RANGE_MAP_INIT;
}

static size_t memory_below(const struct range_node *node, unsigned level)
{
	size_t sum = sizeof(struct range_inner);

	if (!level)
		return sizeof(struct range_leaf);
	if (level == 1)
		return sum + range_inner(node)->count * sizeof(struct range_leaf);
	for (unsigned i = 0; i < range_inner(node)->count; i++)
		sum += memory_below(range_inner(node)->child[i], level - 1);
	return sum;
}

size_t range_map_memory(const struct range_map *map)
{
	size_t sum = map->root ? memory_below(map->root, map->height - 1) : 0;

	if (map->spare_leaf)
		sum += sizeof(struct range_leaf);
	if (map->spare_inner)
		sum += sizeof(struct range_inner);
	return sum;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "hwpt/table.h"

#include "base/epoch.h"
#include "hwpt/dirty.h"

#include <errno.h>
#include <stdlib.h>

/* A node splits only when it is full, so that this many levels would take longer than anybody has. */
#define HEIGHT_MAX 16U

/* How many nodes are retired before a grace period is worth it. */
#define RETIRED_MAX 64U

#define NODES_OF_BLOCK ((TABLE_BLOCK_SIZE - TABLE_BLOCK_HEADER) / sizeof(struct table_node))

_Static_assert(sizeof(struct table_slab) <= TABLE_BLOCK_SIZE, "a slab is found by the address of what is in it");

/* What a slot has, or shall have. */
struct item {
	uint64_t start, last; /* last is of a new item only */
	void *at;
};

/* The way down: in each node the slot that was followed. Index 0 is the leaf. */
struct path {
	unsigned height;
	uint64_t bound; /* what ends below it, and follows, goes the same way */
	struct {
		struct table_node *node;
		int slot;
	} step[HEIGHT_MAX + 1];
};

/* Translations that end together. */
struct removal {
	struct translation *first, *tail;
	uint64_t count;
};

static uint64_t start_of(const struct table_node *node, int slot)
{
	return atomic_load_explicit(&node->start[slot], memory_order_relaxed);
}

static void set_start(struct table_node *node, int slot, uint64_t start)
{
	atomic_store_explicit(&node->start[slot], start, memory_order_relaxed);
}

static void *at(const struct table_node *node, int slot)
{
	return atomic_load_explicit(&node->at[slot], memory_order_relaxed);
}

static void set_at(struct table_node *node, int slot, void *pointer)
{
	atomic_store_explicit(&node->at[slot], pointer, memory_order_release);
}

static int live_at_or_before(const struct table_node *node, int slot)
{
	while (slot >= 0 && !at(node, slot))
		slot--;
	return slot;
}

static int live_at_or_after(const struct table_node *node, int slot)
{
	while (slot < (int)TABLE_SLOTS && !at(node, slot))
		slot++;
	return slot;
}

static struct table_node *root_of(const struct table *table, unsigned *height)
{
	uintptr_t root = atomic_load_explicit(&table->root, memory_order_relaxed);

	*height = root & TABLE_HEIGHT_MASK;
	return (struct table_node *)(root & ~TABLE_HEIGHT_MASK);
}

static void set_root(struct table *table, struct table_node *root, unsigned height)
{
	atomic_store_explicit(&table->root, root ? (uintptr_t)root | height : 0, memory_order_release);
}

/* Nodes. */

static void node_free(struct table *table, struct table_node *node)
{
	node->next = table->spare;
	table->spare = node;
	table->spares++;
}

static void nodes_free(struct table *table, struct table_node *node)
{
	for (struct table_node *next; node; node = next) {
		next = node->next;
		node_free(table, node);
	}
}

/* Adds a node to a chain that others take as a whole. */
static void push_node(struct table_node *_Atomic *chain, struct table_node *node)
{
	struct table_node *first = atomic_load_explicit(chain, memory_order_relaxed);

	do
		node->next = first;
	while (!atomic_compare_exchange_weak(chain, &first, node));
}

static void retire(struct table *table, struct table_node *node)
{
	push_node(&table->retired, node);
	table->retirements++;
}

/* Takes back what no reader can be in any more, where that is known without waiting. */
static void reclaim(struct table *table)
{
	if (!table->dying && table->retirements >= RETIRED_MAX) {
		table->retirements = 0;
		table->dying = atomic_exchange(&table->retired, NULL);
		table->period = epoch_defer(table->epoch);
	}
	if (!table->dying || !epoch_passed(table->epoch, table->period))
		return;
	nodes_free(table, table->dying);
	table->dying = NULL;
}

static int nodes_alloc(struct table *table)
{
	struct table_block *block = table_memory_take(&table->memory);
	struct table_node *node;

	if (!block)
		return -ENOMEM;
	node = (struct table_node *)((char *)block + TABLE_BLOCK_HEADER);
	/* The first is taken first. */
	for (unsigned i = NODES_OF_BLOCK; i--;)
		node_free(table, &node[i]);
	return 0;
}

/* Makes sure that count nodes can be had. */
static int reserve(struct table *table, unsigned count)
{
	reclaim(table);
	if (table->spares < count && atomic_load_explicit(&table->recycled_nodes, memory_order_relaxed))
		nodes_free(table, atomic_exchange(&table->recycled_nodes, NULL));
	while (table->spares < count) {
		int rc = nodes_alloc(table);

		if (rc)
			return rc;
	}
	return 0;
}

enum spread {
	SPREAD_EVENLY,
	SPREAD_LEFT,  /* more will come at the end */
	SPREAD_RIGHT, /* in front */
};

static unsigned spread_slot(enum spread spread, unsigned i, unsigned count)
{
	if (spread == SPREAD_LEFT)
		return i;
	return spread == SPREAD_RIGHT ? i + TABLE_SLOTS - count : i * TABLE_SLOTS / count;
}

/* Makes a node of reserved memory. Dead slots have the start of the next item. */
static struct table_node *node_make(struct table *table, const struct item *item, unsigned count, enum spread spread)
{
	struct table_node *node = table->spare;
	unsigned slot = 0;

	table->spare = node->next;
	table->spares--;
	node->live = count;
	for (unsigned i = 0; i < count; i++, slot++) {
		for (unsigned end = spread_slot(spread, i, count); slot < end; slot++) {
			atomic_init(&node->start[slot], item[i].start);
			atomic_init(&node->at[slot], NULL);
		}
		atomic_init(&node->start[slot], item[i].start);
		atomic_init(&node->at[slot], item[i].at);
	}
	for (; slot < TABLE_SLOTS; slot++) {
		atomic_init(&node->start[slot], TABLE_NO_START);
		atomic_init(&node->at[slot], NULL);
	}
	return node;
}

/* Changing the tree. */

/* Makes a slot the one that [start, last] leads to; it lies behind the live slots before start. */
static void claim(struct table_node *node, int slot, uint64_t start, uint64_t last)
{
	uint64_t end = last < TABLE_NO_START ? last + 1 : TABLE_NO_START;

	for (int i = slot + 1; i < (int)TABLE_SLOTS && start_of(node, i) <= last && start_of(node, i) != end; i++)
		set_start(node, i, end);
	for (int i = slot - 1; i >= 0 && start_of(node, i) > start; i--)
		set_start(node, i, start);
	if (start_of(node, slot) > start || !at(node, slot))
		set_start(node, slot, start);
}

/* The way to the leaf for [start, last]. */
static void descend(struct table *table, uint64_t start, uint64_t last, struct path *path)
{
	struct table_node *node = root_of(table, &path->height);

	path->bound = TABLE_NO_START;
	for (unsigned height = path->height;; height--) {
		int before = (int)table_count(node, table_key(start)) - 1;
		int slot = live_at_or_before(node, before);

		path->step[height].node = node;
		path->step[height].slot = slot;
		if (!height)
			return;
		if (slot < 0)
			slot = path->step[height].slot = live_at_or_after(node, before + 1);
		claim(node, slot, start, last);
		if (slot + 1 < (int)TABLE_SLOTS && start_of(node, slot + 1) < path->bound)
			path->bound = start_of(node, slot + 1);
		node = at(node, slot);
	}
}

/* Into a dead slot. */
static void put(struct table *table, struct table_node *leaf, int slot, const struct item *item)
{
	claim(leaf, slot, item->start, item->last);
	leaf->live++;
	set_at(leaf, slot, item->at);
	table->finger.leaf = leaf;
	table->finger.slot = slot;
	table->finger.start = item->start;
}

/* Where maps come in ascending order, most are put by this. */
static bool put_next(struct table *table, const struct item *item)
{
	const int slot = table->finger.slot + 1;
	struct table_node *leaf = table->finger.leaf;

	if (!leaf || item->start <= table->finger.start || item->last >= table->finger.bound ||
	    slot == (int)TABLE_SLOTS || at(leaf, slot))
		return false;
	put(table, leaf, slot, item);
	return true;
}

static void put_at(struct table *table, const struct path *path, int slot, const struct item *item)
{
	struct table_node *leaf = path->step[0].node;
	int next = live_at_or_after(leaf, slot + 1);

	put(table, leaf, slot, item);
	table->finger.bound = path->bound;
	if (next < (int)TABLE_SLOTS && start_of(leaf, next) < path->bound)
		table->finger.bound = start_of(leaf, next);
}

/* A dead slot straight behind a live one (-1: before all), on the side on which more will follow; or -1. */
static int dead_after(const struct table_node *node, int slot)
{
	int next = live_at_or_after(node, slot + 1);

	if (next == slot + 1)
		return -1;
	return slot < 0 && next < (int)TABLE_SLOTS ? next - 1 : slot + 1;
}

/* Collects what a node will have: count new items behind a live slot, or in its place. Stores at which place they are.
 */
static unsigned collect(const struct table_node *node, int after, bool replace, const struct item *new, unsigned count,
			struct item *item, unsigned *place)
{
	unsigned n = 0;

	for (int i = 0; i <= after; i++)
		if (at(node, i) && !(replace && i == after))
			item[n++] = (struct item){.start = start_of(node, i), .at = at(node, i)};
	*place = n;
	for (unsigned i = 0; i < count; i++)
		item[n++] = new[i];
	for (int i = after + 1; i < (int)TABLE_SLOTS; i++)
		if (at(node, i)) {
			uint64_t start = start_of(node, i);

			/* It may have been put farther down than what it has. */
			if (!replace && start <= new->last)
				start = new->last + 1;
			item[n++] = (struct item){.start = start, .at = at(node, i)};
		}
	return n;
}

static void change(struct table *table, const struct path *path, unsigned height, int after, bool replace,
		   const struct item *new, unsigned count);

/* A full node stays, and a new one with one item comes beside it. */
static void add_beside(struct table *table, const struct path *path, unsigned height, const struct item *new,
		       bool before)
{
	struct table_node *old = path->step[height].node;
	struct item item = *new;

	item.at = node_make(table, new, 1, before ? SPREAD_RIGHT : SPREAD_LEFT);
	if (height == path->height) {
		struct item both[2] = {{.start = start_of(old, 0), .at = old}, item};

		if (before) {
			both[0] = item;
			both[1] = (struct item){.start = new->last + 1, .at = old};
		}
		set_root(table, node_make(table, both, 2, before ? SPREAD_RIGHT : SPREAD_LEFT), height + 1);
	} else {
		int slot = path->step[height + 1].slot;

		if (before)
			slot = live_at_or_before(path->step[height + 1].node, slot - 1);
		change(table, path, height + 1, slot, false, &item, 1);
	}
}

/* A node's place is taken by one or two others. */
static void replace_node(struct table *table, const struct path *path, unsigned height, const struct item *new,
			 unsigned count)
{
	if (height < path->height)
		change(table, path, height + 1, path->step[height + 1].slot, true, new, count);
	else if (count == 1)
		set_root(table, new->at, height);
	else
		set_root(table, node_make(table, new, 2, SPREAD_EVENLY), height + 1);
	retire(table, path->step[height].node);
}

/*
 * Puts new items into a node behind its live slot after, or in its place. Two only in place of one, which they cover;
 * one in place of another has the same items. Nodes are reserved.
 */
static void change(struct table *table, const struct path *path, unsigned height, int after, bool replace,
		   const struct item *new, unsigned count)
{
	struct table_node *node = path->step[height].node;
	struct item item[TABLE_SLOTS + 2], made[2] = {{0}};
	unsigned n, place, half;
	int dead = replace ? -1 : dead_after(node, after);

	if (replace && count == 1) {
		set_at(node, after, new->at);
		return;
	}
	if (dead >= 0) {
		claim(node, dead, new->start, new->last);
		node->live++;
		set_at(node, dead, new->at);
		return;
	}
	n = collect(node, after, replace, new, count, item, &place);
	if (n <= TABLE_SLOTS) {
		enum spread spread = replace          ? SPREAD_EVENLY
				     : place == 0     ? SPREAD_RIGHT
				     : place == n - 1 ? SPREAD_LEFT
						      : SPREAD_EVENLY;

		made[0].at = node_make(table, item, n, spread);
		replace_node(table, path, height, made, 1);
		return;
	}
	if (!replace && (place == 0 || place == n - 1)) {
		add_beside(table, path, height, new, place == 0);
		return;
	}
	half = n / 2;
	/* Its own first start may be one that the node before has got since; the one above it is right. */
	made[0].start = height < path->height ? start_of(path->step[height + 1].node, path->step[height + 1].slot)
					      : item[0].start;
	made[0].at = node_make(table, item, half, SPREAD_EVENLY);
	made[1].start = item[half].start;
	made[1].at = node_make(table, item + half, n - half, SPREAD_EVENLY);
	replace_node(table, path, height, made, 2);
}

/* How many nodes a change can need: two on each level, and a root. */
static int reserve_path(struct table *table, const struct path *path)
{
	if (path->height == HEIGHT_MAX - 1)
		return -ENOMEM;
	return reserve(table, 2 * (path->height + 1) + 1);
}

static int root_make(struct table *table)
{
	int rc = reserve(table, 1);

	if (!rc)
		set_root(table, node_make(table, NULL, 0, SPREAD_LEFT), 0);
	return rc;
}

/* Translations. */

static struct translation *slab_take(struct table *table)
{
	struct table_slab *slab = table->slab;
	struct translation *translation;

	if (!slab || slab->used == TABLE_SLAB_ROOM) {
		slab = (struct table_slab *)table_memory_take(&table->memory);
		if (!slab)
			return NULL;
		slab->used = 0;
		table->slab = slab;
	}
	translation = &slab->translation[slab->used++];
	atomic_init(&translation->serial, 0);
	return translation;
}

static struct translation *translation_new(struct table *table, const struct ioas_mapping *mapping,
					   struct dirty_bits *dirty)
{
	struct translation *translation = table->free;
	struct translation_side *side;

	if (!translation && atomic_load_explicit(&table->recycled, memory_order_relaxed))
		translation = atomic_exchange(&table->recycled, NULL);
	if (translation) {
		table->free = translation_side(translation)->next;
	} else {
		translation = slab_take(table);
		if (!translation)
			return NULL;
	}
	side = translation_side(translation);
	atomic_store_explicit(&side->dirty, dirty, memory_order_relaxed);
	side->old = NULL;
	translation->mapping = *mapping;
	atomic_store_explicit(&translation->serial, ++table->serial, memory_order_release);
	return translation;
}

/* One that no reader has seen. */
static void translation_drop(struct table *table, struct translation *translation)
{
	translation_side(translation)->next = table->free;
	table->free = translation;
}

static void end(struct translation *translation, struct removal *removal)
{
	atomic_store_explicit(&translation->serial, 0, memory_order_release);
	translation_side(translation)->next = removal->first;
	removal->first = translation;
	if (!removal->tail)
		removal->tail = translation;
	removal->count++;
}

/* Adds a chain to one that others take as a whole. */
static void push(struct translation *_Atomic *chain, struct translation *first, struct translation *tail)
{
	struct translation *before = atomic_load_explicit(chain, memory_order_relaxed);

	do
		translation_side(tail)->next = before;
	while (!atomic_compare_exchange_weak(chain, &before, first));
}

int table_insert(struct table *table, const struct ioas_mapping *mapping, struct dirty_bits *dirty)
{
	struct item item = {.start = mapping->start, .last = mapping->last};
	struct translation *translation;
	struct path path;
	int rc, slot;

	if (!atomic_load_explicit(&table->root, memory_order_relaxed)) {
		rc = root_make(table);
		if (rc)
			return rc;
	}
	translation = translation_new(table, mapping, dirty);
	if (!translation)
		return -ENOMEM;
	item.at = translation;
	table->count++;
	if (put_next(table, &item))
		return 0;
	descend(table, item.start, item.last, &path);
	slot = dead_after(path.step[0].node, path.step[0].slot);
	if (slot >= 0) {
		put_at(table, &path, slot, &item);
		return 0;
	}
	rc = reserve_path(table, &path);
	if (rc) {
		table->count--;
		translation_drop(table, translation);
		return rc;
	}
	table->finger.leaf = NULL;
	change(table, &path, 0, path.step[0].slot, false, &item, 1);
	return 0;
}

int table_split(struct table *table, iova_t address)
{
	struct translation *old = table_find(table, address);
	struct removal removal = {0};
	struct ioas_mapping mapping[2];
	struct translation *half[2];
	struct dirty_bits *dirty;
	struct item item[2];
	struct path path;
	uint64_t length;
	int rc;

	if (!old || old->mapping.last == address)
		return 0;
	dirty = atomic_load_explicit(&translation_side(old)->dirty, memory_order_relaxed);
	length = address - old->mapping.start + 1;
	mapping[0] = mapping[1] = old->mapping;
	mapping[0].last = address;
	mapping[1].start = address + 1;
	mapping[1].source += length;
	if (mapping[1].host)
		mapping[1].host += length;
	descend(table, old->mapping.start, old->mapping.last, &path);
	rc = reserve_path(table, &path);
	if (rc)
		return rc;
	half[0] = translation_new(table, &mapping[0], dirty);
	if (!half[0])
		return -ENOMEM;
	half[1] = translation_new(table, &mapping[1], dirty);
	if (!half[1]) {
		translation_drop(table, half[0]);
		return -ENOMEM;
	}
	for (int i = 0; i < 2; i++) {
		dirty_bits_get(dirty);
		item[i] = (struct item){.start = mapping[i].start, .last = mapping[i].last, .at = half[i]};
	}
	table->finger.leaf = NULL;
	change(table, &path, 0, path.step[0].slot, true, item, 2);
	end(old, &removal);
	push(&table->ended, removal.first, removal.tail);
	table->count++;
	return 0;
}

static void remove_in(struct table *table, struct table_node *node, unsigned height, iova_t start, iova_t last,
		      struct removal *removal)
{
	int first = (int)table_count(node, table_key(start)) - 1;

	for (int i = first < 0 ? 0 : first; i < (int)TABLE_SLOTS && start_of(node, i) <= last; i++) {
		struct translation *translation = at(node, i);
		struct table_node *child = at(node, i);

		if (!child)
			continue;
		if (height) {
			remove_in(table, child, height - 1, start, last, removal);
			if (child->live)
				continue;
		} else if (translation->mapping.start < start || translation->mapping.last > last) {
			continue;
		}
		set_at(node, i, NULL);
		node->live--;
		if (height)
			retire(table, child);
		else
			end(translation, removal);
	}
}

static void end_all(struct table *table, struct table_node *node, unsigned height, struct removal *removal)
{
	for (unsigned i = 0; i < TABLE_SLOTS; i++) {
		void *pointer = at(node, (int)i);

		if (!pointer)
			continue;
		if (height)
			end_all(table, pointer, height - 1, removal);
		else
			end(pointer, removal);
	}
	retire(table, node);
}

void table_remove(struct table *table, iova_t start, iova_t last)
{
	struct removal removal = {0};
	unsigned height;
	struct table_node *root = root_of(table, &height);

	if (!root)
		return;
	/* Its leaf may go. */
	table->finger.leaf = NULL;
	if (!start && last == UINT64_MAX) {
		set_root(table, NULL, 0);
		end_all(table, root, height, &removal);
	} else {
		remove_in(table, root, height, start, last, &removal);
		/* A leaf stays for the next map. */
		if (!root->live && height) {
			set_root(table, NULL, 0);
			retire(table, root);
		}
	}
	table->count -= removal.count;
	if (removal.first)
		push(&table->ended, removal.first, removal.tail);
}

static void release_dirty(struct translation_side *side)
{
	dirty_bits_put(atomic_load_explicit(&side->dirty, memory_order_relaxed));
	dirty_bits_put(side->old);
	atomic_store_explicit(&side->dirty, NULL, memory_order_relaxed);
	side->old = NULL;
}

void table_flush(struct table *table)
{
	struct translation *ended = NULL, *tail = NULL;
	struct table_node *retired = NULL;

	if (atomic_load_explicit(&table->ended, memory_order_relaxed))
		ended = atomic_exchange(&table->ended, NULL);
	if (atomic_load_explicit(&table->retired, memory_order_relaxed))
		retired = atomic_exchange(&table->retired, NULL);
	epoch_wait(table->epoch);
	for (struct table_node *next; retired; retired = next) {
		next = retired->next;
		push_node(&table->recycled_nodes, retired);
	}
	for (struct translation *t = ended; t; t = translation_side(t)->next) {
		release_dirty(translation_side(t));
		tail = t;
	}
	if (ended)
		push(&table->recycled, ended, tail);
}

static int walk(const struct table_node *node, unsigned height, iova_t start, iova_t last,
		int (*visit)(struct translation *, void *), void *arg)
{
	int first = (int)table_count(node, table_key(start)) - 1;
	int rc = 0;

	for (int i = first < 0 ? 0 : first; i < (int)TABLE_SLOTS && start_of(node, i) <= last && !rc; i++) {
		struct translation *translation = at(node, i);

		if (!translation)
			continue;
		if (height)
			rc = walk(at(node, i), height - 1, start, last, visit, arg);
		else if (translation->mapping.last >= start)
			rc = visit(translation, arg);
	}
	return rc;
}

int table_walk(struct table *table, iova_t start, iova_t last, int (*visit)(struct translation *, void *), void *arg)
{
	unsigned height;
	const struct table_node *root = root_of(table, &height);

	return root ? walk(root, height, start, last, visit, arg) : 0;
}

void table_init(struct table *table, struct epoch *epoch)
{
	*table = (struct table){.epoch = epoch};
}

void table_expect(struct table *table, uint64_t count)
{
	table_memory_expect(&table->memory, count * (TABLE_BLOCK_SIZE / TABLE_SLAB_ROOM));
}

static int drop(struct translation *translation, void *arg)
{
	(void)arg;
	release_dirty(translation_side(translation));
	return 0;
}

void table_fini(struct table *table)
{
	table_walk(table, 0, UINT64_MAX, drop, NULL);
	for (struct translation *t = atomic_load(&table->ended); t; t = translation_side(t)->next)
		release_dirty(translation_side(t));
	table_memory_fini(&table->memory);
}

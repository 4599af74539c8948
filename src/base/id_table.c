/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree of 64-way nodes. A node's free word has a bit for each child below which an id is free (or that does not exist
 * yet), so the lowest free id is found by following the lowest set bit down. As ids are taken lowest first, leaves come
 * into being in ascending order. A new root is put above the old one, which lookups that started at the old root do not
 * notice.
 */
#include "base/id_table.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#define FANOUT_BITS 6
#define FANOUT      (1U << FANOUT_BITS)
#define LEVELS      6 /* 36 bits, the first that hold INT_MAX */

enum state {
	STATE_FREE,
	STATE_RESERVED,
	STATE_LIVE,
	STATE_TOMBSTONE,
};

#define STATE_MASK UINT64_C(0xff)
#define ONE_USER   (UINT64_C(1) << 32)

struct id_node {
	uint64_t free;
	uint32_t level; /* 0: leaf */
	union {
		struct id_node *_Atomic child[FANOUT];
		struct id_slot slot[FANOUT];
	};
};

static uint64_t make_word(uint64_t users, unsigned kind, enum state state)
{
	return users << 32 | (uint64_t)kind << 8 | (uint64_t)state;
}

static uint64_t users_of(uint64_t word)
{
	return word >> 32;
}

static unsigned kind_of(uint64_t word)
{
	return word >> 8 & 0xff;
}

static enum state state_of(uint64_t word)
{
	return (enum state)(word & STATE_MASK);
}

static unsigned digit(uint32_t id, uint32_t level)
{
	return (unsigned)((uint64_t)id >> (FANOUT_BITS * level)) & (FANOUT - 1);
}

void id_table_init(struct id_table *table)
{
	atomic_init(&table->root, NULL);
	pthread_mutex_init(&table->lock, NULL);
	table->leaves = 0;
	table->taken = 0;
}

static struct id_node *node_new(uint32_t level)
{
	size_t size =
		level ? offsetof(struct id_node, child) + sizeof(struct id_node *) * FANOUT : sizeof(struct id_node);
	struct id_node *node = calloc(1, size);

	if (node) {
		node->free = UINT64_MAX;
		node->level = level;
	}
	return node;
}

/* Depth is bounded by LEVELS. */
static void node_free(struct id_node *node) /* NOLINT(misc-no-recursion) */
{
	if (!node)
		return;
	for (unsigned i = 0; node->level && i < FANOUT; i++)
		node_free(atomic_load_explicit(&node->child[i], memory_order_relaxed));
	free(node);
}

void id_table_clear(struct id_table *table)
{
	node_free(atomic_load_explicit(&table->root, memory_order_relaxed));
	pthread_mutex_destroy(&table->lock);
}

static struct id_slot *find_slot(const struct id_table *table, uint32_t id)
{
	struct id_node *node = atomic_load_explicit(&table->root, memory_order_acquire);

	if (!node || (uint64_t)id >> (FANOUT_BITS * (node->level + 1)))
		return NULL;
	while (node->level) {
		node = atomic_load_explicit(&node->child[digit(id, node->level)], memory_order_acquire);
		if (!node)
			return NULL;
	}
	return &node->slot[digit(id, 0)];
}

/* The root, with a free id somewhere below it. NULL: no memory. */
static struct id_node *root_with_room(struct id_table *table)
{
	struct id_node *root = atomic_load_explicit(&table->root, memory_order_relaxed);
	struct id_node *above;

	if (root && root->free)
		return root;
	above = node_new(root ? root->level + 1 : 0);
	if (!above)
		return NULL;
	if (root)
		atomic_init(&above->child[0], root);
	else
		table->leaves = 1;
	above->free &= ~UINT64_C(1); /* what is below is full; or this is the leaf of id 0, which nobody gets */
	atomic_store_explicit(&table->root, above, memory_order_release);
	return above;
}

static struct id_node *child_with_room(struct id_table *table, struct id_node *node, unsigned i)
{
	struct id_node *child = atomic_load_explicit(&node->child[i], memory_order_relaxed);

	if (child)
		return child;
	child = node_new(node->level - 1);
	if (!child)
		return NULL;
	if (!child->level)
		table->leaves++;
	atomic_store_explicit(&node->child[i], child, memory_order_release);
	return child;
}

static int take_lowest(struct id_table *table, uint32_t *id, struct id_slot **slot)
{
	struct id_node *path[LEVELS];
	struct id_node *node = root_with_room(table);
	uint64_t found = 0;

	for (;;) {
		if (!node)
			return -ENOMEM;
		path[node->level] = node;
		found = found << FANOUT_BITS | (unsigned)__builtin_ctzll(node->free);
		if (!node->level)
			break;
		if (found << (FANOUT_BITS * node->level) > INT_MAX)
			return -EBUSY;
		node = child_with_room(table, node, (unsigned)(found & (FANOUT - 1)));
	}
	*id = (uint32_t)found;
	*slot = &node->slot[digit(*id, 0)];
	node->free &= node->free - 1;
	for (uint32_t level = 0, top = atomic_load_explicit(&table->root, memory_order_relaxed)->level;
	     level < top && !path[level]->free; level++)
		path[level + 1]->free &= path[level + 1]->free - 1;
	table->taken++;
	return 0;
}

int id_table_reserve(struct id_table *table, unsigned kind, void *value, uint32_t *id, struct id_slot **slot)
{
	int rc;

	pthread_mutex_lock(&table->lock);
	rc = take_lowest(table, id, slot);
	pthread_mutex_unlock(&table->lock);
	if (rc)
		return rc;
	(*slot)->value = value;
	atomic_store_explicit(&(*slot)->word, make_word(1, kind, STATE_RESERVED), memory_order_release);
	return 0;
}

void id_publish(struct id_slot *slot)
{
	atomic_fetch_add_explicit(&slot->word, STATE_LIVE - STATE_RESERVED, memory_order_release);
}

void *id_table_get(const struct id_table *table, uint32_t id, unsigned kind)
{
	struct id_slot *slot = find_slot(table, id);
	uint64_t word;

	if (!slot)
		return NULL;
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	do {
		if (state_of(word) != STATE_LIVE || (kind != ID_ANY && kind_of(word) != kind))
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word + ONE_USER, memory_order_acquire,
							memory_order_relaxed));
	return slot->value;
}

void id_hold(struct id_slot *slot)
{
	atomic_fetch_add_explicit(&slot->word, ONE_USER, memory_order_relaxed);
}

void id_put(struct id_slot *slot)
{
	atomic_fetch_sub_explicit(&slot->word, ONE_USER, memory_order_release);
}

uint32_t id_users(const struct id_slot *slot)
{
	return (uint32_t)users_of(atomic_load_explicit(&slot->word, memory_order_acquire));
}

int id_table_kill(const struct id_table *table, uint32_t id, void **value)
{
	struct id_slot *slot = find_slot(table, id);
	uint64_t word;

	if (!slot)
		return -ENOENT;
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	do {
		if (state_of(word) != STATE_LIVE)
			return -ENOENT;
		if (users_of(word) != 1)
			return -EBUSY;
	} while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, make_word(1, kind_of(word), STATE_RESERVED),
							memory_order_acquire, memory_order_relaxed));
	*value = slot->value;
	return 0;
}

bool id_hide(struct id_slot *slot)
{
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

	do {
		if (state_of(word) != STATE_LIVE)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word - STATE_LIVE + STATE_RESERVED,
							memory_order_acquire, memory_order_relaxed));
	return true;
}

bool id_put_last(struct id_slot *slot)
{
	uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	uint64_t next;
	bool last;

	do {
		last = state_of(word) == STATE_LIVE && users_of(word) == 2;
		next = last ? make_word(1, kind_of(word), STATE_RESERVED) : word - ONE_USER;
	} while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, next, memory_order_acq_rel,
							memory_order_relaxed));
	return last;
}

void id_table_release(struct id_table *table, uint32_t id)
{
	struct id_node *node;

	pthread_mutex_lock(&table->lock);
	node = atomic_load_explicit(&table->root, memory_order_relaxed);
	for (; node->level; node = atomic_load_explicit(&node->child[digit(id, node->level)], memory_order_relaxed))
		node->free |= UINT64_C(1) << digit(id, node->level);
	node->free |= UINT64_C(1) << digit(id, 0);
	atomic_store_explicit(&node->slot[digit(id, 0)].word, make_word(0, 0, STATE_FREE), memory_order_relaxed);
	table->taken--;
	pthread_mutex_unlock(&table->lock);
}

void id_table_bury(const struct id_table *table, uint32_t id)
{
	atomic_store_explicit(&find_slot(table, id)->word, make_word(0, 0, STATE_TOMBSTONE), memory_order_relaxed);
}

bool id_table_next(struct id_table *table, uint32_t *id)
{
	uint64_t end;

	pthread_mutex_lock(&table->lock);
	end = (uint64_t)table->leaves << FANOUT_BITS;
	pthread_mutex_unlock(&table->lock);
	for (uint64_t at = *id; at < end; at++) {
		const struct id_slot *slot = find_slot(table, (uint32_t)at);

		if (slot && state_of(atomic_load_explicit(&slot->word, memory_order_relaxed)) == STATE_LIVE) {
			*id = (uint32_t)at;
			return true;
		}
	}
	return false;
}

bool id_table_empty(struct id_table *table)
{
	bool empty;

	pthread_mutex_lock(&table->lock);
	empty = !table->taken;
	pthread_mutex_unlock(&table->lock);
	return empty;
}

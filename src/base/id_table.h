/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ids of one context: the lowest free number from 1 to INT_MAX, each with what it names and how many use it.
 *
 * An id is free, reserved (taken, but no lookup finds it), live, or a tombstone (taken for ever). State, kind and
 * users are one word, so that "found, and one more user" and "one user, and gone" are each one step: a lookup takes no
 * lock. Slots stay where they are until id_table_clear(), which is why a lookup may look at one that is being freed.
 * Taking and freeing a number is serialised by the table's own lock. All functions are thread-safe but for init and
 * clear.
 */
#ifndef IOMMUSE_BASE_ID_TABLE_H
#define IOMMUSE_BASE_ID_TABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct id_node;

struct id_slot {
	_Atomic uint64_t word; /* users << 32 | kind << 8 | state */
	void *value;           /* written while reserved; read by those who count as users */
};

struct id_table {
	struct id_node *_Atomic root;
	pthread_mutex_t lock; /* guards the free bits, the shape of the tree, and what follows */
	uint32_t leaves;      /* leaves exist for all ids below leaves * 64 */
	uint32_t taken;       /* ids that are not free */
};

/* Any kind, in a lookup. */
#define ID_ANY 0

void id_table_init(struct id_table *table);

/* Frees the nodes. The values are the caller's. */
void id_table_clear(struct id_table *table);

/* Takes the lowest free id for value, reserved and with one user. kind: 1 to 255. Returns 0, -ENOMEM, or -EBUSY: no id
 * is free. */
int id_table_reserve(struct id_table *table, unsigned kind, void *value, uint32_t *id, struct id_slot **slot);

/* Lets lookups find a reserved id. */
void id_publish(struct id_slot *slot);

/* Finds a live id of this kind and adds a user. Returns its value, or NULL. */
void *id_table_get(const struct id_table *table, uint32_t id, unsigned kind);

/* One more user of an id that the caller uses or has reserved; one less. */
void id_hold(struct id_slot *slot);
void id_put(struct id_slot *slot);

/* How many use it now. */
uint32_t id_users(const struct id_slot *slot);

/*
 * Takes a live id with one user out of sight: it is reserved again, and its value belongs to the caller.
 * Returns 0, -ENOENT: not live, or -EBUSY: more than one user.
 */
int id_table_kill(const struct id_table *table, uint32_t id, void **value);

/*
 * Drops a user of a live id. Returns true where that leaves the one for being there: it is taken out of sight as by
 * id_table_kill(), and its value belongs to the caller.
 */
bool id_put_last(struct id_slot *slot);

/* Takes a live id out of sight whatever uses it: it is reserved again, and nobody is added to its users. Returns false
 * if it is not live. For who owns the value; id_table_kill() does not succeed afterwards. */
bool id_hide(struct id_slot *slot);

/* Frees a reserved id with one user for the next id_table_reserve(). */
void id_table_release(struct id_table *table, uint32_t id);

/* Makes a reserved id with one user a tombstone. */
void id_table_bury(const struct id_table *table, uint32_t id);

/* Finds the lowest live id that is not below *id. Returns false where there is none. */
bool id_table_next(struct id_table *table, uint32_t *id);

/* Are all ids free? */
bool id_table_empty(struct id_table *table);

#endif

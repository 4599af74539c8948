/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A map from disjoint ranges [start, last] of 64-bit numbers to pointers, made for I/O address spaces: a B+tree with
 * wide nodes, no allocation in a lookup or a removal, and an index of the gaps between the ranges.
 *
 * Not locked: the owner of the map serialises changes against everything else; lookups may run beside lookups.
 * A change near the last one is cheap, and to fill again what was removed last is cheapest.
 */
#ifndef IOMMUSE_BASE_RANGE_MAP_H
#define IOMMUSE_BASE_RANGE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range_node;
struct range_leaf;
struct range_inner;

/* See "Depth" in range_map.c. */
#define RANGE_MAP_MAX_HEIGHT 12

/* The way down to a leaf, from its parent at step[0] up to the root. */
struct range_path {
	struct range_leaf *leaf;
	unsigned inner_levels;
	struct {
		struct range_inner *node;
		unsigned slot;
	} step[RANGE_MAP_MAX_HEIGHT - 1];
};

/* What the last change removed, as it is often put back at once. */
struct range_fresh {
	bool known;             /* something was removed, and nothing changed since */
	bool gap;               /* it left a gap between two ranges of which the bounds do not know yet */
	bool right;             /* the gap belongs to the child on the right of the way */
	uint16_t level;         /* of which node of the way */
	uint16_t index;         /* which entry of the leaf went */
	uint64_t start, last;   /* what went */
	uint64_t before, after; /* the numbers next to the gap */
};

struct range_map {
	struct range_node *root; /* NULL until something is inserted */
	unsigned height;
	size_t count; /* ranges */

	/* All below is the map's own business. */
	struct range_node *spare_leaf, *spare_inner; /* kept for the next split */
	struct range_path path;                      /* to the last change; its leaf is NULL where none is known */
	struct range_fresh fresh;
};

struct range {
	uint64_t start;
	uint64_t last; /* inclusive; start <= last */
	void *value;
};

/* A gap that is wanted: see range_map_find_gap(). */
struct range_gap {
	uint64_t first, last; /* search only within [first, last] */
	uint64_t length;      /* in units of the numbers; > 0 */
	uint64_t align;       /* a power of two, 1 to 2 MiB */
	uint64_t offset;      /* < 4096; or-ed into the aligned address */
};

#define RANGE_MAP_INIT ((struct range_map){0})

/* Frees the nodes. The values are the caller's. The map is empty and usable afterwards. */
void range_map_clear(struct range_map *map);

/* Returns 0, or -EEXIST: [start, last] meets a range of the map, or -ENOMEM; on error the map is as it was. */
int range_map_insert(struct range_map *map, uint64_t start, uint64_t last, void *value);

/* Removes the range that begins at start. Returns its value, or NULL where none begins there. Needs no memory. */
void *range_map_remove(struct range_map *map, uint64_t start);

/* Replaces the value of the range that begins at start, and cuts or grows it to end at last (which must not reach the
 * next range). Returns 0, or -ENOENT: no range begins there, or -EEXIST: the next range is in the way. Needs no memory.
 */
int range_map_update(struct range_map *map, uint64_t start, uint64_t last, void *value);

/* Finds the lowest range that meets [start, last]. Returns false where there is none. */
bool range_map_find(const struct range_map *map, uint64_t start, uint64_t last, struct range *found);

/* Finds the highest range that begins at number or below it. Returns false where there is none. */
bool range_map_find_below(const struct range_map *map, uint64_t number, struct range *found);

/*
 * Walks the ranges that meet [start, last], ascending:
 *	struct range_cursor c;
 *	for (bool more = range_map_first(map, start, last, &c); more; more = range_map_next(&c))
 *		use(c.range);
 * A step costs O(1). A change of the map ends the cursor's life.
 */
struct range_cursor {
	struct range range;
	const struct range_node *leaf;
	unsigned slot;
	uint64_t last;
};
bool range_map_first(const struct range_map *map, uint64_t start, uint64_t last, struct range_cursor *c);
bool range_map_next(struct range_cursor *c);

/*
 * Finds the lowest gap [s, l] between ranges, clipped to [want->first, want->last], in which the address
 *	a = (s rounded up to want->align) | want->offset
 * leaves room: a does not overflow, a <= l and l - a >= want->length - 1. Stores a in *start and returns true, or
 * returns false. Costs O(log n) amortised, whatever the number of gaps that are too small or misaligned; only where the
 * offset is at least the alignment, each gap is looked at that has room but for the offset.
 *
 * It keeps what it learns in the nodes: where locks are concerned it is a change, but lookups may run beside it.
 */
bool range_map_find_gap(const struct range_map *map, const struct range_gap *want, uint64_t *start);

/* The memory that the map's nodes take, in bytes. */
size_t range_map_memory(const struct range_map *map);

#endif

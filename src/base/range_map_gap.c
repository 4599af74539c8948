/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounds of gaps, and the search by them. What the bounds mean, and when they are raised, is told at the top of
 * range_map.c.
 *
 * A search for a length at an alignment of 2^n descends only into children whose bound of order n is large enough.
 * Where the offset stays below the alignment, or-ing it in is adding it, so the search is for length + offset and the
 * bounds are exact for it. Where the alignment is below 4096 and the offset has higher bits, the bounds ignore the
 * offset, and gaps that lack room just because of it are looked at one by one.
 *
 * A descent that ends in vain leaves the child's bounds of order 0 and order n as low as what is known of the child's
 * own content allows: for a leaf that is exact. The window does not matter for this: bounds speak of whole gaps.
 */
#include "base/range_node.h"

struct search {
	uint64_t first, last, length, offset; /* as wanted */
	uint64_t mask;                        /* the alignment, less 1 */
	unsigned order;                       /* the alignment is 2^order */
	uint64_t room;                        /* what a gap's room must be at least */
	uint64_t found;
};

enum verdict {
	FOUND,
	NOT_HERE,
	BEYOND, /* the window has ended */
};

static void set_slack(struct range_inner *node, unsigned slot, unsigned order, uint64_t slack)
{
	if (slack)
		node->slacks[slot] |= UINT32_C(1) << order;
	else
		node->slacks[slot] &= ~(UINT32_C(1) << order);
	if (order <= RANGE_SHORT_ORDERS)
		node->short_slack[order - 1][slot] = (uint16_t)slack;
	else
		node->long_slack[order - 1 - RANGE_SHORT_ORDERS][slot] = (uint32_t)slack;
}

static unsigned take_order(uint32_t *orders)
{
	unsigned order = (unsigned)__builtin_ctz(*orders);

	*orders &= *orders - 1;
	return order;
}

void range_bound_join(struct range_inner *node, unsigned slot, const struct range_inner *from, unsigned other)
{
	uint64_t bound = node->bound[slot] > from->bound[other] ? node->bound[slot] : from->bound[other];
	uint32_t orders = node->slacks[slot] | from->slacks[other];
	uint64_t old = node->bound[slot];

	node->bound[slot] = bound;
	while (orders) {
		unsigned order = take_order(&orders);
		uint64_t mine = old - range_slack(node, slot, order), its = range_bound(from, other, order);

		set_slack(node, slot, order, bound - (mine > its ? mine : its));
	}
}

void range_bound_raise(struct range_inner *node, unsigned slot, uint64_t before, uint64_t after)
{
	uint64_t old = node->bound[slot], gap = range_room(before, after, 0), bound = old > gap ? old : gap;
	uint32_t orders = node->slacks[slot];

	node->bound[slot] = bound;
	while (orders) {
		unsigned order = take_order(&orders);
		uint64_t mine = old - range_slack(node, slot, order);
		uint64_t its = range_room(before, after, (UINT64_C(1) << order) - 1);

		set_slack(node, slot, order, bound - (mine > its ? mine : its));
	}
}

/*
 * The bounds of order 0 and of this order need not be higher than these; they may be lower already. Those of other
 * orders stay, if they are not above that of order 0.
 */
static void range_bound_lower(struct range_inner *node, unsigned slot, unsigned order, uint64_t bound, uint64_t room)
{
	uint64_t old = node->bound[slot], known = range_bound(node, slot, order), most = (UINT64_C(1) << order) - 1;
	uint32_t orders = node->slacks[slot];

	if (bound > old)
		bound = old;
	if (room > known)
		room = known;
	node->bound[slot] = bound;
	while (bound < old && orders) {
		unsigned other = take_order(&orders);
		uint64_t slack = range_slack(node, slot, other);

		set_slack(node, slot, other, slack > old - bound ? slack - (old - bound) : 0);
	}
	if (order) {
		uint64_t slack = bound > room ? bound - room : 0;

		set_slack(node, slot, order, slack < most ? slack : most);
	}
}

/* Whether the gap [start, last] has the room within the window. */
static bool fits(struct search *search, uint64_t start, uint64_t last)
{
	uint64_t at;

	if (start < search->first)
		start = search->first;
	if (last > search->last)
		last = search->last;
	if (start > last || start > UINT64_MAX - search->mask)
		return false;
	at = ((start + search->mask) & ~search->mask) | search->offset;
	if (at > last || last - at < search->length - 1)
		return false;
	search->found = at;
	return true;
}

/* Looks at the gap between before and after. */
static inline enum verdict try_gap(struct search *search, uint64_t before, uint64_t after)
{
	if (before >= search->last)
		return BEYOND;
	if (after - before > 1 && fits(search, before + 1, after - 1))
		return FOUND;
	return NOT_HERE;
}

/* Of what a search went through in vain: the largest gap, and the largest room for its alignment. */
struct extent {
	uint64_t bound, room;
};

static enum verdict search_leaf(struct search *search, const struct range_leaf *leaf, struct extent *extent)
{
	const uint64_t *after = &leaf->start[leaf->head], *before = &leaf->last[leaf->head], *end = after + leaf->count;
	/* Ranges that are no further apart tell nothing new. */
	uint64_t dull = (extent->room < search->room ? extent->room : search->room - 1) + 1;

	while (++after < end) {
		enum verdict verdict;
		uint64_t room;

		if (*after - *before++ <= dull)
			continue;
		room = range_room(before[-1], *after, search->mask);
		if (room >= search->room) {
			verdict = try_gap(search, before[-1], *after);
			if (verdict != NOT_HERE)
				return verdict;
		}
		if (*after - before[-1] - 1 > extent->bound)
			extent->bound = *after - before[-1] - 1;
		if (room > extent->room) {
			extent->room = room;
			dull = (room < search->room ? room : search->room - 1) + 1;
		}
	}
	return NOT_HERE;
}

/* How the slacks of an order are kept. */
enum width { NONE, SHORT, LONG };

static inline enum width width_of(unsigned order)
{
	return !order ? NONE : order <= RANGE_SHORT_ORDERS ? SHORT : LONG;
}

static inline __attribute__((always_inline)) uint64_t bound_of(const struct range_inner *node, size_t slot,
							       unsigned order, enum width width)
{
	if (width == NONE)
		return node->bound[slot];
	if (width == SHORT)
		return node->bound[slot] - node->short_slack[order - 1][slot];
	return node->bound[slot] - node->long_slack[order - 1 - RANGE_SHORT_ORDERS][slot];
}

static inline __attribute__((always_inline)) size_t next_child_of(const struct range_inner *node, size_t slot,
								  unsigned order, uint64_t room, enum width width)
{
	while (slot < node->count && (node->bound[slot] < room || bound_of(node, slot, order, width) < room))
		slot++;
	return slot;
}

/* The first child from slot on that may have the room; count where there is none. */
static size_t next_child(const struct range_inner *node, size_t slot, unsigned order, uint64_t room)
{
	switch (width_of(order)) {
	case NONE:
		return next_child_of(node, slot, order, room, NONE);
	case SHORT:
		return next_child_of(node, slot, order, room, SHORT);
	default:
		return next_child_of(node, slot, order, room, LONG);
	}
}

static inline __attribute__((always_inline)) void measure_of(const struct range_inner *node, unsigned order,
							     struct extent *extent, enum width width)
{
	uint64_t bound = extent->bound, room = extent->room;

	for (size_t slot = 0; slot < node->count; slot++) {
		uint64_t rounded;

		if (node->bound[slot] <= room)
			continue;
		rounded = bound_of(node, slot, order, width);
		bound = node->bound[slot] > bound ? node->bound[slot] : bound;
		room = rounded > room ? rounded : room;
	}
	extent->bound = bound;
	extent->room = room;
}

/* What the bounds in the node say of all that is below it. */
static void measure(const struct range_inner *node, unsigned order, struct extent *extent)
{
	switch (width_of(order)) {
	case NONE:
		measure_of(node, order, extent, NONE);
		break;
	case SHORT:
		measure_of(node, order, extent, SHORT);
		break;
	default:
		measure_of(node, order, extent, LONG);
		break;
	}
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tree */
static enum verdict search_inner(struct search *search, struct range_inner *node, unsigned level)
{
	unsigned slot = 0;

	if (node->last[0] < search->first) {
		slot = range_inner_slot(node, search->first);
		if (node->last[slot] < search->first)
			slot++;
	}
	for (;; slot++) {
		struct extent extent = {0};
		enum verdict verdict = NOT_HERE;

		slot = (unsigned)next_child(node, slot, search->order, search->room);
		if (slot >= node->count)
			return NOT_HERE;
		if (slot) {
			verdict = try_gap(search, node->last[slot - 1], node->first[slot]);
			extent.bound = range_room(node->last[slot - 1], node->first[slot], 0);
			extent.room = range_room(node->last[slot - 1], node->first[slot], search->mask);
		}
		if (verdict == NOT_HERE && level == 1)
			verdict = search_leaf(search, range_leaf(node->child[slot]), &extent);
		else if (verdict == NOT_HERE)
			verdict = search_inner(search, range_inner(node->child[slot]), level - 1);
		if (verdict != NOT_HERE)
			return verdict;
		if (level > 1)
			measure(range_inner(node->child[slot]), search->order, &extent);
		range_bound_lower(node, slot, search->order, extent.bound, extent.room);
	}
}

static bool prepare(struct search *search, const struct range_gap *want)
{
	*search = (struct search){
		.first = want->first,
		.last = want->last,
		.length = want->length,
		.offset = want->offset,
		.mask = want->align - 1,
		.order = (unsigned)__builtin_ctzll(want->align),
		.room = want->length,
	};
	if (search->order >= RANGE_ORDERS || !want->length)
		return false;
	/* No gap between ranges is as large as that. */
	if (want->offset <= search->mask && __builtin_add_overflow(want->length, want->offset, &search->room))
		search->room = UINT64_MAX;
	return true;
}

static uint64_t first_start(const struct range_map *map)
{
	const struct range_leaf *leaf = range_leaf(map->root);

	return map->height > 1 ? range_inner(map->root)->first[0] : leaf->start[leaf->head];
}

static uint64_t final_last(const struct range_map *map)
{
	const struct range_inner *inner = range_inner(map->root);
	const struct range_leaf *leaf = range_leaf(map->root);

	return map->height > 1 ? inner->last[inner->count - 1] : leaf->last[leaf->head + leaf->count - 1];
}

static bool find(struct search *search, const struct range_map *map)
{
	struct extent extent = {0};
	enum verdict verdict;

	if (!map->count)
		return fits(search, 0, UINT64_MAX);
	if (first_start(map) && fits(search, 0, first_start(map) - 1))
		return true;
	if (map->height == 1)
		verdict = search_leaf(search, range_leaf(map->root), &extent);
	else
		verdict = search_inner(search, range_inner(map->root), map->height - 1);
	if (verdict != NOT_HERE)
		return verdict == FOUND;
	return final_last(map) < UINT64_MAX && fits(search, final_last(map) + 1, UINT64_MAX);
}

bool range_map_find_gap(const struct range_map *map, const struct range_gap *want, uint64_t *start)
{
	const struct range_fresh *fresh = &map->fresh;
	struct search search;
	bool found = false;

	if (!prepare(&search, want))
		return false;
	if (fresh->gap && fits(&search, fresh->before + 1, fresh->after - 1)) {
		*start = search.found;
		found = true;
		/* Is there a lower one? */
		search.last = fresh->before;
	}
	if (find(&search, map)) {
		*start = search.found;
		found = true;
	}
	return found;
}

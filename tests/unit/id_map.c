/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers that are taken, against an array that says which are. */
#include "pasid/id_map.h"

#include "check.h"

#include <stdlib.h>

enum { MOST = 1 << 13 };

static bool taken[MOST];

static unsigned rnd(unsigned n)
{
	static unsigned state = 1;

	state = state * 1103515245 + 12345;
	return (state >> 8) % n;
}

/* What is found from each number on. */
static void check_all(const struct id_map *map, uint32_t size)
{
	uint32_t want = size, wrong = 0;

	for (uint32_t at = size; at-- > 0;) {
		uint32_t id = 0;
		bool found = id_map_find(map, at, &id);

		want = taken[at] ? want : at;
		wrong += found != (want < size) || (found && id != want) || id_map_taken(map, at) != taken[at];
	}
	CHECK_EQ(wrong, 0);
}

static void set(struct id_map *map, uint32_t id, bool take)
{
	if (take == taken[id])
		return;
	taken[id] = take;
	if (take)
		id_map_take(map, id);
	else
		id_map_release(map, id);
}

static void the_lowest_free_number_is_found(unsigned bits)
{
	const uint32_t size = 1U << bits;
	struct id_map map;
	uint32_t id;

	CHECK_EQ(id_map_init(&map, bits), 0);
	check_all(&map, size);
	for (unsigned round = 0; round < 30; round++) {
		for (uint32_t i = 0; i < size; i++)
			set(&map, rnd(size), rnd(30) < round);
		check_all(&map, size);
	}
	for (uint32_t i = 0; i < size; i++)
		set(&map, i, true);
	check_all(&map, size);
	CHECK(!id_map_find(&map, 0, &id) && !id_map_find(&map, size, &id) && !id_map_find(&map, UINT32_MAX, &id));
	for (uint32_t i = size; i-- > 0;) {
		set(&map, i, false);
		CHECK(id_map_find(&map, 0, &id) && id == i);
	}
	id_map_fini(&map);
}

static void as_many_are_found_as_there_are(unsigned bits)
{
	struct id_map map;
	uint32_t id, n = 0;

	CHECK_EQ(id_map_init(&map, bits), 0);
	while (id_map_find(&map, 0, &id) && id == n) {
		id_map_take(&map, id);
		n++;
	}
	CHECK_EQ(n, 1U << bits);
	CHECK(!id_map_find(&map, 0, &id));
	id_map_fini(&map);
}

int main(void)
{
	for (unsigned bits = 1; bits <= 13; bits++)
		the_lowest_free_number_is_found(bits);
	for (unsigned bits = 1; bits <= 20; bits++)
		as_many_are_found_as_there_are(bits);
	return check_result();
}

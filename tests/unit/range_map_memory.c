/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large maps take the memory that the documents say, however they came to be, and give it back when they shrink.
 * That range_map_memory() tells the truth is checked in range_map_random.
 *
 * range_map_memory [RANGES]
 */
#include "base/range_map.h"

#include "range_map_check.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define STREAMS 16U

static uint32_t *order_of;
static unsigned count = 1000000;
static int failed;

/* The number of the range that is inserted or removed at this step. */
typedef uint32_t order_fn(unsigned step);

static uint32_t ascending(unsigned step)
{
	return step;
}

static uint32_t descending(unsigned step)
{
	return count - 1 - step;
}

static uint32_t shuffled(unsigned step)
{
	return order_of[step];
}

static uint32_t streams(unsigned step)
{
	return step % STREAMS * (count / STREAMS) + step / STREAMS;
}

static void expect(bool holds, const char *what)
{
	if (!holds) {
		printf("FAIL: %s\n", what);
		failed = 1;
	}
}

static void check(const struct range_map *map)
{
	const char *wrong = range_map_check(map);

	if (wrong)
		expect(false, wrong);
}

static void shuffle(void)
{
	uint64_t state = 1;

	for (unsigned i = 0; i < count; i++)
		order_of[i] = i;
	for (unsigned i = count; i-- > 1;) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);

		unsigned j = (unsigned)((state >> 33) % (i + 1));
		uint32_t swap = order_of[i];

		order_of[i] = order_of[j];
		order_of[j] = swap;
	}
}

static uint64_t start_of(uint32_t number)
{
	return (uint64_t)number << 14;
}

static void report(const struct range_map *map, const char *what, double bytes, double limit)
{
	printf("%-60s %6.1f bytes, limit %6.1f\n", what, bytes, limit);
	expect(bytes <= limit, what);
	check(map);
}

static void grow(struct range_map *map, const char *name, order_fn *order, double limit)
{
	char what[80];

	for (unsigned i = 0; i < count / STREAMS * STREAMS; i++)
		if (range_map_insert(map, start_of(order(i)), start_of(order(i)) + 4095, map))
			expect(false, "insert");
	snprintf(what, sizeof(what), "inserted %s, of each", name);
	report(map, what, (double)range_map_memory(map) / (double)map->count, limit);
}

/* Down to a hundredth, and to nothing. */
static void shrink(struct range_map *map, const char *name, order_fn *order, double limit)
{
	char what[80];
	unsigned i = 0;

	for (; map->count > count / 100; i++)
		range_map_remove(map, start_of(order(i)));
	snprintf(what, sizeof(what), "  a hundredth left, removed %s, of each", name);
	report(map, what, (double)range_map_memory(map) / (double)map->count, limit);
	for (; i < count; i++)
		range_map_remove(map, start_of(order(i)));
	expect(!map->count, "empty");
	report(map, "  nothing left, in all", (double)range_map_memory(map), 1600);
	range_map_clear(map);
	expect(!range_map_memory(map), "cleared");
}

int main(int argc, char **argv)
{
	struct range_map map = RANGE_MAP_INIT;

	if (argc > 1)
		count = (unsigned)strtoul(argv[1], NULL, 0);
	order_of = calloc(count, sizeof(*order_of));
	if (!order_of)
		return 1;
	shuffle();
	grow(&map, "ascending", ascending, 26);
	shrink(&map, "ascending", ascending, 30);
	grow(&map, "descending", descending, 28);
	shrink(&map, "descending", descending, 30);
	grow(&map, "in 16 ascending streams", streams, 36);
	shrink(&map, "in the same order", streams, 80);
	grow(&map, "at random", shuffled, 36);
	shrink(&map, "at random", shuffled, 100);
	free(order_of);
	return failed;
}

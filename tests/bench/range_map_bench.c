/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operations of a range map cost in processor time: medians of rounds, each figure beside its target. */
#include "base/range_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE    UINT64_C(4096)
#define LARGE   UINT64_C(0x200000)
#define MANY    100000U
#define MILLION 1000000U
#define ROUNDS  7
#define PAIRS   100000U

static uint64_t random_state = 1;
static uint32_t order_of[MILLION];

static uint64_t rnd(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(bool holds)
{
	if (!holds) {
		printf("range_map_bench: an operation went wrong\n");
		exit(1);
	}
}

static void shuffle(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		order_of[i] = i;
	for (unsigned i = n; i-- > 1;) {
		unsigned j = (unsigned)(rnd() % (i + 1));
		uint32_t swap = order_of[i];

		order_of[i] = order_of[j];
		order_of[j] = swap;
	}
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Ranges of length bytes, one each stride, from base on. */
struct layout {
	uint64_t base, stride, length;
	unsigned count;
};

static uint64_t place(const struct layout *at, unsigned i)
{
	return at->base + i * at->stride;
}

static void put(struct range_map *map, const struct layout *at, unsigned i)
{
	uint64_t start = place(at, i);

	must(range_map_insert(map, start, start + at->length - 1, map) == 0);
}

static void fill(struct range_map *map, const struct layout *at)
{
	for (unsigned i = 0; i < at->count; i++)
		put(map, at, i);
}

typedef double round_fn(struct range_map *map, const struct layout *at);

static double median(round_fn *round, struct range_map *map, const struct layout *at)
{
	double ns[ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++)
		ns[i] = round(map, at);
	qsort(ns, ROUNDS, sizeof(ns[0]), compare_doubles);
	return ns[ROUNDS / 2];
}

/* target 0: none was set. */
static void report(const char *what, double figure, const char *unit, double target)
{
	printf("%-72s %7.1f %-5s", what, figure, unit);
	if (target > 0)
		printf(" target %5.0f", target);
	printf("\n");
	fflush(stdout);
}

/* One place, again and again. */
static double pairs_fixed(struct range_map *map, const struct layout *at)
{
	double start = now();

	for (unsigned i = 0; i < PAIRS; i++) {
		range_map_remove(map, place(at, 0));
		put(map, at, 0);
	}
	return (now() - start) / PAIRS;
}

static double pairs_random(struct range_map *map, const struct layout *at)
{
	double start;

	shuffle(at->count);
	start = now();
	for (unsigned i = 0; i < at->count; i++) {
		range_map_remove(map, place(at, order_of[i]));
		put(map, at, order_of[i]);
	}
	return (now() - start) / at->count;
}

/* The most expensive place of all: where a node begins or ends. */
static double pairs_worst_place(struct range_map *map, const struct layout *at)
{
	double worst = 0;

	for (unsigned n = 0; n < 400; n++) {
		unsigned i = n < 200 ? n : at->count - 400 + n;
		double start = now(), ns;

		for (unsigned k = 0; k < 1000; k++) {
			range_map_remove(map, place(at, i));
			put(map, at, i);
		}
		ns = (now() - start) / 1000;
		worst = ns > worst ? ns : worst;
	}
	return worst;
}

static double finds_random(struct range_map *map, const struct layout *at)
{
	struct range r;
	double start;

	shuffle(at->count);
	start = now();
	for (unsigned i = 0; i < at->count; i++)
		must(range_map_find(map, place(at, order_of[i]) + 5, UINT64_MAX, &r));
	return (now() - start) / at->count;
}

static double steps(struct range_map *map, const struct layout *at)
{
	struct range_cursor c;
	double start = now();
	unsigned n = 0;

	for (bool more = range_map_first(map, 0, UINT64_MAX, &c); more; more = range_map_next(&c))
		n++;
	must(n == at->count);
	return (now() - start) / n;
}

/* A range goes, the lowest gap is looked for, and a range comes back there; less what the pair alone costs. */
static double gaps_after_change(struct range_map *map, const struct layout *at, struct range_gap want, bool same_place)
{
	double begin, pairs, all;
	uint64_t found;

	shuffle(at->count);
	if (same_place)
		for (unsigned i = 0; i < at->count; i++)
			order_of[i] = order_of[i & ~1023U];
	begin = now();
	for (unsigned i = 0; i < at->count; i++) {
		range_map_remove(map, place(at, order_of[i]));
		put(map, at, order_of[i]);
	}
	pairs = now() - begin;
	begin = now();
	for (unsigned i = 0; i < at->count; i++) {
		range_map_remove(map, place(at, order_of[i]));
		must(range_map_find_gap(map, &want, &found) && found == place(at, order_of[i]));
		put(map, at, order_of[i]);
	}
	all = now() - begin;
	return (all - pairs) / at->count;
}

/*
 * The same, where what was removed is not what is put back next: two ranges go, the gap of the lower is looked for,
 * both come back. Bounds are raised, too high and lowered again each time. Less what the two pairs cost before any
 * search.
 */
static double gaps_after_changes(const struct layout *at, struct range_gap want)
{
	struct range_map map = RANGE_MAP_INIT;
	double times[2];
	uint64_t found;

	fill(&map, at);
	for (int with = 0; with < 2; with++) {
		shuffle(at->count);

		double begin = now();

		for (unsigned i = 0; i + 1 < at->count; i += 2) {
			unsigned low = order_of[i] < order_of[i + 1] ? order_of[i] : order_of[i + 1];

			range_map_remove(&map, place(at, order_of[i]));
			range_map_remove(&map, place(at, order_of[i + 1]));
			if (with)
				must(range_map_find_gap(&map, &want, &found) && found == place(at, low));
			put(&map, at, order_of[i]);
			put(&map, at, order_of[i + 1]);
		}
		times[with] = (now() - begin) / (at->count / 2.0);
	}
	range_map_clear(&map);
	return times[1] - times[0];
}

static const struct range_gap page_gap = {PAGE, UINT64_MAX - PAGE, PAGE, PAGE, 0};
static const struct range_gap two_page_gap = {PAGE, UINT64_MAX - PAGE, 2 * PAGE, 2 * PAGE, 0};

static double gaps_contiguous(struct range_map *map, const struct layout *at)
{
	return gaps_after_change(map, at, page_gap, false);
}

static double gaps_contiguous_same_place(struct range_map *map, const struct layout *at)
{
	return gaps_after_change(map, at, page_gap, true);
}

static double gaps_contiguous_changes(struct range_map *map, const struct layout *at)
{
	(void)map;
	return gaps_after_changes(at, page_gap);
}

/* The lowest suitable gap is behind all ranges, and each round something changed: map + unmap, automatic. */
static double automatic_at_the_end(struct range_map *map, const struct layout *at, struct range_gap want)
{
	double begin = now();
	uint64_t found;

	(void)at;
	for (unsigned i = 0; i < PAIRS; i++) {
		must(range_map_find_gap(map, &want, &found));
		must(range_map_insert(map, found, found + want.length - 1, map) == 0);
		must(range_map_remove(map, found) == map);
	}
	return (now() - begin) / PAIRS;
}

static double automatic_page(struct range_map *map, const struct layout *at)
{
	return automatic_at_the_end(map, at, page_gap);
}

static double automatic_two_pages(struct range_map *map, const struct layout *at)
{
	return automatic_at_the_end(map, at, two_page_gap);
}

static double automatic_five_pages(struct range_map *map, const struct layout *at)
{
	struct range_gap want = page_gap;

	want.length = 5 * PAGE;
	return automatic_at_the_end(map, at, want);
}

static double automatic_odd(struct range_map *map, const struct layout *at)
{
	struct range_gap want = page_gap;

	want.length = PAGE + 1;
	return automatic_at_the_end(map, at, want);
}

/* All alignments by turns, while pairs change random places. */
static double automatic_all_alignments(struct range_map *map, const struct layout *at)
{
	double begin = now();
	uint64_t found;

	for (unsigned i = 0; i < PAIRS; i++) {
		struct range_gap want = page_gap;
		unsigned victim = (unsigned)(rnd() % at->count);

		want.align = PAGE << (1 + i % 9);
		want.length = want.align;
		must(range_map_find_gap(map, &want, &found));
		must(range_map_insert(map, found, found + want.length - 1, map) == 0);
		must(range_map_remove(map, found) == map);
		range_map_remove(map, place(at, victim));
		put(map, at, victim);
	}
	return (now() - begin) / PAIRS;
}

static void with_layout(const char *what, round_fn *round, struct layout at, double target)
{
	struct range_map map = RANGE_MAP_INIT;

	fill(&map, &at);
	report(what, median(round, &map, &at), "ns", target);
	range_map_clear(&map);
}

static void bulk(const char *what, bool random, struct layout at, double target_bytes)
{
	struct range_map map = RANGE_MAP_INIT;
	char line[100];
	double start;

	shuffle(at.count);
	start = now();
	for (unsigned i = 0; i < at.count; i++)
		put(&map, &at, random ? order_of[i] : i);
	snprintf(line, sizeof(line), "insert %u ranges, %s", at.count, what);
	report(line, (now() - start) / at.count, "ns", 0);
	snprintf(line, sizeof(line), "  memory of each");
	report(line, (double)range_map_memory(&map) / at.count, "bytes", target_bytes);
	start = now();
	for (unsigned i = 0; i < at.count; i++)
		must(range_map_remove(&map, place(&at, i)) == &map);
	report("  remove all, ascending", (now() - start) / at.count, "ns", 15);
	must(!map.count);
	range_map_clear(&map);
}

int main(void)
{
	const struct layout one = {LARGE, PAGE, PAGE, 1}, contiguous = {PAGE, PAGE, PAGE, MANY};
	/* Two pages between ranges, of which the first has an odd number. */
	const struct layout misaligned = {3 * PAGE, 4 * PAGE, 2 * PAGE, MANY};
	const struct layout page_holes = {2 * PAGE, 2 * PAGE, PAGE, MANY};
	const struct layout four_page_holes = {8 * PAGE, 5 * PAGE, PAGE, MANY};
	const struct layout million = {LARGE, PAGE, PAGE, MILLION}, spaced = {LARGE, 3 * PAGE, PAGE, MILLION};

	with_layout("remove + insert, nothing else", pairs_fixed, one, 25);
	with_layout("remove + insert, same place among 100,000", pairs_fixed, contiguous, 0);
	with_layout("remove + insert, random places among 100,000", pairs_random, contiguous, 100);
	with_layout("remove + insert, random places among 100,000 with gaps", pairs_random, misaligned, 100);
	with_layout("remove + insert, worst of the first and last 200 places of 100,000", pairs_worst_place, contiguous,
		    0);
	with_layout("find, random among 100,000", finds_random, contiguous, 0);
	with_layout("cursor step", steps, contiguous, 0);
	with_layout("find_gap after a change, random places, 100,000 contiguous", gaps_contiguous, contiguous, 60);
	with_layout("find_gap after a change, same place, 100,000 contiguous", gaps_contiguous_same_place, contiguous,
		    60);
	with_layout("find_gap after two changes, random places, 100,000 contiguous", gaps_contiguous_changes,
		    contiguous, 0);
	with_layout("find_gap + insert + remove behind 100,000 contiguous", automatic_page, contiguous, 0);
	with_layout("find_gap + insert + remove behind 100,000 misaligned gaps", automatic_two_pages, misaligned, 0);
	with_layout("find_gap + insert + remove behind 100,000 gaps a page too small", automatic_five_pages,
		    four_page_holes, 0);
	with_layout("find_gap + insert + remove behind 100,000 gaps a byte too small", automatic_odd, page_holes, 0);
	with_layout("the same + a random pair, nine alignments by turns, misaligned", automatic_all_alignments,
		    misaligned, 0);
	bulk("ascending", false, million, 26);
	bulk("ascending with gaps", false, spaced, 26);
	bulk("random", true, spaced, 36);
	return 0;
}

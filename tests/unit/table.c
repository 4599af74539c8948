/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The translations of a domain against an array that says the same of each page, and under readers: what stays mapped
 * is found all the time.
 *
 *   test-unit-table [SEED]
 *
 * With IOMMUSE_TEST_LONG in the environment twenty times as many steps.
 */
#include "hwpt/table.h"

#include "base/epoch.h"
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PAGE  UINT64_C(4096)
#define PAGES 20000U
#define BASE  UINT64_C(0x7000000)

static struct epoch epoch;
static uint64_t state;

static unsigned below(unsigned n)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ z >> 31) % n);
}

/* Which range a page belongs to: its first page and its last. */
struct model {
	uint32_t first[PAGES], last[PAGES];
	bool mapped[PAGES];
	unsigned count;
};

static struct model model;

static struct ioas_mapping mapping_of(unsigned first, unsigned last)
{
	return (struct ioas_mapping){.start = BASE + first * PAGE,
				     .last = BASE + (last + 1) * PAGE - 1,
				     .source = first * PAGE,
				     .host = (uint8_t *)(UINT64_C(0x100000000) + first * PAGE)};
}

static void insert(struct table *table, unsigned first, unsigned last)
{
	struct ioas_mapping mapping = mapping_of(first, last);

	CHECK_EQ(table_insert(table, &mapping, NULL), 0);
	for (unsigned p = first; p <= last; p++) {
		model.mapped[p] = true;
		model.first[p] = first;
		model.last[p] = last;
	}
	model.count++;
}

static void removed(unsigned first, unsigned last)
{
	for (unsigned p = first; p <= last; p++) {
		unsigned begin = model.first[p], end = model.last[p];

		if (!model.mapped[p] || begin < first || end > last)
			continue;
		for (; p < end; p++)
			model.mapped[p] = false;
		model.mapped[p] = false;
		model.count--;
	}
}

static void check_page(struct table *table, unsigned p)
{
	struct translation *t = table_find(table, BASE + p * PAGE + below((unsigned)PAGE));

	if (!model.mapped[p]) {
		if (t)
			CHECK(!"finds what is not mapped");
		return;
	}
	if (!t || t->mapping.start != BASE + model.first[p] * PAGE ||
	    t->mapping.last != BASE + (model.last[p] + 1) * PAGE - 1 || t->mapping.source != model.first[p] * PAGE ||
	    !atomic_load(&t->serial))
		CHECK(!"does not find what is mapped");
}

struct seen {
	uint64_t count, next;
};

static int see(struct translation *t, void *arg)
{
	struct seen *seen = arg;

	if (seen->count++ && t->mapping.start < seen->next)
		CHECK(!"ascending");
	seen->next = t->mapping.last + 1;
	return 0;
}

static void check_all(struct table *table)
{
	struct seen seen = {0};

	for (unsigned p = 0; p < PAGES; p++)
		check_page(table, p);
	CHECK_EQ(table->count, model.count);
	CHECK_EQ(table_walk(table, 0, UINT64_MAX, see, &seen), 0);
	CHECK_EQ(seen.count, model.count);
	CHECK(!table_find(table, 0));
	CHECK(!table_find(table, UINT64_MAX));
	CHECK(!table_find(table, BASE - 1));
}

static void insert_somewhere(struct table *table, unsigned longest)
{
	unsigned first = below(PAGES), last = first;

	if (model.mapped[first])
		return;
	while (last + 1 < PAGES && !model.mapped[last + 1] && last - first + 1 < longest && below(8))
		last++;
	insert(table, first, last);
}

static void remove_somewhere(struct table *table, unsigned longest)
{
	unsigned first = below(PAGES), last = first + below(longest);

	if (last >= PAGES)
		last = PAGES - 1;
	if (!below(4) && model.mapped[first]) {
		last = model.last[first];
		first = model.first[first];
	}
	table_remove(table, BASE + first * PAGE, BASE + (last + 1) * PAGE - 1);
	removed(first, last);
}

static void split_somewhere(struct table *table)
{
	unsigned p = below(PAGES), first = model.first[p], last = model.last[p];
	const iova_t address = BASE + (p + 1) * PAGE - 1;

	CHECK_EQ(table_split(table, address), 0);
	if (!model.mapped[p] || p == last)
		return;
	for (unsigned i = first; i <= last; i++) {
		if (i <= p)
			model.last[i] = p;
		else
			model.first[i] = p + 1;
	}
	model.count++;
}

static void same_as_an_array(unsigned steps, unsigned longest, unsigned removals)
{
	struct table table;

	memset(&model, 0, sizeof(model));
	table_init(&table, &epoch);
	for (unsigned i = 0; i < steps; i++) {
		unsigned what = below(100);

		if (what < removals)
			remove_somewhere(&table, longest);
		else if (what < removals + 5)
			split_somewhere(&table);
		else
			insert_somewhere(&table, longest);
		check_page(&table, below(PAGES));
		if (!below(20))
			table_flush(&table);
		if (!below(5000)) {
			table_remove(&table, 0, UINT64_MAX);
			memset(&model, 0, sizeof(model));
		}
		if (i % 4096 == 0)
			check_all(&table);
	}
	check_all(&table);
	table_fini(&table);
}

/* Orders in which devices' drivers map. */
static void in_order(int way)
{
	struct table table;

	memset(&model, 0, sizeof(model));
	table_init(&table, &epoch);
	for (unsigned i = 0; i < PAGES; i++) {
		unsigned p = way > 0 ? i : way < 0 ? PAGES - 1 - i : i / 2 + i % 2 * (PAGES / 2);

		insert(&table, p, p);
	}
	check_all(&table);
	for (unsigned i = 0; i < PAGES; i++) {
		table_remove(&table, BASE + i * PAGE, BASE + (i + 1) * PAGE - 1);
		removed(i, i);
		if (i % 1000 == 0)
			check_all(&table);
	}
	check_all(&table);
	table_fini(&table);
}

/* Maps that follow those before, which go. */
static void a_window_that_moves(void)
{
	struct table table;

	memset(&model, 0, sizeof(model));
	table_init(&table, &epoch);
	for (unsigned i = 0; i < PAGES; i++) {
		insert(&table, i, i);
		if (i >= 100) {
			table_remove(&table, BASE + (i - 100) * PAGE, BASE + (i - 99) * PAGE - 1);
			removed(i - 100, i - 100);
			table_flush(&table);
		}
	}
	check_all(&table);
	CHECK((atomic_load(&table.root) & TABLE_HEIGHT_MASK) < 4);
	table_fini(&table);
}

static void the_ends_of_the_space(void)
{
	struct ioas_mapping low = {.start = 0, .last = PAGE - 1}, high = {.start = -PAGE, .last = UINT64_MAX};
	struct table table;

	table_init(&table, &epoch);
	CHECK_EQ(table_insert(&table, &high, NULL), 0);
	CHECK_EQ(table_insert(&table, &low, NULL), 0);
	CHECK(table_find(&table, 0));
	CHECK(table_find(&table, PAGE - 1));
	CHECK(!table_find(&table, PAGE));
	CHECK(!table_find(&table, -PAGE - 1));
	CHECK(table_find(&table, -PAGE));
	CHECK(table_find(&table, UINT64_MAX));
	table_remove(&table, -PAGE, UINT64_MAX);
	CHECK(!table_find(&table, UINT64_MAX));
	CHECK(table_find(&table, 0));
	CHECK_EQ(table_insert(&table, &high, NULL), 0);
	CHECK(table_find(&table, UINT64_MAX));
	table_fini(&table);
}

/* Readers. Every fourth page stays mapped, what is between comes and goes. */

enum { READERS = 2, CHURN = 4000 };

static struct table shared;
static atomic_bool stop;

static bool right(const struct translation *t, unsigned p)
{
	uint64_t serial = atomic_load(&t->serial);

	/* One that is in its end is still whole. */
	(void)serial;
	return t->mapping.start <= BASE + p * PAGE && t->mapping.last >= BASE + (p + 1) * PAGE - 1 &&
	       t->mapping.host - t->mapping.source == (uint8_t *)UINT64_C(0x100000000);
}

static void *reader(void *arg)
{
	struct epoch_slot *slot = arg;
	uint64_t random = (uintptr_t)arg;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		const struct translation *t;
		unsigned p;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		p = (unsigned)(random >> 33) % PAGES;
		epoch_enter(slot);
		t = table_find(&shared, BASE + p * PAGE);
		if (t && !right(t, p))
			CHECK(!"a whole translation");
		if (!t && p % 4 == 0)
			CHECK(!"what stays is found");
		epoch_leave(slot);
	}
	return NULL;
}

static void what_stays_is_found_all_the_time(void)
{
	struct epoch_slot slot[READERS] = {0};
	pthread_t thread[READERS];

	memset(&model, 0, sizeof(model));
	table_init(&shared, &epoch);
	for (unsigned p = 0; p < PAGES; p += 4)
		insert(&shared, p, p);
	for (unsigned i = 0; i < READERS; i++) {
		epoch_add(&epoch, &slot[i]);
		pthread_create(&thread[i], NULL, reader, &slot[i]);
	}
	for (unsigned i = 0; i < CHURN * 10; i++) {
		unsigned p = below(PAGES - 4), base = p - p % 4;

		if (i % 10000 == 0) /* all that may go, so that nodes empty */
			for (unsigned q = 0; q < PAGES; q += 4) {
				table_remove(&shared, BASE + (q + 1) * PAGE, BASE + (q + 4) * PAGE - 1);
				removed(q + 1, q + 3);
			}
		if (p % 4 == 0)
			continue;
		if (model.mapped[p]) {
			table_remove(&shared, BASE + (base + 1) * PAGE, BASE + (base + 4) * PAGE - 1);
			removed(base + 1, base + 3);
		} else if (p % 4 == 1 && !model.mapped[p + 1] && !model.mapped[p + 2]) {
			insert(&shared, p, p + 2);
			if (below(2)) {
				CHECK_EQ(table_split(&shared, BASE + (p + 1) * PAGE - 1), 0);
				model.last[p] = p;
				model.first[p + 1] = model.first[p + 2] = p + 1;
				model.count++;
			}
		} else {
			insert(&shared, p, p);
		}
		if (!below(100))
			table_flush(&shared);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(thread[i], NULL);
		epoch_remove(&slot[i]);
	}
	check_all(&shared);
	table_fini(&shared);
}

int main(int argc, char **argv)
{
	unsigned times = getenv("IOMMUSE_TEST_LONG") ? 20 : 1;

	state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	printf("seed %" PRIu64 "\n", state);
	epoch_init(&epoch);
	the_ends_of_the_space();
	in_order(1);
	in_order(-1);
	in_order(0);
	a_window_that_moves();
	same_as_an_array(20000 * times, 1, 20);
	same_as_an_array(20000 * times, 20, 20);
	same_as_an_array(10000 * times, 300, 50);
	what_stays_is_found_all_the_time();
	epoch_fini(&epoch);
	return check_result();
}

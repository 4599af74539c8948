/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A range map and a plain sorted array must agree, and the map's invariants hold, whatever the operations. The first
 * record says what the addresses look like; each of the others is an operation. Runs of inserts and of removals are one
 * operation each, so that an input of a few records makes trees of several levels.
 */
#include "base/range_map.h"

#include "../unit/range_map_check.h"
#include "fuzz.h"
#include "heap.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RECORD      8
#define MODEL_MAX   6000U
#define RECORDS_MAX 200U
#define ORDERS      22U
#define CHECK_EVERY 64U

__extension__ typedef unsigned __int128 wide;

struct record {
	uint8_t op, size;
	uint16_t where, count;
	uint8_t stride, misc;
};

_Static_assert(sizeof(struct record) == RECORD, "records have no holes");

/* Where the addresses of an input lie: multiples of 2^shift above base, whose end may be beyond the last address. */
static struct {
	uint64_t base;
	unsigned shift;
	bool odd; /* and some bytes beside them */
} style;

static struct range model[MODEL_MAX];
static size_t model_count;
static struct range_map map;
static uintptr_t values;

static void expect(bool holds, const char *what)
{
	if (!holds)
		fuzz_fail("%s, with %zu ranges", what, model_count);
}

static size_t model_seek(uint64_t start)
{
	size_t low = 0, high = model_count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (model[mid].last < start)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool same(const struct range *a, const struct range *b)
{
	return a->start == b->start && a->last == b->last && a->value == b->value;
}

static void check(void)
{
	const char *wrong = range_map_check(&map);
	struct range_cursor c;
	size_t i = 0;

	if (wrong)
		fuzz_fail("invariant: %s, with %zu ranges", wrong, model_count);
	expect(map.count == model_count, "count");
	for (bool more = range_map_first(&map, 0, UINT64_MAX, &c); more; more = range_map_next(&c)) {
		expect(i < model_count && same(&c.range, &model[i]), "walk");
		i++;
	}
	expect(i == model_count, "end of walk");
}

static uint64_t address(uint64_t number)
{
	return style.base + (number << style.shift) + (style.odd ? number % 7 : 0);
}

/* Size 0 to 251: as many units, and one byte less or more where addresses are odd; above: something extreme. */
static uint64_t length(uint8_t size)
{
	switch (size) {
	case 252:
		return 1;
	case 253:
		return UINT64_C(1) << 40;
	case 254:
		return UINT64_C(1) << 63;
	case 255:
		return UINT64_MAX;
	default:
		return ((uint64_t)(size % 32 + 1) << style.shift) + (style.odd ? size % 3 : 0);
	}
}

static uint64_t last_of(uint64_t start, uint64_t n)
{
	return start + n - 1 < start ? UINT64_MAX : start + n - 1;
}

static void insert(uint64_t start, uint64_t last, unsigned fail_after)
{
	void *value = (void *)++values; /* NOLINT(performance-no-int-to-ptr) */
	size_t i = model_seek(start);
	int rc;

	if (model_count == MODEL_MAX)
		return;
	heap_fail_after(fail_after);
	rc = range_map_insert(&map, start, last, value);
	if (heap_failed()) {
		expect(rc == -ENOMEM, "insert without memory");
		check();
	} else if (i < model_count && model[i].start <= last) {
		expect(rc == -EEXIST, "insert of what meets another");
	} else {
		expect(rc == 0, "insert");
		memmove(&model[i + 1], &model[i], (model_count++ - i) * sizeof(model[0]));
		model[i] = (struct range){start, last, value};
	}
}

static void remove_at(size_t i)
{
	heap_fail_after(1);
	expect(range_map_remove(&map, model[i].start) == model[i].value, "remove");
	expect(!heap_failed(), "remove wants memory");
	memmove(&model[i], &model[i + 1], (--model_count - i) * sizeof(model[0]));
}

static void remove_address(uint64_t start)
{
	size_t i = model_seek(start);

	if (i < model_count && model[i].start == start)
		remove_at(i);
	else
		expect(!range_map_remove(&map, start), "remove of what is not there");
}

/* Which range of the model a record means. */
static size_t chosen(const struct record *r)
{
	return (size_t)r->where * model_count >> 16;
}

static void insert_run(const struct record *r)
{
	uint64_t step = (uint64_t)r->stride % 32 + 1;

	for (unsigned n = 0; n < r->count % 700U; n++) {
		uint64_t number = r->where + (r->misc & 1 ? (uint64_t)-n : n) * step;

		insert(address(number), last_of(address(number), length(r->size)), 0);
	}
}

static void remove_run(const struct record *r)
{
	size_t step = r->stride % 4;

	for (unsigned n = 0; n < r->count % 700U && model_count; n++) {
		size_t i = chosen(r) + n * step;

		if (r->misc & 1)
			i = model_count - 1 - i % model_count;
		remove_at(i % model_count);
	}
}

static void update(const struct record *r)
{
	void *value = (void *)++values; /* NOLINT(performance-no-int-to-ptr) */
	uint64_t start = address(r->where), last;
	size_t i;
	int rc;

	if (model_count && r->misc & 1)
		start = model[chosen(r)].start;
	last = last_of(start, length(r->size));
	i = model_seek(start);
	heap_fail_after(1);
	rc = range_map_update(&map, start, last, value);
	expect(!heap_failed(), "update wants memory");
	if (i == model_count || model[i].start != start) {
		expect(rc == -ENOENT, "update of what is not there");
	} else if (i + 1 < model_count && model[i + 1].start <= last) {
		expect(rc == -EEXIST, "update into the next");
	} else {
		expect(rc == 0, "update");
		model[i].last = last;
		model[i].value = value;
	}
}

/* i: the first range of the model that ends at the number or behind it. */
static void find_below(uint64_t number, size_t i)
{
	const bool begins = i < model_count && model[i].start <= number;
	struct range found;

	expect(range_map_find_below(&map, number, &found) == (begins || i), "find_below");
	expect(!(begins || i) || same(&found, &model[begins ? i : i - 1]), "what find_below finds");
}

static void look(const struct record *r)
{
	uint64_t start = address(r->where), last = last_of(start, length(r->size));
	size_t i = model_seek(start);
	bool expected = i < model_count && model[i].start <= last;
	struct range_cursor c;
	struct range found;
	bool more = range_map_first(&map, start, last, &c);

	expect(range_map_find(&map, start, last, &found) == expected, "find");
	expect(!expected || same(&found, &model[i]), "what find finds");
	find_below(start, i);
	for (unsigned n = 0; n <= r->count; n++) {
		expect(more == expected, "cursor");
		if (!more)
			break;
		expect(same(&c.range, &model[i]), "what the cursor finds");
		more = range_map_next(&c);
		expected = ++i < model_count && model[i].start <= last;
	}
}

static bool fits(const struct range_gap *want, wide start, wide last, uint64_t *found)
{
	wide at;

	if (start < want->first)
		start = want->first;
	if (last > want->last)
		last = want->last;
	at = (start + want->align - 1) / want->align * want->align;
	if (at > UINT64_MAX)
		return false;
	at |= want->offset;
	if (at + want->length - 1 > last)
		return false;
	*found = (uint64_t)at;
	return true;
}

static bool model_find_gap(const struct range_gap *want, uint64_t *found)
{
	wide start = 0;

	for (size_t i = 0; i < model_count; i++) {
		if (model[i].start > start && fits(want, start, model[i].start - 1, found))
			return true;
		start = (wide)model[i].last + 1;
	}
	return start <= UINT64_MAX && fits(want, start, UINT64_MAX, found);
}

static void find_gap(const struct record *r)
{
	const struct range_gap want = {
		.first = r->misc & 1 ? address(r->where) : 0,
		.last = r->misc & 2 ? address(r->where + UINT64_C(1000)) : UINT64_MAX,
		.length = length(r->size),
		.align = UINT64_C(1) << r->stride % ORDERS,
		.offset = r->misc & 4 ? r->count % 4096 : 0,
	};
	uint64_t start = 0, expected = 0;
	bool exists = model_find_gap(&want, &expected);

	heap_fail_after(1);
	expect(range_map_find_gap(&map, &want, &start) == exists, "find_gap");
	expect(!heap_failed(), "find_gap wants memory");
	expect(!exists || start == expected, "what find_gap finds");
	if (exists && r->misc & 8)
		insert(start, start + want.length - 1, 0);
}

static void operate(const struct record *r)
{
	switch (r->op % 8) {
	case 0:
		insert(address(r->where), last_of(address(r->where), length(r->size)), r->misc % 8);
		break;
	case 1:
		if (model_count && r->misc & 1)
			remove_at(chosen(r));
		else
			remove_address(address(r->where));
		break;
	case 2:
		insert_run(r);
		break;
	case 3:
		remove_run(r);
		break;
	case 4:
		update(r);
		break;
	case 5:
		look(r);
		break;
	default:
		find_gap(r);
	}
}

static void set_style(const struct record *r)
{
	style.shift = r->size % 22;
	style.odd = r->misc & 1;
	style.base = (uint64_t)r->where << style.shift;
	if (r->misc & 2)
		style.base = UINT64_MAX - (UINT64_C(65535) << style.shift) + 1 - r->stride;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record r;

	for (size_t n = 0; n < size / RECORD && n < RECORDS_MAX; n++) {
		memcpy(&r, data + n * RECORD, RECORD);
		if (!n)
			set_style(&r);
		else
			operate(&r);
		if (n % CHECK_EVERY == 0)
			check();
	}
	check();
	range_map_clear(&map);
	model_count = 0;
	check();
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_records(data, size, max_size, RECORD, seed);
}

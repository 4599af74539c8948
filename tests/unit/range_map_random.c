/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random operations on a range map and on a plain sorted array must agree, whatever the addresses look like, and the
 * map's invariants must hold all along. malloc and free are wrapped: any allocation of an insert may fail, and nothing
 * else may allocate.
 *
 * range_map_random [SEED [OPERATIONS]]
 */
#include "base/range_map.h"

#include "range_map_check.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MODEL_MAX 20000U
#define PAGE      UINT64_C(4096)

/* What the wrapped allocator does and has done. */
static struct {
	bool forbidden;
	unsigned fail_after; /* allocations that succeed until one fails; 0: none fails */
	unsigned failed;
	size_t live, live_bytes;
} heap;

void *__real_malloc(size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void __wrap_free(void *p);

static _Noreturn void fail(const char *what);

void *__wrap_malloc(size_t size)
{
	void *p;

	if (heap.forbidden)
		fail("allocation outside of an insert");
	if (heap.fail_after && !--heap.fail_after) {
		heap.failed++;
		return NULL;
	}
	p = __real_malloc(size);
	if (p) {
		heap.live++;
		heap.live_bytes += malloc_usable_size(p);
	}
	return p;
}

void __wrap_free(void *p)
{
	if (p) {
		heap.live--;
		heap.live_bytes -= malloc_usable_size(p);
	}
	__real_free(p);
}

/* The naive map, and what is said of a failure. */
static struct range model[MODEL_MAX + 1];
static size_t model_count;
static struct range_map map;
static uint64_t seed, operation, random_state;
static const char *phase_name;

static _Noreturn void fail(const char *what)
{
	printf("FAIL: %s (seed %" PRIu64 ", %s, operation %" PRIu64 ", %zu ranges)\n", what, seed, phase_name,
	       operation, model_count);
	exit(1);
}

static void expect(bool holds, const char *what)
{
	if (!holds)
		fail(what);
}

static uint64_t rnd(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

/* The index of the first range of the model that ends at start or later. */
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

static bool model_free(uint64_t start, uint64_t last)
{
	size_t i = model_seek(start);

	return i == model_count || model[i].start > last;
}

static void model_insert(uint64_t start, uint64_t last, void *value)
{
	size_t i = model_seek(start);

	for (size_t j = model_count++; j > i; j--)
		model[j] = model[j - 1];
	model[i] = (struct range){start, last, value};
}

static void model_remove(size_t i)
{
	for (model_count--; i < model_count; i++)
		model[i] = model[i + 1];
}

__extension__ typedef unsigned __int128 wide;

static bool model_fits(const struct range_gap *want, wide start, wide last, uint64_t *found)
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
		if (model[i].start > start && model_fits(want, start, model[i].start - 1, found))
			return true;
		start = (wide)model[i].last + 1;
	}
	return start <= UINT64_MAX && model_fits(want, start, UINT64_MAX, found);
}

static bool same(const struct range *a, const struct range *b)
{
	return a->start == b->start && a->last == b->last && a->value == b->value;
}

static void compare_all(void)
{
	const char *wrong = range_map_check(&map);
	struct range_cursor c;
	size_t i = 0;

	if (wrong)
		fail(wrong);
	expect(map.count == model_count, "count");
	for (bool more = range_map_first(&map, 0, UINT64_MAX, &c); more; more = range_map_next(&c)) {
		expect(i < model_count && same(&c.range, &model[i]), "walk");
		i++;
	}
	expect(i == model_count, "end of walk");
	expect(range_map_memory(&map) <= heap.live_bytes && heap.live_bytes <= range_map_memory(&map) + heap.live * 64,
	       "memory");
}

/* What addresses of a phase look like. */
struct style {
	const char *name;
	uint64_t base, span, unit, max_length; /* span 0: all there is */
};

static const struct style styles[] = {
	{"bytes", 0, 3000, 1, 12},
	{"bytes at the top", UINT64_MAX - 2999, 3000, 1, 12},
	{"many bytes", 77, 200000, 1, 30},
	{"pages", 0, 4000 * PAGE, PAGE, 9 * PAGE},
	{"pages, sparse", 0, PAGE << 28, PAGE, PAGE << 12},
	{"half pages, then odd lengths", 0, 3000 * PAGE, PAGE / 2, PAGE + 5},
	{"large pages, misaligned", PAGE, UINT64_C(3) << 33, UINT64_C(1) << 20, UINT64_C(1) << 21},
	{"everything", 0, 0, 1, UINT64_MAX},
	{"everything, small", 0, 0, 1, UINT64_C(1) << 40},
};

static uint64_t address(const struct style *style)
{
	if (!style->span) {
		switch (below(8)) {
		case 0:
			return UINT64_MAX - below(5);
		case 1:
			return below(5);
		default:
			return rnd();
		}
	}
	return style->base + below(style->span) / style->unit * style->unit;
}

static uint64_t length(const struct style *style)
{
	uint64_t n = rnd() >> below(64);

	n = 1 + n % style->max_length;
	if (below(4))
		n = (n + style->unit - 1) / style->unit * style->unit;
	return n ? n : 1;
}

static uint64_t last_of(uint64_t start, uint64_t len)
{
	return start + (len - 1) < start ? UINT64_MAX : start + (len - 1);
}

static void insert(uint64_t start, uint64_t last)
{
	void *value = (void *)(uintptr_t)(rnd() | 1);
	bool is_free = model_free(start, last);
	unsigned failed = heap.failed;
	int rc;

	if (model_count == MODEL_MAX)
		return;
	heap.fail_after = below(8) ? 0 : 1 + (unsigned)below(4);
	heap.forbidden = !is_free && map.root;
	rc = range_map_insert(&map, start, last, value);
	heap.forbidden = true;
	heap.fail_after = 0;
	if (heap.failed != failed) {
		expect(rc == -ENOMEM, "an insert without memory succeeded");
		expect(map.count == model_count, "an insert without memory changed the count");
		if (!below(16))
			compare_all();
		return;
	}
	expect(rc == (is_free ? 0 : -EEXIST), "insert");
	if (is_free)
		model_insert(start, last, value);
}

static void insert_somewhere(const struct style *style)
{
	uint64_t start = address(style);

	insert(start, last_of(start, length(style)));
}

/* A run of ranges next to each other, up or down from one that is there. */
static void insert_run(const struct style *style)
{
	uint64_t len = style->max_length < 16 * style->unit ? style->unit : length(style) % (style->unit * 4) + 1;
	uint64_t space = below(3) ? 0 : style->unit;
	bool up = below(2);
	uint64_t at = model_count ? model[below(model_count)].start : address(style);

	for (unsigned n = (unsigned)below(200); n; n--) {
		size_t i = model_seek(at);

		if (i < model_count && model[i].start <= at)
			at = up ? model[i].last + 1 : model[i].start - len;
		insert(at, last_of(at, len));
		at = up ? at + len + space : at - len - space;
	}
}

static void remove_at(size_t i)
{
	expect(range_map_remove(&map, model[i].start) == model[i].value, "remove");
	model_remove(i);
}

static void remove_one(const struct style *style)
{
	uint64_t start = address(style);
	size_t i = model_seek(start);

	if (model_count && below(8)) {
		remove_at(below(model_count));
		return;
	}
	if (i < model_count && model[i].start == start)
		remove_at(i);
	else
		expect(!range_map_remove(&map, start), "remove of what is not there");
}

static void remove_run(void)
{
	size_t i = model_count ? below(model_count) : 0;
	bool up = below(2);

	for (unsigned n = (unsigned)below(200); n && i < model_count; n--) {
		remove_at(i);
		if (!up && !i--)
			break;
	}
}

/* A pair at one place, as a device driver does it. */
static void repeat_pair(void)
{
	size_t live = heap.live;
	struct range r;

	if (!model_count)
		return;
	r = model[below(model_count)];
	for (unsigned n = 0; n < 4; n++) {
		expect(range_map_remove(&map, r.start) == r.value, "remove of a pair");
		heap.forbidden = n > 1;
		expect(range_map_insert(&map, r.start, r.last, r.value) == 0, "insert of a pair");
		heap.forbidden = true;
	}
	expect(heap.live <= live + 1, "a pair takes memory");
}

static void update(const struct style *style)
{
	void *value = (void *)(uintptr_t)(rnd() | 1);
	uint64_t start = address(style), last;
	size_t i;

	if (model_count && below(8))
		start = model[below(model_count)].start;
	last = below(16) ? last_of(start, length(style)) : UINT64_MAX;
	i = model_seek(start);
	if (i == model_count || model[i].start != start) {
		expect(range_map_update(&map, start, last, value) == -ENOENT, "update of what is not there");
	} else if (i + 1 < model_count && model[i + 1].start <= last) {
		expect(range_map_update(&map, start, last, value) == -EEXIST, "update into the next");
	} else {
		expect(range_map_update(&map, start, last, value) == 0, "update");
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

static void look(const struct style *style)
{
	uint64_t start = address(style), last = below(8) ? last_of(start, length(style)) : UINT64_MAX;
	size_t i = model_seek(start);
	bool expected = i < model_count && model[i].start <= last;
	struct range_cursor c;
	struct range found;
	bool more;

	expect(range_map_find(&map, start, last, &found) == expected, "find");
	expect(!expected || same(&found, &model[i]), "what find finds");
	find_below(start, i);
	more = range_map_first(&map, start, last, &c);
	for (unsigned n = (unsigned)below(150); n; n--) {
		expect(more == expected, "cursor");
		if (!more)
			break;
		expect(same(&c.range, &model[i]), "what the cursor finds");
		more = range_map_next(&c);
		i++;
		expected = i < model_count && model[i].start <= last;
	}
}

static struct range_gap random_gap(const struct style *style)
{
	unsigned order = (unsigned)below(22);
	struct range_gap want = {0, UINT64_MAX, length(style), UINT64_C(1) << order, 0};

	if (below(2))
		want.align = PAGE << below(4);
	/* As automatic IOVAs have it: the alignment is at least the length. */
	if (!below(3))
		want.length = 1 + below(want.align);
	switch (below(4)) {
	case 0:
		want.offset = below(PAGE);
		break;
	case 1:
		want.offset = below(PAGE) / want.align * want.align;
		break;
	default:
		break;
	}
	switch (below(4)) {
	case 0:
		want.first = address(style);
		want.last = address(style);
		break;
	case 1:
		want.first = address(style);
		want.last = last_of(want.first, length(style) * 4);
		break;
	case 2:
		want.first = PAGE;
		want.last = UINT64_MAX - PAGE;
		break;
	default:
		break;
	}
	if (!below(64))
		want.length = UINT64_MAX - below(3) * below(PAGE);
	return want;
}

static void find_gap(const struct style *style)
{
	const struct range_gap want = random_gap(style);
	uint64_t start = 0, expected = 0;
	bool exists = model_find_gap(&want, &expected);

	expect(range_map_find_gap(&map, &want, &start) == exists, "find_gap");
	expect(!exists || start == expected, "what find_gap finds");
	if (exists && below(2) && want.length < style->max_length)
		insert(start, last_of(start, want.length));
}

static void operate(const struct style *style, bool growing)
{
	unsigned dice = (unsigned)below(1000);

	if (dice < 300) {
		if (growing || below(2))
			insert_somewhere(style);
		else
			remove_one(style);
	} else if (dice < 450) {
		remove_one(style);
	} else if (dice < 600) {
		find_gap(style);
	} else if (dice < 780) {
		look(style);
	} else if (dice < 900) {
		update(style);
	} else if (dice < 990) {
		repeat_pair();
	} else if (growing || dice < 993) {
		insert_run(style);
	} else {
		remove_run();
	}
}

static void run_phase(const struct style *style, size_t target, uint64_t operations)
{
	bool growing = true;

	phase_name = style->name;
	for (operation = 0; operation < operations; operation++) {
		if (model_count > target)
			growing = false;
		else if (model_count < target / 8)
			growing = true;
		operate(style, growing);
		if (!below(model_count + 50))
			compare_all();
	}
	compare_all();
	if (below(2)) {
		while (model_count)
			remove_at(below(3) ? 0 : below(model_count));
		compare_all();
	}
	range_map_clear(&map);
	model_count = 0;
	compare_all();
	expect(heap.live == 0, "memory left behind");
}

static void run_seed(uint64_t operations)
{
	static const size_t targets[] = {3, 70, 400, 3000, 12000};
	const size_t phases = sizeof(styles) / sizeof(styles[0]) * sizeof(targets) / sizeof(targets[0]);

	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	random_state = seed;
	heap.forbidden = true;
	for (size_t i = 0; i < phases; i++)
		run_phase(&styles[i % (sizeof(styles) / sizeof(styles[0]))],
			  targets[i / (sizeof(styles) / sizeof(styles[0]))], operations / phases);
	heap.forbidden = false;
}

int main(int argc, char **argv)
{
	uint64_t operations = argc > 2 ? strtoull(argv[2], NULL, 0) : 600000;

	if (argc > 1) {
		seed = strtoull(argv[1], NULL, 0);
		run_seed(operations);
		return 0;
	}
	for (seed = 1; seed <= 3; seed++)
		run_seed(operations);
	seed = (uint64_t)time(NULL);
	run_seed(operations);
	return 0;
}

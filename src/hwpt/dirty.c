/* SPDX-License-Identifier: BSD-3-Clause */
#include "hwpt/dirty.h"

#include <stdlib.h>

#define GRANULE  (UINT64_C(1) << DIRTY_SHIFT)
#define BITS     64U
#define ALL_BITS UINT64_MAX

/* Granules of some dirty bits, both ends included. */
struct granules {
	uint64_t first, last;
};

struct dirty_bits *dirty_bits_new(iova_t start, iova_t last)
{
	iova_t base = start & ~(GRANULE - 1);
	uint64_t words = ((last - base) >> DIRTY_SHIFT) / BITS + 1;
	uint64_t summary = (words - 1) / BITS + 1;
	struct dirty_bits *bits = calloc(1, sizeof(*bits) + (summary + words) * sizeof(uint64_t));

	if (!bits)
		return NULL;
	atomic_init(&bits->refs, 1);
	bits->base = base;
	bits->words = words;
	bits->bits = bits->summary + summary;
	return bits;
}

void dirty_bits_put(struct dirty_bits *bits)
{
	if (bits && atomic_fetch_sub_explicit(&bits->refs, 1, memory_order_acq_rel) == 1)
		free(bits);
}

/* Bits [first, last] of a word. */
static uint64_t mask_of(uint64_t first, uint64_t last)
{
	return ALL_BITS << first & ALL_BITS >> (BITS - 1 - last);
}

static struct granules granules_of(const struct dirty_bits *bits, iova_t iova, iova_t last)
{
	return (struct granules){(iova - bits->base) >> DIRTY_SHIFT, (last - bits->base) >> DIRTY_SHIFT};
}

/* The granules of the IOMMU pages of [iova, last]. */
static struct granules whole_pages(const struct ioas_mapping *mapping, const struct dirty_bits *bits, iova_t iova,
				   iova_t last)
{
	if (!((mapping->start - mapping->source) & (PAGE_SIZE - 1))) {
		iova_t first = iova & PAGE_MASK, end = last | (PAGE_SIZE - 1);

		if (first >= mapping->start && first + (PAGE_SIZE - 1) <= mapping->last)
			iova = first;
		if (end <= mapping->last && (last & PAGE_MASK) >= mapping->start)
			last = end;
	}
	return granules_of(bits, iova, last);
}

/*
 * The bits before the summary, and the other way round where they are cleared: so the summary says of each set bit that
 * it is set, once its marking is done.
 */
static void mark_word(struct dirty_bits *bits, uint64_t word, uint64_t mask)
{
	_Atomic uint64_t *summary = &bits->summary[word / BITS];
	uint64_t bit = UINT64_C(1) << word % BITS;

	if ((atomic_load(&bits->bits[word]) & mask) != mask)
		atomic_fetch_or(&bits->bits[word], mask);
	if (!(atomic_load(summary) & bit))
		atomic_fetch_or(summary, bit);
}

static void mark(struct dirty_bits *bits, struct granules g)
{
	uint64_t end = g.last / BITS;

	for (uint64_t word = g.first / BITS; word <= end; word++)
		mark_word(bits, word,
			  mask_of(word == g.first / BITS ? g.first % BITS : 0, word == end ? g.last % BITS : BITS - 1));
}

void dirty_mark(struct translation *translation, iova_t iova, iova_t last)
{
	struct dirty_bits *bits = atomic_load(&translation_side(translation)->dirty);

	if (bits)
		mark(bits, whole_pages(&translation->mapping, bits, iova, last));
}

void dirty_mark_part(struct translation *translation, iova_t iova, iova_t last)
{
	struct dirty_bits *bits = atomic_load(&translation_side(translation)->dirty);

	if (bits)
		mark(bits, granules_of(bits, iova, last));
}

int dirty_runs_end(struct dirty_runs *runs)
{
	bool any = runs->any;

	runs->any = false;
	return any ? runs->visit(runs->context, runs->start, runs->last) : 0;
}

/* Adds a run, unless the visit of the one before says to stop. */
static int add_run(struct dirty_runs *runs, iova_t start, iova_t last)
{
	int rc;

	if (runs->any && runs->last + 1 == start) {
		runs->last = last;
		return 0;
	}
	rc = dirty_runs_end(runs);
	if (rc)
		return rc;
	runs->any = true;
	runs->start = start;
	runs->last = last;
	return 0;
}

/* What of a translation is read. */
struct reading {
	struct dirty_bits *bits;
	struct granules g; /* whole IOMMU pages */
	iova_t iova, last; /* asked for */
	bool clear;
	struct dirty_runs *runs;
};

/* Fills the halves of 4 KiB up. */
static uint64_t fill(const struct dirty_bits *bits, uint64_t value)
{
	const uint64_t low = ALL_BITS / 3;

	if (bits->base & (PAGE_SIZE - 1))
		return value;
	return value | (value & low) << 1 | (value >> 1 & low);
}

/* What is not added any more, as it shall stop, is left dirty. */
static int add_word(const struct reading *r, uint64_t word, uint64_t taken)
{
	uint64_t value = r->runs->coarse ? fill(r->bits, taken) : taken;

	while (value) {
		unsigned first = (unsigned)__builtin_ctzll(value);
		uint64_t rest = ~(value >> first); /* 0: all of them, and first is 0 */
		unsigned count = rest ? (unsigned)__builtin_ctzll(rest) : BITS;
		iova_t start = r->bits->base + ((word * BITS + first) << DIRTY_SHIFT);
		iova_t last = start + ((uint64_t)count << DIRTY_SHIFT) - 1;
		int rc = 0;

		/* Pages reach out of the range. */
		if (start < r->iova)
			start = r->iova;
		if (last > r->last)
			last = r->last;
		if (start <= last)
			rc = add_run(r->runs, start, last);
		if (rc) {
			if (r->clear)
				mark_word(r->bits, word, value & taken);
			return rc;
		}
		value = first + count < BITS ? value & ALL_BITS << (first + count) : 0;
	}
	return 0;
}

/* Returns the word's bits that are wanted, and clears them. Its bit of the summary is clear. */
static uint64_t take_word(struct dirty_bits *bits, uint64_t word, uint64_t mask)
{
	uint64_t value;

	if (mask == ALL_BITS)
		return atomic_exchange(&bits->bits[word], 0);
	value = atomic_fetch_and(&bits->bits[word], ~mask);
	if (value & ~mask)
		atomic_fetch_or(&bits->summary[word / BITS], UINT64_C(1) << word % BITS);
	return value & mask;
}

/* The words of one word of the summary. */
static int read_words(const struct reading *r, uint64_t at, uint64_t mask)
{
	_Atomic uint64_t *summary = &r->bits->summary[at];
	uint64_t first = r->g.first / BITS, last = r->g.last / BITS;
	uint64_t set = atomic_load(summary) & mask;

	if (set && r->clear)
		set = atomic_fetch_and(summary, ~set) & set;
	for (; set; set &= set - 1) {
		uint64_t word = at * BITS + (unsigned)__builtin_ctzll(set);
		uint64_t wanted =
			mask_of(word == first ? r->g.first % BITS : 0, word == last ? r->g.last % BITS : BITS - 1);
		uint64_t value = r->clear ? take_word(r->bits, word, wanted)
					  : atomic_load_explicit(&r->bits->bits[word], memory_order_relaxed) & wanted;
		int rc = add_word(r, word, value);

		if (rc) {
			if (r->clear)
				atomic_fetch_or(summary, set & (set - 1));
			return rc;
		}
	}
	return 0;
}

int dirty_read(struct translation *translation, iova_t iova, iova_t last, bool clear, struct dirty_runs *runs)
{
	const struct ioas_mapping *mapping = &translation->mapping;
	struct reading r = {.clear = clear, .runs = runs};
	uint64_t end;
	int rc = 0;

	r.bits = atomic_load(&translation_side(translation)->dirty);
	if (!r.bits)
		return 0;
	r.iova = iova > mapping->start ? iova : mapping->start;
	r.last = last < mapping->last ? last : mapping->last;
	r.g = whole_pages(mapping, r.bits, r.iova, r.last);
	end = r.g.last / BITS / BITS;
	for (uint64_t at = r.g.first / BITS / BITS; at <= end && !rc; at++)
		rc = read_words(&r, at,
				mask_of(at == r.g.first / BITS / BITS ? r.g.first / BITS % BITS : 0,
					at == end ? r.g.last / BITS % BITS : BITS - 1));
	return rc;
}

void dirty_forget(struct dirty_bits *bits)
{
	for (uint64_t at = 0; at <= (bits->words - 1) / BITS; at++)
		for (uint64_t set = atomic_load(&bits->summary[at]) ? atomic_exchange(&bits->summary[at], 0) : 0; set;
		     set &= set - 1)
			atomic_exchange(&bits->bits[at * BITS + (unsigned)__builtin_ctzll(set)], 0);
}

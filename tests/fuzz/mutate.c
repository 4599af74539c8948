/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX 64

uint64_t fuzz_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void fuzz_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("FAIL: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

struct records {
	uint8_t *data;
	size_t count, max, size;
	uint64_t random;
};

static size_t below(struct records *r, size_t n)
{
	return fuzz_random(&r->random) % n;
}

static uint8_t *at(struct records *r, size_t i)
{
	return r->data + i * r->size;
}

static void open_gap(struct records *r, size_t i)
{
	memmove(at(r, i + 1), at(r, i), (r->count - i) * r->size);
	r->count++;
}

static void insert_new(struct records *r)
{
	size_t i = below(r, r->count + 1);

	if (r->count == r->max)
		return;
	open_gap(r, i);
	for (size_t n = 0; n < r->size; n++)
		at(r, i)[n] = (uint8_t)fuzz_random(&r->random);
}

/* A copy of a record, with a byte changed more often than not. */
static void insert_copy(struct records *r)
{
	size_t from = below(r, r->count), i = below(r, r->count + 1);
	uint8_t copy[RECORD_MAX];

	if (r->count == r->max)
		return;
	memcpy(copy, at(r, from), r->size);
	open_gap(r, i);
	memcpy(at(r, i), copy, r->size);
	if (below(r, 3))
		at(r, i)[below(r, r->size)] = (uint8_t)fuzz_random(&r->random);
}

static void drop(struct records *r)
{
	size_t i = below(r, r->count), n = 1 + below(r, below(r, 4) ? 1 : r->count - i);

	memmove(at(r, i), at(r, i + n), (r->count - i - n) * r->size);
	r->count -= n;
}

static void swap(struct records *r)
{
	size_t i = below(r, r->count), j = below(r, r->count);
	uint8_t copy[RECORD_MAX];

	memcpy(copy, at(r, i), r->size);
	memmove(at(r, i), at(r, j), r->size);
	memcpy(at(r, j), copy, r->size);
}

static void change(struct records *r)
{
	uint8_t *record = at(r, below(r, r->count));

	switch (below(r, 4)) {
	case 0:
		record[below(r, r->size)] ^= (uint8_t)(1U << below(r, 8));
		break;
	case 1:
		record[below(r, r->size)] += (uint8_t)(below(r, 9) - 4);
		break;
	case 2:
		LLVMFuzzerMutate(record, r->size, r->size);
		break;
	default:
		record[below(r, r->size)] = (uint8_t)fuzz_random(&r->random);
	}
}

size_t fuzz_mutate_records(uint8_t *data, size_t size, size_t max_size, size_t record, unsigned int seed)
{
	struct records r = {data, size / record, max_size / record, record, seed};

	for (size_t n = 1 + below(&r, 4); n; n--) {
		size_t dice = below(&r, 16);

		if (!r.count || dice < 3)
			insert_new(&r);
		else if (dice < 6)
			insert_copy(&r);
		else if (dice < 8)
			drop(&r);
		else if (dice < 9)
			swap(&r);
		else
			change(&r);
	}
	return r.count * record;
}

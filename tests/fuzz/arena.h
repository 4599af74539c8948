/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that arguments lie in, seen twice: at view with the protections below, where the system sees it, and at raw,
 * where all of it can be read and written. So the one who prepares an argument, and one who changes it during the call,
 * can do that anywhere.
 */
#ifndef IOMMUSE_TEST_FUZZ_ARENA_H
#define IOMMUSE_TEST_FUZZ_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_PAGE 4096U

/* Pages of an arena. */
enum {
	ARENA_ARGUMENT = 0, /* two that can be read and written */
	ARENA_HOLE = 2,     /* nothing */
	ARENA_WRITABLE = 3, /* one that can be read and written, */
	ARENA_READABLE = 4, /* before one that can be read */
	ARENA_HOLE_2 = 5,   /* nothing */
	ARENA_NESTED = 6,   /* two that can be read and written, for what arguments point to */
	ARENA_END = 8,      /* nothing */
	ARENA_PAGES = 9,
};

#define ARENA_SIZE ((size_t)ARENA_PAGES * ARENA_PAGE)

struct arena {
	unsigned char *view, *raw;
};

void arena_make(struct arena *arena);

/* How many bytes from the address on, at most max, can be read or written. */
size_t arena_readable(const struct arena *arena, uint64_t address, size_t max);
size_t arena_writable(const struct arena *arena, uint64_t address, size_t max);

/* Where an address of the view is in raw; NULL where it is elsewhere, or the n bytes from it on reach beyond. */
unsigned char *arena_raw(const struct arena *arena, uint64_t address, size_t n);

/* Copies to and from raw, where somebody else may write at the same time. */
void arena_put(unsigned char *raw, const void *bytes, size_t n);
void arena_take(void *bytes, const unsigned char *raw, size_t n);

/* An address for an argument of n bytes: most often a good one; which says what else. */
uint64_t arena_place(const struct arena *arena, uint8_t which, size_t n);

/* The same for what an argument points to. */
uint64_t arena_place_nested(const struct arena *arena, uint8_t which, size_t n);

#endif

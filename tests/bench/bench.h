/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of a benchmark share: a table of rows, each a figure beside its target. A row says by itself what it
 * measures; the table does the rounds and the printing.
 */
#ifndef IOMMUSE_TESTS_BENCH_H
#define IOMMUSE_TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_ROUNDS_MAX 601

struct bench_row {
	const char *name;
	void (*prepare)(void);  /* may be NULL */
	double (*round)(void);  /* one figure */
	void (*clean_up)(void); /* may be NULL */
	double target;          /* the figure is to be at most this */
	const char *unit, *kernel;
	bool at_least; /* no: at least */
	bool longer;   /* a round takes long: a few are enough */
};

/* How much is done; --smoke makes it little. */
struct bench_scale {
	unsigned many, pairs, rounds, long_rounds;
	bool smoke;
	const char *only; /* NULL: all */
};

extern struct bench_scale scale;

/* The rows of each part; the last has no name. */
extern const struct bench_row map_rows[];
extern const struct bench_row access_rows[];
extern const struct bench_row dirty_rows[];
extern const struct bench_row translate_rows[];

static inline double bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Processor time of the thread. */
static inline double bench_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline void bench_must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "bench: %s went wrong\n", what);
	exit(2);
}

static inline uint64_t bench_random(void)
{
	static uint64_t state = 1;
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif

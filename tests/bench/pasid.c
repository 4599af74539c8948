/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What PASIDs cost in one thread, the lock included (tests/oracle/README.md).
 *
 *   bench-pasid [--smoke] [--only=TEXT]
 *
 * Figures are medians of the rounds. Exit status 1 where a target is missed. --smoke: a few operations of each kind,
 * and no verdict. --only: the rows whose names have this in them.
 */
#include "bench.h"

#include "pasid/cgroup.h"
#include "pasid/ioasid.h"

#define BITS 20U

struct bench_scale scale = {.many = 500000, .pairs = 1000, .rounds = 601, .long_rounds = 11};

static uint32_t million = (1U << BITS) - 1;

static struct ioasid_space *space;
static struct ioasid_set *set;
static struct ioasid_cgroup *cgroup;
static uint32_t *order; /* all PASIDs, shuffled */

static void shuffle(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i + 1;
	for (uint32_t i = n; i-- > 1;) {
		uint32_t j = (uint32_t)(bench_random() % (i + 1)), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
}

static uint32_t take(void)
{
	uint32_t id;

	bench_must(!ioasid_alloc(set, 1, UINT32_MAX, cgroup, NULL, &id), "allocation");
	return id;
}

static void release(uint32_t id)
{
	bench_must(!ioasid_free(set, id), "freeing");
}

static void take_many(uint32_t n)
{
	for (uint32_t i = 1; i <= n; i++)
		bench_must(take() == i, "the order of allocations");
}

static void prepare(void)
{
	bench_must(!ioasid_space_new(BITS, &space), "ioasid_space_new");
	bench_must(!ioasid_set_new(space, 1, 1, UINT64_MAX, IOASID_SET_MM, &set), "ioasid_set_new");
	cgroup = NULL;
}

static void clean_up(void)
{
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void prepare_many(void)
{
	prepare();
	take_many(scale.many);
	shuffle(scale.many);
}

/* Three cgroups, one in the other, have quotas. */
static void prepare_quotas(void)
{
	prepare();
	bench_must(!ioasid_cgroup_add(space, "/a", million) && !ioasid_cgroup_add(space, "/a/b", million) &&
			   !ioasid_cgroup_add(space, "/a/b/c", million),
		   "ioasid_cgroup_add");
	cgroup = ioasid_cgroup_find(space, "/a/b/c");
	take_many(scale.many);
}

static double pairs(void)
{
	double begin = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++)
		release(take());
	return (bench_now() - begin) / scale.pairs;
}

/* Any of those that are there is freed, and is then the lowest that is free. */
static double pairs_at_random(void)
{
	static uint32_t next;
	double begin = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		uint32_t id = order[next++ % scale.many];

		release(id);
		bench_must(take() == id, "the lowest that is free");
	}
	return (bench_now() - begin) / scale.pairs;
}

static double references(void)
{
	double begin = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		bench_must(!ioasid_get(space, set, 1), "ioasid_get");
		ioasid_put(space, 1);
	}
	return (bench_now() - begin) / scale.pairs;
}

static double take_million(void)
{
	double begin = bench_now(), end;

	take_many(million);
	end = bench_now();
	for (uint32_t i = 1; i <= million; i++)
		release(i);
	return (end - begin) / 1e6;
}

static double release_million(void)
{
	double begin;

	take_many(million);
	begin = bench_now();
	for (uint32_t i = 1; i <= million; i++)
		release(i);
	return (bench_now() - begin) / 1e6;
}

static double release_million_at_random(void)
{
	double begin;

	take_many(million);
	shuffle(million);
	begin = bench_now();
	for (uint32_t i = 0; i < million; i++)
		release(order[i]);
	return (bench_now() - begin) / 1e6;
}

static double end_of_million(void)
{
	double begin, end;

	prepare();
	take_many(million);
	begin = bench_now();
	ioasid_set_end(set);
	end = bench_now();
	ioasid_space_free(space);
	return (end - begin) / 1e6;
}

/* A target of 0: there is none. */
static const struct bench_row rows[] = {
	{"allocate + free among 500,000", prepare_many, pairs, clean_up, 50, "ns", "-", false, false},
	{"the same in a cgroup with three quotas above it", prepare_quotas, pairs, clean_up, 0, "ns", "-", false,
	 false},
	{"free + allocate any of 500,000", prepare_many, pairs_at_random, clean_up, 0, "ns", "-", false, false},
	{"get + put", prepare_many, references, clean_up, 0, "ns", "-", false, false},
	{"allocate all of a space, 1,048,575", prepare, take_million, clean_up, 0, "ms", "-", false, true},
	{"free all of them in order", prepare, release_million, clean_up, 0, "ms", "-", false, true},
	{"free all of them in random order", prepare, release_million_at_random, clean_up, 0, "ms", "-", false, true},
	{"end of a set that has all of them", NULL, end_of_million, NULL, 0, "ms", "-", false, true},
};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(const struct bench_row *row)
{
	double figure[BENCH_ROUNDS_MAX];
	unsigned rounds = row->longer ? scale.long_rounds : scale.rounds;

	if (row->prepare)
		row->prepare();
	for (unsigned i = 0; i < rounds; i++)
		figure[i] = row->round();
	if (row->clean_up)
		row->clean_up();
	qsort(figure, rounds, sizeof(figure[0]), compare_doubles);
	return figure[rounds / 2];
}

/* Returns whether the target is missed. */
static bool do_row(const struct bench_row *row)
{
	double figure = median_of(row);
	bool missed = row->target > 0 && figure > row->target;
	char target[16] = "-";

	if (row->target > 0)
		snprintf(target, sizeof(target), "%g", row->target);
	printf("%-54s | %8.2f %-5s | %5s | %8s | %s\n", row->name, figure, row->unit, target, row->kernel,
	       scale.smoke       ? "smoke"
	       : missed          ? "MISSED"
	       : row->target > 0 ? "ok"
				 : "");
	fflush(stdout);
	return missed && !scale.smoke;
}

int main(int argc, char **argv)
{
	bool missed = false;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--smoke"))
			scale.smoke = true;
		else if (!strncmp(argv[i], "--only=", 7))
			scale.only = argv[i] + 7;
	if (scale.smoke) {
		scale.many = 300;
		scale.pairs = 100;
		scale.rounds = scale.long_rounds = 3;
		million = 5000;
	}
	order = malloc(million * sizeof(*order));
	bench_must(order, "malloc");
	printf("medians of %u and %u rounds\n", scale.rounds, scale.long_rounds);
	printf("%-54s | %-14s | %5s | %8s |\n", "", "iommuse", "goal", "kernel");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!scale.only || strstr(rows[i].name, scale.only))
			missed |= do_row(&rows[i]);
	free(order);
	return missed;
}

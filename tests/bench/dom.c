/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an I/O address space with a page table costs, each figure beside its target and beside what Linux 7.2 needs
 * inside the kernel (tests/oracle/README.md).
 *
 *   bench-dom [--smoke] [--only=TEXT]
 *
 * Figures are medians of the rounds. Exit status 1 where a target is missed. --smoke: a few operations of each kind,
 * and no verdict. --only: the rows whose names have this in them.
 */
#include "bench.h"

struct bench_scale scale = {.many = 100000, .pairs = 1000, .rounds = 301, .long_rounds = 31};

static const struct bench_row *const parts[] = {map_rows, access_rows, dirty_rows, translate_rows};

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
	bool missed = row->at_least ? figure < row->target : figure > row->target;

	printf("%-54s | %8.2f %-5s | %5g | %8s | %s\n", row->name, figure, row->unit, row->target, row->kernel,
	       scale.smoke ? "smoke"
	       : missed    ? "MISSED"
			   : "ok");
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
	}
	printf("%-54s | %-14s | %5s | %8s |\n", "", "iommuse", "goal", "kernel");
	for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++)
		for (const struct bench_row *row = parts[part]; row->name; row++)
			if (!scale.only || strstr(row->name, scale.only))
				missed |= do_row(row);
	return missed;
}

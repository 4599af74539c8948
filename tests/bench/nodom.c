/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the calls of an I/O address space without a page table cost in one process, with a trusted client, each figure
 * beside its target and beside what Linux 7.2 needs inside the kernel, so without the system call
 * (tests/oracle/README.md).
 *
 *   bench-nodom [--smoke] [--only=TEXT]
 *
 * Figures of time are medians of the rounds; memory is how much the resident set of a new process grows. Exit status 1
 * where a target is missed. --smoke: a few operations of each kind, and no verdict. --only: the rows whose names have
 * this in them.
 */
#include "abi/iommufd.h"
#include "iommuse/iommuse.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE       UINT64_C(4096)
#define GIB        (UINT64_C(1) << 30)
#define AUTOMATIC  UINT64_MAX
#define ROUNDS_MAX 601

/*
 * How much is done; --smoke makes it little. A round is so short that most of them are not interrupted, also where
 * other programs run.
 */
static struct {
	unsigned many, million, pairs, rounds, long_rounds;
	bool smoke;
	const char *only; /* NULL: all */
} scale = {.many = 100000, .million = 1000000, .pairs = 1000, .rounds = 601, .long_rounds = 31};

/* What a row works on. */
static struct iommuse *sys;
static int fd;
static uint32_t ioas, other;
static uint64_t *address; /* scale.million numbers, shuffled */
static char *buffer;      /* what is mapped; only its address counts */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "bench-nodom: %s went wrong\n", what);
	exit(2);
}

static uint64_t rnd(void)
{
	static uint64_t state = 1;
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void shuffle(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		address[i] = i;
	for (unsigned i = n; i-- > 1;) {
		unsigned j = (unsigned)(rnd() % (i + 1));
		uint64_t swap = address[i];

		address[i] = address[j];
		address[j] = swap;
	}
}

static uint32_t ioas_new(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	must(!iommuse_ioctl(sys, fd, IOMMU_IOAS_ALLOC, (uintptr_t)&alloc), "IOAS_ALLOC");
	return alloc.out_ioas_id;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy d = {.size = sizeof(d), .id = id};

	must(!iommuse_ioctl(sys, fd, IOMMU_DESTROY, (uintptr_t)&d), "DESTROY");
}

/* Returns where it was mapped. */
static uint64_t map(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE |
			 (iova == AUTOMATIC ? 0 : IOMMU_IOAS_MAP_FIXED_IOVA),
		.ioas_id = ioas,
		.user_va = (uintptr_t)buffer,
		.length = length,
		.iova = iova == AUTOMATIC ? 0 : iova,
	};

	must(!iommuse_ioctl(sys, fd, IOMMU_IOAS_MAP, (uintptr_t)&m), "IOAS_MAP");
	return m.iova;
}

static void unmap(uint32_t id, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap u = {.size = sizeof(u), .ioas_id = id, .iova = iova, .length = length};

	must(!iommuse_ioctl(sys, fd, IOMMU_IOAS_UNMAP, (uintptr_t)&u) && u.length, "IOAS_UNMAP");
}

static void copy(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_copy c = {
		.size = sizeof(c),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.dst_ioas_id = other,
		.src_ioas_id = ioas,
		.length = length,
		.dst_iova = iova,
		.src_iova = iova,
	};

	must(!iommuse_ioctl(sys, fd, IOMMU_IOAS_COPY, (uintptr_t)&c), "IOAS_COPY");
}

/* A row measures one round, after its preparation; both with an empty IOAS to begin with. Nanoseconds for one. */

static double pairs(uint64_t iova, uint64_t length)
{
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++)
		unmap(ioas, map(iova, length), length);
	return (now() - begin) / scale.pairs;
}

static double fixed_page(void)
{
	return pairs(GIB, PAGE);
}

static double fixed_gib(void)
{
	return pairs(GIB, GIB);
}

static double automatic_page(void)
{
	return pairs(AUTOMATIC, PAGE);
}

static double automatic_gib(void)
{
	return pairs(AUTOMATIC, GIB);
}

/* A map at every fourth page, made in random order; the pairs are in the holes. */
static void prepare_random(void)
{
	shuffle(scale.many);
	for (unsigned i = 0; i < scale.many; i++)
		map(address[i] * 4 * PAGE, PAGE);
	shuffle(scale.many);
}

static double fixed_random(void)
{
	static unsigned next;
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		uint64_t iova = (address[next++ % scale.many] * 4 + 2) * PAGE;

		map(iova, PAGE);
		unmap(ioas, iova, PAGE);
	}
	return (now() - begin) / scale.pairs;
}

static void prepare_contiguous(void)
{
	for (unsigned i = 0; i < scale.many; i++)
		map((i + 1) * PAGE, PAGE);
}

/* Behind each map two pages, of which the first has an odd number: no place for what is aligned to two. */
static void prepare_misaligned(void)
{
	map(2 * PAGE, PAGE);
	for (unsigned i = 0; i < scale.many; i++)
		map((5 + i * UINT64_C(4)) * PAGE, 2 * PAGE);
}

static double automatic_two_pages(void)
{
	return pairs(AUTOMATIC, 2 * PAGE);
}

static void prepare_copy(void)
{
	map(GIB, PAGE);
}

static double copy_page(void)
{
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		copy(GIB, PAGE);
		unmap(other, GIB, PAGE);
	}
	return (now() - begin) / scale.pairs;
}

static double unmap_all(void)
{
	double begin;

	prepare_contiguous();
	begin = now();
	unmap(ioas, 0, UINT64_MAX);
	return (now() - begin) / scale.many;
}

static double alloc_destroy(void)
{
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++)
		destroy(ioas_new());
	return (now() - begin) / scale.pairs;
}

struct row {
	const char *name;
	void (*prepare)(void);
	double (*round)(void);
	double target; /* 0: twice the figure of the row before */
	const char *kernel;
};

static const struct row rows[] = {
	{"map + unmap, 4 KiB, fixed IOVA", NULL, fixed_page, 130, "395 ns"},
	{"map + unmap, 1 GiB, fixed IOVA", NULL, fixed_gib, 130, "395 ns"},
	{"map + unmap, 4 KiB, automatic IOVA", NULL, automatic_page, 150, "452 ns"},
	{"map + unmap, 1 GiB, automatic IOVA", NULL, automatic_gib, 150, "452 ns"},
	{"the same among 100,000 maps, fixed, random addresses", prepare_random, fixed_random, 260, "782 ns"},
	{"the same among 100,000 contiguous maps, automatic", prepare_contiguous, automatic_page, 300, "8.97 ms"},
	{"the same among 100,000 misaligned gaps, automatic", prepare_misaligned, automatic_two_pages, 0, "-"},
	{"copy + unmap, 4 KiB", prepare_copy, copy_page, 150, "406 ns"},
	{"unmap all of 100,000 maps, each", NULL, unmap_all, 60, "340 ns"},
	{"IOAS alloc + destroy", NULL, alloc_destroy, 200, "1445 ns"},
};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_of(const struct row *row)
{
	double ns[ROUNDS_MAX];
	unsigned rounds = row->round == unmap_all ? scale.long_rounds : scale.rounds;

	ioas = ioas_new();
	other = ioas_new();
	if (row->prepare)
		row->prepare();
	for (unsigned i = 0; i < rounds; i++)
		ns[i] = row->round();
	destroy(other);
	destroy(ioas);
	qsort(ns, rounds, sizeof(ns[0]), compare_doubles);
	return ns[rounds / 2];
}

static void print_row(const char *name, double figure, double target, const char *unit, const char *kernel,
		      bool *missed)
{
	const char *verdict = scale.smoke ? "smoke" : figure <= target ? "ok" : "MISSED";

	printf("%-54s | %7.1f %-5s | %5.0f | %8s | %s\n", name, figure, unit, target, kernel, verdict);
	fflush(stdout);
	*missed |= !scale.smoke && figure > target;
}

static bool wanted(const char *name)
{
	return !scale.only || strstr(name, scale.only);
}

static void start(void)
{
	const struct iommuse_options options = {.struct_size = sizeof(options), .client = IOMMUSE_CLIENT_TRUSTED};

	must(!iommuse_new(&options, &sys), "iommuse_new");
	fd = iommuse_open(sys, "/dev/iommu", O_RDWR | O_CLOEXEC);
	must(fd >= 0, "open of /dev/iommu");
}

static bool time_rows(void)
{
	double before = 0; /* the figure of the row before, if it was measured */
	bool missed = false;

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double ns;

		if (!wanted(rows[i].name)) {
			before = rows[i].target;
			continue;
		}
		ns = median_of(&rows[i]);
		print_row(rows[i].name, ns, rows[i].target ? rows[i].target : 2 * before, "ns", rows[i].kernel,
			  &missed);
		before = ns;
	}
	iommuse_close(sys, fd);
	iommuse_free(sys);
	return missed;
}

/* Memory. */

struct memory {
	double resident, allocated; /* bytes for each map */
};

static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	char line[128];
	char *at;

	must(file && fgets(line, sizeof(line), file), "/proc/self/statm");
	fclose(file);
	strtoull(line, &at, 10);
	return (double)strtoull(at, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static double allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return (double)info.uordblks + (double)info.hblkhd;
}

/* In a process of its own, which has no free memory left from what was before. */
static void measure_memory(bool random, int out)
{
	struct memory m;
	double r, a;

	shuffle(scale.million);
	start();
	ioas = ioas_new();
	r = resident();
	a = allocated();
	for (unsigned i = 0; i < scale.million; i++)
		map((random ? address[i] : i) * 2 * PAGE, PAGE);
	m.resident = (resident() - r) / scale.million;
	m.allocated = (allocated() - a) / scale.million;
	must(write(out, &m, sizeof(m)) == sizeof(m), "write");
	_exit(0);
}

static struct memory memory_per_map(bool random)
{
	struct memory m;
	int ends[2];
	int status;
	pid_t pid;

	fflush(stdout);
	must(!pipe2(ends, O_CLOEXEC), "pipe");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid)
		measure_memory(random, ends[1]);
	close(ends[1]);
	must(read(ends[0], &m, sizeof(m)) == sizeof(m), "measuring memory");
	close(ends[0]);
	must(waitpid(pid, &status, 0) == pid && !status, "measuring memory");
	return m;
}

static bool memory_rows(void)
{
	static const char *const names[] = {"memory of each of 1,000,000 maps, ascending",
					    "memory of each of 1,000,000 maps, random order"};
	bool missed = false;

	for (int random = 0; random < 2; random++) {
		struct memory m;

		if (!wanted(names[random]))
			continue;
		m = memory_per_map(random);
		print_row(names[random], m.resident, 128, "bytes", "-", &missed);
		printf("%-54s | %7.1f bytes | %5s | %8s |\n", "  of it allocated, as mallinfo2() has it", m.allocated,
		       "", "");
	}
	return missed;
}

static double memcpy_speed(void)
{
	const size_t n = 64U << 20;
	char *from = malloc(n), *to = malloc(n);
	double best = 0;

	must(from && to, "malloc");
	memset(from, 1, n);
	memset(to, 2, n);
	for (int i = 0; i < 5; i++) {
		double begin = now(), speed;

		memcpy(to, from, n);
		speed = (double)n / (now() - begin);
		best = speed > best ? speed : best;
	}
	must(to[n - 1] == 1, "memcpy");
	free(from);
	free(to);
	return best;
}

static double null_call(void)
{
	double ns[ROUNDS_MAX];

	for (unsigned r = 0; r < scale.rounds; r++) {
		double begin = now();

		for (unsigned i = 0; i < scale.pairs; i++)
			syscall(SYS_getppid);
		ns[r] = (now() - begin) / scale.pairs;
	}
	qsort(ns, scale.rounds, sizeof(ns[0]), compare_doubles);
	return ns[scale.rounds / 2];
}

int main(int argc, char **argv)
{
	bool missed;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--smoke"))
			scale.smoke = true;
		else if (!strncmp(argv[i], "--only=", 7))
			scale.only = argv[i] + 7;
	if (scale.smoke) {
		scale.many = 300;
		scale.million = 1000;
		scale.pairs = 100;
		scale.rounds = scale.long_rounds = 3;
	}
	address = malloc(scale.million * sizeof(*address));
	buffer = aligned_alloc(2 * GIB >> 10, 2 * GIB >> 10);
	must(address && buffer, "malloc");
	memset(address, 0xff, scale.million * sizeof(*address));
	printf("memcpy %.1f GB/s, a null system call %.0f ns, %ld processors; medians of %u rounds\n", memcpy_speed(),
	       null_call(), sysconf(_SC_NPROCESSORS_ONLN), scale.rounds);
	printf("%-54s | %-13s | %5s | %8s |\n", "", "iommuse", "goal", "kernel");
	missed = memory_rows();
	missed |= time_rows();
	free(buffer);
	free(address);
	return missed;
}

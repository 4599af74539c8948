/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a copy by the ioat device costs a driver over VFIO, beside what copies the same bytes without a device: memcpy
 * where the client's memory is shared and so mapped in iommuse too, process_vm_readv and process_vm_writev by another
 * process where it is private.
 *
 *	bench-device IOMMUSE [--smoke]
 *
 * Throughput is that of a chain of descriptors; latency is from the doorbell of one to its completion, once the device
 * is awake, and after it has slept. Figures are medians. There are no targets.
 */
#include "../door/rig.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

enum { BUFFER = 32 << 20, CHAIN = RING - 1, ROUNDS_MAX = 101 };

#define FROM_IOVA 0x100000000ull
#define TO_IOVA   0x200000000ull

static unsigned rounds = ROUNDS_MAX;

static const uint32_t sizes[] = {64, 4096, 65536, 1 << 20};

/* What copies: each figure is of one of them. */
struct copier {
	const char *what;
	double (*throughput)(uint32_t size); /* bytes a ns */
	bool of_device;
};

static struct rig rig;
static struct engine engine;
static uint8_t *from, *to;
static pid_t other; /* has private memory at the same addresses */

static _Noreturn void fail(const char *what, long rc)
{
	fprintf(stderr, "bench-device: %s: %s\n", what, strerror((int)-rc));
	exit(1);
}

static void must(long rc, const char *what)
{
	if (rc < 0)
		fail(what, rc);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, rounds, sizeof(*values), compare);
	return values[rounds / 2];
}

/* How many copies make a round, and where the next one goes: all over the buffers, as far as they reach. */
static unsigned chain_length(uint32_t size)
{
	return BUFFER / size < CHAIN ? BUFFER / size : CHAIN;
}

static double by_memcpy(uint32_t size)
{
	unsigned n = chain_length(size);
	uint64_t start = monotonic_ns();

	for (unsigned i = 0; i < n; i++)
		memcpy(to + (size_t)i * size, from + (size_t)i * size, size);
	return (double)n * size / (double)(monotonic_ns() - start);
}

/* In pieces of what is copied at a time where memory is another process's. */
static double by_process_vm(uint32_t size)
{
	static uint8_t piece[PAGE];
	unsigned n = chain_length(size);
	uint64_t start = monotonic_ns();

	for (size_t i = 0; i < n; i++) {
		for (size_t done = 0; done < size; done += PAGE) {
			size_t length = size - done < PAGE ? size - done : PAGE;
			struct iovec here = {piece, length};
			struct iovec source = {from + i * size + done, length};
			struct iovec target = {to + i * size + done, length};

			if (process_vm_readv(other, &here, 1, &source, 1, 0) < 0 ||
			    process_vm_writev(other, &here, 1, &target, 1, 0) < 0)
				fail("process_vm_readv", -errno);
		}
	}
	return (double)n * size / (double)(monotonic_ns() - start);
}

static double by_device(uint32_t size)
{
	unsigned n = chain_length(size);
	uint64_t start = monotonic_ns();

	for (uint64_t i = 0; i < n; i++)
		engine_give(&engine, OP_COPY, 0, TO_IOVA + i * size, FROM_IOVA + i * size, size);
	must(engine_wait(&engine), "a chain of copies");
	return (double)n * size / (double)(monotonic_ns() - start);
}

static const struct copier shared_copiers[] = {
	{"memcpy", by_memcpy, false}, {"device, shared memory", by_device, true}, {NULL, NULL, false}};
static const struct copier private_copiers[] = {{"process_vm_readv, _writev", by_process_vm, false},
						{"device, private memory", by_device, true},
						{NULL, NULL, false}};

static double throughput(const struct copier *copier, uint32_t size)
{
	double values[ROUNDS_MAX];

	copier->throughput(size);
	for (unsigned i = 0; i < rounds; i++)
		values[i] = copier->throughput(size);
	return median(values);
}

/* ns from the doorbell to the completion. asleep: the device has had nothing to do for a while. */
static double latency(uint32_t size, bool asleep)
{
	const struct timespec while_ = {0, 20000000};
	double values[ROUNDS_MAX];

	must(engine_copy(&engine, TO_IOVA, FROM_IOVA, size), "a copy");
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t start;

		if (asleep)
			nanosleep(&while_, NULL);
		start = monotonic_ns();
		engine_give(&engine, OP_COPY, 0, TO_IOVA, FROM_IOVA, size);
		while (!engine.memory->completion)
			;
		values[i] = (double)(monotonic_ns() - start);
		must(engine_wait(&engine), "a copy");
	}
	return median(values);
}

static void measure(const struct copier *copiers)
{
	double least[sizeof(sizes) / sizeof(*sizes)] = {1, 1, 1, 1};

	for (const struct copier *c = copiers; c->what; c++) {
		printf("%-28s", c->what);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			double figure = throughput(c, sizes[i]);

			if (!c->of_device)
				least[i] = figure;
			printf("  %7.3f GB/s", figure);
			if (c->of_device)
				printf(" %3.0f %%", 100 * figure / least[i]);
			else
				printf("      ");
		}
		printf("\n");
	}
	printf("%-28s", "  one, device awake");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		printf("  %9.1f us      ", latency(sizes[i], false) / 1000);
	printf("\n%-28s", "  one, device asleep");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		printf("  %9.1f us      ", latency(sizes[i], true) / 1000);
	printf("\n");
}

static uint8_t *buffer_new(bool shared, uint8_t what)
{
	uint8_t *p =
		mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	if (p == MAP_FAILED)
		fail("mmap", -errno);
	memset(p, what, BUFFER);
	return p;
}

static void start_other(void)
{
	other = fork();
	if (other)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(from, 3, BUFFER);
	memset(to, 4, BUFFER);
	for (;;)
		pause();
}

static void with_memory(bool shared, const struct copier *copiers)
{
	from = buffer_new(shared, 1);
	to = buffer_new(shared, 2);
	if (!shared)
		start_other();
	must(rig_open(&rig, TYPE1V2, 0), "opening the device");
	must(engine_begin(&engine, &rig, engine_memory_new(true)), "starting the device");
	must(rig_map(&rig, from, BUFFER, FROM_IOVA, RIG_BOTH), "VFIO_IOMMU_MAP_DMA");
	must(rig_map(&rig, to, BUFFER, TO_IOVA, RIG_BOTH), "VFIO_IOMMU_MAP_DMA");
	measure(copiers);
	if (memcmp(from, to, BUFFER / 2) != 0 && rounds == ROUNDS_MAX)
		fail("comparing", -EIO);
	rig_close(&rig);
	engine_end(&engine);
	munmap(from, BUFFER);
	munmap(to, BUFFER);
	if (!shared) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	bool smoke = argc > 2 && !strcmp(argv[2], "--smoke");
	char self[4096] = "";

	if (argc < 2) {
		fprintf(stderr, "usage: bench-device IOMMUSE [--smoke]\n");
		return 2;
	}
	if (strcmp(argv[1], "--client") != 0) {
		if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
			fail("/proc/self/exe", -errno);
		execl(argv[1], "iommuse", "run", "--device", "ioat", "--", self, "--client", smoke ? "--smoke" : NULL,
		      (char *)NULL);
		fail(argv[1], -errno);
	}
	if (smoke)
		rounds = 1;
	printf("%-28s", "copies of");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		printf("  %9u bytes   ", sizes[i]);
	printf("\n");
	with_memory(true, shared_copiers);
	with_memory(false, private_copiers);
	return 0;
}

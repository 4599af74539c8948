/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a copy by the dmax device costs that shares a process's addresses, beside what copies the same bytes of another
 * process without a device: process_vm_readv and process_vm_writev.
 *
 *	bench-sva IOMMUSE [--smoke]
 *
 * Throughput is that of descriptors given as fast as the queue takes them; latency is from one doorbell to its record.
 * Rounds of both take turns; figures are medians. Exit status 1 where the device is too slow with 1 MiB.
 */
#include "../door/accel.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { BUFFER = 32 << 20, CHAIN = QUEUE_SIZE - 1, ROUNDS_MAX = 101, TARGET = 85 };

static const uint32_t sizes[] = {64, 4096, 65536, 1 << 20};
#define SIZES (sizeof(sizes) / sizeof(*sizes))

static unsigned rounds = ROUNDS_MAX;
static struct accel accel;
static struct queue queue;
static uint8_t *from, *to, *piece;
static pid_t other; /* has memory of its own at the same addresses */

static _Noreturn void fail(const char *what, long rc)
{
	fprintf(stderr, "bench-sva: %s: %s\n", what, strerror((int)-rc));
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

/* How many copies make a round: all over the buffers, as far as they reach. */
static unsigned count_of(uint32_t size)
{
	return BUFFER / size < CHAIN ? BUFFER / size : CHAIN;
}

static void by_process_vm(uint32_t size)
{
	for (size_t i = 0; i < count_of(size); i++) {
		const struct iovec here = {piece, size};
		const struct iovec source = {from + i * size, size};
		const struct iovec target = {to + i * size, size};

		if (process_vm_readv(other, &here, 1, &source, 1, 0) < 0 ||
		    process_vm_writev(other, &here, 1, &target, 1, 0) < 0)
			fail("process_vm_readv", -errno);
	}
}

static void by_device(uint32_t size)
{
	unsigned record = 0;

	for (size_t i = 0; i < count_of(size); i++)
		record = queue_give(&queue, DMAX_COPY, 0, address(to + i * size), address(from + i * size), size, 0);
	if (queue_wait(&queue, record) != DMAX_SUCCESS)
		fail("a copy", -EIO);
}

/* Bytes a ns. */
static double time_of(void (*copy)(uint32_t), uint32_t size)
{
	uint64_t start;

	/* A device that was idle wakes up. */
	if (copy == by_device && queue_copy(&queue, to, from, 64) != DMAX_SUCCESS)
		fail("a copy", -EIO);
	start = monotonic_ns();
	copy(size);
	return (double)count_of(size) * size / (double)(monotonic_ns() - start);
}

/* us from the doorbell to the record, of a device that is awake. */
static double latency(uint32_t size)
{
	double values[ROUNDS_MAX];

	by_device(size);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t start = monotonic_ns();
		unsigned record = queue_give(&queue, DMAX_COPY, 0, address(to), address(from), size, 0);

		while (!queue_is_done(&queue, record))
			;
		values[i] = (double)(monotonic_ns() - start) / 1000;
	}
	return median(values);
}

/* Returns whether the target is missed. */
static bool measure(void)
{
	bool missed = false;

	printf("%-12s | %-26s | %-14s | %-5s | %-7s |\n", "copies of", "process_vm_readv, _writev", "device, by SVA",
	       "", "latency");
	for (size_t i = 0; i < SIZES; i++) {
		double least[ROUNDS_MAX], device[ROUNDS_MAX], ratio;
		bool is_target = sizes[i] == 1 << 20;

		by_process_vm(sizes[i]);
		by_device(sizes[i]);
		for (unsigned j = 0; j < rounds; j++) {
			least[j] = time_of(by_process_vm, sizes[i]);
			device[j] = time_of(by_device, sizes[i]);
		}
		ratio = 100 * median(device) / median(least);
		printf("%7u bytes | %21.3f GB/s | %9.3f GB/s | %3.0f %% | %4.1f us | %s\n", sizes[i], median(least),
		       median(device), ratio, latency(sizes[i]),
		       !is_target       ? ""
		       : rounds < 2     ? "smoke"
		       : ratio < TARGET ? "MISSED"
					: "ok");
		missed |= is_target && rounds > 1 && ratio < TARGET;
	}
	return missed;
}

static uint8_t *buffer_new(size_t n, uint8_t what)
{
	uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap", -errno);
	memset(p, what, n);
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

int main(int argc, char **argv)
{
	bool smoke = argc > 2 && !strcmp(argv[2], "--smoke");
	char self[4096] = "";
	bool missed;
	long pasid;

	if (argc < 2) {
		fprintf(stderr, "usage: bench-sva IOMMUSE [--smoke]\n");
		return 2;
	}
	if (strcmp(argv[1], "--client") != 0) {
		if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
			fail("/proc/self/exe", -errno);
		execl(argv[1], "iommuse", "run", "--device", "dmax", "--", self, "--client", smoke ? "--smoke" : NULL,
		      (char *)NULL);
		fail(argv[1], -errno);
	}
	if (smoke)
		rounds = 1;
	from = buffer_new(BUFFER, 1);
	to = buffer_new(BUFFER, 2);
	piece = buffer_new(1 << 20, 5);
	start_other();
	/* What was common since the fork is copied now. */
	memset(from, 1, BUFFER);
	memset(to, 2, BUFFER);
	must(accel_open(&accel, TYPE1V2, 0), "opening the device");
	pasid = bind_process(accel.rig.container, 0);
	must(pasid, "VFIO_IOMMU_BIND");
	must(queue_start(&queue, &accel, 0, (uint32_t)pasid, queue_memory_new(false), 0), "starting a queue");
	missed = measure();
	if (memcmp(from, to, smoke ? 64 : BUFFER) != 0)
		fail("comparing", -EIO);
	accel_close(&accel);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	return missed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared virtual addressing: a device copies memory of malloc() by its pointers. The process is bound to a container of
 * VFIO, and the device is given the PASID that it then has. Nothing is mapped, pinned or copied for it: what it meets
 * that has not been touched yet is faulted in, and what the process could not access it cannot either.
 *
 *	cc -I include examples/sva/copy_by_pointer.c examples/dmax/driver.c -o copy_by_pointer
 *	iommuse run --device dmax -- ./copy_by_pointer
 *	iommuse run --device dmax -- ./copy_by_pointer --measure
 *
 * --measure compares the device with process_vm_readv() and process_vm_writev(), by which another process would copy
 * the same blocks.
 */
#define _GNU_SOURCE
#include "../dmax/driver.h"

#include <abi/vfio.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1U << 20)

/* So many copies are under way at once. A descriptor's place in the ring becomes free just after its record is written,
 * so the ring has more. */
#define COPIES 32
#define RING   (2 * COPIES)

/* What is measured: so many blocks in each round, and the best of the rounds. */
#define BLOCKS 64
#define ROUNDS 50

static int container, group, device;
static uint32_t pasid;
static struct dmax dmax;
static struct dmax_queue queue;

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "copy_by_pointer: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

static int call(int fd, unsigned long cmd, const void *arg, const char *what)
{
	int rc = ioctl(fd, cmd, arg);

	if (rc < 0)
		fail(what, errno);
	return rc;
}

static void open_device(const char *address)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (container < 0)
		fail("/dev/vfio/vfio", errno);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		fail(path, errno);
	target[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		fail(path, errno);
	call(group, VFIO_GROUP_SET_CONTAINER, &container, "VFIO_GROUP_SET_CONTAINER");
	call(container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU, "VFIO_SET_IOMMU");
	device = call(group, VFIO_GROUP_GET_DEVICE_FD, address, "VFIO_GROUP_GET_DEVICE_FD");
}

/* VFIO_IOMMU_BIND or VFIO_IOMMU_UNBIND of this process. Returns its PASID, which means its memory to the device. */
static uint32_t bond(unsigned long cmd, const char *what)
{
	_Alignas(struct vfio_iommu_type1_bind)
		uint8_t room[sizeof(struct vfio_iommu_type1_bind) + sizeof(struct vfio_iommu_type1_bind_process)] = {0};
	struct vfio_iommu_type1_bind *bind = (struct vfio_iommu_type1_bind *)room;
	struct vfio_iommu_type1_bind_process *process = (struct vfio_iommu_type1_bind_process *)bind->data;

	bind->argsz = sizeof(room);
	bind->mode = VFIO_IOMMU_BIND_PROCESS;
	call(container, cmd, bind, what);
	return process->pasid;
}

static void *allocate(size_t alignment, size_t n)
{
	void *memory = aligned_alloc(alignment, n);

	if (!memory)
		fail("memory", errno);
	return memset(memory, 0, n);
}

static void start_queue(void)
{
	struct dmax_descriptor *ring = allocate(sizeof(*ring), RING * sizeof(*ring));
	int rc = dmax_open(&dmax, device);

	if (rc)
		fail("the device", -rc);
	rc = dmax_queue_start(&queue, &dmax, 0, pasid, ring, (uintptr_t)ring, RING);
	if (rc)
		fail("starting a queue", -rc);
}

static void submit_copy(void *to, const void *from, uint32_t n, struct dmax_record *record)
{
	const struct dmax_descriptor descriptor = {.operation = DMAX_COPY,
						   .flags = DMAX_FLAG_RECORD | DMAX_FLAG_BLOCK,
						   .length = n,
						   .record = (uintptr_t)record,
						   .source = (uintptr_t)from,
						   .destination = (uintptr_t)to};
	int rc = dmax_submit(&queue, &descriptor, record);

	if (rc)
		fail("submitting", -rc);
}

static void wait_for(const struct dmax_record *record)
{
	int rc = dmax_wait(&queue, record);

	if (rc) {
		fprintf(stderr, "copy_by_pointer: the queue has halted with error %#x\n", dmax_queue_error(&queue));
		exit(EXIT_FAILURE);
	}
}

static void copy(void *to, const void *from, uint32_t n, struct dmax_record *record)
{
	submit_copy(to, from, n, record);
	wait_for(record);
}

static void show(struct dmax_record *record)
{
	static const char text[] = "carried by a device, from pointer to pointer";
	char *from = malloc(sizeof(text)), *to = malloc(sizeof(text));

	if (!from || !to)
		fail("memory", errno);
	memcpy(from, text, sizeof(text));
	copy(to, from, sizeof(text), record);
	if (record->status != DMAX_SUCCESS || memcmp(to, text, sizeof(text)) != 0) {
		fprintf(stderr, "copy_by_pointer: the copy went wrong, with status %u\n", record->status);
		exit(EXIT_FAILURE);
	}
	printf("the device has PASID %u, and copied by pointer: \"%s\"\n", pasid, to);

	/* A mistake: the text of the program cannot be written, by the device either. */
	copy((void *)(uintptr_t)text, from, sizeof(text), record);
	if (record->status != DMAX_PAGE_FAULT || record->access != DMAX_ACCESS_WRITE ||
	    record->address != (uintptr_t)text) {
		fprintf(stderr, "copy_by_pointer: a constant was written to, with status %u\n", record->status);
		exit(EXIT_FAILURE);
	}
	printf("the device cannot write to a constant either, and reports a page fault\n");
	free(from);
	free(to);
}

/* Measuring */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Bytes a second, of one round. */
static double by_device(uint8_t *to, const uint8_t *from, struct dmax_record *record)
{
	double start;

	/* It looks for work less often when it has found none for long. */
	copy(to, from, BLOCK, record);
	start = now();
	for (unsigned i = 0; i < BLOCKS + COPIES; i++) {
		if (i >= COPIES) {
			wait_for(&record[i % COPIES]);
			if (record[i % COPIES].status != DMAX_SUCCESS)
				fail("copying", EFAULT);
		}
		if (i < BLOCKS)
			submit_copy(to, from, BLOCK, &record[i % COPIES]);
	}
	return BLOCKS * (double)BLOCK / (now() - start);
}

/* The same of a process that copies in its parent's memory. */
static double by_process(uint8_t *to, const uint8_t *from, uint8_t *between)
{
	const struct iovec own = {between, BLOCK}, source = {(void *)(uintptr_t)from, BLOCK}, destination = {to, BLOCK};
	pid_t parent = getppid();
	double start = now();

	for (unsigned i = 0; i < BLOCKS; i++) {
		if (process_vm_readv(parent, &own, 1, &source, 1, 0) != BLOCK)
			fail("process_vm_readv", errno);
		if (process_vm_writev(parent, &own, 1, &destination, 1, 0) != BLOCK)
			fail("process_vm_writev", errno);
	}
	return BLOCKS * (double)BLOCK / (now() - start);
}

/* A child that does a round and tells its bandwidth, each time that it is asked. */
static pid_t start_child(uint8_t *to, const uint8_t *from, const int ask[2], const int tell[2])
{
	uint8_t *between;
	pid_t child;
	double rate;
	char c;

	fflush(stdout);
	child = fork();
	if (child < 0)
		fail("fork", errno);
	/* An end that the reader has as well would keep it waiting when the other process is gone. */
	close(child ? tell[1] : ask[1]);
	if (child)
		return child;
	between = allocate(4096, BLOCK);
	while (read(ask[0], &c, 1) == 1) {
		rate = by_process(to, from, between);
		if (write(tell[1], &rate, sizeof(rate)) != sizeof(rate))
			break;
	}
	_exit(EXIT_SUCCESS);
}

/* In turns, so that what else the machine does meets both. */
static void measure(struct dmax_record *record)
{
	uint8_t *from = allocate(4096, BLOCK), *to = allocate(4096, BLOCK);
	double device_best = 0, process_best = 0, rate;
	int ask[2], tell[2];
	pid_t child;

	memset(from, 0x5a, BLOCK);
	if (pipe2(ask, O_CLOEXEC) || pipe2(tell, O_CLOEXEC))
		fail("pipe", errno);
	child = start_child(to, from, ask, tell);
	prctl(PR_SET_PTRACER, child);
	for (unsigned i = 0; i < ROUNDS; i++) {
		rate = by_device(to, from, record);
		device_best = rate > device_best ? rate : device_best;
		if (write(ask[1], "", 1) != 1 || read(tell[0], &rate, sizeof(rate)) != sizeof(rate))
			fail("the other process", errno);
		process_best = rate > process_best ? rate : process_best;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("blocks of 1 MiB: device %.2f GB/s, process_vm_readv and process_vm_writev %.2f GB/s, ratio %.0f %%\n",
	       device_best / 1e9, process_best / 1e9, device_best / process_best * 100);
	free(from);
	free(to);
}

int main(int argc, char **argv)
{
	bool measured = argc > 1 && !strcmp(argv[1], "--measure");
	const char *address = argc > 1 + measured ? argv[1 + measured] : "0000:01:00.0";
	struct dmax_record *records;

	if (argc > 2 + measured || address[0] == '-') {
		fprintf(stderr, "usage: copy_by_pointer [--measure] [ADDRESS]\n");
		return EXIT_FAILURE;
	}
	open_device(address);
	pasid = bond(VFIO_IOMMU_BIND, "VFIO_IOMMU_BIND");
	start_queue();
	records = allocate(sizeof(*records), COPIES * sizeof(*records));
	show(records);
	if (measured)
		measure(records);
	dmax_queue_stop(&queue);
	dmax_close(&dmax);
	bond(VFIO_IOMMU_UNBIND, "VFIO_IOMMU_UNBIND");
	return EXIT_SUCCESS;
}

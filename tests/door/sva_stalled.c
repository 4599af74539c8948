/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sva_stalled FILE [unmapped]: a driver whose device reads memory of the process's own addresses that is FILE, which
 * its server does not give it. Prints "ready", and tells the device when it is told so itself; the end of its standard
 * input ends it. The harness kills it as well, and looks with the cases of this program how others fare meanwhile, who
 * have device 1, and how they do when it is over, with device 0.
 */
#include "accel.h"
#include "ioasid.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

static int drive(const char *path, bool unmapped)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	uint8_t *to = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct accel a;
	struct queue q;
	long pasid;
	char byte;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (page == MAP_FAILED || accel_open(&a, TYPE1V2, 0)) {
		printf("the device cannot be driven\n");
		return 1;
	}
	pasid = bind_process(a.rig.container, 0);
	if (pasid < 0 || queue_start(&q, &a, 0, (uint32_t)pasid, queue_memory_new(false), 0) ||
	    queue_copy(&q, to, to + 64, 64) != DMAX_SUCCESS) {
		printf("nothing is bound: %ld\n", pasid);
		return 1;
	}
	if (madvise(page, PAGE, MADV_DONTNEED) || posix_fadvise(fd, 0, PAGE, POSIX_FADV_DONTNEED))
		return 1;
	printf("ready\n");
	if (!hear(STDIN_FILENO))
		return 1;
	queue_give(&q, DMAX_COPY, 0, address(to), address(page), 64, 0);
	/* The memory, and what is mapped in it, stays while the device reads it: so the device is closed only if it is
	 * not mapped. */
	if (unmapped)
		munmap(a.doorbells, DMAX_QUEUES_MAX * PAGE);
	while (read(STDIN_FILENO, &byte, 1) == 1)
		;
	return 0;
}

/* With a device that nobody has, and without. */
static void use(struct test *t, unsigned number)
{
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t start = monotonic_ns();
	int fd = open_iommu();
	struct accel other;
	struct queue q;
	long pasid;

	FRESH(t, fd);
	close(fd);
	fd = ioasid_open();
	CHECK(t, ioasid_any(fd) > 0);
	close(fd);
	if (!SAME(t, accel_open(&other, TYPE1V2, number), 0))
		return;
	pasid = bind_process(other.rig.container, 0);
	CHECK(t, pasid > 0);
	SAME(t, queue_start(&q, &other, 0, (uint32_t)pasid, queue_memory_new(false), 0), 0);
	for (int i = 0; i < 10; i++)
		SAME(t, queue_copy(&q, p, p + PAGE, PAGE), DMAX_SUCCESS);
	SAME(t, unbind_process(other.rig.container, 0), 0);
	accel_close(&other);
	/* Waiting is for seconds, if there is any. */
	CHECK(t, monotonic_ns() - start < 10000000000ull);
	munmap(p, 2 * PAGE);
}

/* Who waits for the device to be closed, as it may have PASIDs, waits once. */
static void open_again_and_again(struct test *t)
{
	uint64_t start = monotonic_ns();

	for (int i = 0; i < 20; i++) {
		int fd = ioasid_open();

		CHECK(t, fd >= 0);
		close(fd);
	}
	CHECK(t, monotonic_ns() - start < 10000000000ull);
}

static void others_are_served(struct test *t)
{
	use(t, 1);
	open_again_and_again(t);
}

static void is_over(struct test *t)
{
	use(t, 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"others_are_served", others_are_served},
		{"is_over", is_over},
	};

	if (argc > 1 && argv[1][0] == '/')
		return drive(argv[1], argc > 2);
	return TEST_MAIN(argc, argv, cases);
}

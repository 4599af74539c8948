/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared virtual addresses: a device that uses a process's own pointers reaches what the process itself would reach.
 * Devices 0 and 1 are dmax.
 */
#include "accel.h"
#include "peer.h"

#include <alloca.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

enum { PAGES = 5, BUFFER = PAGES * PAGE, HUGE = 2 << 20 };

/* A device, whose queue 0 is this process's. */
struct bench {
	struct accel a;
	struct queue q;
	uint32_t pasid;
};

static struct bench bench;

static bool bench_open(struct test *t)
{
	long pasid;

	if (!SAME(t, accel_open(&bench.a, TYPE1V2, 0), 0))
		return false;
	pasid = bind_process(bench.a.rig.container, 0);
	bench.pasid = (uint32_t)pasid;
	return CHECK(t, pasid > 0) &&
	       SAME(t, queue_start(&bench.q, &bench.a, 0, bench.pasid, queue_memory_new(false), 0), 0);
}

static uint8_t *map(size_t n, int prot, int flags, int fd)
{
	void *p = mmap(NULL, n, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static uint8_t *anonymous(size_t n, int kind)
{
	return map(n, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | kind, -1);
}

static void fill_random(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(random_next(&seed) >> 13);
}

static bool is_all(const volatile uint8_t *p, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* A file of n random bytes; -1 where there is no place for it. */
static int file_of(const char *folder, size_t n, uint64_t seed)
{
	char path[64];
	uint8_t *p = malloc(n);
	int fd;

	snprintf(path, sizeof(path), "%s/sva-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd >= 0)
		unlink(path);
	fill_random(p, n, seed);
	if (fd >= 0 && write(fd, p, n) != (ssize_t)n) {
		close(fd);
		fd = -1;
	}
	free(p);
	return fd;
}

/* Copies, fills, compares and sums the n bytes of either, of which the device may write to. */
static void expect_operations(struct test *t, const char *what, uint8_t *to, const uint8_t *from, uint32_t n)
{
	struct queue *q = &bench.q;
	struct dmax_record r;
	unsigned said = t->said;

	SAME(t, queue_copy(q, to, from, n), DMAX_SUCCESS);
	CHECK(t, memcmp(to, from, n) == 0);
	SAME(t, queue_do(q, DMAX_COMPARE, 0, address(to), address(from), n, 0, &r), DMAX_SUCCESS);
	SAME(t, r.result, n);
	to[n / 2] ^= 0x10;
	SAME(t, queue_do(q, DMAX_COMPARE, 0, address(to), address(from), n, 0, &r), DMAX_SUCCESS);
	SAME(t, r.result, n / 2);
	SAME(t, queue_do(q, DMAX_FILL, 0, address(to) + 3, 0, n - 7, 0x5a5a5a5a5a5a5a5a, &r), DMAX_SUCCESS);
	CHECK(t, is_all(to + 3, n - 7, 0x5a));
	SAME(t, to[n - 1], from[n - 1]);
	SAME(t, to[2], from[2]);
	if (t->said != said)
		test_fail(t, "so it is with %s", what);
}

static void private_memory(struct test *t)
{
	uint8_t on_the_stack[BUFFER];
	static uint8_t of_the_program[BUFFER];
	uint8_t *mapped = anonymous(BUFFER, MAP_PRIVATE);
	uint8_t *small;
	uint8_t *large;

	if (!bench_open(t))
		return;
	small = malloc(1000);
	large = malloc(10 * BUFFER);
	fill_random(on_the_stack, BUFFER, t->seed);
	expect_operations(t, "the heap", large + 77, on_the_stack, BUFFER);
	expect_operations(t, "a little of the heap", small, on_the_stack, 1000);
	expect_operations(t, "mapped memory", mapped, on_the_stack, BUFFER);
	expect_operations(t, "data", of_the_program, on_the_stack, BUFFER);
	fill_random(mapped, BUFFER, t->seed + 1);
	expect_operations(t, "the stack", on_the_stack, mapped, BUFFER);
	free(small);
	free(large);
}

static void shared_memory(struct test *t)
{
	uint8_t *from = anonymous(BUFFER, MAP_SHARED);
	uint8_t *to = anonymous(BUFFER, MAP_SHARED);
	int fd = memfd_create("sva", MFD_CLOEXEC);
	uint8_t *twice[2];

	if (!bench_open(t))
		return;
	fill_random(from, BUFFER, t->seed);
	expect_operations(t, "shared memory", to, from, BUFFER);
	SAME(t, ERR(ftruncate(fd, BUFFER)), 0);
	for (int i = 0; i < 2; i++)
		twice[i] = map(BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	expect_operations(t, "a memfd", twice[0], from, BUFFER);
	SAME(t, memcmp(twice[0], twice[1], BUFFER), 0);
}

static void mapped_files(struct test *t)
{
	static const char *const folders[] = {"/tmp", "/var/tmp", "/dev/shm"};
	uint8_t *data = anonymous(BUFFER, MAP_PRIVATE);
	uint8_t *there = anonymous(BUFFER, MAP_PRIVATE);
	unsigned done = 0;

	if (!bench_open(t))
		return;
	fill_random(data, BUFFER, t->seed + 1);
	for (int i = 0; i < 3; i++) {
		int fd = file_of(folders[i], BUFFER, t->seed);
		uint8_t *shared;
		uint8_t *private;

		if (fd < 0)
			continue;
		done++;
		private = map(BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
		shared = map(BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
		/* Read before anybody has touched it. */
		SAME(t, queue_copy(&bench.q, data, private, BUFFER), DMAX_SUCCESS);
		SAME(t, pread(fd, there, BUFFER, 0), BUFFER);
		CHECK(t, memcmp(data, there, BUFFER) == 0);
		SAME(t, queue_copy(&bench.q, data, shared, BUFFER), DMAX_SUCCESS);
		CHECK(t, memcmp(data, there, BUFFER) == 0);
		/* A private map is copied before it is written. */
		fill_random(data, BUFFER, t->seed + 2);
		expect_operations(t, "a private map of a file", private, data, BUFFER);
		SAME(t, memcmp(shared, there, BUFFER), 0);
		expect_operations(t, "a shared map of a file", shared, data, BUFFER);
		SAME(t, pread(fd, there, BUFFER, 0), BUFFER);
		CHECK(t, memcmp(shared, there, BUFFER) == 0);
		close(fd);
	}
	if (!done)
		test_skip(t, "no file can be made");
}

/* Behind the last page of a file there is nothing: SIGBUS for the process, a page fault for the device. */
static void behind_the_end_of_a_file(struct test *t)
{
	int fd = memfd_create("sva", MFD_CLOEXEC);
	uint8_t *to = anonymous(BUFFER, MAP_PRIVATE);
	struct dmax_record r;
	uint8_t *from;

	if (!bench_open(t))
		return;
	SAME(t, ERR(ftruncate(fd, PAGE + 100)), 0);
	from = map(BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	SAME(t, queue_copy(&bench.q, to, from, 2 * PAGE), DMAX_SUCCESS);
	SAME(t, queue_do(&bench.q, DMAX_COPY, 0, address(to), address(from), BUFFER, 0, &r), DMAX_PAGE_FAULT);
	SAME(t, r.address, address(from) + 2 * PAGE);
	SAME(t, r.access, DMAX_ACCESS_READ);
	SAME(t, ERR(ftruncate(fd, 0)), 0);
	SAME(t, queue_do(&bench.q, DMAX_FILL, 0, address(from), 0, 100, 1, &r), DMAX_PAGE_FAULT);
	SAME(t, r.address, address(from));
	SAME(t, r.access, DMAX_ACCESS_WRITE);
}

/* Of memory that nobody has touched: reads are zeroes, writes make it. */
static void untouched(struct test *t)
{
	static const int kinds[] = {MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE | MAP_NORESERVE};
	uint8_t *other = anonymous(BUFFER, MAP_PRIVATE);

	if (!bench_open(t))
		return;
	for (int i = 0; i < 3; i++) {
		uint8_t *p = anonymous(BUFFER, kinds[i]);

		memset(other, 0x77, BUFFER);
		SAME(t, queue_copy(&bench.q, other, p, BUFFER), DMAX_SUCCESS);
		CHECK(t, is_all(other, BUFFER, 0));
		fill_random(other, BUFFER, t->seed);
		SAME(t, queue_copy(&bench.q, p, other, BUFFER), DMAX_SUCCESS);
		CHECK(t, memcmp(p, other, BUFFER) == 0);
		munmap(p, BUFFER);
		p = anonymous(BUFFER, kinds[i]);
		SAME(t, queue_copy(&bench.q, p, other, BUFFER), DMAX_SUCCESS);
		CHECK(t, memcmp(p, other, BUFFER) == 0);
		SAME(t, ERR(madvise(p, BUFFER, MADV_DONTNEED)), 0);
		SAME(t, queue_copy(&bench.q, other, p, BUFFER), DMAX_SUCCESS);
		CHECK(t, memcmp(p, other, BUFFER) == 0);
		munmap(p, BUFFER);
	}
	/* Memory of a queue, too: of its records nobody has touched any page. */
	queue_stop(&bench.q);
	SAME(t, queue_start(&bench.q, &bench.a, 0, bench.pasid, queue_memory_new(false), 0), 0);
	SAME(t, queue_copy(&bench.q, other, other + PAGE, PAGE), DMAX_SUCCESS);
}

static void transparent_huge_pages(struct test *t)
{
	uint8_t *p = anonymous(3 * HUGE, MAP_PRIVATE);
	uint8_t *huge = (uint8_t *)((address(p) + HUGE - 1) / HUGE * HUGE);
	uint8_t *from = anonymous(HUGE, MAP_PRIVATE);

	if (ERR(madvise(huge, HUGE, MADV_HUGEPAGE))) {
		test_skip(t, "the kernel has no transparent huge pages");
		return;
	}
	if (!bench_open(t))
		return;
	fill_random(from, HUGE, t->seed);
	SAME(t, queue_copy(&bench.q, huge, from, HUGE), DMAX_SUCCESS);
	CHECK(t, memcmp(huge, from, HUGE) == 0);
	memset(huge, 0x11, HUGE); /* surely one by now */
	expect_operations(t, "a huge page", huge, from, HUGE);
	/* It comes apart. */
	SAME(t, ERR(munmap(huge + HUGE / 2, PAGE)), 0);
	expect_operations(t, "a part of a huge page", huge, from, HUGE / 2);
}

static void reserved_huge_pages(struct test *t)
{
	uint8_t *from = anonymous(HUGE, MAP_PRIVATE);
	int done = 0;

	fill_random(from, HUGE, t->seed);
	for (int i = 0; i < 2; i++) {
		void *huge = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
				  (i ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

		if (huge == MAP_FAILED)
			continue;
		if (!done++ && !bench_open(t))
			return;
		expect_operations(t, "a reserved huge page", huge, from, HUGE);
	}
	if (!done)
		test_skip(t, "no huge pages are reserved here");
}

/* After fork parent and child have each other's memory until it is written; by the device, too. */
static void copied_on_write(struct test *t)
{
	uint8_t *p = anonymous(BUFFER, MAP_PRIVATE);
	uint8_t *other = anonymous(BUFFER, MAP_PRIVATE);
	int to_child[2];
	int to_parent[2];
	pid_t pid;

	if (!bench_open(t))
		return;
	SAME(t, ERR(pipe(to_child)), 0);
	SAME(t, ERR(pipe(to_parent)), 0);
	memset(p, 0x11, BUFFER);
	pid = fork();
	if (pid == 0) {
		hear(to_child[0]);
		CHECK(t, is_all(p, BUFFER, 0x11)); /* not what the device wrote into the parent's */
		memset(p, 0x33, BUFFER);
		tell(to_parent[1]);
		hear(to_child[0]);
		CHECK(t, is_all(p, BUFFER, 0x33));
		_exit(t->failed);
	}
	SAME(t, queue_do(&bench.q, DMAX_FILL, 0, address(p), 0, BUFFER, 0x2222222222222222, NULL), DMAX_SUCCESS);
	CHECK(t, is_all(p, BUFFER, 0x22));
	tell(to_child[1]);
	hear(to_parent[0]);
	/* The device reads the parent's, not the child's. */
	SAME(t, queue_copy(&bench.q, other, p, BUFFER), DMAX_SUCCESS);
	CHECK(t, is_all(other, BUFFER, 0x22) && is_all(p, BUFFER, 0x22));
	SAME(t, queue_do(&bench.q, DMAX_FILL, 0, address(p), 0, BUFFER, 0x4444444444444444, NULL), DMAX_SUCCESS);
	tell(to_child[1]);
	SAME(t, wait_for(pid), 0);
	CHECK(t, is_all(p, BUFFER, 0x44));
}

static void swapped(struct test *t)
{
	static const unsigned advice = 21; /* MADV_PAGEOUT */
	uint8_t *from = anonymous(64 * PAGE, MAP_PRIVATE);
	uint8_t *to = anonymous(64 * PAGE, MAP_PRIVATE);
	uint8_t *copy = anonymous(64 * PAGE, MAP_PRIVATE);
	char line[256] = "";
	char *second = NULL;
	FILE *f = fopen("/proc/swaps", "r");

	if (f) {
		(void)!fgets(line, sizeof(line), f);
		second = fgets(line, sizeof(line), f);
		fclose(f);
	}
	if (!second) {
		test_skip(t, "the machine has no swap");
		return;
	}
	if (!bench_open(t))
		return;
	for (int i = 0; i < 5; i++) {
		fill_random(from, 64 * PAGE, t->seed + (unsigned)i);
		memcpy(copy, from, 64 * PAGE);
		memset(to, 0x55, 64 * PAGE);
		madvise(from, 64 * PAGE, (int)advice);
		madvise(to, 64 * PAGE, (int)advice);
		SAME(t, queue_copy(&bench.q, to, from, 64 * PAGE), DMAX_SUCCESS);
		CHECK(t, memcmp(to, copy, 64 * PAGE) == 0);
	}
}

/* n bytes at p cannot be accessed so from at on. Both with and without waiting, which makes no difference here. */
static void expect_fault(struct test *t, uint64_t p, uint32_t n, uint64_t at, bool write)
{
	static uint8_t other[4 * BUFFER];

	for (unsigned flags = 0; flags <= DMAX_FLAG_BLOCK; flags += DMAX_FLAG_BLOCK) {
		struct dmax_record r;

		SAME(t,
		     queue_do(&bench.q, DMAX_COPY, flags, write ? p : address(other), write ? address(other) : p, n, 0,
			      &r),
		     DMAX_PAGE_FAULT);
		SAME(t, r.address, at);
		SAME(t, r.access, write ? DMAX_ACCESS_WRITE : DMAX_ACCESS_READ);
		SAME(t, r.done, at - p);
		if (write) {
			SAME(t, queue_do(&bench.q, DMAX_FILL, flags, p, 0, n, 0, &r), DMAX_PAGE_FAULT);
		} else {
			SAME(t, queue_do(&bench.q, DMAX_COMPARE, flags, p, address(other), n, 0, &r), DMAX_PAGE_FAULT);
			SAME(t, r.address, at);
			SAME(t, queue_do(&bench.q, DMAX_CHECKSUM, flags, 0, p, n, 0, &r), DMAX_PAGE_FAULT);
		}
		SAME(t, r.address, at);
		SAME(t, r.access, write ? DMAX_ACCESS_WRITE : DMAX_ACCESS_READ);
	}
	/* It goes on. */
	SAME(t, queue_copy(&bench.q, other, other + BUFFER, BUFFER), DMAX_SUCCESS);
}

static void faults(struct test *t)
{
	uint8_t *p = anonymous(BUFFER, MAP_PRIVATE);
	uint8_t *other = anonymous(BUFFER, MAP_PRIVATE);
	uint8_t *shared = anonymous(BUFFER, MAP_SHARED);
	uint64_t hole;

	if (!bench_open(t))
		return;
	memset(p, 0, BUFFER);
	hole = address(p) + 2 * PAGE;
	for (int round = 0; round < 2; round++) {
		SAME(t, ERR(mprotect(p + 2 * PAGE, PAGE, PROT_READ)), 0);
		expect_fault(t, address(p) + 100, BUFFER - 100, hole, true);
		SAME(t, queue_copy(&bench.q, other, p, BUFFER), DMAX_SUCCESS);
		SAME(t, ERR(mprotect(p + 2 * PAGE, PAGE, PROT_NONE)), 0);
		expect_fault(t, address(p) + 1, BUFFER - 1, hole, true);
		expect_fault(t, address(p) + 1, BUFFER - 1, hole, false);
		SAME(t, ERR(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE)), 0);
		SAME(t, queue_copy(&bench.q, p, other, BUFFER), DMAX_SUCCESS);
	}
	SAME(t, ERR(mprotect(shared, PAGE, PROT_READ)), 0);
	expect_fault(t, address(shared), PAGE, address(shared), true);
	SAME(t, ERR(munmap(p + 2 * PAGE, PAGE)), 0);
	expect_fault(t, address(p), BUFFER, hole, true);
	expect_fault(t, address(p) + 5, BUFFER - 5, hole, false);
	expect_fault(t, hole, 8, hole, false);
	expect_fault(t, hole + 77, 8, hole + 77, true);
	/* What is nobody's, and what is the kernel's. */
	expect_fault(t, 0, 64, 0, false);
	expect_fault(t, 8, 64, 8, true);
	expect_fault(t, 0x800000000000, 64, 0x800000000000, false);
	expect_fault(t, 0xffff888000000000, 64, 0xffff888000000000, false);
	expect_fault(t, 0xffffffffff600000 - 64, 32, 0xffffffffff600000 - 64, true);
	/* Code is read, and not written. */
	SAME(t, queue_copy(&bench.q, other, (const void *)(uintptr_t)&faults, 256), DMAX_SUCCESS);
	CHECK(t, memcmp(other, (const void *)(uintptr_t)&faults, 256) == 0);
	expect_fault(t, address((const void *)(uintptr_t)&faults), 16, address((const void *)(uintptr_t)&faults), true);
}

/* A descriptor that fails has written what it says, and what lies beyond the fault is as it was. */
static void partly_done(struct test *t)
{
	uint8_t *p = anonymous(BUFFER, MAP_PRIVATE);
	uint8_t *from = anonymous(BUFFER, MAP_PRIVATE);
	struct dmax_record r;

	if (!bench_open(t))
		return;
	fill_random(from, BUFFER, t->seed);
	SAME(t, ERR(mprotect(p + 3 * PAGE, PAGE, PROT_READ)), 0);
	SAME(t, queue_do(&bench.q, DMAX_COPY, 0, address(p) + 10, address(from), BUFFER - 10, 0, &r), DMAX_PAGE_FAULT);
	SAME(t, r.done, 3 * PAGE - 10);
	CHECK(t, memcmp(p + 10, from, 3 * PAGE - 10) == 0);
	CHECK(t, is_all(p + 3 * PAGE, 2 * PAGE, 0));
	/* From there on, once it can be written. */
	SAME(t, ERR(mprotect(p + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE)), 0);
	SAME(t, queue_copy(&bench.q, p + 10 + r.done, from + r.done, BUFFER - 10 - r.done), DMAX_SUCCESS);
	CHECK(t, memcmp(p + 10, from, BUFFER - 10) == 0);
}

static __attribute__((noinline)) uint64_t grow_stack(size_t n)
{
	volatile uint8_t *deep = alloca(n);

	for (size_t i = 0; i < n; i += PAGE)
		deep[i] = 1;
	deep[0] = 2;
	return address(deep);
}

/* The lowest address of the stack's mapping. */
static uint64_t end_of_stack(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "[stack]") && sscanf(line, "%lx-", &start) == 1)
			break;
	if (f)
		fclose(f);
	return start;
}

/* A stack that has grown is memory; below it there is none, and no device makes it grow. */
static void stack(struct test *t)
{
	uint8_t *other = anonymous(BUFFER, MAP_PRIVATE);
	uint64_t deep;
	uint64_t end;

	if (!bench_open(t))
		return;
	deep = grow_stack(1 << 20);
	SAME(t, queue_copy(&bench.q, other, (void *)(uintptr_t)deep, BUFFER), DMAX_SUCCESS);
	SAME(t, other[0], 2);
	end = end_of_stack();
	if (!CHECK(t, end && end <= deep))
		return;
	SAME(t, queue_copy(&bench.q, other, (void *)(uintptr_t)end, PAGE), DMAX_SUCCESS);
	expect_fault(t, end - PAGE, PAGE, end - PAGE, false);
	expect_fault(t, end - 64, 128, end - 64, true);
	SAME(t, end_of_stack(), end);
	/* The process itself does. */
	SAME(t, queue_copy(&bench.q, other, (void *)(uintptr_t)grow_stack(2 << 20), BUFFER), DMAX_SUCCESS);
}

/* Other processes, with queue 1 of the device and a PASID of their own. */
enum { START, FILL, COPY_FROM, LOAD, STORE, EXIT };

static uint8_t *theirs; /* at one address in all of them, private to each */

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	static struct queue q;

	(void)socket;
	switch (op) {
	case START:
		return queue_start(&q, &bench.a, (unsigned)b, (uint32_t)a, queue_memory_new(false), 0);
	case FILL:
		return queue_do(&q, DMAX_FILL, 0, address(theirs), 0, BUFFER, a * 0x0101010101010101, NULL);
	case COPY_FROM:
		return queue_do(&q, DMAX_COPY, 0, address(theirs), a, (uint32_t)b, 0, NULL);
	case LOAD:
		return is_all(theirs, BUFFER, theirs[0]) ? theirs[0] : -EBADMSG;
	case STORE:
		memset(theirs, (int)a, BUFFER);
		return 0;
	case EXIT:
		_exit(0);
	}
	return -ENOSYS;
}

static void two_processes_one_device(struct test *t)
{
	struct peer peers[2];

	theirs = anonymous(BUFFER, MAP_PRIVATE);
	memset(theirs, 0x10, BUFFER);
	if (!bench_open(t))
		return;
	for (unsigned i = 0; i < 2; i++) {
		long pasid;

		peers[i] = peer_start(serve);
		pasid = bind_process(bench.a.rig.container, peers[i].pid);
		CHECK(t, pasid > 0 && pasid != bench.pasid);
		SAME(t, peer_ask(&peers[i], START, (uint64_t)pasid, i + 1), 0);
	}
	for (unsigned long round = 0; round < t->rounds && !t->failed; round++) {
		for (unsigned i = 0; i < 2; i++)
			peer_tell(&peers[i], FILL, 0x20 + i, 0);
		SAME(t, queue_do(&bench.q, DMAX_FILL, 0, address(theirs), 0, BUFFER, 0x3333333333333333, NULL),
		     DMAX_SUCCESS);
		for (unsigned i = 0; i < 2; i++)
			SAME(t, peer_answer(&peers[i]), DMAX_SUCCESS);
		CHECK(t, is_all(theirs, BUFFER, 0x33));
		for (unsigned i = 0; i < 2; i++) {
			SAME(t, peer_ask(&peers[i], LOAD, 0, 0), 0x20 + i);
			SAME(t, peer_ask(&peers[i], STORE, 0x40, 0), 0);
		}
		CHECK(t, is_all(theirs, BUFFER, 0x33));
		memset(theirs, 0, BUFFER);
	}
	SAME(t, peer_kill(&peers[0]), -SIGKILL);
	SAME(t, peer_ask(&peers[1], FILL, 0x21, 0), DMAX_SUCCESS);
	SAME(t, peer_end(&peers[1]), 0);
	SAME(t, queue_copy(&bench.q, theirs, theirs + PAGE, PAGE), DMAX_SUCCESS);
}

/* The queue's ring is where the PASID says, and there is nothing for a PASID that nobody bound. */
static void wrong_pasids(struct test *t)
{
	struct queue_memory *memory = queue_memory_new(false);
	uint32_t wrong[] = {0, 1, 2, 3, 777, 0xfffff};
	struct queue q;

	if (!bench_open(t))
		return;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (wrong[i] == bench.pasid)
			continue;
		SAME(t, queue_start(&q, &bench.a, 1, wrong[i], memory, 0), 0);
		SAME(t, queue_copy(&q, theirs, theirs, 1), -EIO);
		SAME(t, queue_error(&q), DMAX_ERROR_RING);
	}
	SAME(t, queue_start(&q, &bench.a, 1, bench.pasid, memory, 0), 0);
	memory->ring[40].value = 1;
	SAME(t, queue_copy(&q, &memory->ring[40], &memory->ring[41], 32), DMAX_SUCCESS);
}

/* Of another process than the one that has the device open, and without any memory of that. */
static void bound_for_another(struct test *t)
{
	struct peer child;
	long pasid;

	theirs = anonymous(BUFFER, MAP_PRIVATE);
	if (!SAME(t, accel_open(&bench.a, TYPE1V2, 0), 0))
		return;
	child = peer_start(serve);
	pasid = bind_process(bench.a.rig.container, child.pid);
	CHECK(t, pasid > 0);
	accel_close_device(&bench.a); /* the child has it */
	close(bench.a.rig.group);
	SAME(t, peer_ask(&child, START, (uint64_t)pasid, 0), 0);
	SAME(t, peer_ask(&child, FILL, 0x77, 0), DMAX_SUCCESS);
	SAME(t, peer_ask(&child, LOAD, 0, 0), 0x77);
	CHECK(t, is_all(theirs, BUFFER, 0));
	SAME(t, peer_end(&child), 0);
}

static void one_space_on_two_devices(struct test *t)
{
	uint8_t *p = anonymous(BUFFER, MAP_PRIVATE);
	struct accel second;
	struct queue q;

	if (!bench_open(t) || !SAME(t, accel_join(&second, &bench.a, 1), 0))
		return;
	SAME(t, queue_start(&q, &second, 0, bench.pasid, queue_memory_new(false), 0), 0);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		fill_random(p, PAGE, i);
		SAME(t, queue_copy(&q, p + PAGE, p, PAGE), DMAX_SUCCESS);
		SAME(t, queue_copy(&bench.q, p + 2 * PAGE, p + PAGE, PAGE), DMAX_SUCCESS);
		CHECK(t, memcmp(p, p + 2 * PAGE, PAGE) == 0);
	}
	accel_close(&second);
}

/* The array of a batch, and records, are the process's as well. */
static void a_batch(struct test *t)
{
	uint8_t *p = anonymous(BUFFER, MAP_PRIVATE);
	struct dmax_descriptor *batch = aligned_alloc(64, 4 * sizeof(*batch));
	struct dmax_record *records = aligned_alloc(32, 4 * sizeof(*records));
	struct dmax_record r;

	if (!bench_open(t))
		return;
	memset(records, 0, 4 * sizeof(*records));
	for (unsigned i = 0; i < 4; i++)
		batch[i] = (struct dmax_descriptor){.operation = DMAX_FILL,
						    .flags = DMAX_FLAG_RECORD,
						    .length = PAGE,
						    .record = address(&records[i]),
						    .destination = address(p) + i * PAGE,
						    .value = i * 0x0101010101010101};
	SAME(t, ERR(mprotect(p + 2 * PAGE, PAGE, PROT_READ)), 0);
	SAME(t, queue_do(&bench.q, DMAX_BATCH, 0, 0, address(batch), 4, 0, &r), DMAX_BATCH_FAILED);
	SAME(t, r.done, 3);
	SAME(t, r.result, 2);
	SAME(t, records[2].status, DMAX_PAGE_FAULT);
	SAME(t, records[2].address, address(p) + 2 * PAGE);
	CHECK(t, is_all(p + PAGE, PAGE, 1) && is_all(p + 2 * PAGE, PAGE, 0) && is_all(p + 3 * PAGE, PAGE, 3));
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"private_memory", private_memory},
		{"shared_memory", shared_memory},
		{"mapped_files", mapped_files},
		{"behind_the_end_of_a_file", behind_the_end_of_a_file},
		{"untouched", untouched},
		{"transparent_huge_pages", transparent_huge_pages},
		{"reserved_huge_pages", reserved_huge_pages},
		{"copied_on_write", copied_on_write},
		{"swapped", swapped},
		{"faults", faults},
		{"partly_done", partly_done},
		{"stack", stack},
		{"two_processes_one_device", two_processes_one_device},
		{"wrong_pasids", wrong_pasids},
		{"bound_for_another", bound_for_another},
		{"one_space_on_two_devices", one_space_on_two_devices},
		{"a_batch", a_batch},
	};

	return TEST_MAIN(argc, argv, cases);
}

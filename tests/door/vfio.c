/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver over VFIO. Each case is for each way to a device; variant: the way, and the number of the device times WAYS.
 */
#include "rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BUFFER = 1 << 18 };

#define FROM_IOVA 0x20000000ull
#define TO_IOVA   0x30000000ull
#define HOLE_IOVA 0x40000000ull

/* A device that copies between two buffers. */
struct bench {
	struct rig rig;
	struct engine engine;
	uint8_t *from, *to;
};

static enum way way_of(const struct test *t)
{
	return t->variant % WAYS;
}

static unsigned number_of(const struct test *t)
{
	return t->variant / WAYS;
}

static uint8_t *buffer_new(bool shared)
{
	void *p =
		mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static void fill_random(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i + 8 <= n; i += 8)
		memcpy(p + i, &(uint64_t){random_next(&seed)}, 8);
}

static bool is_all(const uint8_t *p, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

static struct bench bench_new(struct test *t, bool shared)
{
	struct bench b = {
		.engine.memory = engine_memory_new(shared), .from = buffer_new(shared), .to = buffer_new(shared)};

	fill_random(b.from, BUFFER, t->seed);
	return b;
}

static bool bench_open(struct test *t, struct bench *b)
{
	return SAME(t, rig_open(&b->rig, way_of(t), number_of(t)), 0) &&
	       SAME(t, engine_begin(&b->engine, &b->rig, b->engine.memory), 0) &&
	       SAME(t, rig_map(&b->rig, b->from, BUFFER, FROM_IOVA, RIG_READ), 0) &&
	       SAME(t, rig_map(&b->rig, b->to, BUFFER, TO_IOVA, RIG_BOTH), 0);
}

static bool bench_begin(struct test *t, struct bench *b, bool shared)
{
	*b = bench_new(t, shared);
	return bench_open(t, b);
}

static void bench_end(struct bench *b)
{
	rig_close(&b->rig);
	engine_end(&b->engine);
	munmap(b->from, BUFFER);
	munmap(b->to, BUFFER);
}

static void expect_copy(struct test *t, struct bench *b, uint32_t to, uint32_t from, uint32_t n)
{
	memset(b->to, 0x55, BUFFER);
	SAME(t, engine_copy(&b->engine, TO_IOVA + to, FROM_IOVA + from, n), 0);
	CHECK(t, !memcmp(b->to + to, b->from + from, n));
	CHECK(t, is_all(b->to, to, 0x55) && is_all(b->to + to + n, BUFFER - to - n, 0x55));
}

static void copies(struct test *t)
{
	uint64_t random = t->seed;

	for (int shared = 0; shared < 2; shared++) {
		struct bench b;

		if (!bench_begin(t, &b, shared))
			return;
		expect_copy(t, &b, 0, 0, 1);
		expect_copy(t, &b, 0, 0, 4096);
		expect_copy(t, &b, 4095, 1, 4098);
		expect_copy(t, &b, 0, 0, BUFFER);
		for (unsigned i = 0; i < 20 && !t->failed; i++) {
			uint32_t n = 1 + (uint32_t)(random_next(&random) % 20000);

			expect_copy(t, &b, (uint32_t)(random_next(&random) % (BUFFER - n)),
				    (uint32_t)(random_next(&random) % (BUFFER - n)), n);
		}
		bench_end(&b);
	}
}

static void chains(struct test *t)
{
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	for (unsigned round = 0; round < 10; round++) {
		memset(b.to, 0, BUFFER);
		for (uint64_t i = 0; i < RING - 1; i++)
			engine_give(&b.engine, OP_COPY, 0, TO_IOVA + i * PAGE, FROM_IOVA + (RING - 2 - i) * PAGE, PAGE);
		SAME(t, engine_wait(&b.engine), 0);
		for (uint64_t i = 0; i < RING - 1; i++)
			CHECK(t, !memcmp(b.to + i * PAGE, b.from + (RING - 2 - i) * PAGE, PAGE));
	}
	engine_give(&b.engine, OP_FILL, 0, TO_IOVA + 100, 0x7777777777777777, 1000);
	SAME(t, engine_wait(&b.engine), 0);
	CHECK(t, is_all(b.to + 100, 1000, 0x77) && b.to[1100] == b.from[(RING - 2) * PAGE + 1100]);
	bench_end(&b);
}

/* The device halts, nothing is written, and it goes on after a reset of the channel. */
static void expect_fault(struct test *t, struct bench *b, uint64_t to, uint64_t from)
{
	memset(b->to, 0x55, BUFFER);
	SAME(t, engine_copy(&b->engine, to, from, 100), -EIO);
	SAME(t, engine_status(&b->engine), CHANNEL_HALTED);
	CHECK(t, engine_error(&b->engine) != 0);
	CHECK(t, is_all(b->to, BUFFER, 0x55));
	SAME(t, engine_restart(&b->engine), 0);
	expect_copy(t, b, 0, 0, 4096);
}

static void faults(struct test *t)
{
	uint8_t *read_only = buffer_new(true);
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	expect_fault(t, &b, TO_IOVA, HOLE_IOVA);
	expect_fault(t, &b, HOLE_IOVA, FROM_IOVA);
	expect_fault(t, &b, TO_IOVA, FROM_IOVA - 50);
	expect_fault(t, &b, FROM_IOVA, TO_IOVA); /* the device may only read it */
	SAME(t, rig_map(&b.rig, read_only, BUFFER, HOLE_IOVA, RIG_READ), 0);
	expect_fault(t, &b, HOLE_IOVA, FROM_IOVA);
	CHECK(t, is_all(read_only, BUFFER, 0));
	SAME(t, engine_copy(&b.engine, TO_IOVA, HOLE_IOVA, PAGE), 0);
	CHECK(t, is_all(b.to, PAGE, 0));
	SAME(t, rig_unmap(&b.rig, HOLE_IOVA, BUFFER), BUFFER);
	expect_fault(t, &b, TO_IOVA, HOLE_IOVA);
	bench_end(&b);
}

/* Without bus mastering the device does no DMA. */
static void not_a_master(struct test *t)
{
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	expect_copy(t, &b, 0, 0, 4096);
	SAME(t, config_read(&b.rig, 4, 2) & 6, 6);
	config_write(&b.rig, 4, 2, 2);
	memset(b.to, 0x55, BUFFER);
	SAME(t, engine_copy(&b.engine, TO_IOVA, FROM_IOVA, 4096), -EIO);
	CHECK(t, is_all(b.to, BUFFER, 0x55));
	config_write(&b.rig, 4, 2, 6);
	SAME(t, engine_restart(&b.engine), 0);
	expect_copy(t, &b, 0, 0, 4096);
	bench_end(&b);
}

static void one_kind_of_interrupt(struct test *t, struct bench *b, unsigned index)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (irq_count(&b->rig, index) == 0) {
		SAME(t, irq_set(&b->rig, index, 0, fd), -EINVAL);
		close(fd);
		return;
	}
	SAME(t, irq_set(&b->rig, index, 0, fd), 0);
	SAME(t, irq_wait(fd, 0), 0);
	/* The client fires it itself. */
	SAME(t, irq_action(&b->rig, index, IRQ_NONE | IRQ_TRIGGER, 0, 1), 0);
	SAME(t, irq_wait(fd, 10000), 1);
	/* The device does, once for a descriptor that says so. */
	engine_interrupts(&b->engine);
	for (unsigned i = 0; i < 20 && !t->failed; i++) {
		engine_give(&b->engine, OP_COPY, WITH_INTERRUPT, TO_IOVA, FROM_IOVA, 64);
		SAME(t, irq_wait(fd, 10000), 1);
		SAME(t, engine_wait(&b->engine), 0);
		engine_interrupts(&b->engine);
		if (index == IRQ_INTX && CHECK(t, engine_has_heard(&b->engine)))
			SAME(t, irq_action(&b->rig, index, IRQ_NONE | IRQ_UNMASK, 0, 1), 0);
		SAME(t, engine_copy(&b->engine, TO_IOVA, FROM_IOVA, 64), 0);
		SAME(t, irq_wait(fd, 0), 0);
	}
	/* Taken away, nothing comes. */
	SAME(t, irq_action(&b->rig, index, IRQ_NONE | IRQ_TRIGGER, 0, 0), 0);
	engine_give(&b->engine, OP_COPY, WITH_INTERRUPT, TO_IOVA, FROM_IOVA, 64);
	SAME(t, engine_wait(&b->engine), 0);
	SAME(t, irq_wait(fd, 20), 0);
	SAME(t, engine_restart(&b->engine), 0);
	close(fd);
}

static void interrupts(struct test *t)
{
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	CHECK(t, irq_count(&b.rig, IRQ_MSIX) > 0);
	one_kind_of_interrupt(t, &b, IRQ_MSIX);
	one_kind_of_interrupt(t, &b, IRQ_MSI);
	one_kind_of_interrupt(t, &b, IRQ_INTX);
	one_kind_of_interrupt(t, &b, IRQ_MSIX);
	bench_end(&b);
}

/* An eventfd that nobody reads is full one day; the device does not mind. */
static void full_eventfd(struct test *t)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	SAME(t, ERR(write(fd, &(uint64_t){UINT64_MAX - 1}, 8)), 8);
	SAME(t, irq_set(&b.rig, IRQ_MSIX, 0, fd), 0);
	engine_interrupts(&b.engine);
	for (unsigned i = 0; i < 50 && !t->failed; i++) {
		engine_give(&b.engine, OP_COPY, WITH_INTERRUPT, TO_IOVA, FROM_IOVA, 64);
		SAME(t, engine_wait(&b.engine), 0);
		engine_interrupts(&b.engine);
		if (i % 10 == 0)
			SAME(t, irq_action(&b.rig, IRQ_MSIX, IRQ_NONE | IRQ_TRIGGER, 0, 1), 0);
	}
	SAME(t, irq_wait(fd, 0), -1ull);
	bench_end(&b);
}

static void resets(struct test *t)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	SAME(t, irq_set(&b.rig, IRQ_MSIX, 0, fd), 0);
	for (unsigned i = 0; i < 20 && !t->failed; i++) {
		for (uint64_t k = 0; k < RING - 1; k++)
			engine_give(&b.engine, OP_COPY, WITH_INTERRUPT, TO_IOVA + k * PAGE, FROM_IOVA, PAGE);
		SAME(t, door_ioctl(b.rig.device, VFIO_DEVICE_RESET, NULL), 0);
		memset(b.to, 0x55, BUFFER);
		irq_wait(fd, 0);
		SAME(t, engine_restart(&b.engine), 0);
		CHECK(t, is_all(b.to, BUFFER, 0x55));
		SAME(t, irq_wait(fd, 0), 0);
		expect_copy(t, &b, 0, 0, 4096);
	}
	bench_end(&b);
}

/* After the unmap has returned, nothing is written any more. */
static void unmap_during_dma(struct test *t)
{
	uint64_t random = t->seed;
	unsigned long halted = 0;
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		uint64_t wait = random_next(&random) % 60000;
		uint64_t start;
		long rc;

		SAME(t, engine_copy(&b.engine, TO_IOVA, FROM_IOVA, 64), 0); /* it is awake */
		start = monotonic_ns();
		for (uint64_t k = 0; k < RING - 2; k++)
			engine_give(&b.engine, OP_COPY, 0, TO_IOVA + k * PAGE, FROM_IOVA, PAGE);
		while (monotonic_ns() - start < wait)
			;
		SAME(t, rig_unmap(&b.rig, TO_IOVA, BUFFER), BUFFER);
		memset(b.to, 0x55, BUFFER);
		rc = engine_wait(&b.engine);
		CHECK(t, rc == 0 || rc == -EIO);
		halted += rc != 0;
		CHECK(t, is_all(b.to, BUFFER, 0x55));
		SAME(t, rig_map(&b.rig, b.to, BUFFER, TO_IOVA, RIG_BOTH), 0);
		if (rc)
			SAME(t, engine_restart(&b.engine), 0);
	}
	dprintf(STDOUT_FILENO, "# %s: halted in %lu of %lu rounds\n", t->name, halted, t->rounds);
	expect_copy(t, &b, 0, 0, 4096);
	bench_end(&b);
}

/* The device goes on while anything of what leads to it is open. */
static void outlives_container(struct test *t)
{
	struct bench b;

	if (!bench_begin(t, &b, true))
		return;
	close(b.rig.container);
	b.rig.container = -1;
	expect_copy(t, &b, 0, 0, 4096);
	if (b.rig.group >= 0)
		close(b.rig.group);
	b.rig.group = -1;
	expect_copy(t, &b, 0, 0, 4096);
	bench_end(&b);
	if (bench_begin(t, &b, true))
		bench_end(&b);
}

static void close_part(struct rig *rig, unsigned part)
{
	int *fds[] = {&rig->container, &rig->group, &rig->device};

	if (part == 3) {
		munmap((void *)rig->bar, PAGE);
		rig->bar = NULL;
		return;
	}
	if (*fds[part] >= 0)
		close(*fds[part]);
	*fds[part] = -1;
}

/* The container, the group, the device and the mapping of its registers. */
static void closed_in_every_order(struct test *t)
{
	for (unsigned order = 0; order < 256 && !t->failed; order++) {
		unsigned part[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6};
		struct bench b;

		if ((1u << part[0] | 1u << part[1] | 1u << part[2] | 1u << part[3]) != 15)
			continue;
		if (!bench_begin(t, &b, order % 2))
			return;
		for (uint64_t k = 0; k < RING - 1; k++)
			engine_give(&b.engine, OP_COPY, 0, TO_IOVA + k * PAGE, FROM_IOVA, PAGE);
		for (unsigned i = 0; i < 4; i++)
			close_part(&b.rig, part[i]);
		if (rig_open(&b.rig, way_of(t), number_of(t))) {
			test_fail(t, "not open again after order %u%u%u%u", part[0], part[1], part[2], part[3]);
			return;
		}
		/* Nothing of what was does DMA any more. */
		memset(b.to, 0x55, BUFFER);
		config_read(&b.rig, 0, 4);
		CHECK(t, is_all(b.to, BUFFER, 0x55));
		bench_end(&b);
	}
}

/* How many have the device, and how often each of two got it. */
struct contest {
	_Atomic int owners;
	_Atomic unsigned wins[2], losses[2];
	_Atomic bool wrong;
};

static void contend(struct contest *c, enum way way, unsigned who, unsigned long rounds)
{
	struct engine engine;
	struct rig rig;

	for (unsigned long i = 0; i < rounds || (!c->wins[who] && i < 100 * rounds); i++) {
		long rc = rig_open(&rig, way, 0);

		if (rc < 0) {
			c->losses[who]++;
			/* The group's one opener; the device's one file that is bound. */
			c->wrong |= rc != (way == CDEV ? -EINVAL : -EBUSY);
			sched_yield();
			continue;
		}
		c->wrong |= c->owners++ != 0;
		c->wins[who]++;
		c->wrong |= engine_begin(&engine, &rig, engine_memory_new(true)) != 0;
		engine_give(&engine, OP_COPY, 0, ENGINE_IOVA + PAGE + 64, ENGINE_IOVA, 64);
		c->wrong |= engine_wait(&engine) != 0;
		c->owners--;
		rig_close(&rig);
		engine_end(&engine);
	}
}

static void two_contend(struct test *t)
{
	struct contest *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	contend(c, way_of(t), pid == 0, t->rounds);
	if (pid == 0)
		_exit(0);
	SAME(t, wait_for(pid), 0);
	CHECK(t, !c->wrong);
	CHECK(t, c->wins[0] && c->wins[1]);
	dprintf(STDOUT_FILENO, "# %s: %u and %u times, refused %u and %u times\n", t->name, c->wins[0], c->wins[1],
		c->losses[0], c->losses[1]);
}

/* The other process: drives the device with memory that both have. Returns what is wrong, or 0. */
static int drive_for_another(int socket, struct bench *b)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	b->rig = (struct rig){.device = receive_descriptor(socket), .container = -1, .group = -1};
	b->engine.rig = &b->rig;
	b->engine.iova = ENGINE_IOVA;
	if (b->rig.device < 0 || !hear(socket)) /* its first owner has let go of it */
		return 1;
	if (rig_reach(&b->rig) || engine_restart(&b->engine) || irq_set(&b->rig, IRQ_MSIX, 0, fd))
		return 2;
	engine_interrupts(&b->engine);
	engine_give(&b->engine, OP_COPY, WITH_INTERRUPT, TO_IOVA, FROM_IOVA, BUFFER);
	if (irq_wait(fd, 10000) != 1 || engine_wait(&b->engine))
		return 3;
	return memcmp(b->to, b->from, BUFFER) ? 4 : 0;
}

static void passed_on(struct test *t)
{
	struct bench b = bench_new(t, true);
	int pair[2];
	pid_t pid;

	SAME(t, ERR(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		_exit(drive_for_another(pair[1], &b));
	}
	close(pair[1]);
	if (!bench_open(t, &b))
		return;
	expect_copy(t, &b, 0, 0, 4096);
	SAME(t, send_descriptor(pair[0], b.rig.device), 0);
	rig_close(&b.rig);
	tell(pair[0]);
	SAME(t, wait_for(pid), 0);
	close(pair[0]);
	/* It was the other's, which is gone. */
	if (bench_open(t, &b))
		expect_copy(t, &b, 0, 0, 4096);
	bench_end(&b);
}

/* What has a child by fork is the device of both; the memory is the parent's. */
static void forked(struct test *t)
{
	struct bench b;
	pid_t pid;

	if (!bench_begin(t, &b, true))
		return;
	pid = fork();
	if (pid == 0)
		_exit(engine_copy(&b.engine, TO_IOVA, FROM_IOVA, BUFFER) ? 1 : 0);
	SAME(t, wait_for(pid), 0);
	CHECK(t, !memcmp(b.to, b.from, BUFFER));
	b.engine.given++; /* by the child */
	expect_copy(t, &b, 0, 0, 4096);
	bench_end(&b);
}

/* A device is opened twice through its group: one device, which stays until the last descriptor of it goes. */
static void opened_twice(struct test *t)
{
	struct bench b;
	int first;

	if (way_of(t) == CDEV || !bench_begin(t, &b, true))
		return;
	first = b.rig.device;
	munmap((void *)b.rig.bar, PAGE);
	SAME(t, rig_open_device(&b.rig), 0);
	CHECK(t, b.rig.device != first);
	SAME(t, rig_reach(&b.rig), 0);
	expect_copy(t, &b, 0, 0, 4096);
	close(first);
	expect_copy(t, &b, 0, 0, 4096);
	SAME(t, config_read(&b.rig, 4, 2) & 6, 6);
	bench_end(&b);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"copies", copies},
		{"chains", chains},
		{"faults", faults},
		{"not_a_master", not_a_master},
		{"interrupts", interrupts},
		{"full_eventfd", full_eventfd},
		{"resets", resets},
		{"unmap_during_dma", unmap_during_dma},
		{"outlives_container", outlives_container},
		{"closed_in_every_order", closed_in_every_order},
		{"two_contend", two_contend},
		{"passed_on", passed_on},
		{"forked", forked},
		{"opened_twice", opened_twice},
	};

	return TEST_MAIN(argc, argv, cases);
}

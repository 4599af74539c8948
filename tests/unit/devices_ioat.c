/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The copy engine, driven by VFIO in one process while its own thread looks at the registers: copies, faults, resets
 * and closes during work, interrupts of each kind. The driver sees the memory at another address than the device does,
 * so that the race detector finds races of ours only: what both do to the memory, the registers put in order.
 */
#include "device_driver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

enum { BYTES = 1 << 20, RING_ENTRIES = 64, HALF = BYTES / 2 };

#define RING_IOVA UINT64_C(0x10000)
#define FROM_IOVA UINT64_C(0x1000000)
#define TO_IOVA   UINT64_C(0x2000000)
#define NOWHERE   UINT64_C(0x9000000)

enum {
	INTRCTRL = 0x03,
	CHANCTRL = 0x80,
	CHANCMD = 0x84,
	DMACOUNT = 0x86,
	CHANSTS = 0x88,
	CHAINADDR = 0x90,
	CHANCMP = 0x98,
	CHANERR = 0xa8,
	RESET = 0x20,
	SUSPENDED = 2,
	HALTED = 3,
	DONE = 1,
	COPY = 0,
	INTERRUPT = 1,
	COMPLETION = 8,
};

/* For so long a reset shows. */
#define RESET_SHOWS_NS UINT64_C(5000000)

struct descriptor {
	uint32_t size, control;
	uint64_t source, destination, next;
	uint64_t reserved[4];
};

/* What the device reaches at RING_IOVA. */
struct ring {
	struct descriptor descriptor[RING_ENTRIES];
	_Atomic uint64_t status;
	uint64_t reserved[511];
};

static struct driver d;
static volatile uint8_t *bar;
static uint8_t *buffer, *device_buffer;
static struct ring *ring;
static void *device_ring;
static uint16_t count;
static unsigned given;

/* Twice, at different addresses. */
static void *memory_new(size_t length, void **other)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	void *one;

	CHECK_EQ(ftruncate(fd, (off_t)length), 0);
	one = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*other = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(one != MAP_FAILED && *other != MAP_FAILED);
	close(fd);
	return one;
}

static void store8(unsigned offset, uint8_t value)
{
	__atomic_store_n(bar + offset, value, __ATOMIC_SEQ_CST);
}

static void store16(unsigned offset, uint16_t value)
{
	__atomic_store_n((volatile uint16_t *)(bar + offset), value, __ATOMIC_SEQ_CST);
}

static void store64(unsigned offset, uint64_t value)
{
	__atomic_store_n((volatile uint64_t *)(bar + offset), value, __ATOMIC_SEQ_CST);
}

static uint64_t load64(unsigned offset)
{
	return __atomic_load_n((volatile uint64_t *)(bar + offset), __ATOMIC_SEQ_CST);
}

static uint32_t errors(void)
{
	return __atomic_load_n((volatile uint32_t *)(bar + CHANERR), __ATOMIC_SEQ_CST);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* From the channel's reset on. */
static void start(uint16_t control)
{
	store8(CHANCMD, RESET);
	while (bar[CHANCMD] & RESET)
		sched_yield();
	store64(CHAINADDR, RING_IOVA);
	store64(CHANCMP, RING_IOVA + offsetof(struct ring, status));
	store16(CHANCTRL, control);
	atomic_store(&ring->status, 0);
	count = 0;
	given = 0;
}

static void map_all(void)
{
	driver_map(&d, RING_IOVA, device_ring, sizeof(struct ring), DRIVER_BOTH);
	driver_map(&d, FROM_IOVA, device_buffer, HALF, IOMMU_IOAS_MAP_READABLE);
	driver_map(&d, TO_IOVA, device_buffer + HALF, HALF, DRIVER_BOTH);
}

static void begin(void)
{
	buffer = memory_new(BYTES, (void **)&device_buffer);
	ring = memory_new(sizeof(*ring), &device_ring);
	for (unsigned i = 0; i < HALF; i++)
		buffer[i] = (uint8_t)(i * 13 + i / 251);
	for (unsigned i = 0; i < RING_ENTRIES; i++)
		ring->descriptor[i].next = RING_IOVA + (i + 1) % RING_ENTRIES * sizeof(struct descriptor);
	driver_begin(&d, "ioat");
	bar = driver_area(&d, 0, 4096);
	map_all();
}

static void end(void)
{
	munmap((void *)bar, 4096);
	driver_end(&d);
	munmap(buffer, BYTES);
	munmap(device_buffer, BYTES);
	munmap(ring, sizeof(*ring));
	munmap(device_ring, sizeof(*ring));
}

static void give(unsigned control, uint64_t to, uint64_t from, uint32_t size)
{
	struct descriptor *descriptor = &ring->descriptor[given++ % RING_ENTRIES];

	descriptor->size = size;
	descriptor->control = control | COMPLETION;
	descriptor->source = from;
	descriptor->destination = to;
}

static void ring_doorbell(void)
{
	count = (uint16_t)given;
	store16(DMACOUNT, count);
}

static uint64_t last_given(void)
{
	return RING_IOVA + (given - 1) % RING_ENTRIES * sizeof(struct descriptor);
}

/* Returns the status in memory when all is done, or the channel halted. */
static uint64_t wait_done(void)
{
	for (;;) {
		uint64_t status = atomic_load(&ring->status);

		if (status == (last_given() | DONE) || (status & 7) == HALTED)
			return status;
		sched_yield();
	}
}

static void copies_come_in_order(void)
{
	begin();
	start(0x1c);
	for (unsigned round = 0; round < 100; round++) {
		unsigned n = round % (RING_ENTRIES - 1) + 1;

		for (unsigned i = 0; i < n; i++)
			give(COPY, TO_IOVA + i * 4096, FROM_IOVA + ((round + i) % 100) * 4096, 4096);
		/* The last one takes what the first one brought. */
		give(COPY, TO_IOVA + 100 * 4096, TO_IOVA, 4096);
		ring_doorbell();
		CHECK_EQ(wait_done(), last_given() | DONE);
		CHECK(!memcmp(buffer + HALF + (n - 1) * 4096, buffer + ((round + n - 1) % 100) * 4096, 4096));
		CHECK(!memcmp(buffer + HALF + 100 * 4096, buffer + round % 100 * 4096, 4096));
		memset(buffer + HALF, 0, HALF);
		atomic_store(&ring->status, 0);
	}
	end();
}

static void a_fault_halts_and_a_reset_starts_again(void)
{
	begin();
	for (unsigned round = 0; round < 20; round++) {
		start(0x1c);
		give(COPY, TO_IOVA, FROM_IOVA, 4096);
		give(COPY, round & 1 ? TO_IOVA : FROM_IOVA, round & 1 ? NOWHERE : FROM_IOVA + 4096, 4096);
		ring_doorbell();
		CHECK_EQ(wait_done(), RING_IOVA | HALTED);
		while ((load64(CHANSTS) & 7) != HALTED)
			sched_yield();
		CHECK_EQ(errors(), round & 1 ? 1 : 2);
	}
	driver_command(&d, COMMAND_MEMORY);
	start(0x1c);
	give(COPY, TO_IOVA, FROM_IOVA, 1);
	ring_doorbell();
	while ((load64(CHANSTS) & 7) != HALTED || !errors())
		sched_yield();
	CHECK_EQ(errors() & 0x100, 0x100); /* it cannot even read the descriptor */
	end();
}

/* Interrupts */

static void wait_signal(int fd)
{
	eventfd_t value;

	CHECK_EQ(eventfd_read(fd, &value), 0);
	CHECK_EQ(value, 1);
}

static void one_interrupt(int fd)
{
	atomic_store(&ring->status, 0);
	store16(CHANCTRL, 0x1d);
	give(COPY | INTERRUPT, TO_IOVA, FROM_IOVA, 100);
	ring_doorbell();
	wait_signal(fd);
	CHECK_EQ(wait_done(), last_given() | DONE);
}

static void each_kind_of_interrupt_comes(void)
{
	static const uint32_t kinds[] = {VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX};
	int fd = eventfd(0, EFD_CLOEXEC);

	begin();
	start(0x1c);
	store8(INTRCTRL, 0x01);
	for (unsigned i = 0; i < 2; i++) {
		driver_irq(&d, kinds[i], 0, fd);
		for (unsigned j = 0; j < 50; j++)
			one_interrupt(fd);
		driver_irq_none(&d, kinds[i], VFIO_IRQ_SET_ACTION_TRIGGER, 0);
	}
	driver_irq(&d, VFIO_PCI_INTX_IRQ_INDEX, 0, fd);
	for (unsigned j = 0; j < 50; j++) {
		one_interrupt(fd);
		store8(INTRCTRL, 0x01);
		while (bar[INTRCTRL] != 0x01 || bar[0x04])
			sched_yield();
		driver_irq_none(&d, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, 1);
	}
	end();
	close(fd);
}

/* Against others */

static atomic_bool stop;

/* Maps and unmaps what the device is about to write. */
static void *remap(void *context)
{
	(void)context;
	while (!atomic_load(&stop)) {
		driver_unmap(&d, TO_IOVA, HALF);
		driver_map(&d, TO_IOVA, device_buffer + HALF, HALF, DRIVER_BOTH);
	}
	return NULL;
}

static void unmapping_during_work_is_a_fault_or_none(void)
{
	unsigned done = 0, halted = 0;
	pthread_t thread;

	begin();
	atomic_store(&stop, false);
	CHECK_EQ(pthread_create(&thread, NULL, remap, NULL), 0);
	for (unsigned round = 0; round < 300; round++) {
		start(0x1c);
		for (unsigned i = 0; i < 8; i++)
			give(COPY, TO_IOVA + i * 4096, FROM_IOVA + i * 4096, 4096);
		ring_doorbell();
		if ((wait_done() & 7) == HALTED)
			halted++;
		else
			done++;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	CHECK_EQ(done + halted, 300);
	start(0x1c);
	give(COPY, TO_IOVA, FROM_IOVA, HALF);
	ring_doorbell();
	CHECK_EQ(wait_done(), last_given() | DONE);
	CHECK(!memcmp(buffer, buffer + HALF, HALF));
	end();
}

static void a_reset_during_work_ends_it(void)
{
	begin();
	for (unsigned round = 0; round < 100; round++) {
		uint64_t before, state;

		start(0x1c);
		for (unsigned i = 0; i < RING_ENTRIES; i++)
			give(COPY, TO_IOVA, FROM_IOVA, HALF / 4);
		ring_doorbell();
		before = now_ns();
		CHECK_EQ(driver_call(&d, d.device, VFIO_DEVICE_RESET, NULL), 0);
		/* From now on nothing is written. */
		memset(buffer + HALF, 0, HALF / 4);
		state = load64(CHANSTS) & 7;
		CHECK(state == HALTED || (state == SUSPENDED && now_ns() - before >= RESET_SHOWS_NS));
		CHECK_EQ(bar[CHANCMD], 0);
		driver_command(&d, COMMAND_MEMORY | COMMAND_MASTER);
		CHECK_EQ(buffer[HALF + 1], 0);
	}
	end();
}

static void a_close_during_work_ends_it(void)
{
	begin();
	for (unsigned round = 0; round < 50; round++) {
		start(0x1c);
		for (unsigned i = 0; i < RING_ENTRIES; i++)
			give(COPY, TO_IOVA, FROM_IOVA, HALF / 4);
		ring_doorbell();
		munmap((void *)bar, 4096);
		driver_close(&d);
		memset(buffer + HALF, 0, HALF / 4);
		driver_open(&d);
		bar = driver_area(&d, 0, 4096);
		map_all();
		CHECK_EQ(buffer[HALF + 1], 0);
	}
	start(0x1c);
	give(COPY, TO_IOVA, FROM_IOVA, 4096);
	ring_doorbell();
	CHECK_EQ(wait_done(), last_given() | DONE);
	end();
}

/* One copy, from a reset on. Returns whether it is done, within a second, and without an error. */
static bool copies_after_a_reset(void)
{
	uint64_t late;

	start(0x1c);
	give(COPY, TO_IOVA, FROM_IOVA, 4096);
	ring_doorbell();
	late = now_ns() + 1000000000;
	while (atomic_load(&ring->status) != (last_given() | DONE)) {
		if (now_ns() > late || ((load64(CHANSTS) & 7) == HALTED && errors()))
			return false;
		sched_yield();
	}
	return true;
}

/* A client that does what it likes with the registers and the descriptors. */
static void nothing_that_a_driver_stores_does_harm(void)
{
	uint64_t random = UINT64_C(0x9e3779b97f4a7c15);

	begin();
	for (unsigned i = 0; i < 20000; i++) {
		static const unsigned offsets[] = {CHANCTRL, CHANCMD,   DMACOUNT, DMACOUNT, DMACOUNT,
						   CHANSTS,  CHAINADDR, CHANCMP,  CHANERR,  INTRCTRL};
		unsigned offset;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		offset = offsets[random % (sizeof(offsets) / sizeof(offsets[0]))];
		if (offset == CHAINADDR)
			store64(offset, random & 1 << 20 ? RING_IOVA + (random >> 40) % 4096 : random);
		else if (offset == CHANCMP)
			store64(offset, random & 3 << 20 ? RING_IOVA + offsetof(struct ring, status) : random);
		else if (offset == CHANSTS)
			store64(offset, random);
		else if (offset == CHANCTRL || offset == DMACOUNT)
			store16(offset, (uint16_t)(random >> 30));
		else
			store8(offset, (uint8_t)(random >> 30));
		if (!(i % 16))
			give((uint32_t)(random >> 32) & 0x0300003f, TO_IOVA + (random >> 44) % HALF,
			     FROM_IOVA + (random >> 24) % HALF, (uint32_t)(random >> 12) & 0xffff);
		if (!(i % 64))
			sched_yield();
	}
	for (unsigned i = 0; i < RING_ENTRIES; i++)
		ring->descriptor[i].next = RING_IOVA + (i + 1) % RING_ENTRIES * sizeof(struct descriptor);
	/* What was stored last counts as stored after the reset, if nothing else comes for a while. */
	for (unsigned tries = 1; !copies_after_a_reset(); tries++)
		if (tries == 10) {
			CHECK(!"it copies");
			break;
		}
	end();
}

int main(void)
{
	copies_come_in_order();
	a_fault_halts_and_a_reset_starts_again();
	each_kind_of_interrupt_comes();
	unmapping_during_work_is_a_fault_or_none();
	a_reset_during_work_ends_it();
	a_close_during_work_ends_it();
	nothing_that_a_driver_stores_does_harm();
	return check_result();
}

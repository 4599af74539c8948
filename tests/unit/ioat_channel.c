/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The copy engine's registers, as drivers find them when the engine looks at them late: here it looks when the test
 * says so. IOVAs are offsets in an array.
 */
#include "check.h"
#include "devices/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHANCNT = 0x00,
	XFERCAP = 0x01,
	INTRCTRL = 0x03,
	CBVER = 0x08,
	CHANCTRL = 0x80,
	CHANCMD = 0x84,
	DMACOUNT = 0x86,
	CHANSTS = 0x88,
	CHAINADDR = 0x90,
	CHANCMP = 0x98,
	CHANERR = 0xa8,
};

enum {
	REARM = 0x01,
	ERR_COMPLETION = 0x04,
	ABORT = 0x08,
	ERR_INTERRUPT = 0x10,
	SUSPEND = 0x04,
	RESET = 0x20,
	ACTIVE = 0,
	DONE = 1,
	SUSPENDED = 2,
	HALTED = 3,
	ARMED = 4,
	COPY = 0,
	FILL = 1,
	INTERRUPT = 0x1,
	COMPLETION = 0x8,
	NOTHING = 0x20, /* a null descriptor */
};

enum {
	MEMORY = 0x20000,
	RING = 0x1000, /* descriptors, of 64 bytes */
	RING_ENTRIES = 64,
	STATUS = 0x800,
	FROM = 0x8000,
	TO = 0x10000,
	READ_ONLY = 0x18000, /* to the end */
	NOWHERE = 0x100000,
};

struct descriptor {
	uint32_t size, control;
	uint64_t source, destination, next;
	uint64_t reserved[4];
};

struct engine {
	struct iommuse_device base;
	void *state;
	bool open;
	const char *version;
	unsigned vectors, raised;
	bool asserted;
	_Alignas(4096) uint8_t area[0x3000];
	_Alignas(4096) uint8_t memory[MEMORY];
};

static struct engine *engine_of(struct iommuse_device *base)
{
	return (struct engine *)base;
}

static const char *fake_value(struct iommuse_device *base, const char *key)
{
	CHECK(!strcmp(key, "version"));
	return engine_of(base)->version;
}

static void *fake_area(struct iommuse_device *base, unsigned bar, uint64_t offset)
{
	CHECK_EQ(bar, 0);
	return engine_of(base)->open ? engine_of(base)->area + offset : NULL;
}

static int fake_fault(uint64_t iova, size_t n, bool write, struct iommuse_fault *fault)
{
	uint64_t good = write ? READ_ONLY : MEMORY;

	if (iova < good && n <= good - iova)
		return 0;
	if (iova < good)
		iova = good;
	if (fault)
		*fault = (struct iommuse_fault){
			.iova = iova, .reason = iova < MEMORY ? IOMMUSE_FAULT_READ_ONLY : IOMMUSE_FAULT_NOT_MAPPED};
	return -EFAULT;
}

static int fake_read(struct iommuse_device *base, uint32_t pasid, uint64_t iova, void *to, size_t n,
		     struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	if (fake_fault(iova, n, false, fault))
		return -EFAULT;
	memcpy(to, engine_of(base)->memory + iova, n);
	return 0;
}

static int fake_write(struct iommuse_device *base, uint32_t pasid, uint64_t iova, const void *from, size_t n,
		      struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	if (fake_fault(iova, n, true, fault))
		return -EFAULT;
	memcpy(engine_of(base)->memory + iova, from, n);
	return 0;
}

static int fake_copy(struct iommuse_device *base, uint32_t pasid, uint64_t to, uint64_t from, size_t n,
		     struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	if (fake_fault(from, n, false, fault) || fake_fault(to, n, true, fault))
		return -EFAULT;
	memmove(engine_of(base)->memory + to, engine_of(base)->memory + from, n);
	return 0;
}

static void fake_raise(struct iommuse_device *base, unsigned vector)
{
	CHECK_EQ(vector, 0);
	engine_of(base)->raised++;
}

static void fake_set_intx(struct iommuse_device *base, bool asserted)
{
	engine_of(base)->asserted = asserted;
}

static unsigned fake_vectors(struct iommuse_device *base)
{
	return engine_of(base)->vectors;
}

static void fake_say(struct iommuse_device *base, const char *text)
{
	(void)base;
	(void)text;
}

static const struct iommuse_device_ops fake_ops = {
	.struct_size = sizeof(fake_ops),
	.value = fake_value,
	.area = fake_area,
	.dma_read = fake_read,
	.dma_write = fake_write,
	.dma_copy = fake_copy,
	.raise = fake_raise,
	.set_intx = fake_set_intx,
	.vectors = fake_vectors,
	.say = fake_say,
};

/* The driver */

static void set8(struct engine *e, unsigned offset, uint8_t value)
{
	e->area[offset] = value;
}

static void set16(struct engine *e, unsigned offset, uint16_t value)
{
	memcpy(e->area + offset, &value, sizeof(value));
}

static void set64(struct engine *e, unsigned offset, uint64_t value)
{
	memcpy(e->area + offset, &value, sizeof(value));
}

static uint16_t get16(const struct engine *e, unsigned offset)
{
	uint16_t value;

	memcpy(&value, e->area + offset, sizeof(value));
	return value;
}

static uint32_t get32(const struct engine *e, unsigned offset)
{
	uint32_t value;

	memcpy(&value, e->area + offset, sizeof(value));
	return value;
}

static uint64_t get64(const struct engine *e, unsigned offset)
{
	uint64_t value;

	memcpy(&value, e->area + offset, sizeof(value));
	return value;
}

static unsigned state_of(const struct engine *e)
{
	return get64(e, CHANSTS) & 7;
}

static uint64_t status(const struct engine *e)
{
	uint64_t value;

	memcpy(&value, e->memory + STATUS, sizeof(value));
	return value;
}

static struct descriptor *entry(struct engine *e, unsigned n)
{
	return (struct descriptor *)(void *)(e->memory + RING) + n % RING_ENTRIES;
}

static uint64_t entry_at(unsigned n)
{
	return RING + n % RING_ENTRIES * sizeof(struct descriptor);
}

static void look(struct engine *e)
{
	while (ioat_model.poll(e->state))
		continue;
}

static void open_engine(struct engine *e, const char *version)
{
	memset(e, 0, sizeof(*e));
	e->base.ops = &fake_ops;
	e->version = version;
	CHECK_EQ(ioat_model.create(&e->base, &e->state), 0);
	e->open = true;
	ioat_model.reset(e->state);
	for (unsigned i = 0; i < RING_ENTRIES; i++)
		entry(e, i)->next = entry_at(i + 1);
	for (unsigned i = 0; i < TO - FROM; i++)
		e->memory[FROM + i] = (uint8_t)(i * 7 + i / 256);
}

static void close_engine(struct engine *e)
{
	e->open = false;
	ioat_model.reset(e->state);
	CHECK(!ioat_model.poll(e->state));
	ioat_model.destroy(e->state);
}

/* Waits for a state that comes with time. */
static void wait_for(struct engine *e, unsigned state)
{
	while (state_of(e) != state)
		ioat_model.poll(e->state);
}

static void put(struct engine *e, unsigned n, unsigned op, unsigned control, uint64_t to, uint64_t from, uint32_t size)
{
	struct descriptor *d = entry(e, n);

	d->size = size;
	d->control = op << 24 | control;
	d->source = from;
	d->destination = to;
}

static void start(struct engine *e, uint64_t chain, uint16_t control)
{
	set64(e, CHAINADDR, chain);
	set64(e, CHANCMP, STATUS);
	set16(e, CHANCTRL, control);
}

static bool copied(const struct engine *e, unsigned to, unsigned from, unsigned n)
{
	return !memcmp(e->memory + to, e->memory + from, n);
}

/* Tests */

static void version_is_checked(void)
{
	static const char *const bad[] = {"", "3", "3.", "3.1", "3.5", "3.33", "2.3", "3,3"};
	struct engine e = {.base.ops = &fake_ops};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.version = bad[i];
		CHECK_EQ(ioat_model.create(&e.base, &e.state), -EINVAL);
	}
	open_engine(&e, "3.4");
	CHECK_EQ(e.area[CBVER], 0x34);
	CHECK_EQ(e.area[CHANCNT], 1);
	CHECK_EQ(e.area[XFERCAP], 20);
	close_engine(&e);
}

static void registers_that_are_constant_stay_so(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, CBVER, 0x99);
	set8(&e, CHANCNT, 4);
	set8(&e, XFERCAP, 0);
	look(&e);
	CHECK_EQ(e.area[CBVER], 0x33);
	CHECK_EQ(e.area[CHANCNT], 1);
	CHECK_EQ(e.area[XFERCAP], 20);
	close_engine(&e);
}

static void a_chain_is_done_up_to_its_count(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	put(&e, 0, COPY, 0, TO, FROM, 1000);
	put(&e, 1, COPY, COMPLETION, TO + 1000, FROM + 1000, 24);
	put(&e, 2, COPY, COMPLETION, TO + 2000, FROM + 2000, 1);
	look(&e);
	CHECK_EQ(status(&e), 0);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(status(&e), entry_at(1) | DONE);
	CHECK_EQ(get64(&e, CHANSTS), entry_at(1) | DONE);
	CHECK(copied(&e, TO, FROM, 1024));
	CHECK_EQ(e.memory[TO + 2000], 0);
	set16(&e, DMACOUNT, 3);
	look(&e);
	CHECK_EQ(get64(&e, CHANSTS), entry_at(2) | DONE);
	CHECK(copied(&e, TO + 2000, FROM + 2000, 1));
	close_engine(&e);
}

static void a_fill_repeats_its_eight_bytes(void)
{
	static const uint32_t sizes[] = {1, 7, 8, 50, 89, 4095, 4096, 4097, 20000};
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned wrong = 0;

		memset(e.memory + TO, 0, READ_ONLY - TO);
		put(&e, i, FILL, 0, TO + 3, UINT64_C(0xfedcba9876543210), sizes[i]);
		set16(&e, DMACOUNT, (uint16_t)(i + 1));
		look(&e);
		CHECK_EQ(state_of(&e), DONE);
		for (unsigned j = 0; j < sizes[i]; j++)
			wrong += e.memory[TO + 3 + j] != (uint8_t)(UINT64_C(0xfedcba9876543210) >> j % 8 * 8);
		CHECK_EQ(wrong, 0);
		CHECK_EQ(e.memory[TO + 2] | e.memory[TO + 3 + sizes[i]], 0);
	}
	close_engine(&e);
}

static void counts_go_round(void)
{
	struct engine e;
	uint16_t count = 0;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT | ERR_COMPLETION);
	for (unsigned i = 0; i < RING_ENTRIES; i++)
		put(&e, i, COPY, NOTHING | COMPLETION, 0, 0, 1);
	for (unsigned i = 0; i < 140000; i += 7) {
		count += 7;
		set16(&e, DMACOUNT, count);
		look(&e);
		if (status(&e) != (entry_at(i + 6) | DONE))
			break;
	}
	CHECK_EQ(status(&e), entry_at(139999) | DONE);
	close_engine(&e);
}

struct bad {
	uint32_t size, control;
	uint64_t source, destination;
	uint32_t error;
};

static void an_error_halts_the_channel_until_a_reset(void)
{
	static const struct bad bad[] = {
		{64, COPY << 24, NOWHERE, TO, 0x1},           {64, COPY << 24, FROM, NOWHERE, 0x2},
		{64, COPY << 24, FROM, READ_ONLY, 0x2},       {64, COPY << 24, MEMORY - 32, TO, 0x1},
		{64, FILL << 24, 0, READ_ONLY - 8, 0x2},      {64, 2U << 24, FROM, TO, 0x400},
		{64, 0x87U << 24 | NOTHING, FROM, TO, 0x400}, {0, COPY << 24, FROM, TO, 0x800},
		{(1 << 20) + 1, COPY << 24, FROM, TO, 0x800},
	};
	struct engine e;

	open_engine(&e, "3.3");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set8(&e, CHANCMD, RESET);
		look(&e);
		CHECK_EQ(e.area[CHANCMD], 0);
		CHECK_EQ(state_of(&e), HALTED);
		CHECK_EQ(get32(&e, CHANERR), 0);
		memset(e.memory + TO, 0, 64);
		start(&e, RING, ABORT);
		put(&e, 0, COPY, COMPLETION, TO, FROM, 64);
		put(&e, 1, bad[i].control >> 24, bad[i].control & 0xff, bad[i].destination, bad[i].source, bad[i].size);
		put(&e, 2, FILL, COMPLETION, TO, 0, 64);
		set16(&e, DMACOUNT, 3);
		look(&e);
		CHECK_EQ(get64(&e, CHANSTS), entry_at(0) | HALTED);
		CHECK_EQ(get32(&e, CHANERR), bad[i].error);
		CHECK_EQ(status(&e), entry_at(0) | ACTIVE); /* it has asked for no errors there */
		set16(&e, DMACOUNT, 5);
		look(&e);
		CHECK_EQ(state_of(&e), HALTED);
		CHECK(copied(&e, TO, FROM, 64));
	}
	close_engine(&e);
}

static void addresses_of_a_chain_are_checked(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING + 32, ABORT | ERR_COMPLETION | ERR_INTERRUPT);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x10);
	CHECK_EQ(status(&e), HALTED);
	CHECK_EQ(get64(&e, CHANSTS), HALTED);

	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, NOWHERE, ABORT | ERR_COMPLETION | ERR_INTERRUPT);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x100);

	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, RING, ABORT | ERR_COMPLETION | ERR_INTERRUPT);
	put(&e, 0, COPY, 0, TO, FROM, 8);
	entry(&e, 0)->next = entry_at(1) + 1;
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x8);
	CHECK_EQ(status(&e), entry_at(0) | HALTED);
	entry(&e, 0)->next = entry_at(1);

	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, RING, ABORT | ERR_COMPLETION);
	set64(&e, CHANCMP, READ_ONLY);
	put(&e, 0, COPY, COMPLETION, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x1000);
	close_engine(&e);
}

static void a_driver_clears_errors_by_writing_them(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	put(&e, 0, COPY, 0, TO, NOWHERE, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 1);
	memcpy(e.area + CHANERR, &(uint32_t){2}, 4);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 1);
	memcpy(e.area + CHANERR, &(uint32_t){3}, 4);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0);
	CHECK_EQ(state_of(&e), HALTED);
	close_engine(&e);
}

/*
 * A driver that waits for each command, and finds the status in a register: each copy is a chain of one descriptor
 * whose next is itself, with the same address and count as the last time.
 */
static void the_same_chain_is_done_again(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, CHANCMD, RESET);
	look(&e);
	CHECK_EQ(state_of(&e), HALTED);
	wait_for(&e, SUSPENDED); /* so that it finds no error where it looks before the engine has */
	entry(&e, 0)->next = entry_at(0);
	for (unsigned i = 0; i < 3; i++) {
		unsigned count = i == 2 ? 65535 : 1;

		memset(e.memory + TO, 0, 100);
		put(&e, 0, COPY, 0, TO, FROM + i, 100);
		set64(&e, CHAINADDR, RING);
		set16(&e, CHANCTRL, REARM | ABORT);
		set16(&e, DMACOUNT, (uint16_t)count);
		CHECK_EQ(state_of(&e), SUSPENDED);
		look(&e);
		CHECK_EQ(get64(&e, CHANSTS), entry_at(0) | DONE);
		CHECK(copied(&e, TO, FROM + i, 100));
		set8(&e, CHANCMD, SUSPEND);
		look(&e);
		CHECK_EQ(e.area[CHANCMD], 0);
		CHECK_EQ(state_of(&e), SUSPENDED);
	}
	close_engine(&e);
}

static void a_suspended_channel_goes_on_when_resumed(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	put(&e, 0, COPY, 0, TO, FROM, 8);
	put(&e, 1, COPY, 0, TO + 8, FROM + 8, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	set8(&e, CHANCMD, SUSPEND);
	look(&e);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(state_of(&e), SUSPENDED);
	CHECK_EQ(e.memory[TO + 8] | e.memory[TO + 9], 0);
	set8(&e, CHANCMD, 0x10);
	look(&e);
	CHECK_EQ(get64(&e, CHANSTS), entry_at(1) | DONE);
	CHECK(copied(&e, TO, FROM, 16));
	close_engine(&e);
}

/* What DPDK's driver does: it finds the status in memory, and waits for a command some microseconds only. */

#define BY_MEMORY (ABORT | ERR_COMPLETION)

static void stop(struct engine *e)
{
	unsigned state = state_of(e);

	set8(e, CHANCMD, state == ACTIVE || state == DONE ? SUSPEND : RESET);
	CHECK(state_of(e) == SUSPENDED || state_of(e) == HALTED);
}

static void stopping_and_starting_is_not_waited_for(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	set8(&e, CHANCMD, SUSPEND);
	look(&e);
	set8(&e, CHANCMD, RESET);
	look(&e);
	CHECK_EQ(e.area[CHANCMD], 0);
	wait_for(&e, SUSPENDED);
	/* The engine looks once, after all of it; the second round has the same counts as the first. */
	for (unsigned round = 0; round < 3; round++) {
		start(&e, RING, BY_MEMORY);
		CHECK(state_of(&e) != HALTED);
		stop(&e);
		start(&e, RING, BY_MEMORY);
		CHECK(state_of(&e) != HALTED);
		memset(e.memory + TO, 0, 100);
		put(&e, 0, COPY, COMPLETION, TO, FROM + round, 100);
		memset(e.memory + STATUS, 0, 8);
		set16(&e, DMACOUNT, 1);
		while (!status(&e))
			ioat_model.poll(e.state);
		CHECK_EQ(status(&e), entry_at(0) | DONE);
		CHECK(copied(&e, TO, FROM + round, 100));
		stop(&e);
	}
	close_engine(&e);
}

static void what_was_counted_before_a_stop_is_not_done_after_it(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	put(&e, 0, COPY, COMPLETION, TO, FROM, 100);
	set16(&e, DMACOUNT, 1);
	look(&e);
	memset(e.memory + TO, 0, 100);
	/* The same count again means nothing. */
	stop(&e);
	look(&e);
	start(&e, RING, BY_MEMORY);
	look(&e);
	CHECK_EQ(e.memory[TO + 1], 0);
	/* Nor does one that is void by the reset. */
	set16(&e, DMACOUNT, 3);
	stop(&e);
	look(&e);
	set64(&e, CHAINADDR, RING);
	look(&e);
	CHECK_EQ(e.memory[TO + 1], 0);
	close_engine(&e);
}

/* As the driver recovers from an error: the engine looks once, after all of it. */
static void recover(struct engine *e, uint64_t chain, uint16_t count)
{
	CHECK_EQ(status(e) & 7, HALTED);
	CHECK(get32(e, CHANERR));
	set8(e, CHANCMD, RESET);
	start(e, chain, BY_MEMORY);
	CHECK_EQ(get64(e, CHANSTS), ARMED);
	set16(e, DMACOUNT, count);
}

static void recovering_is_not_waited_for(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	/* 0, 7, 14 and 15 of 16 fail. */
	for (unsigned i = 0; i < 16; i++)
		put(&e, i, COPY, COMPLETION, TO + i * 64, i == 0 || i == 7 || i >= 14 ? NOWHERE : FROM + i * 64, 64);
	set16(&e, DMACOUNT, 16);
	look(&e);
	CHECK_EQ(status(&e), HALTED);
	recover(&e, entry_at(1), 15);
	while (status(&e) != (entry_at(6) | HALTED))
		ioat_model.poll(e.state);
	CHECK_EQ(get32(&e, CHANERR), 1);
	/* It has counted more before it saw the error. */
	set16(&e, DMACOUNT, 20);
	look(&e);
	recover(&e, entry_at(8), 8);
	while (status(&e) != (entry_at(13) | HALTED))
		ioat_model.poll(e.state);
	recover(&e, entry_at(15), 1);
	while (status(&e) != HALTED)
		ioat_model.poll(e.state);
	recover(&e, entry_at(16), 0);
	wait_for(&e, SUSPENDED);
	CHECK_EQ(get32(&e, CHANERR), 0);
	for (unsigned i = 0; i < 16; i++)
		CHECK(i == 0 || i == 7 || i >= 14 ? !e.memory[TO + i * 64 + 1]
						  : copied(&e, TO + i * 64, FROM + i * 64, 64));
	stop(&e);
	close_engine(&e);
}

/* Where the engine looks between the steps, it does what was counted for the new chain only. */
static void recovering_may_be_looked_at(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	put(&e, 0, COPY, COMPLETION, TO, NOWHERE, 64);
	put(&e, 1, COPY, COMPLETION, TO + 64, FROM + 64, 64);
	put(&e, 2, COPY, COMPLETION, TO + 128, FROM + 128, 64);
	set16(&e, DMACOUNT, 2);
	look(&e);
	set16(&e, DMACOUNT, 3);
	look(&e);
	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, entry_at(1), BY_MEMORY);
	look(&e);
	CHECK_EQ(get64(&e, CHANSTS), ARMED);
	CHECK_EQ(e.memory[TO + 65], 0);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(status(&e), entry_at(1) | DONE);
	CHECK(copied(&e, TO + 64, FROM + 64, 64));
	CHECK_EQ(e.memory[TO + 129], 0);
	close_engine(&e);
}

/* A stop that comes before what was counted is looked at makes that void; one during the work is waited for. */
static void a_command_comes_before_what_is_to_be_done(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	put(&e, 0, COPY, COMPLETION, TO, FROM, 64);
	set16(&e, DMACOUNT, 1);
	stop(&e);
	while (ioat_model.poll(e.state) || state_of(&e) != SUSPENDED)
		continue;
	CHECK_EQ(e.area[CHANCMD], 0);
	close_engine(&e);
}

/* Interrupts */

static void an_interrupt_comes_when_it_is_armed(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	e.vectors = 1;
	set8(&e, INTRCTRL, 0x08);
	start(&e, RING, ABORT | REARM);
	for (unsigned i = 0; i < 4; i++)
		put(&e, i, COPY, i == 1 ? 0 : INTERRUPT, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(e.raised, 1);
	CHECK_EQ(get16(&e, CHANCTRL), ABORT);
	set16(&e, CHANCTRL, ABORT | REARM);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(e.raised, 1); /* the descriptor asks for none */
	set16(&e, DMACOUNT, 3);
	look(&e);
	CHECK_EQ(e.raised, 2);
	set16(&e, DMACOUNT, 4);
	look(&e);
	CHECK_EQ(e.raised, 2); /* not armed: it is kept */
	set16(&e, CHANCTRL, ABORT | REARM);
	look(&e);
	CHECK_EQ(e.raised, 3);
	CHECK(!e.asserted);
	close_engine(&e);
}

static void an_interrupt_is_to_be_enabled(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT | REARM);
	put(&e, 0, COPY, INTERRUPT, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK(!e.asserted);
	set8(&e, INTRCTRL, 0x08); /* of MSI-X only */
	look(&e);
	CHECK(!e.asserted);
	set8(&e, INTRCTRL, 0x01);
	look(&e);
	CHECK(e.asserted);
	CHECK_EQ(e.area[INTRCTRL], 0x07);
	CHECK_EQ(e.raised, 0);
	close_engine(&e);
}

static void the_pin_is_let_go_when_the_driver_has_seen_it(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, INTRCTRL, 0x01);
	for (unsigned i = 0; i < 3; i++)
		put(&e, i, COPY, INTERRUPT, TO, FROM, 8);
	start(&e, RING, ABORT | REARM);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK(e.asserted);
	set16(&e, CHANCTRL, ABORT | REARM);
	look(&e);
	CHECK(!e.asserted);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK(e.asserted);
	set8(&e, INTRCTRL, 0x01);
	look(&e);
	CHECK(!e.asserted);
	set16(&e, CHANCTRL, ABORT | REARM);
	set16(&e, DMACOUNT, 3);
	look(&e);
	CHECK(e.asserted);
	set8(&e, CHANCMD, RESET);
	look(&e);
	CHECK(!e.asserted);
	close_engine(&e);
}

static void an_error_interrupts_where_asked_for(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	e.vectors = 1;
	set8(&e, INTRCTRL, 0x01);
	start(&e, RING, ABORT | REARM | ERR_INTERRUPT);
	put(&e, 0, COPY, 0, TO, NOWHERE, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(e.raised, 1);
	close_engine(&e);
}

static void a_reset_of_the_device_forgets_all(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, INTRCTRL, 0x01);
	start(&e, RING, ABORT | REARM);
	put(&e, 0, COPY, INTERRUPT, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	set16(&e, DMACOUNT, 9);
	memset(e.area, 0, sizeof(e.area));
	ioat_model.reset(e.state);
	CHECK(!e.asserted);
	CHECK_EQ(e.area[CBVER], 0x33);
	CHECK_EQ(state_of(&e), HALTED);
	memset(e.memory + TO, 0, 8);
	look(&e);
	CHECK_EQ(e.memory[TO + 1], 0);
	close_engine(&e);
}

int main(void)
{
	version_is_checked();
	registers_that_are_constant_stay_so();
	a_chain_is_done_up_to_its_count();
	a_fill_repeats_its_eight_bytes();
	counts_go_round();
	an_error_halts_the_channel_until_a_reset();
	addresses_of_a_chain_are_checked();
	a_driver_clears_errors_by_writing_them();
	the_same_chain_is_done_again();
	a_suspended_channel_goes_on_when_resumed();
	stopping_and_starting_is_not_waited_for();
	what_was_counted_before_a_stop_is_not_done_after_it();
	recovering_is_not_waited_for();
	recovering_may_be_looked_at();
	a_command_comes_before_what_is_to_be_done();
	an_interrupt_comes_when_it_is_armed();
	an_interrupt_is_to_be_enabled();
	the_pin_is_let_go_when_the_driver_has_seen_it();
	an_error_interrupts_where_asked_for();
	a_reset_of_the_device_forgets_all();
	return check_result();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dmax without a system: it looks for work when the test says so. Each of a few PASIDs has an array of memory from
 * IOVA 0 on, whose pages can be taken away. From HUGE_MEMORY on there are zeroes without end, and what is written is
 * only counted.
 */
#ifndef IOMMUSE_TESTS_FAKE_DMAX_H
#define IOMMUSE_TESTS_FAKE_DMAX_H

#include "check.h"
#include "devices/device.h"

#include "../../examples/dmax/dmax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE = 0x1000,
	PAGES = 128,
	MEMORY = PAGES * PAGE,
	SPACES = 3, /* NO_PASID, 1, 2 */
	RING = 0x1000,
	RING_ENTRIES = 16,
	ARRAY = 0x2000, /* of a batch */
	RECORDS = 0x20000,
	FROM = 0x30000,
	TO = 0x50000,
	REQUESTS = 32,
};

#define HUGE_MEMORY UINT64_C(0x100000000)

struct asked {
	uint32_t pasid, access, group;
	uint64_t address;
};

struct accelerator {
	struct iommuse_device base;
	void *state;
	bool open;
	const char *queues;
	bool bus_master;
	uint32_t reason; /* of faults */
	int refusal;     /* what page requests return */
	unsigned raised[DMAX_VECTORS];
	unsigned requested;
	struct asked request[REQUESTS];
	uint64_t moved; /* bytes */
	uint64_t last_write;
	size_t last_write_size;
	uint8_t rights[SPACES][PAGES]; /* enum iommuse_direction */
	_Alignas(4096) uint8_t doorbells[DMAX_QUEUES_MAX * PAGE];
	_Alignas(4096) uint8_t memory[SPACES][MEMORY];
	uint8_t zeroes[65536];
};

static inline struct accelerator *accelerator_of(struct iommuse_device *base)
{
	return (struct accelerator *)base;
}

static inline const char *fake_value(struct iommuse_device *base, const char *key)
{
	CHECK(!strcmp(key, "queues"));
	return accelerator_of(base)->queues;
}

static inline void *fake_area(struct iommuse_device *base, unsigned bar, uint64_t offset)
{
	CHECK_EQ(bar, 2);
	return accelerator_of(base)->open ? accelerator_of(base)->doorbells + offset : NULL;
}

/* How many of n bytes can be accessed; less than n: with *fault. */
static inline size_t fake_span(struct accelerator *a, uint32_t pasid, uint64_t iova, size_t n, uint32_t access,
			       struct iommuse_fault *fault)
{
	size_t good = 0;

	if (!a->bus_master) {
		*fault = (struct iommuse_fault){.iova = iova, .pasid = pasid, .reason = IOMMUSE_FAULT_BUS_MASTER};
		return 0;
	}
	if (iova >= HUGE_MEMORY)
		return n;
	while (good < n) {
		uint64_t at = iova + good;

		if (pasid >= SPACES || at >= MEMORY || !(a->rights[pasid][at / PAGE] & access)) {
			*fault = (struct iommuse_fault){.iova = at, .pasid = pasid, .reason = a->reason};
			return good;
		}
		good += PAGE - at % PAGE;
	}
	return n;
}

static inline int fake_read(struct iommuse_device *base, uint32_t pasid, uint64_t iova, void *to, size_t n,
			    struct iommuse_fault *fault)
{
	struct accelerator *a = accelerator_of(base);
	struct iommuse_fault own;
	size_t good = fake_span(a, pasid, iova, n, IOMMUSE_READ, fault ? fault : &own);

	a->moved += good;
	if (iova >= HUGE_MEMORY)
		memset(to, 0, good);
	else if (good)
		memcpy(to, a->memory[pasid] + iova, good);
	return good < n ? -EFAULT : 0;
}

static inline int fake_write(struct iommuse_device *base, uint32_t pasid, uint64_t iova, const void *from, size_t n,
			     struct iommuse_fault *fault)
{
	struct accelerator *a = accelerator_of(base);
	struct iommuse_fault own;
	size_t good = fake_span(a, pasid, iova, n, IOMMUSE_WRITE, fault ? fault : &own);

	a->moved += good;
	a->last_write = iova;
	a->last_write_size = n;
	if (iova < HUGE_MEMORY && good)
		memcpy(a->memory[pasid] + iova, from, good);
	return good < n ? -EFAULT : 0;
}

static inline int fake_copy(struct iommuse_device *base, uint32_t pasid, uint64_t to, uint64_t from, size_t n,
			    struct iommuse_fault *fault)
{
	struct accelerator *a = accelerator_of(base);
	struct iommuse_fault read, write;
	size_t readable = fake_span(a, pasid, from, n, IOMMUSE_READ, &read);
	size_t writable = fake_span(a, pasid, to, readable, IOMMUSE_WRITE, &write);

	a->moved += writable;
	if (to < HUGE_MEMORY && from < HUGE_MEMORY && writable)
		memcpy(a->memory[pasid] + to, a->memory[pasid] + from, writable);
	if (writable == n)
		return 0;
	*fault = writable < readable ? write : read;
	return -EFAULT;
}

static inline void fake_raise(struct iommuse_device *base, unsigned vector)
{
	CHECK(vector < DMAX_VECTORS);
	accelerator_of(base)->raised[vector]++;
}

static inline void fake_say(struct iommuse_device *base, const char *text)
{
	(void)base;
	(void)text;
}

static inline int fake_page_request(struct iommuse_device *base, uint32_t pasid, uint64_t address, uint32_t access,
				    uint32_t group)
{
	struct accelerator *a = accelerator_of(base);

	CHECK(group < 512);
	CHECK(access == IOMMUSE_READ || access == IOMMUSE_WRITE);
	for (unsigned i = 0; i < a->requested; i++)
		if (a->request[i].group == group)
			return -EBUSY;
	if (a->refusal)
		return a->refusal;
	CHECK(a->requested < REQUESTS);
	a->request[a->requested++] =
		(struct asked){.pasid = pasid, .access = access, .group = group, .address = address};
	return 0;
}

static const struct iommuse_device_ops fake_ops = {
	.struct_size = sizeof(fake_ops),
	.value = fake_value,
	.area = fake_area,
	.dma_read = fake_read,
	.dma_write = fake_write,
	.dma_copy = fake_copy,
	.raise = fake_raise,
	.say = fake_say,
	.page_request = fake_page_request,
};

/* The driver */

static inline uint32_t get(struct accelerator *a, unsigned offset)
{
	return (uint32_t)dmax_model.read(a->state, 0, offset, 4);
}

static inline uint64_t get64(struct accelerator *a, unsigned offset)
{
	return dmax_model.read(a->state, 0, offset, 8);
}

static inline void set(struct accelerator *a, unsigned offset, uint32_t value)
{
	dmax_model.write(a->state, 0, offset, 4, value);
}

static inline void set64(struct accelerator *a, unsigned offset, uint64_t value)
{
	dmax_model.write(a->state, 0, offset, 8, value);
}

static inline uint32_t *door(struct accelerator *a, unsigned queue, unsigned offset)
{
	return (uint32_t *)(void *)(a->doorbells + DMAX_DOORBELL(queue) + offset);
}

static inline unsigned state_of(struct accelerator *a, unsigned queue)
{
	uint32_t state = get(a, DMAX_QUEUE(queue) + DMAX_Q_STATE);

	CHECK_EQ(*door(a, queue, DMAX_D_STATE), state);
	return state;
}

static inline unsigned error_of(struct accelerator *a, unsigned queue)
{
	return get(a, DMAX_QUEUE(queue) + DMAX_Q_ERROR);
}

/* Which address space a queue has. */
static inline unsigned space_of(struct accelerator *a, unsigned queue)
{
	return get(a, DMAX_QUEUE(queue) + DMAX_Q_PASID) & 0xff;
}

static inline struct dmax_descriptor *array_at(struct accelerator *a, unsigned space, uint64_t at)
{
	return (struct dmax_descriptor *)(void *)(a->memory[space] + at);
}

static inline struct dmax_record *record(struct accelerator *a, unsigned space, unsigned n)
{
	return (struct dmax_record *)(void *)(a->memory[space] + RECORDS) + n;
}

static inline uint64_t record_at(unsigned n)
{
	return RECORDS + n * sizeof(struct dmax_record);
}

static inline void command(struct accelerator *a, unsigned queue, uint32_t value)
{
	set(a, DMAX_QUEUE(queue) + DMAX_Q_COMMAND, value);
}

static inline void start_with(struct accelerator *a, unsigned queue, uint32_t pasid)
{
	unsigned at = DMAX_QUEUE(queue);

	set64(a, at + DMAX_Q_BASE, RING);
	set(a, at + DMAX_Q_SIZE, RING_ENTRIES);
	set(a, at + DMAX_Q_PASID, pasid ? DMAX_PASID_VALID | pasid : 0);
	command(a, queue, DMAX_COMMAND_START);
}

/* Puts a descriptor into the ring, to be seen later. */
static inline void put(struct accelerator *a, unsigned queue, struct dmax_descriptor descriptor)
{
	uint32_t tail = *door(a, queue, DMAX_D_TAIL);

	array_at(a, space_of(a, queue), RING)[tail % RING_ENTRIES] = descriptor;
	*door(a, queue, DMAX_D_TAIL) = tail + 1;
}

static inline void look(struct accelerator *a)
{
	while (dmax_model.poll(a->state))
		continue;
}

/* A descriptor with record n, done alone on queue 0 in the device's own address space. Returns the record. */
static inline struct dmax_record run(struct accelerator *a, unsigned n, struct dmax_descriptor descriptor)
{
	descriptor.flags |= DMAX_FLAG_RECORD;
	descriptor.record = record_at(n);
	memset(record(a, 0, n), 0, sizeof(struct dmax_record));
	put(a, 0, descriptor);
	look(a);
	return *record(a, 0, n);
}

static inline void respond(struct accelerator *a, unsigned n, bool success)
{
	const struct asked request = a->request[n];

	a->requested--;
	memmove(a->request + n, a->request + n + 1, (a->requested - n) * sizeof(request));
	dmax_model.page_response(a->state, request.pasid, request.group, success);
}

static inline void set_rights(struct accelerator *a, unsigned space, uint64_t iova, uint8_t rights)
{
	a->rights[space][iova / PAGE] = rights;
}

static inline void open_accelerator(struct accelerator *a, const char *queues)
{
	memset(a, 0, sizeof(*a));
	a->base.ops = &fake_ops;
	a->queues = queues;
	a->bus_master = true;
	a->reason = IOMMUSE_FAULT_NOT_MAPPED;
	memset(a->rights, IOMMUSE_READ | IOMMUSE_WRITE, sizeof(a->rights));
	CHECK_EQ(dmax_model.create(&a->base, &a->state), 0);
	a->open = true;
	dmax_model.reset(a->state);
	set(a, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
	for (unsigned space = 0; space < SPACES; space++)
		for (unsigned i = 0; i < TO - FROM; i++)
			a->memory[space][FROM + i] = (uint8_t)(i * 7 + i / 256 + space);
}

/* And queue 0 is started, without a PASID. */
static inline void open_started(struct accelerator *a)
{
	open_accelerator(a, "4");
	start_with(a, 0, 0);
	CHECK_EQ(state_of(a, 0), DMAX_STATE_ENABLED);
}

static inline void close_accelerator(struct accelerator *a)
{
	a->open = false;
	dmax_model.reset(a->state);
	CHECK(!dmax_model.poll(a->state));
	dmax_model.destroy(a->state);
}

#endif

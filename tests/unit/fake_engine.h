/* SPDX-License-Identifier: BSD-3-Clause */
/* A copy engine without a system: it looks at its registers when the test says so. IOVAs are offsets in an array. */
#ifndef IOMMUSE_TESTS_FAKE_ENGINE_H
#define IOMMUSE_TESTS_FAKE_ENGINE_H

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

static inline struct engine *engine_of(struct iommuse_device *base)
{
	return (struct engine *)base;
}

static const char *fake_value(struct iommuse_device *base, const char *key)
{
	CHECK(!strcmp(key, "version"));
	return engine_of(base)->version;
}

static inline void *fake_area(struct iommuse_device *base, unsigned bar, uint64_t offset)
{
	CHECK_EQ(bar, 0);
	return engine_of(base)->open ? engine_of(base)->area + offset : NULL;
}

static inline int fake_fault(uint64_t iova, size_t n, bool write, struct iommuse_fault *fault)
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

static inline int fake_read(struct iommuse_device *base, uint32_t pasid, uint64_t iova, void *to, size_t n,
			    struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	if (fake_fault(iova, n, false, fault))
		return -EFAULT;
	memcpy(to, engine_of(base)->memory + iova, n);
	return 0;
}

static inline int fake_write(struct iommuse_device *base, uint32_t pasid, uint64_t iova, const void *from, size_t n,
			     struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	if (fake_fault(iova, n, true, fault))
		return -EFAULT;
	memcpy(engine_of(base)->memory + iova, from, n);
	return 0;
}

static inline int fake_copy(struct iommuse_device *base, uint32_t pasid, uint64_t to, uint64_t from, size_t n,
			    struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	if (fake_fault(from, n, false, fault) || fake_fault(to, n, true, fault))
		return -EFAULT;
	memmove(engine_of(base)->memory + to, engine_of(base)->memory + from, n);
	return 0;
}

static inline void fake_raise(struct iommuse_device *base, unsigned vector)
{
	CHECK_EQ(vector, 0);
	engine_of(base)->raised++;
}

static inline void fake_set_intx(struct iommuse_device *base, bool asserted)
{
	engine_of(base)->asserted = asserted;
}

static inline unsigned fake_vectors(struct iommuse_device *base)
{
	return engine_of(base)->vectors;
}

static inline void fake_say(struct iommuse_device *base, const char *text)
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

static inline void set8(struct engine *e, unsigned offset, uint8_t value)
{
	e->area[offset] = value;
}

static inline void set16(struct engine *e, unsigned offset, uint16_t value)
{
	memcpy(e->area + offset, &value, sizeof(value));
}

static inline void set64(struct engine *e, unsigned offset, uint64_t value)
{
	memcpy(e->area + offset, &value, sizeof(value));
}

static inline uint16_t get16(const struct engine *e, unsigned offset)
{
	uint16_t value;

	memcpy(&value, e->area + offset, sizeof(value));
	return value;
}

static inline uint32_t get32(const struct engine *e, unsigned offset)
{
	uint32_t value;

	memcpy(&value, e->area + offset, sizeof(value));
	return value;
}

static inline uint64_t get64(const struct engine *e, unsigned offset)
{
	uint64_t value;

	memcpy(&value, e->area + offset, sizeof(value));
	return value;
}

static inline unsigned state_of(const struct engine *e)
{
	return get64(e, CHANSTS) & 7;
}

static inline uint64_t status(const struct engine *e)
{
	uint64_t value;

	memcpy(&value, e->memory + STATUS, sizeof(value));
	return value;
}

static inline struct descriptor *entry(struct engine *e, unsigned n)
{
	return (struct descriptor *)(void *)(e->memory + RING) + n % RING_ENTRIES;
}

static inline uint64_t entry_at(unsigned n)
{
	return RING + n % RING_ENTRIES * sizeof(struct descriptor);
}

static inline void look(struct engine *e)
{
	while (ioat_model.poll(e->state))
		continue;
}

static inline void open_engine(struct engine *e, const char *version)
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

static inline void close_engine(struct engine *e)
{
	e->open = false;
	ioat_model.reset(e->state);
	CHECK(!ioat_model.poll(e->state));
	ioat_model.destroy(e->state);
}

/* Waits for a state that comes with time. */
static inline void wait_for(struct engine *e, unsigned state)
{
	while (state_of(e) != state)
		ioat_model.poll(e->state);
}

static inline void put(struct engine *e, unsigned n, unsigned op, unsigned control, uint64_t to, uint64_t from,
		       uint32_t size)
{
	struct descriptor *d = entry(e, n);

	d->size = size;
	d->control = op << 24 | control;
	d->source = from;
	d->destination = to;
}

static inline void start(struct engine *e, uint64_t chain, uint16_t control)
{
	set64(e, CHAINADDR, chain);
	set64(e, CHANCMP, STATUS);
	set16(e, CHANCTRL, control);
}

static inline bool copied(const struct engine *e, unsigned to, unsigned from, unsigned n)
{
	return !memcmp(e->memory + to, e->memory + from, n);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device for the tests of the door, by the public interface. BAR 0: a page of registers, and one of memory; BAR 2: a
 * gigabyte of memory. It does DMA when it is told to, and raises no interrupts.
 */
#include "iommuse/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	REG_SCRATCH = 0x00,
	REG_AT = 0x08,      /* where the next three are */
	REG_MEMORY0 = 0x10, /* in the memory of BAR 0 */
	REG_MEMORY2 = 0x18, /* in the memory of BAR 2 */
	REG_DMA = 0x20,     /* at an IOVA */
	REG_BYTES = 0x28,   /* four single bytes */
};

struct door_device {
	struct iommuse_device *device;
	uint64_t scratch, at;
	uint8_t byte[4];
};

static int create(struct iommuse_device *device, void **state)
{
	struct door_device *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->device = device;
	*state = d;
	return 0;
}

static void reset(void *state)
{
	struct door_device *d = state;

	d->scratch = 0;
	d->at = 0;
	memset(d->byte, 0, sizeof(d->byte));
}

static uint64_t *memory(struct door_device *d, unsigned bar)
{
	return iommuse_memory(d->device, bar, d->at);
}

static uint64_t read_register(void *state, unsigned bar, uint64_t offset, unsigned width)
{
	struct door_device *d = state;
	uint64_t value = 0;

	if (bar)
		return 0;
	if (width == 1 && offset >= REG_BYTES && offset < REG_BYTES + 4)
		return d->byte[offset - REG_BYTES];
	switch (offset) {
	case REG_SCRATCH:
		return d->scratch;
	case REG_MEMORY0:
	case REG_MEMORY2:
		return memory(d, offset == REG_MEMORY0 ? 0 : 2) ? *memory(d, offset == REG_MEMORY0 ? 0 : 2) : 0;
	case REG_DMA:
		return iommuse_dma_read(d->device, IOMMUSE_NO_PASID, d->at, &value, sizeof(value), NULL) ? ~UINT64_C(0)
													 : value;
	default:
		return 0;
	}
}

static void write_register(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	struct door_device *d = state;

	if (bar)
		return;
	if (width == 1 && offset >= REG_BYTES && offset < REG_BYTES + 4)
		d->byte[offset - REG_BYTES] = (uint8_t)value;
	else if (offset == REG_SCRATCH)
		d->scratch = value;
	else if (offset == REG_AT)
		d->at = value;
	else if (offset == REG_DMA)
		(void)iommuse_dma_write(d->device, IOMMUSE_NO_PASID, d->at, &value, sizeof(value), NULL);
}

static const struct iommuse_model model = {
	.struct_size = sizeof(struct iommuse_model),
	.api_version = IOMMUSE_DEVICE_API,
	.name = "door",
	.title = "for tests",
	.vendor = 0x1234,
	.device = 0x5678,
	.class_code = 0xff0000,
	.bar =
		{
			{.size = 0x2000, .area = {{.offset = 0x1000, .length = 0x1000}}},
			{0},
			{.size = 1U << 30,
			 .wide = true,
			 .prefetchable = true,
			 .area = {{.offset = 0, .length = 1U << 30}}},
		},
	.create = create,
	.destroy = free,
	.reset = reset,
	.read = read_register,
	.write = write_register,
};

__attribute__((visibility("default"))) const struct iommuse_model *iommuse_get_model(void)
{
	return &model;
}

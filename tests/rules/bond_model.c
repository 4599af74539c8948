/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices for cases about shared addresses: one register starts a DMA of 8 bytes, by any PASID. Compiled with what the
 * device can do: PASID_BITS, PAGE_REQUESTS. */
#include "bond_model.h"

#include "iommuse/device.h"

#include <stdbool.h>
#include <stdlib.h>

struct state {
	struct iommuse_device *device;
	uint64_t reg[BOND_REGISTERS];
};

static int create(struct iommuse_device *device, void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		return -12;
	s->device = device;
	*state = s;
	return 0;
}

static void destroy(void *state)
{
	free(state);
}

static void reset(void *state)
{
	struct state *s = state;

	for (unsigned i = 0; i < BOND_REGISTERS; i++)
		s->reg[i] = 0;
}

static uint64_t read_register(void *state, unsigned bar, uint64_t offset, unsigned width)
{
	const struct state *s = state;

	(void)bar;
	return width == 8 && offset / 8 < BOND_REGISTERS ? s->reg[offset / 8] : 0;
}

static void write_register(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	struct state *s = state;
	struct iommuse_fault fault = {0};
	const uint32_t pasid = (uint32_t)s->reg[BOND_PASID];
	uint64_t *data = &s->reg[BOND_DATA];
	const uint64_t address = s->reg[BOND_ADDRESS];
	int rc;

	(void)bar;
	if (width != 8 || offset / 8 >= BOND_REGISTERS)
		return;
	s->reg[offset / 8] = value;
	if (offset / 8 != BOND_GO)
		return;
	if (value == IOMMUSE_READ)
		rc = iommuse_dma_read(s->device, pasid, address, data, sizeof(*data), &fault);
	else
		rc = iommuse_dma_write(s->device, pasid, address, data, sizeof(*data), &fault);
	s->reg[BOND_GO] = rc ? fault.reason : 0;
}

const struct iommuse_model *iommuse_get_model(void)
{
	static const struct iommuse_model model = {
		.struct_size = sizeof(model),
		.api_version = IOMMUSE_DEVICE_API,
		.name = "bond",
		.title = "copies eight bytes when it is told to",
		.vendor = 0x1234,
		.device = 0x5678,
		.class_code = 0xff0000,
		.bar = {{.size = 0x1000}},
		.pasid_bits = PASID_BITS,
		.page_requests = PAGE_REQUESTS,
		.create = create,
		.destroy = destroy,
		.reset = reset,
		.read = read_register,
		.write = write_register,
	};

	return &model;
}

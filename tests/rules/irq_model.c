/* SPDX-License-Identifier: BSD-3-Clause */
/* The model of the device that cases about devices use: registers that interrupt. */
#include "iommuse/device.h"

#include <errno.h>
#include <stdlib.h>

enum { INTX = 0, RAISE = 8, VECTORS = 16 };

static int create(struct iommuse_device *device, void **state)
{
	*state = device;
	return 0;
}

static void destroy(void *state)
{
	(void)state;
}

static void reset(void *state)
{
	iommuse_set_intx(state, false);
}

static uint64_t read_register(void *state, unsigned bar, uint64_t offset, unsigned width)
{
	(void)width;
	return bar == 0 && offset == VECTORS ? iommuse_vectors(state) : 0;
}

static void write_register(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	(void)width;
	if (bar == 0 && offset == INTX)
		iommuse_set_intx(state, value & 1);
	if (bar == 0 && offset == RAISE)
		iommuse_raise(state, (unsigned)value);
}

const struct iommuse_model *iommuse_get_model(void)
{
	static const struct iommuse_model model = {
		.struct_size = sizeof(model),
		.api_version = IOMMUSE_DEVICE_API,
		.name = "rules",
		.title = "interrupts when it is told to",
		.vendor = 0x1234,
		.device = 0x5678,
		.class_code = 0xff0000,
		.bar = {{.size = 0x10000}},
		.intx = true,
		.msi_vectors = 8,
		.msix_vectors = 2048,
		.msix_table = 0x8000,
		.msix_pba = 0x1000,
		.create = create,
		.destroy = destroy,
		.reset = reset,
		.read = read_register,
		.write = write_register,
	};

	return &model;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Model "dmax": the device, and whose turn it is. */
#include "devices/dmax.h"

#include "devices/device.h"

#include <errno.h>
#include <stdlib.h>

/* Registers are trapped, as is what of MSI-X shares their BAR; doorbells are in memory. */
#define BAR_REGISTERS  0U
#define REGISTERS_SIZE 0x4000U
#define MSIX_TABLE     0x2000U
#define MSIX_PBA       0x3000U
#define BAR_DOORBELLS  2U

/* What all queues do in one callback, together. */
#define POLL_BYTES (1U << 20)

static uint64_t dmax_read(void *state, unsigned bar, uint64_t offset, unsigned width)
{
	return bar == BAR_REGISTERS ? dmax_read_register(state, offset, width) : 0;
}

static void dmax_write(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	if (bar == BAR_REGISTERS)
		dmax_write_register(state, offset, width, value);
}

static bool dmax_poll(void *state)
{
	struct dmax *dmax = state;
	unsigned busy = 0, count = 0;

	if (!dmax->doorbells || !dmax->enabled)
		return false;
	for (unsigned i = 0; i < dmax->queues; i++)
		if (dmax_queue_look(dmax, &dmax->queue[i])) {
			busy |= 1U << i;
			count++;
		}
	for (unsigned i = 0; i < dmax->queues; i++)
		if (busy & 1U << i)
			dmax_queue_turn(dmax, &dmax->queue[i], POLL_BYTES / count);
	return busy;
}

static void dmax_page_response(void *state, uint32_t pasid, uint32_t group, bool success)
{
	struct dmax *dmax = state;

	(void)pasid;
	for (unsigned i = 0; i < dmax->queues; i++)
		dmax_queue_answer(dmax, &dmax->queue[i], group, success);
}

static void dmax_reset(void *state)
{
	struct dmax *dmax = state;

	dmax->doorbells = iommuse_memory(dmax->device, BAR_DOORBELLS, 0);
	dmax_clear(dmax);
}

static int dmax_create(struct iommuse_device *device, void **state)
{
	const char *queues = iommuse_value(device, "queues");
	struct dmax *dmax;

	if (queues[0] < '1' || queues[0] > '0' + (int)DMAX_QUEUES || queues[1]) {
		iommuse_say(device, "queues is from 1 to 8");
		return -EINVAL;
	}
	dmax = calloc(1, sizeof(*dmax));
	if (!dmax)
		return -ENOMEM;
	dmax->device = device;
	dmax->queues = (unsigned)(queues[0] - '0');
	dmax_work_init(dmax);
	*state = dmax;
	return 0;
}

static const struct iommuse_key keys[] = {
	{"queues", "1..8", "how many queues it has", "4"},
	{NULL, NULL, NULL, NULL},
};

const struct iommuse_model dmax_model = {
	.struct_size = sizeof(struct iommuse_model),
	.api_version = IOMMUSE_DEVICE_API,
	.name = "dmax",
	.title = "an accelerator with queues, PASIDs and page faults: docs/devices/dmax.md",
	.example = "iommuse run --device dmax -- ./copy_by_pointer",
	.keys = keys,
	/* Nobody's: no driver of real hardware takes it for its own. */
	.vendor = 0x494d,
	.device = 0xd3a0,
	.subsystem_vendor = 0x494d,
	.subsystem_device = 0xd3a0,
	.class_code = 0x120000,
	.revision = 0x01,
	.bar = {[BAR_REGISTERS] = {.size = REGISTERS_SIZE, .wide = true},
		[BAR_DOORBELLS] = {.size = DMAX_QUEUES * DMAX_PAGE,
				   .wide = true,
				   .area = {{.offset = 0, .length = DMAX_QUEUES * DMAX_PAGE}}}},
	.msix_vectors = DMAX_VECTORS,
	.msix_bar = BAR_REGISTERS,
	.msix_table = MSIX_TABLE,
	.msix_pba = MSIX_PBA,
	.pasid_bits = 20,
	.page_requests = true,
	.create = dmax_create,
	.destroy = free,
	.reset = dmax_reset,
	.read = dmax_read,
	.write = dmax_write,
	.poll = dmax_poll,
	.page_response = dmax_page_response,
};

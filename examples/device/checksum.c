/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI device that sums memory. docs/writing-a-device.md walks through it.
 *
 *	cc -shared -fPIC -I include examples/device/checksum.c -o checksum.so
 *	iommuse run --device ./checksum.so -- PROGRAM
 */
#include "checksum.h"

#include <iommuse/device.h>

#include <errno.h>
#include <stdlib.h>

#define BASE 65521 /* Adler-32: two sums modulo this prime */

struct checksum {
	struct iommuse_device *device;
	uint64_t chunk; /* bytes that are summed in one callback */
	/* What reset() clears. */
	uint64_t address, length, done;
	uint64_t status, fault;
	uint32_t low, high, bell;
};

static int checksum_create(struct iommuse_device *device, void **state)
{
	struct checksum *sum = calloc(1, sizeof(*sum));

	if (!sum)
		return -ENOMEM;
	sum->device = device;
	sum->chunk = strtoull(iommuse_value(device, "chunk"), NULL, 0);
	if (!sum->chunk || sum->chunk > 65536) {
		iommuse_say(device, "chunk is from 1 to 65536");
		free(sum);
		return -EINVAL;
	}
	*state = sum;
	return 0;
}

static void checksum_reset(void *state)
{
	struct checksum *sum = state;

	*sum = (struct checksum){.device = sum->device, .chunk = sum->chunk, .low = 1};
}

static uint64_t checksum_read(void *state, unsigned bar, uint64_t offset, unsigned width)
{
	const struct checksum *sum = state;

	if (bar || width != 8)
		return 0;
	if (offset == CHECKSUM_STATUS)
		return sum->status;
	if (offset == CHECKSUM_RESULT)
		return sum->high << 16 | sum->low;
	return offset == CHECKSUM_FAULT ? sum->fault : 0;
}

static void checksum_write(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	struct checksum *sum = state;

	if (bar || width != 8 || sum->status == CHECKSUM_BUSY)
		return;
	if (offset == CHECKSUM_ADDRESS)
		sum->address = value;
	else if (offset == CHECKSUM_LENGTH)
		sum->length = value;
}

static void finish(struct checksum *sum, uint64_t status)
{
	sum->status = status;
	iommuse_raise(sum->device, 0);
}

/* One chunk, in the driver's memory itself where that is possible. */
static void work(struct checksum *sum)
{
	uint64_t left = sum->length - sum->done, n = left < sum->chunk ? left : sum->chunk;
	struct iommuse_fault fault = {0};
	struct iommuse_mapping mapping;

	if (iommuse_dma_map(sum->device, IOMMUSE_NO_PASID, sum->address + sum->done, n, IOMMUSE_READ, &mapping,
			    &fault)) {
		sum->fault = fault.iova;
		finish(sum, CHECKSUM_ERROR);
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		sum->low = (sum->low + ((const uint8_t *)mapping.memory)[i]) % BASE;
		sum->high = (sum->high + sum->low) % BASE;
	}
	iommuse_dma_unmap(sum->device, &mapping);
	sum->done += n;
}

static bool checksum_poll(void *state)
{
	struct checksum *sum = state;
	const uint32_t *doorbell = iommuse_memory(sum->device, 0, CHECKSUM_DOORBELL);
	uint32_t bell = __atomic_load_n(doorbell, __ATOMIC_ACQUIRE);

	if (sum->status != CHECKSUM_BUSY) {
		if (bell == sum->bell)
			return false;
		sum->bell = bell;
		sum->status = CHECKSUM_BUSY;
		sum->done = sum->high = sum->fault = 0;
		sum->low = 1;
	}
	if (sum->done < sum->length)
		work(sum);
	else
		finish(sum, CHECKSUM_DONE);
	return true;
}

const struct iommuse_model *iommuse_get_model(void)
{
	static const struct iommuse_key keys[] = {{"chunk", "BYTES", "how much is summed in one go", "65536"}, {0}};
	static const struct iommuse_model model = {
		.struct_size = sizeof(model),
		.api_version = IOMMUSE_DEVICE_API,
		.name = "checksum",
		.title = "a device that sums memory: Adler-32",
		.keys = keys,
		.vendor = CHECKSUM_VENDOR,
		.device = CHECKSUM_DEVICE,
		.class_code = 0x120000, /* a processing accelerator */
		.bar = {{.size = 0x4000, .area = {{.offset = CHECKSUM_DOORBELL, .length = 0x1000}}}},
		.msix_vectors = 1,
		.msix_table = 0x2000,
		.msix_pba = 0x3000,
		.create = checksum_create,
		.destroy = free,
		.reset = checksum_reset,
		.read = checksum_read,
		.write = checksum_write,
		.poll = checksum_poll,
	};

	return &model;
}

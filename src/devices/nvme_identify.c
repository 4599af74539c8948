/* SPDX-License-Identifier: BSD-3-Clause */
/* Identify (5.15): what the controller and its namespace are. */
#include "devices/nvme.h"
#include "devices/nvme_bytes.h"

#include <stdio.h>

enum {
	CNS_NAMESPACE = 0x00,
	CNS_CONTROLLER = 0x01,
	CNS_NAMESPACES = 0x02,
	CNS_DESCRIPTORS = 0x03,

	DESCRIPTOR_EUI64 = 1,
};

/* A qualified name (7.9), with an UUID that says which image it is, and by what serial number. */
static void put_name(const struct nvme *nvme, char *to, size_t room)
{
	uint64_t image = image_identity(nvme->image), serial = 0;

	for (const char *c = nvme->serial; *c; c++)
		serial = serial * 31 + (uint8_t)*c;
	snprintf(to, room, "nqn.2014-08.org.nvmexpress:uuid:%08x-%04x-8%03x-8%03x-%012llx", (uint32_t)(image >> 32),
		 (uint32_t)(image >> 16 & 0xffff), (uint32_t)(image >> 4 & 0xfff),
		 (uint32_t)(image << 8 & 0xf00) | (uint32_t)(serial >> 48 & 0xff),
		 (unsigned long long)(serial & 0xffffffffffff));
}

/* 5.15.2.2, figure 247 */
static void fill_controller(const struct nvme *nvme, uint8_t *data)
{
	put16(data, 0, NVME_VENDOR);
	put16(data, 2, NVME_VENDOR);
	put_text(data, 4, 20, nvme->serial);
	put_text(data, 24, 40, "iommuse NVMe");
	put_text(data, 64, 8, IOMMUSE_VERSION);
	data[72] = 4; /* recommended burst: 16 commands */
	data[77] = (uint8_t)nvme->mdts;
	put32(data, 80, NVME_VERSION);
	data[111] = 1; /* a controller for I/O */
	data[258] = 3; /* aborts at once, less 1 */
	data[259] = NVME_EVENTS_MAX - 1;
	data[260] = 1 << 1 | 1; /* one firmware slot, which cannot be written */
	data[261] = 1 << 2;     /* log pages have offsets */
	data[262] = NVME_ERRORS - 1;
	put16(data, 266, NVME_WARM);
	put16(data, 268, NVME_HOT);
	data[512] = SQE_SHIFT << 4 | SQE_SHIFT;
	data[513] = CQE_SHIFT << 4 | CQE_SHIFT;
	put32(data, 516, 1); /* namespaces */
	/* compare, dataset management, write zeroes, selection of features, verify */
	put16(data, 520, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 7);
	data[525] = 3 << 1 | 1; /* a volatile write cache; a flush may be for all namespaces */
	/* SGLs at any address, bit buckets, and lists longer than the data */
	put32(data, 536, 1 | 1 << 16 | 1 << 18);
	put_name(nvme, (char *)data + 768, 256);
	put16(data, 2048, 500); /* the one power state: at most 5 W, in units of 10 mW */
}

/* 5.15.2.1, figure 245 */
static void fill_namespace(const struct nvme *nvme, uint8_t *data)
{
	put64(data, 0, nvme->blocks);
	put64(data, 8, nvme->blocks);
	put64(data, 16, nvme->blocks);
	data[33] = 1 << 3 | 1; /* what is deallocated reads as zeroes; so can zeroes be written */
	put64(data, 48, nvme->blocks << nvme->block_shift);
	data[99] = nvme->read_only;
	put64(data, 120, __builtin_bswap64(nvme->eui64));
	data[130] = (uint8_t)nvme->block_shift;
}

static uint16_t fill(const struct nvme *nvme, const struct nvme_command *command, uint8_t *data)
{
	switch (command->dw10 & 0xff) {
	case CNS_NAMESPACE:
		if (command->nsid != NVME_NSID)
			return NVME_INVALID_NAMESPACE;
		fill_namespace(nvme, data);
		return NVME_SUCCESS;
	case CNS_CONTROLLER:
		fill_controller(nvme, data);
		return NVME_SUCCESS;
	case CNS_NAMESPACES:
		/* Those above the one that is said. */
		if (command->nsid >= NVME_ALL_NAMESPACES - 1)
			return NVME_INVALID_NAMESPACE;
		put32(data, 0, command->nsid < NVME_NSID ? NVME_NSID : 0);
		return NVME_SUCCESS;
	case CNS_DESCRIPTORS:
		if (command->nsid != NVME_NSID)
			return NVME_INVALID_NAMESPACE;
		data[0] = DESCRIPTOR_EUI64;
		data[1] = sizeof(uint64_t);
		put64(data, 4, __builtin_bswap64(nvme->eui64));
		return NVME_SUCCESS;
	default:
		return NVME_INVALID_FIELD;
	}
}

uint16_t nvme_identify(struct nvme *nvme, const struct nvme_command *command)
{
	uint8_t data[NVME_IDENTIFY] = {0};
	struct nvme_spans spans;
	uint16_t status = fill(nvme, command, data);

	if (!status)
		status = nvme_find_data(nvme, command, sizeof(data), &spans);
	return status ? status : nvme_to_memory(nvme, &spans, 0, data, sizeof(data));
}

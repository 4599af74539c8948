/* SPDX-License-Identifier: BSD-3-Clause */
/* Log pages (5.14). */
#include "devices/nvme.h"
#include "devices/nvme_bytes.h"

#include <time.h>

#define LOG_MAX     4096U
#define ERROR_SIZE  64U
#define HEALTH_SIZE 512U
#define RETAIN      (1U << 15) /* an event that told of the page stays told */

_Static_assert(NVME_ERRORS *ERROR_SIZE <= LOG_MAX, "the longest log page");

static uint64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

uint16_t nvme_log_error(struct nvme *nvme, uint16_t sq_id, const struct nvme_command *command, uint16_t status)
{
	struct nvme_error *error = &nvme->error[nvme->error_next++ % NVME_ERRORS];

	status |= STATUS_MORE;
	*error = (struct nvme_error){.count = ++nvme->counts.errors,
				     .sq_id = sq_id,
				     .cid = command->cid,
				     .status = status,
				     .lba = sq_id ? command->dw10 | (uint64_t)command->dw11 << 32 : 0,
				     .nsid = command->nsid};
	return status;
}

/* The newest first (5.14.1.1). */
static uint32_t fill_errors(const struct nvme *nvme, uint8_t *data)
{
	for (unsigned i = 0; i < NVME_ERRORS; i++) {
		const struct nvme_error *error = &nvme->error[(nvme->error_next - 1 - i) % NVME_ERRORS];
		uint8_t *entry = data + (size_t)i * ERROR_SIZE;

		if (!error->count)
			break;
		put64(entry, 0, error->count);
		put16(entry, 8, error->sq_id);
		put16(entry, 10, error->cid);
		put16(entry, 12, (uint16_t)(error->status << 1));
		put16(entry, 14, 0xffff); /* of no place in the command */
		put64(entry, 16, error->lba);
		put32(entry, 24, error->nsid);
	}
	return NVME_ERRORS * ERROR_SIZE;
}

static uint8_t warnings(const struct nvme_features *features)
{
	return NVME_TEMPERATURE >= features->over || NVME_TEMPERATURE <= features->under ? 1 << 1 : 0;
}

/* In thousands of 512 bytes, rounded up. */
static uint64_t units(uint64_t blocks)
{
	return (blocks + 999) / 1000;
}

/* 5.14.1.2 */
static uint32_t fill_health(const struct nvme *nvme, uint8_t *data)
{
	const struct nvme_counts *counts = &nvme->counts;

	data[0] = warnings(&nvme->features);
	put16(data, 1, NVME_TEMPERATURE);
	data[3] = 100; /* % of the spare blocks are there */
	data[4] = 10;  /* fewer would be too few */
	put64(data, 32, units(counts->blocks_read));
	put64(data, 48, units(counts->blocks_written));
	put64(data, 64, counts->reads);
	put64(data, 80, counts->writes);
	put64(data, 112, 1); /* times that it was switched on */
	put64(data, 128, (now_s() - nvme->made_at) / 3600);
	put64(data, 144, counts->unsafe_shutdowns);
	put64(data, 160, counts->media_errors);
	put64(data, 176, counts->errors);
	return HEALTH_SIZE;
}

/* 5.14.1.3 */
static uint32_t fill_firmware(uint8_t *data)
{
	data[0] = 1; /* the slot */
	put_text(data, 8, 8, IOMMUSE_VERSION);
	return 512;
}

/* Returns its length; 0: there is no such page. */
static uint32_t fill(const struct nvme *nvme, uint32_t page, uint8_t *data)
{
	switch (page) {
	case LOG_ERROR:
		return fill_errors(nvme, data);
	case LOG_HEALTH:
		return fill_health(nvme, data);
	case LOG_FIRMWARE:
		return fill_firmware(data);
	case LOG_CHANGED_NAMESPACES:
		return LOG_MAX; /* none ever does */
	default:
		return 0;
	}
}

/* An event may be told again when its page was read (5.2). */
static void unmask(struct nvme *nvme, uint32_t page)
{
	if (page == LOG_ERROR)
		nvme->events.masked[EVENT_ERROR] = false;
	else if (page == LOG_HEALTH)
		nvme->events.masked[EVENT_HEALTH] = false;
}

uint16_t nvme_get_log(struct nvme *nvme, const struct nvme_command *command)
{
	uint64_t dwords = (command->dw10 >> 16 | (uint64_t)(command->dw11 & 0xffff) << 16) + 1;
	uint64_t offset = command->dw12 | (uint64_t)command->dw13 << 32, n = dwords * 4;
	uint32_t page = command->dw10 & 0xff, length;
	uint8_t data[LOG_MAX] = {0};
	struct nvme_spans spans;
	uint16_t status;

	length = fill(nvme, page, data);
	if (!length)
		return NVME_INVALID_LOG_PAGE;
	/* They are the controller's (5.14). */
	if (command->nsid && command->nsid != NVME_ALL_NAMESPACES)
		return command->nsid == NVME_NSID ? NVME_INVALID_FIELD : NVME_INVALID_NAMESPACE;
	if (n > nvme_transfer_max(nvme) || offset % 4 || offset > length)
		return NVME_INVALID_FIELD;
	/* The driver's list is of all that it asks for. What of that lies beyond the page's end is undefined. */
	status = nvme_find_data(nvme, command, (uint32_t)n, &spans);
	n = n < length - offset ? n : length - offset;
	if (!status)
		status = nvme_to_memory(nvme, &spans, 0, data + offset, (uint32_t)n);
	if (status)
		return status;
	if (!(command->dw10 & RETAIN))
		unmask(nvme, page);
	return NVME_SUCCESS;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The registers of dmax: all are of 32 bits, or halves of 64. */
#include "devices/dmax.h"

#define ID      0x58414d44U /* "DMAX" */
#define VERSION 0x00010000U

enum {
	REG_ID = 0x00,
	REG_VERSION = 0x04,
	REG_QUEUES = 0x08,
	REG_OPERATIONS = 0x0c,
	REG_MAX_TRANSFER = 0x10,
	REG_MAX_BATCH = 0x14,
	REG_MAX_RING = 0x18,
	REG_CONTROL = 0x20,
	REG_STATUS = 0x24,
	REG_ERRORS = 0x28,
	REG_QUEUE = 0x100, /* the first */
};

/* In the registers of a queue. */
enum {
	Q_BASE = 0x00,
	Q_SIZE = 0x08,
	Q_PASID = 0x0c,
	Q_VECTOR = 0x10,
	Q_COMMAND = 0x14,
	Q_STATE = 0x18,
	Q_ERROR = 0x1c,
	Q_ERROR_ADDRESS = 0x20,
	Q_HEAD = 0x28,
	Q_TAIL = 0x2c,
	Q_STRIDE = 0x40,
};

enum {
	CONTROL_ENABLE = 0x1,
	CONTROL_RESET = 0x2,

	COMMAND_START = 1,
	COMMAND_DRAIN = 2,
	COMMAND_STOP = 3,
};

void dmax_clear(struct dmax *dmax)
{
	dmax->enabled = false;
	for (unsigned i = 0; i < DMAX_QUEUES; i++)
		dmax_queue_clear(&dmax->queue[i], i);
	for (unsigned at = 0; dmax->doorbells && at < DMAX_QUEUES * DMAX_PAGE; at += sizeof(uint32_t))
		__atomic_store_n((uint32_t *)(void *)(dmax->doorbells + at), 0, __ATOMIC_RELAXED);
}

static uint32_t lower(uint64_t value)
{
	return (uint32_t)value;
}

static uint32_t upper(uint64_t value)
{
	return (uint32_t)(value >> 32);
}

static uint32_t errors(const struct dmax *dmax)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < dmax->queues; i++)
		if (dmax->queue[i].error)
			bits |= 1U << i;
	return bits;
}

static uint32_t read_queue(const struct dmax_queue *queue, unsigned offset)
{
	switch (offset) {
	case Q_BASE:
		return lower(queue->base);
	case Q_BASE + 4:
		return upper(queue->base);
	case Q_SIZE:
		return queue->size;
	case Q_PASID:
		return queue->pasid;
	case Q_VECTOR:
		return queue->vector;
	case Q_STATE:
		return dmax_queue_state(queue);
	case Q_ERROR:
		return queue->error;
	case Q_ERROR_ADDRESS:
		return lower(queue->error_address);
	case Q_ERROR_ADDRESS + 4:
		return upper(queue->error_address);
	case Q_HEAD:
		return queue->head;
	case Q_TAIL:
		return queue->tail;
	default:
		return 0;
	}
}

static uint32_t read32(const struct dmax *dmax, uint64_t offset)
{
	if (offset >= REG_QUEUE && offset < REG_QUEUE + (uint64_t)dmax->queues * Q_STRIDE)
		return read_queue(&dmax->queue[(offset - REG_QUEUE) / Q_STRIDE], offset % Q_STRIDE);
	switch (offset) {
	case REG_ID:
		return ID;
	case REG_VERSION:
		return VERSION;
	case REG_QUEUES:
		return dmax->queues;
	case REG_OPERATIONS:
		return (1U << DMAX_OPERATIONS) - 1;
	case REG_MAX_TRANSFER:
		return DMAX_TRANSFER_MAX;
	case REG_MAX_BATCH:
		return DMAX_BATCH_MAX;
	case REG_MAX_RING:
		return DMAX_RING_MAX;
	case REG_CONTROL:
	case REG_STATUS:
		return dmax->enabled;
	case REG_ERRORS:
		return errors(dmax);
	default:
		return 0;
	}
}

uint64_t dmax_read_register(const struct dmax *dmax, uint64_t offset, unsigned width)
{
	uint64_t value;

	if (width == 8)
		return read32(dmax, offset) | (uint64_t)read32(dmax, offset + 4) << 32;
	value = read32(dmax, offset & ~UINT64_C(3)) >> offset % 4 * 8;
	return width == 4 ? value : value & ((1U << width * 8) - 1);
}

static void command(struct dmax *dmax, struct dmax_queue *queue, uint32_t value)
{
	if (value == COMMAND_START)
		dmax_queue_start(dmax, queue);
	else if (value == COMMAND_DRAIN)
		dmax_queue_drain(dmax, queue);
	else if (value == COMMAND_STOP)
		dmax_queue_stop(dmax, queue);
}

static void write_queue(struct dmax *dmax, struct dmax_queue *queue, unsigned offset, uint32_t value)
{
	if (offset == Q_COMMAND) {
		command(dmax, queue, value);
		return;
	}
	if (queue->state != DMAX_DISABLED && queue->state != DMAX_HALTED)
		return;
	if (offset == Q_BASE)
		queue->base = (queue->base & ~UINT64_C(0xffffffff)) | value;
	else if (offset == Q_BASE + 4)
		queue->base = (queue->base & 0xffffffffU) | (uint64_t)value << 32;
	else if (offset == Q_SIZE)
		queue->size = value;
	else if (offset == Q_PASID)
		queue->pasid = value;
	else if (offset == Q_VECTOR)
		queue->vector = value;
}

static void write32(struct dmax *dmax, uint64_t offset, uint32_t value)
{
	if (offset >= REG_QUEUE && offset < REG_QUEUE + (uint64_t)dmax->queues * Q_STRIDE)
		write_queue(dmax, &dmax->queue[(offset - REG_QUEUE) / Q_STRIDE], offset % Q_STRIDE, value);
	else if (offset == REG_CONTROL && value & CONTROL_RESET)
		dmax_clear(dmax);
	else if (offset == REG_CONTROL)
		dmax->enabled = value & CONTROL_ENABLE;
}

void dmax_write_register(struct dmax *dmax, uint64_t offset, unsigned width, uint64_t value)
{
	if (width < 4)
		return;
	write32(dmax, offset, lower(value));
	if (width == 8)
		write32(dmax, offset + 4, upper(value));
}

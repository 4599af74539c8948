/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model "dmax": an accelerator with queues in memory. docs/devices/dmax.md says what drivers see.
 *
 * A queue has one descriptor of its ring in hand, `work`; if that is a batch, one descriptor of the batch as well,
 * `member`. Work that is cut short, at the end of a callback's share or to wait for a page, goes on from `done`.
 */
#ifndef IOMMUSE_DEVICES_DMAX_H
#define IOMMUSE_DEVICES_DMAX_H

#include "iommuse/device.h"

#define DMAX_QUEUES       8U
#define DMAX_VECTORS      (1U + DMAX_QUEUES)
#define DMAX_PAGE         0x1000U /* of doorbells */
#define DMAX_TRANSFER_MAX 0x7fffffffU
#define DMAX_BATCH_MAX    1024U
#define DMAX_RING_MAX     32768U
#define DMAX_AHEAD        8U     /* descriptors that are read at once */
#define DMAX_PIECE        65536U /* what passes through memory of the model at a time */

enum dmax_operation {
	DMAX_NOOP,
	DMAX_COPY,
	DMAX_FILL,
	DMAX_COMPARE,
	DMAX_CHECKSUM,
	DMAX_BATCH,
	DMAX_OPERATIONS,
};

enum {
	FLAG_RECORD = 0x1,
	FLAG_INTERRUPT = 0x2,
	FLAG_BLOCK = 0x4,
	FLAG_FENCE = 0x8,
	FLAGS = 0xf,
};

struct dmax_descriptor {
	uint8_t operation, reserved0;
	uint16_t flags;
	uint32_t length;
	uint64_t record, source, destination, value;
	uint64_t reserved1[3];
};

struct dmax_record {
	uint8_t status, access;
	uint16_t reserved0;
	uint32_t done;
	uint64_t address, result, reserved1;
};

_Static_assert(sizeof(struct dmax_descriptor) == 64, "as documented");
_Static_assert(sizeof(struct dmax_record) == 32, "as documented");

enum dmax_status {
	DMAX_UNDER_WAY,
	DMAX_SUCCESS,
	DMAX_PAGE_FAULT,
	DMAX_BAD_OPCODE,
	DMAX_BAD_FLAGS,
	DMAX_BAD_RESERVED,
	DMAX_BAD_LENGTH,
	DMAX_BAD_ADDRESS,
	DMAX_OVERLAP,
	DMAX_NESTED,
	DMAX_BATCH_FAILED,
	DMAX_ABANDONED,
	/* Of queues only: */
	DMAX_ERROR_BASE = 0x40,
	DMAX_ERROR_SIZE,
	DMAX_ERROR_PASID,
	DMAX_ERROR_VECTOR,
	DMAX_ERROR_DOORBELL,
	DMAX_ERROR_RING,
	DMAX_ERROR_RECORD,
};

/* A descriptor that is being carried out. */
struct dmax_work {
	struct dmax_descriptor descriptor;
	enum dmax_status status;
	uint32_t done;    /* bytes; of a batch: descriptors that succeeded */
	uint64_t address; /* of a page fault */
	uint32_t access;  /* enum iommuse_direction: of a page fault; 0: there is none */
	uint64_t result;
};

enum dmax_state {
	DMAX_DISABLED,
	DMAX_ENABLED,
	DMAX_DRAINING,
	DMAX_HALTED,
};

struct dmax_queue {
	/* As registers. They change while nothing is under way only. */
	uint64_t base;
	uint32_t size, pasid, vector;

	enum dmax_state state;
	enum dmax_status error;
	uint64_t error_address;
	uint32_t head, tail; /* modulo 2^32 */

	struct dmax_descriptor ahead[DMAX_AHEAD]; /* of the ring, the first is number ahead_first */
	uint32_t ahead_first, ahead_count;

	bool busy, member_busy; /* work, member are under way */
	struct dmax_work work, member;
	uint32_t next;  /* of the batch: index of the member, or of the one that will be it */
	bool abandoned; /* a fence was met: no more of the batch is carried out */

	bool waiting; /* for the answer to group */
	uint32_t group;
	unsigned asked; /* how often, for the same byte */
	struct dmax_work *waits;
};

struct dmax {
	struct iommuse_device *device;
	unsigned queues;
	bool enabled;
	uint8_t *doorbells; /* NULL: the device is not open */
	struct dmax_queue queue[DMAX_QUEUES];

	uint32_t crc[8][256];
	uint64_t fill_value;
	uint8_t a[DMAX_PIECE], b[DMAX_PIECE];
	uint8_t fill[DMAX_PIECE + sizeof(uint64_t)]; /* fill_value again and again */
};

static inline unsigned dmax_number(const struct dmax *dmax, const struct dmax_queue *queue)
{
	return (unsigned)(queue - dmax->queue);
}

static inline uint32_t dmax_pasid(const struct dmax_queue *queue)
{
	return queue->pasid & 0xfffffU;
}

/* Registers */

uint64_t dmax_read_register(const struct dmax *dmax, uint64_t offset, unsigned width);
void dmax_write_register(struct dmax *dmax, uint64_t offset, unsigned width, uint64_t value);

/* Brings the device, doorbell pages included, into the state of power-on. */
void dmax_clear(struct dmax *dmax);

/* Queues */

/* As drivers see it. */
uint32_t dmax_queue_state(const struct dmax_queue *queue);
void dmax_queue_clear(struct dmax_queue *queue, unsigned number);
void dmax_queue_start(struct dmax *dmax, struct dmax_queue *queue);
void dmax_queue_drain(struct dmax *dmax, struct dmax_queue *queue);
void dmax_queue_stop(struct dmax *dmax, struct dmax_queue *queue);

/* Looks at the doorbell. Returns whether the queue has something to do. */
bool dmax_queue_look(struct dmax *dmax, struct dmax_queue *queue);

/* Does some of it, about `share` bytes. */
void dmax_queue_turn(struct dmax *dmax, struct dmax_queue *queue, uint32_t share);

/* The pages of group, for which it may wait, were made accessible, or will not be. */
void dmax_queue_answer(struct dmax *dmax, struct dmax_queue *queue, uint32_t group, bool success);

/* Work */

/* What is wrong with the descriptor, or DMAX_UNDER_WAY. */
enum dmax_status dmax_work_check(const struct dmax_descriptor *descriptor, bool in_batch);

/*
 * Does at most `most` bytes of work, which is no batch, in the address space of a PASID. Returns how many bytes it took
 * on. *reason: 0, or why it was stopped at work->address, with work->access.
 */
uint32_t dmax_work_step(struct dmax *dmax, struct dmax_work *work, uint32_t pasid, uint32_t most, uint32_t *reason);

/* Makes dmax->crc and dmax->fill. */
void dmax_work_init(struct dmax *dmax);

#endif

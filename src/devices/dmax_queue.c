/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of dmax: rings and batches of descriptors, their records, and pages that are waited for. */
#include "devices/dmax.h"

#include <errno.h>
#include <string.h>

/* A doorbell page */
enum {
	D_TAIL = 0x0,
	D_HEAD = 0x4,
	D_STATE = 0x8,
};

enum {
	STATE_WAITING = 0x10,
	PASID_VALID = 0x80000000U,
};

#define ASKED_MAX 16U

/* Groups of page requests: a queue takes one after another, as one that it gave up may not have been answered yet. */
#define GROUPS (512U / DMAX_QUEUES)

/* Steps of a turn: descriptors read, records written, pieces of memory. */
#define TURN_STEPS 64U

/* The doorbell page */

static uint32_t *doorbell(struct dmax *dmax, const struct dmax_queue *queue, unsigned offset)
{
	return (uint32_t *)(void *)(dmax->doorbells + (size_t)dmax_number(dmax, queue) * DMAX_PAGE + offset);
}

static void show(struct dmax *dmax, const struct dmax_queue *queue, unsigned offset, uint32_t value)
{
	if (dmax->doorbells)
		__atomic_store_n(doorbell(dmax, queue, offset), value, __ATOMIC_RELEASE);
}

uint32_t dmax_queue_state(const struct dmax_queue *queue)
{
	return queue->state | (queue->waiting ? STATE_WAITING : 0U);
}

static void show_state(struct dmax *dmax, const struct dmax_queue *queue)
{
	show(dmax, queue, D_STATE, dmax_queue_state(queue));
}

/* States */

static void forget_work(struct dmax_queue *queue)
{
	queue->ahead_count = 0;
	queue->busy = false;
	queue->member_busy = false;
	queue->waiting = false;
}

static void halt(struct dmax *dmax, struct dmax_queue *queue, enum dmax_status error, uint64_t address)
{
	forget_work(queue);
	queue->state = DMAX_HALTED;
	queue->error = error;
	queue->error_address = address;
	show_state(dmax, queue);
	iommuse_raise(dmax->device, 0);
}

void dmax_queue_clear(struct dmax_queue *queue, unsigned number)
{
	uint32_t group = queue->group;

	*queue = (struct dmax_queue){.vector = 1 + number, .group = group};
}

static enum dmax_status check(const struct dmax_queue *queue)
{
	uint64_t bytes = queue->size * (uint64_t)sizeof(struct dmax_descriptor);

	if (queue->base % sizeof(struct dmax_descriptor))
		return DMAX_ERROR_BASE;
	if (queue->size < 2 || queue->size > DMAX_RING_MAX || queue->size & (queue->size - 1))
		return DMAX_ERROR_SIZE;
	if (queue->base + (bytes - 1) < queue->base)
		return DMAX_ERROR_BASE;
	if (queue->pasid && (!dmax_pasid(queue) || queue->pasid != (PASID_VALID | dmax_pasid(queue))))
		return DMAX_ERROR_PASID;
	if (queue->vector >= DMAX_VECTORS)
		return DMAX_ERROR_VECTOR;
	return DMAX_UNDER_WAY;
}

void dmax_queue_start(struct dmax *dmax, struct dmax_queue *queue)
{
	if (queue->state != DMAX_DISABLED && queue->state != DMAX_HALTED)
		return;
	queue->error = check(queue);
	queue->error_address = 0;
	queue->head = 0;
	queue->tail = 0;
	queue->ahead_count = 0;
	queue->state = queue->error ? DMAX_DISABLED : DMAX_ENABLED;
	show(dmax, queue, D_TAIL, 0);
	show(dmax, queue, D_HEAD, 0);
	show_state(dmax, queue);
}

void dmax_queue_stop(struct dmax *dmax, struct dmax_queue *queue)
{
	forget_work(queue);
	queue->state = DMAX_DISABLED;
	queue->error = 0;
	queue->error_address = 0;
	show_state(dmax, queue);
}

/* Returns whether the queue still runs. */
static bool take_tail(struct dmax *dmax, struct dmax_queue *queue)
{
	uint32_t tail = __atomic_load_n(doorbell(dmax, queue, D_TAIL), __ATOMIC_ACQUIRE);
	uint32_t outstanding = queue->tail - queue->head;

	/* In arithmetic modulo 2^32, what is behind the tail before is far ahead of the head, or less far than it. */
	if (tail - queue->head > queue->size || tail - queue->head < outstanding) {
		halt(dmax, queue, DMAX_ERROR_DOORBELL, 0);
		return false;
	}
	queue->tail = tail;
	return true;
}

static void end_drain(struct dmax *dmax, struct dmax_queue *queue)
{
	queue->state = DMAX_DISABLED;
	show_state(dmax, queue);
	iommuse_raise(dmax->device, queue->vector);
}

void dmax_queue_drain(struct dmax *dmax, struct dmax_queue *queue)
{
	if (queue->state != DMAX_ENABLED || !dmax->doorbells || !take_tail(dmax, queue))
		return;
	queue->state = DMAX_DRAINING;
	if (queue->head == queue->tail && dmax->enabled)
		end_drain(dmax, queue);
	else
		show_state(dmax, queue);
}

/* Completions */

static int write_record(struct dmax *dmax, struct dmax_queue *queue, const struct dmax_work *work)
{
	const struct dmax_descriptor *descriptor = &work->descriptor;
	struct dmax_record record = {.status = (uint8_t)work->status,
				     .access = (uint8_t)work->access,
				     .done = work->done,
				     .address = work->address,
				     .result = work->result};
	uint32_t pasid = dmax_pasid(queue);
	struct iommuse_fault fault;

	if (descriptor->record % sizeof(record) ||
	    iommuse_dma_write(dmax->device, pasid, descriptor->record + 1, &record.access, sizeof(record) - 1,
			      &fault) ||
	    iommuse_dma_write(dmax->device, pasid, descriptor->record, &record.status, 1, &fault)) {
		halt(dmax, queue, DMAX_ERROR_RECORD, descriptor->record);
		return -EFAULT;
	}
	return 0;
}

/* What is about a page fault that was mended is not told. */
static void tidy(struct dmax_work *work)
{
	if (work->status == DMAX_PAGE_FAULT)
		return;
	work->address = 0;
	work->access = 0;
}

static void complete_member(struct dmax *dmax, struct dmax_queue *queue)
{
	struct dmax_work *member = &queue->member, *batch = &queue->work;

	tidy(member);
	queue->member_busy = false;
	if (member->descriptor.flags & FLAG_RECORD && write_record(dmax, queue, member))
		return;
	if (member->status == DMAX_SUCCESS)
		batch->done++;
	else if (batch->result == batch->descriptor.length)
		batch->result = queue->next;
	queue->next++;
	if (member->descriptor.flags & FLAG_INTERRUPT)
		iommuse_raise(dmax->device, queue->vector);
}

static void complete(struct dmax *dmax, struct dmax_queue *queue)
{
	struct dmax_work *work = &queue->work;

	tidy(work);
	if (!(work->descriptor.flags & FLAG_RECORD) && work->status != DMAX_SUCCESS) {
		halt(dmax, queue, work->status, work->address);
		return;
	}
	if (work->descriptor.flags & FLAG_RECORD && write_record(dmax, queue, work))
		return;
	queue->busy = false;
	queue->head++;
	show(dmax, queue, D_HEAD, queue->head);
	if (work->descriptor.flags & FLAG_INTERRUPT)
		iommuse_raise(dmax->device, queue->vector);
}

/* Page faults */

static uint32_t group_of(const struct dmax *dmax, const struct dmax_queue *queue)
{
	return dmax_number(dmax, queue) * GROUPS + queue->group;
}

static bool ask(struct dmax *dmax, struct dmax_queue *queue, const struct dmax_work *work)
{
	for (unsigned i = 0; i < GROUPS; i++) {
		int rc;

		queue->group = (queue->group + 1) % GROUPS;
		rc = iommuse_page_request(dmax->device, dmax_pasid(queue), work->address, work->access,
					  group_of(dmax, queue));
		if (rc != -EBUSY)
			return !rc;
	}
	return false;
}

/* Of work, at work->address. */
static void fault(struct dmax *dmax, struct dmax_queue *queue, struct dmax_work *work, uint32_t reason)
{
	bool blocks = work->descriptor.flags & FLAG_BLOCK && reason != IOMMUSE_FAULT_PAGE_REQUEST &&
		      reason != IOMMUSE_FAULT_BUS_MASTER;

	if (blocks && queue->asked < ASKED_MAX && ask(dmax, queue, work)) {
		queue->asked++;
		queue->waiting = true;
		queue->waits = work;
		show_state(dmax, queue);
		return;
	}
	work->status = DMAX_PAGE_FAULT;
}

void dmax_queue_answer(struct dmax *dmax, struct dmax_queue *queue, uint32_t group, bool success)
{
	if (!queue->waiting || group != group_of(dmax, queue))
		return;
	queue->waiting = false;
	if (!success)
		queue->waits->status = DMAX_PAGE_FAULT;
	show_state(dmax, queue);
}

/* Work */

static void begin(struct dmax_queue *queue, struct dmax_work *work, bool in_batch)
{
	work->status = dmax_work_check(&work->descriptor, in_batch);
	work->done = 0;
	work->address = 0;
	work->access = 0;
	work->result = 0;
	queue->asked = 0;
}

/* Reads what comes next in the ring, some at once as each read has its price. Returns whether the first came. */
static bool read_ahead(struct dmax *dmax, struct dmax_queue *queue)
{
	const uint32_t at = queue->head % queue->size;
	const uint64_t address = queue->base + (uint64_t)at * sizeof(struct dmax_descriptor);
	uint32_t n = queue->tail - queue->head;
	struct iommuse_fault blocked;

	n = n < DMAX_AHEAD ? n : DMAX_AHEAD;
	n = n < queue->size - at ? n : queue->size - at;
	queue->ahead_first = queue->head;
	queue->ahead_count = n;
	if (!iommuse_dma_read(dmax->device, dmax_pasid(queue), address, queue->ahead, n * sizeof(queue->ahead[0]),
			      &blocked))
		return true;
	queue->ahead_count = 0;
	if (blocked.iova - address < n * sizeof(queue->ahead[0]))
		queue->ahead_count = (uint32_t)((blocked.iova - address) / sizeof(queue->ahead[0]));
	if (!queue->ahead_count)
		halt(dmax, queue, DMAX_ERROR_RING, blocked.iova);
	return queue->ahead_count;
}

static void fetch(struct dmax *dmax, struct dmax_queue *queue)
{
	if (queue->head - queue->ahead_first >= queue->ahead_count && !read_ahead(dmax, queue))
		return;
	queue->work.descriptor = queue->ahead[queue->head - queue->ahead_first];
	begin(queue, &queue->work, false);
	queue->busy = true;
	if (queue->work.descriptor.operation == DMAX_BATCH && !queue->work.status) {
		queue->work.result = queue->work.descriptor.length;
		queue->next = 0;
		queue->member_busy = false;
		queue->abandoned = false;
	}
}

static void fetch_member(struct dmax *dmax, struct dmax_queue *queue)
{
	struct dmax_work *batch = &queue->work, *member = &queue->member;
	uint64_t address = batch->descriptor.source + (uint64_t)queue->next * sizeof(member->descriptor);
	struct iommuse_fault at;

	if (iommuse_dma_read(dmax->device, dmax_pasid(queue), address, &member->descriptor, sizeof(member->descriptor),
			     &at)) {
		batch->address = at.iova;
		batch->access = IOMMUSE_READ;
		fault(dmax, queue, batch, at.reason);
		return;
	}
	begin(queue, member, true);
	queue->member_busy = true;
	if (member->descriptor.flags & FLAG_FENCE && batch->result != batch->descriptor.length)
		queue->abandoned = true;
	if (queue->abandoned)
		member->status = DMAX_ABANDONED;
}

/* Returns how many bytes it was about, as do the next ones. */
static uint32_t step(struct dmax *dmax, struct dmax_queue *queue, struct dmax_work *work, uint32_t most)
{
	uint32_t done = work->done, reason, n;

	if (work->status)
		return 0;
	n = dmax_work_step(dmax, work, dmax_pasid(queue), most, &reason);
	if (work->done != done)
		queue->asked = 0;
	if (reason)
		fault(dmax, queue, work, reason);
	return n;
}

static uint32_t step_batch(struct dmax *dmax, struct dmax_queue *queue, uint32_t most)
{
	struct dmax_work *batch = &queue->work;
	uint32_t n;

	if (!queue->member_busy && queue->next == batch->descriptor.length) {
		batch->status = batch->done == batch->descriptor.length ? DMAX_SUCCESS : DMAX_BATCH_FAILED;
		return 0;
	}
	if (!queue->member_busy)
		fetch_member(dmax, queue);
	if (!queue->member_busy)
		return 0;
	n = step(dmax, queue, &queue->member, most);
	if (queue->member.status)
		complete_member(dmax, queue);
	return n;
}

/* The array could not be read, and no more comes: what was not reached has not succeeded. */
static void end_batch(struct dmax_queue *queue)
{
	struct dmax_work *batch = &queue->work;

	if (batch->status == DMAX_PAGE_FAULT && batch->result == batch->descriptor.length)
		batch->result = queue->next;
}

static uint32_t advance(struct dmax *dmax, struct dmax_queue *queue, uint32_t most)
{
	struct dmax_work *work = &queue->work;
	uint32_t n = 0;

	if (!queue->busy)
		fetch(dmax, queue);
	if (!queue->busy)
		return 0;
	if (work->descriptor.operation != DMAX_BATCH)
		n = step(dmax, queue, work, most);
	else if (!work->status)
		n = step_batch(dmax, queue, most);
	if (queue->busy && work->status) {
		if (work->descriptor.operation == DMAX_BATCH)
			end_batch(queue);
		complete(dmax, queue);
	}
	return n;
}

static bool runs(const struct dmax_queue *queue)
{
	return (queue->state == DMAX_ENABLED || queue->state == DMAX_DRAINING) && !queue->waiting;
}

bool dmax_queue_look(struct dmax *dmax, struct dmax_queue *queue)
{
	if (queue->state == DMAX_ENABLED && !take_tail(dmax, queue))
		return true;
	if (queue->state == DMAX_DRAINING && queue->head == queue->tail) {
		end_drain(dmax, queue);
		return true;
	}
	return runs(queue) && queue->head != queue->tail;
}

void dmax_queue_turn(struct dmax *dmax, struct dmax_queue *queue, uint32_t share)
{
	uint32_t bytes = 0;

	for (unsigned steps = 0; steps < TURN_STEPS && bytes < share; steps++) {
		if (!runs(queue) || queue->head == queue->tail)
			break;
		bytes += advance(dmax, queue, share - bytes);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues (4.1) and their doorbells. Drivers map those, so a store is seen late: once taken it is replaced by what no
 * driver stores there, so that a store of the same value is seen too.
 *
 * A completion is written by one copy of 16 bytes that are aligned, as is each of several; the phase bit is in the last
 * of them.
 */
#include "devices/nvme.h"

#define BELLS_CHECKED 16U /* at once */
#define BELLS         1024U

static uint32_t *bell(struct nvme *nvme, unsigned index)
{
	return (uint32_t *)(void *)(nvme->registers + NVME_DOORBELLS) + index;
}

static void silence(struct nvme *nvme, unsigned index)
{
	__atomic_store_n(bell(nvme, index), NVME_BELL_SILENT, __ATOMIC_RELAXED);
}

/* Queues */

void nvme_queues_forget(struct nvme *nvme)
{
	for (unsigned i = 0; i <= NVME_QUEUES_MAX; i++) {
		nvme->sq[i] = (struct nvme_sq){.id = (uint16_t)i};
		nvme->cq[i] = (struct nvme_cq){.id = (uint16_t)i};
	}
	nvme->sq_count = 0;
	nvme->last_queue = 0;
	nvme->turn = 0;
	nvme->bells_checked = 0;
	if (nvme->registers)
		for (unsigned i = 0; i < BELLS; i++)
			silence(nvme, i);
}

void nvme_sq_init(struct nvme *nvme, unsigned id, uint64_t base, uint32_t size, struct nvme_cq *cq)
{
	nvme->sq[id] = (struct nvme_sq){.exists = true, .id = (uint16_t)id, .size = size, .base = base, .cq = cq};
	cq->users++;
	nvme->sq_count += id != 0;
	nvme->last_queue = id > nvme->last_queue ? id : nvme->last_queue;
	silence(nvme, 2 * id);
}

void nvme_cq_init(struct nvme *nvme, unsigned id, uint64_t base, uint32_t size)
{
	nvme->cq[id] = (struct nvme_cq){.exists = true, .id = (uint16_t)id, .size = size, .base = base, .phase = true};
	nvme->last_queue = id > nvme->last_queue ? id : nvme->last_queue;
	silence(nvme, 2 * id + 1);
}

void nvme_cq_fini(struct nvme *nvme, struct nvme_cq *cq)
{
	cq->exists = false;
	silence(nvme, 2U * cq->id + 1);
}

/* Doorbells */

static uint32_t distance(uint32_t from, uint32_t to, uint32_t size)
{
	return to >= from ? to - from : to + size - from;
}

/* Did the driver ring? */
static bool rung(struct nvme *nvme, unsigned index, uint32_t *value)
{
	uint32_t *at = bell(nvme, index);

	*value = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	/* Where it rings again meanwhile, that is seen next time. */
	return *value != NVME_BELL_SILENT &&
	       __atomic_compare_exchange_n(at, value, NVME_BELL_SILENT, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* A tail that is valid adds at least one command, and no more than there is room for (5.2.1). */
static bool take_tail(struct nvme *nvme, struct nvme_sq *sq)
{
	uint32_t tail, used;

	if (!rung(nvme, 2U * sq->id, &tail))
		return false;
	used = distance(sq->head, sq->tail, sq->size);
	if (tail >= sq->size || tail == sq->tail || distance(sq->tail, tail, sq->size) + used >= sq->size)
		nvme_event(nvme, EVENT_ERROR, ERROR_INVALID_DOORBELL_VALUE);
	else
		sq->tail = tail;
	return true;
}

/* A head that is valid takes at least one completion, and only what was posted. */
static bool take_head(struct nvme *nvme, struct nvme_cq *cq)
{
	uint32_t posted = distance(cq->head, cq->tail, cq->size) - cq->staged_count, head;

	if (!rung(nvme, 2U * cq->id + 1, &head))
		return false;
	if (head >= cq->size || head == cq->head || distance(cq->head, head, cq->size) > posted) {
		nvme_event(nvme, EVENT_ERROR, ERROR_INVALID_DOORBELL_VALUE);
	} else {
		cq->head = head;
		nvme->pin_news = true;
	}
	return true;
}

bool nvme_take_doorbells(struct nvme *nvme)
{
	bool any = false;

	for (unsigned i = 0; i <= nvme->last_queue; i++) {
		if (nvme->cq[i].exists)
			any |= take_head(nvme, &nvme->cq[i]);
		if (nvme->sq[i].exists)
			any |= take_tail(nvme, &nvme->sq[i]);
	}
	return any;
}

static bool belongs(const struct nvme *nvme, unsigned index)
{
	unsigned id = index / 2;

	return id <= NVME_QUEUES_MAX && (index % 2 ? nvme->cq[id].exists : nvme->sq[id].exists);
}

void nvme_check_doorbells(struct nvme *nvme)
{
	for (unsigned n = 0; n < BELLS_CHECKED; n++) {
		unsigned i = nvme->bells_checked++ % BELLS;

		if (__atomic_load_n(bell(nvme, i), __ATOMIC_RELAXED) == NVME_BELL_SILENT || belongs(nvme, i))
			continue;
		silence(nvme, i);
		nvme_event(nvme, EVENT_ERROR, ERROR_INVALID_DOORBELL);
	}
}

/* Commands */

bool nvme_cq_has_room(const struct nvme_cq *cq)
{
	return distance(cq->head, cq->tail, cq->size) + cq->promised + 1 < cq->size;
}

/* How many commands can be begun. */
static unsigned fetchable(const struct nvme *nvme, const struct nvme_sq *sq)
{
	const struct nvme_cq *cq = sq->cq;
	uint32_t n = sq->tail >= sq->head ? sq->tail - sq->head : sq->size - sq->head;
	uint32_t room = cq->size - 1 - cq->promised - distance(cq->head, cq->tail, cq->size);
	/* A queue has its share of requests, so that none waits for another. */
	unsigned share = sq->id ? NVME_REQUESTS / nvme->sq_count : 0;

	n = n < room ? n : room;
	n = n < NVME_FETCH ? n : NVME_FETCH;
	if (!sq->id)
		return n;
	share = share > sq->under_way ? share - sq->under_way : 0;
	n = n < share ? n : share;
	return n < nvme->free_count ? n : nvme->free_count;
}

static void begin(struct nvme *nvme, struct nvme_sq *sq, const struct nvme_command *command)
{
	uint32_t result = 0;
	uint16_t status;

	status = sq->id ? nvme_io(nvme, sq, command) : nvme_admin(nvme, command, &result);
	if (status != NVME_LATER)
		nvme_complete(nvme, sq, command->cid, status, result);
}

static bool fetch_from(struct nvme *nvme, struct nvme_sq *sq)
{
	struct nvme_command command[NVME_FETCH];
	unsigned n = fetchable(nvme, sq);

	if (!n || sq->deleting || (!sq->id && nvme->cache_flush.under_way))
		return false;
	/* One that deletes or adds queues is alone, as are all that need no speed. */
	if (!sq->id)
		n = 1;
	if (iommuse_dma_read(nvme->device, IOMMUSE_NO_PASID, sq->base + ((uint64_t)sq->head << SQE_SHIFT), command,
			     n * sizeof(*command), NULL)) {
		nvme_fail(nvme);
		return true;
	}
	for (unsigned i = 0; i < n; i++) {
		sq->head = sq->head + 1 == sq->size ? 0 : sq->head + 1;
		sq->cq->promised++;
		begin(nvme, sq, &command[i]);
		if (nvme->state != NVME_READY)
			break;
	}
	return true;
}

bool nvme_fetch(struct nvme *nvme)
{
	unsigned id = nvme->turn;
	bool any = false;

	for (unsigned n = 0; n <= nvme->last_queue && nvme->state == NVME_READY && nvme->budget > 0; n++) {
		struct nvme_sq *sq = &nvme->sq[id];

		if (sq->exists && sq->head != sq->tail)
			any |= fetch_from(nvme, sq);
		id = id < nvme->last_queue ? id + 1 : 0;
	}
	nvme->turn = nvme->turn < nvme->last_queue ? nvme->turn + 1 : 0;
	return any;
}

/* Completions */

static void write_staged(struct nvme *nvme, struct nvme_cq *cq)
{
	uint32_t start = cq->tail - cq->staged_count; /* what is staged does not go round */
	unsigned n = cq->staged_count;

	cq->staged_count = 0;
	if (n && iommuse_dma_write(nvme->device, IOMMUSE_NO_PASID, cq->base + ((uint64_t)start << CQE_SHIFT),
				   cq->staged, n * sizeof(*cq->staged), NULL))
		nvme_fail(nvme);
}

/* All completions of its commands are there when the driver learns that it is gone: it takes others for aborted. */
void nvme_sq_fini(struct nvme *nvme, struct nvme_sq *sq)
{
	write_staged(nvme, sq->cq);
	sq->exists = false;
	sq->deleting = false;
	sq->cq->users--;
	nvme->sq_count--;
	silence(nvme, 2U * sq->id);
}

/* Would a driver that tries again have another result? (4.6.1, DNR) */
static bool final(uint16_t status)
{
	status &= STATUS_CODE;
	switch (status) {
	case NVME_SUCCESS:
	case NVME_DATA_TRANSFER_ERROR:
	case NVME_INTERNAL_ERROR:
	case NVME_ABORT_REQUESTED:
		return false;
	default:
		return status < NVME_WRITE_FAULT || status == NVME_COMPARE_FAILURE;
	}
}

void nvme_complete(struct nvme *nvme, struct nvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result)
{
	struct nvme_cq *cq = sq->cq;

	if (nvme->state != NVME_READY)
		return;
	if (final(status))
		status |= STATUS_DNR;
	cq->promised--;
	cq->news = true;
	cq->staged[cq->staged_count++] = (struct nvme_completion){.result = result,
								  .sq_head = (uint16_t)sq->head,
								  .sq_id = sq->id,
								  .cid = cid,
								  .status = (uint16_t)(status << 1 | cq->phase)};
	if (++cq->tail == cq->size) {
		write_staged(nvme, cq);
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
	if (cq->staged_count == NVME_STAGED)
		write_staged(nvme, cq);
}

/* Interrupts: messages, or the pin, which is up as long as a queue has something (7.5). */

static void set_pin(struct nvme *nvme, bool up)
{
	if (up != nvme->asserted)
		iommuse_set_intx(nvme->device, up);
	nvme->asserted = up;
}

static void update_pin(struct nvme *nvme)
{
	bool up = false;

	for (unsigned i = 0; i <= nvme->last_queue; i++) {
		const struct nvme_cq *cq = &nvme->cq[i];

		up |= cq->exists && cq->interrupts && cq->head != cq->tail;
	}
	set_pin(nvme, up && !(nvme->interrupt_mask & 1) && !iommuse_vectors(nvme->device));
}

bool nvme_post(struct nvme *nvme)
{
	bool any = false, messages = false;

	for (unsigned i = 0; i <= nvme->last_queue && nvme->state == NVME_READY; i++) {
		struct nvme_cq *cq = &nvme->cq[i];

		if (!cq->exists || !cq->news)
			continue;
		write_staged(nvme, cq);
		cq->news = false;
		if (!any)
			messages = iommuse_vectors(nvme->device);
		any = true;
		if (cq->interrupts && messages && nvme->state == NVME_READY)
			iommuse_raise(nvme->device, cq->vector);
	}
	if (any || nvme->pin_news) {
		nvme->pin_news = false;
		update_pin(nvme);
	}
	return any;
}

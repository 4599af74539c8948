/* SPDX-License-Identifier: BSD-3-Clause */
/* Admin commands (5): queues, abort and asynchronous events; the others' have files of their own. */
#include "devices/nvme.h"

#define CREATE_CONTIGUOUS 1U
#define CREATE_INTERRUPTS 2U

static uint32_t low(uint32_t value)
{
	return value & 0xffff;
}

static uint32_t high(uint32_t value)
{
	return value >> 16;
}

/* Queues. Checks come in the order in which the commands' fields do. */

static uint16_t check_queue(const struct nvme *nvme, const struct nvme_command *command)
{
	uint32_t size = high(command->dw10) + 1;

	if (size < 2 || size > NVME_ENTRIES_MAX)
		return NVME_INVALID_QUEUE_SIZE;
	if (command->prp1 & (nvme_page_size(nvme) - 1))
		return NVME_PRP_INVALID_OFFSET;
	/* CAP.CQR */
	return command->dw11 & CREATE_CONTIGUOUS ? NVME_SUCCESS : NVME_INVALID_FIELD;
}

/* 5.3 */
static uint16_t create_cq(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	uint32_t id = low(command->dw10), vector = high(command->dw11);
	uint16_t status;

	(void)result;
	if (!id || id > nvme->queues || nvme->cq[id].exists)
		return NVME_INVALID_QUEUE_ID;
	if ((nvme_config(nvme) >> CC_IOCQES_SHIFT & 0xf) != CQE_SHIFT)
		return NVME_INVALID_QUEUE_SIZE;
	status = check_queue(nvme, command);
	if (status)
		return status;
	if (vector >= NVME_VECTORS)
		return NVME_INVALID_VECTOR;
	nvme_cq_init(nvme, id, command->prp1, high(command->dw10) + 1);
	nvme->cq[id].interrupts = command->dw11 & CREATE_INTERRUPTS;
	nvme->cq[id].vector = (uint16_t)vector;
	return NVME_SUCCESS;
}

/* 5.4 */
static uint16_t create_sq(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	uint32_t id = low(command->dw10), cq = high(command->dw11);
	uint16_t status;

	(void)result;
	if (!cq || cq > nvme->queues)
		return NVME_INVALID_QUEUE_ID;
	if (!nvme->cq[cq].exists)
		return NVME_CQ_INVALID;
	if (!id || id > nvme->queues || nvme->sq[id].exists)
		return NVME_INVALID_QUEUE_ID;
	if ((nvme_config(nvme) >> CC_IOSQES_SHIFT & 0xf) != SQE_SHIFT)
		return NVME_INVALID_QUEUE_SIZE;
	status = check_queue(nvme, command);
	if (status)
		return status;
	nvme_sq_init(nvme, id, command->prp1, high(command->dw10) + 1, &nvme->cq[cq]);
	return NVME_SUCCESS;
}

/* 5.5 */
static uint16_t delete_cq(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	uint32_t id = low(command->dw10);

	(void)result;
	if (!id || id > nvme->queues || !nvme->cq[id].exists)
		return NVME_INVALID_QUEUE_ID;
	if (nvme->cq[id].users)
		return NVME_INVALID_QUEUE_DELETION;
	nvme_cq_fini(nvme, &nvme->cq[id]);
	return NVME_SUCCESS;
}

/* Commands that were fetched are completed before (5.6); nothing more is fetched. */
static uint16_t delete_sq(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	uint32_t id = low(command->dw10);
	struct nvme_sq *sq;

	(void)result;
	if (!id || id > nvme->queues || !nvme->sq[id].exists || nvme->sq[id].deleting)
		return NVME_INVALID_QUEUE_ID;
	sq = &nvme->sq[id];
	if (sq->under_way) {
		sq->deleting = true;
		sq->deleting_cid = command->cid;
		return NVME_LATER;
	}
	nvme_sq_fini(nvme, sq);
	return NVME_SUCCESS;
}

/* Asynchronous events (5.2) */

void nvme_event(struct nvme *nvme, unsigned type, unsigned kind)
{
	struct nvme_events *events = &nvme->events;

	if (!events->masked[type])
		events->pending[type] |= (uint8_t)(1U << kind);
}

static void send(struct nvme *nvme, unsigned type)
{
	static const uint8_t page[EVENT_TYPES] = {[EVENT_ERROR] = LOG_ERROR, [EVENT_HEALTH] = LOG_HEALTH};
	struct nvme_events *events = &nvme->events;
	uint32_t kind = (uint32_t)__builtin_ctz(events->pending[type]);

	events->pending[type] &= (uint8_t) ~(1U << kind);
	events->masked[type] = true;
	nvme->cq[0].promised++;
	nvme_complete(nvme, &nvme->sq[0], events->cid[--events->requests], NVME_SUCCESS,
		      type | kind << 8 | (uint32_t)page[type] << 16);
}

void nvme_events_send(struct nvme *nvme)
{
	struct nvme_events *events = &nvme->events;

	for (unsigned type = 0; type < EVENT_TYPES; type++)
		if (events->pending[type] && !events->masked[type] && events->requests &&
		    nvme_cq_has_room(&nvme->cq[0]))
			send(nvme, type);
}

static uint16_t request_event(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	struct nvme_events *events = &nvme->events;

	(void)result;
	if (events->requests == NVME_EVENTS_MAX)
		return NVME_TOO_MANY_EVENT_REQUESTS;
	events->cid[events->requests++] = command->cid;
	/* It may take for ever: no place is kept for its completion. */
	nvme->cq[0].promised--;
	return NVME_LATER;
}

/* Of what was fetched, only requests for events can be aborted (5.1). */
static uint16_t abort_command(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	struct nvme_events *events = &nvme->events;

	*result = 1; /* it was not */
	if (low(command->dw10) || !nvme_cq_has_room(&nvme->cq[0]))
		return NVME_SUCCESS;
	for (unsigned i = 0; i < events->requests; i++) {
		if (events->cid[i] != high(command->dw10))
			continue;
		nvme->cq[0].promised++;
		nvme_complete(nvme, &nvme->sq[0], events->cid[i], NVME_ABORT_REQUESTED, 0);
		events->cid[i] = events->cid[--events->requests];
		*result = 0;
		break;
	}
	return NVME_SUCCESS;
}

static uint16_t identify(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	(void)result;
	return nvme_identify(nvme, command);
}

static uint16_t get_log_page(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	(void)result;
	return nvme_get_log(nvme, command);
}

static const struct admin_command {
	uint8_t opcode;
	uint16_t (*handle)(struct nvme *nvme, const struct nvme_command *command, uint32_t *result);
} commands[] = {
	{ADMIN_DELETE_SQ, delete_sq},           {ADMIN_CREATE_SQ, create_sq},
	{ADMIN_GET_LOG_PAGE, get_log_page},     {ADMIN_DELETE_CQ, delete_cq},
	{ADMIN_CREATE_CQ, create_cq},           {ADMIN_IDENTIFY, identify},
	{ADMIN_ABORT, abort_command},           {ADMIN_SET_FEATURES, nvme_set_feature},
	{ADMIN_GET_FEATURES, nvme_get_feature}, {ADMIN_ASYNC_EVENT, request_event},
};

uint16_t nvme_admin(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	uint16_t status = NVME_INVALID_OPCODE;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i].opcode != command->opcode)
			continue;
		/* Neither are admin commands fused, nor do they use SGLs (4.2). */
		if (command->flags & COMMAND_FUSE || command->flags >> COMMAND_PSDT_SHIFT)
			return NVME_INVALID_FIELD;
		status = commands[i].handle(nvme, command, result);
		break;
	}
	return status == NVME_DATA_TRANSFER_ERROR ? nvme_log_error(nvme, 0, command, status) : status;
}

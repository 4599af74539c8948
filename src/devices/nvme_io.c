/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands for I/O (6). */
#include "devices/nvme.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COMPARED     4096U /* bytes at once */
#define DISCARD_COST 4096U /* bytes of data that take as long as to begin one, about */

/* A range of a dataset management command (6.7). */
struct range {
	uint32_t attributes, blocks;
	uint64_t lba;
};

/* Requests */

int nvme_requests_init(struct nvme *nvme)
{
	size_t each = nvme_transfer_max(nvme);
	void *buffers = mmap(NULL, NVME_REQUESTS * each, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (buffers == MAP_FAILED)
		return -ENOMEM;
	nvme->request = calloc(NVME_REQUESTS, sizeof(*nvme->request));
	if (!nvme->request) {
		munmap(buffers, NVME_REQUESTS * each);
		return -ENOMEM;
	}
	nvme->buffers = buffers;
	for (unsigned i = NVME_REQUESTS; i--;) {
		struct nvme_request *request = &nvme->request[i];

		request->buffer = nvme->buffers + i * each;
		request->next_free = nvme->free_requests;
		nvme->free_requests = request;
	}
	nvme->free_count = NVME_REQUESTS;
	return 0;
}

void nvme_requests_fini(struct nvme *nvme)
{
	munmap(nvme->buffers, NVME_REQUESTS * (size_t)nvme_transfer_max(nvme));
	free(nvme->request);
}

void nvme_requests_forget(struct nvme *nvme)
{
	for (unsigned i = 0; i < NVME_REQUESTS; i++)
		nvme->request[i].sq = NULL;
	nvme->cache_flush.forgotten = true;
	image_cancel(nvme->image);
}

/* The one that was given back last: its buffer is in the cache. */
static struct nvme_request *take_request(struct nvme *nvme, struct nvme_sq *sq, const struct nvme_command *command)
{
	struct nvme_request *request = nvme->free_requests;

	nvme->free_requests = request->next_free;
	nvme->free_count--;
	nvme->under_way++;
	sq->under_way++;
	request->sq = sq;
	request->command = *command;
	return request;
}

static void release(struct nvme *nvme, struct nvme_request *request)
{
	request->sq = NULL;
	request->next_free = nvme->free_requests;
	nvme->free_requests = request;
	nvme->free_count++;
	nvme->under_way--;
}

/* Operations */

static uint16_t start(struct nvme *nvme, struct nvme_request *request, enum image_op op, uint64_t offset,
		      uint64_t length, nvme_step *step)
{
	const struct nvme_command *command = &request->command;
	bool fua = op != IMAGE_READ && command->dw12 & IO_FUA;

	request->step = step;
	request->io.op = op;
	request->io.durable = fua || !nvme->features.write_cache;
	request->io.unmap = op == IMAGE_ZERO && command->dw12 & IO_DEALLOCATE;
	request->io.buffer = request->buffer;
	request->io.offset = offset;
	request->io.length = length;
	/* What is in the page cache is read by who asks for it. */
	if (op == IMAGE_READ)
		nvme->budget -= (int64_t)length;
	image_start(nvme->image, &request->io);
	return NVME_LATER;
}

static uint16_t succeed(struct nvme *nvme, struct nvme_request *request)
{
	(void)nvme;
	(void)request;
	return NVME_SUCCESS;
}

/* What the command did is on disk when it completes, if that is to be so now. */
static uint16_t settle(struct nvme *nvme, struct nvme_request *request)
{
	bool durable = request->command.dw12 & IO_FUA || !nvme->features.write_cache;

	return durable ? start(nvme, request, IMAGE_FLUSH, 0, 0, succeed) : NVME_SUCCESS;
}

/* With FUA, what is read is on disk then (6.9). */
static uint16_t commit_first(struct nvme *nvme, struct nvme_request *request, nvme_step *step)
{
	if (!(request->command.dw12 & IO_FUA) || nvme->read_only)
		return step(nvme, request);
	return start(nvme, request, IMAGE_FLUSH, 0, 0, step);
}

/* What a command with a first block and a count is about. */
static uint16_t find_range(const struct nvme *nvme, struct nvme_request *request)
{
	uint64_t lba = request->command.dw10 | (uint64_t)request->command.dw11 << 32;
	uint64_t blocks = (request->command.dw12 & 0xffff) + UINT64_C(1);

	if (lba >= nvme->blocks || blocks > nvme->blocks - lba)
		return NVME_LBA_OUT_OF_RANGE;
	request->at = lba << nvme->block_shift;
	request->end = request->at + (blocks << nvme->block_shift);
	return NVME_SUCCESS;
}

/* The same, for one whose data the driver's memory has. */
static uint16_t find_transfer(struct nvme *nvme, struct nvme_request *request, uint32_t *n)
{
	uint64_t bytes = ((request->command.dw12 & 0xffff) + UINT64_C(1)) << nvme->block_shift;
	uint16_t status;

	if (bytes > nvme_transfer_max(nvme))
		return NVME_INVALID_FIELD;
	status = find_range(nvme, request);
	if (status)
		return status;
	*n = (uint32_t)bytes;
	return nvme_find_data(nvme, &request->command, *n, &request->spans);
}

/* Commands */

static uint16_t read_done(struct nvme *nvme, struct nvme_request *request)
{
	uint32_t n = (uint32_t)request->io.length;

	nvme->counts.reads++;
	nvme->counts.blocks_read += n >> 9;
	return nvme_to_memory(nvme, &request->spans, 0, request->buffer, n);
}

static uint16_t read_all(struct nvme *nvme, struct nvme_request *request)
{
	return start(nvme, request, IMAGE_READ, request->at, request->end - request->at, read_done);
}

static uint16_t read_blocks(struct nvme *nvme, struct nvme_request *request)
{
	uint32_t n;
	uint16_t status = find_transfer(nvme, request, &n);

	return status ? status : commit_first(nvme, request, read_all);
}

static uint16_t write_done(struct nvme *nvme, struct nvme_request *request)
{
	nvme->counts.writes++;
	nvme->counts.blocks_written += request->io.length >> 9;
	/* The write cache may have been switched off meanwhile. */
	return request->io.durable ? NVME_SUCCESS : settle(nvme, request);
}

static uint16_t write_blocks(struct nvme *nvme, struct nvme_request *request)
{
	uint32_t n;
	uint16_t status = find_transfer(nvme, request, &n);

	if (status)
		return status;
	nvme->budget -= n;
	status = nvme_from_memory(nvme, &request->spans, 0, request->buffer, n);
	return status ? status : start(nvme, request, IMAGE_WRITE, request->at, n, write_done);
}

static uint16_t compare_done(struct nvme *nvme, struct nvme_request *request)
{
	uint32_t n = (uint32_t)request->io.length;
	uint8_t wanted[COMPARED];

	nvme->counts.reads++;
	nvme->counts.blocks_read += n >> 9;
	for (uint32_t at = 0, part; at < n; at += part) {
		uint16_t status;

		part = n - at < COMPARED ? n - at : COMPARED;
		status = nvme_from_memory(nvme, &request->spans, at, wanted, part);
		if (status)
			return status;
		if (memcmp(wanted, request->buffer + at, part))
			return NVME_COMPARE_FAILURE;
	}
	return NVME_SUCCESS;
}

static uint16_t compare_all(struct nvme *nvme, struct nvme_request *request)
{
	return start(nvme, request, IMAGE_READ, request->at, request->end - request->at, compare_done);
}

static uint16_t compare_blocks(struct nvme *nvme, struct nvme_request *request)
{
	uint32_t n;
	uint16_t status = find_transfer(nvme, request, &n);

	return status ? status : commit_first(nvme, request, compare_all);
}

static uint16_t verify_some(struct nvme *nvme, struct nvme_request *request)
{
	uint64_t left = request->end - request->at, at = request->at;

	if (!left)
		return NVME_SUCCESS;
	left = left < nvme_transfer_max(nvme) ? left : nvme_transfer_max(nvme);
	request->at += left;
	return start(nvme, request, IMAGE_READ, at, left, verify_some);
}

static uint16_t verify_blocks(struct nvme *nvme, struct nvme_request *request)
{
	uint16_t status = find_range(nvme, request);

	return status ? status : commit_first(nvme, request, verify_some);
}

static uint16_t flush(struct nvme *nvme, struct nvme_request *request)
{
	return nvme->read_only ? NVME_SUCCESS : start(nvme, request, IMAGE_FLUSH, 0, 0, succeed);
}

static uint16_t zero_some(struct nvme *nvme, struct nvme_request *request)
{
	uint64_t left = request->end - request->at, at = request->at;

	if (!left)
		return settle(nvme, request);
	left = left < nvme_transfer_max(nvme) ? left : nvme_transfer_max(nvme);
	request->at += left;
	nvme->budget -= (int64_t)left;
	return start(nvme, request, IMAGE_WRITE, at, left, zero_some);
}

/* Where the image cannot make zeroes by itself they are written. */
static uint16_t zero_done(struct nvme *nvme, struct nvme_request *request)
{
	if (request->io.result) {
		memset(request->buffer, 0, nvme_transfer_max(nvme));
		return zero_some(nvme, request);
	}
	return settle(nvme, request);
}

static uint16_t write_zeroes(struct nvme *nvme, struct nvme_request *request)
{
	uint16_t status = find_range(nvme, request);

	if (status)
		return status;
	return start(nvme, request, IMAGE_ZERO, request->at, request->end - request->at, zero_done);
}

static const struct range *dataset(const struct nvme_request *request)
{
	return (const struct range *)(const void *)request->buffer;
}

static uint16_t discard_next(struct nvme *nvme, struct nvme_request *request)
{
	unsigned count = (request->command.dw10 & 0xff) + 1;

	while (request->range < count) {
		const struct range *range = &dataset(request)[request->range++];

		if (!range->blocks)
			continue;
		request->discarded = true;
		nvme->budget -= DISCARD_COST;
		return start(nvme, request, IMAGE_DISCARD, range->lba << nvme->block_shift,
			     (uint64_t)range->blocks << nvme->block_shift, discard_next);
	}
	return request->discarded ? settle(nvme, request) : NVME_SUCCESS;
}

/* Attributes are hints, and none is known. */
static uint16_t manage_dataset(struct nvme *nvme, struct nvme_request *request)
{
	unsigned count = (request->command.dw10 & 0xff) + 1;
	uint32_t n = (uint32_t)(count * sizeof(struct range));
	uint16_t status = nvme_find_data(nvme, &request->command, n, &request->spans);

	if (!status)
		status = nvme_from_memory(nvme, &request->spans, 0, request->buffer, n);
	for (unsigned i = 0; !status && i < count; i++) {
		const struct range *range = &dataset(request)[i];

		if (range->lba > nvme->blocks || range->blocks > nvme->blocks - range->lba)
			status = NVME_LBA_OUT_OF_RANGE;
	}
	if (status || !(request->command.dw11 & DATASET_DEALLOCATE))
		return status;
	if (nvme->read_only)
		return NVME_WRITE_PROTECTED;
	request->range = 0;
	request->discarded = false;
	return discard_next(nvme, request);
}

static const struct io_command {
	uint8_t opcode;
	bool writes;
	nvme_step *begin;
} commands[] = {
	{IO_FLUSH, false, flush},
	{IO_WRITE, true, write_blocks},
	{IO_READ, false, read_blocks},
	{IO_COMPARE, false, compare_blocks},
	{IO_WRITE_ZEROES, true, write_zeroes},
	{IO_DATASET, false, manage_dataset},
	{IO_VERIFY, false, verify_blocks},
};

static const struct io_command *find_command(uint8_t opcode)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].opcode == opcode)
			return &commands[i];
	return NULL;
}

/* What holds for all of them. */
static uint16_t check(const struct nvme *nvme, const struct io_command *io, const struct nvme_command *command)
{
	bool all = command->nsid == NVME_ALL_NAMESPACES && command->opcode == IO_FLUSH;

	if (!io)
		return NVME_INVALID_OPCODE;
	if (command->flags & COMMAND_FUSE || command->flags >> COMMAND_PSDT_SHIFT == 3)
		return NVME_INVALID_FIELD;
	if (command->nsid != NVME_NSID && !all)
		return NVME_INVALID_NAMESPACE;
	return io->writes && nvme->read_only ? NVME_WRITE_PROTECTED : NVME_SUCCESS;
}

/* The end of a command */

/* A queue that waited for it to be deleted is gone with its last. */
static void leave(struct nvme *nvme, struct nvme_sq *sq)
{
	if (--sq->under_way || !sq->deleting)
		return;
	nvme_sq_fini(nvme, sq);
	nvme_complete(nvme, &nvme->sq[0], sq->deleting_cid, NVME_SUCCESS, 0);
}

uint16_t nvme_noted(struct nvme *nvme, uint16_t sq_id, const struct nvme_command *command, uint16_t status)
{
	switch (status) {
	case NVME_WRITE_FAULT:
	case NVME_READ_ERROR:
		nvme->counts.media_errors++;
		return nvme_log_error(nvme, sq_id, command, status);
	case NVME_DATA_TRANSFER_ERROR:
	case NVME_INTERNAL_ERROR:
	case NVME_CAPACITY_EXCEEDED:
		return nvme_log_error(nvme, sq_id, command, status);
	default:
		return status;
	}
}

uint16_t nvme_io(struct nvme *nvme, struct nvme_sq *sq, const struct nvme_command *command)
{
	const struct io_command *io = find_command(command->opcode);
	uint16_t status = check(nvme, io, command);
	struct nvme_request *request;

	if (status)
		return status;
	request = take_request(nvme, sq, command);
	status = io->begin(nvme, request);
	if (status == NVME_LATER)
		return status;
	release(nvme, request);
	sq->under_way--;
	return nvme_noted(nvme, sq->id, command, status);
}

uint16_t nvme_image_status(const struct image_io *io)
{
	switch (io->result) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return NVME_CAPACITY_EXCEEDED;
	case -ENOMEM:
		return NVME_INTERNAL_ERROR;
	default:
		return io->op == IMAGE_READ ? NVME_READ_ERROR : NVME_WRITE_FAULT;
	}
}

static void go_on(struct nvme *nvme, struct nvme_request *request)
{
	const struct image_io *io = &request->io;
	struct nvme_sq *sq = request->sq;
	uint16_t status;

	if (!sq || nvme->state != NVME_READY) {
		release(nvme, request);
		return;
	}
	if (io->op == IMAGE_READ)
		nvme->budget -= (int64_t)io->length;
	if (io->result && (io->op != IMAGE_ZERO || io->result != -EOPNOTSUPP))
		status = nvme_image_status(io);
	else
		status = request->step(nvme, request);
	if (status == NVME_LATER)
		return;
	status = nvme_noted(nvme, sq->id, &request->command, status);
	nvme_complete(nvme, sq, request->command.cid, status, 0);
	release(nvme, request);
	leave(nvme, sq);
}

bool nvme_reap(struct nvme *nvme)
{
	struct image_io *io;
	bool any = false;

	while (nvme->budget > 0 && (io = image_reap(nvme->image))) {
		any = true;
		if (io == &nvme->flush)
			nvme_shutdown_flushed(nvme);
		else if (io == &nvme->cache_flush.io)
			nvme_cache_flushed(nvme);
		else
			go_on(nvme, (struct nvme_request *)io);
	}
	return any;
}

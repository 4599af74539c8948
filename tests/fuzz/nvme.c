/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile driver of the NVMe controller: queues anywhere, commands, PRPs and SGLs of all kinds that change while they
 * are read, doorbells and registers with any value, resets at any time. What the controller keeps about its queues and
 * requests stays sound; it touches no memory but what it may; and after a reset it works.
 */
#define _GNU_SOURCE
#include "devices/nvme.h"
#include "../unit/fake_disk.h"
#include "fuzz.h"

#include <sys/mman.h>

#define RECORDS_MAX 128U
#define IMAGE_SIZE  (1U << 20)

struct record {
	uint8_t op, queue, opcode, flags;
	uint32_t dw10;
	uint64_t a, b;
	uint32_t dw11, dw12;
};

static struct {
	struct disk disk;
	struct iommuse_device_ops ops;
	char image[32];
	uint64_t changing; /* where memory changes with each read, and how */
	unsigned reads;
} f;

static const struct nvme *controller(void)
{
	return f.disk.state;
}

static int changing_read(struct iommuse_device *base, uint32_t pasid, uint64_t iova, void *to, size_t n,
			 struct iommuse_fault *fault)
{
	if (f.changing && ++f.reads % (f.changing % 7 + 1) == 0)
		f.disk.memory[f.changing / 8 % READ_ONLY] ^= (uint8_t)f.changing;
	return fake_read(base, pasid, iova, to, n, fault);
}

/* An address: most are in memory, many are those of lists and data, or near an end. */
static uint64_t place(uint64_t a)
{
	const uint64_t where = a >> 8;

	switch (a % 8) {
	case 0:
		return a;
	case 1:
		return UINT64_MAX - where % 0x4000;
	case 2:
		return READ_ONLY - where % 0x4000;
	case 3:
		return LISTS + where % 0x2000 / 8 * 8;
	case 4:
		return where % MEMORY;
	default:
		return where % MEMORY / PAGE * PAGE;
	}
}

static struct nvme_command command_of(const struct record *r)
{
	static const uint8_t io_opcodes[] = {IO_FLUSH,        IO_WRITE,   IO_READ,  IO_COMPARE,
					     IO_WRITE_ZEROES, IO_DATASET, IO_VERIFY};
	const bool admin = !(r->queue % 3);
	struct nvme_command command = {.opcode = r->opcode, .nsid = r->flags % 16 ? 1 : r->dw11, .prp1 = place(r->a)};

	command.prp2 = place(r->b);
	command.dw10 = r->dw10;
	command.dw11 = r->dw11;
	command.dw12 = r->dw12;
	if (r->flags & 0x10)
		return command;
	if (admin) {
		command.opcode %= 0x11;
		command.dw10 &= 0xffff0fff >> r->flags % 4 * 8;
		if (command.opcode <= ADMIN_CREATE_CQ && command.opcode != ADMIN_GET_LOG_PAGE) {
			command.dw10 = (r->dw10 & 3) | (r->dw10 >> 8 & 0x1f) << 16;
			command.dw11 = 1 | (r->dw11 & 0x30002);
			command.prp1 &= ~UINT64_C(0xfff);
		}
		return command;
	}
	command.opcode = io_opcodes[r->opcode % sizeof(io_opcodes)];
	command.dw10 %= 2100;
	command.dw11 &= DATASET_DEALLOCATE * (command.opcode == IO_DATASET);
	command.dw12 = r->dw12 % (r->flags & 0x20 ? 0x10000 : 300) | (r->dw12 & (IO_FUA | IO_DEALLOCATE));
	if (r->flags & 0x40) {
		command.flags = 0x40;
		command.prp2 = (r->b & 0xfffff0) | (uint64_t)(r->flags >> 4 & 0x30) << 56 | (r->b & 3) << 60;
	}
	return command;
}

static void put_command(const struct record *r)
{
	const unsigned queue = r->queue % 3;
	struct driver_queue *q = &f.disk.queue[queue];

	if (!q->sq_size || q->sq > MEMORY - 64UL * 64)
		return;
	put(&f.disk, queue, command_of(r));
	if (r->flags & 0x80)
		ring(&f.disk, queue);
}

/* Descriptors of both kinds, many in a row. */
static void put_list(const struct record *r)
{
	uint64_t at = LISTS + r->a % 0x2000 / 8 * 8, step = (r->dw12 % 3) * (uint64_t)PAGE;

	for (unsigned i = 0; i < r->flags % 64U; i++) {
		uint64_t address = place(r->b) + i * step;
		struct {
			uint64_t address;
			uint32_t length;
			uint8_t zero[3], id;
		} sgl = {address, r->dw11 % 0x3000, {0}, (uint8_t)(r->dw10 % 5 << 4 | (r->dw10 & 0x100) >> 8)};

		if (r->opcode % 2)
			memcpy(f.disk.memory + at + 8UL * i, &address, sizeof(address));
		else
			memcpy(f.disk.memory + at + 16UL * i, &sgl, sizeof(sgl));
	}
}

static void set_register(const struct record *r)
{
	static const uint32_t configs[] = {CC_GOOD, CC_GOOD & ~(uint32_t)CC_EN, CC_GOOD | 1 << CC_SHN_SHIFT,
					   CC_GOOD | 2 << CC_MPS_SHIFT, 0};
	static const uint16_t offsets[] = {NVME_CC, NVME_CC, NVME_AQA, NVME_ASQ, NVME_ACQ, NVME_INTMS, NVME_INTMC, 0};
	const unsigned offset = offsets[r->queue % 8];

	if (!offset)
		set32(&f.disk, r->dw10 % (AREA - 4) / 4 * 4, r->dw11);
	else if (offset == NVME_CC)
		set32(&f.disk, offset, r->flags % 8 ? configs[r->flags % 5] : r->dw11);
	else
		set32(&f.disk, offset, r->flags % 4 ? r->dw11 & 0x1ff000 : r->dw11);
}

/* What the controller keeps. */
static void check_sound(void)
{
	const struct nvme *nvme = controller();
	unsigned users[NVME_QUEUES_MAX + 1] = {0}, waiting = 0, count = 0;

	if (nvme->free_count + nvme->under_way != NVME_REQUESTS)
		fuzz_fail("%u requests are free, %u under way", nvme->free_count, nvme->under_way);
	if (nvme->state != NVME_READY)
		return;
	for (unsigned i = 0; i <= NVME_QUEUES_MAX; i++) {
		const struct nvme_sq *sq = &nvme->sq[i];

		if (!sq->exists)
			continue;
		if (!sq->cq->exists || sq->head >= sq->size || sq->tail >= sq->size || i > nvme->last_queue)
			fuzz_fail("submission queue %u: %u, %u of %u", i, sq->head, sq->tail, sq->size);
		users[sq->cq->id]++;
		count += i != 0;
		waiting += sq->under_way;
	}
	if (waiting > nvme->under_way || count != nvme->sq_count)
		fuzz_fail("%u requests of %u queues, not %u of %u", waiting, count, nvme->under_way, nvme->sq_count);
	for (unsigned i = 0; i <= NVME_QUEUES_MAX; i++) {
		const struct nvme_cq *cq = &nvme->cq[i];
		unsigned used = cq->tail >= cq->head ? cq->tail - cq->head : cq->tail + cq->size - cq->head;

		if (cq->exists && (cq->head >= cq->size || cq->tail >= cq->size || used + cq->promised >= cq->size ||
				   cq->users != users[i] || cq->staged_count || i > nvme->last_queue))
			fuzz_fail("completion queue %u: %u and %u of %u, %u users", i, used, cq->promised, cq->size,
				  cq->users);
	}
}

static void poll_some(unsigned n)
{
	while (n--) {
		nvme_model.poll(f.disk.state);
		check_sound();
	}
}

/* A driver that does as it should, for a while. */
static void start_again(void)
{
	memset(f.disk.area, 0, sizeof(f.disk.area));
	nvme_model.reset(f.disk.state);
	check_sound();
	enable(&f.disk);
	make_queue(&f.disk, 1, ENTRIES, ENTRIES);
	make_queue(&f.disk, 2, 64, 4);
}

static void step(const struct record *r)
{
	struct disk *d = &f.disk;

	switch (r->op % 16) {
	case 0:
		if (r->flags % 4 == 0)
			start_again();
		else
			nvme_model.reset(d->state);
		break;
	case 1:
		ring_tail(d, r->queue % 4, r->flags % 4 ? r->dw10 % 70 : r->dw10);
		break;
	case 2:
		ring_head(d, r->queue % 4, r->flags % 4 ? r->dw10 % 70 : r->dw10);
		break;
	case 3:
		set_register(r);
		break;
	case 4:
		f.changing = r->a;
		break;
	case 5:
	case 6:
		put_list(r);
		break;
	case 7:
		take(d, r->queue % 3);
		break;
	case 8:
		d->vectors = r->flags % 2 ? VECTORS : 0;
		break;
	case 9:
	case 10:
		poll_some(r->flags % 8);
		break;
	default:
		put_command(r);
		poll_some(r->dw12 % 3);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	(void)argc;
	(void)argv;
	if (fd < 0 || ftruncate(fd, IMAGE_SIZE))
		fuzz_fail("image");
	snprintf(f.image, sizeof(f.image), "/proc/self/fd/%d", fd);
	f.ops = fake_ops;
	f.ops.dma_read = changing_read;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record r;

	if (size / sizeof(r) > RECORDS_MAX)
		return 0;
	memset(&f.disk, 0, sizeof(f.disk));
	f.changing = 0;
	f.disk.image = f.image;
	f.disk.aio = size / sizeof(r) % 2 ? "threads" : "auto";
	CHECK_EQ(make_disk(&f.disk), 0);
	f.disk.base.ops = &f.ops;
	f.disk.open = true;
	start_again();
	for (size_t n = 0; n < size / sizeof(r); n++) {
		memcpy(&r, data + n * sizeof(r), sizeof(r));
		step(&r);
		check_sound();
	}
	f.changing = 0;
	start_again();
	CHECK_EQ(status_of(&f.disk, 1, io(IO_WRITE, 0, 8, DATA, 0)), 0);
	CHECK_EQ(status_of(&f.disk, 1, io(IO_READ, 0, 8, MORE_DATA, 0)), 0);
	CHECK(!memcmp(f.disk.memory + DATA, f.disk.memory + MORE_DATA, PAGE));
	if (controller()->under_way)
		fuzz_fail("%u requests are left", controller()->under_way);
	close_disk(&f.disk);
	if (atomic_load(&checks_failed))
		fuzz_fail("it does not work");
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_records(data, size, max_size, sizeof(struct record), seed);
}

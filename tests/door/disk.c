/* SPDX-License-Identifier: BSD-3-Clause */
#include "disk.h"

#include <sched.h>
#include <sys/mman.h>

#define DISK_IOVA   0x50000000ull
#define PATIENCE_NS 20000000000ull

enum { BAR_BYTES = 0x2000, DOORBELLS = 0x1000 };
enum { CC = 0x14, CSTS = 0x1c, AQA = 0x24, ASQ = 0x28, ACQ = 0x30 };
enum { CC_EN = 1, CC_ENTRIES = 6 << 16 | 4 << 20, CC_SHN = 3 << 14, CC_SHN_NORMAL = 1 << 14 };
enum { CSTS_RDY = 1, CSTS_CFS = 2, CSTS_SHST = 3 << 2, CSTS_SHST_COMPLETE = 2 << 2 };
enum { ADMIN_CREATE_SQ = 1, ADMIN_CREATE_CQ = 5, ADMIN_IDENTIFY = 6 };
enum { FUA = 1 << 30, PCI_COMMAND = 4, MEMORY_AND_MASTER = 6 };

static volatile uint32_t *reg(const struct disk *disk, unsigned offset)
{
	return (volatile uint32_t *)(disk->bar + offset);
}

static void store64(const struct disk *disk, unsigned offset, uint64_t value)
{
	*reg(disk, offset) = (uint32_t)value;
	*reg(disk, offset + 4) = (uint32_t)(value >> 32);
}

static uint64_t iova_of(const struct disk *disk, const void *p)
{
	return DISK_IOVA + (address(p) - address(disk->memory));
}

bool disk_patience(uint64_t since)
{
	sched_yield();
	return monotonic_ns() - since < PATIENCE_NS;
}

static long await_status(const struct disk *disk, uint32_t mask, uint32_t value)
{
	uint64_t start = monotonic_ns();

	while ((*reg(disk, CSTS) & mask) != value)
		if (!disk_patience(start))
			return -ETIMEDOUT;
	return 0;
}

static void ring(struct disk *disk, unsigned queue, bool completion, unsigned value)
{
	volatile uint32_t *bell = reg(disk, DOORBELLS + 8 * queue + 4 * completion);

	__atomic_store_n(bell, value, __ATOMIC_RELEASE);
}

static void put(struct disk *disk, unsigned queue, const struct disk_command *command)
{
	struct disk_queue *q = &disk->queue[queue];

	disk->memory->sq[queue][q->tail] = *command;
	q->tail = (q->tail + 1) % DISK_ENTRIES;
}

static int take(struct disk *disk, unsigned queue, unsigned *status)
{
	struct disk_queue *q = &disk->queue[queue];
	struct disk_completion *c = &disk->memory->cq[queue][q->head];
	uint16_t word = __atomic_load_n(&c->status, __ATOMIC_ACQUIRE);
	int cid;

	if ((word & 1) != q->phase)
		return -1;
	*status = word >> 1;
	cid = c->cid;
	if (++q->head == DISK_ENTRIES) {
		q->head = 0;
		q->phase ^= 1;
	}
	ring(disk, queue, true, q->head);
	return cid;
}

static long administer(struct disk *disk, struct disk_command command)
{
	uint64_t start = monotonic_ns();
	unsigned status;

	put(disk, 0, &command);
	ring(disk, 0, false, disk->queue[0].tail);
	while (take(disk, 0, &status) < 0)
		if (!disk_patience(start))
			return -ETIMEDOUT;
	return status ? -EIO : 0;
}

static long identify(struct disk *disk)
{
	struct disk_command command = {
		.opcode = ADMIN_IDENTIFY, .nsid = 1, .prp1 = iova_of(disk, disk->memory->identify)};
	const uint8_t *data = disk->memory->identify;
	long rc = administer(disk, command);

	if (rc)
		return rc;
	memcpy(&disk->blocks, data, 8);
	disk->block = 1u << data[130];
	return 0;
}

static long create_pair(struct disk *disk, uint32_t id)
{
	const uint32_t what = (DISK_ENTRIES - 1) << 16 | id;
	struct disk_command cq = {
		.opcode = ADMIN_CREATE_CQ, .prp1 = iova_of(disk, disk->memory->cq[id]), .dw = {what, 1}};
	struct disk_command sq = {
		.opcode = ADMIN_CREATE_SQ, .prp1 = iova_of(disk, disk->memory->sq[id]), .dw = {what, id << 16 | 1}};
	long rc = administer(disk, cq);

	return rc ? rc : administer(disk, sq);
}

long disk_disable(struct disk *disk)
{
	*reg(disk, CC) = 0;
	return await_status(disk, CSTS_RDY | CSTS_CFS, 0);
}

long disk_shut_down(struct disk *disk)
{
	*reg(disk, CC) = (*reg(disk, CC) & ~(uint32_t)CC_SHN) | CC_SHN_NORMAL;
	return await_status(disk, CSTS_SHST, CSTS_SHST_COMPLETE);
}

long disk_enable(struct disk *disk)
{
	long rc;

	config_write(&disk->rig, PCI_COMMAND, 2, MEMORY_AND_MASTER);
	rc = disk_disable(disk);
	if (rc)
		return rc;
	memset(disk->memory->cq, 0, sizeof(disk->memory->cq));
	for (unsigned i = 0; i <= DISK_QUEUES; i++)
		disk->queue[i] = (struct disk_queue){.phase = 1};
	*reg(disk, AQA) = (DISK_ENTRIES - 1) << 16 | (DISK_ENTRIES - 1);
	store64(disk, ASQ, iova_of(disk, disk->memory->sq[0]));
	store64(disk, ACQ, iova_of(disk, disk->memory->cq[0]));
	*reg(disk, CC) = CC_ENTRIES | CC_EN;
	rc = await_status(disk, CSTS_RDY, CSTS_RDY);
	if (!rc)
		rc = identify(disk);
	for (uint32_t i = 1; i <= DISK_QUEUES && !rc; i++)
		rc = create_pair(disk, i);
	return rc;
}

static long map_registers(struct disk *disk)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = 0};
	long rc = door_ioctl(disk->rig.device, VFIO_DEVICE_GET_REGION_INFO, &info);
	void *bar;

	if (rc < 0)
		return rc;
	bar = mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, disk->rig.device, (off_t)info.offset);
	if (bar == MAP_FAILED)
		return -errno;
	disk->bar = bar;
	return 0;
}

long disk_open(struct disk *disk, enum way way, unsigned number)
{
	long rc;

	*disk = (struct disk){0};
	disk->memory = mmap(NULL, sizeof(*disk->memory), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (disk->memory == MAP_FAILED)
		return -errno;
	rc = rig_open(&disk->rig, way, number);
	if (rc < 0) {
		munmap(disk->memory, sizeof(*disk->memory));
		return rc;
	}
	rc = map_registers(disk);
	if (rc >= 0)
		rc = rig_map(&disk->rig, disk->memory, sizeof(*disk->memory), DISK_IOVA, RIG_BOTH);
	if (rc < 0)
		disk_close(disk);
	return rc < 0 ? rc : 0;
}

void disk_close(struct disk *disk)
{
	if (disk->bar)
		munmap((void *)disk->bar, BAR_BYTES);
	rig_close(&disk->rig);
	munmap(disk->memory, sizeof(*disk->memory));
}

static unsigned queue_of(unsigned slot)
{
	return 1 + slot % DISK_QUEUES;
}

void disk_give(struct disk *disk, unsigned slot, uint8_t opcode, uint64_t lba, unsigned n, bool fua)
{
	struct disk_slot *s = &disk->memory->slot[slot];
	struct disk_command command = {.opcode = opcode, .cid = (uint16_t)slot, .nsid = 1};
	unsigned pages = (n * disk->block + PAGE - 1) / PAGE;

	if (opcode != DISK_FLUSH) {
		command.prp1 = iova_of(disk, s->data);
		command.prp2 = pages == 2 ? command.prp1 + PAGE : iova_of(disk, s->list);
		for (unsigned i = 1; i < pages; i++)
			s->list[i - 1] = command.prp1 + i * PAGE;
		command.dw[0] = (uint32_t)lba;
		command.dw[1] = (uint32_t)(lba >> 32);
		command.dw[2] = (n - 1) | (fua ? FUA : 0);
	}
	put(disk, queue_of(slot), &command);
}

void disk_ring(struct disk *disk)
{
	for (unsigned i = 1; i <= DISK_QUEUES; i++)
		ring(disk, i, false, disk->queue[i].tail);
}

int disk_take(struct disk *disk, unsigned *status)
{
	int slot = -1;

	for (unsigned i = 1; i <= DISK_QUEUES && slot < 0; i++)
		slot = take(disk, i, status);
	return slot;
}

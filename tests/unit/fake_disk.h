/* SPDX-License-Identifier: BSD-3-Clause */
/* An NVMe controller without a system, and a driver for it. IOVAs are offsets in an array; the image is a file. */
#ifndef IOMMUSE_TESTS_FAKE_DISK_H
#define IOMMUSE_TESTS_FAKE_DISK_H

#include "check.h"
#include "devices/device.h"
#include "devices/nvme_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MEMORY = 0x200000,
	ADMIN_SQ = 0x1000,
	ADMIN_CQ = 0x2000,
	ADMIN_ENTRIES = 8,
	QUEUES = 0x10000, /* of 8 KiB each: submission, completion */
	ENTRIES = 16,
	LISTS = 0x60000, /* PRPs and SGLs */
	DATA = 0x80000,
	MORE_DATA = 0x100000,
	READ_ONLY = 0x1f0000, /* to the end */
	NOWHERE = 0x1000000,
	PAGE = 4096,
	DRIVER_QUEUES = 5,
	VECTORS = 65,
	AREA = 0x4000,
};

struct driver_queue {
	unsigned sq_size, cq_size, tail, head, phase;
	uint64_t sq, cq;
};

struct disk {
	struct iommuse_device base;
	void *state;
	bool open;
	const char *image, *size, *block, *mdts, *queues, *readonly, *serial, *aio;
	char said[256];
	unsigned vectors, raised[VECTORS];
	unsigned copies; /* by DMA */
	bool asserted;
	void (*on_raise)(struct disk *d, unsigned vector); /* or NULL */
	uint16_t cid;
	struct driver_queue queue[DRIVER_QUEUES];
	_Alignas(4096) uint8_t area[AREA];
	_Alignas(4096) uint8_t memory[MEMORY];
};

static inline struct disk *disk_of(struct iommuse_device *base)
{
	return (struct disk *)base;
}

static const char *fake_value(struct iommuse_device *base, const char *key)
{
	const struct disk *d = disk_of(base);
	const struct {
		const char *key, *value, *initial;
	} keys[] = {
		{"image", d->image, NULL}, {"size", d->size, NULL},         {"block", d->block, "512"},
		{"mdts", d->mdts, "128K"}, {"queues", d->queues, "16"},     {"serial", d->serial, NULL},
		{"aio", d->aio, "auto"},   {"readonly", d->readonly, NULL},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(key, keys[i].key))
			return keys[i].value ? keys[i].value : keys[i].initial;
	CHECK(!"a key");
	return NULL;
}

static inline void *fake_area(struct iommuse_device *base, unsigned bar, uint64_t offset)
{
	CHECK_EQ(bar, 0);
	return disk_of(base)->open ? disk_of(base)->area + offset : NULL;
}

static inline int fake_fault(uint64_t iova, size_t n, bool write, struct iommuse_fault *fault)
{
	uint64_t good = write ? READ_ONLY : MEMORY;

	if (iova < good && n <= good - iova)
		return 0;
	if (fault)
		*fault = (struct iommuse_fault){.iova = iova < good ? good : iova, .reason = IOMMUSE_FAULT_NOT_MAPPED};
	return -EFAULT;
}

static inline int fake_read(struct iommuse_device *base, uint32_t pasid, uint64_t iova, void *to, size_t n,
			    struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	disk_of(base)->copies++;
	if (fake_fault(iova, n, false, fault))
		return -EFAULT;
	memcpy(to, disk_of(base)->memory + iova, n);
	return 0;
}

static inline int fake_write(struct iommuse_device *base, uint32_t pasid, uint64_t iova, const void *from, size_t n,
			     struct iommuse_fault *fault)
{
	CHECK_EQ(pasid, IOMMUSE_NO_PASID);
	disk_of(base)->copies++;
	if (fake_fault(iova, n, true, fault))
		return -EFAULT;
	memcpy(disk_of(base)->memory + iova, from, n);
	return 0;
}

static inline void fake_raise(struct iommuse_device *base, unsigned vector)
{
	CHECK(vector < VECTORS);
	disk_of(base)->raised[vector]++;
	if (disk_of(base)->on_raise)
		disk_of(base)->on_raise(disk_of(base), vector);
}

static inline void fake_set_intx(struct iommuse_device *base, bool asserted)
{
	disk_of(base)->asserted = asserted;
}

static inline unsigned fake_vectors(struct iommuse_device *base)
{
	return disk_of(base)->vectors;
}

static inline void fake_say(struct iommuse_device *base, const char *text)
{
	snprintf(disk_of(base)->said, sizeof(disk_of(base)->said), "%s", text);
}

static const struct iommuse_device_ops fake_ops = {
	.struct_size = sizeof(fake_ops),
	.value = fake_value,
	.area = fake_area,
	.dma_read = fake_read,
	.dma_write = fake_write,
	.raise = fake_raise,
	.set_intx = fake_set_intx,
	.vectors = fake_vectors,
	.say = fake_say,
};

/* Files */

static inline void make_image(char path[32], uint64_t size)
{
	int fd;

	strcpy(path, "/tmp/nvme-image-XXXXXX");
	fd = mkstemp(path);
	CHECK(fd >= 0);
	for (uint64_t at = 0; at < size; at++) {
		uint8_t block[4096];
		uint64_t n = size - at < sizeof(block) ? size - at : sizeof(block);

		for (unsigned i = 0; i < n; i++)
			block[i] = (uint8_t)((at + i) * 7 + (at + i) / 256);
		CHECK_EQ(pwrite(fd, block, n, (off_t)at), n);
		at += n - 1;
	}
	close(fd);
}

static inline void read_image(const char *path, uint64_t at, void *to, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK_EQ(pread(fd, to, n, (off_t)at), n);
	close(fd);
}

/* Registers */

static inline void set32(struct disk *d, unsigned offset, uint32_t value)
{
	memcpy(d->area + offset, &value, sizeof(value));
}

static inline uint32_t get32(const struct disk *d, unsigned offset)
{
	uint32_t value;

	memcpy(&value, d->area + offset, sizeof(value));
	return value;
}

static inline void ring_tail(struct disk *d, unsigned queue, uint32_t tail)
{
	set32(d, NVME_DOORBELLS + 8 * queue, tail);
}

static inline void ring_head(struct disk *d, unsigned queue, uint32_t head)
{
	set32(d, NVME_DOORBELLS + 8 * queue + 4, head);
}

/* Until there is nothing to do now. */
static inline void look(struct disk *d)
{
	while (nvme_model.poll(d->state))
		continue;
}

static inline void wait_status(struct disk *d, uint32_t mask, uint32_t value)
{
	while ((get32(d, NVME_CSTS) & mask) != value) {
		nvme_model.poll(d->state);
		sched_yield();
	}
}

/* The driver */

static inline void set_admin_queue(struct disk *d)
{
	set32(d, NVME_AQA, (ADMIN_ENTRIES - 1) | (ADMIN_ENTRIES - 1) << 16);
	set32(d, NVME_ASQ, ADMIN_SQ);
	set32(d, NVME_ASQ + 4, 0);
	set32(d, NVME_ACQ, ADMIN_CQ);
	set32(d, NVME_ACQ + 4, 0);
	d->queue[0] = (struct driver_queue){
		.sq_size = ADMIN_ENTRIES, .cq_size = ADMIN_ENTRIES, .sq = ADMIN_SQ, .cq = ADMIN_CQ, .phase = 1};
	memset(d->memory + ADMIN_CQ, 0, PAGE);
}

#define CC_GOOD (CC_EN | SQE_SHIFT << CC_IOSQES_SHIFT | CQE_SHIFT << CC_IOCQES_SHIFT)

static inline void enable(struct disk *d)
{
	set_admin_queue(d);
	set32(d, NVME_CC, CC_GOOD);
	wait_status(d, CSTS_RDY | CSTS_CFS, CSTS_RDY);
}

static inline void disable(struct disk *d)
{
	set32(d, NVME_CC, CC_GOOD & ~(unsigned)CC_EN);
	wait_status(d, ~0U, 0);
}

static inline void put(struct disk *d, unsigned queue, struct nvme_command command)
{
	struct driver_queue *q = &d->queue[queue];

	command.cid = ++d->cid;
	memcpy(d->memory + q->sq + q->tail * sizeof(command), &command, sizeof(command));
	q->tail = (q->tail + 1) % q->sq_size;
}

static inline void ring(struct disk *d, unsigned queue)
{
	ring_tail(d, queue, d->queue[queue].tail);
}

/* Is there a completion? It is left there. */
static inline bool peek(const struct disk *d, unsigned queue, struct nvme_completion *completion)
{
	const struct driver_queue *q = &d->queue[queue];

	memcpy(completion, d->memory + q->cq + q->head * sizeof(*completion), sizeof(*completion));
	return (completion->status & 1) == q->phase;
}

static inline void take(struct disk *d, unsigned queue)
{
	struct driver_queue *q = &d->queue[queue];

	if (++q->head == q->cq_size) {
		q->head = 0;
		q->phase = !q->phase;
	}
	ring_head(d, queue, q->head);
}

/* Waits for a completion and takes it. */
static inline struct nvme_completion get(struct disk *d, unsigned queue)
{
	struct nvme_completion completion;

	while (!peek(d, queue, &completion)) {
		if (!nvme_model.poll(d->state))
			sched_yield();
	}
	take(d, queue);
	look(d);
	return completion;
}

/* A command and its completion. */
static inline struct nvme_completion run(struct disk *d, unsigned queue, struct nvme_command command)
{
	struct nvme_completion completion;

	put(d, queue, command);
	ring(d, queue);
	completion = get(d, queue);
	CHECK_EQ(completion.cid, d->cid);
	CHECK_EQ(completion.sq_id, queue);
	return completion;
}

/* The status of one, without flags. */
static inline unsigned status_of(struct disk *d, unsigned queue, struct nvme_command command)
{
	return run(d, queue, command).status >> 1 & STATUS_CODE;
}

static inline struct nvme_command cq_command(unsigned id, unsigned entries)
{
	return (struct nvme_command){.opcode = ADMIN_CREATE_CQ,
				     .prp1 = QUEUES + id * 2UL * PAGE + PAGE,
				     .dw10 = id | (entries - 1) << 16,
				     .dw11 = 1 | 2 | id << 16};
}

static inline struct nvme_command sq_command(unsigned id, unsigned entries)
{
	return (struct nvme_command){.opcode = ADMIN_CREATE_SQ,
				     .prp1 = QUEUES + id * 2UL * PAGE,
				     .dw10 = id | (entries - 1) << 16,
				     .dw11 = 1 | id << 16};
}

static inline void make_queue(struct disk *d, unsigned id, unsigned sq_size, unsigned cq_size)
{
	memset(d->memory + QUEUES + id * 2UL * PAGE, 0, 2UL * PAGE);
	CHECK_EQ(status_of(d, 0, cq_command(id, cq_size)), 0);
	CHECK_EQ(status_of(d, 0, sq_command(id, sq_size)), 0);
	d->queue[id] = (struct driver_queue){.sq_size = sq_size,
					     .cq_size = cq_size,
					     .sq = QUEUES + id * 2UL * PAGE,
					     .cq = QUEUES + id * 2UL * PAGE + PAGE,
					     .phase = 1};
}

static inline int make_disk(struct disk *d)
{
	d->base.ops = &fake_ops;
	return nvme_model.create(&d->base, &d->state);
}

/* With one queue for I/O. */
static inline void open_disk(struct disk *d)
{
	CHECK_EQ(make_disk(d), 0);
	d->open = true;
	nvme_model.reset(d->state);
	enable(d);
	make_queue(d, 1, ENTRIES, ENTRIES);
}

static inline void close_disk(struct disk *d)
{
	d->open = false;
	nvme_model.reset(d->state);
	CHECK(!nvme_model.poll(d->state));
	nvme_model.destroy(d->state);
}

static inline struct nvme_command io(uint8_t opcode, uint64_t lba, uint32_t blocks, uint64_t prp1, uint64_t prp2)
{
	return (struct nvme_command){.opcode = opcode,
				     .nsid = 1,
				     .prp1 = prp1,
				     .prp2 = prp2,
				     .dw10 = (uint32_t)lba,
				     .dw11 = (uint32_t)(lba >> 32),
				     .dw12 = blocks - 1};
}

static inline void fill(struct disk *d, uint64_t at, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		d->memory[at + i] = (uint8_t)(i * 13 + i / 256 + seed);
}

#endif

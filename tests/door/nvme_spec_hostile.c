/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drivers that do what no driver may. Nothing is asked of the controller but that it ends what it begins, harms nobody
 * else, and works after a reset. --rounds is for how many hundredths of a second one fights.
 */
#include "nvme_spec.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

enum { BLOCK = 512, DATA = 16 << 10, QUEUES = 8 };

static void rest(unsigned ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

	nanosleep(&t, NULL);
}

/* After a reset, as VFIO does it or by CC.EN. */
static void works_again(struct nvme *d, bool by_vfio)
{
	struct pair p = {0};
	const size_t before = d->used;
	struct test *t = d->t;
	uint8_t *data;

	if (by_vfio)
		SAME(t, door_ioctl(d->rig.device, VFIO_DEVICE_RESET, NULL), 0);
	else
		SPEC(t, "7.3.2", nvme_disable(d), 0);
	config_write(&d->rig, 4, 2, 6);
	data = nvme_memory(d, DATA);
	pattern_fill(data, DATA, 3);
	if (SPEC(t, "7.6.1", nvme_enable(d), 0) && SPEC(t, "5.3", pair_create(d, &p, 1, 16, 16, -1), OK)) {
		SPEC(t, "6.15", nvme_move(d, &p, NVM_WRITE, 8, data, DATA, BLOCK), OK);
		memset(data, 0, DATA);
		SPEC(t, "6.9", nvme_move(d, &p, NVM_READ, 8, data, DATA, BLOCK), OK);
		SPEC_TRUE(t, "6.9", pattern_is(data, DATA, 3));
		SPEC(t, "5.6", pair_delete(d, &p), OK);
	}
	d->used = before;
}

/* Whatever its status is: it has one, and the next command has its own. */
static void ends(struct nvme *d, struct pair *p, const struct command *c, const char *what)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};

	if (!SPEC_TRUE(d->t, what, pair_do(d, p, c) >= 0))
		return;
	SPEC(d->t, what, pair_do(d, p, &flush), OK);
}

/* 4.3: the last slot of a page is a pointer to another page of the list, or to itself. */
static void lists_that_loop(struct test *t)
{
	struct pair p = {0};
	struct command c;
	uint64_t *list;
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 16, 16, -1), OK);
	list = nvme_memory(&d, PAGE);
	data = nvme_memory(&d, PAGE);
	c = nvme_transfer(&d, NVM_READ, 0, 256);
	c.prp1 = nvme_iova(&d, data);
	c.prp2 = nvme_iova(&d, list + 511);
	list[511] = nvme_iova(&d, list + 511);
	ends(&d, &p, &c, "4.3: a pointer to itself");
	c.opcode = NVM_WRITE;
	ends(&d, &p, &c, "4.3: a pointer to itself");
	list[511] = nvme_iova(&d, list);
	for (unsigned i = 0; i < 511; i++)
		list[i] = nvme_iova(&d, list);
	ends(&d, &p, &c, "4.3: the list is the data");
	c.opcode = NVM_READ;
	ends(&d, &p, &c, "4.3: the list is the data, and changes");
	c.opcode = NVM_DSM;
	c.cdw10 = 255;
	c.cdw11 = 4;
	ends(&d, &p, &c, "6.7");
	works_again(&d, false);
	nvme_close(&d);
}

struct sgl {
	uint64_t address;
	uint32_t length;
	uint8_t reserved[3], type;
};

/* 4.4: segments that are their own next, with no data and with some. */
static void segments_that_loop(struct test *t)
{
	struct pair p = {0};
	struct sgl *list, first;
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 16, 16, -1), OK);
	list = nvme_memory(&d, PAGE);
	data = nvme_memory(&d, PAGE);
	for (unsigned i = 0; i < 6; i++) {
		static const uint32_t lengths[] = {0, 0, 1, 512};
		struct command c = nvme_transfer(&d, i % 2 ? NVM_WRITE : NVM_READ, 0, 256);
		const unsigned n = i < 4 ? 1 : 0; /* descriptors of data */

		list[0] = (struct sgl){.address = nvme_iova(&d, data), .length = lengths[i % 4]};
		list[n] = (struct sgl){.address = nvme_iova(&d, list), .length = (n + 1) * 16, .type = 0x20};
		first = list[n];
		c.flags = PSDT_SGL;
		memcpy(&c.prp1, &first, sizeof(first));
		ends(&d, &p, &c, "4.4: a segment that is its own next");
		first.length = 0xfffffff0;
		memcpy(&c.prp1, &first, sizeof(first));
		ends(&d, &p, &c, "4.4: a segment of 4 GiB");
		first.type = 0x30;
		memcpy(&c.prp1, &first, sizeof(first));
		ends(&d, &p, &c, "4.4: a last segment of 4 GiB");
	}
	works_again(&d, true);
	nvme_close(&d);
}

struct fight {
	struct nvme *d;
	uint8_t *memory; /* the queues, and what commands point at */
	size_t size;
	uint64_t seed;
	unsigned deeds;
	atomic_bool over;
};

/* What is done beside doorbells that are rung and memory that changes. */
enum {
	ALL_REGISTERS = 1,
	ADMIN_COMMANDS = 2,
	RESETS = 4,
	INTERRUPTS = 8,
	MAPS = 16,
};

/* Doorbells of queues that there are, mostly, with values that they have, mostly. */
static void *rings(void *arg)
{
	struct fight *f = arg;
	uint64_t state = f->seed;

	while (!atomic_load(&f->over)) {
		const uint64_t r = random_next(&state);
		const unsigned id = r % 16 < 14 ? (unsigned)(r >> 8) % (QUEUES + 1) : (unsigned)(r >> 8) % 512;
		const uint32_t value = (uint32_t)(r >> 32) % (r % 64 < 60 ? 64 : 0x7fffffff);

		if (r >> 20 & 1)
			nvme_ring_sq(f->d, id, value);
		else
			nvme_ring_cq(f->d, id, value);
		if (f->deeds & ALL_REGISTERS && (r >> 21) % 64 == 0)
			nvme_set(f->d, (unsigned)(random_next(&state) % (BAR_SIZE / 4)) * 4,
				 (uint32_t)random_next(&state));
		if (f->deeds & ALL_REGISTERS && (r >> 21) % 64 == 1)
			nvme_set(f->d, REG_CC, CC_ENTRY_SIZES | ((r >> 40) % 8 ? CC_EN : 0));
		if ((r >> 28) % 8 == 0)
			sched_yield();
	}
	return NULL;
}

/* A command that might be meant. */
static struct command some_command(const struct fight *f, uint64_t *state)
{
	static const uint8_t opcodes[] = {0, 1, 2, 2, 1, 5, 8, 9, 0x0c, 4, 6, 0x0a};
	const uint64_t r = random_next(state);
	struct command c = {.opcode = opcodes[r % sizeof(opcodes)], .nsid = r % 32 ? 1 : (uint32_t)(r >> 40)};

	c.flags = (r >> 8) % 3 == 0 ? PSDT_SGL : 0;
	c.prp1 = nvme_iova(f->d, f->memory) + (r >> 16) % f->size;
	c.prp2 = nvme_iova(f->d, f->memory) + (random_next(state) % f->size & ~7ull);
	if (c.flags) { /* length and type of an SGL */
		c.prp1 &= ~7ull;
		c.prp2 = (random_next(state) % 0x2000 & ~0xfull) | (random_next(state) % 4) << 60;
	}
	c.cdw10 = (uint32_t)(random_next(state) % 4096);
	c.cdw11 = c.opcode == NVM_DSM ? 4 : 0;
	c.cdw12 = (uint32_t)(random_next(state) % (c.opcode == NVM_DSM ? 256 : 300));
	return c;
}

/* An admin command that might be meant, of no more than a page or two. */
static struct command some_admin_command(const struct fight *f, uint64_t *state)
{
	static const uint8_t opcodes[] = {0, 1, 1, 2, 4, 5, 5, 6, 8, 9, 0x0a, 0x0c};
	const uint64_t r = random_next(state);
	struct command c = {.opcode = opcodes[r % sizeof(opcodes)], .id = (uint16_t)(r >> 48)};

	c.nsid = (uint32_t)(r >> 8) % 3;
	c.prp1 = nvme_iova(f->d, f->memory) + ((r >> 16) % f->size & ~0xfffull);
	c.prp2 = nvme_iova(f->d, f->memory) + (random_next(state) % f->size & ~0xfffull);
	c.cdw10 = (uint32_t)(random_next(state) % (QUEUES + 2)) | (uint32_t)(random_next(state) % 256) << 16;
	c.cdw11 = (uint32_t)(random_next(state) % (QUEUES + 2)) << 16 | (uint32_t)(random_next(state) % 4);
	return c;
}

/* Changes commands, lists and completions. */
static void *changes(void *arg)
{
	struct fight *f = arg;
	uint64_t state = ~f->seed;

	while (!atomic_load(&f->over)) {
		const uint64_t r = random_next(&state);
		uint8_t *at = f->memory + (r >> 8) % (f->size / 64) * 64;
		struct command c = some_command(f, &state);

		if (r % 4 == 0)
			*(volatile uint64_t *)(at + (r >> 32) % 8 * 8) =
				nvme_iova(f->d, f->memory) + (random_next(&state) % f->size & ~0xfffull);
		else if (r % 64 == 1)
			*(volatile uint64_t *)(at + (r >> 32) % 8 * 8) = random_next(&state);
		else
			memcpy(at, &c, sizeof(c));
		if (f->deeds & ADMIN_COMMANDS && (r >> 54) % 4 == 0) {
			c = some_admin_command(f, &state);
			f->d->admin.sq[(r >> 58) % f->d->admin.entries] = c;
		}
		if ((r >> 50) % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* Another device's driver: what it writes is what it reads. */
static void goes_on(struct nvme *d, struct pair *p, uint8_t *data, uint64_t seed)
{
	pattern_fill(data, DATA, seed);
	SPEC(d->t, "6.15", nvme_move(d, p, NVM_WRITE, seed % 8 * 32, data, DATA, BLOCK), OK);
	memset(data, 0, DATA);
	SPEC(d->t, "6.9", nvme_move(d, p, NVM_READ, seed % 8 * 32, data, DATA, BLOCK), OK);
	SPEC_TRUE(d->t, "6.9", pattern_is(data, DATA, seed));
}

/* As vfio-pci does when a virtual machine is reset, and its driver begins again. */
static void *resets(void *arg)
{
	struct fight *f = arg;
	uint64_t state = f->seed ^ 0x5555;

	while (!atomic_load(&f->over)) {
		struct nvme *d = f->d;

		if (random_next(&state) % 2)
			door_ioctl(d->rig.device, VFIO_DEVICE_RESET, NULL);
		else
			nvme_set(d, REG_CC, 0);
		nvme_set(d, REG_AQA, (d->admin.cq_entries - 1) << 16 | (d->admin.entries - 1));
		nvme_set64(d, REG_ASQ, nvme_iova(d, d->admin.sq));
		nvme_set64(d, REG_ACQ, nvme_iova(d, d->admin.cq));
		nvme_set(d, REG_CC, CC_ENTRY_SIZES | CC_EN);
		for (unsigned i = 0; i < 2 * QUEUES; i++) { /* its queues, unless somebody is faster */
			struct command c = {.opcode = i % 2 ? ADMIN_CREATE_SQ : ADMIN_CREATE_CQ, .cdw11 = 1};

			c.cdw10 = 63 << 16 | (i / 2 + 1);
			c.cdw11 |= i % 2 ? (i / 2 + 1) << 16 : (i / 2 + 1) << 16 | 2;
			c.prp1 = nvme_iova(d, f->memory + (i % 2 * QUEUES + i / 2) * PAGE);
			d->admin.sq[i] = c;
		}
		nvme_ring_sq(d, 0, 2 * QUEUES);
		rest((unsigned)(random_next(&state) % 20));
	}
	return NULL;
}

/* Eventfds that come and go. */
static void *interrupts(void *arg)
{
	struct fight *f = arg;
	uint64_t state = f->seed ^ 0xaaaa;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	while (!atomic_load(&f->over)) {
		const uint64_t r = random_next(&state);
		const unsigned index = r % 4 ? IRQ_MSIX : IRQ_INTX;

		if ((r >> 8) % 8 == 0)
			irq_action(&f->d->rig, index, IRQ_NONE | IRQ_TRIGGER, 0, 0);
		else if ((r >> 8) % 8 == 1)
			irq_action(&f->d->rig, IRQ_INTX, IRQ_NONE | IRQ_UNMASK, 0, 1);
		else
			irq_set(&f->d->rig, index, index == IRQ_INTX ? 0 : (unsigned)(r >> 16) % 10, fd);
		irq_wait(fd, 0);
		nvme_set(f->d, (r >> 32) % 2 ? REG_INTMS : REG_INTMC, (uint32_t)(r >> 40));
		if ((r >> 12) % 8 == 0)
			rest(1);
	}
	irq_action(&f->d->rig, IRQ_MSIX, IRQ_NONE | IRQ_TRIGGER, 0, 0);
	irq_action(&f->d->rig, IRQ_INTX, IRQ_NONE | IRQ_TRIGGER, 0, 0);
	close(fd);
	return NULL;
}

/* All memory goes and comes back. */
static void *maps(void *arg)
{
	struct fight *f = arg;
	struct nvme *d = f->d;
	uint64_t state = f->seed ^ 0x3333;

	while (!atomic_load(&f->over)) {
		SAME(d->t, rig_unmap(&d->rig, ARENA_IOVA, ARENA_SIZE), ARENA_SIZE);
		if (random_next(&state) % 2)
			sched_yield();
		SAME(d->t, rig_map(&d->rig, d->arena, ARENA_SIZE, ARENA_IOVA, RIG_BOTH), 0);
		rest((unsigned)(random_next(&state) % 10));
	}
	return NULL;
}

static void fight_once(struct nvme *d, struct fight *f, struct nvme *other, struct pair *p, uint8_t *data)
{
	const uint64_t until = monotonic_ns() + d->t->rounds * 10000000ull;
	void *(*const deeds[])(void *) = {rings, changes, f->deeds & RESETS ? resets : NULL,
					  f->deeds & INTERRUPTS ? interrupts : NULL, f->deeds & MAPS ? maps : NULL};
	pthread_t threads[5];
	unsigned n = 0;

	atomic_store(&f->over, false);
	for (unsigned i = 0; i < 5; i++)
		if (deeds[i])
			SAME(d->t, pthread_create(&threads[i], NULL, deeds[i], f), 0);
	while (monotonic_ns() < until && !d->t->failed) {
		goes_on(other, p, data, n++);
		rest(1);
	}
	atomic_store(&f->over, true);
	for (unsigned i = 0; i < 5; i++)
		if (deeds[i])
			pthread_join(threads[i], NULL);
	CHECK(d->t, n > 0);
}

/* Queues whose memory is the memory that everything happens to. */
static void make_queues(struct nvme *d, const struct fight *f)
{
	for (unsigned id = 1; id <= QUEUES; id++) {
		struct pair p = {.id = id, .cq_id = id, .entries = 64, .cq_entries = 64};

		p.sq = (struct command *)(f->memory + id * PAGE);
		p.cq = (struct completion *)(f->memory + (QUEUES + id) * PAGE);
		SPEC(d->t, "5.3", cq_create(d, &p, -1), OK);
		SPEC(d->t, "5.4", sq_create(d, &p), OK);
	}
}

static void fights(struct test *t, unsigned deeds)
{
	struct fight f = {.seed = t->seed, .deeds = deeds};
	struct nvme d, other;
	struct pair p = {0};
	uint8_t *data;

	if (!nvme_open(&d, t, 0) || !nvme_open(&other, t, 1))
		return;
	SPEC(t, "5.3", pair_create(&other, &p, 1, 16, 16, -1), OK);
	data = nvme_memory(&other, DATA);
	f.d = &d;
	f.size = 64 * PAGE;
	f.memory = nvme_memory(&d, f.size);
	for (unsigned round = 0; round < 3 && !t->failed; round++) {
		make_queues(&d, &f);
		fight_once(&d, &f, &other, &p, data);
		works_again(&d, deeds || round % 2);
		f.seed += 1000;
	}
	SPEC(t, "6.8: the other one", pair_delete(&other, &p), OK);
	nvme_close(&other);
	nvme_close(&d);
}

static void doorbells_and_memory(struct test *t)
{
	fights(t, 0);
}

static void all_registers(struct test *t)
{
	fights(t, ALL_REGISTERS);
}

static void admin_queue(struct test *t)
{
	fights(t, ADMIN_COMMANDS);
}

static void resets_meanwhile(struct test *t)
{
	fights(t, ADMIN_COMMANDS | RESETS | INTERRUPTS);
}

static void memory_meanwhile(struct test *t)
{
	fights(t, RESETS | MAPS);
}

static void all_at_once(struct test *t)
{
	fights(t, ALL_REGISTERS | ADMIN_COMMANDS | RESETS | INTERRUPTS | MAPS);
}

/* Memory that goes away, and comes back, below commands in flight. */
static void memory_that_goes_away(struct test *t)
{
	struct pair p = {0};
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	data = nvme_memory(&d, 1 << 20);
	for (unsigned round = 0; round < 10 && !t->failed; round++) {
		SPEC(t, "5.3", pair_create(&d, &p, 1, 64, 64, -1), OK);
		for (unsigned i = 0; i < 60; i++) {
			struct command c = nvme_transfer(&d, i % 2 ? NVM_WRITE : NVM_READ, 100 + i * 8, 8);

			c.prp1 = nvme_iova(&d, data + (size_t)i * PAGE);
			pair_put(&p, &c);
		}
		nvme_ring_sq(&d, 1, p.tail);
		if (round % 2)
			rest(1);
		SAME(t, rig_unmap(&d.rig, ARENA_IOVA, ARENA_SIZE), ARENA_SIZE);
		memset(d.arena, 0x66, ARENA_SIZE);
		rest(3);
		SPEC_TRUE(t, "4.3: no DMA to what is not mapped", bytes_are(d.arena, ARENA_SIZE, 0x66));
		SAME(t, rig_map(&d.rig, d.arena, ARENA_SIZE, ARENA_IOVA, RIG_BOTH), 0);
		works_again(&d, round % 4 == 3);
	}
	nvme_close(&d);
}

/* Commands that are all in each other's way, of all of the disk among them, in many queues; a queue that is deleted. */
static void in_each_others_way(struct test *t)
{
	enum { DEPTH = 20 };
	struct pair pairs[QUEUES] = {0};
	uint64_t state = t->seed;
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	data = nvme_memory(&d, PAGE);
	for (unsigned i = 0; i < 256; i++) { /* ranges, of all there is */
		const uint64_t range[2] = {(uint64_t)(i % 2 ? 40000 : 3) << 32, i * 90};

		memcpy(data + (size_t)i * 16, range, sizeof(range));
	}
	for (unsigned round = 0; round < 6 && !t->failed; round++) {
		for (unsigned k = 0; k < QUEUES; k++)
			SPEC(t, "5.3", pair_create(&d, &pairs[k], k + 1, 32, 32, -1), OK);
		for (unsigned i = 0; i < QUEUES * DEPTH; i++) {
			const uint64_t r = random_next(&state);
			struct command c = nvme_transfer(&d, r % 2 ? NVM_WRITE : NVM_READ, (r >> 32) % 60000, 8);

			if (r % 16 == 2)
				c = nvme_transfer(&d, r >> 8 & 1 ? NVM_WRITE_ZEROES : NVM_VERIFY, 0, 65536);
			c.prp1 = nvme_iova(&d, data);
			if (r % 16 == 4)
				c = (struct command){
					.opcode = NVM_DSM, .nsid = 1, .prp1 = c.prp1, .cdw10 = 255, .cdw11 = 4};
			pair_put(&pairs[i % QUEUES], &c);
		}
		for (unsigned k = 0; k < QUEUES; k++)
			nvme_ring_sq(&d, k + 1, pairs[k].tail);
		if (round % 3 == 1)
			SPEC(t, "5.6", queue_delete(&d, ADMIN_DELETE_SQ, 1), OK);
		for (unsigned i = 0; i < QUEUES * DEPTH && round % 3 < 2 && !t->failed; i++) {
			struct completion c;

			if (i % QUEUES == 0 && round % 3 == 1)
				continue; /* it is deleted */
			SPEC(t, "4.1: it ends", pair_wait(&d, &pairs[i % QUEUES], &c), 0);
		}
		works_again(&d, round % 2);
	}
	nvme_close(&d);
}

/* The device is taken out of its address space, and put back. */
static void detached(struct test *t)
{
	struct nvme d;

	t->variant = CDEV;
	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned round = 0; round < 5 && !t->failed; round++) {
		struct vfio_attach attach = {sizeof(attach), 0, d.rig.ioas};
		struct fight f = {.d = &d, .size = 64 * PAGE, .memory = d.arena + (1 << 20)};
		uint64_t state = t->seed + round;
		struct pair p = {0};

		SPEC(t, "5.3", pair_create(&d, &p, 1, 64, 64, -1), OK);
		for (unsigned i = 0; i < 60; i++) {
			struct command c = some_command(&f, &state);

			pair_put(&p, &c);
		}
		nvme_ring_sq(&d, 1, p.tail);
		rest(round % 2);
		SAME(t, door_ioctl(d.rig.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &(uint32_t[]){8, 0}), 0);
		memset(d.arena, 0x44, ARENA_SIZE);
		nvme_ring_sq(&d, 1, 2);
		rest(5);
		SPEC_TRUE(t, "no DMA without an address space", bytes_are(d.arena, ARENA_SIZE, 0x44));
		SAME(t, door_ioctl(d.rig.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
		works_again(&d, round % 2);
	}
	nvme_close(&d);
}

/* PCI 3.0, 6.2.2: without Bus Master there is no DMA. What was given meanwhile may be lost; a reset helps. */
static void without_bus_master(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair p = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 16, 16, -1), OK);
	SPEC(t, "6.8", pair_do(&d, &p, &flush), OK);
	config_write(&d.rig, 4, 2, 2);
	rest(5);
	pair_give(&d, &p, &flush);
	rest(20);
	CHECK(t, !pair_has(&p));
	works_again(&d, true);
	nvme_close(&d);
}

/* Closed in the middle of a fight, and opened by somebody else. */
static void closed_while_it_fights(struct test *t)
{
	for (unsigned i = 0; i < 5 && !t->failed; i++) {
		struct command c = {0};
		struct pair p = {0};
		uint64_t state = t->seed + i;
		struct fight f = {.size = 64 * PAGE};
		struct nvme d;

		if (!nvme_open(&d, t, 0))
			return;
		f.d = &d;
		f.memory = nvme_memory(&d, f.size);
		SPEC(t, "5.3", pair_create(&d, &p, 1, 256, 256, -1), OK);
		for (unsigned k = 0; k < 250; k++) {
			c = some_command(&f, &state);
			pair_put(&p, &c);
		}
		nvme_ring_sq(&d, 1, p.tail);
		nvme_close(&d);
		if (!nvme_open(&d, t, 0))
			return;
		works_again(&d, false);
		nvme_close(&d);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"lists_that_loop", lists_that_loop},
		{"segments_that_loop", segments_that_loop},
		{"memory_that_goes_away", memory_that_goes_away},
		{"in_each_others_way", in_each_others_way},
		{"detached", detached},
		{"without_bus_master", without_bus_master},
		{"closed_while_it_fights", closed_while_it_fights},
		{"doorbells_and_memory", doorbells_and_memory},
		{"all_registers", all_registers},
		{"admin_queue", admin_queue},
		{"resets_meanwhile", resets_meanwhile},
		{"memory_meanwhile", memory_meanwhile},
		{"all_at_once", all_at_once},
	};

	return TEST_MAIN(argc, argv, cases);
}

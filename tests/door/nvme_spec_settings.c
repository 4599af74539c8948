/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Other ways to registers and memory, and other settings. Device 0 has the defaults; 1 has mdts=1M,queues=64 and the
 * serial number "A1"; 2 has mdts=8K,queues=1.
 */
#include "nvme_spec.h"

#include <sys/mman.h>
#include <time.h>

enum { BLOCK = 512, SETTLE_MS = 40 };
#define OTHER_IOVA 0x40000000ull

static void rest(unsigned ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

	nanosleep(&t, NULL);
}

struct registers {
	int fd;
	uint64_t offset;
};

static struct registers registers_of(const struct nvme *d)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = 0};

	SAME(d->t, door_ioctl(d->rig.device, VFIO_DEVICE_GET_REGION_INFO, &bar), 0);
	return (struct registers){d->rig.device, bar.offset};
}

static uint64_t read_register(const struct nvme *d, const struct registers *r, unsigned at, unsigned width)
{
	uint64_t value = 0;

	SAME(d->t, ERR(pread(r->fd, &value, width, (off_t)(r->offset + at))), width);
	return value;
}

static void write_register(const struct nvme *d, const struct registers *r, unsigned at, uint64_t value, unsigned width)
{
	SAME(d->t, ERR(pwrite(r->fd, &value, width, (off_t)(r->offset + at))), width);
}

/* 3.1: with read and write in place of the map, of 4 and of 8 bytes. */
static void registers_by_calls(struct test *t)
{
	struct command c = {.opcode = ADMIN_IDENTIFY, .cdw10 = 1};
	struct completion done;
	struct registers r;
	uint64_t start;
	struct nvme d;
	uint8_t *page;

	if (!nvme_open(&d, t, 0))
		return;
	r = registers_of(&d);
	page = nvme_memory(&d, PAGE);
	c.prp1 = nvme_iova(&d, page);
	SPEC_TRUE(t, "3.1.1", read_register(&d, &r, REG_CAP, 8) == nvme_get64(&d, REG_CAP));
	for (unsigned width = 4; width <= 8 && !t->failed; width += 4) {
		SPEC(t, "3.1.1", read_register(&d, &r, REG_CAP, 4), nvme_get64(&d, REG_CAP) & ~0u);
		SPEC(t, "3.1.1", read_register(&d, &r, REG_CAP + 4, 4), nvme_get64(&d, REG_CAP) >> 32);
		SPEC(t, "3.1.2", read_register(&d, &r, REG_VS, 4), 0x10400);
		SPEC(t, "3.1.6", read_register(&d, &r, REG_CSTS, 4) & 1, 1);
		write_register(&d, &r, REG_CC, 0, 4);
		start = monotonic_ns();
		while (read_register(&d, &r, REG_CSTS, 4) & CSTS_RDY && nvme_patience(start))
			;
		SPEC(t, "3.1.6 RDY", read_register(&d, &r, REG_CSTS, 4), 0);
		memset(d.admin.cq, 0, d.admin.cq_entries * sizeof(done));
		d.admin.tail = d.admin.head = 0;
		d.admin.phase = 1;
		for (unsigned at = 0; at < 16; at += width) { /* ASQ and ACQ */
			const uint64_t bases[2] = {nvme_iova(&d, d.admin.sq), nvme_iova(&d, d.admin.cq)};

			write_register(&d, &r, REG_ASQ + at, bases[at / 8] >> at % 8 * 8, width);
		}
		write_register(&d, &r, REG_CC, CC_ENTRY_SIZES | CC_EN, 4);
		start = monotonic_ns();
		while (!(read_register(&d, &r, REG_CSTS, 4) & CSTS_RDY) && nvme_patience(start))
			;
		SPEC(t, "3.1.6 RDY", read_register(&d, &r, REG_CSTS, 4), CSTS_RDY);
		for (unsigned i = 0; i < 40 && !t->failed; i++) {
			const uint16_t id = pair_put(&d.admin, &c);

			write_register(&d, &r, REG_DOORBELLS, d.admin.tail, 4);
			start = monotonic_ns();
			while (!pair_has(&d.admin) && nvme_patience(start))
				;
			SPEC_TRUE(t, "3.1.24", pair_take(&d, &d.admin, &done));
			SPEC(t, "5.15", completion_status(&done), OK);
			SPEC(t, "4.6 CID", done.id, id);
			write_register(&d, &r, REG_DOORBELLS + d.stride, d.admin.head, 4);
		}
	}
	nvme_close(&d);
}

/* 3.1.9, 3.1.10: 64 bits in two halves, of either order. */
static void addresses_in_halves(struct test *t)
{
	struct nvme d;
	uint8_t *page;

	if (!nvme_open(&d, t, 0))
		return;
	page = nvme_memory(&d, PAGE);
	for (unsigned i = 0; i < 2; i++) {
		const uint64_t sq = nvme_iova(&d, d.admin.sq), cq = nvme_iova(&d, d.admin.cq);

		SPEC(t, "7.3.2", nvme_disable(&d), 0);
		nvme_set64(&d, REG_ASQ, ~0ull);
		nvme_set64(&d, REG_ACQ, ~0ull);
		for (unsigned k = 0; k < 2; k++) {
			const unsigned half = (k ^ i) * 4;

			nvme_set(&d, REG_ASQ + half, (uint32_t)(sq >> half * 8));
			nvme_set(&d, REG_ACQ + half, (uint32_t)(cq >> half * 8));
		}
		d.admin.tail = d.admin.head = 0;
		d.admin.phase = 1;
		memset(d.admin.cq, 0, d.admin.cq_entries * sizeof(struct completion));
		SPEC(t, "7.6.1", nvme_start(&d, CC_ENTRY_SIZES), 0);
		SPEC(t, "3.1.9, 3.1.10", nvme_identify(&d, 1, 0, page), OK);
	}
	nvme_close(&d);
}

/* A command that reads or writes so many blocks at an address that need not be the arena's. */
static long move_at(struct nvme *d, struct pair *p, unsigned opcode, uint64_t iova, uint32_t blocks)
{
	struct command c = nvme_transfer(d, opcode, 500, blocks);

	c.prp1 = iova;
	c.prp2 = blocks > 8 || iova % PAGE ? iova / PAGE * PAGE + PAGE : 0;
	return pair_do(d, p, &c);
}

/* Pages of IOVA that follow each other, of memory that does not: data and queues that lie across. */
static void memory_in_pieces(struct test *t)
{
	enum { PIECES = 66 };
	struct pair p = {.id = 1, .cq_id = 1, .entries = 4096, .cq_entries = 256};
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct nvme d;
	uint8_t *memory, *queue;

	if (!nvme_open(&d, t, 0))
		return;
	memory = mmap(NULL, PIECES * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	for (unsigned i = 0; i < PIECES; i++)
		SAME(t,
		     rig_map(&d.rig, memory + (size_t)(PIECES - 1 - i) * PAGE, PAGE, OTHER_IOVA + i * PAGE, RIG_BOTH),
		     0);
	p.sq = (struct command *)memory; /* the first entries are on the last page */
	p.cq = nvme_memory(&d, PAGE);
	p.phase = 1;
	SPEC(t, "5.3", cq_create(&d, &p, -1), OK);
	{
		struct command c = {
			.opcode = ADMIN_CREATE_SQ, .prp1 = OTHER_IOVA, .cdw10 = 4095 << 16 | 1, .cdw11 = 1 << 16 | 1};

		SPEC(t, "5.4", nvme_admin(&d, &c), OK);
	}
	/* Once around the queue: each page of 64 entries where its address says. */
	for (unsigned i = 0; i < 4096 + 100 && !t->failed; i++) {
		queue = memory + (size_t)(PIECES - 1 - p.tail / 64) * PAGE;
		flush.id = (uint16_t)i;
		((struct command *)queue)[p.tail % 64] = flush;
		p.tail = (p.tail + 1) % 4096;
		if (i % 50 == 49 || i >= 4096) {
			nvme_ring_sq(&d, 1, p.tail);
			for (unsigned k = 0; k < (i >= 4096 ? (i == 4096 ? 47u : 1u) : 50u) && !t->failed; k++) {
				struct completion c;

				SPEC(t, "4.1", pair_wait(&d, &p, &c), 0);
				SPEC(t, "6.8", completion_status(&c), OK);
			}
		}
	}
	SPEC(t, "5.6", queue_delete(&d, ADMIN_DELETE_SQ, 1), OK);
	p.entries = 16;
	p.tail = 0;
	p.sq = nvme_memory(&d, PAGE);
	SPEC(t, "5.4", sq_create(&d, &p), OK);
	for (uint32_t offset = 0; offset < PAGE; offset += 508) {
		pattern_fill(memory + (PIECES - 11) * PAGE, PAGE, offset);
		pattern_fill(memory + (PIECES - 12) * PAGE, PAGE, offset + 1);
		SPEC(t, "4.3", move_at(&d, &p, NVM_WRITE, OTHER_IOVA + 10 * PAGE + offset, 8), OK);
		SPEC(t, "4.3", move_at(&d, &p, NVM_READ, OTHER_IOVA + 20 * PAGE, 8), OK);
		SPEC_TRUE(t, "4.3",
			  memcmp(memory + (PIECES - 21) * PAGE, memory + (PIECES - 11) * PAGE + offset,
				 PAGE - offset) == 0);
		SPEC_TRUE(t, "4.3",
			  memcmp(memory + (PIECES - 20) * PAGE - offset, memory + (PIECES - 12) * PAGE, offset) == 0);
	}
	nvme_close(&d);
}

/* What the device may only read, and what it may only write. */
static void memory_of_one_direction(struct test *t)
{
	struct pair p = {0};
	struct nvme d;
	uint8_t *memory;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 16, 16, -1), OK);
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
	SAME(t, rig_map(&d.rig, memory, PAGE, OTHER_IOVA, RIG_READ), 0);
	memset(memory, 0x21, PAGE);
	SPEC(t, "6.15", move_at(&d, &p, NVM_WRITE, OTHER_IOVA, 8), OK);
	SPEC(t, "6.6", move_at(&d, &p, NVM_COMPARE, OTHER_IOVA, 8), OK);
	SPEC(t, "doc, errors: may not be written", move_at(&d, &p, NVM_READ, OTHER_IOVA, 8), DATA_TRANSFER_ERROR);
	SPEC_TRUE(t, "doc, errors: may not be written", bytes_are(memory, PAGE, 0x21));
	if (!rig_map(&d.rig, memory + PAGE, PAGE, OTHER_IOVA + PAGE, RIG_WRITE)) { /* VFIO need not know that */
		SPEC(t, "6.9", move_at(&d, &p, NVM_READ, OTHER_IOVA + PAGE, 8), OK);
		SPEC_TRUE(t, "6.9", bytes_are(memory + PAGE, PAGE, 0x21));
	}
	nvme_close(&d);
}

/* Queues that the device may only read, or only write. */
static void queues_of_one_direction(struct test *t)
{
	struct nvme d;
	uint8_t *memory;

	if (!nvme_open_only(&d, t, 0))
		return;
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
	SAME(t, rig_map(&d.rig, memory, PAGE, OTHER_IOVA, RIG_READ), 0);
	for (unsigned i = 0; i < 2 && !t->failed; i++) {
		struct pair p = {.id = 1, .cq_id = 1, .entries = 16, .cq_entries = 16, .phase = 1};
		struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
		struct command cq = {.opcode = ADMIN_CREATE_CQ, .cdw10 = 15 << 16 | 1, .cdw11 = 1};
		struct command sq = {.opcode = ADMIN_CREATE_SQ, .cdw10 = 15 << 16 | 1, .cdw11 = 1 << 16 | 1};

		p.sq = (struct command *)memory;
		p.cq = nvme_memory(&d, PAGE);
		cq.prp1 = i ? OTHER_IOVA : nvme_iova(&d, p.cq);
		sq.prp1 = OTHER_IOVA;
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		SPEC(t, "5.3", nvme_admin(&d, &cq), OK);
		SPEC(t, "5.4", nvme_admin(&d, &sq), OK);
		if (i == 0) {
			SPEC(t, "4.1: is only read", pair_do(&d, &p, &flush), OK);
		} else {
			pair_give(&d, &p, &flush);
			SPEC_TRUE(t, "doc, errors: CFS", nvme_status(&d, CSTS_CFS, CSTS_CFS, 20000));
		}
		SPEC(t, "7.3.2", nvme_disable(&d), 0);
	}
	nvme_close(&d);
}

/* Address 0 is one as any other. */
static void memory_at_address_0(struct test *t)
{
	struct command identify = {.opcode = ADMIN_IDENTIFY, .cdw10 = 1};
	struct pair p = {0};
	struct nvme d;
	uint8_t *memory;
	long rc;

	if (!nvme_open(&d, t, 0))
		return;
	memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_SHARED, -1, 0);
	rc = rig_map(&d.rig, memory, 4 * PAGE, 0, RIG_BOTH);
	if (rc) {
		test_skip(t, "address 0 cannot be mapped: %ld", rc);
		return;
	}
	SPEC(t, "5.15", nvme_admin(&d, &identify), OK);
	SPEC(t, "figure 251 VID", get16(memory), 0x494d);
	p = (struct pair){.id = 1, .cq_id = 1, .entries = 64, .cq_entries = 64, .phase = 1};
	p.sq = (struct command *)memory;
	p.cq = nvme_memory(&d, PAGE);
	SPEC(t, "5.3", cq_create(&d, &p, -1), OK);
	{
		struct command create = {.opcode = ADMIN_CREATE_SQ, .cdw10 = 63 << 16 | 1, .cdw11 = 1 << 16 | 1};

		SPEC(t, "5.4", nvme_admin(&d, &create), OK);
	}
	memset(memory + PAGE, 0x19, PAGE);
	SPEC(t, "6.15", move_at(&d, &p, NVM_WRITE, PAGE, 8), OK);
	SPEC(t, "6.9", move_at(&d, &p, NVM_READ, 2 * PAGE, 8), OK);
	SPEC_TRUE(t, "6.9", bytes_are(memory + 2 * PAGE, PAGE, 0x19));
	nvme_close(&d);
}

/* 4.2, 4.3: what a command does not use may hold anything. */
static void fields_that_are_not_used(struct test *t)
{
	struct pair p = {0};
	struct command c;
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 16, 16, -1), OK);
	data = nvme_memory(&d, PAGE);
	for (unsigned i = 0; i < 3; i++) {
		static const unsigned opcodes[] = {NVM_WRITE, NVM_READ, NVM_COMPARE};

		c = nvme_transfer(&d, opcodes[i], 3, 8);
		c.prp1 = nvme_iova(&d, data);
		c.prp2 = NOWHERE | 0xfff;
		SPEC(t, "4.3: PRP2", pair_do(&d, &p, &c), OK);
		c.mptr = NOWHERE | 0xfff;
		SPEC(t, "4.2: MPTR, without metadata", pair_do(&d, &p, &c), OK);
		c.cdw14 = c.cdw15 = ~0u;
		SPEC(t, "8.3: tags, without protection information", pair_do(&d, &p, &c), OK);
		c.cdw2 = c.cdw3 = ~0u;
		SPEC(t, "4.2: Dwords 2 and 3", pair_do(&d, &p, &c), OK);
	}
	c = (struct command){.opcode = NVM_FLUSH, .nsid = 1, .prp1 = NOWHERE | 1, .prp2 = NOWHERE | 1, .mptr = 1};
	c.cdw10 = c.cdw11 = c.cdw12 = c.cdw13 = c.cdw14 = c.cdw15 = ~0u;
	SPEC(t, "6.8", pair_do(&d, &p, &c), OK);
	c = nvme_transfer(&d, NVM_WRITE_ZEROES, 3, 8);
	c.prp1 = c.prp2 = NOWHERE | 1;
	SPEC(t, "6.17", pair_do(&d, &p, &c), OK);
	c.opcode = NVM_VERIFY;
	SPEC(t, "6.14", pair_do(&d, &p, &c), OK);
	nvme_close(&d);
}

/* 7.3.2: events that were asked for, and what is set, do not outlive a reset. */
static void forgotten(struct test *t)
{
	struct command event = {.opcode = ADMIN_ASYNC_EVENT};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	pair_give(&d, &d.admin, &event);
	pair_give(&d, &d.admin, &event);
	SPEC(t, "5.21.1.7", nvme_set_feature(&d, 0x07, 0), OK);
	if (t->seed % 2)
		SPEC(t, "7.3.2", nvme_disable(&d), 0);
	else
		SAME(t, door_ioctl(d.rig.device, VFIO_DEVICE_RESET, NULL), 0);
	config_write(&d.rig, 4, 2, 6);
	SPEC(t, "7.6.1", nvme_enable(&d), 0);
	nvme_ring_sq(&d, 5, 1);
	rest(SETTLE_MS);
	SPEC_TRUE(t, "7.3.2: nobody has asked for events", !pair_has(&d.admin));
	SPEC(t, "5.14", nvme_get_feature(&d, 0x07, 0), OK);
	SPEC(t, "7.3.2: number of queues", d.result, 15 << 16 | 15);
	SPEC(t, "5.2", d.events, 0);
	nvme_close(&d);
}

/* 5.21.1.4, 5.21.1.11, figure 149: the temperature and its thresholds. */
static void temperature(struct test *t)
{
	struct command event = {.opcode = ADMIN_ASYNC_EVENT};
	struct completion c;
	uint8_t *log, *page;
	struct nvme d;
	uint32_t kelvin;

	if (!nvme_open(&d, t, 0))
		return;
	log = nvme_memory(&d, PAGE);
	page = nvme_memory(&d, PAGE);
	SPEC(t, "5.15", nvme_identify(&d, 1, 0, page), OK);
	SPEC(t, "5.14", nvme_get_feature(&d, 0x04, 0), OK);
	SPEC(t, "5.21.1.4: over, by default, is WCTEMP", d.result & 0xffff, get16(page + 266));
	SPEC(t, "5.14", nvme_get_feature(&d, 0x04, 1 << 20), OK);
	SPEC(t, "5.21.1.4: under, by default, is 0", d.result & 0xffff, 0);
	SPEC(t, "5.14.1.2", nvme_log(&d, 2, 0, log, 512, false), OK);
	kelvin = get16(log + 1);
	SPEC(t, "5.21.1.11", nvme_set_feature(&d, 0x0b, 2), OK);
	for (unsigned i = 0; i < 2 && !t->failed; i++) { /* over, then under */
		const uint32_t wrong = i ? 1 << 20 | (kelvin + 1) : kelvin - 1, right = i ? 1 << 20 : kelvin + 20;
		uint16_t id = pair_give(&d, &d.admin, &event);

		SPEC(t, "5.21.1.4", nvme_set_feature(&d, 0x04, wrong), OK);
		if (!d.events) {
			SPEC(t, "5.2", pair_wait(&d, &d.admin, &c), 0);
			SPEC(t, "5.2", c.id, id);
			d.event = c.result;
		}
		SPEC(t, "figure 149: temperature threshold", d.event, 0x020101);
		SPEC(t, "5.14.1.2", nvme_log(&d, 2, 0, log, 512, true), OK);
		SPEC(t, "figure 196: critical warning", log[0], 2);
		SPEC(t, "5.21.1.4", nvme_set_feature(&d, 0x04, right), OK);
		SPEC(t, "5.14.1.2", nvme_log(&d, 2, 0, log, 512, false), OK);
		SPEC(t, "figure 196: critical warning", log[0], 0);
		d.events = 0;
	}
	SPEC(t, "5.21.1.11", nvme_set_feature(&d, 0x0b, 0), OK);
	pair_give(&d, &d.admin, &event);
	SPEC(t, "5.21.1.4", nvme_set_feature(&d, 0x04, kelvin - 1), OK);
	rest(SETTLE_MS);
	SPEC_TRUE(t, "5.21.1.11: not enabled", !d.events && !pair_has(&d.admin));
	nvme_close(&d);
}

/* figure 251, 5.21.1.7: what mdts, queues and serial change. */
static void settings(struct test *t)
{
	static const struct {
		unsigned mdts, queues;
		const char *serial;
	} want[3] = {{5, 16, NULL}, {8, 64, "A1                  "}, {1, 1, NULL}};

	for (unsigned number = 0; number < 3 && !t->failed; number++) {
		const uint32_t most = (uint32_t)PAGE << want[number].mdts;
		struct pair pairs[64] = {0};
		struct command c;
		uint64_t *list;
		struct nvme d;
		uint8_t *page, *data;

		if (!nvme_open(&d, t, number))
			return;
		page = nvme_memory(&d, PAGE);
		SPEC(t, "5.15", nvme_identify(&d, 1, 0, page), OK);
		SPEC(t, "doc, mdts; figure 251 MDTS", page[77], want[number].mdts);
		if (want[number].serial)
			SPEC_TRUE(t, "doc, serial; figure 251 SN", memcmp(page + 4, want[number].serial, 20) == 0);
		SPEC(t, "5.21.1.7", nvme_set_feature(&d, 0x07, 0xfffefffe), OK);
		SPEC(t, "doc, queues; 5.21.1.7", d.result, (want[number].queues - 1) << 16 | (want[number].queues - 1));
		for (unsigned i = 0; i < want[number].queues; i++)
			SPEC(t, "5.3", pair_create(&d, &pairs[i], i + 1, 8, 8, (int)i + 1), OK);
		SPEC(t, "5.6", queue_delete(&d, ADMIN_DELETE_SQ, want[number].queues + 1), QUEUE_ID_INVALID);
		data = nvme_memory(&d, most);
		list = nvme_memory(&d, 2 * PAGE);
		pattern_fill(data, most, number);
		c = nvme_transfer(&d, NVM_WRITE, 0, most / BLOCK);
		command_point(&d, &c, data, most, list);
		SPEC(t, "doc, mdts", pair_do(&d, &pairs[0], &c), OK);
		memset(data, 0, most);
		c.opcode = NVM_READ;
		SPEC(t, "doc, mdts", pair_do(&d, &pairs[want[number].queues - 1], &c), OK);
		SPEC_TRUE(t, "6.9", pattern_is(data, most, number));
		c.cdw12++;
		SPEC(t, "doc, mdts: a block more", pair_do(&d, &pairs[0], &c), INVALID_FIELD);
		for (unsigned round = 0; round < 3; round++) /* all queues at once */
			for (unsigned i = 0; i < 2 * want[number].queues; i++) {
				struct pair *p = &pairs[i % want[number].queues];
				struct completion done;

				c = nvme_transfer(&d, NVM_COMPARE, i * 8, 8);
				c.prp1 = nvme_iova(&d, data + i * PAGE % most);
				if (i < want[number].queues) {
					pair_give(&d, p, &c);
				} else {
					SPEC(t, "4.1", pair_wait(&d, p, &done), 0);
					SPEC(t, "6.6", completion_status(&done), OK);
				}
				if (i * PAGE >= most && i < want[number].queues)
					test_fail(t, "the test needs more data");
			}
		nvme_close(&d);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"registers_by_calls", registers_by_calls},
		{"addresses_in_halves", addresses_in_halves},
		{"memory_in_pieces", memory_in_pieces},
		{"memory_of_one_direction", memory_of_one_direction},
		{"queues_of_one_direction", queues_of_one_direction},
		{"memory_at_address_0", memory_at_address_0},
		{"fields_that_are_not_used", fields_that_are_not_used},
		{"forgotten", forgotten},
		{"temperature", temperature},
		{"settings", settings},
	};

	return TEST_MAIN(argc, argv, cases);
}

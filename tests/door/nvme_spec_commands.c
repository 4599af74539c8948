/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NVM command set (section 6). Device 0 has blocks of 512 bytes; 1 has an image of 1000003 bytes in blocks of 4096;
 * 2 is read-only, with the odd image that device 1 has not: 100001 bytes of 0x5a.
 */
#include "nvme_spec.h"

#include <time.h>

enum { BLOCK = 512, MOST = 128 << 10 };

/* Fields of Dwords 11 and 12 */
#define FUA  (1u << 30)
#define DEAC (1u << 25)

struct bench {
	struct nvme d;
	struct pair p;
	uint8_t *data;
	uint64_t blocks;
	unsigned block;
};

static bool begin(struct bench *b, struct test *t, unsigned number)
{
	uint8_t *page;

	*b = (struct bench){0};
	if (!nvme_open(&b->d, t, number) || !SPEC(t, "5.3", pair_create(&b->d, &b->p, 1, 32, 32, -1), OK))
		return false;
	b->data = nvme_memory(&b->d, 2 * MOST);
	page = nvme_memory(&b->d, PAGE);
	if (!SPEC(t, "5.15", nvme_identify(&b->d, 0, 1, page), OK))
		return false;
	b->blocks = get64(page);
	b->block = 1u << page[128 + 4 * (page[26] & 0xf) + 2];
	return true;
}

static long do_blocks(struct bench *b, unsigned opcode, uint64_t lba, uint32_t blocks)
{
	struct command c = nvme_transfer(&b->d, opcode, lba, blocks);
	const size_t before = b->d.used;
	long rc;

	if (opcode != NVM_WRITE_ZEROES && opcode != NVM_VERIFY && opcode != NVM_FLUSH)
		command_point(&b->d, &c, b->data, blocks * b->block < MOST ? blocks * b->block : MOST,
			      nvme_memory(&b->d, PAGE));
	rc = pair_do(&b->d, &b->p, &c);
	b->d.used = before;
	return rc;
}

static void ranges(struct test *t)
{
	static const unsigned opcodes[] = {NVM_READ, NVM_WRITE, NVM_COMPARE, NVM_WRITE_ZEROES, NVM_VERIFY};

	for (unsigned number = 0; number < 2; number++) {
		struct bench b;

		if (!begin(&b, t, number))
			return;
		for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
			const uint64_t end = b.blocks;

			memset(b.data, 0, MOST);
			SPEC(t, "6.15", do_blocks(&b, NVM_WRITE, end - 2, 2), OK);
			SPEC(t, "6: the last block", do_blocks(&b, opcodes[i], end - 1, 1), OK);
			SPEC(t, "6: the last two", do_blocks(&b, opcodes[i], end - 2, 2), OK);
			SPEC(t, "figure 127: LBA Out of Range", do_blocks(&b, opcodes[i], end, 1), LBA_OUT_OF_RANGE);
			SPEC(t, "figure 127: LBA Out of Range", do_blocks(&b, opcodes[i], end - 1, 2),
			     LBA_OUT_OF_RANGE);
			SPEC(t, "figure 127: LBA Out of Range", do_blocks(&b, opcodes[i], ~0ull, 1), LBA_OUT_OF_RANGE);
			SPEC(t, "figure 127: LBA Out of Range", do_blocks(&b, opcodes[i], ~0ull, 2), LBA_OUT_OF_RANGE);
			SPEC(t, "figure 127: LBA Out of Range", do_blocks(&b, opcodes[i], 1ull << 63, 8),
			     LBA_OUT_OF_RANGE);
			SPEC(t, "figure 127: LBA Out of Range", do_blocks(&b, opcodes[i], 1ull << 55, 8),
			     LBA_OUT_OF_RANGE);
			SPEC(t, "figure 127: LBA Out of Range", do_blocks(&b, opcodes[i], 1ull << 32, 1),
			     LBA_OUT_OF_RANGE);
		}
		nvme_close(&b.d);
	}
}

/* figure 251 MDTS */
static void largest_transfer(struct test *t)
{
	static const unsigned opcodes[] = {NVM_READ, NVM_WRITE, NVM_COMPARE};
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	memset(b.data, 0, MOST);
	SPEC(t, "figure 251 MDTS: just so much", do_blocks(&b, NVM_WRITE, 0, 256), OK);
	for (unsigned i = 0; i < 3; i++) {
		SPEC(t, "figure 251 MDTS: just so much", do_blocks(&b, opcodes[i], 0, 256), OK);
		SPEC(t, "figure 251 MDTS: a block more", do_blocks(&b, opcodes[i], 0, 257), INVALID_FIELD);
		SPEC(t, "figure 251 MDTS: 65536 blocks", do_blocks(&b, opcodes[i], 0, 65536), INVALID_FIELD);
	}
	nvme_close(&b.d);
}

/* 4.2 NSID, 6.1 */
static void namespaces(struct test *t)
{
	static const unsigned opcodes[] = {NVM_READ,         NVM_WRITE, NVM_COMPARE, NVM_FLUSH,
					   NVM_WRITE_ZEROES, NVM_DSM,   NVM_VERIFY};
	uint8_t *page;
	struct bench b;
	unsigned vwc;

	if (!begin(&b, t, 0))
		return;
	page = nvme_memory(&b.d, PAGE);
	SPEC(t, "5.15", nvme_identify(&b.d, 1, 0, page), OK);
	vwc = page[525];
	memset(b.data, 0, PAGE);
	for (unsigned i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		struct command c = {.opcode = (uint8_t)opcodes[i], .nsid = 1, .prp1 = nvme_iova(&b.d, b.data)};

		SPEC(t, "6.15", do_blocks(&b, NVM_WRITE, 0, 1), OK);
		SPEC(t, "6", pair_do(&b.d, &b.p, &c), OK);
		c.nsid = 0;
		SPEC(t, "6.1.4: NSID 0", pair_do(&b.d, &b.p, &c), INVALID_NAMESPACE);
		c.nsid = 2;
		SPEC(t, "6.1.4: NSID above NN", pair_do(&b.d, &b.p, &c), INVALID_NAMESPACE);
		c.nsid = ~0u - 1;
		SPEC(t, "6.1.4: NSID above NN", pair_do(&b.d, &b.p, &c), INVALID_NAMESPACE);
		c.nsid = ~0u;
		if (opcodes[i] != NVM_FLUSH)
			SPEC_OR(t, "4.2: not for all namespaces", pair_do(&b.d, &b.p, &c), INVALID_FIELD,
				INVALID_NAMESPACE);
		else if ((vwc & 6) == 6)
			SPEC(t, "6.8, figure 251 VWC: for all namespaces", pair_do(&b.d, &b.p, &c), OK);
		else if ((vwc & 6) == 4)
			SPEC(t, "6.8, figure 251 VWC: not for all", pair_do(&b.d, &b.p, &c), INVALID_NAMESPACE);
		else
			test_fail(t, "figure 251 VWC: 1.4 and later say whether Flush is for all namespaces: 0x%x",
				  vwc);
	}
	nvme_close(&b.d);
}

static void commands_that_are_not(struct test *t)
{
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct command c = {.opcode = (uint8_t)opcode, .nsid = 1, .prp1 = nvme_iova(&b.d, b.data)};
		const bool known = opcode <= 0x0c && (0x1327u >> opcode & 1) && opcode != NVM_WRITE_UNCORRECTABLE;

		if (!known)
			SPEC(t, "doc, commands for I/O; figure 346", pair_do(&b.d, &b.p, &c), INVALID_OPCODE);
		for (unsigned fuse = 1; known && fuse < 4; fuse++) {
			c.flags = (uint8_t)fuse;
			SPEC(t, "6.2 FUSE: not supported", pair_do(&b.d, &b.p, &c), INVALID_FIELD);
		}
		if (t->failed) {
			test_fail(t, "that was opcode 0x%x", opcode);
			break;
		}
	}
	nvme_close(&b.d);
}

/* 6.9, 6.15: what was written is read, with and without FUA, limited retry, hints; with the write cache on and off. */
static void written_and_read(struct test *t)
{
	static const uint32_t flags[] = {0, FUA, 1u << 31, 1u << 31 | FUA};
	uint64_t state = t->seed;
	struct bench b;

	for (unsigned number = 0; number < 2; number++) {
		if (!begin(&b, t, number))
			return;
		for (unsigned i = 0; i < 60 && !t->failed; i++) {
			const uint32_t blocks = 1 + (uint32_t)(random_next(&state) % (MOST / b.block));
			const uint64_t lba = random_next(&state) % (b.blocks - blocks);
			const uint32_t bytes = blocks * b.block;
			struct command c = nvme_transfer(&b.d, NVM_WRITE, lba, blocks);
			uint64_t *list = nvme_memory(&b.d, PAGE);

			if (i % 10 == 0)
				SPEC(t, "5.21.1.6", nvme_set_feature(&b.d, 0x06, i / 10 % 2), OK);
			pattern_fill(b.data, bytes, i);
			command_point(&b.d, &c, b.data, bytes, list);
			c.cdw12 |= flags[i % 4];
			c.cdw13 = i % 3 ? 0 : 0x50; /* figure 402: access frequency and latency */
			SPEC(t, "6.15", pair_do(&b.d, &b.p, &c), OK);
			c.opcode = NVM_COMPARE;
			SPEC(t, "6.6", pair_do(&b.d, &b.p, &c), OK);
			c.opcode = NVM_VERIFY;
			SPEC(t, "6.14", pair_do(&b.d, &b.p, &c), OK);
			memset(b.data, 0, bytes);
			c.opcode = NVM_READ;
			SPEC(t, "6.9", pair_do(&b.d, &b.p, &c), OK);
			SPEC_TRUE(t, "6.9", pattern_is(b.data, bytes, i));
			b.d.used -= PAGE;
		}
		nvme_close(&b.d);
	}
}

/* 6.6: any byte that differs. */
static void compared(struct test *t)
{
	static const uint32_t wrong[] = {0, 1, 511, 512, 4095, 4096, 4097, 65535, MOST - 1};
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	pattern_fill(b.data, MOST, 9);
	SPEC(t, "6.15", do_blocks(&b, NVM_WRITE, 512, 256), OK);
	SPEC(t, "6.6", do_blocks(&b, NVM_COMPARE, 512, 256), OK);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		b.data[wrong[i]] ^= 1;
		SPEC(t, "6.6: Compare Failure", do_blocks(&b, NVM_COMPARE, 512, 256), COMPARE_FAILURE);
		b.data[wrong[i]] ^= 1;
	}
	SPEC_TRUE(t, "6.6: does not write to memory", pattern_is(b.data, MOST, 9));
	memset(b.data, 0, MOST);
	SPEC(t, "6.9", do_blocks(&b, NVM_READ, 512, 256), OK);
	SPEC_TRUE(t, "6.6: does not write to the disk", pattern_is(b.data, MOST, 9));
	nvme_close(&b.d);
}

/* All blocks from lba on hold the byte. */
static void expect_blocks(struct bench *b, uint64_t lba, uint32_t blocks, uint8_t byte)
{
	const uint32_t most = MOST / b->block;

	while (blocks) {
		const uint32_t n = blocks < most ? blocks : most;

		memset(b->data, 0x3c, MOST);
		SPEC(b->d.t, "6.9", do_blocks(b, NVM_READ, lba, n), OK);
		if (!SPEC_TRUE(b->d.t, "6.7, 6.17", bytes_are(b->data, (size_t)n * b->block, byte)))
			return;
		lba += n;
		blocks -= n;
	}
}

static void fill_blocks(struct bench *b, uint64_t lba, uint32_t blocks, uint8_t byte)
{
	const uint32_t most = MOST / b->block;

	memset(b->data, byte, MOST);
	for (; blocks; blocks -= blocks < most ? blocks : most, lba += most)
		SPEC(b->d.t, "6.15", do_blocks(b, NVM_WRITE, lba, blocks < most ? blocks : most), OK);
}

/* 6.17: more than MDTS, without data; with DEAC and without; nothing beside. */
static void zeroes(struct test *t)
{
	for (unsigned number = 0; number < 2; number++) {
		const uint32_t most = number ? 200 : 20000;
		struct bench b;

		if (!begin(&b, t, number))
			return;
		for (unsigned i = 0; i < 8 && !t->failed; i++) {
			static const uint32_t counts[] = {1, 7, 8, 65};
			const uint32_t n = i % 4 == 3 ? most : counts[i % 4];
			struct command c = nvme_transfer(&b.d, NVM_WRITE_ZEROES, 11, n);

			fill_blocks(&b, 10, n + 2, 0x99);
			c.cdw12 |= (i & 4 ? DEAC : 0) | (i & 1 ? FUA : 0);
			SPEC(t, "6.17", pair_do(&b.d, &b.p, &c), OK);
			expect_blocks(&b, 11, n, 0);
			expect_blocks(&b, 10, 1, 0x99);
			expect_blocks(&b, 11 + n, 1, 0x99);
		}
		if (number == 0) {
			SPEC(t, "6.17: 65536 blocks", do_blocks(&b, NVM_WRITE_ZEROES, 0, 65536), OK);
			SPEC(t, "6.14: 65536 blocks", do_blocks(&b, NVM_VERIFY, 0, 65536), OK);
			expect_blocks(&b, 0, 2000, 0);
		}
		nvme_close(&b.d);
	}
}

struct range {
	uint32_t context, blocks;
	uint64_t lba;
};

/* 6.7 */
static void deallocated(struct test *t)
{
	struct command c = {.opcode = NVM_DSM, .nsid = 1};
	struct range *list;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = nvme_memory(&b.d, 2 * PAGE);
	c.prp1 = nvme_iova(&b.d, list);
	fill_blocks(&b, 1000, 256 * 8, 0x42);
	for (unsigned i = 0; i < 256; i++)
		list[i] = (struct range){.blocks = 3, .lba = 1000 + i * 8};
	c.cdw10 = 255;
	SPEC(t, "6.7: no attribute", pair_do(&b.d, &b.p, &c), OK);
	expect_blocks(&b, 1000, 256 * 8, 0x42);
	c.cdw11 = 3; /* integral datasets are hints */
	SPEC(t, "6.7: integral datasets", pair_do(&b.d, &b.p, &c), OK);
	expect_blocks(&b, 1000, 256 * 8, 0x42);
	c.cdw11 = 4;
	SPEC(t, "6.7: 256 ranges", pair_do(&b.d, &b.p, &c), OK);
	for (unsigned i = 0; i < 256 && !t->failed; i++) {
		expect_blocks(&b, 1000 + i * 8, 3, 0);
		expect_blocks(&b, 1003 + i * 8, 5, 0x42);
	}
	/* Of no blocks, of one, over each other, of all. */
	fill_blocks(&b, 1000, 64, 0x43);
	list[0] = (struct range){.blocks = 0, .lba = 1000};
	list[1] = (struct range){.blocks = 1, .lba = 1000};
	list[2] = (struct range){.blocks = 16, .lba = 1008};
	list[3] = (struct range){.blocks = 16, .lba = 1016};
	c.cdw10 = 3;
	SPEC(t, "6.7", pair_do(&b.d, &b.p, &c), OK);
	expect_blocks(&b, 1000, 1, 0);
	expect_blocks(&b, 1001, 7, 0x43);
	expect_blocks(&b, 1008, 24, 0);
	expect_blocks(&b, 1032, 32, 0x43);
	list[0] = (struct range){.blocks = (uint32_t)b.blocks, .lba = 0};
	c.cdw10 = 0;
	SPEC(t, "6.7: all of it", pair_do(&b.d, &b.p, &c), OK);
	expect_blocks(&b, 1000, 64, 0);
	/* The list over two pages; where there is none; ranges that are not there. */
	fill_blocks(&b, 1000, 64, 0x44);
	list = (struct range *)((uint8_t *)list + PAGE - 32);
	for (unsigned i = 0; i < 4; i++)
		list[i] = (struct range){.blocks = 1, .lba = 1000 + i * 2};
	command_point(&b.d, &c, list, 64, NULL);
	c.cdw10 = 3;
	SPEC(t, "6.7, 4.3", pair_do(&b.d, &b.p, &c), OK);
	for (unsigned i = 0; i < 4; i++) {
		expect_blocks(&b, 1000 + i * 2, 1, 0);
		expect_blocks(&b, 1001 + i * 2, 1, 0x44);
	}
	c.prp2 = NOWHERE;
	SPEC(t, "doc, errors: not mapped", pair_do(&b.d, &b.p, &c), DATA_TRANSFER_ERROR);
	c.prp1 = NOWHERE;
	SPEC(t, "doc, errors: not mapped", pair_do(&b.d, &b.p, &c), DATA_TRANSFER_ERROR);
	command_point(&b.d, &c, list, 16, NULL);
	c.cdw10 = 0;
	list[0] = (struct range){.blocks = 2, .lba = b.blocks - 1};
	SPEC(t, "6.7, figure 127: LBA Out of Range", pair_do(&b.d, &b.p, &c), LBA_OUT_OF_RANGE);
	list[0] = (struct range){.blocks = ~0u, .lba = ~0ull - 5};
	SPEC(t, "6.7, figure 127: LBA Out of Range", pair_do(&b.d, &b.p, &c), LBA_OUT_OF_RANGE);
	expect_blocks(&b, 1008, 56, 0x44);
	nvme_close(&b.d);
}

/* doc: what follows the image's end reads as zeroes; a write there makes it longer. 1000003 bytes of 0xa7 at first. */
static void image_of_odd_size(struct test *t)
{
	const uint32_t rest = 1000003 % 4096;
	struct bench b;

	if (t->seed != 1) {
		test_skip(t, "it has been made longer before");
		return;
	}
	if (!begin(&b, t, 1))
		return;
	SPEC(t, "doc, block: 4096", b.block, 4096);
	SPEC(t, "doc, block: the last one is there as well", b.blocks, 1000003 / 4096 + 1);
	memset(b.data, 0x3c, PAGE);
	SPEC(t, "6.9", do_blocks(&b, NVM_READ, b.blocks - 1, 1), OK);
	SPEC_TRUE(t, "doc, block", bytes_are(b.data, rest, 0xa7));
	SPEC_TRUE(t, "doc, block: zeroes behind its end", bytes_are(b.data + rest, 4096 - rest, 0));
	SPEC(t, "6.6", do_blocks(&b, NVM_COMPARE, b.blocks - 1, 1), OK);
	SPEC(t, "6.14", do_blocks(&b, NVM_VERIFY, b.blocks - 1, 1), OK);
	memset(b.data, 0x3c, 3 * PAGE);
	SPEC(t, "6.9", do_blocks(&b, NVM_READ, b.blocks - 3, 3), OK);
	SPEC_TRUE(t, "doc, block", bytes_are(b.data, 2 * PAGE + rest, 0xa7));
	SPEC_TRUE(t, "doc, block: zeroes behind its end", bytes_are(b.data + 2 * PAGE + rest, 4096 - rest, 0));
	memset(b.data, 0x15, PAGE);
	SPEC(t, "6.15", do_blocks(&b, NVM_WRITE, b.blocks - 1, 1), OK);
	memset(b.data, 0, PAGE);
	SPEC(t, "6.9", do_blocks(&b, NVM_READ, b.blocks - 1, 1), OK);
	SPEC_TRUE(t, "doc, block: it is longer now", bytes_are(b.data, PAGE, 0x15));
	SPEC(t, "6.8", do_blocks(&b, NVM_FLUSH, 0, 1), OK);
	nvme_close(&b.d);
}

/* doc, readonly; figure 249 NSATTR; 8.19 */
static void write_protected(struct test *t)
{
	struct range *list;
	struct bench b;
	struct command c = {.opcode = NVM_DSM, .nsid = 1, .cdw11 = 4};
	uint8_t *page;

	if (!begin(&b, t, 2))
		return;
	page = nvme_memory(&b.d, PAGE);
	list = nvme_memory(&b.d, PAGE);
	SPEC(t, "5.15", nvme_identify(&b.d, 0, 1, page), OK);
	SPEC(t, "doc, readonly; figure 249 NSATTR", page[99] & 1, 1);
	SPEC(t, "doc, block", b.blocks, 100001 / 512 + 1);
	memset(b.data, 0, PAGE);
	SPEC(t, "8.19: Write", do_blocks(&b, NVM_WRITE, 0, 1), WRITE_PROTECTED);
	SPEC(t, "8.19: Write Zeroes", do_blocks(&b, NVM_WRITE_ZEROES, 0, 1), WRITE_PROTECTED);
	*list = (struct range){.blocks = 1};
	c.prp1 = nvme_iova(&b.d, list);
	SPEC(t, "8.19: Dataset Management with Deallocate", pair_do(&b.d, &b.p, &c), WRITE_PROTECTED);
	c.cdw11 = 1;
	SPEC(t, "8.19: Dataset Management without", pair_do(&b.d, &b.p, &c), OK);
	SPEC(t, "8.19: Flush", do_blocks(&b, NVM_FLUSH, 0, 1), OK);
	SPEC(t, "8.19: Verify", do_blocks(&b, NVM_VERIFY, 0, (uint32_t)b.blocks), OK);
	expect_blocks(&b, 0, 195, 0x5a);
	SPEC(t, "8.19: Compare", do_blocks(&b, NVM_COMPARE, 0, 2), OK);
	SPEC(t, "8.19: Read", do_blocks(&b, NVM_READ, b.blocks - 1, 1), OK);
	SPEC_TRUE(t, "doc, block", bytes_are(b.data, 100001 % 512, 0x5a));
	SPEC_TRUE(t, "doc, block", bytes_are(b.data + 100001 % 512, 512 - 100001 % 512, 0));
	nvme_close(&b.d);
}

/* 6.4.1, figure 251 AWUN: a read sees all of a write of one block, or nothing. */
static void whole_blocks(struct test *t)
{
	for (unsigned number = 0; number < 2; number++) {
		unsigned torn = 0;
		struct bench b;
		uint8_t *at;

		if (!begin(&b, t, number))
			return;
		at = nvme_memory(&b.d, 30 * PAGE);
		for (unsigned round = 0; round < 3000 && !t->failed; round++) {
			struct completion done;

			for (unsigned i = 0; i < 30; i++) {
				struct command c = nvme_transfer(&b.d, i % 2 ? NVM_READ : NVM_WRITE, 40, 1);

				c.prp1 = nvme_iova(&b.d, at + i * PAGE);
				memset(at + i * PAGE, (int)(i + 1 + round), PAGE);
				pair_put(&b.p, &c);
			}
			nvme_ring_sq(&b.d, 1, b.p.tail);
			for (unsigned i = 0; i < 30; i++) {
				SPEC(t, "6.9, 6.15", pair_wait(&b.d, &b.p, &done), 0);
				SPEC(t, "6.9, 6.15", completion_status(&done), OK);
			}
			for (unsigned i = 1; i < 30 && round; i += 2)
				torn += !bytes_are(at + i * PAGE, b.block, at[i * PAGE]);
		}
		SPEC(t, "6.4.1, figure 251 AWUN: blocks that are of two writes", torn, 0);
		nvme_close(&b.d);
	}
}

/* Each block that a read has seen is of one command. */
static unsigned count_torn(const struct bench *b, const uint8_t *at, unsigned blocks)
{
	unsigned torn = 0;

	for (unsigned i = 0; i < blocks; i++)
		torn += !bytes_are(at + (size_t)i * b->block, b->block, at[(size_t)i * b->block]);
	return torn;
}

/* doc, atomicity: whatever changes blocks, and from whatever queue. All of many commands that are in each other's way
 * end. */
static void blocks_of_many(struct test *t)
{
	enum { QUEUES = 4, DEPTH = 30 };
	static const uint8_t opcodes[] = {NVM_WRITE, NVM_READ,         NVM_READ, NVM_WRITE,
					  NVM_READ,  NVM_WRITE_ZEROES, NVM_DSM,  NVM_COMPARE};
	struct pair pairs[QUEUES] = {0};
	uint64_t state = t->seed;
	struct bench b;
	uint8_t *at;

	if (!begin(&b, t, 0))
		return;
	fill_blocks(&b, 0, 64, 0xee);
	for (unsigned k = 0; k < QUEUES; k++)
		SPEC(t, "5.3", pair_create(&b.d, &pairs[k], k + 2, 32, 32, -1), OK);
	at = nvme_memory(&b.d, QUEUES * DEPTH * 2 * PAGE);
	for (unsigned round = 0; round < 100 && !t->failed; round++) {
		struct command given[QUEUES][DEPTH];

		for (unsigned i = 0; i < QUEUES * DEPTH; i++) {
			const uint64_t r = random_next(&state);
			const uint32_t n = 1 + (uint32_t)(r >> 16) % 16;
			uint8_t *data = at + (size_t)i * 2 * PAGE;
			struct command *c = &given[i % QUEUES][i / QUEUES];

			*c = nvme_transfer(&b.d, opcodes[r % sizeof(opcodes)], (r >> 32) % 40, n);
			memset(data, (int)i + 1, 2 * PAGE);
			command_point(&b.d, c, data, n * BLOCK, NULL);
			if (c->opcode == NVM_DSM) {
				*(struct range *)data = (struct range){.blocks = n, .lba = (r >> 32) % 40};
				c->prp2 = c->cdw10 = 0;
				c->cdw11 = 4;
			}
			pair_put(&pairs[i % QUEUES], c);
		}
		for (unsigned k = 0; k < QUEUES; k++)
			nvme_ring_sq(&b.d, pairs[k].id, pairs[k].tail);
		for (unsigned i = 0; i < QUEUES * DEPTH && !t->failed; i++) {
			struct pair *p = &pairs[i % QUEUES];
			struct completion done;
			const struct command *c;
			unsigned which;

			SPEC(t, "4.1: it ends", pair_wait(&b.d, p, &done), 0);
			which = (uint16_t)(done.id - (p->next_id - DEPTH));
			if (!SPEC_TRUE(t, "4.6 CID", which < DEPTH))
				break;
			c = &given[i % QUEUES][which];
			SPEC_OR(t, "6", completion_status(&done), OK, c->opcode == NVM_COMPARE ? COMPARE_FAILURE : OK);
			if (c->opcode == NVM_READ)
				SPEC(t, "doc, atomicity; 6.4.1",
				     count_torn(&b, at + (size_t)(which * QUEUES + i % QUEUES) * 2 * PAGE,
						c->cdw12 + 1),
				     0);
		}
	}
	nvme_close(&b.d);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"image_of_odd_size", image_of_odd_size},
		{"write_protected", write_protected},
		{"ranges", ranges},
		{"largest_transfer", largest_transfer},
		{"namespaces", namespaces},
		{"commands_that_are_not", commands_that_are_not},
		{"written_and_read", written_and_read},
		{"compared", compared},
		{"zeroes", zeroes},
		{"deallocated", deallocated},
		{"whole_blocks", whole_blocks},
		{"blocks_of_many", blocks_of_many},
	};

	return TEST_MAIN(argc, argv, cases);
}

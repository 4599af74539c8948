/* SPDX-License-Identifier: BSD-3-Clause */
/* An image of 32 MiB where there is room for 16: what fails says so, all else goes on, and room that is given back is
 * used. */
#include "nvme_spec.h"

enum { BLOCK = 512, BLOCKS = (32 << 20) / BLOCK, STEP = 256, BYTES = STEP * BLOCK, CAPACITY_EXCEEDED = 0x81 };
#define FUA (1u << 30)

struct bench {
	struct nvme d;
	struct pair p;
	uint8_t *data, *log;
	uint64_t first; /* that there is no room for */
};

static long deallocate(struct bench *b, uint64_t lba, uint32_t blocks)
{
	struct command c = {.opcode = NVM_DSM, .nsid = 1, .cdw11 = 4, .prp1 = nvme_iova(&b->d, b->log)};

	memset(b->log, 0, 16);
	memcpy(b->log + 4, &blocks, sizeof(blocks));
	memcpy(b->log + 8, &lba, sizeof(lba));
	return pair_do(&b->d, &b->p, &c);
}

static long move(struct bench *b, unsigned opcode, uint64_t lba)
{
	return nvme_move(&b->d, &b->p, opcode, lba, b->data, BYTES, BLOCK);
}

static bool begin(struct bench *b, struct test *t)
{
	long rc = OK;

	*b = (struct bench){0};
	if (!nvme_open(&b->d, t, 0) || !SPEC(t, "5.3", pair_create(&b->d, &b->p, 1, 128, 128, -1), OK))
		return false;
	b->data = nvme_memory(&b->d, BYTES);
	b->log = nvme_memory(&b->d, PAGE);
	SPEC(t, "6.7", deallocate(b, 0, BLOCKS), OK);
	while (rc == OK && b->first < BLOCKS) {
		pattern_fill(b->data, BYTES, b->first);
		rc = move(b, NVM_WRITE, b->first);
		b->first += rc == OK ? STEP : 0;
	}
	return SPEC(t, "doc, errors: of the image; figure 127: Capacity Exceeded", rc, CAPACITY_EXCEEDED) &&
	       SPEC_TRUE(t, "6.15: there is room for much", b->first > BLOCKS / 4);
}

/* doc, errors; 5.14.1.1 */
static void filled(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct bench b;

	if (!begin(&b, t))
		return;
	SPEC(t, "5.14.1.1", nvme_log(&b.d, 1, 0, b.log, PAGE, false), OK);
	SPEC(t, "doc, errors; figure 195: SQID", get16(b.log + 8), 1);
	SPEC(t, "doc, errors; figure 195: status", get16(b.log + 12) >> 1 & 0x7ff, CAPACITY_EXCEEDED);
	SPEC_TRUE(t, "doc, errors; figure 195: LBA",
		  get64(b.log + 16) >= b.first && get64(b.log + 16) < b.first + STEP);
	SPEC(t, "doc, errors; figure 195: NSID", get32(b.log + 24), 1);
	SPEC(t, "6.8", pair_do(&b.d, &b.p, &flush), OK);
	for (uint64_t lba = 0; lba < b.first && !t->failed; lba += STEP) {
		SPEC(t, "6.9", move(&b, NVM_READ, lba), OK);
		SPEC_TRUE(t, "6.15: what was written before stays", pattern_is(b.data, BYTES, lba));
	}
	SPEC(t, "6.9: what is not there", move(&b, NVM_READ, BLOCKS - STEP), OK);
	SPEC_TRUE(t, "doc, reads as zeroes", bytes_are(b.data, BYTES, 0));
	for (unsigned i = 0; i < 4; i++) {
		struct command c = nvme_transfer(&b.d, NVM_WRITE, BLOCKS - STEP, 8);

		c.prp1 = nvme_iova(&b.d, b.data);
		c.cdw12 |= i & 1 ? FUA : 0;
		SPEC(t, "figure 127: Capacity Exceeded", pair_do(&b.d, &b.p, &c), CAPACITY_EXCEEDED);
	}
	SPEC(t, "6.7", deallocate(&b, 0, 4 * STEP), OK);
	pattern_fill(b.data, BYTES, 1);
	SPEC(t, "6.7: there is room again", move(&b, NVM_WRITE, BLOCKS - STEP), OK);
	memset(b.data, 0, BYTES);
	SPEC(t, "6.9", move(&b, NVM_READ, BLOCKS - STEP), OK);
	SPEC_TRUE(t, "6.15", pattern_is(b.data, BYTES, 1));
	nvme_close(&b.d);
}

/* Many that fail and many that do not, at once. */
static void mixed(struct test *t)
{
	struct bench b;

	if (!begin(&b, t))
		return;
	for (unsigned round = 0; round < 5 && !t->failed; round++) {
		const uint16_t first = b.p.next_id;

		for (unsigned i = 0; i < 120; i++) {
			struct command c = nvme_transfer(&b.d, NVM_WRITE, (i % 2 ? BLOCKS / 2 + 16384 : 0) + i * 8, 8);

			c.prp1 = nvme_iova(&b.d, b.data);
			pair_put(&b.p, &c);
		}
		nvme_ring_sq(&b.d, 1, b.p.tail);
		for (unsigned i = 0; i < 120 && !t->failed; i++) {
			struct completion c;

			SPEC(t, "6.15", pair_wait(&b.d, &b.p, &c), 0);
			SPEC(t, "6.15, figure 127", completion_status(&c),
			     (uint16_t)(c.id - first) % 2 ? CAPACITY_EXCEEDED : OK);
		}
	}
	nvme_close(&b.d);
}

/* 6.17: what is zero may stay so without room, or be refused. */
static void zeroed(struct test *t)
{
	struct bench b;

	if (!begin(&b, t))
		return;
	for (unsigned i = 0; i < 4; i++) {
		struct command c = nvme_transfer(&b.d, NVM_WRITE_ZEROES, i & 1 ? BLOCKS - STEP : 0, STEP);

		c.cdw12 |= i & 2 ? 1u << 25 : 0; /* DEAC */
		SPEC_OR(t, "6.17, figure 127", pair_do(&b.d, &b.p, &c), OK, i == 1 ? CAPACITY_EXCEEDED : OK);
		memset(b.data, 1, BYTES);
		SPEC(t, "6.9", move(&b, NVM_READ, i & 1 ? BLOCKS - STEP : 0), OK);
		SPEC_TRUE(t, "6.17", bytes_are(b.data, BYTES, 0));
	}
	nvme_close(&b.d);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"filled", filled},
		{"mixed", mixed},
		{"zeroed", zeroed},
	};

	return TEST_MAIN(argc, argv, cases);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a command's data are: PRPs (4.3) and SGLs (4.4) of every form, and those that cannot be. */
#include "nvme_spec.h"

enum { BLOCK = 512, MOST = 128 << 10, LBA = 2048, SEED = 77 };

/* Moves data page by page, which does not need more than PRP1. */
static void move_plainly(struct nvme *d, struct pair *p, unsigned opcode, uint64_t lba, uint8_t *data, uint32_t bytes)
{
	for (uint32_t at = 0; at < bytes; at += PAGE) {
		const uint32_t n = bytes - at < PAGE ? bytes - at : PAGE;
		struct command c = nvme_transfer(d, opcode, lba + at / BLOCK, n / BLOCK);

		c.prp1 = nvme_iova(d, data + at);
		SPEC(d->t, "4.3", pair_do(d, p, &c), OK);
	}
}

/* What data tests have: a queue, a plain buffer, and MOST bytes of a pattern on the disk at LBA. */
struct bench {
	struct nvme d;
	struct pair p;
	uint8_t *plain, *data, *lists;
};

static bool begin(struct bench *b, struct test *t, unsigned mps)
{
	*b = (struct bench){0};
	if (!nvme_open_only(&b->d, t, 0))
		return false;
	b->d.mps = mps;
	if (!SPEC(t, "7.6.1", nvme_enable(&b->d), 0) || !SPEC(t, "5.3", pair_create(&b->d, &b->p, 1, 32, 32, -1), OK))
		return false;
	b->plain = nvme_memory(&b->d, MOST);
	b->data = nvme_memory(&b->d, MOST * 8);
	b->lists = nvme_memory(&b->d, 8 * ((size_t)PAGE << mps));
	pattern_fill(b->plain, MOST, SEED);
	move_plainly(&b->d, &b->p, NVM_WRITE, LBA, b->plain, MOST);
	return !t->failed;
}

static void end(struct bench *b)
{
	nvme_close(&b->d);
}

/* Pages of data, in an order that is not theirs. */
struct pages {
	uint8_t *at[64];
	unsigned count;
	uint32_t offset, size; /* in the first one; of each */
};

static struct pages scatter(struct bench *b, uint32_t offset, uint32_t bytes, uint64_t *state)
{
	struct pages pages = {.size = (uint32_t)PAGE << b->d.mps, .offset = offset};
	const unsigned there = MOST * 8 / PAGE >> b->d.mps;
	unsigned order[256];

	pages.count = (offset + bytes + pages.size - 1) / PAGE >> b->d.mps;
	for (unsigned i = 0; i < there; i++)
		order[i] = i;
	for (unsigned i = 0; i < pages.count && i < there; i++) {
		const unsigned k = i + (unsigned)(random_next(state) % (there - i));
		const unsigned other = order[i];

		order[i] = order[k];
		order[k] = other;
		pages.at[i] = b->data + (size_t)order[i] * pages.size;
	}
	return pages;
}

/*
 * PRPs of pages, with the list's first entry in slot number slot of a page, and its end wherever that leads: the last
 * slot of a page is a pointer to the next page of the list if more than one entry is left.
 */
static void point_at(struct bench *b, struct command *c, const struct pages *pages, unsigned slot)
{
	const unsigned slots = pages->size / 8;
	uint64_t *list = (uint64_t *)b->lists;

	c->prp1 = nvme_iova(&b->d, pages->at[0]) + pages->offset;
	c->prp2 = 0;
	if (pages->count == 2)
		c->prp2 = nvme_iova(&b->d, pages->at[1]);
	if (pages->count <= 2)
		return;
	c->prp2 = nvme_iova(&b->d, list + slot);
	for (unsigned i = 1; i < pages->count; i++) {
		if (slot == slots - 1 && i < pages->count - 1) {
			uint64_t *next = list + 3 * slots; /* not the next page in memory */

			list[slot] = nvme_iova(&b->d, next);
			list = next;
			slot = 0;
		}
		list[slot++] = nvme_iova(&b->d, pages->at[i]);
	}
}

static void gather(const struct pages *pages, uint8_t *plain, uint32_t bytes, bool from_plain)
{
	uint32_t offset = pages->offset;

	for (unsigned i = 0; bytes; i++, offset = 0) {
		const uint32_t n = bytes < pages->size - offset ? bytes : pages->size - offset;

		if (from_plain)
			memcpy(pages->at[i] + offset, plain, n);
		else
			memcpy(plain, pages->at[i] + offset, n);
		plain += n;
		bytes -= n;
	}
}

static unsigned count_of(const uint8_t *p, size_t n, uint8_t byte)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += p[i] == byte;
	return count;
}

/* One read and one write of so many bytes. */
static void by_prps(struct bench *b, uint32_t offset, uint32_t bytes, unsigned slot, uint64_t *state)
{
	struct command c = nvme_transfer(&b->d, NVM_READ, LBA, bytes / BLOCK);
	struct pages pages = scatter(b, offset, bytes, state);
	const uint64_t seed = random_next(state);
	struct test *t = b->d.t;
	bool good;

	memset(b->data, 0xcc, MOST * 8);
	point_at(b, &c, &pages, slot);
	good = SPEC(t, "4.3, 6.9", pair_do(&b->d, &b->p, &c), OK);
	memset(b->plain, 0, bytes);
	gather(&pages, b->plain, bytes, false);
	good = good && SPEC_TRUE(t, "4.3, 6.9", pattern_is(b->plain, bytes, SEED)) &&
	       SPEC_TRUE(t, "4.3: nothing else",
			 count_of(b->data, MOST * 8, 0xcc) == MOST * 8 - bytes + count_of(b->plain, bytes, 0xcc));
	c = nvme_transfer(&b->d, NVM_WRITE, LBA + 1024, bytes / BLOCK);
	point_at(b, &c, &pages, slot);
	pattern_fill(b->plain, bytes, seed);
	gather(&pages, b->plain, bytes, true);
	good = good && SPEC(t, "4.3, 6.15", pair_do(&b->d, &b->p, &c), OK);
	memset(b->plain, 0, bytes);
	move_plainly(&b->d, &b->p, NVM_READ, LBA + 1024, b->plain, bytes);
	good = good && SPEC_TRUE(t, "4.3, 6.15", pattern_is(b->plain, bytes, seed));
	if (!good)
		test_fail(t, "that was with offset %u, %u bytes, list at slot %u, pages of %u", offset, bytes, slot,
			  pages.size);
}

/* 4.3: PRP1 with every offset, PRP2 as a page and as a list. */
static void offsets(struct test *t)
{
	static const uint32_t offsets[] = {0, 4, 8, 12, 60, 508, 512, 1024, 2044, 2048, 3584, 4088, 4092};
	static const uint32_t sizes[] = {512, 1024, 4096, 4608, 8192, 12288, 65536, MOST};
	uint64_t state = t->seed;

	for (unsigned mps = 0; mps <= 4; mps += 2) {
		struct bench b;

		if (!begin(&b, t, mps))
			return;
		for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]) && !t->failed; i++)
			for (unsigned k = i % 2; k < sizeof(sizes) / sizeof(sizes[0]) && !t->failed; k += 2)
				by_prps(&b, mps ? (offsets[i] << mps) - 4 * (i % 3 == 1) : offsets[i], sizes[k], 0,
					&state);
		end(&b);
	}
}

/* 4.3: a list that begins anywhere in a page, and goes on in another. */
static void lists_across_pages(struct test *t)
{
	uint64_t state = t->seed;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	for (unsigned left = 1; left <= 34 && !t->failed; left += left < 4 || left > 28 ? 1 : 5) {
		by_prps(&b, 0, MOST, 512 - left, &state);     /* 31 entries */
		by_prps(&b, 512, MOST, 512 - left, &state);   /* 32 */
		by_prps(&b, 4, 3 * PAGE, 512 - left, &state); /* 3 */
		by_prps(&b, 0, 3 * PAGE, 512 - left, &state); /* 2 */
	}
	end(&b);
}

/* It fails so, nothing happens to the queue, and what the disk holds is what it was. */
static void fails(struct bench *b, struct command *c, const char *section, long want, long other)
{
	struct command good = nvme_transfer(&b->d, NVM_READ, LBA, 8);
	struct test *t = b->d.t;

	for (unsigned i = 0; i < 2; i++) {
		c->opcode = i ? NVM_WRITE : NVM_READ;
		SPEC_OR(t, section, pair_do(&b->d, &b->p, c), want, other);
	}
	good.prp1 = nvme_iova(&b->d, b->plain);
	memset(b->plain, 0, PAGE);
	SPEC(t, "6.9", pair_do(&b->d, &b->p, &good), OK);
	SPEC_TRUE(t, section, pattern_is(b->plain, PAGE, SEED));
}

static void prps_that_cannot_be(struct test *t)
{
	uint64_t state = t->seed, *list;
	struct pages pages;
	struct command c;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = (uint64_t *)b.lists;
	pages = scatter(&b, 0, 8 * PAGE, &state);
	c = nvme_transfer(&b.d, NVM_READ, LBA, 8 * PAGE / BLOCK);
	point_at(&b, &c, &pages, 0);
	memset(b.plain, 0, PAGE);

	list[3] += 8;
	fails(&b, &c, "4.3: an entry of a list with an offset", PRP_OFFSET_INVALID, INVALID_FIELD);
	list[3] += 504;
	fails(&b, &c, "4.3: an entry of a list with an offset", PRP_OFFSET_INVALID, INVALID_FIELD);
	list[3] = nvme_iova(&b.d, pages.at[4]);
	list[6] += 4;
	fails(&b, &c, "4.3: the last entry of a list with an offset", PRP_OFFSET_INVALID, INVALID_FIELD);
	point_at(&b, &c, &pages, 0);
	list[0] = NOWHERE;
	fails(&b, &c, "doc, errors: the first entry of a list", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	point_at(&b, &c, &pages, 0);
	list[6] = NOWHERE;
	fails(&b, &c, "doc, errors: the last entry of a list", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	list[6] = ~0xfffull;
	fails(&b, &c, "doc, errors: the last page there can be", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	point_at(&b, &c, &pages, 0);
	c.prp2 = NOWHERE;
	fails(&b, &c, "doc, errors: a list that cannot be read", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	point_at(&b, &c, &pages, 508);
	list[511] = NOWHERE;
	fails(&b, &c, "doc, errors: a list whose second page cannot be read", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	point_at(&b, &c, &pages, 0);
	c.prp1 = NOWHERE;
	fails(&b, &c, "doc, errors: PRP1", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	c = nvme_transfer(&b.d, NVM_READ, LBA, 16);
	c.prp1 = nvme_iova(&b.d, b.data);
	c.prp2 = NOWHERE;
	fails(&b, &c, "doc, errors: PRP2", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	c.prp2 = nvme_iova(&b.d, b.data + 2 * PAGE) + 512;
	fails(&b, &c, "4.3: PRP2 with an offset", PRP_OFFSET_INVALID, INVALID_FIELD);
	c.prp2 = ARENA_IOVA + ARENA_SIZE;
	fails(&b, &c, "doc, errors: just behind what is mapped", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	end(&b);
}

/* 4.3, figure 110: the low two bits of PRP1 are an error, or taken for 0. */
static void prp_of_odd_address(struct test *t)
{
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	for (unsigned odd = 1; odd < 4; odd++) {
		struct command c = nvme_transfer(&b.d, NVM_READ, LBA, 1);
		long rc;

		c.prp1 = nvme_iova(&b.d, b.data + 256) + odd;
		memset(b.data, 0xcc, PAGE);
		rc = pair_do(&b.d, &b.p, &c);
		SPEC_OR(t, "4.3, figure 110", rc, PRP_OFFSET_INVALID, OK);
		SPEC_TRUE(t, "4.3, figure 110",
			  rc == OK ? pattern_is(b.data + 256, 512, SEED) : bytes_are(b.data, PAGE, 0xcc));
	}
	end(&b);
}

enum {
	SGL_DATA = 0x00,
	SGL_BUCKET = 0x10,
	SGL_SEGMENT = 0x20,
	SGL_LAST = 0x30,
};

struct sgl {
	uint64_t address;
	uint32_t length;
	uint8_t reserved[3], type;
};

static struct sgl sgl_of(const struct bench *b, unsigned type, const void *at, uint32_t length)
{
	return (struct sgl){.address = at ? nvme_iova(&b->d, at) : 0, .length = length, .type = (uint8_t)type};
}

static void set_sgl(struct command *c, struct sgl sgl)
{
	c->flags = PSDT_SGL;
	memcpy(&c->prp1, &sgl, sizeof(sgl));
}

static struct command with_sgl(const struct bench *b, uint32_t bytes, struct sgl sgl)
{
	struct command c = nvme_transfer(&b->d, NVM_READ, LBA, bytes / BLOCK);

	set_sgl(&c, sgl);
	return c;
}

/* 4.4: one data block, at every address. */
static void sgl_of_one_block(struct test *t)
{
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	for (unsigned i = 0; i < 40 && !t->failed; i++) {
		const uint32_t bytes = i % 4 == 3 ? MOST : 512u << i % 4, offset = i * 103 + 1;
		struct command c = with_sgl(&b, bytes, sgl_of(&b, SGL_DATA, b.data + offset, bytes));

		memset(b.data, 0xcc, MOST * 2);
		SPEC(t, "4.4, 6.9", pair_do(&b.d, &b.p, &c), OK);
		SPEC_TRUE(t, "4.4, 6.9", pattern_is(b.data + offset, bytes, SEED));
		SPEC_TRUE(t, "4.4: nothing before", bytes_are(b.data, offset, 0xcc));
		SPEC_TRUE(t, "4.4: nothing behind", bytes_are(b.data + offset + bytes, PAGE, 0xcc));
		pattern_fill(b.data + offset, bytes, i);
		c = nvme_transfer(&b.d, NVM_WRITE, LBA + 1024, bytes / BLOCK);
		set_sgl(&c, sgl_of(&b, SGL_DATA, b.data + offset, bytes));
		SPEC(t, "4.4, 6.15", pair_do(&b.d, &b.p, &c), OK);
		move_plainly(&b.d, &b.p, NVM_READ, LBA + 1024, b.plain, bytes);
		SPEC_TRUE(t, "4.4, 6.15", pattern_is(b.plain, bytes, i));
	}
	end(&b);
}

/* Descriptors for random pieces of data, one after the other with gaps. Returns how many there are. */
static unsigned pieces(const struct bench *b, struct sgl *to, uint32_t bytes, unsigned most, uint64_t *state)
{
	uint32_t at = 0, offset = 0;
	unsigned n = 0;

	while (at < bytes) {
		uint32_t length = (uint32_t)(random_next(state) % 5000);

		if (n == most - 1 || length > bytes - at)
			length = bytes - at;
		offset += (uint32_t)(random_next(state) % 100);
		to[n++] = sgl_of(b, SGL_DATA, b->data + offset, length);
		offset += length;
		at += length;
	}
	return n;
}

static void check_pieces(struct bench *b, const struct sgl *list, unsigned n)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		if ((list[i].type & 0xf0) != SGL_DATA)
			continue;
		memcpy(b->plain + at, b->data + (list[i].address - nvme_iova(&b->d, b->data)), list[i].length);
		at += list[i].length;
	}
	SPEC_TRUE(b->d.t, "4.4, 6.9", pattern_is(b->plain, at, SEED));
}

/* 4.4: segments of random lengths, at random addresses (of eight bytes). */
static void sgls_of_segments(struct test *t)
{
	uint64_t state = t->seed;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	for (unsigned round = 0; round < 60 && !t->failed; round++) {
		const uint32_t bytes = (uint32_t)(1 + random_next(&state) % 256) * BLOCK;
		struct sgl list[200], first, *hole = &first;
		const unsigned n = pieces(&b, list, bytes, 200, &state);
		uint8_t *at = b.lists + 8;
		struct command c;

		for (unsigned i = 0; i < n;) {
			unsigned count = 1 + (unsigned)(random_next(&state) % 40);
			const bool last = count >= n - i;

			if (last)
				count = n - i;
			*hole = sgl_of(&b, last ? SGL_LAST : SGL_SEGMENT, at, (count + !last) * 16);
			memcpy(at, list + i, count * 16);
			hole = (struct sgl *)(at + (size_t)count * 16);
			at += (size_t)count * 16 + 16 + random_next(&state) % 4 * 8;
			i += count;
		}
		memset(b.data, 0, MOST * 4);
		c = with_sgl(&b, bytes, first);
		SPEC(t, "4.4, 6.9", pair_do(&b.d, &b.p, &c), OK);
		check_pieces(&b, list, n);
		c.opcode = NVM_COMPARE;
		SPEC(t, "4.4, 6.6", pair_do(&b.d, &b.p, &c), OK);
	}
	end(&b);
}

/* 4.4, figure 115: a bit bucket takes what is read; for what is written its length is 0. */
static void bit_buckets(struct test *t)
{
	struct command c;
	struct sgl *list;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = (struct sgl *)b.lists;
	list[0] = sgl_of(&b, SGL_DATA, b.data, 100);
	list[1] = sgl_of(&b, SGL_BUCKET, NULL, 412);
	list[2] = sgl_of(&b, SGL_DATA, b.data + 2 * PAGE, 512);
	memset(b.data, 0xcc, 4 * PAGE);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_LAST, list, 48));
	SPEC(t, "4.4 figure 115", pair_do(&b.d, &b.p, &c), OK);
	SPEC_TRUE(t, "4.4 figure 115", pattern_is(b.data, 100, SEED));
	SPEC_TRUE(t, "4.4 figure 115", bytes_are(b.data + 100, PAGE, 0xcc));
	pattern_fill(b.plain, 1024, SEED);
	SPEC_TRUE(t, "4.4 figure 115", memcmp(b.data + 2 * PAGE, b.plain + 512, 512) == 0);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_BUCKET, NULL, 1024));
	SPEC(t, "4.4 figure 115: nothing but a bucket", pair_do(&b.d, &b.p, &c), OK);

	/* 100 bytes and 924: the bucket between them is nothing. */
	pattern_fill(b.data, 100, 5);
	pattern_fill(b.plain, 1024, 5);
	memcpy(b.data + 2 * PAGE, b.plain + 100, 924);
	list[2].length = 924;
	c = nvme_transfer(&b.d, NVM_WRITE, LBA + 1024, 2);
	set_sgl(&c, sgl_of(&b, SGL_LAST, list, 48));
	SPEC(t, "4.4 figure 115: of a source", pair_do(&b.d, &b.p, &c), OK);
	move_plainly(&b.d, &b.p, NVM_READ, LBA + 1024, b.plain, 1024);
	SPEC_TRUE(t, "4.4 figure 115: of a source", pattern_is(b.plain, 1024, 5));
	list[2].length = 512;
	SPEC(t, "4.4 figure 115: of a source", pair_do(&b.d, &b.p, &c), SGL_LENGTH_INVALID);
	end(&b);
}

/* 4.4, figure 126 */
static void sgls_too_long_and_too_short(struct test *t)
{
	struct command c;
	struct sgl *list;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = (struct sgl *)b.lists;
	memset(b.data, 0xcc, 4 * PAGE);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_DATA, b.data, 1025));
	SPEC(t, "doc, SGLs: longer than the data", pair_do(&b.d, &b.p, &c), OK);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_DATA, b.data, 0x10000));
	SPEC(t, "doc, SGLs: longer than the data", pair_do(&b.d, &b.p, &c), OK);
	SPEC_TRUE(t, "4.4: nothing behind", bytes_are(b.data + 1024, PAGE, 0xcc));
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_DATA, b.data, 1023));
	fails(&b, &c, "figure 126: Data SGL Length Invalid", SGL_LENGTH_INVALID, SGL_LENGTH_INVALID);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_DATA, b.data, 0));
	fails(&b, &c, "figure 126: Data SGL Length Invalid", SGL_LENGTH_INVALID, SGL_LENGTH_INVALID);
	for (unsigned i = 0; i < 3; i++)
		list[i] = sgl_of(&b, SGL_DATA, b.data + i * PAGE, i == 1 ? 0 : 512);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_LAST, list, 48));
	SPEC(t, "4.4: a descriptor of no bytes", pair_do(&b.d, &b.p, &c), OK);
	SPEC_TRUE(t, "4.4", pattern_is(b.data, 512, SEED));
	list[2].length = 511;
	fails(&b, &c, "figure 126: Data SGL Length Invalid", SGL_LENGTH_INVALID, SGL_LENGTH_INVALID);
	end(&b);
}

static void sgls_that_cannot_be(struct test *t)
{
	static const unsigned types[] = {0x01, 0x0a, 0x0f, 0x11, 0x21, 0x31, 0x40, 0x4f, 0x50,
					 0x5a, 0x60, 0x70, 0x80, 0xa0, 0xe0, 0xf0, 0xff};
	static const uint32_t lengths[] = {0, 1, 8, 15, 17, 24, 31, 47};
	struct command c;
	struct sgl *list;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = (struct sgl *)b.lists;
	memset(b.plain, 0, PAGE);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		c = with_sgl(&b, 512, sgl_of(&b, types[i], b.data, 512));
		fails(&b, &c, "figure 126: SGL Descriptor Type Invalid", SGL_TYPE_INVALID, SGL_TYPE_INVALID);
		/* A segment cannot be there, whatever its subtype. */
		list[0] = sgl_of(&b, types[i], b.data, 512);
		c = with_sgl(&b, 512, sgl_of(&b, SGL_LAST, list, 16));
		fails(&b, &c, "figure 126: SGL Descriptor Type Invalid", SGL_TYPE_INVALID,
		      types[i] == 0x21 || types[i] == 0x31 ? SGL_SEGMENT_INVALID : SGL_TYPE_INVALID);
	}
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		list[0] = list[1] = sgl_of(&b, SGL_DATA, b.data, 512);
		c = with_sgl(&b, 512, sgl_of(&b, SGL_LAST, list, lengths[i]));
		fails(&b, &c, "figure 126: Invalid SGL Segment Descriptor", SGL_SEGMENT_INVALID, SGL_SEGMENT_INVALID);
		c = with_sgl(&b, 512, sgl_of(&b, SGL_SEGMENT, list, lengths[i]));
		fails(&b, &c, "figure 126: Invalid SGL Segment Descriptor", SGL_SEGMENT_INVALID, SGL_SEGMENT_INVALID);
	}
	/* A segment in the last one, at its end and before that. */
	list[0] = sgl_of(&b, SGL_DATA, b.data, 512);
	list[1] = sgl_of(&b, SGL_LAST, list + 4, 16);
	list[4] = sgl_of(&b, SGL_DATA, b.data, 512);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_LAST, list, 32));
	fails(&b, &c, "figure 126: Invalid SGL Segment Descriptor", SGL_SEGMENT_INVALID, SGL_SEGMENT_INVALID);
	list[1].type = SGL_SEGMENT;
	fails(&b, &c, "figure 126: Invalid SGL Segment Descriptor", SGL_SEGMENT_INVALID, SGL_SEGMENT_INVALID);
	/* A segment that is not at a segment's end. */
	list[1].type = SGL_LAST;
	list[2] = sgl_of(&b, SGL_LAST, list + 4, 16);
	c = with_sgl(&b, 1024, sgl_of(&b, SGL_SEGMENT, list, 48));
	fails(&b, &c, "figure 126: Invalid Number of SGL Descriptors", SGL_NUMBER_INVALID, SGL_NUMBER_INVALID);
	/* An address that is not of eight bytes. */
	c = with_sgl(&b, 512, sgl_of(&b, SGL_LAST, b.lists + 4, 16));
	fails(&b, &c, "figure 126: Invalid SGL Segment Descriptor", SGL_SEGMENT_INVALID, SGL_SEGMENT_INVALID);
	end(&b);
}

static void sgls_of_what_is_not_mapped(struct test *t)
{
	struct command c;
	struct sgl *list;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = (struct sgl *)b.lists;
	c = with_sgl(&b, 512, (struct sgl){.address = NOWHERE, .length = 512});
	fails(&b, &c, "doc, errors: data", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	c = with_sgl(&b, 512, (struct sgl){.address = ~0ull - 100, .length = 512});
	fails(&b, &c, "doc, errors: data beyond the last address", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	c = with_sgl(&b, 512, (struct sgl){.address = ARENA_IOVA + ARENA_SIZE - 511, .length = 512});
	fails(&b, &c, "doc, errors: the last byte", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	c = with_sgl(&b, 512, (struct sgl){.address = NOWHERE, .length = 16, .type = SGL_LAST});
	fails(&b, &c, "doc, errors: a segment", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	c = with_sgl(&b, 512, (struct sgl){.address = ~0ull - 15, .length = 0xfffffff0, .type = SGL_SEGMENT});
	SPEC_OR(t, "doc, errors: a segment beyond the last address", pair_do(&b.d, &b.p, &c), DATA_TRANSFER_ERROR,
		SGL_NUMBER_INVALID);
	list[0] = sgl_of(&b, SGL_DATA, b.data, 256);
	list[1] = (struct sgl){.address = NOWHERE, .length = 256};
	c = with_sgl(&b, 512, sgl_of(&b, SGL_LAST, list, 32));
	fails(&b, &c, "doc, errors: the second descriptor's data", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	list[1] = (struct sgl){.address = NOWHERE, .length = 16, .type = SGL_LAST};
	c = with_sgl(&b, 512, sgl_of(&b, SGL_SEGMENT, list, 32));
	fails(&b, &c, "doc, errors: the second segment", DATA_TRANSFER_ERROR, DATA_TRANSFER_ERROR);
	c = with_sgl(&b, 512, sgl_of(&b, SGL_DATA, b.data, 512));
	c.flags = 3 << 6;
	fails(&b, &c, "4.2 PSDT: reserved", INVALID_FIELD, INVALID_FIELD);
	end(&b);
}

/* doc, where it differs: 1024 descriptors, and 257 pieces that do not follow each other. */
static void sgls_of_many_descriptors(struct test *t)
{
	struct command c;
	struct sgl *list;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = (struct sgl *)b.lists;
	for (unsigned i = 0; i < 1024; i++)
		list[i] = sgl_of(&b, SGL_DATA, b.data + (size_t)i * 64, 64);
	c = with_sgl(&b, 64 << 10, sgl_of(&b, SGL_LAST, list, 1024 * 16));
	memset(b.data, 0, MOST);
	SPEC(t, "doc: 1024 descriptors", pair_do(&b.d, &b.p, &c), OK);
	SPEC_TRUE(t, "doc: 1024 descriptors", pattern_is(b.data, 64 << 10, SEED));
	for (unsigned i = 0; i < 1041; i++)
		list[i] = sgl_of(&b, SGL_DATA, b.data + (size_t)i * 63, 63);
	c = with_sgl(&b, 64 << 10, sgl_of(&b, SGL_LAST, list, 1041 * 16));
	fails(&b, &c, "doc: more than 1024 descriptors", SGL_NUMBER_INVALID, SGL_NUMBER_INVALID);
	for (unsigned i = 0; i < 258; i++)
		list[i] = sgl_of(&b, SGL_DATA, b.data + (size_t)i * 1024, i == 256 ? 0x10000 - 256 * 250 : 250);
	c = with_sgl(&b, 64 << 10, sgl_of(&b, SGL_LAST, list, 257 * 16));
	memset(b.data, 0, MOST * 4);
	SPEC(t, "doc: 257 pieces", pair_do(&b.d, &b.p, &c), OK);
	check_pieces(&b, list, 257);
	list[256].length = 250;
	list[257].length = 0x10000 - 257 * 250;
	c = with_sgl(&b, 64 << 10, sgl_of(&b, SGL_LAST, list, 258 * 16));
	fails(&b, &c, "doc: 258 pieces", SGL_NUMBER_INVALID, SGL_NUMBER_INVALID);
	end(&b);
}

/* 6.7: a list of ranges is data as any other, at an odd address and in pieces. */
static void sgls_of_ranges(struct test *t)
{
	struct {
		uint32_t context, blocks;
		uint64_t lba;
	} ranges[64];
	struct command c = {.opcode = NVM_DSM, .nsid = 1, .cdw10 = 63, .cdw11 = 4};
	struct sgl *list;
	struct bench b;

	if (!begin(&b, t, 0))
		return;
	list = (struct sgl *)b.lists;
	for (unsigned i = 0; i < 64; i++) {
		ranges[i].context = 0;
		ranges[i].blocks = 1;
		ranges[i].lba = LBA + i * 4;
	}
	for (unsigned i = 0; i < 64; i++) { /* 16 bytes each, of which 7 and 9 are in two pieces */
		memcpy(b.data + i * 50 + 1, &ranges[i], 7);
		memcpy(b.data + i * 50 + 30, (uint8_t *)&ranges[i] + 7, 9);
		list[2 * i] = sgl_of(&b, SGL_DATA, b.data + i * 50 + 1, 7);
		list[2 * i + 1] = sgl_of(&b, SGL_DATA, b.data + i * 50 + 30, 9);
	}
	set_sgl(&c, sgl_of(&b, SGL_LAST, list, 128 * 16));
	SPEC(t, "4.4, 6.7", pair_do(&b.d, &b.p, &c), OK);
	move_plainly(&b.d, &b.p, NVM_READ, LBA, b.plain, MOST);
	for (unsigned i = 0; i < 64; i++) {
		SPEC_TRUE(t, "6.7", bytes_are(b.plain + i * 2048, 512, 0));
		SPEC_TRUE(t, "6.7", !bytes_are(b.plain + i * 2048 + 512, 512, 0));
	}
	set_sgl(&c, sgl_of(&b, SGL_LAST, list, 127 * 16));
	SPEC(t, "figure 126: Data SGL Length Invalid", pair_do(&b.d, &b.p, &c), SGL_LENGTH_INVALID);
	end(&b);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"offsets", offsets},
		{"lists_across_pages", lists_across_pages},
		{"prps_that_cannot_be", prps_that_cannot_be},
		{"prp_of_odd_address", prp_of_odd_address},
		{"sgl_of_one_block", sgl_of_one_block},
		{"sgls_of_segments", sgls_of_segments},
		{"bit_buckets", bit_buckets},
		{"sgls_too_long_and_too_short", sgls_too_long_and_too_short},
		{"sgls_that_cannot_be", sgls_that_cannot_be},
		{"sgls_of_what_is_not_mapped", sgls_of_what_is_not_mapped},
		{"sgls_of_many_descriptors", sgls_of_many_descriptors},
		{"sgls_of_ranges", sgls_of_ranges},
	};

	return TEST_MAIN(argc, argv, cases);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's commands for I/O, and where their data are, with either way to do I/O to the image. */
#include "fake_disk.h"

static char image[32];
static const char *aio;

static struct disk *new_disk(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->image = image;
	d->aio = aio;
	return d;
}

static struct disk *new_open_disk(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	return d;
}

static void drop_disk(struct disk *d)
{
	close_disk(d);
	free(d);
}

static bool image_holds(uint64_t at, const void *data, size_t n)
{
	uint8_t *found = malloc(n);
	bool same;

	read_image(image, at, found, n);
	same = !memcmp(found, data, n);
	free(found);
	return same;
}

static void put_prp(struct disk *d, uint64_t list, unsigned index, uint64_t prp)
{
	memcpy(d->memory + list + 8UL * index, &prp, sizeof(prp));
}

static void blocks_are_read_and_written(void)
{
	struct disk *d = new_open_disk();

	fill(d, DATA, PAGE, 1);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 5, 8, DATA, 0)), 0);
	CHECK(image_holds(5 * 512, d->memory + DATA, PAGE));
	CHECK_EQ(status_of(d, 1, io(IO_READ, 5, 8, MORE_DATA, 0)), 0);
	CHECK(!memcmp(d->memory + DATA, d->memory + MORE_DATA, PAGE));
	CHECK_EQ(status_of(d, 1, io(IO_READ, 2047, 1, MORE_DATA, 0)), 0);
	CHECK(image_holds(2047 * 512, d->memory + MORE_DATA, 512));
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	drop_disk(d);
}

static void ranges_are_checked(void)
{
	static const struct {
		uint64_t lba;
		uint32_t blocks;
		unsigned status;
	} ranges[] = {
		{2048, 1, NVME_LBA_OUT_OF_RANGE},       {2047, 2, NVME_LBA_OUT_OF_RANGE},
		{UINT64_MAX, 1, NVME_LBA_OUT_OF_RANGE}, {UINT64_MAX - 7, 16, NVME_LBA_OUT_OF_RANGE},
		{1ULL << 55, 1, NVME_LBA_OUT_OF_RANGE}, {0, 257, NVME_INVALID_FIELD},
		{0, 65536, NVME_INVALID_FIELD},
	};
	static const uint8_t opcodes[] = {IO_READ, IO_WRITE, IO_COMPARE};
	struct disk *d = new_open_disk();

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		for (size_t j = 0; j < sizeof(opcodes); j++)
			CHECK_EQ(status_of(d, 1, io(opcodes[j], ranges[i].lba, ranges[i].blocks, DATA, LISTS)),
				 ranges[i].status);
	CHECK_EQ(status_of(d, 1, io(IO_VERIFY, 2047, 2, 0, 0)), NVME_LBA_OUT_OF_RANGE);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 1, 2048, 0, 0)), NVME_LBA_OUT_OF_RANGE);
	drop_disk(d);
}

static void commands_are_checked(void)
{
	struct disk *d = new_open_disk();
	struct nvme_command command = io(IO_READ, 0, 1, DATA, 0);

	command.nsid = 0;
	CHECK_EQ(status_of(d, 1, command), NVME_INVALID_NAMESPACE);
	command.nsid = 2;
	CHECK_EQ(status_of(d, 1, command), NVME_INVALID_NAMESPACE);
	command.nsid = NVME_ALL_NAMESPACES;
	CHECK_EQ(status_of(d, 1, command), NVME_INVALID_NAMESPACE);
	command.opcode = IO_FLUSH;
	CHECK_EQ(status_of(d, 1, command), 0);
	command = io(IO_READ, 0, 1, DATA, 0);
	command.flags = 1; /* fused */
	CHECK_EQ(status_of(d, 1, command), NVME_INVALID_FIELD);
	command.flags = 0xc0;
	CHECK_EQ(status_of(d, 1, command), NVME_INVALID_FIELD);
	CHECK_EQ(status_of(d, 1, io(0x04, 0, 1, DATA, 0)), NVME_INVALID_OPCODE);
	CHECK_EQ(status_of(d, 1, io(0x0d, 0, 1, DATA, 0)), NVME_INVALID_OPCODE);
	CHECK_EQ(status_of(d, 1, io(0xff, 0, 1, DATA, 0)), NVME_INVALID_OPCODE);
	drop_disk(d);
}

/* PRPs */

/* All lengths, and offsets in the first page and in the list; pages are in no order. */
static void prps_of_all_shapes(void)
{
	static const unsigned offsets[] = {0, 4, 512, 2048, 3584, 4092};
	struct disk *d = new_open_disk();

	for (unsigned blocks = 1; blocks <= 256; blocks += blocks < 20 ? 1 : 47) {
		for (size_t o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++) {
			unsigned n = blocks * 512, first = PAGE - offsets[o], at = n < first ? n : first;
			unsigned list = LISTS + (blocks * 8 + (unsigned)o * 512) % PAGE, wrong = 0, entry = 0;
			struct nvme_command command = io(IO_READ, blocks, blocks, DATA + offsets[o], 0);
			uint8_t *wanted = malloc(n);
			bool listed = n > at + PAGE;

			memset(d->memory + DATA, 0, 0x100000);
			command.prp2 = listed ? list : MORE_DATA;
			for (unsigned page = 0; at + page * PAGE < n; page++) {
				uint64_t where = MORE_DATA + (page * 7 % 64) * 2UL * PAGE % 0xc0000;

				if (!listed)
					break;
				if (!((list + 8 * (entry + 1)) % PAGE) && n - at - page * PAGE > PAGE) {
					put_prp(d, list, entry, LISTS + 2UL * PAGE);
					list = LISTS + 2 * PAGE;
					entry = 0;
				}
				put_prp(d, list, entry++, where);
			}
			CHECK_EQ(status_of(d, 1, command), 0);
			read_image(image, blocks * 512, wanted, n);
			wrong += memcmp(wanted, d->memory + DATA + offsets[o], at) != 0;
			for (unsigned page = 0; at + page * PAGE < n; page++) {
				uint64_t where = MORE_DATA + (listed ? (page * 7 % 64) * 2UL * PAGE % 0xc0000 : 0);
				unsigned left = n - at - page * PAGE;

				wrong += memcmp(wanted + at + (size_t)page * PAGE, d->memory + where,
						left < PAGE ? left : PAGE) != 0;
			}
			CHECK_EQ(wrong, 0);
			free(wanted);
		}
	}
	drop_disk(d);
}

/* CC.MPS: pages of 16 KiB, in the admin queue's addresses, too. */
static void pages_may_be_larger(void)
{
	enum { LARGE = 0x4000 };
	struct disk *d = new_open_disk();
	uint8_t wanted[0xc000];

	disable(d);
	set_admin_queue(d);
	set32(d, NVME_ASQ, LARGE);
	set32(d, NVME_ACQ, 2 * LARGE);
	d->queue[0].sq = LARGE;
	d->queue[0].cq = 2UL * LARGE;
	memset(d->memory + LARGE, 0, 2UL * LARGE);
	set32(d, NVME_CC, CC_GOOD | 2 << CC_MPS_SHIFT);
	wait_status(d, CSTS_RDY | CSTS_CFS, CSTS_RDY);
	d->queue[1] = (struct driver_queue){
		.sq_size = ENTRIES, .cq_size = ENTRIES, .sq = 4UL * LARGE, .cq = 5UL * LARGE, .phase = 1};
	memset(d->memory + 4UL * LARGE, 0, 2UL * LARGE);
	struct nvme_command cq = cq_command(1, ENTRIES), sq = sq_command(1, ENTRIES);

	CHECK_EQ(status_of(d, 0, cq), NVME_PRP_INVALID_OFFSET);
	cq.prp1 = 5UL * LARGE;
	sq.prp1 = 4UL * LARGE;
	CHECK_EQ(status_of(d, 0, cq), 0);
	CHECK_EQ(status_of(d, 0, sq), 0);

	read_image(image, 0, wanted, sizeof(wanted));
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 48, DATA + 0x1000, MORE_DATA + PAGE)), NVME_PRP_INVALID_OFFSET);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 48, DATA + 0x1000, MORE_DATA)), 0);
	CHECK(!memcmp(d->memory + DATA + 0x1000, wanted, 0x3000));
	CHECK(!memcmp(d->memory + MORE_DATA, wanted + 0x3000, 0x3000));
	put_prp(d, LISTS, 0, MORE_DATA + 2UL * LARGE);
	put_prp(d, LISTS, 1, MORE_DATA + 8UL * LARGE);
	put_prp(d, LISTS, 2, MORE_DATA);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 96, DATA + 0x1000, LISTS)), 0);
	CHECK(!memcmp(d->memory + DATA + 0x1000, wanted, 0x3000));
	CHECK(!memcmp(d->memory + MORE_DATA + 2UL * LARGE, wanted + 0x3000, 0x4000));
	CHECK(!memcmp(d->memory + MORE_DATA + 8UL * LARGE, wanted + 0x7000, 0x4000));
	CHECK(!memcmp(d->memory + MORE_DATA, wanted + 0xb000, 0x1000));
	drop_disk(d);
}

static void wrong_prps_are_refused(void)
{
	struct disk *d = new_open_disk();

	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA + 1, 0)), NVME_PRP_INVALID_OFFSET);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 16, DATA, MORE_DATA + 8)), NVME_PRP_INVALID_OFFSET);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 24, DATA, LISTS + 4)), NVME_PRP_INVALID_OFFSET);
	put_prp(d, LISTS, 0, MORE_DATA);
	put_prp(d, LISTS, 1, MORE_DATA + 4);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 24, DATA, LISTS)), NVME_PRP_INVALID_OFFSET);
	put_prp(d, LISTS, 1, NOWHERE);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 24, DATA, LISTS)), NVME_DATA_TRANSFER_ERROR);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 24, DATA, LISTS)), NVME_DATA_TRANSFER_ERROR);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 24, DATA, NOWHERE)), NVME_DATA_TRANSFER_ERROR);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 24, DATA, UINT64_MAX - 7)), NVME_DATA_TRANSFER_ERROR);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, UINT64_MAX - 3, 0)), NVME_DATA_TRANSFER_ERROR);
	/* A list that is its own next one: it ends with the data. */
	for (unsigned i = 0; i < 512; i++)
		put_prp(d, LISTS, i, i == 511 ? LISTS : MORE_DATA);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 256, DATA, LISTS + 511 * 8)), 0);
	put_prp(d, LISTS, 511, LISTS + 511 * 8);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 256, DATA, LISTS + 511 * 8)), NVME_PRP_INVALID_OFFSET);
	drop_disk(d);
}

/* SGLs */

enum { SGL = 0x40, SGL_DATA = 0x00, SGL_BUCKET = 0x10, SGL_SEGMENT = 0x20, SGL_LAST = 0x30 };

static void put_sgl(struct disk *d, uint64_t at, unsigned index, uint64_t address, uint32_t length, uint8_t id)
{
	memcpy(d->memory + at + 16UL * index, &address, 8);
	memcpy(d->memory + at + 16UL * index + 8, &(uint64_t){length | (uint64_t)id << 56}, 8);
}

static struct nvme_command sgl_io(uint8_t opcode, uint32_t blocks, uint64_t address, uint32_t length, uint8_t id)
{
	struct nvme_command command = io(opcode, 0, blocks, address, length | (uint64_t)id << 56);

	command.flags = SGL;
	return command;
}

static void sgls_of_all_shapes(void)
{
	struct disk *d = new_open_disk();
	uint8_t wanted[4096];

	read_image(image, 0, wanted, sizeof(wanted));
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, DATA + 3, 1024, SGL_DATA)), 0);
	CHECK(!memcmp(d->memory + DATA + 3, wanted, 1024));
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, DATA + 7, 5000, SGL_DATA)), 0); /* longer than the data */
	CHECK(!memcmp(d->memory + DATA + 7, wanted, 1024));

	/* Pieces of odd lengths, one of them nowhere, in three segments. */
	memset(d->memory + DATA, 0, PAGE);
	put_sgl(d, LISTS, 0, DATA, 1, SGL_DATA);
	put_sgl(d, LISTS, 1, DATA + 100, 99, SGL_DATA);
	put_sgl(d, LISTS, 2, LISTS + 0x100, 32, SGL_SEGMENT);
	put_sgl(d, LISTS + 0x100, 0, NOWHERE, 100, SGL_BUCKET);
	put_sgl(d, LISTS + 0x100, 1, LISTS + 0x208, 48, SGL_LAST);
	put_sgl(d, LISTS + 0x208, 0, 0, 0, SGL_DATA);
	put_sgl(d, LISTS + 0x208, 1, DATA + 300, 300, SGL_DATA);
	put_sgl(d, LISTS + 0x208, 2, DATA + 600, 524, SGL_DATA);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 48, SGL_SEGMENT)), 0);
	CHECK_EQ(d->memory[DATA], wanted[0]);
	CHECK(!memcmp(d->memory + DATA + 100, wanted + 1, 99));
	CHECK(!memcmp(d->memory + DATA + 300, wanted + 200, 824));
	CHECK_EQ(d->memory[DATA + 300 + 824], 0);

	/* A bucket gives nothing. */
	put_sgl(d, LISTS + 0x208, 2, DATA + 600, 624, SGL_DATA);
	fill(d, DATA, PAGE, 9);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_WRITE, 2, LISTS, 48, SGL_SEGMENT)), 0);
	CHECK(image_holds(1, d->memory + DATA + 100, 99));
	CHECK(image_holds(100, d->memory + DATA + 300, 924));
	drop_disk(d);
}

static void wrong_sgls_are_refused(void)
{
	struct disk *d = new_open_disk();

	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, DATA, 1023, SGL_DATA)), NVME_SGL_INVALID_LENGTH);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, DATA, 1024, 0x01)), NVME_SGL_INVALID_TYPE);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, DATA, 1024, 0x40)), NVME_SGL_INVALID_TYPE);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, DATA, 1024, 0xf0)), NVME_SGL_INVALID_TYPE);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 0, SGL_LAST)), NVME_SGL_INVALID_SEGMENT);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 17, SGL_LAST)), NVME_SGL_INVALID_SEGMENT);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS + 4, 16, SGL_LAST)), NVME_SGL_INVALID_SEGMENT);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, NOWHERE, 16, SGL_LAST)), NVME_DATA_TRANSFER_ERROR);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, UINT64_MAX - 15, 64, SGL_LAST)), NVME_DATA_TRANSFER_ERROR);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, UINT64_MAX - 511, 1024, SGL_DATA)), NVME_DATA_TRANSFER_ERROR);
	/* A last segment that is not the last. */
	put_sgl(d, LISTS, 0, LISTS, 16, SGL_LAST);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 16, SGL_LAST)), NVME_SGL_INVALID_SEGMENT);
	/* A segment that ends with data although more follow. */
	put_sgl(d, LISTS, 0, DATA, 512, SGL_DATA);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 16, SGL_SEGMENT)), NVME_SGL_INVALID_SEGMENT);
	/* Another segment before the end of one. */
	put_sgl(d, LISTS, 0, LISTS, 16, SGL_SEGMENT);
	put_sgl(d, LISTS, 1, LISTS, 16, SGL_SEGMENT);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 32, SGL_SEGMENT)), NVME_SGL_INVALID_COUNT);
	/* Segments that go round; and data that are none. */
	put_sgl(d, LISTS, 0, LISTS, 16, SGL_SEGMENT);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 16, SGL_SEGMENT)), NVME_SGL_INVALID_COUNT);
	memset(d->memory + LISTS, 0, 0x20000);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 2, LISTS, 0x20000, SGL_LAST)), NVME_SGL_INVALID_COUNT);
	/* Too many pieces. */
	for (unsigned i = 0; i < 512; i++)
		put_sgl(d, LISTS, i, DATA + 2UL * i, 1, SGL_DATA);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_READ, 1, LISTS, 0x2000, SGL_LAST)), NVME_SGL_INVALID_COUNT);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	drop_disk(d);
}

/* How many copies the controller makes in one look, at most, for commands of four queues whose data are by a list. */
static unsigned most_copies(struct disk *d, uint32_t bytes, unsigned status)
{
	struct nvme_completion completion;
	unsigned most = 0;

	for (unsigned q = 2; q <= 4; q++)
		make_queue(d, q, ENTRIES, ENTRIES);
	for (unsigned q = 1; q <= 4; q++) {
		for (unsigned i = 0; i < ENTRIES - 1; i++)
			put(d, q, sgl_io(IO_READ, 1, LISTS, bytes, SGL_LAST));
		ring(d, q);
	}
	for (unsigned i = 0; i < 4 * (ENTRIES - 1); i++) {
		while (!peek(d, i % 4 + 1, &completion)) {
			d->copies = 0;
			nvme_model.poll(d->state);
			most = d->copies > most ? d->copies : most;
		}
		CHECK_EQ(completion.status >> 1 & STATUS_CODE, status);
		take(d, i % 4 + 1);
	}
	return most;
}

/* Of lists that lead to no data, and of data in the smallest pieces. */
static void not_all_lists_are_walked_in_one_look(void)
{
	struct disk *d = new_open_disk();

	memset(d->memory + LISTS, 0, 0x20000);
	CHECK(most_copies(d, 0x20000, NVME_SGL_INVALID_COUNT) < 20 * 64);
	drop_disk(d);

	d = new_open_disk();
	for (unsigned i = 0; i < 256; i++)
		put_sgl(d, LISTS, i, DATA + 4UL * i, 2, SGL_DATA);
	CHECK(most_copies(d, 0x1000, 0) < 20 * 256);
	drop_disk(d);
}

/* Other commands */

static void compare_finds_what_differs(void)
{
	struct disk *d = new_open_disk();

	fill(d, DATA, 4UL * PAGE, 3);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 16, 16, DATA, DATA + PAGE)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_COMPARE, 16, 16, DATA, DATA + PAGE)), 0);
	d->memory[DATA + 2 * PAGE - 1]++;
	CHECK_EQ(status_of(d, 1, io(IO_COMPARE, 16, 16, DATA, DATA + PAGE)), NVME_COMPARE_FAILURE);
	CHECK_EQ(status_of(d, 1, io(IO_COMPARE, 16, 16, DATA, NOWHERE)), NVME_DATA_TRANSFER_ERROR);
	drop_disk(d);
}

static void zeroes_are_written(void)
{
	static const uint32_t flags[] = {0, IO_DEALLOCATE, IO_FUA, IO_FUA | IO_DEALLOCATE};
	struct disk *d = new_open_disk();
	uint8_t zeroes[512 * 40] = {0}, before[512], after[512];

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct nvme_command command = io(IO_WRITE_ZEROES, 100, 40, 0, 0);

		command.dw12 |= flags[i];
		fill(d, DATA, PAGE, 4);
		CHECK_EQ(status_of(d, 1, io(IO_WRITE, 100, 8, DATA, 0)), 0);
		read_image(image, 99 * 512, before, 512);
		CHECK_EQ(status_of(d, 1, command), 0);
		CHECK(image_holds(100 * 512, zeroes, sizeof(zeroes)));
		read_image(image, 99 * 512, after, 512);
		CHECK(!memcmp(before, after, 512));
		read_image(image, 140 * 512, after, 512);
		CHECK(memcmp(zeroes, after, 512));
	}
	CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 0, 2048, 0, 0)), 0);
	drop_disk(d);
}

struct range {
	uint32_t attributes, blocks;
	uint64_t lba;
};

static void ranges_are_discarded(void)
{
	const struct range ranges[] = {{0, 8, 200}, {0, 0, 5}, {7, 9, 300}, {0, 1, 2047}};
	const uint8_t zeroes[512 * 9] = {0};
	struct nvme_command command = io(IO_DATASET, 0, 1, DATA, 0);
	struct disk *d = new_open_disk();

	fill(d, MORE_DATA, 2UL * PAGE, 5);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 200, 8, MORE_DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 300, 16, MORE_DATA, MORE_DATA + PAGE)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 2047, 1, MORE_DATA, 0)), 0);
	memcpy(d->memory + DATA, ranges, sizeof(ranges));
	command.dw10 = 3;
	command.dw11 = 0; /* hints only */
	CHECK_EQ(status_of(d, 1, command), 0);
	CHECK(image_holds(200 * 512, d->memory + MORE_DATA, PAGE));
	command.dw11 = DATASET_DEALLOCATE;
	CHECK_EQ(status_of(d, 1, command), 0);
	CHECK(image_holds(200 * 512, zeroes, 8 * 512));
	CHECK(image_holds(300 * 512, zeroes, 9 * 512));
	CHECK(image_holds(309 * 512, d->memory + MORE_DATA + 9 * 512, 7 * 512));
	CHECK(image_holds(2047 * 512, zeroes, 512));
	/* Nothing is done where one is wrong. */
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 200, 8, MORE_DATA, 0)), 0);
	memcpy(d->memory + DATA + 48, &(struct range){0, 2, 2047}, 16);
	CHECK_EQ(status_of(d, 1, command), NVME_LBA_OUT_OF_RANGE);
	memcpy(d->memory + DATA + 48, &(struct range){0, 2, UINT64_MAX}, 16);
	CHECK_EQ(status_of(d, 1, command), NVME_LBA_OUT_OF_RANGE);
	CHECK(image_holds(200 * 512, d->memory + MORE_DATA, PAGE));
	command.prp1 = NOWHERE;
	CHECK_EQ(status_of(d, 1, command), NVME_DATA_TRANSFER_ERROR);
	drop_disk(d);
}

static void verify_reads_all(void)
{
	struct disk *d = new_open_disk();

	CHECK_EQ(status_of(d, 1, io(IO_VERIFY, 0, 2048, 0, 0)), 0);
	CHECK_EQ(truncate(image, 1000 * 512), 0);
	CHECK_EQ(status_of(d, 1, io(IO_VERIFY, 0, 1000, 0, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_VERIFY, 0, 2048, 0, 0)), NVME_READ_ERROR);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 1000, 1, DATA, 0)), NVME_READ_ERROR);
	CHECK_EQ(truncate(image, 2048 * 512), 0);
	CHECK_EQ(status_of(d, 1, io(IO_VERIFY, 0, 2048, 0, 0)), 0);
	drop_disk(d);
}

static void a_read_only_disk_is_not_written(void)
{
	struct nvme_command command = io(IO_DATASET, 0, 1, DATA, 0);
	struct disk *d = new_disk();

	d->readonly = "";
	open_disk(d);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 1, DATA, 0)), NVME_WRITE_PROTECTED);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 0, 1, 0, 0)), NVME_WRITE_PROTECTED);
	memset(d->memory + DATA, 0, 16);
	command.dw10 = 0;
	command.dw11 = DATASET_DEALLOCATE;
	CHECK_EQ(status_of(d, 1, command), NVME_WRITE_PROTECTED);
	CHECK_EQ(status_of(d, 0, (struct nvme_command){.opcode = ADMIN_IDENTIFY, .nsid = 1, .prp1 = DATA}), 0);
	CHECK_EQ(d->memory[DATA + 99], 1);
	drop_disk(d);
}

static void durable_writes_are_written(void)
{
	const struct nvme_command cache = {.opcode = ADMIN_SET_FEATURES, .dw10 = FEATURE_WRITE_CACHE};
	struct nvme_command command = io(IO_WRITE, 7, 1, DATA, 0);
	struct disk *d = new_open_disk();

	command.dw12 |= IO_FUA;
	fill(d, DATA, 512, 11);
	CHECK_EQ(status_of(d, 1, command), 0);
	CHECK(image_holds(7 * 512, d->memory + DATA, 512));
	CHECK_EQ(status_of(d, 0, cache), 0);
	fill(d, DATA, 512, 12);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 7, 1, DATA, 0)), 0);
	CHECK(image_holds(7 * 512, d->memory + DATA, 512));
	drop_disk(d);
}

static void blocks_may_have_4096_bytes(void)
{
	struct disk *d = new_disk();

	d->block = "4096";
	open_disk(d);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 3, 2, DATA, DATA + PAGE)), 0);
	CHECK(image_holds(3 * 4096, d->memory + DATA, 8192));
	CHECK_EQ(status_of(d, 1, io(IO_READ, 256, 1, DATA, 0)), NVME_LBA_OUT_OF_RANGE);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 33, DATA, LISTS)), NVME_INVALID_FIELD);
	drop_disk(d);
}

/* What follows the file's end in its last block is zeroes, until it is written. */
static void an_image_may_end_within_a_block(void)
{
	struct disk *d = new_disk();
	struct stat st;

	CHECK_EQ(truncate(image, 2047 * 512 + 100), 0);
	open_disk(d);
	memset(d->memory + DATA, 0xa5, PAGE);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 2047, 1, DATA, 0)), 0);
	CHECK(image_holds(2047 * 512, d->memory + DATA, 100));
	CHECK_EQ(d->memory[DATA + 100] | d->memory[DATA + 511], 0);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 2048, 1, DATA, 0)), NVME_LBA_OUT_OF_RANGE);
	fill(d, DATA, 512, 77);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 2047, 1, DATA, 0)), 0);
	CHECK(image_holds(2047 * 512, d->memory + DATA, 512));
	CHECK_EQ(stat(image, &st), 0);
	CHECK_EQ(st.st_size, 1 << 20);
	drop_disk(d);
}

/* More than there are requests, on several queues, each of which gets its turn. */
static void queues_are_served_side_by_side(void)
{
	struct disk *d = new_open_disk();
	unsigned done[4] = {0};

	make_queue(d, 2, ENTRIES, ENTRIES);
	make_queue(d, 3, 64, 64);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned q = 1; q <= 3; q++) {
			for (unsigned i = 0; i < (q == 3 ? 60 : 12); i++) {
				unsigned lba = q * 100 + i % 12;
				uint64_t at = DATA + (q * 16UL + i % 12) * PAGE;

				fill(d, at, 512, lba + round);
				put(d, q,
				    io(i % 3 ? IO_READ : IO_WRITE, i % 3 ? lba + 500 : lba, 1, i % 3 ? MORE_DATA : at,
				       0));
			}
			ring(d, q);
		}
		for (unsigned q = 1; q <= 3; q++)
			for (unsigned i = 0; i < (q == 3 ? 60 : 12); i++) {
				CHECK_EQ(get(d, q).status >> 1, 0);
				done[q]++;
			}
	}
	CHECK_EQ(done[1], 1200);
	CHECK_EQ(done[3], 6000);
	for (unsigned q = 1; q <= 3; q++)
		for (unsigned i = 0; i < 12; i += 3)
			CHECK(image_holds((q * 100 + i) * 512, d->memory + DATA + (q * 16UL + i) * PAGE, 512));
	drop_disk(d);
}

static unsigned count_torn(const uint8_t *data, size_t n, size_t block)
{
	unsigned torn = 0;

	for (size_t at = 0; at < n; at += block)
		torn += memcmp(data + at, data + at + 1, block - 1) != 0;
	return torn;
}

enum { COMMANDS = 3, BYTES = 0x20000 };

/* Commands that write, and as many that read, the same of the first blocks by two queues at once. */
static void give_conflicting(struct disk *d, uint32_t block, unsigned value)
{
	for (unsigned i = 0; i < COMMANDS; i++) {
		memset(d->memory + DATA + (size_t)i * BYTES, (int)(value + i) & 0xff, BYTES);
		put(d, 1, sgl_io(IO_WRITE, BYTES / block, DATA + (uint64_t)i * BYTES, BYTES, SGL_DATA));
		put(d, 2, sgl_io(IO_READ, BYTES / block, MORE_DATA + (uint64_t)i * BYTES, BYTES, SGL_DATA));
	}
	ring(d, 1);
	ring(d, 2);
}

static void blocks_are_read_whole(const char *block)
{
	const uint32_t n = (uint32_t)atoi(block);
	struct disk *d = new_disk();
	unsigned torn = 0;

	d->block = block;
	open_disk(d);
	make_queue(d, 2, ENTRIES, ENTRIES);
	memset(d->memory + DATA, 0, BYTES);
	CHECK_EQ(status_of(d, 1, sgl_io(IO_WRITE, BYTES / n, DATA, BYTES, SGL_DATA)), 0);
	for (unsigned round = 0; round < 300; round++) {
		give_conflicting(d, n, round);
		for (unsigned i = 0; i < COMMANDS; i++) {
			CHECK_EQ(get(d, 1).status >> 1, 0);
			CHECK_EQ(get(d, 2).status >> 1, 0);
		}
		for (unsigned i = 0; i < COMMANDS; i++)
			torn += count_torn(d->memory + MORE_DATA + (size_t)i * BYTES, BYTES, n);
	}
	CHECK_EQ(torn, 0);
	drop_disk(d);
}

/* Also commands that wait for others: none is done after it. */
static void a_reset_forgets_what_conflicts(void)
{
	struct disk *d = new_open_disk();
	uint8_t *found = malloc(BYTES);

	make_queue(d, 2, ENTRIES, ENTRIES);
	for (unsigned round = 0; round < 100; round++) {
		give_conflicting(d, 512, round);
		nvme_model.poll(d->state);
		disable(d);
		enable(d);
		make_queue(d, 1, ENTRIES, ENTRIES);
		make_queue(d, 2, ENTRIES, ENTRIES);
		read_image(image, 0, found, BYTES);
		look(d);
		CHECK(image_holds(0, found, BYTES));
		CHECK_EQ(status_of(d, 2, sgl_io(IO_READ, BYTES / 512, MORE_DATA, BYTES, SGL_DATA)), 0);
		CHECK(!memcmp(d->memory + MORE_DATA, found, BYTES));
	}
	give_conflicting(d, 512, 0);
	nvme_model.poll(d->state);
	free(found);
	drop_disk(d);
}

static void all(void)
{
	blocks_are_read_and_written();
	ranges_are_checked();
	commands_are_checked();
	prps_of_all_shapes();
	pages_may_be_larger();
	wrong_prps_are_refused();
	sgls_of_all_shapes();
	wrong_sgls_are_refused();
	not_all_lists_are_walked_in_one_look();
	compare_finds_what_differs();
	zeroes_are_written();
	ranges_are_discarded();
	verify_reads_all();
	a_read_only_disk_is_not_written();
	durable_writes_are_written();
	blocks_may_have_4096_bytes();
	an_image_may_end_within_a_block();
	queues_are_served_side_by_side();
	blocks_are_read_whole("512");
	blocks_are_read_whole("4096");
	a_reset_forgets_what_conflicts();
}

int main(void)
{
	static const char *const ways[] = {"threads", "auto"};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		aio = ways[i];
		make_image(image, 1 << 20);
		all();
		unlink(image);
	}
	return check_result();
}

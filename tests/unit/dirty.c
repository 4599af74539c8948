/* SPDX-License-Identifier: BSD-3-Clause */
/* Dirty bitmaps, compared with an array of what was written. */
#include "fake_iommu.h"

#include <stdlib.h>

#define BASE  UINT64_C(0x10000000)
#define PAGES 4096U

/* Where the client's bitmaps may lie. */
#define ROOM_AT 1024U
#define ROOM    7168U

static struct iommu_group group = {.id = 1};
static struct fake_device dev;
static uint32_t table;
static bool dirty[PAGES];
static unsigned char expected[ROOM];

static struct paging_domain *domain(void)
{
	return paging_domain(domain_of(table));
}

/* A page table with translations that no IOAS knows of: nothing has to be pinned for it. */
static void begin_with_pages(void)
{
	const struct ioas_mapping mapping = {.start = BASE, .last = BASE + PAGES * PAGE_SIZE - 1, .prot = 6};

	begin();
	fake_device_new(&dev, &group);
	table = (uint32_t)hwpt_alloc(dev.device, ioas_alloc(), IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	CHECK_EQ(domain()->base.ops->map(&domain()->base, &mapping), 0);
	memset(dirty, 0, sizeof(dirty));
}

static void end_with_pages(void)
{
	domain()->base.ops->unmap(&domain()->base, 0, UINT64_MAX);
	domain()->base.ops->flush(&domain()->base);
	fake_device_end(&dev);
	end();
}

static long track(uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd), .flags = flags, .hwpt_id = table, .__reserved = 1};

	return CALL(IOMMU_HWPT_SET_DIRTY_TRACKING, cmd);
}

static long get(uint32_t flags, uint64_t iova, uint64_t length, uint64_t page_size, size_t at)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {.size = sizeof(cmd),
						  .hwpt_id = table,
						  .flags = flags,
						  .iova = iova,
						  .length = length,
						  .page_size = page_size,
						  .data = fake_at(&fake, ROOM_AT + at)};

	return CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd);
}

static void write_pages(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		dirty[i] = true;
	paging_domain_mark(domain(), BASE + first * PAGE_SIZE, BASE + (first + count) * PAGE_SIZE - 1);
}

/* What a call is to add to the client's memory, a bit after the other. */
static void expect_bits(bool clear, uint64_t iova, uint64_t length, uint64_t page_size, size_t at)
{
	const uint64_t unit = page_size & -page_size;

	for (uint64_t offset = 0; offset < length; offset += unit < PAGE_SIZE ? unit : PAGE_SIZE) {
		const uint64_t page = (iova + offset - BASE) / PAGE_SIZE;

		if (iova + offset >= BASE && page < PAGES && dirty[page])
			expected[at + offset / unit / 8] |= (unsigned char)(1U << offset / unit % 8);
	}
	for (uint64_t offset = 0; clear && offset < length; offset += PAGE_SIZE) {
		const uint64_t page = (iova + offset - BASE) / PAGE_SIZE;

		if (iova + offset >= BASE && page < PAGES)
			dirty[page] = false;
	}
}

static void get_and_compare(uint32_t flags, uint64_t iova, uint64_t length, uint64_t page_size, size_t at)
{
	memcpy(expected, fake.memory + ROOM_AT, ROOM);
	expect_bits(!(flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), iova, length, page_size, at);
	CHECK_EQ(get(flags, iova, length, page_size, at), 0);
	CHECK(memcmp(expected, fake.memory + ROOM_AT, ROOM) == 0);
	if (memcmp(expected, fake.memory + ROOM_AT, ROOM) != 0)
		printf("flags %u, iova %#" PRIx64 ", length %#" PRIx64 ", page size %#" PRIx64 ", at %zu\n", flags,
		       iova, length, page_size, at);
}

static void what_is_wrong_is_found_in_order(void)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .hwpt_id = 99, .flags = 2, .iova = 0x1800, .length = UINT64_MAX, .__reserved = 1};

	begin_with_pages();
	CHECK_EQ(track(2), -EOPNOTSUPP);
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -ENOENT);
	cmd.hwpt_id = (uint32_t)hwpt_alloc(dev.device, 2, 0); /* without tracking */
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EOVERFLOW);
	cmd.length = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EOVERFLOW);
	cmd.length = 0x2800;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EINVAL); /* the IOAS's alignment */
	cmd.iova = 0x1000;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EINVAL); /* at the end as well */
	cmd.length = 0x3000;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EINVAL); /* page_size 0 */
	cmd.page_size = 0x2000;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EINVAL);
	cmd.iova = 0x2000;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EINVAL); /* at the end as well */
	cmd.page_size = 0x1000;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EOPNOTSUPP);
	cmd.hwpt_id = table;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), 0); /* the bitmap is nowhere, and nothing dirty */
	cmd.iova = cmd.length = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), 0);
	cmd.page_size = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -EINVAL);
	cmd.hwpt_id = 2; /* the IOAS */
	CHECK_EQ(CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, cmd), -ENOENT);
	CHECK_EQ(track(0), 0);
	CHECK_EQ(track(1), 0);
	CHECK_EQ(track(1), 0);
	CHECK_EQ(destroy(table + 1), 0);
	table++;
	CHECK_EQ(track(1), -ENOENT);
	table = (uint32_t)hwpt_alloc(dev.device, 2, 0);
	CHECK_EQ(track(1), -EOPNOTSUPP);
	table--;
	end_with_pages();
}

static void bits_are_set_and_never_cleared(void)
{
	begin_with_pages();
	CHECK_EQ(track(1), 0);
	memset(fake.memory + ROOM_AT, 0x11, ROOM);
	write_pages(0, 1);
	write_pages(9, 3);
	get_and_compare(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, BASE, 16 * PAGE_SIZE, PAGE_SIZE, 1);
	CHECK_EQ(fake.memory[ROOM_AT + 1], 0x11);
	CHECK_EQ(fake.memory[ROOM_AT + 2], 0x1f);
	get_and_compare(0, BASE + 8 * PAGE_SIZE, 8 * PAGE_SIZE, PAGE_SIZE, 100);
	CHECK_EQ(fake.memory[ROOM_AT + 100], 0x1f);
	get_and_compare(0, BASE + 8 * PAGE_SIZE, 8 * PAGE_SIZE, PAGE_SIZE, 200); /* clean now */
	CHECK_EQ(fake.memory[ROOM_AT + 200], 0x11);
	get_and_compare(0, BASE, 16 * PAGE_SIZE, PAGE_SIZE, 300); /* the first page is left */
	CHECK_EQ(fake.memory[ROOM_AT + 300], 0x11);
	end_with_pages();
}

/* More runs than are looked at at once, and one run longer than a piece of the bitmap. */
static void many_runs_and_long_ones(void)
{
	begin_with_pages();
	CHECK_EQ(track(1), 0);
	for (int no_clear = 1; no_clear >= 0; no_clear--) {
		memset(fake.memory + ROOM_AT, 0, ROOM);
		for (unsigned i = 0; i < PAGES; i += 2)
			write_pages(i, 1);
		get_and_compare((uint32_t)no_clear, BASE, PAGES * PAGE_SIZE, PAGE_SIZE, 3);
	}
	for (int no_clear = 1; no_clear >= 0; no_clear--) {
		memset(fake.memory + ROOM_AT, 0, ROOM);
		write_pages(0, PAGES);
		get_and_compare((uint32_t)no_clear, BASE, PAGES * PAGE_SIZE, 512, 7);
	}
	memset(fake.memory + ROOM_AT, 0, ROOM);
	get_and_compare(0, BASE, PAGES * PAGE_SIZE, PAGE_SIZE, 3);
	end_with_pages();
}

static void a_bitmap_that_cannot_be_written_loses_nothing(void)
{
	begin_with_pages();
	CHECK_EQ(track(1), 0);
	memset(fake.memory + ROOM_AT, 0, ROOM);
	write_pages(5, 2);
	write_pages(PAGES - 2, 1);
	fake.deny_write = true;
	CHECK_EQ(get(0, BASE, PAGES * PAGE_SIZE, PAGE_SIZE, 0), 0);
	fake.deny_write = false;
	/* Its end is beyond the client's memory. */
	CHECK_EQ(get(0, BASE, PAGES * PAGE_SIZE, PAGE_SIZE, ROOM - 100), 0);
	memset(fake.memory + ROOM_AT, 0, ROOM);
	get_and_compare(0, BASE, PAGES * PAGE_SIZE, PAGE_SIZE, 0);
	/* All that can be asked for. */
	write_pages(7, 1);
	CHECK_EQ(get(0, 0, UINT64_C(1) << 63, PAGE_SIZE, 0), 0);
	get_and_compare(0, BASE, PAGES * PAGE_SIZE, PAGE_SIZE, 1000);
	end_with_pages();
}

static bool is_good(uint64_t iova, uint64_t length, uint64_t page_size)
{
	return !(iova & (page_size - 1)) && !((iova + length) & (page_size - 1));
}

static void random_bitmaps(unsigned seed)
{
	static const uint64_t page_sizes[] = {512, 2048, 4096, 8192, 0x3000, 0x5000, 0x6000, 0x10000, 1 << 20};

	begin_with_pages();
	CHECK_EQ(track(1), 0);
	srandom(seed);
	for (int round = 0; round < 300; round++) {
		const uint64_t page_size = page_sizes[(unsigned)random() % 9];
		const uint32_t flags = (uint32_t)random() % 2;
		const unsigned from = (unsigned)random() % (PAGES + 200);
		const unsigned count = 1 + (unsigned)random() % (round % 2 ? 64 : 2048);
		uint64_t iova = BASE + (from - UINT64_C(100)) * PAGE_SIZE;
		uint64_t length = count * PAGE_SIZE;
		const size_t at = (unsigned)random() % 1000;

		for (int i = 0; i < 40; i++) {
			unsigned first = (unsigned)random() % PAGES;
			unsigned n = 1 + (unsigned)random() % (i % 8 ? 3 : 200);

			write_pages(first, first + n > PAGES ? PAGES - first : n);
		}
		if (random() % 4 && !is_good(iova, length, page_size)) {
			iova &= ~UINT64_C(0xfffff);
			length = (length + 0xfffff) & ~UINT64_C(0xfffff);
		}
		if (length / (page_size & -page_size) / 8 + at > ROOM)
			continue;
		for (unsigned i = 0; i < ROOM; i++)
			fake.memory[ROOM_AT + i] = random() % 4 ? 0 : (unsigned char)random();
		if (is_good(iova, length, page_size))
			get_and_compare(flags, iova, length, page_size, at);
		else
			CHECK_EQ(get(flags, iova, length, page_size, at), -EINVAL);
	}
	end_with_pages();
}

int main(int argc, char **argv)
{
	const unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1;

	printf("seed %u\n", seed);
	what_is_wrong_is_found_in_order();
	bits_are_set_and_never_cleared();
	many_runs_and_long_ones();
	a_bitmap_that_cannot_be_written_loses_nothing();
	random_bitmaps(seed);
	return check_result();
}

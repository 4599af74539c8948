/* SPDX-License-Identifier: BSD-3-Clause */
/* What is dirty of 1 GiB, as IOMMU_HWPT_GET_DIRTY_BITMAP says it; each bit of the bitmap is for 4 KiB. */
#define _GNU_SOURCE
#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "base/types.h"
#include "bench.h"
#include "dom_calls.h"

#include <sys/mman.h>

#define IOVA  GIB
#define PAGES (GIB / PAGE_SIZE)

static uint32_t hwpt;
static char *memory;
static uint8_t bitmap[PAGES / 8], marks[2 * PAGES / 8];

static void begin(void)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING};
	struct iommu_hwpt_set_dirty_tracking track = {.size = sizeof(track), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};

	memory = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	bench_must(memory != MAP_FAILED, "mmap");
	calls_begin();
	alloc.pt_id = ioas_new();
	attach(alloc.pt_id, &alloc.dev_id);
	map(alloc.pt_id, IOVA, memory, GIB);
	call(IOMMU_HWPT_ALLOC, &alloc, "HWPT_ALLOC");
	hwpt = alloc.out_hwpt_id;
	track.hwpt_id = hwpt;
	call(IOMMU_HWPT_SET_DIRTY_TRACKING, &track, "SET_DIRTY_TRACKING");
}

static void end(void)
{
	calls_end();
	munmap(memory, GIB);
}

/* By the test device's page size, which is half of a page. */
static void write_marked(void)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd), .op = IOMMU_TEST_OP_DIRTY, .id = hwpt};

	cmd.dirty.iova = IOVA;
	cmd.dirty.length = GIB;
	cmd.dirty.page_size = PAGE_SIZE / 2;
	cmd.dirty.uptr = (uintptr_t)marks;
	call(IOMMU_TEST_CMD, &cmd, "DIRTY");
}

static unsigned count_bits(void)
{
	unsigned count = 0;

	for (size_t i = 0; i < sizeof(bitmap); i++)
		count += (unsigned)__builtin_popcount(bitmap[i]);
	return count;
}

/* Microseconds for a call that reads and clears so many bits. */
static double read_dirty(unsigned expected)
{
	struct iommu_hwpt_get_dirty_bitmap get = {.size = sizeof(get),
						  .hwpt_id = hwpt,
						  .iova = IOVA,
						  .length = GIB,
						  .page_size = PAGE_SIZE,
						  .data = (uintptr_t)bitmap};
	double began, took;

	memset(bitmap, 0, sizeof(bitmap));
	began = bench_now();
	call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get, "GET_DIRTY_BITMAP");
	took = bench_now() - began;
	bench_must(count_bits() == expected, "the bitmap");
	return took / 1000;
}

static double none_dirty(void)
{
	return read_dirty(0);
}

static double some_dirty(void)
{
	unsigned count = 0;

	memset(marks, 0, sizeof(marks));
	while (count < PAGES / 100) {
		uint64_t page = bench_random() % PAGES;
		const uint8_t bit = (uint8_t)(1U << 2 * page % 8);

		count += !(marks[2 * page / 8] & bit);
		marks[2 * page / 8] |= bit;
	}
	write_marked();
	return read_dirty(count);
}

static double all_dirty(void)
{
	memset(marks, 0xff, sizeof(marks));
	write_marked();
	return read_dirty(PAGES);
}

const struct bench_row dirty_rows[] = {
	{"dirty bitmap of 1 GiB, clean", begin, none_dirty, end, 20, "us", "1.17 ms", false, false},
	{"dirty bitmap of 1 GiB, 1 % dirty, read and clear", begin, some_dirty, end, 60, "us", "1.2 ms", false, true},
	{"dirty bitmap of 1 GiB, all dirty, read and clear", begin, all_dirty, end, 150, "us", "2.8 ms", false, true},
	{0},
};

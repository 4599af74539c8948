/* SPDX-License-Identifier: BSD-3-Clause */
/* IOMMU_HWPT_SET_DIRTY_TRACKING and IOMMU_HWPT_GET_DIRTY_BITMAP of page tables that exist. */
#include "mock.h"

#include <string.h>

#define NOWHERE    UINT64_C(0x520000000000)
#define CLEAR_NONE IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR
#define ENABLE     IOMMU_HWPT_DIRTY_TRACKING_ENABLE

enum {
	PAGES = 64,
};

struct tracked {
	uint32_t ioas, hwpt;
	struct mock m;
};

/* A page table with tracking and PAGES areas of a page each, so that no entry has more than one of them. */
static struct tracked tracked_new(struct rules *t, uint32_t flags)
{
	struct tracked d = {.ioas = ioas_new(t)};

	memory_new(t);
	d.m = mock_new(t, d.ioas, 0);
	d.hwpt = hwpt_new(t, d.m.device, d.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING | flags);
	for (uint64_t i = 0; i < PAGES; i++)
		EXPECT(t, map_va_at(t, d.ioas, RW, MEMORY + i * PAGE, AP + i * PAGE, PAGE), 0);
	return d;
}

static uint64_t dirty_pages(struct rules *t, const struct tracked *d, uint32_t flags)
{
	uint64_t bits = 0;

	EXPECT(t, get_dirty(t, d->hwpt, flags, AP, PAGES * PAGE, PAGE, &bits), 0);
	return bits;
}

#define SOME UINT64_C(0x8000000180420013)

static void bits_that_are_dirty_are_set(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t some = SOME;

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT_U64(t, dirty_pages(t, &d, 0), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &some), 0);
	EXPECT_U64(t, dirty_pages(t, &d, CLEAR_NONE), SOME);
	EXPECT_U64(t, dirty_pages(t, &d, CLEAR_NONE), SOME);
	EXPECT_U64(t, dirty_pages(t, &d, 0), SOME);
	EXPECT_U64(t, dirty_pages(t, &d, 0), 0);
	memory_free();
}

static void bits_are_or_ed(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t some = SOME, bits = UINT64_C(0xff00);

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &some), 0);
	EXPECT(t, get_dirty(t, d.hwpt, 0, AP, PAGES * PAGE, PAGE, &bits), 0);
	EXPECT_U64(t, bits, SOME | 0xff00);
	EXPECT(t, get_dirty(t, d.hwpt, 0, AP, PAGES * PAGE, PAGE, &bits), 0);
	EXPECT_U64(t, bits, SOME | 0xff00);
	memory_free();
}

static void bit_0_is_that_of_the_iova_and_the_bitmap_may_be_at_any_byte(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t some = UINT64_C(0x1) << 20;
	unsigned char bits[8] = {0};

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &some), 0);
	/* 3 pages from page 19 on: one byte of bitmap. */
	EXPECT(t, get_dirty(t, d.hwpt, CLEAR_NONE, AP + 19 * PAGE, 3 * PAGE, PAGE, bits + 1), 0);
	EXPECT(t, bits[0], 0);
	EXPECT(t, bits[1], 2);
	EXPECT(t, bits[2], 0);
	/* 9 pages: two bytes, of which the second has one bit. */
	EXPECT(t, get_dirty(t, d.hwpt, CLEAR_NONE, AP + 12 * PAGE, 9 * PAGE, PAGE, bits + 3), 0);
	EXPECT(t, bits[3], 0);
	EXPECT(t, bits[4], 1);
	EXPECT(t, bits[5], 0);
	memory_free();
}

/* A bitmap of which a part cannot be read, and how many bits there were. */
static void dirty_counts_its_bits(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t some = SOME;
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_DIRTY, .id = d.hwpt, .dirty = {0, AP, PAGES * PAGE, PAGE, (uintptr_t)&some, 0}};

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, test_op(t, &c), 0);
	EXPECT_U64(t, c.dirty.out_nr_dirty, 8);
	c.dirty.uptr = (uintptr_t)place(t, &some, sizeof(some), 4, PROT_READ, PROT_NONE);
	EXPECT(t, test_op(t, &c), -EFAULT);
	memory_free();
}

static void only_the_range_is_read_and_cleared(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t all = U64_MAX, bits = 0;

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &all), 0);
	EXPECT(t, get_dirty(t, d.hwpt, 0, AP + 8 * PAGE, 4 * PAGE, PAGE, &bits), 0);
	EXPECT_U64(t, bits, 0xf);
	EXPECT_U64(t, dirty_pages(t, &d, 0), ~UINT64_C(0xf00));
	memory_free();
}

static void bits_of_other_page_sizes(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t some = UINT64_C(1) << 5 | UINT64_C(1) << 32, bits[2] = {0};

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &some), 0);
	EXPECT(t, get_dirty(t, d.hwpt, CLEAR_NONE, AP, PAGES * PAGE, 16 * PAGE, bits), 0);
	EXPECT_U64(t, bits[0], 5);
	bits[0] = 0;
	EXPECT(t, get_dirty(t, d.hwpt, CLEAR_NONE, AP, PAGES * PAGE, PAGES * PAGE, bits), 0);
	EXPECT_U64(t, bits[0], 1);
	bits[0] = 0;
	EXPECT(t, get_dirty(t, d.hwpt, CLEAR_NONE, AP, PAGES * PAGE, HALF, bits), 0);
	EXPECT(t, (bits[0] >> 10 & 3) != 0, true);
	EXPECT_U64(t, bits[0] & ~(UINT64_C(3) << 10), 0);
	EXPECT(t, (bits[1] & 3) != 0, true);
	EXPECT_U64(t, bits[1] & ~UINT64_C(3), 0);
	memory_free();
}

static void tracking_begins_with_nothing_dirty_and_may_be_set_twice(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t some = SOME;

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &some), 0);
	EXPECT(t, set_dirty(t, d.hwpt, 0), 0);
	EXPECT(t, set_dirty(t, d.hwpt, 0), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &some), -EINVAL);
	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT_U64(t, dirty_pages(t, &d, 0), 0);
	memory_free();
}

static void bitmap_of_what_is_not_tracked_is_0(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t bits = 0;

	EXPECT(t, get_dirty(t, d.hwpt, 0, AP, PAGES * PAGE, PAGE, &bits), 0);
	EXPECT_U64(t, bits, 0);
	memory_free();
}

static void holes_of_the_range_do_not_matter(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t some = 1, bits[2] = {0, 0};

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &some), 0);
	EXPECT(t, get_dirty(t, d.hwpt, CLEAR_NONE, AP + PAGES * PAGE, PAGES * PAGE, PAGE, bits), 0);
	EXPECT_U64(t, bits[0], 0);
	EXPECT(t, get_dirty(t, d.hwpt, CLEAR_NONE, AP, PAGES * PAGE, PAGE, (void *)(uintptr_t)NOWHERE), 0);
	memory_free();
}

static void unmapped_pages_are_clean_when_they_are_mapped_again(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint64_t all = U64_MAX;

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, d.hwpt, AP, PAGES * PAGE, PAGE, &all), 0);
	EXPECT(t, unmap(t, d.ioas, AP + 3 * PAGE, PAGE, NULL), 0);
	EXPECT(t, map_va_at(t, d.ioas, RW, MEMORY + 3 * PAGE, AP + 3 * PAGE, PAGE), 0);
	EXPECT_U64(t, dirty_pages(t, &d, 0), ~UINT64_C(8));
	memory_free();
}

static void tracking_is_of_each_page_table(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	uint32_t other = hwpt_new(t, d.m.device, d.ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	uint64_t some = SOME, bits = 0;

	EXPECT(t, set_dirty(t, d.hwpt, ENABLE), 0);
	EXPECT(t, make_dirty(t, other, AP, PAGES * PAGE, PAGE, &some), -EINVAL);
	EXPECT(t, set_dirty(t, other, ENABLE), 0);
	EXPECT(t, make_dirty(t, other, AP, PAGES * PAGE, PAGE, &some), 0);
	EXPECT_U64(t, dirty_pages(t, &d, 0), 0);
	EXPECT(t, get_dirty(t, other, 0, AP, PAGES * PAGE, PAGE, &bits), 0);
	EXPECT_U64(t, bits, SOME);
	memory_free();
}

static void device_without_tracking_is_not_attached(struct rules *t)
{
	struct tracked d = tracked_new(t, 0);
	struct mock clean = mock_new(t, d.ioas, MOCK_FLAGS_DEVICE_NO_DIRTY), m;

	EXPECT(t, mock_attach(t, clean.stdev, d.hwpt), -EINVAL);
	EXPECT(t, pasid_check(t, clean.stdev, 0, clean.hwpt), 0);
	EXPECT(t, mock_try(t, d.hwpt, MOCK_FLAGS_DEVICE_NO_DIRTY, &m), -EINVAL);
	EXPECT(t, mock_attach(t, d.m.stdev, d.hwpt), 0);
	memory_free();
}

#define NO_DATA WORLD_DATA(0)
#define TRACK(rules, name, result, ...)                                                                                \
	IN_WORLD(rules, name, result, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, NO_DATA,           \
		 __VA_ARGS__)
#define BITMAP(rules, name, result, hwpt, at, bytes, bit, ...)                                                         \
	IN_WORLD(rules, name, result, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, NO_DATA,               \
		 .hwpt_id = (hwpt), .iova = (at), .length = (bytes), .page_size = (bit), .data = DATA + 64,            \
		 ##__VA_ARGS__)
#define DIRTY_OP(rules, name, result, hwpt, at, bytes, bit, from)                                                      \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, NO_DATA, .op = IOMMU_TEST_OP_DIRTY,              \
		 .id = (hwpt), .dirty = {.iova = (at), .length = (bytes), .page_size = (bit), .uptr = (from)})

static const struct rule_case cases[] = {
	TRACK("A.15-3", tracking_of_a_nested_page_table_is_enoent, -ENOENT, .flags = 1, .hwpt_id = NESTED),
	TRACK("A.15-3", tracking_of_a_device_is_enoent, -ENOENT, .flags = 1, .hwpt_id = DEVICE),
	TRACK("A.15-3b", tracking_of_a_page_table_without_is_eopnotsupp, -EOPNOTSUPP, .flags = 1, .hwpt_id = PLAIN),
	TRACK("A.15-3b", tracking_of_an_automatic_page_table_is_eopnotsupp, -EOPNOTSUPP, .flags = 0, .hwpt_id = AUTO),
	TRACK("A.15-1", tracking_with_an_unknown_flag_comes_before_the_page_table, -EOPNOTSUPP, .flags = 2,
	      .hwpt_id = NO_ID),
	TRACK("A.15-2", tracking_with_the_reserved_member_is_taken, 0, .flags = 1, .hwpt_id = DIRTY, .__reserved = 1),
	BITMAP("A.15-5", bitmap_of_a_nested_page_table_is_enoent, -ENOENT, NESTED, AREA, PAGE, PAGE),
	BITMAP("A.15-4", bitmap_with_an_unknown_flag_comes_before_the_page_table, -EOPNOTSUPP, NO_ID, AREA, PAGE, PAGE,
	       .flags = 2),
	BITMAP("A.15-6a", bitmap_of_a_range_that_wraps_is_eoverflow, -EOVERFLOW, DIRTY, U64_MAX - PAGE + 1, PAGE + 1,
	       PAGE),
	BITMAP("A.15-6a", bitmap_of_no_bytes_is_eoverflow, -EOVERFLOW, DIRTY, AREA, 0, PAGE),
	BITMAP("A.15-6a", bitmap_of_no_bytes_at_0_is_0, 0, DIRTY, 0, 0, PAGE),
	BITMAP("A.15-6a", bitmap_that_wraps_comes_before_its_alignment, -EOVERFLOW, DIRTY, U64_MAX, 2, 0),
	BITMAP("A.15-6b", bitmap_of_a_misaligned_iova_is_einval, -EINVAL, DIRTY, AREA + 0x400, PAGE, 0x400),
	BITMAP("A.15-6b", bitmap_of_a_misaligned_end_is_einval, -EINVAL, DIRTY, AREA, PAGE + 0x400, 0x400),
	BITMAP("A.15-6b", bitmap_of_a_misaligned_range_comes_before_tracking, -EINVAL, PLAIN, AREA + 0x400, PAGE,
	       0x400),
	BITMAP("A.15-6c", bitmap_of_page_size_0_is_einval, -EINVAL, DIRTY, AREA, PAGE, 0),
	BITMAP("A.15-6c", bitmap_of_page_size_0_comes_before_tracking, -EINVAL, PLAIN, AREA, PAGE, 0),
	BITMAP("A.15-6c", bitmap_of_a_page_size_beyond_the_range_is_einval, -EINVAL, DIRTY, AREA, PAGE, 2 * PAGE),
	BITMAP("A.15-6c", bitmap_of_a_page_size_that_the_iova_breaks_is_einval, -EINVAL, DIRTY, AREA + PAGE, 2 * PAGE,
	       2 * PAGE),
	BITMAP("A.15-6c", bitmap_of_a_small_page_size_is_taken, 0, DIRTY, AREA, PAGE, 512),
	BITMAP("A.15-6d", bitmap_of_a_page_table_without_tracking_is_eopnotsupp, -EOPNOTSUPP, PLAIN, AREA, PAGE, PAGE),
	BITMAP("A.15-6d", bitmap_page_size_is_checked_by_its_mask, -EOPNOTSUPP, PLAIN, AREA, PAGE, 3000),
	BITMAP("A.15-7d", bitmap_of_a_hole_is_0, 0, DIRTY, HOLE_AREA, PAGE, PAGE),
	BITMAP("A.15-7d", bitmap_across_areas_and_holes_is_0, 0, DIRTY, AREA, HOLE_AREA - AREA, PAGE),
	CASE("A.15-7a", bits_that_are_dirty_are_set),
	CASE("H-13e,H-13f", dirty_counts_its_bits),
	CASE("A.15-7b", bits_are_or_ed),
	CASE("A.15-7c", bit_0_is_that_of_the_iova_and_the_bitmap_may_be_at_any_byte),
	CASE("A.15-7a", only_the_range_is_read_and_cleared),
	CASE("A.15-7e,C.10-1", bits_of_other_page_sizes),
	CASE("A.15-8", tracking_begins_with_nothing_dirty_and_may_be_set_twice),
	CASE("A.15-7d", bitmap_of_what_is_not_tracked_is_0),
	CASE("A.15-7d", holes_of_the_range_do_not_matter),
	CASE("A.15-7f", unmapped_pages_are_clean_when_they_are_mapped_again),
	CASE("A.15-9", tracking_is_of_each_page_table),
	CASE("C.10-2,H-12b", device_without_tracking_is_not_attached),
	DIRTY_OP("H-13a", dirty_of_page_size_0_is_einval, -EINVAL, DIRTY, AREA, PAGE, 0, DATA),
	DIRTY_OP("H-13a", dirty_of_no_bytes_is_einval, -EINVAL, DIRTY, AREA, 0, PAGE, DATA),
	DIRTY_OP("H-13a", dirty_without_a_bitmap_is_einval, -EINVAL, DIRTY, AREA, PAGE, PAGE, 0),
	DIRTY_OP("H-13a", dirty_of_a_misaligned_iova_is_einval, -EINVAL, DIRTY, AREA + HALF, PAGE, PAGE, DATA),
	DIRTY_OP("H-13a", dirty_of_a_misaligned_length_is_einval, -EINVAL, DIRTY, AREA, PAGE + HALF, PAGE, DATA),
	DIRTY_OP("H-13b", dirty_of_too_many_pages_is_eoverflow, -EOVERFLOW, DIRTY, 0, ((UINT64_C(1) << 27) + 1) * PAGE,
		 PAGE, DATA),
	DIRTY_OP("H-13c", dirty_without_tracking_is_einval, -EINVAL, DIRTY, AREA, PAGE, PAGE, DATA),
	DIRTY_OP("H-13c", dirty_of_a_page_table_without_tracking_is_einval, -EINVAL, PLAIN, AREA, PAGE, PAGE, DATA),
	DIRTY_OP("H-13d", dirty_of_an_absent_page_table_is_enoent, -ENOENT, NO_ID, AREA, PAGE, PAGE, DATA),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

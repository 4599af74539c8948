/* SPDX-License-Identifier: BSD-3-Clause */
/* Reserved ranges: of page tables, and of the test device's own op; and what they are to maps and to the allowed list.
 */
#include "mock.h"

#define START (AP + 0x100000)

static const uint64_t size = 16 * PAGE;

static void reserved_ranges_cut_holes(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_iova_range range[16] = {{0, 0}};

	EXPECT(t, reserve(t, ioas, 6 * PAGE, PAGE), 0);
	EXPECT(t, reserve(t, ioas, 2 * PAGE, 2 * PAGE), 0);
	EXPECT(t, iova_ranges(t, ioas, range), 3);
	EXPECT_U64(t, range[0].start, 0);
	EXPECT_U64(t, range[0].last, 2 * PAGE - 1);
	EXPECT_U64(t, range[1].start, 4 * PAGE);
	EXPECT_U64(t, range[1].last, 6 * PAGE - 1);
	EXPECT_U64(t, range[2].start, 7 * PAGE);
	EXPECT_U64(t, range[2].last, U64_MAX);
	/* Overlaps and neighbours are one; a hole may be a byte. */
	EXPECT(t, reserve(t, ioas, PAGE, 4 * PAGE), 0);
	EXPECT(t, reserve(t, ioas, 5 * PAGE + 1, PAGE - 1), 0);
	EXPECT(t, reserve(t, ioas, 0, 1), 0);
	EXPECT(t, iova_ranges(t, ioas, range), 3);
	EXPECT_U64(t, range[0].start, 1);
	EXPECT_U64(t, range[0].last, PAGE - 1);
	EXPECT_U64(t, range[1].start, 5 * PAGE);
	EXPECT_U64(t, range[1].last, 5 * PAGE);
	EXPECT_U64(t, range[2].start, 7 * PAGE);
}

static void whole_space_reserved_is_no_range(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_iova_range range[16];

	EXPECT(t, reserve(t, ioas, 0, U64_MAX), 0);
	EXPECT(t, iova_ranges(t, ioas, range), 1);
	EXPECT_U64(t, range[0].start, U64_MAX);
	EXPECT(t, reserve(t, ioas, U64_MAX, 1), 0);
	EXPECT(t, iova_ranges(t, ioas, range), 0);
	EXPECT(t, map_at(t, ioas, 0, PAGE), -EINVAL);
}

static void ranges_that_do_not_fit_are_emsgsize(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_iova_range range[4] = {{7, 7}, {7, 7}, {7, 7}, {7, 7}};
	struct iommu_ioas_iova_ranges c = {
		.size = sizeof(c), .ioas_id = ioas, .num_iovas = 2, .allowed_iovas = (uintptr_t)range};

	for (uint64_t i = 1; i < 4; i++)
		EXPECT(t, reserve(t, ioas, i * PAGE * 2, PAGE), 0);
	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), -EMSGSIZE);
	EXPECT(t, c.num_iovas, 4);
	EXPECT_U64(t, range[0].last, 2 * PAGE - 1);
	EXPECT_U64(t, range[1].start, 3 * PAGE);
	EXPECT_U64(t, range[1].last, 4 * PAGE - 1);
	EXPECT_U64(t, range[2].start, 7);
}

static void fixed_maps_stay_out_of_reserved_ranges(struct rules *t)
{
	uint32_t ioas = ioas_new(t), source = ioas_new(t);
	int fd = memfd_new(t, 4 * PAGE);

	EXPECT(t, map_at(t, source, AP, 4 * PAGE), 0);
	EXPECT(t, reserve(t, ioas, START, PAGE), 0);
	EXPECT(t, map_at(t, ioas, START, PAGE), -EINVAL);
	EXPECT(t, map_at(t, ioas, START - 1, 2), -EINVAL);
	EXPECT(t, map_at(t, ioas, START + PAGE - 1, 1), -EINVAL);
	EXPECT(t, map_at(t, ioas, START - PAGE, PAGE), 0);
	EXPECT(t, map_at(t, ioas, START + PAGE, PAGE), 0);
	EXPECT(t, copy_at(t, ioas, source, RW, AP, START, PAGE), -EINVAL);
	EXPECT(t, map_file_at(t, ioas, RW, fd, 0, START, PAGE), -EINVAL);
	/* A reserved range comes before an area. */
	EXPECT(t, map_at(t, ioas, START - PAGE, 2 * PAGE), -EINVAL);
	close_plain(t, fd);
}

static void automatic_maps_pass_reserved_ranges_by(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	EXPECT(t, reserve(t, ioas, 2 * PAGE, 5 * PAGE), 0);
	EXPECT(t, map_auto(t, ioas, PAGE, PAGE, &iova), 0);
	EXPECT_U64(t, iova, PAGE);
	EXPECT(t, map_auto(t, ioas, PAGE, PAGE, &iova), 0);
	EXPECT_U64(t, iova, 7 * PAGE);
}

/* The fixture's own numbers: what is left is too small for five pages. */
static void automatic_map_of_a_space_that_is_reserved_is_enospc(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	EXPECT(t, reserve(t, ioas, 6, UINT64_C(0xffffffffffff8001)), 0);
	EXPECT(t, map_auto(t, ioas, 0, 5 * PAGE, &iova), -ENOSPC);
}

static void reservations_meet_areas(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, map_at(t, ioas, START, PAGE), 0);
	EXPECT(t, reserve(t, ioas, START, PAGE), -EADDRINUSE);
	EXPECT(t, reserve(t, ioas, START + PAGE - 1, PAGE), -EADDRINUSE);
	EXPECT(t, reserve(t, ioas, START - PAGE, PAGE + 1), -EADDRINUSE);
	EXPECT(t, reserve(t, ioas, START - PAGE, PAGE), 0);
	EXPECT(t, reserve(t, ioas, START + PAGE, PAGE), 0);
}

static void reservations_meet_the_allowed_list(struct rules *t)
{
	struct iommu_iova_range list[] = {{START, START + PAGE - 1}}, other[] = {{START + size, START + size + 1}};
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	EXPECT(t, allow(t, ioas, list, 1), 0);
	EXPECT(t, reserve(t, ioas, START + PAGE - 1, PAGE), -EADDRINUSE);
	EXPECT(t, reserve(t, ioas, START + size, PAGE), 0);
	/* A list that meets a reserved range: the old one stays. */
	EXPECT(t, allow(t, ioas, other, 1), -EADDRINUSE);
	EXPECT(t, map_auto(t, ioas, 0, PAGE, &iova), 0);
	EXPECT_U64(t, iova, START);
	EXPECT(t, reserve(t, ioas, START + PAGE - 1, PAGE), -EADDRINUSE);
	EXPECT(t, allow(t, ioas, NULL, 0), 0);
	EXPECT(t, unmap(t, ioas, 0, U64_MAX, NULL), 0);
	EXPECT(t, reserve(t, ioas, START, PAGE), 0);
}

static void reservations_coexist(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock m;
	struct iommu_iova_range range[16];

	EXPECT(t, reserve(t, ioas, START, size), 0);
	EXPECT(t, reserve(t, ioas, START, size), 0);
	EXPECT(t, reserve(t, ioas, 0, AP + PAGE), 0);
	m = mock_new(t, ioas, 0);
	EXPECT(t, iova_ranges(t, ioas, range), 2);
	EXPECT_U64(t, range[0].start, AP + PAGE);
	EXPECT_U64(t, range[1].last, AP_LAST);
	/* Those of the page table go with it, the others stay. */
	EXPECT(t, destroy(t, m.stdev), 0);
	EXPECT(t, iova_ranges(t, ioas, range), 2);
	EXPECT_U64(t, range[0].start, AP + PAGE);
	EXPECT_U64(t, range[0].last, START - 1);
	EXPECT_U64(t, range[1].start, START + size);
	EXPECT_U64(t, range[1].last, U64_MAX);
}

static void areas_of_a_page_table_are_in_its_aperture(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	memory_new(t);
	mock_new(t, ioas, 0);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP - PAGE, PAGE), -EINVAL);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP_LAST + 1, PAGE), -EINVAL);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP_LAST + 1 - PAGE, 2 * PAGE), -EINVAL);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP_LAST + 1 - PAGE, PAGE), 0);
	EXPECT(t, map_auto(t, ioas, MEMORY, PAGE, &iova), 0);
	EXPECT_U64(t, iova, AP);
	memory_free();
}

static void allowed_lists_lie_in_the_aperture(struct rules *t)
{
	struct iommu_iova_range in[] = {{START, START + size}}, out[] = {{START, AP_LAST + 1}};
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	memory_new(t);
	mock_new(t, ioas, 0);
	EXPECT(t, allow(t, ioas, out, 1), -EADDRINUSE);
	EXPECT(t, allow(t, ioas, in, 1), 0);
	EXPECT(t, map_auto(t, ioas, MEMORY, PAGE, &iova), 0);
	EXPECT_U64(t, iova, START);
	memory_free();
}

/* A later reservation that meets the list is refused: here that of a page table. */
static void page_table_against_an_allowed_list(struct rules *t)
{
	struct iommu_iova_range low[] = {{0, PAGE}}, in[] = {{START, START + PAGE}};
	uint32_t ioas = ioas_new(t);
	struct mock m;

	EXPECT(t, allow(t, ioas, low, 1), 0);
	EXPECT(t, mock_try(t, ioas, 0, &m), -EADDRINUSE);
	EXPECT(t, allow(t, ioas, in, 1), 0);
	EXPECT(t, mock_try(t, ioas, 0, &m), 0);
}

static void maps_with_a_page_table_are_aligned_to_its_pages(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	memory_new(t);
	mock_new(t, ioas, 0);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, START, HALF + 1), -EINVAL);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, START + 0x400, HALF), -EINVAL);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY + 0x400, START, HALF), -EINVAL);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY + HALF, START, HALF), 0);
	EXPECT(t, map_auto(t, ioas, MEMORY + 0x400, HALF, &iova), -EINVAL);
	EXPECT(t, map_auto(t, ioas, MEMORY + HALF, HALF, &iova), 0);
	EXPECT_U64(t, iova % HALF, 0);
	memory_free();
}

#define RESERVE(rules, name, result, ioas, at, bytes)                                                                  \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, WORLD_DATA(0), .op = IOMMU_TEST_OP_ADD_RESERVED, \
		 .id = (ioas), .add_reserved = {at, bytes})

static const struct rule_case cases[] = {
	RESERVE("H-1a", reservation_of_no_bytes_is_einval, -EINVAL, IOAS, AP, 0),
	RESERVE("H-1a", reservation_of_no_bytes_comes_before_the_ioas, -EINVAL, NO_ID, U64_MAX, 0),
	RESERVE("H-1b", reservation_that_wraps_is_eoverflow, -EOVERFLOW, IOAS, U64_MAX, 2),
	RESERVE("H-1b", reservation_that_wraps_comes_before_the_ioas, -EOVERFLOW, NO_ID, 2, U64_MAX),
	RESERVE("H-1c", reservation_of_an_absent_ioas_is_enoent, -ENOENT, NO_ID, AP, PAGE),
	RESERVE("H-1c", reservation_of_a_page_table_is_enoent, -ENOENT, PLAIN, AP, PAGE),
	RESERVE("H-1d", reservation_of_an_area_is_eaddrinuse, -EADDRINUSE, IOAS, AREA, PAGE),
	RESERVE("H-1d", reservation_of_a_hole_is_taken, 0, IOAS, HOLE_AREA, PAGE),
	CASE("A.3-3c", reserved_ranges_cut_holes),
	CASE("A.3-3c", whole_space_reserved_is_no_range),
	CASE("A.3-9", ranges_that_do_not_fit_are_emsgsize),
	CASE("A.5-9e,B.6-1,A.7-9e,A.8-9b", fixed_maps_stay_out_of_reserved_ranges),
	CASE("A.6-9b,B.6-1", automatic_maps_pass_reserved_ranges_by),
	CASE("A.6-11,B.6-1", automatic_map_of_a_space_that_is_reserved_is_enospc),
	CASE("A.19-2,H-1d", reservations_meet_areas),
	CASE("A.4-13,A.4-14,A.19-2", reservations_meet_the_allowed_list),
	CASE("A.19-1", reservations_coexist),
	CASE("A.5-9e,A.6-9b", areas_of_a_page_table_are_in_its_aperture),
	CASE("A.4-13", allowed_lists_lie_in_the_aperture),
	CASE("A.4-14", page_table_against_an_allowed_list),
	CASE("A.5-8a,A.5-9a,A.5-10b,A.6-6a", maps_with_a_page_table_are_aligned_to_its_pages),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

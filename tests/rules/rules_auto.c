/* SPDX-License-Identifier: BSD-3-Clause */
/* A.6: where a map without a fixed IOVA goes. The largest alignment is 2 MiB, as on a machine with huge pages. */
#include "calls.h"

struct piece {
	uint64_t iova, length;
};

/* One automatic map into an IOAS that has these pieces mapped and this list of allowed ranges (as far as they are not
 * empty). */
struct auto_row {
	int result;
	uint64_t iova;       /* where it goes */
	uint64_t va, length; /* what is mapped */
	bool small_pages;
	struct iommu_iova_range allowed[3];
	struct piece taken[4];
};

static uint32_t ioas_of(struct rules *t, const struct auto_row *r)
{
	uint32_t ioas = ioas_new(t), allowed = 0;

	while (allowed < ARRAY_SIZE(r->allowed) && r->allowed[allowed].last)
		allowed++;
	EXPECT(t, allow(t, ioas, r->allowed, allowed), 0);
	for (size_t i = 0; i < ARRAY_SIZE(r->taken) && r->taken[i].length; i++)
		EXPECT(t, map_va_at(t, ioas, RW, 0, r->taken[i].iova, r->taken[i].length), 0);
	if (r->small_pages)
		EXPECT(t, small_pages(t, ioas), 0);
	return ioas;
}

static void automatic_map_goes_there(struct rules *t, const void *row)
{
	const struct auto_row *r = row;
	uint32_t ioas = ioas_of(t, r);
	uint64_t iova;

	EXPECT(t, map_auto(t, ioas, r->va, r->length, &iova), r->result);
	EXPECT_U64(t, r->result ? 0 : iova, r->iova);
}

/* The same by MAP_FILE: its address is the offset in the file. */
static void automatic_file_map_goes_there(struct rules *t, const void *row)
{
	const struct auto_row *r = row;
	uint32_t ioas = ioas_of(t, r);
	int fd = memfd_new(t, PAGE);
	struct iommu_ioas_map_file c = {
		.size = sizeof(c), .flags = RW, .ioas_id = ioas, .fd = fd, .start = r->va, .length = r->length};

	EXPECT(t, call(t, IOMMU_IOAS_MAP_FILE, &c), r->result);
	EXPECT_U64(t, r->result ? 0 : c.iova, r->iova);
	close_plain(t, fd);
}

static int copy_auto(struct rules *t, uint32_t ioas, uint64_t src_iova, uint64_t length, uint64_t *dst_iova)
{
	struct iommu_ioas_copy c = {.size = sizeof(c),
				    .flags = RW,
				    .dst_ioas_id = ioas,
				    .src_ioas_id = ioas,
				    .length = length,
				    .src_iova = src_iova};
	int rc = call(t, IOMMU_IOAS_COPY, &c);

	*dst_iova = c.dst_iova;
	return rc;
}

static void automatic_copy_takes_the_address_of_its_first_byte(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	EXPECT(t, map_va_at(t, ioas, RW, 0x10000000, 0x4000000, 0x10000), 0);
	EXPECT(t, copy_auto(t, ioas, 0x4004000, 0x4000, &iova), 0); /* address 0x10004000 */
	EXPECT_U64(t, iova, 0x4000);
	EXPECT(t, copy_auto(t, ioas, 0x4001000, 0x4000, &iova), 0); /* address 0x10001000 */
	EXPECT_U64(t, iova, 0x8000);
	EXPECT(t, copy_auto(t, ioas, 0x4001800, 0x400, &iova), 0); /* address 0x10001800 */
	EXPECT_U64(t, iova, 0x1800);
	EXPECT(t, copy_auto(t, ioas, 0x4000000, 0x10000, &iova), 0);
	EXPECT_U64(t, iova, 0x10000);
}

static void automatic_copy_of_several_pieces_takes_the_address_of_the_first(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	EXPECT(t, map_va_at(t, ioas, RW, 0x10000000, 0x4000000, PAGE), 0);
	EXPECT(t, map_va_at(t, ioas, RW, 0x3000, 0x4001000, 3 * PAGE), 0);
	EXPECT(t, copy_auto(t, ioas, 0x4000000, 4 * PAGE, &iova), 0);
	EXPECT_U64(t, iova, 0x4000);
	/* Each piece is a map of its own there, too. */
	EXPECT(t, unmap(t, ioas, 0x5000, 3 * PAGE, NULL), 0);
	EXPECT(t, unmap(t, ioas, 0x4000, PAGE, NULL), 0);
}

static void automatic_copy_of_a_file_takes_the_offset(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	int fd = memfd_new(t, PAGE);
	uint64_t iova;

	EXPECT(t, map_file_at(t, ioas, RW, fd, 0x2000, 0x4000000, 0x4000), 0);
	EXPECT(t, copy_auto(t, ioas, 0x4000000, 0x4000, &iova), 0); /* offset 0x2000 */
	EXPECT_U64(t, iova, 0x2000);
	EXPECT(t, copy_auto(t, ioas, 0x4001000, PAGE, &iova), 0); /* offset 0x3000 */
	EXPECT_U64(t, iova, 0x1000);
	close_plain(t, fd);
}

static void automatic_maps_fill_from_below(struct rules *t)
{
	static const struct {
		uint64_t length, iova;
	} maps[] = {
		{3 * PAGE, 0x4000}, {PAGE, 0x1000}, {PAGE, 0x2000}, {2 * PAGE, 0x8000},
		{PAGE, 0x3000},     {PAGE, 0x7000}, {PAGE, 0xa000}, {8 * PAGE, 0x10000},
	};
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
			EXPECT(t, map_auto(t, ioas, 0, maps[i].length, &iova), 0);
			EXPECT_U64(t, iova, maps[i].iova);
		}
		EXPECT(t, unmap(t, ioas, 0, U64_MAX, NULL), 0);
	}
}

static void place_that_became_free_is_used_again(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	for (uint64_t i = 1; i <= 8; i++)
		EXPECT(t, map_auto(t, ioas, 0, PAGE, &iova), 0);
	EXPECT(t, unmap(t, ioas, 3 * PAGE, PAGE, NULL), 0);
	EXPECT(t, unmap(t, ioas, 6 * PAGE, 2 * PAGE, NULL), 0);
	EXPECT(t, map_auto(t, ioas, 0, 2 * PAGE, &iova), 0);
	EXPECT_U64(t, iova, 6 * PAGE);
	EXPECT(t, map_auto(t, ioas, 0, PAGE, &iova), 0);
	EXPECT_U64(t, iova, 3 * PAGE);
}

#define AUTO_ROW(rules, name, function, r, i, v, l, ...)                                                               \
	ROW(rules, name, function, struct auto_row, .result = (r), .iova = (i), .va = (v), .length = (l), ##__VA_ARGS__)
#define AUTO(rules, name, ...)      AUTO_ROW(rules, name, automatic_map_goes_there, __VA_ARGS__)
#define AUTO_FILE(rules, name, ...) AUTO_ROW(rules, name, automatic_file_map_goes_there, __VA_ARGS__)
#define MIB                         (UINT64_C(1) << 20)

static const struct rule_case cases[] = {
	AUTO("A.6-1a", half_of_the_space_is_eoverflow, -EOVERFLOW, 0, 0, U64_MAX / 2),
	AUTO("A.6-1a", more_than_half_of_the_space_is_eoverflow, -EOVERFLOW, 0, 0, U64_MAX / 2 + 1),
	AUTO("A.6-1b", a_byte_less_than_half_of_the_space_is_placed, 0, HUGE, 0, U64_MAX / 2 - 1),
	AUTO("A.6-1c", overflow_comes_before_alignment, -EOVERFLOW, 0, 0x800, UINT64_C(1) << 63, .small_pages = true),

	AUTO("A.6-2", one_byte_goes_to_the_second_page, 0, 0x1000, 0, 1),
	AUTO("A.6-2", one_page_is_aligned_to_it, 0, 0x1000, 0, PAGE),
	AUTO("A.6-2", alignment_is_the_length_rounded_up_to_a_power_of_2, 0, 0x4000, 0, 3 * PAGE),
	AUTO("A.6-2", a_byte_over_a_page_is_aligned_to_two, 0, 0x2000, 0, PAGE + 1),
	AUTO("A.6-2", a_power_of_2_is_aligned_to_itself, 0, 0x10000, 0, 0x10000),
	AUTO("A.6-2", half_a_page_may_begin_in_the_middle, 0, 0x1800, 0, 0x800, .taken = {{0x1000, 1}}),

	AUTO("A.6-3a", alignment_is_at_most_the_lowest_bit_of_the_address, 0, 0x1000, 0x5000, 0x4000),
	AUTO("A.6-3a", alignment_of_an_address_with_a_higher_bit, 0, 0x4000, 0x4000, 0x10000),
	AUTO("A.6-3a", address_that_is_more_aligned_changes_nothing, 0, 0x4000, UINT64_C(1) << 62, 4 * PAGE),
	AUTO("A.6-3b", address_0_has_every_alignment, 0, MIB, 0, MIB),

	AUTO("A.6-4", alignment_is_2_mib_at_most, 0, 2 * MIB, 0, 16 * MIB),
	AUTO("A.6-4", alignment_above_2_mib_is_cut_down, 0, 2 * MIB, 0, 2 * MIB + 1),
	AUTO("A.6-4", next_place_after_a_large_map_is_its_end, 0, 18 * MIB, 0, 16 * MIB,
	     .taken = {{2 * MIB, 16 * MIB}}),
	AUTO("A.6-4", alignment_of_1_gib_of_an_aligned_address_is_2_mib, 0, 2 * MIB, UINT64_C(1) << 40,
	     UINT64_C(1) << 30),

	AUTO("A.6-5a", place_in_the_page_is_that_of_the_address, 0, 0x1345, 0x12345, 0x10),
	AUTO("A.6-5a", half_a_page_off_keeps_the_half, 0, 0x1800, 0x10800, PAGE),
	AUTO("A.6-5a", a_byte_off_keeps_the_byte, 0, 0x1001, 0x10001, PAGE),
	/* The search begins at the first candidate of the range, 0x1a00; what a later gap begins with is combined with
	   the offset. */
	AUTO("A.6-5b", search_begins_at_the_place_in_the_first_page, 0, 0x1a00, 0x10a00, 0x200,
	     .taken = {{0x1000, 0x400}}),
	AUTO("A.6-5c", place_in_the_page_is_combined_with_that_of_the_gap, 0, 0x2e00, 0x10a00, 0x200,
	     .taken = {{0x1000, 0x1400}}),
	AUTO("A.6-5a", next_page_is_used_where_the_place_is_taken, 0, 0x2345, 0x12345, 0x10,
	     .taken = {{0x1345, PAGE - 0x345}}),

	AUTO("A.6-6a", alignment_below_that_of_the_ioas_is_einval, -EINVAL, 0, 0x800, PAGE, .small_pages = true),
	AUTO("A.6-6a", alignment_of_the_ioas_is_enough, 0, 0x1000, 0x1000, PAGE, .small_pages = true),
	AUTO("A.6-6b", alignment_comes_before_a_full_space, -EINVAL, 0, 0x800, PAGE, .small_pages = true,
	     .allowed = {{0x20000, 0x20fff}}, .taken = {{0x20000, PAGE}}),

	AUTO("A.6-7a", first_page_is_never_chosen, -ENOSPC, 0, 0, 1, .allowed = {{0, 0xfff}}),
	AUTO("A.6-7a", second_page_is_chosen_where_both_are_allowed, 0, 0x1000, 0, 1, .allowed = {{0, 0x1fff}}),
	AUTO("A.6-7b", last_page_is_never_chosen, -ENOSPC, 0, 0, 1, .allowed = {{U64_MAX - PAGE + 1, U64_MAX}}),
	AUTO("A.6-7b", last_page_but_one_is_chosen, 0, U64_MAX - 2 * PAGE + 1, 0, PAGE,
	     .allowed = {{U64_MAX - 2 * PAGE + 1, U64_MAX}}),
	AUTO("A.6-7b", two_pages_do_not_fit_before_the_last, -ENOSPC, 0, PAGE, 2 * PAGE,
	     .allowed = {{U64_MAX - 2 * PAGE + 1, U64_MAX}}),

	AUTO("A.6-8a", lowest_allowed_range_is_taken_first, 0, 0x20000, 0, PAGE,
	     .allowed = {{0x40000, 0x40fff}, {0x20000, 0x20fff}}),
	AUTO("A.6-8a", allowed_range_that_is_too_short_is_passed_over, 0, 0x40000, 0, 2 * PAGE,
	     .allowed = {{0x20000, 0x20fff}, {0x40000, 0x4ffff}}),
	AUTO("A.6-8a", allowed_range_that_is_full_is_passed_over, 0, 0x40000, 0, PAGE,
	     .allowed = {{0x20000, 0x20fff}, {0x40000, 0x4ffff}}, .taken = {{0x20000, PAGE}}),
	AUTO("A.6-8b", alignment_counts_inside_an_allowed_range, 0, 0x24000, 0, 0x4000,
	     .allowed = {{0x21000, 0x2ffff}}),
	AUTO("A.6-8b", allowed_range_without_an_aligned_place_is_passed_over, 0, 0x40000, 0, 0x4000,
	     .allowed = {{0x21000, 0x26fff}, {0x40000, 0x4ffff}}),
	AUTO("A.6-8b", allowed_range_may_begin_anywhere, 0, 0x21000, 0, PAGE, .allowed = {{0x20001, 0x2ffff}}),
	AUTO("A.6-8c", allowed_range_is_filled_to_its_last_byte, 0, 0x20000, 0, 0x4000,
	     .allowed = {{0x20000, 0x23fff}}),
	AUTO("A.6-8c", allowed_range_that_lacks_a_byte_is_too_short, -ENOSPC, 0, 0, 0x4000,
	     .allowed = {{0x20000, 0x23ffe}}),
	AUTO("A.6-8d", neighbouring_allowed_ranges_are_one, 0, 0x20000, 0, 2 * PAGE,
	     .allowed = {{0x21000, 0x21fff}, {0x20000, 0x20fff}}),
	AUTO("A.6-8e", map_from_outside_takes_room_of_an_allowed_range, 0, 0x21000, 0, PAGE,
	     .allowed = {{0x20000, 0x2ffff}}, .taken = {{0x1f000, 2 * PAGE}}),

	AUTO("A.6-9a", gap_of_the_right_size_is_used, 0, 0x2000, 0, PAGE, .taken = {{0x1000, PAGE}, {0x3000, PAGE}}),
	AUTO("A.6-9a", gap_that_is_too_small_is_passed_over, 0, 0x4000, 0, 2 * PAGE,
	     .taken = {{0x1000, PAGE}, {0x3000, PAGE}}),
	AUTO("A.6-9a", gap_that_is_misaligned_is_passed_over, 0, 0x6000, 0, 2 * PAGE,
	     .taken = {{0x1000, 0x2000}, {0x5000, PAGE}}),
	AUTO("A.6-9a", gap_between_bytes_is_used, 0, 0x2000, 0, PAGE, .taken = {{0x1fff, 1}, {0x3000, 1}, {0x1000, 1}}),

	AUTO("A.6-10", gap_of_one_byte_is_never_used, -ENOSPC, 0, 0, 1, .allowed = {{0x20000, 0x20001}},
	     .taken = {{0x20001, 1}}),
	AUTO("A.6-10", gap_of_two_bytes_is_used_once, 0, 0x20001, 0, 1, .allowed = {{0x20000, 0x20002}},
	     .taken = {{0x20000, 1}}),
	AUTO("A.6-10", second_page_alone_by_a_byte_is_not_used, -ENOSPC, 0, 0, 1, .allowed = {{0, 0x1000}}),
	AUTO("A.6-10", last_byte_of_a_gap_is_not_the_first_of_a_map, -ENOSPC, 0, 0x12345, 1,
	     .allowed = {{0x20000, 0x20345}}),
	AUTO("A.6-10", last_byte_but_one_of_a_gap_is, 0, 0x20345, 0x12345, 1, .allowed = {{0x20000, 0x20346}}),

	AUTO("A.6-11", full_space_is_enospc, -ENOSPC, 0, 0, PAGE, .taken = {{0, U64_MAX - PAGE}}),
	AUTO("A.6-11", full_list_is_enospc, -ENOSPC, 0, 0, 1, .allowed = {{0x20000, 0x20fff}},
	     .taken = {{0x20000, PAGE}}),
	CASE("A.6-12", automatic_maps_fill_from_below),
	CASE("A.6-12", place_that_became_free_is_used_again),
	AUTO_FILE("A.6-13a,A.8-14", offset_0_of_a_file_has_every_alignment, 0, 0x4000, 0, 0x4000),
	AUTO_FILE("A.6-13a,A.8-14", offset_of_a_file_limits_the_alignment, 0, 0x1000, 0x1000, 0x4000),
	AUTO_FILE("A.6-13a,A.8-14", offset_in_the_page_of_a_file_is_kept, 0, 0x1800, 0x800, PAGE),
	CASE("A.6-13b,A.7-13", automatic_copy_takes_the_address_of_its_first_byte),
	CASE("A.6-13b", automatic_copy_of_several_pieces_takes_the_address_of_the_first),
	CASE("A.6-13b", automatic_copy_of_a_file_takes_the_offset),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

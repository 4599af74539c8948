/* SPDX-License-Identifier: BSD-3-Clause */
/* UNMAP and COPY. */
#include "calls.h"

/* A.9: UNMAP of a range of an IOAS that has [0x10000, 0x10fff], [0x11000, 0x11fff] and [0x14000, 0x15fff] mapped. */
struct unmap_row {
	int result;
	uint64_t iova, length;
	uint64_t removed; /* as told; where the call fails, that the member is left alone */
	uint64_t left;    /* bytes that are mapped afterwards */
	bool no_ioas;
};

static uint32_t three_maps(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, map_at(t, ioas, 0x10000, PAGE), 0);
	EXPECT(t, map_at(t, ioas, 0x11000, PAGE), 0);
	EXPECT(t, map_at(t, ioas, 0x14000, 2 * PAGE), 0);
	return ioas;
}

static void unmap_of_three_maps(struct rules *t, const void *row)
{
	const struct unmap_row *r = row;
	uint32_t ioas = three_maps(t);
	uint64_t removed;

	EXPECT(t, unmap(t, r->no_ioas ? NO_ID : ioas, r->iova, r->length, &removed), r->result);
	EXPECT_U64(t, removed, r->result ? r->length : r->removed);
	expect_bytes(t, ioas, r->left);
}

/* The same of an empty IOAS. */
static void unmap_of_nothing(struct rules *t, const void *row)
{
	const struct unmap_row *r = row;
	uint64_t removed;

	EXPECT(t, unmap(t, ioas_new(t), r->iova, r->length, &removed), r->result);
	EXPECT_U64(t, removed, r->result ? r->length : r->removed);
}

static void unmap_removes_the_maps_before_the_one_that_it_bisects(struct rules *t)
{
	uint32_t ioas = three_maps(t);
	uint64_t length;

	EXPECT(t, unmap(t, ioas, 0x10000, 0x5000, &length), -ENOENT);
	EXPECT_U64(t, length, 0x5000);
	EXPECT(t, is_free(t, ioas, 0x10000, 2 * PAGE), true);
	EXPECT(t, is_free(t, ioas, 0x14000, 1), false);
	expect_bytes(t, ioas, 2 * PAGE);
}

static void unmap_stops_at_the_lowest_map_that_it_bisects(struct rules *t)
{
	uint32_t ioas = three_maps(t);

	EXPECT(t, unmap(t, ioas, 0x10800, 0x10000, NULL), -ENOENT);
	expect_bytes(t, ioas, 4 * PAGE);
}

static void range_that_was_unmapped_can_be_mapped_again(struct rules *t)
{
	uint32_t ioas = three_maps(t);

	EXPECT(t, unmap(t, ioas, 0x10000, PAGE, NULL), 0);
	EXPECT(t, map_at(t, ioas, 0x10000, PAGE), 0);
	EXPECT(t, unmap(t, ioas, 0x10000, 2 * PAGE, NULL), 0);
	EXPECT(t, unmap(t, ioas, 0x10000, 2 * PAGE, NULL), -ENOENT);
	expect_bytes(t, ioas, 2 * PAGE);
}

static void unmap_of_four_areas_with_slack_says_their_length(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t removed;

	for (uint64_t i = 0; i < 4; i++)
		EXPECT(t, map_at(t, ioas, 0x100000 + i * 16 * PAGE, 8 * PAGE), 0);
	EXPECT(t, unmap(t, ioas, 0x100000 - PAGE, 70 * PAGE, &removed), 0);
	EXPECT_U64(t, removed, 32 * PAGE);
}

static void unmap_of_a_map_of_the_last_byte(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t removed;

	EXPECT(t, map_at(t, ioas, U64_MAX - PAGE + 1, PAGE), 0);
	EXPECT(t, unmap(t, ioas, U64_MAX - PAGE + 1, PAGE, &removed), 0);
	EXPECT_U64(t, removed, PAGE);
	EXPECT(t, map_at(t, ioas, U64_MAX - 1, 2), 0);
	EXPECT(t, unmap(t, ioas, 2, U64_MAX - 1, &removed), 0);
	EXPECT_U64(t, removed, 2);
}

/* A.7: COPY. src has [0x10000, 0x10fff] (RW), [0x11000, 0x12fff] (read only) and [0x20000, 0x20fff] (write only); dst
 * [0x50000, 0x50fff]. */
struct copy_row {
	int result;
	uint32_t flags;
	uint64_t length, src_iova, dst_iova;
	bool no_src, no_dst, small_pages;
};

static uint32_t copy_source(struct rules *t)
{
	uint32_t src = ioas_new(t);

	EXPECT(t, map_va_at(t, src, RW, VA, 0x10000, PAGE), 0);
	EXPECT(t, map_va_at(t, src, READ, VA + 0x100000, 0x11000, 2 * PAGE), 0);
	EXPECT(t, map_va_at(t, src, WRITE, VA + 0x200000, 0x20000, PAGE), 0);
	return src;
}

static void copy_from_three_maps(struct rules *t, const void *row)
{
	const struct copy_row *r = row;
	uint32_t src = copy_source(t), dst = ioas_new(t);
	struct iommu_ioas_copy c = {.size = sizeof(c),
				    .flags = r->flags,
				    .dst_ioas_id = r->no_dst ? NO_ID : dst,
				    .src_ioas_id = r->no_src ? NO_ID : src,
				    .length = r->length,
				    .dst_iova = r->dst_iova,
				    .src_iova = r->src_iova};

	EXPECT(t, map_at(t, dst, 0x50000, PAGE), 0);
	if (r->small_pages)
		EXPECT(t, small_pages(t, dst), 0);
	EXPECT(t, call(t, IOMMU_IOAS_COPY, &c), r->result);
	expect_bytes(t, dst, PAGE + (r->result ? 0 : r->length));
	expect_bytes(t, src, 4 * PAGE);
}

static void every_unknown_copy_flag_is_eopnotsupp(struct rules *t)
{
	uint32_t ioas = copy_source(t);

	for (int bit = 3; bit < 32; bit++)
		EXPECT(t, copy_at(t, ioas, ioas, RW | 1U << bit, 0x10000, 0x80000, PAGE), -EOPNOTSUPP);
}

static void each_piece_is_a_map_of_its_own(struct rules *t)
{
	uint32_t src = copy_source(t), dst = ioas_new(t);

	EXPECT(t, copy_at(t, dst, src, READ, 0x10800, 0x30000, 0x1800), 0);
	EXPECT(t, unmap(t, dst, 0x30800, 0x800, NULL), -ENOENT);
	EXPECT(t, unmap(t, dst, 0x30800, PAGE, NULL), 0);
	EXPECT(t, unmap(t, dst, 0x30000, 0x800, NULL), 0);
	expect_bytes(t, dst, 0);
}

static void copy_within_an_ioas(struct rules *t)
{
	uint32_t ioas = copy_source(t);

	EXPECT(t, copy_at(t, ioas, ioas, RW, 0x10000, 0x90000, PAGE), 0);
	EXPECT(t, copy_at(t, ioas, ioas, RW, 0x10000, 0x10800, PAGE), -EEXIST);
	EXPECT(t, copy_at(t, ioas, ioas, RW, 0x10000, 0x10000, PAGE), -EEXIST);
	expect_bytes(t, ioas, 5 * PAGE);
}

static void rights_of_a_copy_are_limited_by_the_pages_not_by_the_source(struct rules *t)
{
	uint32_t src = copy_source(t), dst = ioas_new(t);

	EXPECT(t, copy_at(t, dst, src, READ, 0x20000, 0x1000, PAGE), 0); /* of a write-only map */
	EXPECT(t, copy_at(t, dst, src, READ, 0x10000, 0x3000, PAGE), 0); /* fewer rights */
	EXPECT(t, copy_at(t, dst, dst, WRITE, 0x3000, 0x5000, PAGE), 0); /* and more again */
	EXPECT(t, copy_at(t, dst, src, WRITE, 0x11000, 0x7000, PAGE), -EPERM);
	EXPECT(t, copy_at(t, dst, src, READ, 0x11000, 0x7000, PAGE), 0);
	EXPECT(t, copy_at(t, dst, dst, RW, 0x7000, 0x9000, PAGE), -EPERM); /* of a copy */
}

static void copy_that_fails_in_its_second_piece_leaves_nothing(struct rules *t)
{
	uint32_t src = copy_source(t), dst = ioas_new(t);

	EXPECT(t, copy_at(t, dst, src, RW, 0x10000, 0x30000, 2 * PAGE), -EPERM);
	EXPECT(t, is_free(t, dst, 0, 0x100000), true);
	EXPECT(t, copy_at(t, dst, src, READ, 0x10000, 0x30000, 2 * PAGE), 0);
}

static void copy_across_a_hole_is_enoent(struct rules *t)
{
	uint32_t ioas = ioas_new(t), dst = ioas_new(t);

	EXPECT(t, map_at(t, ioas, 0x10000, 0x800), 0);
	EXPECT(t, map_at(t, ioas, 0x10801, 0x7ff), 0);
	EXPECT(t, copy_at(t, dst, ioas, RW, 0x10000, 0, PAGE), -ENOENT);
	EXPECT(t, map_at(t, ioas, 0x10800, 1), 0);
	EXPECT(t, copy_at(t, dst, ioas, RW, 0x10000, 0, PAGE), 0);
	expect_bytes(t, dst, PAGE);
}

static void copy_of_many_pieces(struct rules *t)
{
	uint32_t ioas = ioas_new(t), dst = ioas_new(t);

	for (uint64_t i = 0; i < 300; i++)
		EXPECT(t, map_va_at(t, ioas, RW, VA + i * 7 * PAGE, i * PAGE, PAGE), 0);
	EXPECT(t, copy_at(t, dst, ioas, RW, 0x800, 0x40800, 299 * PAGE), 0);
	EXPECT(t, unmap(t, dst, 0x41000, PAGE, NULL), 0);
	expect_bytes(t, dst, 298 * PAGE);
}

static void reply_of_a_copy_is_its_iova(struct rules *t)
{
	uint32_t src = copy_source(t);
	struct iommu_ioas_copy c = {.size = sizeof(c),
				    .flags = RW,
				    .dst_ioas_id = src,
				    .src_ioas_id = src,
				    .length = PAGE,
				    .dst_iova = 0x999,
				    .src_iova = 0x10000};

	EXPECT(t, call(t, IOMMU_IOAS_COPY, &c), 0);
	EXPECT_U64(t, c.dst_iova, 0x1000);
	EXPECT_U64(t, c.src_iova, 0x10000);
	EXPECT_U64(t, c.length, PAGE);
}

static void copy_with_a_misaligned_offset_is_einval(struct rules *t)
{
	uint32_t src = ioas_new(t), dst = ioas_new(t);

	EXPECT(t, map_va_at(t, src, RW, VA, 0x10000, 4 * PAGE), 0);
	EXPECT(t, small_pages(t, dst), 0);
	EXPECT(t, copy_at(t, dst, src, RW, 0x10800, 0x20000, PAGE), -EINVAL);
	EXPECT(t, is_free(t, dst, 0x20000, PAGE), true);
	EXPECT(t, copy_at(t, dst, src, RW, 0x11000, 0x20000, PAGE), 0);
	/* The place counts before the offset and the rights. */
	EXPECT(t, copy_at(t, dst, src, RW, 0x10800, 0x20000, PAGE), -EEXIST);
}

#define UNMAP(rules, name, ...)         ROW(rules, name, unmap_of_three_maps, struct unmap_row, __VA_ARGS__)
#define UNMAP_NOTHING(rules, name, ...) ROW(rules, name, unmap_of_nothing, struct unmap_row, __VA_ARGS__)
#define COPY(rules, name, ...)          ROW(rules, name, copy_from_three_maps, struct copy_row, __VA_ARGS__)
#define ALL                             (4 * PAGE)

static const struct rule_case cases[] = {
	UNMAP("A.9-1", unmap_of_an_absent_ioas_is_enoent, -ENOENT, .iova = 0x10000, .length = PAGE, .left = ALL,
	      .no_ioas = true),
	UNMAP("A.9-1b", unmap_of_an_absent_ioas_comes_before_overflow, -ENOENT, .iova = U64_MAX, .length = U64_MAX,
	      .left = ALL, .no_ioas = true),
	UNMAP("A.9-1b", unmap_of_everything_of_an_absent_ioas_is_enoent, -ENOENT, .iova = 0, .length = U64_MAX,
	      .left = ALL, .no_ioas = true),
	UNMAP("A.9-2a", unmap_of_everything, 0, .iova = 0, .length = U64_MAX, .removed = ALL, .left = 0),
	UNMAP_NOTHING("A.9-2b", unmap_of_everything_where_there_is_nothing, 0, .iova = 0, .length = U64_MAX,
		      .removed = 0),
	UNMAP("A.9-2c", unmap_of_all_but_a_byte_is_an_ordinary_one, 0, .iova = 0, .length = U64_MAX - 1, .removed = ALL,
	      .left = 0),
	UNMAP_NOTHING("A.9-2c", unmap_of_all_but_a_byte_of_nothing_is_enoent, -ENOENT, .iova = 0,
		      .length = U64_MAX - 1),
	UNMAP("A.9-3a", unmap_at_the_last_byte_is_eoverflow, -EOVERFLOW, .iova = U64_MAX, .length = 1, .left = ALL),
	UNMAP("A.9-3a", unmap_at_the_last_byte_of_length_0_is_eoverflow, -EOVERFLOW, .iova = U64_MAX, .length = 0,
	      .left = ALL),
	UNMAP("A.9-3b", unmap_of_the_largest_length_elsewhere_is_eoverflow, -EOVERFLOW, .iova = 1, .length = U64_MAX,
	      .left = ALL),
	UNMAP("A.9-4", unmap_of_length_0_is_einval, -EINVAL, .iova = 0x10000, .length = 0, .left = ALL),
	UNMAP("A.9-4", unmap_of_length_0_at_0_is_einval, -EINVAL, .iova = 0, .length = 0, .left = ALL),
	UNMAP("A.9-5", unmap_that_wraps_is_eoverflow, -EOVERFLOW, .iova = U64_MAX - 1, .length = 3, .left = ALL),
	UNMAP("A.9-5", unmap_that_wraps_over_all_is_eoverflow, -EOVERFLOW, .iova = 0x10000, .length = U64_MAX - 1,
	      .left = ALL),
	UNMAP("A.9-5b", unmap_may_end_at_the_last_byte, -ENOENT, .iova = U64_MAX - 1, .length = 2, .left = ALL),
	UNMAP("A.9-6", unmap_where_nothing_is_mapped_is_enoent, -ENOENT, .iova = 0x12000, .length = 2 * PAGE,
	      .left = ALL),
	UNMAP_NOTHING("A.9-6", unmap_of_an_empty_ioas_is_enoent, -ENOENT, .iova = 0x12000, .length = PAGE),
	UNMAP("A.9-7a", unmap_of_the_first_bytes_of_a_map_is_enoent, -ENOENT, .iova = 0x10000, .length = 0x800,
	      .left = ALL),
	UNMAP("A.9-7a", unmap_of_the_last_bytes_of_a_map_is_enoent, -ENOENT, .iova = 0x10800, .length = 0x800,
	      .left = ALL),
	UNMAP("A.9-7a", unmap_of_the_middle_of_a_map_is_enoent, -ENOENT, .iova = 0x10400, .length = 0x800, .left = ALL),
	UNMAP("A.9-7a", unmap_that_lacks_a_byte_is_enoent, -ENOENT, .iova = 0x10000, .length = PAGE - 1, .left = ALL),
	UNMAP("A.9-7a", unmap_that_begins_a_byte_late_is_enoent, -ENOENT, .iova = 0x10001, .length = PAGE - 1,
	      .left = ALL),
	UNMAP("A.9-7a", unmap_that_ends_in_a_map_is_enoent, -ENOENT, .iova = 0x0, .length = 0x10001, .left = ALL),
	UNMAP("A.9-8a", unmap_of_exactly_one_map, 0, .iova = 0x11000, .length = PAGE, .removed = PAGE,
	      .left = ALL - PAGE),
	UNMAP("A.9-8b", unmap_of_neighbours, 0, .iova = 0x10000, .length = 2 * PAGE, .removed = 2 * PAGE,
	      .left = 2 * PAGE),
	UNMAP("A.9-8c", unmap_across_a_gap, 0, .iova = 0x10000, .length = 6 * PAGE, .removed = ALL, .left = 0),
	UNMAP("A.9-8c", unmap_with_slack_on_both_sides, 0, .iova = 0x13fff, .length = 2 * PAGE + 2, .removed = 2 * PAGE,
	      .left = 2 * PAGE),
	CASE("A.9-8c", unmap_of_four_areas_with_slack_says_their_length),
	CASE("A.9-9,A.9-10", unmap_removes_the_maps_before_the_one_that_it_bisects),
	CASE("A.9-9", unmap_stops_at_the_lowest_map_that_it_bisects),
	CASE("A.9-11", range_that_was_unmapped_can_be_mapped_again),
	CASE("A.9-5b", unmap_of_a_map_of_the_last_byte),

	CASE("A.7-1a", every_unknown_copy_flag_is_eopnotsupp),
	COPY("A.7-1b", unknown_copy_flag_comes_before_overflow, -EOPNOTSUPP, 8 | RW, .length = U64_MAX),
	COPY("A.7-2a", copy_of_the_largest_length_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = U64_MAX,
	     .src_iova = 0x10000),
	COPY("A.7-2b", copy_to_the_last_byte_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 1, .src_iova = 0x10000,
	     .dst_iova = U64_MAX),
	COPY("A.7-2b", copy_to_the_last_byte_is_eoverflow_without_fixed, -EOVERFLOW, RW, .length = 1,
	     .src_iova = 0x10000, .dst_iova = U64_MAX),
	COPY("A.7-2c", copy_from_the_last_byte_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 1, .src_iova = U64_MAX,
	     .dst_iova = 0x1000),
	COPY("A.7-2d", copy_overflow_comes_before_missing_rights, -EOVERFLOW, FIXED, .length = U64_MAX),
	COPY("A.7-2d", copy_overflow_comes_before_the_id, -EOVERFLOW, FIXED | RW, .length = U64_MAX, .no_src = true),
	COPY("A.7-3a", copy_without_rights_is_einval, -EINVAL, FIXED, .length = PAGE, .src_iova = 0x10000),
	COPY("A.7-3b", copy_missing_rights_come_before_the_id, -EINVAL, FIXED, .length = PAGE, .no_src = true),
	COPY("A.7-4", copy_from_an_absent_ioas_is_enoent, -ENOENT, FIXED | RW, .length = PAGE, .src_iova = 0x10000,
	     .no_src = true),
	COPY("A.7-4b", copy_from_an_absent_ioas_comes_before_length_0, -ENOENT, FIXED | RW, .length = 0,
	     .src_iova = 0x10000, .no_src = true),
	COPY("A.7-5a", copy_of_length_0_is_einval, -EINVAL, FIXED | RW, .length = 0, .src_iova = 0x10000),
	COPY("A.7-5b", copy_of_length_0_comes_before_the_destination, -EINVAL, FIXED | RW, .length = 0,
	     .src_iova = 0x10000, .no_dst = true),
	COPY("A.7-6a", copy_whose_source_wraps_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 3,
	     .src_iova = U64_MAX - 1),
	COPY("A.7-6b", copy_whose_source_wraps_comes_before_the_destination, -EOVERFLOW, FIXED | RW, .length = 3,
	     .src_iova = U64_MAX - 1, .no_dst = true),
	COPY("A.7-7a", copy_of_what_is_not_mapped_is_enoent, -ENOENT, FIXED | RW, .length = PAGE, .src_iova = 0x80000),
	COPY("A.7-7a", copy_that_begins_before_a_map_is_enoent, -ENOENT, FIXED | RW, .length = PAGE,
	     .src_iova = 0xffff),
	COPY("A.7-7a", copy_that_ends_after_a_map_is_enoent, -ENOENT, FIXED | READ, .length = PAGE + 1,
	     .src_iova = 0x12000),
	COPY("A.7-7b", copy_to_an_absent_ioas_is_enoent, -ENOENT, FIXED | RW, .length = PAGE, .src_iova = 0x10000,
	     .no_dst = true),
	COPY("A.7-8a", copy_of_a_misaligned_length_is_einval, -EINVAL, FIXED | RW, .length = 0x800, .src_iova = 0x10000,
	     .dst_iova = 0x60000, .small_pages = true),
	COPY("A.7-8a", copy_misaligned_length_comes_before_the_overlap, -EINVAL, FIXED | RW, .length = 0x800,
	     .src_iova = 0x10000, .dst_iova = 0x50000, .small_pages = true),
	COPY("A.7-9a", copy_to_a_misaligned_iova_is_einval, -EINVAL, FIXED | RW, .length = PAGE, .src_iova = 0x10000,
	     .dst_iova = 0x60800, .small_pages = true),
	COPY("A.7-9b", copy_to_what_wraps_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = PAGE, .src_iova = 0x10000,
	     .dst_iova = U64_MAX - 1),
	COPY("A.7-9c", copy_over_a_map_is_eexist, -EEXIST, FIXED | RW, .length = PAGE, .src_iova = 0x10000,
	     .dst_iova = 0x4f001),
	COPY("A.7-9d", copy_over_a_map_comes_before_missing_rights_of_the_pages, -EEXIST, FIXED | WRITE, .length = PAGE,
	     .src_iova = 0x11000, .dst_iova = 0x50000),
	COPY("A.7-10", copy_with_more_rights_than_the_pages_is_eperm, -EPERM, FIXED | RW, .length = PAGE,
	     .src_iova = 0x11000, .dst_iova = 0x60000),
	COPY("A.7-11a", copy_of_a_whole_map, 0, FIXED | RW, .length = PAGE, .src_iova = 0x10000, .dst_iova = 0x60000),
	COPY("A.7-11a", copy_of_the_middle_of_a_map, 0, FIXED | RW, .length = 0x10, .src_iova = 0x10800,
	     .dst_iova = 0x60001),
	COPY("A.7-11b", copy_across_maps, 0, FIXED | READ, .length = PAGE, .src_iova = 0x10800, .dst_iova = 0x60000),
	COPY("A.7-11b", copy_of_two_maps, 0, FIXED | READ, .length = 3 * PAGE, .src_iova = 0x10000, .dst_iova = 0),
	CASE("A.7-11c", each_piece_is_a_map_of_its_own),
	CASE("A.7-7c", copy_across_a_hole_is_enoent),
	CASE("A.7-11b", copy_of_many_pieces),
	CASE("A.7-12", copy_within_an_ioas),
	CASE("A.7-10b,A.5-10a", rights_of_a_copy_are_limited_by_the_pages_not_by_the_source),
	CASE("A.7-10c", copy_that_fails_in_its_second_piece_leaves_nothing),
	CASE("A.7-13", reply_of_a_copy_is_its_iova),
	CASE("A.7-8b", copy_with_a_misaligned_offset_is_einval),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

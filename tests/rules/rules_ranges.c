/* SPDX-License-Identifier: BSD-3-Clause */
/* IOVA_RANGES and ALLOW_IOVAS. */
#include "calls.h"

#include <sys/mman.h>

/* A.3: IOVA_RANGES */

static struct iommu_ioas_iova_ranges ranges_of(uint32_t ioas, uint32_t count, void *array)
{
	return (struct iommu_ioas_iova_ranges){.size = sizeof(struct iommu_ioas_iova_ranges),
					       .ioas_id = ioas,
					       .num_iovas = count,
					       .allowed_iovas = (uintptr_t)array};
}

static void reserved_member_is_looked_at_before_the_id(struct rules *t)
{
	for (int bit = 0; bit < 32; bit++) {
		struct iommu_ioas_iova_ranges c = ranges_of(NO_ID, 0, NULL);
		struct iommu_ioas_allow_iovas a = {.size = sizeof(a), .ioas_id = NO_ID, .__reserved = 1U << bit};

		c.__reserved = 1U << bit;
		EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), -EOPNOTSUPP);
		EXPECT(t, call(t, IOMMU_IOAS_ALLOW_IOVAS, &a), -EOPNOTSUPP);
	}
}

static void id_is_looked_up_before_the_array_is_touched(struct rules *t)
{
	struct iommu_ioas_iova_ranges c = ranges_of(NO_ID, 1, HOLE);

	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), -ENOENT);
	EXPECT(t, allow(t, NO_ID, HOLE, 1), -ENOENT);
}

static void too_little_room_is_emsgsize_with_the_count(struct rules *t)
{
	struct iommu_ioas_iova_ranges c = ranges_of(ioas_new(t), 0, HOLE);

	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), -EMSGSIZE);
	EXPECT(t, c.num_iovas, 1);
	EXPECT_U64(t, c.out_iova_alignment, 1);
}

static void reply_that_cannot_be_written_hides_emsgsize(struct rules *t)
{
	struct iommu_ioas_iova_ranges c = ranges_of(ioas_new(t), 0, NULL);

	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
}

static void array_that_cannot_be_written_is_efault_without_a_reply(struct rules *t)
{
	struct iommu_iova_range range = {7, 7};
	void *array[] = {NULL, HOLE, place_at_end(t, &range, sizeof(range), PROT_READ), (void *)UINTPTR_MAX};
	uint32_t ioas = ioas_new(t);

	for (size_t i = 0; i < ARRAY_SIZE(array); i++) {
		struct iommu_ioas_iova_ranges c = ranges_of(ioas, 5, array[i]);

		EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), -EFAULT);
		EXPECT(t, c.num_iovas, 5);
	}
	for (size_t room = 1; room < sizeof(range); room += 7) {
		void *at = place(t, &range, sizeof(range), room, PROT_READ | PROT_WRITE, PROT_NONE);
		struct iommu_ioas_iova_ranges c = ranges_of(ioas, 1, at);

		EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), -EFAULT);
	}
}

static void only_elements_that_exist_are_written(struct rules *t)
{
	struct iommu_iova_range range[3] = {{7, 7}, {7, 7}, {7, 7}};
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_iova_ranges c = ranges_of(ioas, UINT32_MAX, range);

	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), 0);
	EXPECT(t, c.num_iovas, 1);
	EXPECT_U64(t, range[0].start, 0);
	EXPECT_U64(t, range[0].last, U64_MAX);
	EXPECT_U64(t, range[1].start, 7);
	/* Room for just one, at the end of what can be written. */
	c = ranges_of(ioas, 3, place_at_end(t, range, sizeof(range[0]), PROT_READ | PROT_WRITE));
	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), 0);
}

static void maps_and_allowed_ranges_do_not_show(struct rules *t)
{
	struct iommu_iova_range range = {7, 7}, allowed = {PAGE, 9 * PAGE};
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_iova_ranges c = ranges_of(ioas, 1, &range);

	EXPECT(t, map_at(t, ioas, 0, PAGE), 0);
	EXPECT(t, map_at(t, ioas, 1 << 20, 1 << 20), 0);
	EXPECT(t, allow(t, ioas, &allowed, 1), 0);
	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), 0);
	EXPECT(t, c.num_iovas, 1);
	EXPECT_U64(t, range.start, 0);
	EXPECT_U64(t, range.last, U64_MAX);
}

static void alignment_is_the_current_one(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t on = 1;

	EXPECT_U64(t, alignment(t, ioas), 1);
	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT_U64(t, alignment(t, ioas), PAGE);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &on), 0);
	EXPECT_U64(t, alignment(t, ioas), 1);
}

/* A.4: ALLOW_IOVAS */

struct list_row {
	int result;
	uint32_t count;
	struct iommu_iova_range range[4];
};

static void list_is_taken_or_refused(struct rules *t, const void *row)
{
	const struct list_row *r = row;

	EXPECT(t, allow(t, ioas_new(t), r->range, r->count), r->result);
}

/* Where does a map of a page go? */
static uint64_t first_fit(struct rules *t, uint32_t ioas)
{
	uint64_t iova;

	EXPECT(t, map_auto(t, ioas, 0, PAGE, &iova), 0);
	EXPECT(t, unmap(t, ioas, iova, PAGE, NULL), 0);
	return iova;
}

static void maps_are_placed_inside_the_list(struct rules *t)
{
	const struct iommu_iova_range list[] = {{0x50000, 0x50fff}, {0x20000, 0x20fff}};
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	EXPECT(t, allow(t, ioas, list, 2), 0);
	EXPECT(t, map_auto(t, ioas, 0, PAGE, &iova), 0);
	EXPECT_U64(t, iova, 0x20000);
	EXPECT(t, map_auto(t, ioas, 0, PAGE, &iova), 0);
	EXPECT_U64(t, iova, 0x50000);
	EXPECT(t, map_auto(t, ioas, 0, PAGE, &iova), -ENOSPC);
	EXPECT(t, map_auto(t, ioas, 0, 1, &iova), -ENOSPC);
}

static void fixed_maps_and_copies_ignore_the_list(struct rules *t)
{
	const struct iommu_iova_range list = {0x20000, 0x20fff};
	uint32_t ioas = ioas_new(t);
	int fd = memfd_new(t, PAGE);

	EXPECT(t, allow(t, ioas, &list, 1), 0);
	EXPECT(t, map_at(t, ioas, 0x80000, PAGE), 0);
	EXPECT(t, copy_at(t, ioas, ioas, RW, 0x80000, 0x90000, PAGE), 0);
	EXPECT(t, map_file_at(t, ioas, RW, fd, 0, 0xa0000, PAGE), 0);
	close_plain(t, fd);
}

static void maps_that_exist_stay(struct rules *t)
{
	const struct iommu_iova_range list = {0x20000, 0x20fff};
	uint32_t ioas = ioas_new(t);

	EXPECT(t, map_at(t, ioas, 0x80000, PAGE), 0);
	EXPECT(t, allow(t, ioas, &list, 1), 0);
	expect_bytes(t, ioas, PAGE);
}

static void list_replaces_the_one_before(struct rules *t)
{
	const struct iommu_iova_range a = {0x50000, 0x5ffff}, b = {0x58000, 0x6ffff};
	uint32_t ioas = ioas_new(t);

	EXPECT(t, allow(t, ioas, &a, 1), 0);
	EXPECT_U64(t, first_fit(t, ioas), 0x50000);
	EXPECT(t, allow(t, ioas, &b, 1), 0);
	EXPECT_U64(t, first_fit(t, ioas), 0x58000);
	EXPECT(t, allow(t, ioas, &a, 1), 0);
	EXPECT_U64(t, first_fit(t, ioas), 0x50000);
}

static void empty_list_ends_the_restriction(struct rules *t)
{
	const struct iommu_iova_range a = {0x50000, 0x5ffff};
	uint32_t ioas = ioas_new(t);

	EXPECT(t, allow(t, ioas, &a, 1), 0);
	EXPECT(t, allow(t, ioas, HOLE, 0), 0);
	EXPECT_U64(t, first_fit(t, ioas), PAGE);
}

static void list_that_is_refused_leaves_the_one_before(struct rules *t)
{
	const struct iommu_iova_range good = {0x50000, 0x5ffff};
	const struct iommu_iova_range bad[] = {{0x20000, 0x20fff}, {0x30000, 0x30000}};
	uint32_t ioas = ioas_new(t);

	EXPECT(t, allow(t, ioas, &good, 1), 0);
	EXPECT(t, allow(t, ioas, bad, 2), -EINVAL);
	EXPECT_U64(t, first_fit(t, ioas), 0x50000);
	EXPECT(t, allow(t, ioas, place_at_end(t, bad, sizeof(bad[0]), PROT_READ), 2), -EFAULT);
	EXPECT_U64(t, first_fit(t, ioas), 0x50000);
}

static void elements_are_looked_at_one_after_the_other(struct rules *t)
{
	const struct iommu_iova_range bad[] = {{0x30000, 0x30000}}, good[] = {{0x20000, 0x20fff}};
	const struct iommu_iova_range twice[] = {{0x20000, 0x20fff}, {0x20000, 0x20fff}};
	uint32_t ioas = ioas_new(t);

	/* The element after those cannot be read. */
	EXPECT(t, allow(t, ioas, place_at_end(t, bad, sizeof(bad), PROT_READ), 2), -EINVAL);
	EXPECT(t, allow(t, ioas, place_at_end(t, good, sizeof(good), PROT_READ), 2), -EFAULT);
	EXPECT(t, allow(t, ioas, place_at_end(t, twice, sizeof(twice), PROT_READ), 3), -EINVAL);
	EXPECT(t, allow(t, ioas, place_at_end(t, bad, sizeof(bad), PROT_READ), UINT32_MAX), -EINVAL);
}

static void list_that_cannot_be_read_is_efault(struct rules *t)
{
	const struct iommu_iova_range good = {0x20000, 0x20fff};
	void *const array[] = {NULL, HOLE, (void *)UINTPTR_MAX};
	uint32_t ioas = ioas_new(t);

	for (size_t i = 0; i < ARRAY_SIZE(array); i++) {
		EXPECT(t, allow(t, ioas, array[i], 1), -EFAULT);
		EXPECT(t, allow(t, ioas, array[i], UINT32_MAX), -EFAULT);
	}
	for (size_t readable = 0; readable < sizeof(good); readable += 4)
		EXPECT(t, allow(t, ioas, place(t, &good, sizeof(good), readable, PROT_READ, PROT_NONE), 1), -EFAULT);
}

#define LIST(rules, name, ...) ROW(rules, name, list_is_taken_or_refused, struct list_row, __VA_ARGS__)

static const struct rule_case cases[] = {
	CASE("A.3-1,A.4-1", reserved_member_is_looked_at_before_the_id),
	CASE("A.3-2,A.4-2", id_is_looked_up_before_the_array_is_touched),
	CASE("A.3-5,A.3-6", too_little_room_is_emsgsize_with_the_count),
	CASE("A.3-7", reply_that_cannot_be_written_hides_emsgsize),
	CASE("A.3-4", array_that_cannot_be_written_is_efault_without_a_reply),
	CASE("A.3-3b,A.3-8", only_elements_that_exist_are_written),
	CASE("A.3-3a", maps_and_allowed_ranges_do_not_show),
	CASE("A.3-6,A.18-2,A.18-3", alignment_is_the_current_one),
	LIST("A.4-4a", list_of_two_bytes_is_taken, 0, 1, {{0x1000, 0x1001}}),
	LIST("A.4-4a", list_of_one_byte_is_einval, -EINVAL, 1, {{0x1000, 0x1000}}),
	LIST("A.4-4b", list_that_runs_backwards_is_einval, -EINVAL, 1, {{0x1001, 0x1000}}),
	LIST("A.4-4c", list_of_the_whole_space_is_taken, 0, 1, {{0, U64_MAX}}),
	LIST("A.4-4a", list_of_the_last_byte_is_einval, -EINVAL, 1, {{U64_MAX, U64_MAX}}),
	LIST("A.4-5a", list_with_one_shared_byte_is_einval, -EINVAL, 2, {{0x1000, 0x2000}, {0x2000, 0x3000}}),
	LIST("A.4-5a", list_with_a_range_twice_is_einval, -EINVAL, 2, {{0x1000, 0x1fff}, {0x1000, 0x1fff}}),
	LIST("A.4-5a", list_with_a_range_inside_another_is_einval, -EINVAL, 2, {{0x1000, 0x9fff}, {0x2000, 0x2fff}}),
	LIST("A.4-5a", list_with_a_range_around_another_is_einval, -EINVAL, 2, {{0x2000, 0x2fff}, {0x1000, 0x9fff}}),
	LIST("A.4-5b", list_with_neighbours_is_taken, 0, 3, {{0x2000, 0x2fff}, {0x3000, 0x3fff}, {0x1000, 0x1fff}}),
	LIST("A.4-5c", list_may_be_in_any_order, 0, 3, {{0x9000, 0x9fff}, {0x1000, 0x1fff}, {0x4000, 0x4fff}}),
	CASE("A.4-3", list_that_cannot_be_read_is_efault),
	CASE("A.4-6", elements_are_looked_at_one_after_the_other),
	CASE("A.4-7,B.6-2", maps_are_placed_inside_the_list),
	CASE("A.4-8,B.6-2", fixed_maps_and_copies_ignore_the_list),
	CASE("A.4-9", maps_that_exist_stay),
	CASE("A.4-10", list_replaces_the_one_before),
	CASE("A.4-11", empty_list_ends_the_restriction),
	CASE("A.4-12", list_that_is_refused_leaves_the_one_before),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

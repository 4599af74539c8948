/* SPDX-License-Identifier: BSD-3-Clause */
/* What all test ops share, those that make devices, and expectations that stand for themselves. */
#include "mock.h"

#include <string.h>

/* H: an op that is not there, whatever else the structure says. */
static void unknown_ops_are_eopnotsupp(struct rules *t)
{
	static const uint32_t ops[] = {0, 24, 25, 0x80000000, UINT32_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct iommu_test_cmd c = {.op = ops[i], .id = NO_ID};

		EXPECT(t, test_op(t, &c), -EOPNOTSUPP);
	}
}

static void structure_may_end_before_its_last_member(struct rules *t)
{
	struct iommu_test_cmd c = {.size = 68, .op = IOMMU_TEST_OP_ADD_RESERVED, .id = ioas_new(t)};

	c.add_reserved.start = PAGE;
	c.add_reserved.length = PAGE;
	EXPECT(t, call(t, IOMMU_TEST_CMD, &c), 0);
	c.size = 67;
	EXPECT(t, call(t, IOMMU_TEST_CMD, &c), -EINVAL);
	c.size = sizeof(c);
	c.__reserved = 1;
	c.last = 1;
	EXPECT(t, call(t, IOMMU_TEST_CMD, &c), 0);
}

static void flags_of_a_device(struct rules *t)
{
	uint32_t ioas = ioas_new(t), next = next_id(t);
	struct mock m;

	for (int bit = 0; bit < 32; bit++) {
		bool known = bit == 0 || bit == 2;

		EXPECT(t, mock_try(t, ioas, 1U << bit, &m), known ? 0 : -EINVAL);
		if (known)
			EXPECT(t, destroy(t, m.stdev), 0);
		EXPECT(t, next_id(t), next);
	}
	EXPECT(t, mock_try(t, ioas, MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID, &m), 0);
	EXPECT(t, mock_try(t, NO_ID, 8, &m), -EINVAL);
	EXPECT(t, mock_try(t, NO_ID, 1, &m), -ENOENT);
}

static void ids_of_a_device_follow_each_other(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0), b = mock_new(t, ioas, 0);

	EXPECT(t, a.stdev, ioas + 1);
	EXPECT(t, a.device, ioas + 2);
	EXPECT(t, a.hwpt, ioas + 3);
	EXPECT(t, b.stdev, ioas + 4);
	EXPECT(t, b.device, ioas + 5);
	EXPECT(t, b.hwpt, a.hwpt);
}

/* Four areas of 8 pages, each 16 from the last: one unmap over all of them, and edges that bisect. */
static void areas_with_slack_between_them(struct rules *t)
{
	for (int with = 0; with < 2; with++) {
		uint32_t ioas = ioas_new(t);
		uint64_t removed = 0;

		memory_new(t);
		if (with)
			mock_new(t, ioas, 0);
		for (uint64_t i = 0; i < 4; i++)
			EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP + HUGE + i * 16 * PAGE, 8 * PAGE), 0);
		EXPECT(t, unmap(t, ioas, AP + HUGE + PAGE, 16 * PAGE, NULL), -ENOENT);
		EXPECT(t, unmap(t, ioas, AP + HUGE - PAGE, 2 * PAGE, NULL), -ENOENT);
		EXPECT(t, unmap(t, ioas, AP + HUGE - PAGE, 66 * PAGE, &removed), 0);
		EXPECT_U64(t, removed, 32 * PAGE);
		EXPECT(t, check_refs(t, MEMORY, 8 * PAGE, 0), 0);
		memory_free();
	}
}

static void automatic_maps_are_aligned_to_their_length(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t iova;

	memory_new(t);
	mock_new(t, ioas, 0);
	for (uint64_t pages = 1; pages <= 64; pages++) {
		EXPECT(t, map_auto(t, ioas, MEMORY, pages * PAGE, &iova), 0);
		EXPECT_U64(t, iova & ((pages & -pages) * PAGE - 1), 0);
		EXPECT(t, iova >= AP && iova + pages * PAGE - 1 <= AP_LAST, true);
	}
	memory_free();
}

/* Copies of a sweep of offsets and lengths. */
static void copies_of_parts_at_each_byte(struct rules *t)
{
	uint32_t ioas = ioas_new(t), other = ioas_new(t);

	EXPECT(t, map_at(t, ioas, AP, 10 * PAGE), 0);
	EXPECT(t, map_at(t, ioas, AP + 10 * PAGE, 10 * PAGE), 0);
	for (uint64_t start = AP - 511; start < AP + 20 * PAGE; start += 3 * PAGE + 511)
		for (uint64_t length = 511; length <= 24 * PAGE; length += 2 * PAGE + 511) {
			bool inside = start >= AP && start + length <= AP + 20 * PAGE;

			EXPECT(t, copy_at(t, other, ioas, READ, start, 0x1000, length), inside ? 0 : -ENOENT);
			if (inside)
				EXPECT(t, unmap(t, other, 0x1000, length, NULL), 0);
		}
}

/* What says that it has the whole space to look at ends all the same, and soon. */
static void huge_arguments_end(struct rules *t)
{
	struct world w;
	uint64_t words[64] = {0};
	uint32_t id;

	world_new(t, &w);
	uint32_t dirty = OBJECT(&w, DIRTY), one = 1;
	struct iommu_hwpt_invalidate c = {.size = sizeof(c),
					  .hwpt_id = OBJECT(&w, VIOMMU),
					  .data_uptr = MEMORY,
					  .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
					  .entry_len = 4096,
					  .entry_num = 1 << 19};

	EXPECT(t, set_dirty(t, dirty, one), 0);
	EXPECT(t, get_dirty(t, dirty, 0, 0, UINT64_C(1) << 63, PAGE, words), 0);
	EXPECT(t, get_dirty(t, dirty, 1, AP, AP, 1, words), 0);
	EXPECT(t, get_dirty(t, dirty, 0, 0, U64_MAX - PAGE + 1, PAGE, words), 0);
	EXPECT(t, check_refs(t, 0, U64_MAX - PAGE + 1, 0) < 0, true);
	EXPECT(t, check_map(t, dirty, 0, UINT64_C(1) << 47, MEMORY) < 0, true);
	EXPECT(t, hw_queue_try(t, OBJECT(&w, VIOMMU), 0, AREA, UINT64_C(1) << 62, &id) < 0, true);
	EXPECT(t, call(t, IOMMU_HWPT_INVALIDATE, &c) < 0, true);
	EXPECT(t, c.entry_num, 0);
	EXPECT(t, map_va_at(t, OBJECT(&w, IOAS), RW, MEMORY, HOLE_AREA, MEMORY_LENGTH + HUGE), -EFAULT);
	EXPECT(t, reserve(t, OBJECT(&w, SPARE), 0, U64_MAX), 0);
	world_close(t, &w);
}

static void huge_map_through_the_container(struct rules *t)
{
	static const uint32_t types[] = {VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		uint32_t ioas = container_new(t);
		struct mock m = mock_new(t, ioas, 0);
		uint64_t removed;

		memory_new(t);
		EXPECT(t, call_value(t, VFIO_SET_IOMMU, types[i]), 0);
		EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP, 4 * HUGE), 0);
		EXPECT(t, check_map(t, m.hwpt, AP, 4 * HUGE, MEMORY), 0);
		EXPECT(t, container_unmap(t, AP + HUGE, HUGE, &removed), i == 0 ? 0 : -ENOENT);
		EXPECT(t, container_unmap(t, AP, 4 * HUGE, &removed), 0);
		EXPECT_U64(t, removed, i == 0 ? 3 * HUGE : 4 * HUGE);
		memory_free();
	}
}

static const struct rule_case cases[] = {
	CASE("H-0a", unknown_ops_are_eopnotsupp),
	CASE("H-0b", structure_may_end_before_its_last_member),
	CASE("H-12", flags_of_a_device),
	CASE("H-2,A.0.2-1", ids_of_a_device_follow_each_other),
	CASE("A.9-8c,A.9-7a", areas_with_slack_between_them),
	CASE("A.6-2", automatic_maps_are_aligned_to_their_length),
	CASE("A.7-7a,A.7-11a,A.7-11b", copies_of_parts_at_each_byte),
	CASE("H-0c", huge_arguments_end),
	CASE("D.2-17a,D.2-14", huge_map_through_the_container),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

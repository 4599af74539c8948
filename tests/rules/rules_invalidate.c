/* SPDX-License-Identifier: BSD-3-Clause */
/* IOMMU_HWPT_INVALIDATE of nested page tables and of virtual IOMMUs: which requests are done, and what they do. */
#include "mock.h"

#include <string.h>

#define NOWHERE UINT64_C(0x520000000000)
#define TYPE    IOMMU_HWPT_INVALIDATE_DATA_SELFTEST
#define ALL     IOMMU_TEST_INVALIDATE_FLAG_ALL
#define VIRT    UINT32_C(0x99)

/* Requests and what comes of them. kept: which of the four entries are as they were. */
struct invalidate_row {
	int result;
	uint32_t type, length, count, done;
	unsigned kept;
	uint64_t at; /* 0: where words are */
	uint32_t words[12];
};

static int invalidate(struct rules *t, uint32_t object, const struct invalidate_row *r)
{
	struct iommu_hwpt_invalidate c = {.size = sizeof(c),
					  .hwpt_id = object,
					  .data_uptr = r->at ? r->at : (uintptr_t)r->words,
					  .data_type = r->type,
					  .entry_len = r->length,
					  .entry_num = r->count};
	int rc = call(t, IOMMU_HWPT_INVALIDATE, &c);

	EXPECT(t, c.entry_num, r->done);
	return rc;
}

static void invalidate_a_nested_page_table(struct rules *t, const void *row)
{
	const struct invalidate_row *r = row;
	struct mock m = mock_new(t, ioas_new(t), 0);
	uint32_t parent = hwpt_new(t, m.device, m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	uint32_t nested = nested_new(t, m.device, parent), other = nested_new(t, m.device, parent);

	EXPECT(t, invalidate(t, nested, r), r->result);
	for (uint32_t i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++) {
		EXPECT(t, check_iotlb(t, nested, i, r->kept >> i & 1 ? IOMMU_TEST_IOTLB_DEFAULT : 0), 0);
		EXPECT(t, check_iotlb(t, other, i, IOMMU_TEST_IOTLB_DEFAULT), 0);
	}
}

static void invalidate_a_viommu(struct rules *t, const void *row)
{
	const struct invalidate_row *r = row;
	struct mock m = mock_new(t, ioas_new(t), 0), m2 = mock_new(t, m.ioas, 0);
	uint32_t parent = hwpt_new(t, m.device, m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	uint32_t viommu = viommu_new(t, m.device, parent);

	vdevice_new(t, viommu, m.device, VIRT);
	vdevice_new(t, viommu, m2.device, VIRT + 1);
	EXPECT(t, invalidate(t, viommu, r), r->result);
	for (uint32_t i = 0; i < MOCK_DEV_CACHE_NUM; i++) {
		EXPECT(t, check_cache(t, m.device, i, r->kept >> i & 1 ? IOMMU_TEST_DEV_CACHE_DEFAULT : 0), 0);
		EXPECT(t, check_cache(t, m2.device, i, IOMMU_TEST_DEV_CACHE_DEFAULT), 0);
	}
}

static void requests_that_lie_across_a_hole_are_done_up_to_it(struct rules *t)
{
	static const uint32_t words[] = {0, 0, 0, 1};
	struct mock m = mock_new(t, ioas_new(t), 0);
	uint32_t nested = nested_new(t, m.device, hwpt_new(t, m.device, m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	struct invalidate_row r = {.type = TYPE, .length = 8, .count = 2, .done = 1};

	r.at = (uintptr_t)place(t, words, sizeof(words), 8, PROT_READ, PROT_NONE);
	EXPECT(t, invalidate(t, nested, &r), -EFAULT);
	EXPECT(t, check_iotlb(t, nested, 0, 0), 0);
	EXPECT(t, check_iotlb(t, nested, 1, IOMMU_TEST_IOTLB_DEFAULT), 0);
}

/* The type is looked at before there are requests: how a client asks whether it is known. */
static void no_requests_ask_for_the_type(struct rules *t)
{
	struct world w;
	struct invalidate_row r = {.type = TYPE};

	world_new(t, &w);
	EXPECT(t, invalidate(t, OBJECT(&w, NESTED), &r), 0);
	EXPECT(t, invalidate(t, OBJECT(&w, VIOMMU), &r), 0);
	r.type = 1;
	EXPECT(t, invalidate(t, OBJECT(&w, NESTED), &r), -EINVAL);
	world_close(t, &w);
}

static void reply_that_cannot_be_written_hides_the_result(struct rules *t)
{
	static const uint32_t words[2] = {ALL, 0};
	struct mock m = mock_new(t, ioas_new(t), 0);
	uint32_t nested = nested_new(t, m.device, hwpt_new(t, m.device, m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	struct iommu_hwpt_invalidate c = {.size = sizeof(c),
					  .hwpt_id = nested,
					  .data_uptr = (uintptr_t)words,
					  .data_type = TYPE,
					  .entry_len = 8,
					  .entry_num = 1};

	EXPECT(t, call(t, IOMMU_HWPT_INVALIDATE, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, check_iotlb(t, nested, 3, 0), 0);
}

#define REQUESTS(rules, name, f, r, y, l, n, d, k, a, ...)                                                             \
	ROW(rules, name, f, struct invalidate_row, .result = (r), .type = (y), .length = (l), .count = (n),            \
	    .done = (d), .kept = (k), .at = (a), .words = {__VA_ARGS__})
#define NEST(rules, name, ...)    REQUESTS(rules, name, invalidate_a_nested_page_table, __VA_ARGS__)
#define VIOMMU_(rules, name, ...) REQUESTS(rules, name, invalidate_a_viommu, __VA_ARGS__)
#define OTHER(rules, name, result, object)                                                                             \
	IN_WORLD(rules, name, result, IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, WORLD_DATA(0),                     \
		 .hwpt_id = (object), .data_uptr = DATA, .data_type = TYPE, .entry_len = 8, .entry_num = 1)

static const struct rule_case cases[] = {
	OTHER("A.16-4", invalidate_of_a_page_table_is_einval, -EINVAL, PLAIN),
	OTHER("A.16-4", invalidate_of_a_parent_is_einval, -EINVAL, PARENT),
	OTHER("A.16-4", invalidate_of_a_device_is_einval, -EINVAL, DEVICE),
	NEST("A.16-7a", one_entry_is_invalidated, 0, TYPE, 8, 1, 1, 0xb, 0, 0, 2),
	NEST("A.16-7a", several_entries_are_invalidated, 0, TYPE, 8, 3, 3, 4, 0, 0, 0, 0, 1, 0, 3),
	NEST("A.16-7a", all_entries_are_invalidated, 0, TYPE, 8, 1, 1, 0, 0, ALL, 0),
	NEST("A.16-7b", unknown_flag_is_eopnotsupp, -EOPNOTSUPP, TYPE, 8, 1, 0, 0xf, 0, 2, 0),
	NEST("A.16-7b", entry_that_is_not_there_is_einval, -EINVAL, TYPE, 8, 1, 0, 0xf, 0, 0, 4),
	NEST("A.16-7c", requests_before_a_wrong_flag_are_done, -EOPNOTSUPP, TYPE, 8, 3, 2, 0xc, 0, 0, 0, 0, 1, 2, 2),
	NEST("A.16-7c", requests_before_a_wrong_entry_are_done, -EINVAL, TYPE, 8, 4, 1, 0xe, 0, 0, 0, 0, 4, 0, 1, 0, 2),
	NEST("A.16-7d", requests_of_another_type_are_einval, -EINVAL, 1, 8, 1, 0, 0xf, 0, ALL, 0),
	NEST("A.16-7d", requests_that_are_too_short_are_einval, -EINVAL, TYPE, 4, 1, 0, 0xf, 0, ALL, 0),
	NEST("A.16-7e", requests_that_are_too_long_are_einval, -EINVAL, TYPE, 16, 1, 0, 0xf, 0, ALL, 0, 0, 0),
	NEST("A.16-7e", requests_that_are_too_long_come_before_their_memory, -EINVAL, TYPE, 16, 1, 0, 0xf, NOWHERE, 0),
	NEST("A.16-7f", requests_that_cannot_be_read_are_efault, -EFAULT, TYPE, 8, 1, 0, 0xf, NOWHERE, 0),
	NEST("A.16-7d", requests_of_another_type_come_before_their_memory, -EINVAL, 1, 8, 1, 0, 0xf, NOWHERE, 0),
	CASE("A.16-7f", requests_that_lie_across_a_hole_are_done_up_to_it),
	CASE("A.16-7g", no_requests_ask_for_the_type),
	CASE("A.16-6", reply_that_cannot_be_written_hides_the_result),
	VIOMMU_("A.16-8a", one_cache_entry_is_invalidated, 0, TYPE, 12, 1, 1, 0x7, 0, 0, VIRT, 3),
	VIOMMU_("A.16-8a", all_cache_entries_are_invalidated, 0, TYPE, 12, 1, 1, 0, 0, ALL, VIRT, 0),
	VIOMMU_("A.16-8a", several_cache_entries_are_invalidated, 0, TYPE, 12, 2, 2, 0x6, 0, 0, VIRT, 0, 0, VIRT, 3),
	VIOMMU_("A.16-8b", unknown_virtual_device_is_einval, -EINVAL, TYPE, 12, 1, 0, 0xf, 0, 0, 0x77, 0),
	VIOMMU_("A.16-8b", cache_entry_that_is_not_there_is_einval, -EINVAL, TYPE, 12, 1, 0, 0xf, 0, 0, VIRT, 4),
	VIOMMU_("A.16-8b", unknown_flag_of_a_cache_request_is_eopnotsupp, -EOPNOTSUPP, TYPE, 12, 1, 0, 0xf, 0, 2, VIRT,
		0),
	VIOMMU_("A.16-8c", cache_requests_before_a_wrong_one_are_done, -EINVAL, TYPE, 12, 2, 1, 0xd, 0, 0, VIRT, 1, 0,
		0x77, 1),
	VIOMMU_("A.16-8d", cache_requests_of_another_type_are_einval, -EINVAL, 1, 12, 1, 0, 0xf, 0, 0, VIRT, 0),
	VIOMMU_("A.16-8e", longer_cache_requests_whose_tail_is_zero_are_taken, 0, TYPE, 16, 2, 2, 0xa, 0, 0, VIRT, 0, 0,
		0, VIRT, 2, 0),
	VIOMMU_("A.16-8e", longer_cache_requests_whose_tail_is_not_zero_are_e2big, -E2BIG, TYPE, 16, 2, 0, 0xf, 0, 0,
		VIRT, 0, 0, 0, VIRT, 2, 1),
	VIOMMU_("A.16-8f", cache_requests_that_cannot_be_read_are_efault, -EFAULT, TYPE, 12, 1, 0, 0xf, NOWHERE, 0),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Attaching devices: automatic page tables, replacing, and what stays where it fails. */
#include "mock.h"

#define NEST    IOMMU_HWPT_ALLOC_NEST_PARENT
#define NOWHERE UINT64_C(0x520000000000)

static void devices_of_an_ioas_share_an_automatic_page_table(struct rules *t)
{
	uint32_t ioas = ioas_new(t), other = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0), b = mock_new(t, ioas, 0), c = mock_new(t, other, 0);

	EXPECT(t, a.hwpt != 0 && a.hwpt != a.device && a.hwpt != a.stdev, true);
	EXPECT(t, a.hwpt, b.hwpt);
	EXPECT(t, c.hwpt != a.hwpt, true);
	EXPECT(t, pasid_check(t, b.stdev, 0, a.hwpt), 0);
}

static void automatic_page_table_goes_with_its_last_device(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0), b = mock_new(t, ioas, 0);

	EXPECT(t, destroy(t, a.hwpt), -EBUSY);
	EXPECT(t, destroy(t, a.stdev), 0);
	EXPECT(t, destroy(t, a.hwpt), -EBUSY);
	EXPECT(t, destroy(t, ioas), -EBUSY);
	EXPECT(t, destroy(t, b.stdev), 0);
	EXPECT(t, destroy(t, b.hwpt), -ENOENT);
	EXPECT(t, destroy(t, ioas), 0);
}

static void page_table_of_a_client_is_never_picked(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock a = mock_new(t, ioas_new(t), 0);
	uint32_t own = hwpt_new(t, a.device, ioas, 0);
	struct mock b = mock_new(t, ioas, 0);

	EXPECT(t, b.hwpt != own, true);
	EXPECT(t, destroy(t, own), 0);
	EXPECT(t, destroy(t, b.stdev), 0);
	/* It outlives its devices. */
	own = hwpt_new(t, a.device, ioas, 0);
	EXPECT(t, mock_attach(t, a.stdev, own), 0);
	EXPECT(t, destroy(t, own), -EBUSY);
	EXPECT(t, mock_attach(t, a.stdev, a.ioas), 0);
	EXPECT(t, destroy(t, own), 0);
}

static void attach_says_which_page_table_it_was(struct rules *t)
{
	uint32_t ioas = ioas_new(t), other = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0);
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = a.stdev, .mock_domain_replace = {other}};
	uint32_t own = hwpt_new(t, a.device, ioas, 0);
	struct mock b = mock_new(t, own, 0);

	EXPECT(t, b.hwpt, own);
	EXPECT(t, test_op(t, &c), 0);
	EXPECT(t, c.mock_domain_replace.pt_id != other, true);
	EXPECT(t, pasid_check(t, a.stdev, 0, c.mock_domain_replace.pt_id), 0);
}

static void replace_moves_between_page_tables_and_address_spaces(struct rules *t)
{
	uint32_t ioas = ioas_new(t), other = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0);
	uint32_t first = hwpt_new(t, a.device, ioas, 0), second = hwpt_new(t, a.device, ioas, 0);

	EXPECT(t, mock_attach(t, a.stdev, a.hwpt), 0);
	EXPECT(t, mock_attach(t, a.stdev, ioas), 0);
	EXPECT(t, pasid_check(t, a.stdev, 0, a.hwpt), 0);
	EXPECT(t, mock_attach(t, a.stdev, first), 0);
	EXPECT(t, destroy(t, a.hwpt), -ENOENT);
	EXPECT(t, mock_attach(t, a.stdev, first), 0);
	EXPECT(t, mock_attach(t, a.stdev, second), 0);
	EXPECT(t, destroy(t, first), 0);
	EXPECT(t, mock_attach(t, a.stdev, other), 0);
	EXPECT(t, destroy(t, second), 0);
	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, destroy(t, other), -EBUSY);
}

static void replace_that_fails_leaves_the_old_page_table(struct rules *t)
{
	uint32_t ioas = ioas_new(t), low = ioas_new(t), bad = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0);
	uint32_t next;

	memory_new(t);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP, PAGE), 0);
	EXPECT(t, map_va_at(t, low, RW, MEMORY, 0, PAGE), 0);
	EXPECT(t, map_va_at(t, bad, RW, NOWHERE, AP, PAGE), 0);
	next = next_id(t);
	EXPECT(t, mock_attach(t, a.stdev, low), -EADDRINUSE);
	EXPECT(t, mock_attach(t, a.stdev, bad), -EFAULT);
	EXPECT(t, mock_attach(t, a.stdev, NO_ID), -ENOENT);
	EXPECT(t, mock_attach(t, a.stdev, a.device), -EINVAL);
	EXPECT(t, next_id(t), next);
	EXPECT(t, pasid_check(t, a.stdev, 0, a.hwpt), 0);
	EXPECT(t, check_map(t, a.hwpt, AP, PAGE, MEMORY), 0);
	expect_range(t, ioas, AP, AP_LAST);
	expect_range(t, low, 0, U64_MAX);
	expect_range(t, bad, 0, U64_MAX);
	memory_free();
}

/* What Linux gets wrong: a refused page table of the same IOAS must not take the reservations with it. */
static void refused_page_table_of_the_same_ioas_leaves_the_reservations(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0), clean = mock_new(t, ioas, MOCK_FLAGS_DEVICE_NO_DIRTY);
	uint32_t dirty = hwpt_new(t, a.device, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);

	EXPECT(t, mock_attach(t, clean.stdev, dirty), -EINVAL);
	EXPECT(t, pasid_check(t, clean.stdev, 0, clean.hwpt), 0);
	expect_range(t, ioas, AP, AP_LAST);
	EXPECT(t, map_at(t, ioas, 0, PAGE), -EINVAL);
}

static void nested_page_tables_hold_their_parent(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock a = mock_new(t, ioas, 0);
	uint32_t parent = hwpt_new(t, a.device, ioas, NEST);
	uint32_t first = nested_new(t, a.device, parent), second = nested_new(t, a.device, parent);

	EXPECT(t, destroy(t, parent), -EBUSY);
	EXPECT(t, mock_attach(t, a.stdev, first), 0);
	EXPECT(t, destroy(t, first), -EBUSY);
	EXPECT(t, mock_attach(t, a.stdev, second), 0);
	EXPECT(t, destroy(t, first), 0);
	EXPECT(t, mock_attach(t, a.stdev, parent), 0);
	EXPECT(t, destroy(t, second), 0);
	EXPECT(t, destroy(t, parent), -EBUSY);
	EXPECT(t, mock_attach(t, a.stdev, ioas), 0);
	EXPECT(t, destroy(t, parent), 0);
}

static void nested_page_table_begins_with_its_data(struct rules *t)
{
	const struct iommu_hwpt_selftest data = {.iotlb = 0x1234};
	struct mock a = mock_new(t, ioas_new(t), 0);
	struct iommu_hwpt_alloc c = {.dev_id = a.device,
				     .pt_id = hwpt_new(t, a.device, a.ioas, NEST),
				     .data_type = IOMMU_HWPT_DATA_SELFTEST,
				     .data_len = sizeof(data),
				     .data_uptr = (uintptr_t)&data};

	EXPECT(t, hwpt_try(t, &c), 0);
	for (uint32_t i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		EXPECT(t, check_iotlb(t, c.out_hwpt_id, i, 0x1234), 0);
	EXPECT(t, check_iotlb(t, c.out_hwpt_id, 0, 0x1235), -EINVAL);
	EXPECT(t, check_iotlb(t, c.out_hwpt_id, MOCK_NESTED_DOMAIN_IOTLB_NUM, 0x1234), -EINVAL);
	EXPECT(t, check_iotlb(t, c.pt_id, 0, 0x1234), -ENOENT);
}

static void device_is_busy_and_its_handle_ends_it(struct rules *t)
{
	struct mock a = mock_new(t, ioas_new(t), 0);

	EXPECT(t, destroy(t, a.device), -EBUSY);
	EXPECT(t, destroy(t, a.stdev), 0);
	EXPECT(t, destroy(t, a.device), -ENOENT);
	EXPECT(t, destroy(t, a.hwpt), -ENOENT);
	EXPECT(t, mock_attach(t, a.stdev, a.ioas), -ENOENT);
	EXPECT(t, destroy(t, a.ioas), 0);
}

static void handle_of_a_device_on_a_page_table_lets_go_of_it(struct rules *t)
{
	struct mock a = mock_new(t, ioas_new(t), 0);
	uint32_t own = hwpt_new(t, a.device, a.ioas, 0);

	EXPECT(t, mock_attach(t, a.stdev, own), 0);
	EXPECT(t, destroy(t, a.stdev), 0);
	EXPECT(t, destroy(t, own), 0);
	EXPECT(t, destroy(t, a.ioas), 0);
}

static void device_that_cannot_be_attached_leaves_nothing(struct rules *t)
{
	uint32_t ioas = ioas_new(t), next;
	struct mock m;

	EXPECT(t, map_at(t, ioas, 0, PAGE), 0);
	next = next_id(t);
	EXPECT(t, mock_try(t, ioas, 0, &m), -EADDRINUSE);
	EXPECT(t, mock_try(t, NO_ID, 0, &m), -ENOENT);
	EXPECT(t, next_id(t), next);
	EXPECT(t, destroy(t, ioas), 0);
}

static void page_tables_of_an_ioas_all_have_its_maps(struct rules *t)
{
	uint32_t ioas = ioas_new(t), hwpt[3];
	struct mock a = mock_new(t, ioas, 0);

	memory_new(t);
	hwpt[0] = a.hwpt;
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP, 4 * PAGE), 0);
	hwpt[1] = hwpt_new(t, a.device, ioas, 0);
	EXPECT(t, map_va_at(t, ioas, READ, MEMORY + HUGE, AP + HUGE, HUGE), 0);
	hwpt[2] = hwpt_new(t, a.device, ioas, NEST);
	for (int i = 0; i < 3; i++) {
		EXPECT(t, check_map(t, hwpt[i], AP, 4 * PAGE, MEMORY), 0);
		EXPECT(t, check_map(t, hwpt[i], AP + HUGE, HUGE, MEMORY + HUGE), 0);
	}
	/* The first one may go first; the others keep what it had. */
	EXPECT(t, mock_attach(t, a.stdev, hwpt[2]), 0);
	EXPECT(t, check_map(t, hwpt[1], AP, 4 * PAGE, MEMORY), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 1), 0);
	EXPECT(t, destroy(t, hwpt[1]), 0);
	EXPECT(t, check_map(t, hwpt[2], AP + HUGE, HUGE, MEMORY + HUGE), 0);
	EXPECT(t, check_refs(t, MEMORY + HUGE, HUGE, 1), 0);
	EXPECT(t, unmap(t, ioas, AP, 4 * PAGE, NULL), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 0), 0);
	memory_free();
}

/* All areas or none: the last of them cannot be pinned. */
static void page_table_that_cannot_have_all_areas_has_none(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock a = mock_new(t, ioas_new(t), 0), b;
	struct iommu_hwpt_alloc c = {.dev_id = a.device, .pt_id = ioas};

	memory_new(t);
	for (uint64_t i = 0; i < 8; i++)
		EXPECT(t, map_va_at(t, ioas, RW, MEMORY + i * PAGE, AP + i * PAGE, PAGE), 0);
	EXPECT(t, map_va_at(t, ioas, RW, NOWHERE, AP + HUGE, PAGE), 0);
	EXPECT(t, hwpt_try(t, &c), -EFAULT);
	EXPECT(t, mock_try(t, ioas, 0, &b), -EFAULT);
	EXPECT(t, mock_attach(t, a.stdev, ioas), -EFAULT);
	EXPECT(t, check_refs(t, MEMORY, 8 * PAGE, 0), 0);
	EXPECT_U64(t, alignment(t, ioas), 1);
	expect_range(t, ioas, 0, U64_MAX);
	EXPECT(t, unmap(t, ioas, AP + HUGE, PAGE, NULL), 0);
	EXPECT(t, hwpt_try(t, &c), 0);
	EXPECT(t, check_refs(t, MEMORY, 8 * PAGE, 1), 0);
	memory_free();
}

static void detaching_lowers_the_alignment_and_drops_the_reservations(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock a = mock_new(t, ioas_new(t), 0), b = mock_new(t, ioas, 0);
	uint32_t hwpt = hwpt_new(t, a.device, ioas, 0);

	EXPECT_U64(t, alignment(t, ioas), HALF);
	expect_range(t, ioas, AP, AP_LAST);
	EXPECT(t, destroy(t, b.stdev), 0);
	EXPECT_U64(t, alignment(t, ioas), HALF);
	expect_range(t, ioas, AP, AP_LAST);
	EXPECT(t, destroy(t, hwpt), 0);
	EXPECT_U64(t, alignment(t, ioas), 1);
	expect_range(t, ioas, 0, U64_MAX);
	EXPECT(t, map_at(t, ioas, 1, 1), 0);
}

static void alignment_is_the_largest_that_anything_wants(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	int access;
	struct mock a;
	uint64_t on = 1;

	EXPECT_U64(t, alignment(t, ioas), 1);
	access = mock_access_new(t, ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	EXPECT_U64(t, alignment(t, ioas), PAGE);
	a = mock_new(t, ioas, 0);
	EXPECT_U64(t, alignment(t, ioas), PAGE);
	EXPECT(t, transport_close(t->transport, access), 0);
	EXPECT_U64(t, alignment(t, ioas), HALF);
	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT_U64(t, alignment(t, ioas), PAGE);
	EXPECT(t, destroy(t, a.stdev), 0);
	EXPECT_U64(t, alignment(t, ioas), PAGE);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &on), 0);
	EXPECT_U64(t, alignment(t, ioas), 1);
	access = mock_access_new(t, ioas, 0);
	EXPECT_U64(t, alignment(t, ioas), 1);
	EXPECT(t, transport_close(t->transport, access), 0);
}

static void huge_pages_with_page_tables_and_areas(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t on = 1, value = 0;

	memory_new(t);
	mock_new(t, ioas, 0);
	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &on), 0);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP, PAGE), 0);
	EXPECT(t, small_pages(t, ioas), -EINVAL);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, ioas, &value), 0);
	EXPECT_U64(t, value, 1);
	EXPECT_U64(t, alignment(t, ioas), HALF);
	EXPECT(t, unmap(t, ioas, AP, PAGE, NULL), 0);
	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP, PAGE), 0);
	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &on), 0);
	EXPECT(t, small_pages(t, ioas), -EINVAL);
	memory_free();
}

#define REPLACE(rules, name, result, pt)                                                                               \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, WORLD_DATA(0),                                   \
		 .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = STDEV, .mock_domain_replace = {pt})
#define NEW_ON(rules, name, result, pt)                                                                                \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, WORLD_DATA(0), .op = IOMMU_TEST_OP_MOCK_DOMAIN,  \
		 .id = (pt))

static const struct rule_case cases[] = {
	CASE("C.1-1", devices_of_an_ioas_share_an_automatic_page_table),
	CASE("C.1-2,A.1-2b,A.1-2e", automatic_page_table_goes_with_its_last_device),
	CASE("C.1-3,A.1-2e", page_table_of_a_client_is_never_picked),
	CASE("C.1-4", attach_says_which_page_table_it_was),
	NEW_ON("C.1-5", device_on_nothing_is_enoent, -ENOENT, NO_ID),
	NEW_ON("C.1-5", device_on_id_0_is_enoent, -ENOENT, 0),
	NEW_ON("C.1-6", device_on_a_device_is_einval, -EINVAL, DEVICE),
	NEW_ON("C.1-6", device_on_a_fault_queue_is_einval, -EINVAL, FAULT),
	NEW_ON("C.1-6", device_on_a_viommu_is_einval, -EINVAL, VIOMMU),
	NEW_ON("C.1-7", device_on_a_page_table_is_attached, 0, PLAIN),
	NEW_ON("C.1-7", device_on_a_nested_page_table_is_attached, 0, NESTED),
	REPLACE("C.1-5", replace_by_nothing_is_enoent, -ENOENT, NO_ID),
	REPLACE("C.1-6", replace_by_a_device_is_einval, -EINVAL, DEVICE),
	REPLACE("C.1-6", replace_by_a_viommu_is_einval, -EINVAL, VIOMMU),
	REPLACE("C.3-1", replace_by_a_page_table_is_taken, 0, PLAIN),
	REPLACE("C.3-1", replace_by_a_nested_page_table_is_taken, 0, NESTED),
	CASE("C.3-1,C.3-2", replace_moves_between_page_tables_and_address_spaces),
	CASE("C.3-3,C.2-3", replace_that_fails_leaves_the_old_page_table),
	CASE("C.3-4", refused_page_table_of_the_same_ioas_leaves_the_reservations),
	CASE("A.1-2e,C.6-1", nested_page_tables_hold_their_parent),
	CASE("C.6-2,H-14", nested_page_table_begins_with_its_data),
	CASE("A.1-2c,C.4-1,H-24", device_is_busy_and_its_handle_ends_it),
	CASE("C.4-2,H-24", handle_of_a_device_on_a_page_table_lets_go_of_it),
	CASE("C.4-3", device_that_cannot_be_attached_leaves_nothing),
	CASE("B.1-1,B.2-1,B.4-1", page_tables_of_an_ioas_all_have_its_maps),
	CASE("B.4-1", page_table_that_cannot_have_all_areas_has_none),
	CASE("B.4-2,A.18-5", detaching_lowers_the_alignment_and_drops_the_reservations),
	CASE("A.18-4,A.18-5,B.5-1b", alignment_is_the_largest_that_anything_wants),
	CASE("A.10-8g", huge_pages_with_page_tables_and_areas),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

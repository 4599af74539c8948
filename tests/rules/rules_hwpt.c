/* SPDX-License-Identifier: BSD-3-Clause */
/* IOMMU_HWPT_ALLOC and IOMMU_GET_HW_INFO where there are devices. */
#include "mock.h"

#include <string.h>

#define DATA_TYPE  IOMMU_HWPT_DATA_SELFTEST
#define OUR_DATA   .data_type = DATA_TYPE, .data_len = 8, .data_uptr = DATA
#define NOWHERE    UINT64_C(0x520000000000)
#define NO_DATA    WORLD_DATA(0)
#define IOTLB_DATA WORLD_DATA(IOMMU_TEST_IOTLB_DEFAULT, MOCK_IOMMUPT_DEFAULT)
#define HWPT_OF(rules, name, result, ...)                                                                              \
	IN_WORLD(rules, name, result, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, IOTLB_DATA, __VA_ARGS__)
#define HWPT(rules, name, result, ...) HWPT_OF(rules, name, result, .dev_id = DEVICE, __VA_ARGS__)
#define HWPT_PT(rules, name, result, pagetable, ...)                                                                   \
	IN_WORLD(rules, name, result, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc,                                              \
		 WORLD_DATA(IOMMU_TEST_IOTLB_DEFAULT, pagetable), .dev_id = DEVICE, __VA_ARGS__)

/* The flags that a page table on this object takes, as the results of each bit. */
static void expect_flags(struct rules *t, uint32_t device, uint32_t pt, uint32_t fault, bool data, uint32_t known)
{
	const struct iommu_hwpt_selftest words = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};

	for (int bit = 0; bit < 32; bit++) {
		struct iommu_hwpt_alloc c = {.flags = 1U << bit, .dev_id = device, .pt_id = pt, .fault_id = fault};

		if (data) {
			c.data_type = DATA_TYPE;
			c.data_len = sizeof(words);
			c.data_uptr = (uintptr_t)&words;
		}
		EXPECT(t, hwpt_try(t, &c), known >> bit & 1 ? 0 : -EOPNOTSUPP);
	}
}

static void flags_of_a_page_table_on_an_ioas(struct rules *t)
{
	struct world w;

	world_new(t, &w);
	expect_flags(t, OBJECT(&w, DEVICE), OBJECT(&w, IOAS), OBJECT(&w, FAULT), false, 0xf);
	expect_flags(t, OBJECT(&w, CLEAN), OBJECT(&w, IOAS), OBJECT(&w, FAULT), false, 0xd);
	world_close(t, &w);
}

static void flags_of_a_page_table_on_a_parent(struct rules *t)
{
	struct world w;

	world_new(t, &w);
	expect_flags(t, OBJECT(&w, DEVICE), OBJECT(&w, PARENT), OBJECT(&w, FAULT), true, 0xc);
	world_close(t, &w);
}

static void flags_of_a_page_table_on_a_viommu(struct rules *t)
{
	static const uint32_t refused[] = {IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0x10,
					   0x80000000};
	struct world w;
	uint32_t hwpt;

	world_new(t, &w);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		EXPECT(t, nested_try(t, OBJECT(&w, DEVICE), OBJECT(&w, VIOMMU), refused[i], 0, &hwpt), -EOPNOTSUPP);
	EXPECT(t,
	       nested_try(t, OBJECT(&w, DEVICE), OBJECT(&w, VIOMMU), IOMMU_HWPT_FAULT_ID_VALID, OBJECT(&w, FAULT),
			  &hwpt),
	       0);
	world_close(t, &w);
}

/* What is mapped, or allowed, where a page table of the mock IOMMU cannot have it. */
struct place_row {
	int result;
	uint64_t va, iova, length;
	struct iommu_iova_range allowed;
};

static void page_table_of_an_ioas_with_a_map(struct rules *t, const void *row)
{
	const struct place_row *r = row;
	uint32_t ioas = ioas_new(t);
	struct mock m = mock_new(t, ioas_new(t), 0), other;
	struct iommu_hwpt_alloc c = {.dev_id = m.device, .pt_id = ioas};

	memory_new(t);
	if (r->length)
		EXPECT(t, map_va_at(t, ioas, RW, r->va, r->iova, r->length), 0);
	if (r->allowed.last)
		EXPECT(t, allow(t, ioas, &r->allowed, 1), 0);
	uint32_t next = next_id(t);

	EXPECT(t, hwpt_try(t, &c), r->result);
	EXPECT(t, mock_attach(t, m.stdev, ioas), r->result);
	if (r->result) {
		EXPECT(t, mock_try(t, ioas, 0, &other), r->result);
		EXPECT(t, next_id(t), next);
		/* Nothing stays: neither the alignment nor a reservation. */
		expect_range(t, ioas, 0, U64_MAX);
		EXPECT_U64(t, alignment(t, ioas), 1);
		EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 0), 0);
		EXPECT(t, pasid_check(t, m.stdev, 0, m.hwpt), 0);
	}
	memory_free();
}

static void page_table_has_what_is_mapped_when_it_is_made(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct mock m = mock_new(t, ioas_new(t), 0);

	memory_new(t);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AP, 4 * PAGE), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 0), 0);
	uint32_t hwpt = hwpt_new(t, m.device, ioas, 0);

	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 1), 0);
	EXPECT(t, check_map(t, hwpt, AP, 4 * PAGE, MEMORY), 0);
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY + 4 * PAGE, AP + 4 * PAGE, PAGE), 0);
	EXPECT(t, check_map(t, hwpt, AP, 5 * PAGE, MEMORY), 0);
	EXPECT(t, unmap(t, ioas, AP, 4 * PAGE, NULL), 0);
	EXPECT(t, check_map(t, hwpt, AP, 4 * PAGE, MEMORY), -EINVAL);
	EXPECT(t, check_map(t, hwpt, AP + 4 * PAGE, PAGE, MEMORY + 4 * PAGE), 0);
	EXPECT(t, destroy(t, hwpt), 0);
	EXPECT(t, check_refs(t, MEMORY, 5 * PAGE, 0), 0);
	expect_bytes(t, ioas, PAGE);
	memory_free();
}

static void fault_queue_is_looked_up_last(struct rules *t)
{
	uint32_t ioas = ioas_new(t), bad = ioas_new(t);
	struct mock m = mock_new(t, ioas_new(t), 0);
	struct iommu_hwpt_alloc c = {
		.flags = IOMMU_HWPT_FAULT_ID_VALID, .dev_id = m.device, .pt_id = bad, .fault_id = NO_ID};

	EXPECT(t, map_at(t, bad, 0, PAGE), 0);
	EXPECT(t, hwpt_try(t, &c), -EADDRINUSE);
	c.pt_id = ioas;
	EXPECT(t, hwpt_try(t, &c), -ENOENT);
	c.fault_id = ioas;
	EXPECT(t, hwpt_try(t, &c), -ENOENT);
	/* The page table is undone. */
	expect_range(t, ioas, 0, U64_MAX);
	EXPECT(t, destroy(t, ioas), 0);
}

/* A.14 */
struct info_row {
	int result;
	uint32_t flags, type, length;
	uint64_t at;
	uint32_t device_flags;
	uint64_t caps;
	uint8_t pasid_log2;
};

static void hw_info(struct rules *t, const void *row)
{
	static const uint32_t whole[] = {0, IOMMU_HW_INFO_SELFTEST_REGVAL};
	const struct info_row *r = row;
	struct mock m = mock_new(t, ioas_new(t), r->device_flags);
	unsigned char out[16], expected[16];

	memset(out, 0xff, sizeof(out));
	memset(expected, 0xff, sizeof(expected));
	memset(expected, 0, r->length);
	memcpy(expected, whole, r->length < sizeof(whole) ? r->length : sizeof(whole));
	struct iommu_hw_info c = {.size = sizeof(c),
				  .flags = r->flags,
				  .dev_id = m.device,
				  .data_len = r->length,
				  .data_uptr = r->at ? r->at : (uintptr_t)out,
				  .in_data_type = r->type};

	EXPECT(t, call(t, IOMMU_GET_HW_INFO, &c), r->result);
	if (r->result)
		return;
	EXPECT(t, c.out_data_type, IOMMU_HW_INFO_TYPE_SELFTEST);
	EXPECT(t, c.data_len, 8);
	EXPECT_U64(t, c.out_capabilities, r->caps);
	EXPECT(t, c.out_max_pasid_log2, r->pasid_log2);
	EXPECT(t, memcmp(out, expected, sizeof(out)), 0);
}

static void hw_info_of_the_short_structure(struct rules *t)
{
	struct mock m = mock_new(t, ioas_new(t), MOCK_FLAGS_DEVICE_PASID);
	struct iommu_hw_info c = {.size = 32, .dev_id = m.device, .out_capabilities = 77};

	EXPECT(t, call(t, IOMMU_GET_HW_INFO, &c), 0);
	EXPECT(t, c.out_data_type, IOMMU_HW_INFO_TYPE_SELFTEST);
	EXPECT(t, c.out_max_pasid_log2, MOCK_PASID_WIDTH);
	EXPECT_U64(t, c.out_capabilities, 77);
}

#define CAPS .caps = IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED
#define INFO(rules, name, r, f, y, l, a, d, ...)                                                                       \
	ROW(rules, name, hw_info, struct info_row, .result = (r), .flags = (f), .type = (y), .length = (l), .at = (a), \
	    .device_flags = (d), __VA_ARGS__)
#define PLACE(rules, name, r, ...)                                                                                     \
	ROW(rules, name, page_table_of_an_ioas_with_a_map, struct place_row, .result = (r), __VA_ARGS__)
#define MAPPED(rules, name, r, a, i, l) PLACE(rules, name, r, .va = (a), .iova = (i), .length = (l))

static const struct rule_case cases[] = {
	HWPT("A.13-4", hwpt_on_nothing_is_einval, -EINVAL, .pt_id = NO_ID),
	HWPT("A.13-4", hwpt_on_id_0_is_einval, -EINVAL, .pt_id = 0),
	HWPT("A.13-4", hwpt_on_nothing_comes_before_unknown_flags, -EINVAL, .pt_id = NO_ID, .flags = 0x80000000),
	HWPT("A.13-4", hwpt_on_nothing_comes_before_unknown_data, -EINVAL, .pt_id = NO_ID, .data_type = 77,
	     .data_len = 8, .data_uptr = NOWHERE),
	HWPT("A.13-4b", hwpt_on_a_device_is_einval, -EINVAL, .pt_id = DEVICE),
	HWPT("A.13-4b", hwpt_on_a_test_device_is_einval, -EINVAL, .pt_id = STDEV),
	HWPT("A.13-4b", hwpt_on_a_fault_queue_is_einval, -EINVAL, .pt_id = FAULT),
	HWPT("A.13-4b", hwpt_on_a_nested_page_table_is_einval, -EINVAL, .pt_id = NESTED, OUR_DATA),
	HWPT("A.13-4b", hwpt_on_a_nested_page_table_comes_before_flags, -EINVAL, .pt_id = NESTED, .flags = 0x80000000,
	     OUR_DATA),
	HWPT_OF("A.13-3b", hwpt_device_comes_before_the_parent, -ENOENT, .dev_id = STDEV, .pt_id = NO_ID),
	CASE("A.13-5a,A.13-5b", flags_of_a_page_table_on_an_ioas),
	HWPT_OF("A.13-5b", hwpt_with_dirty_tracking_of_a_device_without_is_eopnotsupp, -EOPNOTSUPP, .dev_id = CLEAN,
		.pt_id = IOAS, .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING),
	HWPT("A.13-5c", hwpt_parent_with_faults_is_eopnotsupp, -EOPNOTSUPP, .pt_id = IOAS,
	     .flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID, .fault_id = FAULT),
	HWPT("A.13-5c", hwpt_parent_with_faults_comes_before_the_fault_queue, -EOPNOTSUPP, .pt_id = IOAS,
	     .flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_FAULT_ID_VALID, .fault_id = NO_ID),
	HWPT("A.13-5a", hwpt_parent_with_dirty_tracking_is_taken, 0, .pt_id = IOAS,
	     .flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING),
	HWPT("A.13-5a", hwpt_parent_with_pasid_is_taken, 0, .pt_id = IOAS,
	     .flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID),
	HWPT("A.13-5d", hwpt_on_an_ioas_takes_the_drivers_data, 0, .pt_id = IOAS, OUR_DATA),
	HWPT("A.13-5d", hwpt_on_an_ioas_takes_shorter_data, 0, .pt_id = IOAS, .data_type = DATA_TYPE, .data_len = 4,
	     .data_uptr = DATA),
	HWPT_PT("A.13-5d", hwpt_with_a_huge_page_table_is_taken, 0, MOCK_IOMMUPT_HUGE, .pt_id = IOAS, OUR_DATA),
	HWPT_PT("A.13-5d", hwpt_with_an_unknown_page_table_is_eopnotsupp, -EOPNOTSUPP, 9, .pt_id = IOAS, OUR_DATA),
	HWPT_PT("A.13-5d", hwpt_shorter_data_hides_an_unknown_page_table, 0, 9, .pt_id = IOAS, .data_type = DATA_TYPE,
		.data_len = 4, .data_uptr = DATA),
	HWPT("A.13-5d", hwpt_on_an_ioas_with_foreign_data_is_eopnotsupp, -EOPNOTSUPP, .pt_id = IOAS,
	     .data_type = IOMMU_HWPT_DATA_VTD_S1, .data_len = 8, .data_uptr = DATA),
	HWPT("A.13-5d", hwpt_on_an_ioas_with_unknown_data_is_eopnotsupp, -EOPNOTSUPP, .pt_id = IOAS, .data_type = 77,
	     .data_len = 8, .data_uptr = NOWHERE),
	HWPT("A.13-5d", hwpt_on_an_ioas_with_data_that_is_too_long_is_einval, -EINVAL, .pt_id = IOAS,
	     .data_type = DATA_TYPE, .data_len = 12, .data_uptr = DATA),
	HWPT("A.13-5d", hwpt_on_an_ioas_with_data_that_is_too_short_is_einval, -EINVAL, .pt_id = IOAS,
	     .data_type = DATA_TYPE, .data_len = 3, .data_uptr = DATA),
	HWPT("A.13-5d", hwpt_on_an_ioas_with_data_nowhere_is_efault, -EFAULT, .pt_id = IOAS, .data_type = DATA_TYPE,
	     .data_len = 8, .data_uptr = NOWHERE),
	MAPPED("A.13-5e", map_at_the_apertures_edges_is_taken, 0, MEMORY, AP, PAGE),
	MAPPED("A.13-5e", map_up_to_the_apertures_end_is_taken, 0, MEMORY, AP_LAST + 1 - PAGE, PAGE),
	MAPPED("A.13-5e", map_below_the_aperture_is_eaddrinuse, -EADDRINUSE, MEMORY, AP - PAGE, PAGE),
	MAPPED("A.13-5e", map_across_the_apertures_start_is_eaddrinuse, -EADDRINUSE, MEMORY, AP - PAGE, 2 * PAGE),
	MAPPED("A.13-5e", map_above_the_aperture_is_eaddrinuse, -EADDRINUSE, MEMORY, AP_LAST + 1, PAGE),
	MAPPED("A.13-5e", map_across_the_apertures_end_is_eaddrinuse, -EADDRINUSE, MEMORY, AP_LAST + 1 - PAGE,
	       2 * PAGE),
	PLACE("A.13-5e", allowed_range_in_the_aperture_is_taken, 0, .allowed = {AP, AP_LAST}),
	PLACE("A.13-5e", allowed_range_below_the_aperture_is_eaddrinuse, -EADDRINUSE, .allowed = {0, AP - 1}),
	PLACE("A.13-5e", allowed_range_across_the_apertures_end_is_eaddrinuse, -EADDRINUSE,
	      .allowed = {AP, AP_LAST + 1}),
	MAPPED("A.13-5f", map_of_half_a_page_is_taken, 0, MEMORY + HALF, AP + HALF, HALF),
	MAPPED("A.13-5f", map_of_a_misaligned_length_is_eaddrinuse, -EADDRINUSE, MEMORY, AP, PAGE + 1),
	MAPPED("A.13-5f", map_at_a_misaligned_iova_is_eaddrinuse, -EADDRINUSE, MEMORY, AP + 0x400, HALF),
	MAPPED("A.13-5f", map_of_a_misaligned_address_is_eaddrinuse, -EADDRINUSE, MEMORY + 0x400, AP, HALF),
	MAPPED("A.13-5f", misaligned_map_outside_of_the_aperture_is_eaddrinuse, -EADDRINUSE, MEMORY, AP - 1, 1),
	MAPPED("A.13-5g", map_of_no_memory_is_efault, -EFAULT, NOWHERE, AP, PAGE),
	MAPPED("A.13-5g", map_that_ends_where_no_memory_is_is_efault, -EFAULT, MEMORY + MEMORY_LENGTH - PAGE, AP,
	       2 * PAGE),
	MAPPED("A.13-5g", map_of_an_address_that_cannot_be_is_efault, -EFAULT, UINT64_C(0x8000000000000000), AP, PAGE),
	MAPPED("A.13-5e", reservation_comes_before_the_memory, -EADDRINUSE, NOWHERE, AP - PAGE, PAGE),
	CASE("A.13-5h", page_table_has_what_is_mapped_when_it_is_made),
	CASE("A.13-5i", flags_of_a_page_table_on_a_parent),
	HWPT("A.13-5i", nested_without_data_is_eopnotsupp, -EOPNOTSUPP, .pt_id = PARENT),
	HWPT("A.13-5i", nested_without_data_comes_before_the_parent, -EOPNOTSUPP, .pt_id = AUTO),
	HWPT("A.13-5i", nested_flags_come_before_the_parent, -EOPNOTSUPP, .pt_id = AUTO,
	     .flags = IOMMU_HWPT_ALLOC_NEST_PARENT, OUR_DATA),
	HWPT("A.13-5j", nested_on_an_automatic_page_table_is_einval, -EINVAL, .pt_id = AUTO, OUR_DATA),
	HWPT("A.13-5j", nested_on_a_page_table_that_is_no_parent_is_einval, -EINVAL, .pt_id = PLAIN, OUR_DATA),
	HWPT("A.13-5j", nested_parent_comes_before_the_data, -EINVAL, .pt_id = PLAIN, .data_type = DATA_TYPE,
	     .data_len = 8, .data_uptr = NOWHERE),
	HWPT("A.13-5k", nested_is_taken, 0, .pt_id = PARENT, OUR_DATA),
	HWPT("A.13-5k", nested_of_shorter_data_is_taken, 0, .pt_id = PARENT, .data_type = DATA_TYPE, .data_len = 4,
	     .data_uptr = DATA),
	HWPT("A.13-5k", nested_of_foreign_data_is_eopnotsupp, -EOPNOTSUPP, .pt_id = PARENT, .data_type = 77,
	     .data_len = 8, .data_uptr = DATA),
	HWPT("A.13-5k", nested_of_data_that_is_too_long_is_einval, -EINVAL, .pt_id = PARENT, .data_type = DATA_TYPE,
	     .data_len = 9, .data_uptr = DATA),
	HWPT("A.13-5k", nested_of_data_that_is_too_short_is_einval, -EINVAL, .pt_id = PARENT, .data_type = DATA_TYPE,
	     .data_len = 3, .data_uptr = DATA),
	HWPT("A.13-5k", nested_of_data_nowhere_is_efault, -EFAULT, .pt_id = PARENT, .data_type = DATA_TYPE,
	     .data_len = 8, .data_uptr = NOWHERE),
	HWPT("A.13-5k", nested_foreign_data_comes_before_its_memory, -EOPNOTSUPP, .pt_id = PARENT, .data_type = 77,
	     .data_len = 8, .data_uptr = NOWHERE),
	CASE("A.13-5l", flags_of_a_page_table_on_a_viommu),
	HWPT("A.13-5l", hwpt_on_a_viommu_is_taken, 0, .pt_id = VIOMMU, OUR_DATA),
	HWPT("A.13-5l", hwpt_on_a_viommu_without_data_is_eopnotsupp, -EOPNOTSUPP, .pt_id = VIOMMU),
	HWPT("A.13-5l", hwpt_on_a_viommu_with_foreign_data_is_eopnotsupp, -EOPNOTSUPP, .pt_id = VIOMMU, .data_type = 77,
	     .data_len = 8, .data_uptr = DATA),
	HWPT("A.13-5l", hwpt_on_a_viommu_with_data_nowhere_is_efault, -EFAULT, .pt_id = VIOMMU, .data_type = DATA_TYPE,
	     .data_len = 8, .data_uptr = NOWHERE),
	HWPT("A.13-6", fault_queue_that_is_absent_is_enoent, -ENOENT, .pt_id = IOAS, .flags = IOMMU_HWPT_FAULT_ID_VALID,
	     .fault_id = NO_ID),
	HWPT("A.13-6", fault_queue_of_another_type_is_enoent, -ENOENT, .pt_id = IOAS,
	     .flags = IOMMU_HWPT_FAULT_ID_VALID, .fault_id = PARENT),
	HWPT("A.13-6", fault_queue_of_a_nested_page_table_that_is_absent_is_enoent, -ENOENT, .pt_id = PARENT,
	     .flags = IOMMU_HWPT_FAULT_ID_VALID, .fault_id = NO_ID, OUR_DATA),
	HWPT("A.13-6", fault_queue_comes_after_the_data, -EFAULT, .pt_id = PARENT, .flags = IOMMU_HWPT_FAULT_ID_VALID,
	     .fault_id = NO_ID, .data_type = DATA_TYPE, .data_len = 8, .data_uptr = NOWHERE),
	CASE("A.13-6", fault_queue_is_looked_up_last),
	HWPT("A.13-6b", fault_queue_is_not_looked_at_without_its_flag, 0, .pt_id = IOAS, .fault_id = NO_ID),
	HWPT("A.13-1b", second_reserved_member_is_not_looked_at, 0, .pt_id = IOAS, .__reserved2 = 1),
	INFO("A.14-3a", info_of_a_device, 0, 0, 0, 8, 0, 0, CAPS),
	INFO("A.14-3a", info_of_a_device_without_dirty_tracking, 0, 0, 0, 8, 0, MOCK_FLAGS_DEVICE_NO_DIRTY,
	     .caps = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED),
	INFO("A.14-3a", info_of_a_device_with_pasids, 0, 0, 0, 8, 0, MOCK_FLAGS_DEVICE_PASID, CAPS,
	     .pasid_log2 = MOCK_PASID_WIDTH),
	INFO("A.14-3b", info_with_more_room_is_zero_filled, 0, 0, 0, 16, 0, 0, CAPS),
	INFO("A.14-3b", info_with_less_room_is_cut, 0, 0, 0, 4, 0, 0, CAPS),
	INFO("A.14-3b", info_with_room_for_part_of_a_word_is_cut, 0, 0, 0, 7, 0, 0, CAPS),
	INFO("A.14-3b", info_without_room_has_the_length, 0, 0, 0, 0, NOWHERE, 0, CAPS),
	INFO("A.14-3c", info_that_cannot_be_written_is_efault, -EFAULT, 0, 0, 8, NOWHERE, 0, CAPS),
	INFO("A.14-3d", info_of_the_type_that_is_there, 0, 1, IOMMU_HW_INFO_TYPE_SELFTEST, 8, 0, 0, CAPS),
	INFO("A.14-3d", info_of_the_default_type, 0, 1, 0, 8, 0, 0, CAPS),
	INFO("A.14-3d", info_of_another_type_is_eopnotsupp, -EOPNOTSUPP, 1, IOMMU_HW_INFO_TYPE_INTEL_VTD, 8, 0, 0,
	     CAPS),
	INFO("A.14-3d", info_of_another_type_comes_before_the_memory, -EOPNOTSUPP, 1, 77, 8, NOWHERE, 0, CAPS),
	INFO("A.14-3d", info_type_counts_only_with_its_flag, 0, 0, 77, 8, 0, 0, CAPS),
	IN_WORLD("A.14-2", info_of_a_page_table_is_enoent, -ENOENT, IOMMU_GET_HW_INFO, iommu_hw_info, NO_DATA,
		 .dev_id = PLAIN),
	IN_WORLD("A.14-2", info_of_a_test_device_is_enoent, -ENOENT, IOMMU_GET_HW_INFO, iommu_hw_info, NO_DATA,
		 .dev_id = STDEV),
	IN_WORLD("A.14-1", info_flags_come_before_the_device, -EOPNOTSUPP, IOMMU_GET_HW_INFO, iommu_hw_info, NO_DATA,
		 .flags = 2, .dev_id = NO_ID),
	CASE("A.14-3e", hw_info_of_the_short_structure),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

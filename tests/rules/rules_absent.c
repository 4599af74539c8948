/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of page tables, devices and virtual IOMMUs, as far as they show without any of these: what comes before
 * and at the lookup. */
#include "calls.h"

#include <string.h>
#include <sys/mman.h>

/* A structure, filled by the row, for a command. ioas: where the id of an IOAS goes in it (an offset, 0 none). */
struct absent_row {
	int result;
	unsigned long cmd;
	size_t ioas;
	size_t size;
	const void *arg;
};

static void call_with_absent_objects(struct rules *t, const void *row)
{
	const struct absent_row *r = row;
	uint64_t arg[8];
	uint32_t ioas = ioas_new(t);

	memcpy(arg, r->arg, r->size);
	if (r->ioas)
		memcpy((unsigned char *)arg + r->ioas, &ioas, sizeof(ioas));
	EXPECT(t, call(t, r->cmd, arg), r->result);
}

/* A.13: each flag, known or not, is looked at after the device. */
static void hwpt_alloc_looks_for_the_device_before_the_flags(struct rules *t)
{
	for (int bit = 0; bit < 32; bit++) {
		struct iommu_hwpt_alloc c = {
			.size = sizeof(c), .flags = 1U << bit, .dev_id = NO_ID, .pt_id = ioas_new(t)};

		EXPECT(t, call(t, IOMMU_HWPT_ALLOC, &c), -ENOENT);
	}
}

static void unknown_flags_come_before_the_object(struct rules *t)
{
	for (int bit = 0; bit < 32; bit++) {
		uint32_t flag = 1U << bit;
		struct iommu_hw_info info = {.size = sizeof(info), .flags = flag};
		struct iommu_hwpt_set_dirty_tracking set = {.size = sizeof(set), .flags = flag};
		struct iommu_hwpt_get_dirty_bitmap get = {.size = sizeof(get), .flags = flag};
		struct iommu_viommu_alloc viommu = {.size = sizeof(viommu), .flags = flag, .type = 1};
		struct iommu_veventq_alloc veventq = {
			.size = sizeof(veventq), .flags = flag, .type = 1, .veventq_depth = 1};
		struct iommu_hw_queue_alloc queue = {.size = sizeof(queue), .flags = flag, .type = 1, .length = PAGE};

		EXPECT(t, call(t, IOMMU_GET_HW_INFO, &info), flag == 1 ? -ENOENT : -EOPNOTSUPP);
		EXPECT(t, call(t, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), flag == 1 ? -ENOENT : -EOPNOTSUPP);
		EXPECT(t, call(t, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), flag == 1 ? -ENOENT : -EOPNOTSUPP);
		EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, &viommu), -EOPNOTSUPP);
		EXPECT(t, call(t, IOMMU_VEVENTQ_ALLOC, &veventq), -EOPNOTSUPP);
		EXPECT(t, call(t, IOMMU_HW_QUEUE_ALLOC, &queue), -EOPNOTSUPP);
	}
}

/* A.16: the number of requests that are done comes back on every path. */
static void invalidate_counts_its_requests_on_every_path(struct rules *t)
{
	static const struct iommu_hwpt_invalidate calls[] = {
		{.hwpt_id = NO_ID, .entry_num = 5, .__reserved = 1},
		{.hwpt_id = NO_ID, .entry_num = 5},
		{.hwpt_id = NO_ID, .entry_num = 5, .entry_len = 8, .data_uptr = 4096},
		{.hwpt_id = NO_ID, .entry_num = 0},
		{.hwpt_id = 1, .entry_num = 5, .entry_len = 8, .data_uptr = 4096},
	};
	static const int results[] = {-EOPNOTSUPP, -EINVAL, -ENOENT, -ENOENT, -EINVAL};

	EXPECT(t, ioas_new(t), 1);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct iommu_hwpt_invalidate c = calls[i];

		c.size = sizeof(c);
		/* What it says is not read, so the reply hides the errno where it cannot be written. */
		EXPECT(t, call(t, IOMMU_HWPT_INVALIDATE, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
		EXPECT(t, call(t, IOMMU_HWPT_INVALIDATE, &c), results[i]);
		EXPECT(t, c.entry_num, 0);
	}
}

static void invalidate_of_another_object_is_einval(struct rules *t)
{
	struct iommu_hwpt_invalidate c = {.size = sizeof(c), .hwpt_id = ioas_new(t)};
	uint32_t fault;
	int fd;

	EXPECT(t, call(t, IOMMU_HWPT_INVALIDATE, &c), -EINVAL);
	EXPECT(t, fault_new(t, &fault, &fd), 0);
	c.hwpt_id = fault;
	EXPECT(t, call(t, IOMMU_HWPT_INVALIDATE, &c), -EINVAL);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

#define ABSENT(rules, name, result, command, type, at, ...)                                                            \
	ROW(rules, name, call_with_absent_objects, struct absent_row, result, command, at, sizeof(struct type),        \
	    &(const struct type){.size = sizeof(struct type), __VA_ARGS__})
#define HWPT(rules, name, result, ...) ABSENT(rules, name, result, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, 0, __VA_ARGS__)
#define INFO(rules, name, result, ...) ABSENT(rules, name, result, IOMMU_GET_HW_INFO, iommu_hw_info, 0, __VA_ARGS__)
#define BITMAP(rules, name, result, ...)                                                                               \
	ABSENT(rules, name, result, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, 0, __VA_ARGS__)
#define TRACK(rules, name, result, ...)                                                                                \
	ABSENT(rules, name, result, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, 0, __VA_ARGS__)
#define INVALIDATE(rules, name, result, ...)                                                                           \
	ABSENT(rules, name, result, IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, 0, __VA_ARGS__)
#define VIOMMU(rules, name, result, ...)                                                                               \
	ABSENT(rules, name, result, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, 0, __VA_ARGS__)
#define VDEVICE(rules, name, result, ...)                                                                              \
	ABSENT(rules, name, result, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, 0, __VA_ARGS__)
#define VEVENTQ(rules, name, result, ...)                                                                              \
	ABSENT(rules, name, result, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, 0, __VA_ARGS__)
#define QUEUE(rules, name, result, ...)                                                                                \
	ABSENT(rules, name, result, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, 0, __VA_ARGS__)

static const struct rule_case cases[] = {
	HWPT("A.13-1a", hwpt_reserved_member_comes_before_the_data, -EOPNOTSUPP, .__reserved = 1, .data_len = 8),
	HWPT("A.13-1a", hwpt_reserved_member_comes_before_the_device, -EOPNOTSUPP, .__reserved = 1, .dev_id = NO_ID),
	HWPT("A.13-1b", hwpt_second_reserved_member_is_not_looked_at, -ENOENT, .__reserved2 = 1, .dev_id = NO_ID),
	HWPT("A.13-2", hwpt_length_without_data_is_einval, -EINVAL, .data_len = 8, .dev_id = NO_ID),
	HWPT("A.13-2", hwpt_data_without_a_length_is_einval, -EINVAL, .data_type = 1, .dev_id = NO_ID),
	HWPT("A.13-2", hwpt_unknown_data_without_a_length_is_einval, -EINVAL, .data_type = UINT32_MAX, .dev_id = NO_ID),
	HWPT("A.13-3", hwpt_data_with_a_length_reaches_the_device, -ENOENT, .data_type = 77, .data_len = 8,
	     .dev_id = NO_ID),
	HWPT("A.13-3", hwpt_of_an_absent_device_is_enoent, -ENOENT, .dev_id = NO_ID),
	ABSENT("A.13-3", hwpt_of_an_ioas_as_device_is_enoent, -ENOENT, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, 8,
	       .pt_id = 1),
	HWPT("A.13-3b", hwpt_device_comes_before_the_page_table, -ENOENT, .dev_id = NO_ID, .pt_id = NO_ID),
	CASE("A.13-3b", hwpt_alloc_looks_for_the_device_before_the_flags),
	CASE("A.14-1,A.15-1,A.15-4,A.17-5a,A.17-7a,A.17-8a", unknown_flags_come_before_the_object),
	INFO("A.14-1", info_first_reserved_byte_is_eopnotsupp, -EOPNOTSUPP, .__reserved = {1}),
	INFO("A.14-1", info_last_reserved_byte_is_eopnotsupp, -EOPNOTSUPP, .__reserved = {0, 0, 1}),
	INFO("A.14-2", info_of_an_absent_device_is_enoent, -ENOENT, .dev_id = NO_ID),
	INFO("A.14-2", info_input_type_is_looked_at_after_the_device, -ENOENT, .flags = 1, .in_data_type = 77,
	     .dev_id = NO_ID),
	ABSENT("A.14-2", info_of_an_ioas_is_enoent, -ENOENT, IOMMU_GET_HW_INFO, iommu_hw_info, 8, .flags = 0),
	TRACK("A.15-2", tracking_reserved_member_is_not_looked_at, -ENOENT, .__reserved = 1, .hwpt_id = NO_ID),
	TRACK("A.15-3", tracking_of_an_absent_page_table_is_enoent, -ENOENT, .flags = 1, .hwpt_id = NO_ID),
	ABSENT("A.15-3", tracking_of_an_ioas_is_enoent, -ENOENT, IOMMU_HWPT_SET_DIRTY_TRACKING,
	       iommu_hwpt_set_dirty_tracking, 8, .flags = 1),
	BITMAP("A.15-4", bitmap_reserved_member_is_eopnotsupp, -EOPNOTSUPP, .__reserved = 1),
	BITMAP("A.15-5", bitmap_of_an_absent_page_table_is_enoent, -ENOENT, .hwpt_id = NO_ID, .length = PAGE,
	       .page_size = PAGE),
	BITMAP("A.15-5", bitmap_page_table_comes_before_the_range, -ENOENT, .hwpt_id = NO_ID, .iova = U64_MAX,
	       .length = PAGE, .page_size = 0),
	ABSENT("A.15-5", bitmap_of_an_ioas_is_enoent, -ENOENT, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap,
	       4, .length = PAGE, .page_size = PAGE),
	INVALIDATE("A.16-1", invalidate_reserved_member_comes_first, -EOPNOTSUPP, .__reserved = 1, .entry_num = 1),
	INVALIDATE("A.16-2", invalidate_without_data_is_einval, -EINVAL, .entry_num = 1, .entry_len = 8),
	INVALIDATE("A.16-2", invalidate_without_a_length_is_einval, -EINVAL, .entry_num = 1, .data_uptr = 4096),
	INVALIDATE("A.16-2", invalidate_length_above_a_page_is_einval, -EINVAL, .entry_num = 1, .data_uptr = 4096,
		   .entry_len = 4097),
	INVALIDATE("A.16-2", invalidate_length_of_a_page_reaches_the_object, -ENOENT, .entry_num = 1, .data_uptr = 4096,
		   .entry_len = 4096),
	INVALIDATE("A.16-2", invalidate_too_many_requests_are_einval, -EINVAL, .entry_num = (1 << 19) + 1,
		   .data_uptr = 4096, .entry_len = 8),
	INVALIDATE("A.16-2", invalidate_most_requests_reach_the_object, -ENOENT, .entry_num = 1 << 19,
		   .data_uptr = 4096, .entry_len = 8),
	INVALIDATE("A.16-2b", invalidate_without_requests_needs_no_data, -ENOENT, .entry_num = 0, .entry_len = 5000),
	INVALIDATE("A.16-3", invalidate_of_an_absent_object_is_enoent, -ENOENT, .hwpt_id = NO_ID),
	CASE("A.16-4", invalidate_of_another_object_is_einval),
	CASE("A.16-5,A.16-6", invalidate_counts_its_requests_on_every_path),
	VIOMMU("A.17-5a", viommu_of_the_default_type_is_eopnotsupp, -EOPNOTSUPP, .type = 0, .dev_id = NO_ID),
	VIOMMU("A.17-5b", viommu_reserved_member_is_not_looked_at, -ENOENT, .type = 1, .__reserved = 1,
	       .dev_id = NO_ID),
	VIOMMU("A.17-5c", viommu_of_an_absent_device_is_enoent, -ENOENT, .type = 1, .dev_id = NO_ID, .hwpt_id = NO_ID),
	VIOMMU("A.17-5c", viommu_unknown_type_is_looked_at_after_the_device, -ENOENT, .type = 77, .dev_id = NO_ID),
	ABSENT("A.17-5c", viommu_of_an_ioas_as_device_is_enoent, -ENOENT, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, 12,
	       .type = 1),
	VDEVICE("A.17-6", vdevice_of_an_absent_viommu_is_enoent, -ENOENT, .viommu_id = NO_ID, .dev_id = NO_ID),
	VDEVICE("A.17-6", vdevice_may_have_any_virtual_id, -ENOENT, .viommu_id = NO_ID, .virt_id = U64_MAX),
	ABSENT("A.17-6", vdevice_of_an_ioas_is_enoent, -ENOENT, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, 4,
	       .dev_id = 1),
	VEVENTQ("A.17-7a", veventq_reserved_member_is_eopnotsupp, -EOPNOTSUPP, .type = 1, .veventq_depth = 1,
		.__reserved = 1),
	VEVENTQ("A.17-7a", veventq_of_the_default_type_is_eopnotsupp, -EOPNOTSUPP, .type = 0, .veventq_depth = 0),
	VEVENTQ("A.17-7b", veventq_of_depth_0_is_einval, -EINVAL, .type = 1, .veventq_depth = 0, .viommu_id = NO_ID),
	VEVENTQ("A.17-7b", veventq_that_is_too_deep_is_einval, -EINVAL, .type = 1, .veventq_depth = (1 << 19) + 1,
		.viommu_id = NO_ID),
	VEVENTQ("A.17-7c", veventq_of_the_largest_depth_reaches_the_viommu, -ENOENT, .type = 1,
		.veventq_depth = 1 << 19, .viommu_id = NO_ID),
	ABSENT("A.17-7c", veventq_of_an_ioas_is_enoent, -ENOENT, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, 8, .type = 1,
	       .veventq_depth = 1),
	QUEUE("A.17-8a", queue_of_the_default_type_is_eopnotsupp, -EOPNOTSUPP, .type = 0, .length = 0),
	QUEUE("A.17-8b", queue_of_length_0_is_einval, -EINVAL, .type = 1, .length = 0, .nesting_parent_iova = U64_MAX),
	QUEUE("A.17-8c", queue_that_wraps_is_eoverflow, -EOVERFLOW, .type = 1, .length = 2,
	      .nesting_parent_iova = U64_MAX, .viommu_id = NO_ID),
	QUEUE("A.17-8d", queue_that_ends_at_the_last_byte_reaches_the_viommu, -ENOENT, .type = 1, .length = 1,
	      .nesting_parent_iova = U64_MAX),
	QUEUE("A.17-8d", queue_of_an_absent_viommu_is_enoent, -ENOENT, .type = 1, .length = PAGE, .viommu_id = NO_ID),
	ABSENT("A.17-8d", queue_of_an_ioas_is_enoent, -ENOENT, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, 8, .type = 1,
	       .length = PAGE),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

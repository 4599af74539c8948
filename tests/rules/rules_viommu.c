/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual IOMMUs, virtual devices and their event queues; and the pages of a vIOMMU that a client can map. */
#define _GNU_SOURCE
#include "mock.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define NOWHERE UINT64_C(0x520000000000)
#define TYPE    IOMMU_VIOMMU_TYPE_SELFTEST
#define EVENTS  IOMMU_VEVENTQ_TYPE_SELFTEST
#define IN_DATA 0x12345678
#define VIRT    UINT64_C(0x99)
#define MMAPPED (2 * PAGE) /* what a vIOMMU of the test device lets its client map */
#define NEST    IOMMU_HWPT_ALLOC_NEST_PARENT

/* A device, a parent and a vIOMMU. */
struct virtual
{
	struct mock m;
	uint32_t parent, viommu;
};

static struct virtual virtual_new(struct rules *t)
{
	struct virtual v = {.m = mock_new(t, ioas_new(t), 0)};

	v.parent = hwpt_new(t, v.m.device, v.m.ioas, NEST);
	v.viommu = viommu_new(t, v.m.device, v.parent);
	return v;
}

static void viommu_answers_in_its_data(struct rules *t)
{
	struct mock m = mock_new(t, ioas_new(t), 0);
	struct iommu_viommu_selftest data = {.in_data = IN_DATA};
	struct iommu_viommu_alloc c = {.size = sizeof(c),
				       .type = TYPE,
				       .dev_id = m.device,
				       .hwpt_id = hwpt_new(t, m.device, m.ioas, NEST),
				       .data_len = sizeof(data),
				       .data_uptr = (uintptr_t)&data};

	EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, &c), 0);
	EXPECT(t, data.in_data, IN_DATA);
	EXPECT(t, data.out_data, IN_DATA);
	EXPECT_U64(t, data.out_mmap_length, MMAPPED);
	EXPECT(t, data.out_mmap_offset >= PAGE && data.out_mmap_offset % PAGE == 0, true);
	EXPECT(t, destroy(t, c.out_viommu_id), 0);
}

static void viommu_whose_data_cannot_be_written_is_efault(struct rules *t)
{
	struct mock m = mock_new(t, ioas_new(t), 0);
	const struct iommu_viommu_selftest data = {.in_data = IN_DATA};
	struct iommu_viommu_alloc c = {.size = sizeof(c),
				       .type = TYPE,
				       .dev_id = m.device,
				       .hwpt_id = hwpt_new(t, m.device, m.ioas, NEST),
				       .data_len = sizeof(data)};
	uint32_t next = next_id(t);

	c.data_uptr = (uintptr_t)place_at_end(t, &data, sizeof(data), PROT_READ);
	EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, &c), -EFAULT);
	EXPECT(t, next_id(t), next);
	EXPECT(t, destroy(t, c.hwpt_id), 0);
}

static void viommu_holds_its_parent_and_is_held_by_what_is_on_it(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t nested, vdevice, veventq;
	int fd;

	EXPECT(t, destroy(t, v.parent), -EBUSY);
	nested = nested_new(t, v.m.device, v.viommu);
	EXPECT(t, destroy(t, v.viommu), -EBUSY);
	EXPECT(t, destroy(t, nested), 0);
	vdevice = vdevice_new(t, v.viommu, v.m.device, VIRT);
	EXPECT(t, destroy(t, v.viommu), -EBUSY);
	EXPECT(t, destroy(t, vdevice), 0);
	EXPECT(t, veventq_try(t, v.viommu, EVENTS, 1, &veventq, &fd), 0);
	EXPECT(t, destroy(t, v.viommu), -EBUSY);
	EXPECT(t, destroy(t, veventq), -EBUSY);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, destroy(t, v.viommu), -EBUSY);
	EXPECT(t, destroy(t, veventq), 0);
	EXPECT(t, destroy(t, v.viommu), 0);
	EXPECT(t, destroy(t, v.parent), 0);
}

/* A.17: vDevices */
static void vdevice_is_the_only_one_of_its_device_and_of_its_number(struct rules *t)
{
	struct virtual v = virtual_new(t);
	struct mock m2 = mock_new(t, v.m.ioas, 0);
	uint32_t first, second, other = viommu_new(t, v.m.device, v.parent);

	EXPECT(t, vdevice_try(t, v.viommu, v.m.device, VIRT, &first), 0);
	EXPECT(t, vdevice_try(t, v.viommu, v.m.device, VIRT + 1, &second), -EEXIST);
	EXPECT(t, vdevice_try(t, other, v.m.device, VIRT, &second), -EEXIST);
	EXPECT(t, vdevice_try(t, v.viommu, m2.device, VIRT, &second), -EEXIST);
	EXPECT(t, vdevice_try(t, other, m2.device, VIRT, &second), 0);
	EXPECT(t, destroy(t, second), 0);
	EXPECT(t, vdevice_try(t, v.viommu, m2.device, VIRT | UINT64_C(1) << 40, &second), 0);
	EXPECT(t, destroy(t, first), 0);
	EXPECT(t, vdevice_try(t, v.viommu, v.m.device, VIRT, &first), 0);
}

static void vdevice_goes_with_its_device_and_its_id_does_not_come_back(struct rules *t)
{
	struct virtual v = virtual_new(t);
	struct mock other = mock_new(t, v.m.ioas, 0);
	uint32_t vdevice = vdevice_new(t, v.viommu, v.m.device, VIRT), id;

	EXPECT(t, destroy(t, v.m.stdev), 0);
	EXPECT(t, destroy(t, vdevice), -ENOENT);
	for (int i = 0; i < 8; i++)
		EXPECT(t, ioas_new(t) != vdevice, true);
	/* Its number can be used again, and its vIOMMU go. */
	EXPECT(t, vdevice_try(t, v.viommu, other.device, VIRT, &id), 0);
	EXPECT(t, id != vdevice, true);
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, destroy(t, v.viommu), 0);
	EXPECT(t, destroy(t, vdevice), -ENOENT);
}

static void vdevice_is_wanted_for_a_nested_page_table_of_a_viommu(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t nested = nested_new(t, v.m.device, v.viommu);

	EXPECT(t, mock_attach(t, v.m.stdev, nested), -ENOENT);
	EXPECT(t, pasid_check(t, v.m.stdev, 0, v.m.hwpt), 0);
	vdevice_new(t, v.viommu, v.m.device, VIRT);
	EXPECT(t, mock_attach(t, v.m.stdev, nested), 0);
	EXPECT(t, pasid_check(t, v.m.stdev, 0, nested), 0);
	EXPECT(t, destroy(t, nested), -EBUSY);
	EXPECT(t, mock_attach(t, v.m.stdev, v.m.ioas), 0);
	EXPECT(t, destroy(t, nested), 0);
}

static void page_table_of_a_viommu_takes_faults(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t fault, nested;
	int fd;
	struct iommu_hwpt_pgfault record;

	EXPECT(t, fault_new(t, &fault, &fd), 0);
	EXPECT(t, nested_try(t, v.m.device, v.viommu, IOMMU_HWPT_FAULT_ID_VALID, fault, &nested), 0);
	vdevice_new(t, v.viommu, v.m.device, VIRT);
	EXPECT(t, mock_attach(t, v.m.stdev, nested), 0);
	EXPECT(t, fault_trigger(t, v.m.device, 0, 1, AP), 0);
	EXPECT(t, transport_read(t->transport, fd, &record, sizeof(record)), sizeof(record));
	EXPECT(t, record.dev_id, v.m.device);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void cache_of_a_device(struct rules *t)
{
	struct virtual v = virtual_new(t);

	vdevice_new(t, v.viommu, v.m.device, VIRT);
	for (uint32_t i = 0; i < MOCK_DEV_CACHE_NUM; i++) {
		EXPECT(t, check_cache(t, v.m.device, i, IOMMU_TEST_DEV_CACHE_DEFAULT), 0);
		EXPECT(t, check_cache(t, v.m.device, i, 0), -EINVAL);
	}
	EXPECT(t, check_cache(t, v.m.device, MOCK_DEV_CACHE_NUM, IOMMU_TEST_DEV_CACHE_DEFAULT), -EINVAL);
}

/* A.17: queues of events */
static void veventq_is_the_only_one_of_its_type(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t id[3];
	int fd[3];

	EXPECT(t, veventq_try(t, v.viommu, EVENTS, 1, &id[0], &fd[0]), 0);
	EXPECT(t, veventq_try(t, v.viommu, EVENTS, 1, &id[1], &fd[1]), -EEXIST);
	EXPECT(t, veventq_try(t, v.viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1, &id[1], &fd[1]), 0);
	EXPECT(t, veventq_try(t, v.viommu, 77, 1 << 19, &id[2], &fd[2]), 0);
	EXPECT(t, transport_close(t->transport, fd[0]), 0);
	EXPECT(t, veventq_try(t, v.viommu, EVENTS, 1, &id[0], &fd[0]), -EEXIST);
	EXPECT(t, transport_close(t->transport, fd[1]), 0);
	EXPECT(t, destroy(t, id[1]), 0);
	EXPECT(t, veventq_try(t, v.viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1, &id[1], &fd[1]), 0);
	EXPECT(t, transport_close(t->transport, fd[1]), 0);
	EXPECT(t, transport_close(t->transport, fd[2]), 0);
}

static void veventq_is_of_its_viommu(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t other = viommu_new(t, v.m.device, v.parent), id;
	int fd[2];

	EXPECT(t, veventq_try(t, v.viommu, EVENTS, 1, &id, &fd[0]), 0);
	EXPECT(t, veventq_try(t, other, EVENTS, 1, &id, &fd[1]), 0);
	EXPECT(t, transport_close(t->transport, fd[0]), 0);
	EXPECT(t, transport_close(t->transport, fd[1]), 0);
}

static void veventq_whose_reply_cannot_be_written_is_undone(struct rules *t)
{
	struct virtual v = virtual_new(t);
	struct iommu_veventq_alloc c = {.size = sizeof(c), .viommu_id = v.viommu, .type = EVENTS, .veventq_depth = 1};
	uint32_t next = next_id(t);

	EXPECT(t, call(t, IOMMU_VEVENTQ_ALLOC, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, next_id(t), next);
	EXPECT(t, destroy(t, v.viommu), 0);
}

/* A.0.3 for each command that makes an object. */
static void replies_that_cannot_be_written_leave_no_object(struct rules *t)
{
	struct virtual v = virtual_new(t);
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .dev_id = v.m.device, .pt_id = v.m.ioas};
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu), .type = TYPE, .dev_id = v.m.device, .hwpt_id = v.parent};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice), .viommu_id = v.viommu, .dev_id = v.m.device, .virt_id = VIRT};
	struct iommu_hw_queue_alloc queue = {.size = sizeof(queue),
					     .viommu_id = v.viommu,
					     .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
					     .nesting_parent_iova = AP,
					     .length = PAGE};
	uint32_t next = next_id(t), id;

	memory_new(t);
	EXPECT(t, map_va_at(t, v.m.ioas, RW, MEMORY, AP, PAGE), 0);
	EXPECT(t, call(t, IOMMU_HWPT_ALLOC, place_at_end(t, &hwpt, sizeof(hwpt), PROT_READ)), -EFAULT);
	EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, place_at_end(t, &viommu, sizeof(viommu), PROT_READ)), -EFAULT);
	EXPECT(t, call(t, IOMMU_VDEVICE_ALLOC, place_at_end(t, &vdevice, sizeof(vdevice), PROT_READ)), -EFAULT);
	EXPECT(t, call(t, IOMMU_HW_QUEUE_ALLOC, place_at_end(t, &queue, sizeof(queue), PROT_READ)), -EFAULT);
	EXPECT(t, next_id(t), next);
	/* Nothing of them holds: neither the place of the vDevice nor that of the queue, nor the area. */
	EXPECT(t, vdevice_try(t, v.viommu, v.m.device, VIRT, &id), 0);
	EXPECT(t, unmap(t, v.m.ioas, AP, PAGE, NULL), 0);
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, destroy(t, v.viommu), 0);
	EXPECT(t, destroy(t, v.parent), 0);
	memory_free();
}

/* A.0.4 */
static void *mapped(struct rules *t, size_t length, int prot, int flags, uint64_t offset, int expected)
{
	void *at = NULL;

	return EXPECT(t, transport_mmap(t->transport, t->fd, length, prot, flags, (off_t)offset, &at), expected) &&
			       expected == 0
		       ? at
		       : NULL;
}

static uint64_t offered(struct rules *t, const struct virtual *v, uint32_t *viommu)
{
	struct iommu_viommu_selftest data = {.in_data = IN_DATA};
	struct iommu_viommu_alloc c = {.size = sizeof(c),
				       .type = TYPE,
				       .dev_id = v->m.device,
				       .hwpt_id = v->parent,
				       .data_len = sizeof(data),
				       .data_uptr = (uintptr_t)&data};

	EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, &c), 0);
	*viommu = c.out_viommu_id;
	return data.out_mmap_offset;
}

static void mmap_wants_the_whole_region(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t viommu;
	uint64_t offset = offered(t, &v, &viommu);

	mapped(t, MMAPPED, PROT_READ, MAP_PRIVATE, offset, -EINVAL);
	mapped(t, MMAPPED, PROT_READ | PROT_EXEC, MAP_PRIVATE, offset, -EINVAL);
	mapped(t, MMAPPED, PROT_READ | PROT_EXEC, MAP_SHARED, offset, -EPERM);
	mapped(t, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, offset + 64 * PAGE, -EPERM);
	mapped(t, PAGE, PROT_READ, MAP_SHARED, offset, -ENXIO);
	mapped(t, MMAPPED + PAGE, PROT_READ, MAP_SHARED, offset, -ENXIO);
	mapped(t, PAGE, PROT_READ, MAP_SHARED, offset + PAGE, -ENXIO);
	mapped(t, MMAPPED, PROT_READ, MAP_SHARED, offset + PAGE, -ENXIO);
	mapped(t, MMAPPED, PROT_READ, MAP_SHARED, 0, -ENXIO);
	EXPECT(t, destroy(t, viommu), 0);
	mapped(t, MMAPPED, PROT_READ, MAP_SHARED, offset, -ENXIO);
}

static void mmap_makes_its_owner_busy(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t viommu;
	uint64_t offset = offered(t, &v, &viommu);
	void *at = mapped(t, MMAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, offset, 0);
	void *again = mapped(t, MMAPPED, PROT_READ, MAP_SHARED, offset, 0);

	EXPECT(t, destroy(t, viommu), -EBUSY);
	EXPECT(t, munmap(at, MMAPPED), 0);
	EXPECT(t, destroy(t, viommu), -EBUSY);
	EXPECT(t, munmap(again, MMAPPED), 0);
	EXPECT(t, destroy(t, viommu), 0);
}

static void mmap_of_a_part_that_is_left_keeps_its_owner_busy(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t viommu;
	uint64_t offset = offered(t, &v, &viommu);
	unsigned char *at = mapped(t, MMAPPED, PROT_READ, MAP_SHARED, offset, 0);

	EXPECT(t, munmap(at, PAGE), 0);
	EXPECT(t, destroy(t, viommu), -EBUSY);
	EXPECT(t, munmap(at + PAGE, PAGE), 0);
	EXPECT(t, destroy(t, viommu), 0);
}

static void mmap_shows_the_same_memory(struct rules *t)
{
	struct virtual v = virtual_new(t);
	uint32_t first, second;
	uint64_t offset = offered(t, &v, &first), offset2 = offered(t, &v, &second);
	uint32_t *a = mapped(t, MMAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, offset, 0);
	uint32_t *b = mapped(t, MMAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, offset, 0);
	uint32_t *c = mapped(t, MMAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, offset2, 0);

	EXPECT(t, offset2 >= offset + MMAPPED || offset >= offset2 + MMAPPED, true);
	if (a && b && c) {
		a[1] = IN_DATA;
		EXPECT(t, b[1], IN_DATA);
		EXPECT(t, c[1] != IN_DATA, true);
		munmap(a, MMAPPED);
		munmap(b, MMAPPED);
		munmap(c, MMAPPED);
	}
	EXPECT(t, destroy(t, first), 0);
	EXPECT(t, destroy(t, second), 0);
}

#define IO_DATA WORLD_DATA(IN_DATA)
#define VIOMMUS(rules, name, result, dev, pt, ...)                                                                     \
	IN_WORLD(rules, name, result, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, IO_DATA, .dev_id = (dev),                \
		 .hwpt_id = (pt), __VA_ARGS__)
#define VDEVICES(rules, name, result, viommu, dev)                                                                     \
	IN_WORLD(rules, name, result, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, IO_DATA, .viommu_id = (viommu),        \
		 .dev_id = (dev), .virt_id = VIRT)
#define VEVENTQS(rules, name, result, viommu, ...)                                                                     \
	IN_WORLD(rules, name, result, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, IO_DATA, .viommu_id = (viommu),        \
		 __VA_ARGS__)

static const struct rule_case cases[] = {
	VIOMMUS("A.17-5a", viommu_flags_come_before_the_device, -EOPNOTSUPP, NO_ID, NO_ID, .type = TYPE, .flags = 1),
	VIOMMUS("A.17-5a", viommu_default_type_comes_before_the_device, -EOPNOTSUPP, NO_ID, NO_ID, .type = 0),
	VIOMMUS("A.17-5c", viommu_of_a_page_table_as_device_is_enoent, -ENOENT, PARENT, PARENT, .type = TYPE),
	VIOMMUS("A.17-5d", viommu_of_another_type_is_eopnotsupp, -EOPNOTSUPP, DEVICE, PARENT,
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3),
	VIOMMUS("A.17-5d", viommu_type_comes_before_the_parent, -EOPNOTSUPP, DEVICE, NO_ID,
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3),
	VIOMMUS("A.17-5e", viommu_on_nothing_is_enoent, -ENOENT, DEVICE, NO_ID, .type = TYPE),
	VIOMMUS("A.17-5e", viommu_on_an_ioas_is_enoent, -ENOENT, DEVICE, IOAS, .type = TYPE),
	VIOMMUS("A.17-5e", viommu_on_a_nested_page_table_is_enoent, -ENOENT, DEVICE, NESTED, .type = TYPE),
	VIOMMUS("A.17-5f", viommu_on_a_page_table_that_is_no_parent_is_einval, -EINVAL, DEVICE, PLAIN, .type = TYPE),
	VIOMMUS("A.17-5f", viommu_on_an_automatic_page_table_is_einval, -EINVAL, DEVICE, AUTO, .type = TYPE),
	VIOMMUS("A.17-5f", viommu_parent_comes_before_the_data, -EINVAL, DEVICE, PLAIN, .type = TYPE, .data_len = 24,
		.data_uptr = NOWHERE),
	VIOMMUS("A.17-5g", viommu_without_data_is_taken, 0, DEVICE, PARENT, .type = TYPE),
	VIOMMUS("A.17-5g", viommu_data_that_is_too_short_is_einval, -EINVAL, DEVICE, PARENT, .type = TYPE,
		.data_len = 4, .data_uptr = DATA),
	VIOMMUS("A.17-5g", viommu_data_that_is_too_long_is_einval, -EINVAL, DEVICE, PARENT, .type = TYPE,
		.data_len = 32, .data_uptr = DATA),
	VIOMMUS("A.17-5g", viommu_data_nowhere_is_efault, -EFAULT, DEVICE, PARENT, .type = TYPE, .data_len = 24,
		.data_uptr = NOWHERE),
	VIOMMUS("A.17-5b", viommu_with_the_reserved_member_is_taken, 0, DEVICE, PARENT, .type = TYPE, .__reserved = 1),
	CASE("A.17-5h", viommu_answers_in_its_data),
	CASE("A.17-5g", viommu_whose_data_cannot_be_written_is_efault),
	CASE("A.17-5i,A.1-2f,A.1-2e", viommu_holds_its_parent_and_is_held_by_what_is_on_it),
	VDEVICES("A.17-6", vdevice_of_a_page_table_is_enoent, -ENOENT, PARENT, DEVICE),
	VDEVICES("A.17-6b", vdevice_of_an_absent_device_is_enoent, -ENOENT, VIOMMU, NO_ID),
	VDEVICES("A.17-6b", vdevice_of_an_object_that_is_no_device_is_enoent, -ENOENT, VIOMMU, STDEV),
	VDEVICES("A.17-6", vdevice_of_nothing_at_all_is_enoent, -ENOENT, NO_ID, NO_ID),
	CASE("A.17-6c,A.17-6d,A.17-6e", vdevice_is_the_only_one_of_its_device_and_of_its_number),
	CASE("A.17-6f,A.0.2-8", vdevice_goes_with_its_device_and_its_id_does_not_come_back),
	CASE("C.2-5,C.9-1", vdevice_is_wanted_for_a_nested_page_table_of_a_viommu),
	CASE("C.7-18", page_table_of_a_viommu_takes_faults),
	CASE("H-16", cache_of_a_device),
	VEVENTQS("A.17-7a", veventq_flags_come_before_the_depth, -EOPNOTSUPP, VIOMMU, .flags = 1, .type = EVENTS),
	VEVENTQS("A.17-7b", veventq_depth_comes_before_the_viommu, -EINVAL, NO_ID, .type = EVENTS),
	VEVENTQS("A.17-7c", veventq_of_a_page_table_is_enoent, -ENOENT, PARENT, .type = EVENTS, .veventq_depth = 1),
	CASE("A.17-7d", veventq_is_the_only_one_of_its_type),
	CASE("A.17-7d", veventq_is_of_its_viommu),
	CASE("A.0.3-7", veventq_whose_reply_cannot_be_written_is_undone),
	CASE("A.0.3-7", replies_that_cannot_be_written_leave_no_object),
	CASE("A.0.4-1,A.0.4-2,A.0.4-3,A.0.4-4", mmap_wants_the_whole_region),
	CASE("A.0.4-5", mmap_makes_its_owner_busy),
	CASE("A.0.4-5", mmap_of_a_part_that_is_left_keeps_its_owner_busy),
	CASE("A.0.4-6", mmap_shows_the_same_memory),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

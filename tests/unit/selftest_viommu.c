/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtual IOMMU of the test device, and the end of everything, where the recordings of Linux do not look. */
#include "mock_system.h"

static int viommu_alloc(uint32_t device, uint32_t hwpt, struct iommu_viommu_selftest *data, uint32_t length,
			uint32_t *id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = device,
		.hwpt_id = hwpt,
		.data_len = length,
		.data_uptr = (uintptr_t)data,
	};
	int rc = call(IOMMU_VIOMMU_ALLOC, &cmd);

	*id = cmd.out_viommu_id;
	return rc;
}

static void a_virtual_iommu_has_two_pages_to_map(void)
{
	struct iommu_viommu_selftest data = {.in_data = 0x12345678};
	uint32_t ioas, parent, viommu;
	struct mock mock;
	void *at;

	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	parent = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	CHECK_EQ(viommu_alloc(mock.idev, parent, &data, 4, &viommu), -EINVAL);
	CHECK_EQ(viommu_alloc(mock.idev, parent, &data, sizeof(data) + 8, &viommu), -EINVAL);
	CHECK_EQ(viommu_alloc(mock.idev, parent, NULL, sizeof(data), &viommu), -EFAULT);
	CHECK_EQ(viommu_alloc(mock.idev, parent, &data, sizeof(data), &viommu), 0);
	CHECK_EQ(data.out_data, data.in_data);
	CHECK_EQ(data.out_mmap_offset, PAGE);
	CHECK_EQ(data.out_mmap_length, 2 * PAGE);
	CHECK_EQ(iommuse_mmap(system_, fd, PAGE, PROT_READ, MAP_SHARED, PAGE, &at), -ENXIO);
	CHECK_EQ(iommuse_mmap(system_, fd, 2 * PAGE, PROT_READ, MAP_SHARED, 2 * PAGE, &at), -ENXIO);
	CHECK_EQ(iommuse_mmap(system_, fd, 2 * PAGE, PROT_READ, MAP_PRIVATE, PAGE, &at), -EINVAL);
	if (!iommuse_mmap(system_, fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE, &at)) {
		CHECK_EQ(*(uint32_t *)at, data.in_data);
		CHECK_EQ(((uint32_t *)at)[1], 0);
		CHECK_EQ(destroy(viommu), -EBUSY);
		CHECK_EQ(munmap(at, 2 * PAGE), 0);
	} else {
		CHECK(!"cannot be mapped");
	}
	CHECK_EQ(destroy(viommu), 0);
	CHECK_EQ(iommuse_mmap(system_, fd, 2 * PAGE, PROT_READ, MAP_SHARED, PAGE, &at), -ENXIO);
	end();
}

static int hw_queue(uint32_t viommu, uint32_t index, uint32_t *id)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
		.index = index,
		.nesting_parent_iova = IOVA + 16,
		.length = PAGE - 16,
	};
	int rc = call(IOMMU_HW_QUEUE_ALLOC, &cmd);

	*id = cmd.out_hw_queue_id;
	return rc;
}

static void the_second_queue_needs_the_first(void)
{
	uint32_t ioas, parent, viommu, first, second, id;
	struct mock mock;

	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	CHECK_EQ(map(ioas, memory(PAGE), PAGE, IOVA), 0);
	parent = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	CHECK_EQ(viommu_alloc(mock.idev, parent, NULL, 0, &viommu), 0);
	CHECK_EQ(hw_queue(viommu, 1, &id), -EIO);
	CHECK_EQ(hw_queue(viommu, 2, &id), -EINVAL);
	CHECK_EQ(hw_queue(viommu, 0, &first), 0);
	CHECK_EQ(hw_queue(viommu, 0, &id), -EEXIST);
	CHECK_EQ(hw_queue(viommu, 1, &second), 0);
	CHECK_EQ(unmap(ioas, IOVA, PAGE), -EBUSY);
	CHECK_EQ(destroy(first), -EBUSY);
	CHECK_EQ(destroy(viommu), -EBUSY);
	CHECK_EQ(destroy(second), 0);
	/* As Linux's does: the first index is free, not the second. */
	CHECK_EQ(hw_queue(viommu, 1, &id), -EEXIST);
	CHECK_EQ(hw_queue(viommu, 0, &second), 0);
	CHECK_EQ(destroy(second), 0);
	CHECK_EQ(destroy(first), 0);
	CHECK_EQ(unmap(ioas, IOVA, PAGE), 0);
	CHECK_EQ(destroy(viommu), 0);
	end();
}

/* What it costs does not depend on its length. */
static void a_queue_may_be_long(void)
{
	const uint64_t length = UINT64_C(20) << 30;
	const struct iommu_hwpt_selftest huge = {.pagetable_type = MOCK_IOMMUPT_HUGE};
	int memfd = memfd_create("sparse", MFD_CLOEXEC);
	struct iommu_hwpt_alloc parent = {.size = sizeof(parent),
					  .flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
					  .data_type = IOMMU_HWPT_DATA_SELFTEST,
					  .data_len = sizeof(huge),
					  .data_uptr = (uintptr_t)&huge};
	struct iommu_hw_queue_alloc queue = {.size = sizeof(queue), .type = IOMMU_HW_QUEUE_TYPE_SELFTEST};
	uint32_t ioas;

	begin();
	CHECK_EQ(ftruncate(memfd, (off_t)length), 0);
	parent.dev_id = mock_domain(ioas_alloc(), 0).idev;
	ioas = parent.pt_id = ioas_alloc();
	CHECK_EQ(map_file(ioas, memfd, length, IOVA), 0);
	CHECK_EQ(map_file(ioas, memfd, PAGE, IOVA + length), 0);
	CHECK_EQ(call(IOMMU_HWPT_ALLOC, &parent), 0);
	CHECK_EQ(viommu_alloc(parent.dev_id, parent.out_hwpt_id, NULL, 0, &queue.viommu_id), 0);
	queue.nesting_parent_iova = IOVA;
	queue.length = length + 1;
	CHECK_EQ(call(IOMMU_HW_QUEUE_ALLOC, &queue), -EFAULT); /* the last page is of another map */
	queue.length = length + PAGE + 1;
	CHECK_EQ(call(IOMMU_HW_QUEUE_ALLOC, &queue), -ENOENT);
	queue.length = length;
	CHECK_EQ(call(IOMMU_HW_QUEUE_ALLOC, &queue), 0);
	CHECK_EQ(unmap(ioas, IOVA, length), -EBUSY);
	CHECK_EQ(destroy(queue.out_hw_queue_id), 0);
	CHECK_EQ(unmap(ioas, IOVA, length), 0);
	close(memfd);
	end();
}

static int invalidate(uint32_t id, const void *entries, uint32_t length, uint32_t *count)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = id,
		.data_uptr = (uintptr_t)entries,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, /* the number is that of a virtual IOMMU's as well */
		.entry_len = length,
		.entry_num = *count,
	};
	int rc = call(IOMMU_HWPT_INVALIDATE, &cmd);

	*count = cmd.entry_num;
	return rc;
}

static void invalidation_stops_at_what_is_wrong(void)
{
	struct iommu_hwpt_invalidate_selftest iotlb[3] = {{0, 1}, {2, 0}, {1, 0}};
	struct iommu_viommu_invalidate_selftest cache[3] = {{0, 0x99, 2}, {0, 0x77, 1}, {1, 0x99, 0}};
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = 0x99};
	uint32_t ioas, parent, viommu, nested, count;
	struct mock mock;

	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	parent = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	nested = hwpt_alloc(mock.idev, parent, 0, 1);
	count = 3;
	CHECK_EQ(invalidate(nested, iotlb, sizeof(*iotlb), &count), -EOPNOTSUPP);
	CHECK_EQ(count, 1);
	CHECK_EQ(OP(MD_CHECK_IOTLB, .id = 99, .check_iotlb = {.id = 4}), -EINVAL);
	CHECK_EQ(OP(MD_CHECK_IOTLB, .id = parent), -ENOENT);
	CHECK_EQ(OP(MD_CHECK_IOTLB, .id = nested, .check_iotlb = {1, 0}), 0);
	CHECK_EQ(OP(MD_CHECK_IOTLB, .id = nested, .check_iotlb = {0, IOMMU_TEST_IOTLB_DEFAULT}), 0);
	iotlb[1].flags = 0;
	iotlb[1].iotlb_id = 4;
	count = 3;
	CHECK_EQ(invalidate(nested, iotlb, sizeof(*iotlb), &count), -EINVAL);
	CHECK_EQ(count, 1);
	count = 1;
	CHECK_EQ(invalidate(nested, iotlb + 2, sizeof(*iotlb), &count), 0);
	CHECK_EQ(OP(MD_CHECK_IOTLB, .id = nested, .check_iotlb = {3, 0}), 0);
	count = 1;
	CHECK_EQ(invalidate(nested, iotlb, sizeof(*iotlb) + 4, &count), -EINVAL);

	CHECK_EQ(viommu_alloc(mock.idev, parent, NULL, 0, &viommu), 0);
	vdevice.viommu_id = viommu;
	vdevice.dev_id = mock.idev;
	CHECK_EQ(call(IOMMU_VDEVICE_ALLOC, &vdevice), 0);
	count = 3;
	CHECK_EQ(invalidate(viommu, cache, sizeof(*cache), &count), -EINVAL);
	CHECK_EQ(count, 1);
	CHECK_EQ(OP(DEV_CHECK_CACHE, .id = mock.stdev, .check_dev_cache = {2, 0}), -ENOENT);
	CHECK_EQ(OP(DEV_CHECK_CACHE, .id = mock.idev, .check_dev_cache = {2, 0}), 0);
	CHECK_EQ(OP(DEV_CHECK_CACHE, .id = mock.idev, .check_dev_cache = {4, 0}), -EINVAL);
	CHECK_EQ(OP(DEV_CHECK_CACHE, .id = mock.idev, .check_dev_cache = {0, IOMMU_TEST_DEV_CACHE_DEFAULT}), 0);
	count = 1;
	CHECK_EQ(invalidate(viommu, cache + 2, sizeof(*cache), &count), 0);
	CHECK_EQ(OP(DEV_CHECK_CACHE, .id = mock.idev, .check_dev_cache = {3, 0}), 0);
	/* All requests are read at once, each as a structure that may be longer or shorter. */
	count = 1;
	CHECK_EQ(invalidate(viommu, cache, sizeof(*cache) + 4, &count), 0);
	count = 2;
	CHECK_EQ(invalidate(viommu, cache, sizeof(*cache) + 4, &count), -E2BIG);
	CHECK_EQ(count, 0);
	count = 1;
	CHECK_EQ(invalidate(viommu, cache, 8, &count), 0);
	end();
}

static void events_need_a_virtual_device(void)
{
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = 0x99};
	struct iommu_veventq_alloc queue = {
		.size = sizeof(queue), .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 2};
	uint32_t ioas, parent, viommu, nested, record[3];
	struct mock mock;

	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	parent = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	CHECK_EQ(viommu_alloc(mock.idev, parent, NULL, 0, &viommu), 0);
	nested = hwpt_alloc(mock.idev, viommu, 0, 1);
	CHECK_EQ(OP(MOCK_DOMAIN_REPLACE, .id = mock.stdev, .mock_domain_replace.pt_id = nested), -ENOENT);
	CHECK_EQ(OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = 99), -ENOENT);
	CHECK_EQ(OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = mock.idev), -ENOENT);
	vdevice.viommu_id = viommu;
	vdevice.dev_id = mock.idev;
	CHECK_EQ(call(IOMMU_VDEVICE_ALLOC, &vdevice), 0);
	CHECK_EQ(OP(MOCK_DOMAIN_REPLACE, .id = mock.stdev, .mock_domain_replace.pt_id = nested), 0);
	CHECK_EQ(OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = mock.idev), -EOPNOTSUPP);
	queue.viommu_id = viommu;
	CHECK_EQ(call(IOMMU_VEVENTQ_ALLOC, &queue), 0);
	CHECK_EQ(OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = mock.idev), 0);
	CHECK_EQ(iommuse_read(system_, (int)queue.out_veventq_fd, record, sizeof(record)), 12);
	CHECK_EQ(record[2], 0x99);
	/* The number is the one that it was attached with. */
	CHECK_EQ(destroy(vdevice.out_vdevice_id), 0);
	CHECK_EQ(OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = mock.idev), 0);
	/* A refusal changes nothing. */
	CHECK_EQ(OP(MOCK_DOMAIN_REPLACE, .id = mock.stdev,
		    .mock_domain_replace.pt_id = hwpt_alloc(mock.idev, viommu, 0, 1)),
		 -ENOENT);
	CHECK_EQ(OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = mock.idev), 0);
	CHECK_EQ(OP(MOCK_DOMAIN_REPLACE, .id = mock.stdev, .mock_domain_replace.pt_id = ioas), 0);
	CHECK_EQ(OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = mock.idev), -ENOENT);
	end();
}

/* The iommufd goes with the last that pins it, whatever the order. */
static void files_close_in_any_order(void)
{
	for (unsigned order = 0; order < 8; order++) {
		struct iommu_fault_alloc fault = {.size = sizeof(fault)};
		struct iommu_veventq_alloc queue = {
			.size = sizeof(queue), .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 2};
		uint32_t ioas, parent, id;
		struct mock mock;
		int files[4];

		begin();
		ioas = ioas_alloc();
		mock = mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID);
		parent = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
		CHECK_EQ(viommu_alloc(mock.idev, parent, NULL, 0, &queue.viommu_id), 0);
		CHECK_EQ(call(IOMMU_VEVENTQ_ALLOC, &queue), 0);
		CHECK_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
		CHECK_EQ(map(ioas, memory(2 * PAGE), 2 * PAGE, IOVA), 0);
		CHECK_EQ(hw_queue(queue.viommu_id, 0, &id), 0);
		CHECK_EQ(hw_queue(queue.viommu_id, 1, &id), 0);
		files[0] = access_new(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
		CHECK_EQ(OP(ACCESS_PAGES, .id = (uint32_t)files[0], .access_pages = {.iova = IOVA, .length = 2 * PAGE}),
			 0);
		files[1] = (int)queue.out_veventq_fd;
		files[2] = OP(DMABUF_GET, .dmabuf_get.length = 1);
		CHECK_EQ(map_file(ioas, files[2], PAGE, IOVA + 8 * PAGE), 0);
		files[3] = (int)fault.out_fault_fd;
		for (unsigned i = 0; i < 5; i++) {
			if (i == order % 5)
				CHECK_EQ(iommuse_close(system_, fd), 0);
			if (i < 4)
				CHECK_EQ(iommuse_close(system_, files[order & 1 ? 3 - i : i]), 0);
		}
		end();
	}
}

int main(void)
{
	a_virtual_iommu_has_two_pages_to_map();
	the_second_queue_needs_the_first();
	a_queue_may_be_long();
	invalidation_stops_at_what_is_wrong();
	events_need_a_virtual_device();
	files_close_in_any_order();
	return check_result();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The test device, where the recordings of Linux do not look: the order of errors, roll-back, dma-bufs. */
#include "iommufd/selftest.h"
#include "client/memory.h"
#include "fake_client.h"

#include "mock_system.h"

static void ops_that_are_not_there(void)
{
	struct iommu_test_cmd cmd = {0};

	begin();
	CHECK_EQ(op(0, &cmd), -EOPNOTSUPP);
	CHECK_EQ(op(IOMMU_TEST_OP_DMABUF_REVOKE + 1, &cmd), -EOPNOTSUPP);
	CHECK_EQ(op(UINT32_MAX, &cmd), -EOPNOTSUPP);
	CHECK_EQ(OP(SET_TEMP_MEMORY_LIMIT, .memory_limit.limit = 11), -EINVAL);
	CHECK_EQ(OP(SET_TEMP_MEMORY_LIMIT, .memory_limit.limit = 12), 0);
	end();
}

static void reserving_checks_the_range_before_the_id(void)
{
	uint32_t ioas;

	begin();
	ioas = ioas_alloc();
	CHECK_EQ(OP(ADD_RESERVED, .id = 99, .add_reserved = {0, 0}), -EINVAL);
	CHECK_EQ(OP(ADD_RESERVED, .id = 99, .add_reserved = {UINT64_MAX, 2}), -EOVERFLOW);
	CHECK_EQ(OP(ADD_RESERVED, .id = 99, .add_reserved = {0, PAGE}), -ENOENT);
	CHECK_EQ(OP(ADD_RESERVED, .id = ioas, .add_reserved = {UINT64_MAX, 1}), 0);
	CHECK_EQ(OP(ADD_RESERVED, .id = ioas, .add_reserved = {0, PAGE}), 0);
	CHECK_EQ(map(ioas, memory(PAGE), PAGE, 0), -EINVAL);
	end();
}

static void a_mock_device_that_fails_leaves_no_id(void)
{
	uint32_t ioas;
	struct mock mock;

	begin();
	ioas = ioas_alloc();
	CHECK_EQ(OP(MOCK_DOMAIN_FLAGS, .id = 99, .mock_domain_flags.dev_flags = 2), -EINVAL);
	CHECK_EQ(OP(MOCK_DOMAIN, .id = 99), -ENOENT);
	CHECK_EQ(call(IOMMU_TEST_CMD, read_only(IOMMU_TEST_OP_MOCK_DOMAIN, (struct iommu_test_cmd){.id = ioas})),
		 -EFAULT);
	CHECK_EQ(ioas_alloc(), ioas + 1);
	CHECK_EQ(destroy(ioas + 1), 0);
	mock = mock_domain(ioas, 0);
	CHECK_EQ(mock.stdev, ioas + 1);
	CHECK_EQ(mock.idev, ioas + 2);
	CHECK_EQ(mock.hwpt, ioas + 3);
	CHECK_EQ(destroy(mock.idev), -EBUSY);
	CHECK_EQ(destroy(mock.hwpt), -EBUSY);
	CHECK_EQ(destroy(ioas), -EBUSY);
	CHECK_EQ(destroy(mock.stdev), 0);
	CHECK_EQ(destroy(mock.idev), -ENOENT);
	CHECK_EQ(destroy(mock.hwpt), -ENOENT);
	CHECK_EQ(destroy(ioas), 0);
	end();
}

static void accesses_are_named_by_descriptor(void)
{
	static const uint32_t numbers[] = {
		IOMMU_TEST_OP_ACCESS_PAGES,
		IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
		IOMMU_TEST_OP_ACCESS_RW,
		IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
	};
	uint32_t ioas;
	int access;

	begin();
	ioas = ioas_alloc();
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		CHECK_EQ(op(numbers[i], &(struct iommu_test_cmd){.id = 9999}), -EBADFD);
		CHECK_EQ(op(numbers[i], &(struct iommu_test_cmd){.id = UINT32_MAX}), -EBADFD);
		CHECK_EQ(op(numbers[i], &(struct iommu_test_cmd){.id = 0}), -EBADFD);
		CHECK_EQ(op(numbers[i], &(struct iommu_test_cmd){.id = (uint32_t)fd}), -EBADFD);
	}
	CHECK_EQ(OP(CREATE_ACCESS, .id = 99, .create_access.flags = 2), -EOPNOTSUPP);
	CHECK_EQ(OP(CREATE_ACCESS, .id = 99), -ENOENT);
	CHECK_EQ(call(IOMMU_TEST_CMD, read_only(IOMMU_TEST_OP_CREATE_ACCESS, (struct iommu_test_cmd){.id = ioas})),
		 -EFAULT);
	CHECK_EQ(destroy(ioas), 0);

	ioas = ioas_alloc();
	access = access_new(ioas, 0);
	CHECK_EQ(destroy(ioas), -EBUSY);
	CHECK_EQ(destroy(ioas + 1), -EBUSY); /* the access */
	CHECK_EQ(OP(ACCESS_REPLACE_IOAS, .id = (uint32_t)access, .access_replace_ioas.ioas_id = 0), -ENOENT);
	CHECK_EQ(OP(ACCESS_REPLACE_IOAS, .id = (uint32_t)access, .access_replace_ioas.ioas_id = ioas), 0);
	CHECK_EQ(iommuse_close(system_, access), 0);
	CHECK_EQ(destroy(ioas + 1), -ENOENT);
	CHECK_EQ(destroy(ioas), 0);
	end();
}

static void errors_of_access_ops_in_order(void)
{
	char *at = memory(4 * PAGE);
	uint32_t ioas, plain, pinning;

	begin();
	ioas = ioas_alloc();
	plain = (uint32_t)access_new(ioas, 0);
	pinning = (uint32_t)access_new(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	CHECK_EQ(map(ioas, at, 2 * PAGE, IOVA), 0);

	CHECK_EQ(OP(ACCESS_PAGES, .id = 9999, .access_pages = {.flags = 8, .length = (16ULL << 20) + 1}), -ENOMEM);
	CHECK_EQ(OP(ACCESS_PAGES, .id = 9999, .access_pages = {.flags = 8, .length = 1}), -EOPNOTSUPP);
	CHECK_EQ(OP(ACCESS_PAGES, .id = plain, .access_pages = {.iova = IOVA, .length = 1}), -EOPNOTSUPP);
	CHECK_EQ(OP(ACCESS_PAGES, .id = pinning, .access_pages = {.iova = IOVA, .length = 0}), -EINVAL);
	CHECK_EQ(OP(ACCESS_PAGES, .id = pinning, .access_pages = {.iova = UINT64_MAX, .length = 2}), -EOVERFLOW);
	CHECK_EQ(OP(ACCESS_PAGES, .id = pinning, .access_pages = {.iova = IOVA, .length = 3 * PAGE}), -ENOENT);
	CHECK_EQ(OP(ACCESS_PAGES, .id = pinning,
		    .access_pages = {.iova = IOVA, .length = PAGE, .uptr = (uintptr_t)at + 2 * PAGE}),
		 -EBADE);
	CHECK_EQ(OP(ACCESS_PAGES, .id = pinning, .access_pages = {.iova = IOVA, .length = PAGE, .uptr = PAGE}),
		 -EFAULT);
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {.length = 2 * PAGE, .uptr = (uintptr_t)at, .refs = 0}), 0);

	CHECK_EQ(OP(ACCESS_RW, .id = 9999, .access_rw = {.flags = 2, .length = (16ULL << 20) + 1}), -ENOMEM);
	CHECK_EQ(OP(ACCESS_RW, .id = 9999, .access_rw = {.flags = 2}), -EOPNOTSUPP);
	CHECK_EQ(OP(ACCESS_RW, .id = plain, .access_rw = {.iova = IOVA, .flags = 1, .length = 1}), -EFAULT);
	CHECK_EQ(OP(ACCESS_RW, .id = plain, .access_rw = {.iova = IOVA, .length = 1}), -EFAULT);
	CHECK_EQ(OP(ACCESS_RW, .id = plain, .access_rw = {.iova = IOVA, .length = 0}), -EINVAL);
	end();
}

static void what_is_pinned_has_ids_of_its_access(void)
{
	char *at = memory(4 * PAGE);
	struct iommu_test_cmd cmd;
	uint32_t ioas, access;

	begin();
	ioas = ioas_alloc();
	access = (uint32_t)access_new(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	CHECK_EQ(map(ioas, at, 4 * PAGE, IOVA), 0);
	for (uint32_t id = 0; id < 3; id++) {
		cmd = (struct iommu_test_cmd){.id = access,
					      .access_pages = {.flags = MOCK_FLAGS_ACCESS_WRITE,
							       .iova = IOVA + PAGE,
							       .length = PAGE + 5,
							       .uptr = (uintptr_t)at + PAGE}};
		CHECK_EQ(op(IOMMU_TEST_OP_ACCESS_PAGES, &cmd), 0);
		CHECK_EQ(cmd.access_pages.out_access_pages_id, id);
	}
	/* Pages are pinned once. */
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {.length = 2 * PAGE, .uptr = (uintptr_t)at + PAGE, .refs = 1}), 0);
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {.length = PAGE, .uptr = (uintptr_t)at, .refs = 0}), 0);
	CHECK_EQ(OP(DESTROY_ACCESS_PAGES, .id = access, .destroy_access_pages.access_pages_id = 3), -ENOENT);
	CHECK_EQ(OP(DESTROY_ACCESS_PAGES, .id = access, .destroy_access_pages.access_pages_id = 1), 0);
	CHECK_EQ(OP(DESTROY_ACCESS_PAGES, .id = access, .destroy_access_pages.access_pages_id = 1), -ENOENT);
	/* An area by number, and an offset in it. */
	cmd = (struct iommu_test_cmd){
		.id = access,
		.access_pages = {.flags = MOCK_FLAGS_ACCESS_SYZ, .iova = PAGE << 32, .length = 1, .uptr = 0}};
	CHECK_EQ(op(IOMMU_TEST_OP_ACCESS_PAGES, &cmd), 0);
	cmd.access_pages.iova = 1;
	CHECK_EQ(op(IOMMU_TEST_OP_ACCESS_PAGES, &cmd), -ENOENT);
	/* A reply that is not told. */
	CHECK_EQ(call(IOMMU_TEST_CMD,
		      read_only(IOMMU_TEST_OP_ACCESS_PAGES,
				(struct iommu_test_cmd){.id = access, .access_pages = {.iova = IOVA, .length = 1}})),
		 -EFAULT);
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {.length = PAGE, .uptr = (uintptr_t)at, .refs = 0}), 0);
	/* An unmap drops them. */
	CHECK_EQ(unmap(ioas, IOVA, 4 * PAGE), 0);
	CHECK_EQ(OP(DESTROY_ACCESS_PAGES, .id = access, .destroy_access_pages.access_pages_id = 0), -ENOENT);
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {.length = 4 * PAGE, .uptr = (uintptr_t)at, .refs = 0}), 0);
	end();
}

static void an_access_reads_and_writes_bytes(void)
{
	char *at = memory(2 * PAGE), in[300] = "hello", out[300] = {0};
	uint32_t ioas, access;

	begin();
	ioas = ioas_alloc();
	access = (uint32_t)access_new(ioas, 0);
	CHECK_EQ(map(ioas, at, 2 * PAGE, IOVA), 0);
	CHECK_EQ(OP(ACCESS_RW, .id = access,
		    .access_rw = {.iova = IOVA + PAGE - 3, .length = sizeof(in), .uptr = (uintptr_t)in, .flags = 1}),
		 0);
	CHECK(!memcmp(at + PAGE - 3, in, sizeof(in)));
	CHECK_EQ(OP(ACCESS_RW, .id = access,
		    .access_rw = {.iova = IOVA + PAGE - 3, .length = sizeof(in), .uptr = (uintptr_t)out, .flags = 4}),
		 0);
	CHECK(!memcmp(out, in, sizeof(in)));
	/* The file of another iommufd serves as well: it is the access's own that counts. */
	CHECK_EQ(iommuse_ioctl(system_, iommuse_open(system_, "/dev/iommu", O_RDWR), IOMMU_TEST_CMD,
			       (uintptr_t) &
				       (struct iommu_test_cmd){
					       .size = sizeof(struct iommu_test_cmd),
					       .op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
					       .id = access,
					       .access_replace_ioas.ioas_id = ioas,
				       }),
		 0);
	end();
}

static int check_map(uint32_t hwpt, uint64_t iova, uint64_t length, const void *va)
{
	return OP(MD_CHECK_MAP, .id = hwpt,
		  .check_map = {.iova = iova, .length = length, .uptr = (uint64_t)(uintptr_t)va});
}

static void check_map_tells_memory_apart(void)
{
	char *at = memory(8 * PAGE);
	struct mock mock;
	uint32_t ioas;

	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	CHECK_EQ(map(ioas, at, 4 * PAGE, IOVA), 0);
	CHECK_EQ(check_map(99, IOVA + 1, PAGE, at), -EINVAL);
	CHECK_EQ(check_map(99, IOVA, 1, at), -EINVAL);
	CHECK_EQ(check_map(99, IOVA, PAGE, at + 1), -EINVAL);
	CHECK_EQ(check_map(99, IOVA, PAGE, (void *)-2048L), -EINVAL);
	CHECK_EQ(check_map(99, IOVA, PAGE, at), -ENOENT);
	CHECK_EQ(check_map(mock.idev, IOVA, PAGE, at), -ENOENT);
	CHECK_EQ(check_map(mock.hwpt, IOVA, 0, at), 0);
	CHECK_EQ(check_map(mock.hwpt, IOVA, 4 * PAGE, at), 0);
	CHECK_EQ(check_map(mock.hwpt, IOVA + 2048, 2048, at + 2048), 0);
	CHECK_EQ(check_map(mock.hwpt, IOVA + 2048, 2048, at), -EINVAL);
	CHECK_EQ(check_map(mock.hwpt, IOVA, 5 * PAGE, at), -EINVAL);
	CHECK_EQ(check_map(mock.hwpt, IOVA, PAGE, at + PAGE), -EINVAL);
	CHECK_EQ(check_map(mock.hwpt, IOVA, PAGE, NULL), -EFAULT);
	end();
}

static void pins_are_counted_in_all_iommufds(void)
{
	char *at = memory(2 * PAGE);
	int first;

	begin();
	first = fd;
	for (unsigned i = 1; i < 4; i++) {
		uint32_t ioas;

		if (i > 1)
			fd = iommuse_open(system_, "/dev/iommu", O_RDWR);
		ioas = ioas_alloc();
		mock_domain(ioas, 0);
		CHECK_EQ(map(ioas, at, PAGE, IOVA), 0);
		CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {PAGE, (uintptr_t)at, i}), 0);
		CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {2 * PAGE, (uintptr_t)at, i}), -EIO);
	}
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {PAGE, (uintptr_t)at + 1, 0}), -EINVAL);
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {1, (uintptr_t)at, 0}), -EINVAL);
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {PAGE, 0, 0}), -EFAULT);
	CHECK_EQ(iommuse_close(system_, first), 0);
	CHECK_EQ(OP(MD_CHECK_REFS, .check_refs = {PAGE, (uintptr_t)at, 2}), 0);
	end();
}

static int pasid_op(uint32_t number, uint32_t stdev, uint32_t pasid, uint32_t pt)
{
	return op(number, &(struct iommu_test_cmd){.id = stdev, .pasid_attach = {.pasid = pasid, .pt_id = pt}});
}

static void every_second_domain_on_the_reserved_pasid_is_refused(void)
{
	const uint32_t pasid = IOMMU_TEST_PASID_RESERVED;
	uint32_t ioas, first, second;
	struct mock mock;

	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID);
	first = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_PASID, 0);
	second = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_PASID, 0);
	CHECK_EQ(OP(MOCK_DOMAIN_REPLACE, .id = mock.stdev, .mock_domain_replace.pt_id = first), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, mock.stdev, pasid, 0), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, mock.stdev, pasid, first), -EINVAL);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, mock.stdev, pasid, 99), -ENOENT);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, 99, pasid, 0), -ENOENT);

	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_ATTACH, mock.stdev, pasid, first), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_REPLACE, mock.stdev, pasid, second), -ENOMEM);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, mock.stdev, pasid, first), 0);
	CHECK_EQ(destroy(first), -EBUSY);
	CHECK_EQ(destroy(second), 0);
	second = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_PASID, 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_REPLACE, mock.stdev, pasid, second), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, mock.stdev, pasid, second), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_DETACH, mock.stdev, pasid, 0), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, mock.stdev, pasid, 0), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_ATTACH, mock.stdev, pasid, first), 0);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_DETACH, mock.stdev, pasid, 0), 0);

	/* A reply that is not told undoes an attach. */
	CHECK_EQ(
		call(IOMMU_TEST_CMD, read_only(IOMMU_TEST_OP_PASID_ATTACH,
					       (struct iommu_test_cmd){.id = mock.stdev,
								       .pasid_attach = {.pasid = 7, .pt_id = second}})),
		-EFAULT);
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_CHECK_HWPT, mock.stdev, 7, 0), 0);
	/* What is attached goes with the device. */
	CHECK_EQ(pasid_op(IOMMU_TEST_OP_PASID_ATTACH, mock.stdev, 7, second), 0);
	CHECK_EQ(destroy(second), -EBUSY);
	CHECK_EQ(destroy(mock.stdev), 0);
	CHECK_EQ(destroy(second), 0);
	CHECK_EQ(destroy(first), 0);
	end();
}

static void a_dma_buf_can_be_revoked(void)
{
	uint32_t ioas;
	int buf, old, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char byte;

	begin();
	ioas = ioas_alloc();
	mock_domain(ioas, 0);
	CHECK_EQ(OP(DMABUF_GET, .dmabuf_get.length = 0), -EINVAL);
	CHECK_EQ(OP(DMABUF_GET, .dmabuf_get.length = 512 * PAGE + 1), -EINVAL);
	CHECK_EQ(OP(DMABUF_GET, .dmabuf_get.length = UINT32_MAX), -EINVAL);
	buf = OP(DMABUF_GET, .dmabuf_get.length = 2 * PAGE - 1);
	CHECK(buf > fd);
	CHECK_EQ(iommuse_read(system_, buf, &byte, 1), -EINVAL);
	CHECK_EQ(map_file(ioas, buf, 3 * PAGE, IOVA), -EINVAL);
	CHECK_EQ(map_file(ioas, buf, 2 * PAGE, IOVA), 0);
	CHECK_EQ(OP(DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = -1}), -EBADF);
	CHECK_EQ(OP(DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = null}), -EINVAL);
	CHECK_EQ(OP(DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = fd}), -EINVAL);
	CHECK_EQ(OP(DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = buf, .revoked = 1}), 0);
	CHECK_EQ(map_file(ioas, buf, 2 * PAGE, IOVA + 4 * PAGE), -ENODEV);
	CHECK_EQ(OP(DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = buf, .revoked = 0}), 0);
	CHECK_EQ(map_file(ioas, buf, 2 * PAGE, IOVA + 4 * PAGE), 0);
	/* What was mapped stays an area. */
	CHECK_EQ(map_file(ioas, buf, 2 * PAGE, IOVA), -EEXIST);
	CHECK_EQ(unmap(ioas, IOVA, 2 * PAGE), 0);
	/* The memory is there as long as it is mapped. */
	old = buf;
	CHECK_EQ(iommuse_close(system_, buf), 0);
	CHECK_EQ(OP(DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = old}), -EBADF);
	CHECK_EQ(unmap(ioas, IOVA + 4 * PAGE, 2 * PAGE), 0);
	/* It is a file of the system, whichever iommufd made it. */
	buf = OP(DMABUF_GET, .dmabuf_get.length = 1);
	fd = iommuse_open(system_, "/dev/iommu", O_RDWR);
	CHECK_EQ(OP(DMABUF_REVOKE, .dmabuf_revoke = {.dmabuf_fd = buf, .revoked = 1}), 0);
	close(null);
	end();
}

static void what_is_marked_is_dirty(void)
{
	uint8_t bits[1] = {5}, out[1] = {0};
	struct iommu_hwpt_set_dirty_tracking on = {.size = sizeof(on), .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get), .iova = IOVA, .length = 4 * PAGE, .page_size = PAGE, .data = (uintptr_t)out};
	struct iommu_test_cmd cmd = {
		.dirty = {.iova = IOVA, .length = 4 * PAGE, .page_size = PAGE, .uptr = (uintptr_t)bits}};
	uint32_t ioas, hwpt;
	struct mock mock;

	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	CHECK_EQ(map(ioas, memory(4 * PAGE), 4 * PAGE, IOVA), 0);
	hwpt = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);
	cmd.id = 99;
	CHECK_EQ(OP(DIRTY, .id = 99, .dirty = {.iova = 1, .length = PAGE, .page_size = PAGE, .uptr = 1}), -EINVAL);
	CHECK_EQ(OP(DIRTY, .id = 99, .dirty = {.length = PAGE, .page_size = 0, .uptr = 1}), -EINVAL);
	CHECK_EQ(OP(DIRTY, .id = 99, .dirty = {.length = 0, .page_size = PAGE, .uptr = 1}), -EINVAL);
	CHECK_EQ(OP(DIRTY, .id = 99, .dirty = {.length = PAGE, .page_size = PAGE, .uptr = 0}), -EINVAL);
	CHECK_EQ(op(IOMMU_TEST_OP_DIRTY, &cmd), -ENOENT);
	cmd.id = hwpt;
	CHECK_EQ(op(IOMMU_TEST_OP_DIRTY, &cmd), -EINVAL);
	on.hwpt_id = get.hwpt_id = hwpt;
	CHECK_EQ(call(IOMMU_HWPT_SET_DIRTY_TRACKING, &on), 0);
	CHECK_EQ(OP(DIRTY, .id = hwpt, .dirty = {.length = UINT64_MAX & ~7ULL, .page_size = 8, .uptr = 1}), -EOVERFLOW);
	CHECK_EQ(OP(DIRTY, .id = hwpt, .dirty = {.iova = IOVA, .length = PAGE, .page_size = PAGE, .uptr = 1}), -EFAULT);
	CHECK_EQ(op(IOMMU_TEST_OP_DIRTY, &cmd), 0);
	CHECK_EQ(cmd.dirty.out_nr_dirty, 2);
	CHECK_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get), 0);
	CHECK_EQ(out[0], 5);
	out[0] = 0;
	CHECK_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get), 0);
	CHECK_EQ(out[0], 0);
	end();
}

static struct iommufd_config config = {.selftest = true};
static unsigned asked;

/* Finding memory takes as long as its owner likes: others open and close iommufds meanwhile. */
static int pin_and_try(struct mm *mm, struct memory_query *query, uaddr_t va, uint64_t length, bool write,
		       struct memory_run *run)
{
	int rc = pthread_mutex_trylock(&config.selftest_state->lock);

	(void)mm;
	(void)query;
	(void)va;
	(void)write;
	CHECK_EQ(rc, 0);
	if (!rc)
		pthread_mutex_unlock(&config.selftest_state->lock);
	asked++;
	*run = (struct memory_run){.length = length};
	return 0;
}

static void counting_pins_keeps_nobody_from_opening(void)
{
	const struct mm_ops ops = {.pin = pin_and_try};
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd), .op = IOMMU_TEST_OP_MD_CHECK_REFS, .check_refs = {PAGE, 2 * PAGE, 0}};
	struct fake *fake = malloc(sizeof(*fake));
	struct file *file[3];

	fake_init(fake);
	fake->mm.ops = &ops;
	memcpy(fake->memory, &cmd, sizeof(cmd));
	CHECK_EQ(selftest_new(&config.selftest_state), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(iommufd_open(&config, false, &file[i]), 0);
	CHECK_EQ(file[1]->ops->ioctl(file[1], &fake->client, IOMMU_TEST_CMD, fake_at(fake, 0)), 0);
	CHECK(asked > 3);
	for (int i = 0; i < 3; i++)
		file_put(file[i]);
	selftest_free(config.selftest_state);
	free(fake);
}

/* Has all memory that there can be. */
static int pin_anything(struct mm *mm, struct memory_query *query, uaddr_t va, uint64_t length, bool write,
			struct memory_run *run)
{
	(void)mm;
	(void)query;
	(void)write;
	CHECK(length && !(length & ~PAGE_MASK) && !(va.va & ~PAGE_MASK));
	*run = (struct memory_run){.length = length};
	return length ? 0 : -EFAULT;
}

static long fake_op(struct file *file, struct fake *fake, uint32_t number, struct iommu_test_cmd *cmd)
{
	long rc;

	cmd->size = sizeof(*cmd);
	cmd->op = number;
	memcpy(fake->memory, cmd, sizeof(*cmd));
	rc = file->ops->ioctl(file, &fake->client, IOMMU_TEST_CMD, fake_at(fake, 0));
	memcpy(cmd, fake->memory, sizeof(*cmd));
	return rc;
}

static void all_addresses_can_be_compared(void)
{
	const struct mm_ops ops = {.pin = pin_anything};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_test_cmd cmd = {.id = 1};
	struct fake *fake = malloc(sizeof(*fake));
	struct file *file;

	fake_init(fake);
	fake->mm.ops = &ops;
	CHECK_EQ(selftest_new(&config.selftest_state), 0);
	CHECK_EQ(iommufd_open(&config, false, &file), 0);
	memcpy(fake->memory, &ioas, sizeof(ioas));
	CHECK_EQ(file->ops->ioctl(file, &fake->client, IOMMU_IOAS_ALLOC, fake_at(fake, 0)), 0);
	CHECK_EQ(fake_op(file, fake, IOMMU_TEST_OP_MOCK_DOMAIN, &cmd), 0);
	cmd = (struct iommu_test_cmd){.id = cmd.mock_domain.out_hwpt_id,
				      .check_map = {.iova = IOVA, .length = -(uint64_t)MOCK_PAGE_SIZE}};
	CHECK_EQ(fake_op(file, fake, IOMMU_TEST_OP_MD_CHECK_MAP, &cmd), -EINVAL); /* nothing is mapped */
	file_put(file);
	selftest_free(config.selftest_state);
	free(fake);
}

int main(void)
{
	ops_that_are_not_there();
	reserving_checks_the_range_before_the_id();
	a_mock_device_that_fails_leaves_no_id();
	accesses_are_named_by_descriptor();
	errors_of_access_ops_in_order();
	what_is_pinned_has_ids_of_its_access();
	an_access_reads_and_writes_bytes();
	check_map_tells_memory_apart();
	pins_are_counted_in_all_iommufds();
	every_second_domain_on_the_reserved_pasid_is_refused();
	a_dma_buf_can_be_revoked();
	what_is_marked_is_dirty();
	counting_pins_keeps_nobody_from_opening();
	all_addresses_can_be_compared();
	return check_result();
}

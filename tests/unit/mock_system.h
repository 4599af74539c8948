/* SPDX-License-Identifier: BSD-3-Clause */
/* A system of its own with the test device, and calls on it. */
#ifndef IOMMUSE_TESTS_MOCK_SYSTEM_H
#define IOMMUSE_TESTS_MOCK_SYSTEM_H

#include "iommuse/iommuse.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ULL
#define IOVA ((uint64_t)MOCK_APERTURE_START)

static struct iommuse *system_;
static int fd;

static inline void begin(void)
{
	const struct iommuse_options options = {
		.struct_size = sizeof(options), .client = IOMMUSE_CLIENT_CHECKED, .selftest = 1};

	CHECK_EQ(iommuse_new(&options, &system_), 0);
	fd = iommuse_open(system_, "/dev/iommu", O_RDWR);
	CHECK(fd >= 0);
}

static inline void end(void)
{
	iommuse_free(system_);
}

static inline int call(unsigned cmd, void *arg)
{
	return iommuse_ioctl(system_, fd, cmd, (uintptr_t)arg);
}

static inline int op(uint32_t number, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = number;
	return call(IOMMU_TEST_CMD, cmd);
}

#define OP(name, ...) op(IOMMU_TEST_OP_##name, &(struct iommu_test_cmd){__VA_ARGS__})

static inline uint32_t ioas_alloc(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	CHECK_EQ(call(IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static inline int destroy(uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return call(IOMMU_DESTROY, &cmd);
}

static inline int map(uint32_t ioas, void *va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return call(IOMMU_IOAS_MAP, &cmd);
}

static inline int map_file(uint32_t ioas, int file, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.fd = file,
		.length = length,
		.iova = iova,
	};

	return call(IOMMU_IOAS_MAP_FILE, &cmd);
}

static inline int unmap(uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length};

	return call(IOMMU_IOAS_UNMAP, &cmd);
}

struct mock {
	uint32_t stdev, idev, hwpt;
};

static inline struct mock mock_domain(uint32_t pt, uint32_t flags)
{
	struct iommu_test_cmd cmd = {.id = pt, .mock_domain_flags.dev_flags = flags};

	CHECK_EQ(op(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd), 0);
	return (struct mock){cmd.mock_domain.out_stdev_id, cmd.mock_domain.out_idev_id, cmd.mock_domain.out_hwpt_id};
}

static inline uint32_t hwpt_alloc(uint32_t device, uint32_t pt, uint32_t flags, int nested)
{
	const struct iommu_hwpt_selftest data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = device,
		.pt_id = pt,
		.data_type = nested ? IOMMU_HWPT_DATA_SELFTEST : IOMMU_HWPT_DATA_NONE,
		.data_len = nested ? sizeof(data) : 0,
		.data_uptr = nested ? (uintptr_t)&data : 0,
	};

	CHECK_EQ(call(IOMMU_HWPT_ALLOC, &cmd), 0);
	return cmd.out_hwpt_id;
}

static inline int access_new(uint32_t ioas, uint32_t flags)
{
	struct iommu_test_cmd cmd = {.id = ioas, .create_access.flags = flags};

	CHECK_EQ(op(IOMMU_TEST_OP_CREATE_ACCESS, &cmd), 0);
	return (int)cmd.create_access.out_access_fd;
}

static inline void *memory(size_t length)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

/* A structure that can be read and not written. */
static inline struct iommu_test_cmd *read_only(uint32_t number, struct iommu_test_cmd cmd)
{
	struct iommu_test_cmd *page = memory(PAGE);

	cmd.size = sizeof(cmd);
	cmd.op = number;
	*page = cmd;
	CHECK_EQ(mprotect(page, PAGE, PROT_READ), 0);
	return page;
}

#endif

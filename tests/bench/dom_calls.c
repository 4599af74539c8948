/* SPDX-License-Identifier: BSD-3-Clause */
#include "dom_calls.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "bench.h"
#include "iommuse/iommuse.h"

#include <fcntl.h>

static struct iommuse *sys;
static int fd;

void calls_begin(void)
{
	const struct iommuse_options options = {
		.struct_size = sizeof(options), .client = IOMMUSE_CLIENT_TRUSTED, .selftest = 1};

	bench_must(!iommuse_new(&options, &sys), "iommuse_new");
	fd = iommuse_open(sys, "/dev/iommu", O_RDWR | O_CLOEXEC);
	bench_must(fd >= 0, "open of /dev/iommu");
}

void calls_end(void)
{
	iommuse_close(sys, fd);
	iommuse_free(sys);
}

void call(unsigned long cmd, void *arg, const char *name)
{
	bench_must(!iommuse_ioctl(sys, fd, cmd, (uintptr_t)arg), name);
}

uint32_t ioas_new(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	call(IOMMU_IOAS_ALLOC, &alloc, "IOAS_ALLOC");
	return alloc.out_ioas_id;
}

void destroy(uint32_t id)
{
	struct iommu_destroy d = {.size = sizeof(d), .id = id};

	call(IOMMU_DESTROY, &d, "DESTROY");
}

void map(uint32_t ioas, uint64_t iova, const char *at, uint64_t length)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas,
		.user_va = (uintptr_t)at,
		.length = length,
		.iova = iova,
	};

	call(IOMMU_IOAS_MAP, &m, "IOAS_MAP");
}

void unmap(uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap u = {.size = sizeof(u), .ioas_id = ioas, .iova = iova, .length = length};

	call(IOMMU_IOAS_UNMAP, &u, "IOAS_UNMAP");
}

uint32_t attach(uint32_t ioas, uint32_t *bound)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas};

	call(IOMMU_TEST_CMD, &cmd, "MOCK_DOMAIN");
	if (bound)
		*bound = cmd.mock_domain.out_idev_id;
	return cmd.mock_domain.out_stdev_id;
}

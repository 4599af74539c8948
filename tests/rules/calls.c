/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "calls.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int call(struct rules *t, unsigned long cmd, void *arg)
{
	return transport_ioctl(t->transport, t->fd, cmd, (uintptr_t)arg);
}

int call_value(struct rules *t, unsigned long cmd, uintptr_t value)
{
	return transport_ioctl(t->transport, t->fd, cmd, value);
}

uint32_t ioas_new(struct rules *t)
{
	struct iommu_ioas_alloc c = {.size = sizeof(c)};

	EXPECT(t, call(t, IOMMU_IOAS_ALLOC, &c), 0);
	return c.out_ioas_id;
}

int destroy(struct rules *t, uint32_t id)
{
	struct iommu_destroy c = {.size = sizeof(c), .id = id};

	return call(t, IOMMU_DESTROY, &c);
}

int map_va_at(struct rules *t, uint32_t ioas, uint32_t prot, uint64_t va, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map c = {.size = sizeof(c),
				   .flags = FIXED | prot,
				   .ioas_id = ioas,
				   .user_va = va,
				   .length = length,
				   .iova = iova};

	return call(t, IOMMU_IOAS_MAP, &c);
}

int map_at(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length)
{
	return map_va_at(t, ioas, RW, VA, iova, length);
}

int map_auto(struct rules *t, uint32_t ioas, uint64_t va, uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map c = {.size = sizeof(c), .flags = RW, .ioas_id = ioas, .user_va = va, .length = length};
	int rc = call(t, IOMMU_IOAS_MAP, &c);

	*iova = c.iova;
	return rc;
}

int copy_at(struct rules *t, uint32_t dst, uint32_t src, uint32_t prot, uint64_t src_iova, uint64_t dst_iova,
	    uint64_t length)
{
	struct iommu_ioas_copy c = {.size = sizeof(c),
				    .flags = FIXED | prot,
				    .dst_ioas_id = dst,
				    .src_ioas_id = src,
				    .length = length,
				    .dst_iova = dst_iova,
				    .src_iova = src_iova};

	return call(t, IOMMU_IOAS_COPY, &c);
}

int unmap(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t *removed)
{
	struct iommu_ioas_unmap c = {.size = sizeof(c), .ioas_id = ioas, .iova = iova, .length = length};
	int rc = call(t, IOMMU_IOAS_UNMAP, &c);

	if (removed)
		*removed = c.length;
	return rc;
}

int map_file_at(struct rules *t, uint32_t ioas, uint32_t prot, int fd, uint64_t start, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map_file c = {.size = sizeof(c),
					.flags = FIXED | prot,
					.ioas_id = ioas,
					.fd = fd,
					.start = start,
					.length = length,
					.iova = iova};

	return call(t, IOMMU_IOAS_MAP_FILE, &c);
}

int memfd_new(struct rules *t, uint64_t length)
{
	int fd = memfd_create("rules", MFD_CLOEXEC);

	EXPECT(t, fd >= 0 && ftruncate(fd, (off_t)length) == 0, true);
	return fd;
}

int allow(struct rules *t, uint32_t ioas, const struct iommu_iova_range *ranges, uint32_t count)
{
	struct iommu_ioas_allow_iovas c = {
		.size = sizeof(c), .ioas_id = ioas, .num_iovas = count, .allowed_iovas = (uintptr_t)ranges};

	return call(t, IOMMU_IOAS_ALLOW_IOVAS, &c);
}

int option(struct rules *t, uint32_t option_id, uint16_t op, uint32_t object_id, uint64_t *val)
{
	struct iommu_option c = {
		.size = sizeof(c), .option_id = option_id, .op = op, .object_id = object_id, .val64 = *val};
	int rc = call(t, IOMMU_OPTION, &c);

	*val = c.val64;
	return rc;
}

int small_pages(struct rules *t, uint32_t ioas)
{
	uint64_t off = 0;

	return option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &off);
}

uint64_t alignment(struct rules *t, uint32_t ioas)
{
	struct iommu_iova_range range;
	struct iommu_ioas_iova_ranges c = {
		.size = sizeof(c), .ioas_id = ioas, .num_iovas = 1, .allowed_iovas = (uintptr_t)&range};

	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), 0);
	return c.out_iova_alignment;
}

int vfio_ioas(struct rules *t, uint16_t op, uint32_t *ioas)
{
	struct iommu_vfio_ioas c = {.size = sizeof(c), .ioas_id = *ioas, .op = op};
	int rc = call(t, IOMMU_VFIO_IOAS, &c);

	*ioas = c.ioas_id;
	return rc;
}

uint32_t container_new(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_SET, &ioas), 0);
	return ioas;
}

int container_map(struct rules *t, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map c = {.argsz = sizeof(c),
					     .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					     .vaddr = VA,
					     .iova = iova,
					     .size = size};

	return call(t, VFIO_IOMMU_MAP_DMA, &c);
}

int container_unmap(struct rules *t, uint64_t iova, uint64_t size, uint64_t *removed)
{
	struct vfio_iommu_type1_dma_unmap c = {.argsz = sizeof(c), .iova = iova, .size = size};
	int rc = call(t, VFIO_IOMMU_UNMAP_DMA, &c);

	if (removed)
		*removed = c.size;
	return rc;
}

int fault_new(struct rules *t, uint32_t *id, int *fd)
{
	struct iommu_fault_alloc c = {.size = sizeof(c)};
	int rc = call(t, IOMMU_FAULT_QUEUE_ALLOC, &c);

	*id = c.out_fault_id;
	*fd = rc ? -1 : (int)c.out_fault_fd;
	return rc;
}

bool is_free(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length)
{
	int rc = map_va_at(t, ioas, RW, 0, iova, length);

	if (rc)
		return false;
	EXPECT(t, unmap(t, ioas, iova, length, NULL), 0);
	return true;
}

void expect_bytes(struct rules *t, uint32_t ioas, uint64_t bytes)
{
	uint64_t removed;

	EXPECT(t, unmap(t, ioas, 0, U64_MAX, &removed), 0);
	EXPECT_U64(t, removed, bytes);
}

int node_open(struct rules *t, const char *path)
{
	int fd = transport_open(t->transport, path, O_RDWR | O_CLOEXEC);

	EXPECT(t, fd >= 0, true);
	return fd;
}

void close_plain(struct rules *t, int fd)
{
	EXPECT(t, close(fd), 0);
}

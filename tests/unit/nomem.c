/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation of a run of calls fails in turn: the calls answer ENOMEM or work, nothing is lost, and what is there
 * can be unmapped, destroyed and closed without memory. Linked with --wrap for the allocating functions.
 */
#include "iommufd/iommufd.h"

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "check.h"
#include "fake_client.h"
#include "vfio/compat.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

enum { ALWAYS = 1, NEVER = -1 };

static int until_failure = NEVER; /* allocations that still succeed, plus one */
static int failures;

static int fails(void)
{
	if (until_failure == NEVER || --until_failure > 0)
		return 0;
	until_failure = ALWAYS;
	failures++;
	return 1;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(old, count, size);
}

static struct iommufd_config config = {.compat = &vfio_compat};
static struct fake fake;
static struct file *file;

/* A call that may fail for want of memory, and for nothing else but what is missing because of that. */
static void call(unsigned cmd, const void *arg, size_t size)
{
	long rc;

	memcpy(fake.memory, arg, size);
	rc = file->ops->ioctl(file, &fake.client, cmd, fake_at(&fake, 0));
	CHECK(rc == 0 || rc == -ENOMEM || (failures && (rc == -ENOENT || rc == -ENODEV)));
}

#define CALL(cmd, structure, ...)                                                                                      \
	call((cmd), &(const struct structure){.size = sizeof(struct structure), __VA_ARGS__}, sizeof(struct structure))

static void make_things(void)
{
	const struct iommu_iova_range range[] = {{0x1000, 0x1fff}, {0x100000, UINT64_MAX}};
	const struct vfio_iommu_type1_dma_unmap middle = {.argsz = sizeof(middle), .iova = 0x1002000, .size = 0x1000};
	const struct vfio_iommu_type1_info info = {.argsz = 512};

	CALL(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, 0);
	CALL(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, 0);
	CALL(IOMMU_VFIO_IOAS, iommu_vfio_ioas, .ioas_id = 1, .op = IOMMU_VFIO_IOAS_SET);
	for (uint64_t i = 0; i < 100; i++)
		CALL(IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 7, .ioas_id = 1, .length = 0x1000, .iova = i << 12);
	if (!failures)
		CALL(IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = 7, .src_ioas_id = 1, .dst_ioas_id = 2,
		     .length = 0x20000, .src_iova = 0x1000, .dst_iova = 0x800000);
	memcpy(fake.memory + 1024, range, sizeof(range));
	CALL(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, .ioas_id = 2, .num_iovas = 2,
	     .allowed_iovas = fake_at(&fake, 1024));
	CALL(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = 7, .ioas_id = 2, .length = 0x4000, .iova = 0x400000);
	CALL(IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 7, .ioas_id = 1, .length = 0x4000, .iova = 0x1000000);
	file->ops->ioctl(file, &fake.client, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU);
	call(VFIO_IOMMU_UNMAP_DMA, &middle, sizeof(middle));
	call(VFIO_IOMMU_GET_INFO, &info, sizeof(info));
	CALL(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, 0);
}

/* Nothing can be allocated now. */
static void end_things(void)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = 1, .length = 0x3000};
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = 2};

	until_failure = ALWAYS;
	failures = 1;
	call(IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap));
	unmap.length = UINT64_MAX;
	call(IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap));
	call(IOMMU_DESTROY, &destroy, sizeof(destroy));
	if (fake.installed)
		file_put(fake.installed);
	file_put(file);
	until_failure = NEVER;
}

/* Returns whether all allocations succeeded. */
static int run(int fail_at)
{
	int whole;

	fake_init(&fake);
	failures = 0;
	until_failure = fail_at;
	if (iommufd_open(&config, false, &file)) {
		until_failure = NEVER;
		return 0;
	}
	make_things();
	whole = !failures;
	end_things();
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
	CHECK_EQ(fake.reserved, 0);
	return whole;
}

int main(void)
{
	int steps = 1;

	while (!run(steps))
		steps++;
	CHECK(steps > 100);
	return check_result();
}

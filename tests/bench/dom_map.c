/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps, copies and attachments of an I/O address space that a page table shows. */
#define _GNU_SOURCE
#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "base/types.h"
#include "bench.h"
#include "dom_calls.h"

#include <sys/mman.h>
#include <unistd.h>

#define PAGE PAGE_SIZE
#define IOVA GIB

/* What a row works on. */
static uint32_t ioas, other;
static char *private, *shared; /* memory of 1 GiB each */
static char *from;             /* which of them is mapped */

static void begin(void)
{
	int memfd = memfd_create("bench", MFD_CLOEXEC);

	bench_must(memfd >= 0 && !ftruncate(memfd, (off_t)GIB), "memfd_create");
	private = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	shared = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memfd, 0);
	bench_must(private != MAP_FAILED && shared != MAP_FAILED, "mmap");
	close(memfd);
	calls_begin();
	ioas = ioas_new();
	other = ioas_new();
}

static void end(void)
{
	calls_end();
	munmap(private, GIB);
	munmap(shared, GIB);
}

static void copy(void)
{
	struct iommu_ioas_copy c = {
		.size = sizeof(c),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.dst_ioas_id = other,
		.src_ioas_id = ioas,
		.length = PAGE,
		.dst_iova = IOVA,
		.src_iova = IOVA,
	};

	call(IOMMU_IOAS_COPY, &c, "IOAS_COPY");
}

static double pairs(uint64_t length)
{
	double begin_at = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		map(ioas, IOVA, from, length);
		unmap(ioas, IOVA, length);
	}
	return (bench_now() - begin_at) / scale.pairs;
}

static double one_page(void)
{
	return pairs(PAGE);
}

static double two_mib(void)
{
	return pairs(2 * MIB);
}

static double one_gib(void)
{
	return pairs(GIB);
}

static void prepare_private(void)
{
	begin();
	from = private;
	attach(ioas, NULL);
}

static void prepare_shared(void)
{
	begin();
	from = shared;
	attach(ioas, NULL);
}

static void prepare_held(void)
{
	prepare_shared();
	map(ioas, IOVA / 2, shared + PAGE, PAGE);
}

static void prepare_copy(void)
{
	prepare_private();
	attach(other, NULL);
	map(ioas, IOVA, from, PAGE);
}

static double copies(void)
{
	double begin_at = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		copy();
		unmap(other, IOVA, PAGE);
	}
	return (bench_now() - begin_at) / scale.pairs;
}

static void prepare_vfio(void)
{
	struct iommu_vfio_ioas set = {.size = sizeof(set), .ioas_id = ioas, .op = IOMMU_VFIO_IOAS_SET};

	prepare_private();
	call(IOMMU_VFIO_IOAS, &set, "VFIO_IOAS");
}

static double vfio(void)
{
	double begin_at = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		struct vfio_iommu_type1_dma_map m = {.argsz = sizeof(m),
						     .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
						     .vaddr = (uintptr_t)from,
						     .iova = IOVA,
						     .size = PAGE};
		struct vfio_iommu_type1_dma_unmap u = {.argsz = sizeof(u), .iova = IOVA, .size = PAGE};

		call(VFIO_IOMMU_MAP_DMA, &m, "MAP_DMA");
		call(VFIO_IOMMU_UNMAP_DMA, &u, "UNMAP_DMA");
	}
	return (bench_now() - begin_at) / scale.pairs;
}

static void prepare_many(void)
{
	begin();
	for (unsigned i = 0; i < scale.many; i++)
		map(ioas, IOVA + i * PAGE, private + i * PAGE, PAGE);
}

/* By processor time, as other programs may take the processor away: it takes long. */
static double attach_many(void)
{
	double begin_at = bench_cpu();
	uint32_t device = attach(ioas, NULL);
	double took = bench_cpu() - begin_at;

	destroy(device);
	return took / scale.many;
}

const struct bench_row map_rows[] = {
	{"map + unmap, 4 KiB of private memory", prepare_private, one_page, end, 1500, "ns", "2.4 us", false, false},
	{"map + unmap, 2 MiB of private memory", prepare_private, two_mib, end, 1500, "ns", "561 us", false, false},
	{"map + unmap, 1 GiB of private memory", prepare_private, one_gib, end, 1500, "ns", "274 ms", false, false},
	{"map + unmap, 4 KiB of shared memory", prepare_shared, one_page, end, 8000, "ns", "2.4 us", false, true},
	{"map + unmap, 2 MiB of shared memory", prepare_shared, two_mib, end, 8000, "ns", "561 us", false, true},
	{"map + unmap, 4 KiB of shared memory, held already", prepare_held, one_page, end, 1500, "ns", "2.4 us", false,
	 false},
	{"copy + unmap, 4 KiB", prepare_copy, copies, end, 1500, "ns", "-", false, false},
	{"VFIO_IOMMU_MAP_DMA + _UNMAP_DMA, 4 KiB", prepare_vfio, vfio, end, 1500, "ns", "2.4 us", false, false},
	{"attach a domain to 100,000 maps, each", prepare_many, attach_many, end, 100, "ns", "1.1 us", false, true},
	{0},
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the state is, asked by calls that leave it as it is. */
#include "world.h"

#include "abi/ioasid.h"

#include <string.h>

/* Pages from APERTURE on at which something may be mapped, and pages of the memory that may be pinned. */
static const unsigned iova_pages[] = {0, 1, 16, 24, 32, 34, 37};
static const unsigned memory_pages[] = {0, 1, 4, 7, 46, 48, 51};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void add(struct print *print, const char *what, uint64_t value)
{
	if (print->count == PRINT_MAX)
		return;
	print->item[print->count].what = what;
	print->item[print->count++].value = value;
}

static uint64_t hash(const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	while (size--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

static void print_context(struct world *w, struct print *print)
{
	struct iommu_option mode = {
		.size = sizeof(mode), .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = IOMMU_OPTION_OP_GET};
	struct iommu_vfio_ioas compat = {.size = sizeof(compat), .op = IOMMU_VFIO_IOAS_GET};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

	add(print, "the option RLIMIT_MODE", (uint64_t)CALL(w, IOMMU_OPTION, &mode));
	add(print, "the rlimit mode", mode.val64);
	add(print, "VFIO_IOAS", (uint64_t)CALL(w, IOMMU_VFIO_IOAS, &compat));
	add(print, "the compat IOAS", compat.ioas_id);
	add(print, "IOAS_ALLOC", (uint64_t)CALL(w, IOMMU_IOAS_ALLOC, &ioas));
	add(print, "the next id", ioas.out_ioas_id);
	if (ioas.out_ioas_id)
		CALL(w, IOMMU_DESTROY, &(struct iommu_destroy){.size = 8, .id = ioas.out_ioas_id});
	add(print, "what is counted as pinned", way_pinned());
}

/* What an access finds, of which nothing stays. */
static void print_memory(struct world *w, uint32_t ioas, struct print *print)
{
	struct iommu_test_cmd access = {.op = IOMMU_TEST_OP_CREATE_ACCESS, .id = ioas};
	unsigned char page[PAGE];
	int fd;

	add(print, "CREATE_ACCESS", (uint64_t)world_test(w, &access));
	fd = (int)access.create_access.out_access_fd;
	if (!fd)
		return;
	for (size_t i = 0; i < COUNT(iova_pages); i++) {
		struct iommu_test_cmd rw = {.op = IOMMU_TEST_OP_ACCESS_RW,
					    .id = (uint32_t)fd,
					    .access_rw = {.iova = APERTURE + iova_pages[i] * PAGE,
							  .length = PAGE,
							  .uptr = (uintptr_t)page}};

		memset(page, 0, sizeof(page));
		add(print, "whether an access reads", (uint64_t)world_test(w, &rw));
		add(print, "what an access reads", hash(page, sizeof(page)));
	}
	world_close(w, fd);
}

static void print_ioas(struct world *w, uint32_t ioas, struct print *print)
{
	struct iommu_iova_range range[8] = {{0}};
	struct iommu_ioas_iova_ranges ranges = {
		.size = sizeof(ranges), .ioas_id = ioas, .num_iovas = 8, .allowed_iovas = (uintptr_t)range};
	struct iommu_option huge = {.size = sizeof(huge),
				    .option_id = IOMMU_OPTION_HUGE_PAGES,
				    .op = IOMMU_OPTION_OP_GET,
				    .object_id = ioas};

	if (!ioas)
		return;
	add(print, "IOVA_RANGES", (uint64_t)CALL(w, IOMMU_IOAS_IOVA_RANGES, &ranges));
	add(print, "the number of ranges", ranges.num_iovas);
	add(print, "the ranges", hash(range, sizeof(range)));
	add(print, "the alignment", ranges.out_iova_alignment);
	add(print, "the option HUGE_PAGES", (uint64_t)CALL(w, IOMMU_OPTION, &huge));
	add(print, "huge pages", huge.val64);
	print_memory(w, ioas, print);
}

/* How often each page is pinned: the number that CHECK_REFS agrees with. */
static void print_pins(struct world *w, struct print *print)
{
	for (size_t i = 0; i < COUNT(memory_pages); i++) {
		uint32_t pins = 0;

		for (; pins < 6; pins++) {
			struct iommu_test_cmd refs = {
				.op = IOMMU_TEST_OP_MD_CHECK_REFS,
				.check_refs = {.length = PAGE,
					       .uptr = (uintptr_t)w->memory + memory_pages[i] * PAGE,
					       .refs = pins}};

			if (!world_test(w, &refs))
				break;
		}
		add(print, "how often a page is pinned", pins);
	}
}

/* The page of memory that a case maps at an IOVA. */
static unsigned memory_at(unsigned iova_page)
{
	return iova_page < 16 ? iova_page : iova_page < 32 ? SHARED + iova_page - 16 : iova_page - 28;
}

static void print_hwpt(struct world *w, struct print *print)
{
	uint64_t bits[2] = {0};
	struct iommu_hwpt_get_dirty_bitmap dirty = {.size = sizeof(dirty),
						    .hwpt_id = w->hwpt,
						    .flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
						    .iova = APERTURE,
						    .length = 64 * PAGE,
						    .page_size = PAGE,
						    .data = (uintptr_t)bits};

	if (!w->hwpt)
		return;
	add(print, "GET_DIRTY_BITMAP", (uint64_t)CALL(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &dirty));
	add(print, "dirty bits", bits[0]);
	for (size_t i = 0; i < COUNT(iova_pages); i++) {
		struct iommu_test_cmd check = {
			.op = IOMMU_TEST_OP_MD_CHECK_MAP,
			.id = w->hwpt,
			.check_map = {.iova = APERTURE + iova_pages[i] * PAGE,
				      .length = PAGE,
				      .uptr = (uintptr_t)w->memory + memory_at(iova_pages[i]) * PAGE}};

		add(print, "what a page table shows", (uint64_t)world_test(w, &check));
	}
}

static void print_device(struct world *w, struct print *print)
{
	const uint32_t expected[] = {0, w->hwpt};

	for (uint32_t id = 0; id <= MOCK_DEV_CACHE_ID_MAX && w->idev; id++) {
		struct iommu_test_cmd cache = {.op = IOMMU_TEST_OP_DEV_CHECK_CACHE,
					       .id = w->idev,
					       .check_dev_cache = {.id = id, .cache = IOMMU_TEST_DEV_CACHE_DEFAULT}};

		add(print, "a device's cache", (uint64_t)world_test(w, &cache));
	}
	for (uint32_t id = 0; id <= MOCK_NESTED_DOMAIN_IOTLB_ID_MAX && w->nested; id++) {
		struct iommu_test_cmd iotlb = {.op = IOMMU_TEST_OP_MD_CHECK_IOTLB,
					       .id = w->nested,
					       .check_iotlb = {.id = id, .iotlb = IOMMU_TEST_IOTLB_DEFAULT}};

		add(print, "an IOTLB", (uint64_t)world_test(w, &iotlb));
	}
	for (size_t i = 0; i < COUNT(expected) && w->stdev; i++) {
		struct iommu_test_cmd pasid = {.op = IOMMU_TEST_OP_PASID_CHECK_HWPT,
					       .id = w->stdev,
					       .pasid_check = {.pasid = 7, .hwpt_id = expected[i]}};

		add(print, "what a PASID is attached to", (uint64_t)world_test(w, &pasid));
	}
}

static void print_pasids(struct world *w, struct print *print)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {1, 100}};
	int32_t id;

	if (w->ioasid < 0)
		return;
	id = (int32_t)world_ioctl(w, w->ioasid, IOASID_REQUEST_ALLOC, &request);
	add(print, "the next PASID", (uint64_t)id);
	add(print, "whether that can be freed", (uint64_t)world_ioctl(w, w->ioasid, IOASID_REQUEST_FREE, &id));
}

void world_print(struct world *w, struct print *print)
{
	print->count = 0;
	print_context(w, print);
	print_ioas(w, w->ioas, print);
	print_ioas(w, w->other_ioas, print);
	print_pins(w, print);
	print_hwpt(w, print);
	print_device(w, print);
	print_pasids(w, print);
	if (w->fault_fd >= 0)
		add(print, "what a fault queue's poll says", (uint64_t)world_poll(w, w->fault_fd));
	if (w->veventq_fd >= 0)
		add(print, "what an event queue's poll says", (uint64_t)world_poll(w, w->veventq_fd));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The container of VFIO where page tables and accesses are attached to its IOAS. */
#include "mock.h"

#include <string.h>

#define NOWHERE UINT64_C(0x520000000000)
#define PINS    MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES

struct container {
	uint32_t ioas;
	struct mock m;
};

static struct container mock_container(struct rules *t)
{
	struct container c = {.ioas = container_new(t)};

	memory_new(t);
	c.m = mock_new(t, c.ioas, 0);
	return c;
}

static int dma_map(struct rules *t, uint32_t flags, uint64_t va, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map c = {
		.argsz = sizeof(c), .flags = flags, .vaddr = va, .iova = iova, .size = size};

	return call(t, VFIO_IOMMU_MAP_DMA, &c);
}

#define BOTH (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

static void coherency_is_that_of_all_page_tables(struct rules *t)
{
	uint32_t ioas = container_new(t);
	struct mock m;

	EXPECT(t, call_value(t, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 1);
	m = mock_new(t, ioas, 0);
	EXPECT(t, call_value(t, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 0);
	EXPECT(t, destroy(t, m.stdev), 0);
	EXPECT(t, call_value(t, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 1);
}

static void type_1_with_page_tables_and_areas(struct rules *t)
{
	struct container c = mock_container(t);

	EXPECT(t, dma_map(t, BOTH, MEMORY, AP, PAGE), 0);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), -EINVAL);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	expect_bytes(t, c.ioas, PAGE);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	EXPECT(t, dma_map(t, BOTH, MEMORY, AP, PAGE), 0);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	memory_free();
}

struct map_row {
	int result;
	uint32_t flags;
	uint64_t va, iova, size;
};

static void dma_map_with_a_page_table(struct rules *t, const void *row)
{
	const struct map_row *r = row;
	struct container c = mock_container(t);

	EXPECT(t, dma_map(t, r->flags, r->va, r->iova, r->size), r->result);
	if (r->result == 0)
		EXPECT(t, check_map(t, c.m.hwpt, r->iova, r->size, r->va), 0);
	expect_bytes(t, c.ioas, r->result ? 0 : r->size);
	memory_free();
}

static void pieces_of_version_1_stay_mapped(struct rules *t)
{
	struct container c = mock_container(t);
	uint64_t removed = 0;

	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	EXPECT(t, dma_map(t, BOTH, MEMORY, AP, 8 * PAGE), 0);
	EXPECT(t, container_unmap(t, AP + 2 * PAGE, 3 * PAGE, &removed), 0);
	EXPECT_U64(t, removed, 3 * PAGE);
	EXPECT(t, check_map(t, c.m.hwpt, AP, 2 * PAGE, MEMORY), 0);
	EXPECT(t, check_map(t, c.m.hwpt, AP + 5 * PAGE, 3 * PAGE, MEMORY + 5 * PAGE), 0);
	EXPECT(t, check_map(t, c.m.hwpt, AP + 2 * PAGE, PAGE, MEMORY + 2 * PAGE), -EINVAL);
	EXPECT(t, check_refs(t, MEMORY, 2 * PAGE, 1), 0);
	EXPECT(t, check_refs(t, MEMORY + 2 * PAGE, 3 * PAGE, 0), 0);
	EXPECT(t, check_refs(t, MEMORY + 5 * PAGE, 3 * PAGE, 1), 0);
	/* The pieces are areas like others: a second page table has them, too. */
	uint32_t hwpt = hwpt_new(t, c.m.device, c.ioas, 0);

	EXPECT(t, check_map(t, hwpt, AP + 5 * PAGE, 3 * PAGE, MEMORY + 5 * PAGE), 0);
	EXPECT(t, container_unmap(t, AP + 6 * PAGE, PAGE, &removed), 0);
	EXPECT(t, check_map(t, hwpt, AP + 7 * PAGE, PAGE, MEMORY + 7 * PAGE), 0);
	EXPECT(t, container_unmap(t, AP + 2 * PAGE + 1, PAGE, &removed), 0);
	EXPECT(t, container_unmap(t, AP + HALF, PAGE, &removed), -EINVAL);
	EXPECT(t, unmap(t, c.ioas, 0, U64_MAX, &removed), 0);
	EXPECT_U64(t, removed, 4 * PAGE);
	EXPECT(t, check_refs(t, MEMORY, 8 * PAGE, 0), 0);
	memory_free();
}

static void version_2_unmaps_whole_areas_of_page_tables(struct rules *t)
{
	struct container c = mock_container(t);
	uint64_t removed = 77;

	EXPECT(t, dma_map(t, BOTH, MEMORY, AP, 8 * PAGE), 0);
	EXPECT(t, container_unmap(t, AP + PAGE, PAGE, &removed), -ENOENT);
	EXPECT(t, container_unmap(t, AP, 8 * PAGE, &removed), 0);
	EXPECT_U64(t, removed, 8 * PAGE);
	EXPECT(t, check_refs(t, MEMORY, 8 * PAGE, 0), 0);
	EXPECT_U64(t, alignment(t, c.ioas), HALF);
	memory_free();
}

static void cut_of_an_area_with_pins_is_einval(struct rules *t)
{
	uint32_t ioas = container_new(t), pin;
	int access = mock_access_new(t, ioas, PINS);
	uint64_t removed = 0;

	memory_new(t);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	EXPECT(t, dma_map(t, BOTH, MEMORY, AP, 8 * PAGE), 0);
	EXPECT(t, mock_access_pin(t, access, AP, PAGE, 0, &pin), 0);
	EXPECT(t, container_unmap(t, AP + 2 * PAGE, PAGE, &removed), -EINVAL);
	EXPECT(t, mock_access_unpin(t, access, pin), 0);
	EXPECT(t, container_unmap(t, AP + 2 * PAGE, PAGE, &removed), 0);
	EXPECT_U64(t, removed, PAGE);
	EXPECT(t, mock_access_pin(t, access, AP + 3 * PAGE, PAGE, 0, &pin), 0);
	/* Whole areas are asked for as always. */
	EXPECT(t, container_unmap(t, AP + 3 * PAGE, 5 * PAGE, &removed), 0);
	EXPECT(t, mock_access_unpin(t, access, pin), -ENOENT);
	EXPECT(t, transport_close(t->transport, access), 0);
	memory_free();
}

struct info {
	struct vfio_iommu_type1_info head;
	unsigned char rest[256];
};

static void page_sizes_are_those_of_all_page_tables(struct rules *t)
{
	uint32_t ioas = container_new(t);
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
	struct mock m = mock_new(t, ioas, 0);

	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, &info), 0);
	EXPECT_U64(t, info.iova_pgsizes, UINT64_C(0x1ffffff000));
	EXPECT(t, destroy(t, m.stdev), 0);
	info.argsz = sizeof(info);
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, &info), 0);
	EXPECT_U64(t, info.iova_pgsizes, UINT64_C(0xfffffffffffff000));
}

/* The capability of the ranges: a header of 16 bytes, then pairs of start and end. */
static void ranges_are_those_between_reservations(struct rules *t)
{
	struct container c = mock_container(t);
	struct info info = {.head = {.argsz = sizeof(info)}};
	uint32_t count;
	uint64_t range[6];

	EXPECT(t, reserve(t, c.ioas, AP + HUGE, PAGE), 0);
	EXPECT(t, reserve(t, c.ioas, AP + 4 * HUGE, 2 * PAGE), 0);
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, &info), 0);
	EXPECT(t, info.head.argsz, 24 + 16 + 16 + 3 * 16);
	EXPECT(t, info.head.cap_offset, 24);
	memcpy(&count, (unsigned char *)&info + 48, sizeof(count));
	memcpy(range, (unsigned char *)&info + 56, sizeof(range));
	EXPECT(t, count, 3);
	EXPECT_U64(t, range[0], AP);
	EXPECT_U64(t, range[1], AP + HUGE - 1);
	EXPECT_U64(t, range[2], AP + HUGE + PAGE);
	EXPECT_U64(t, range[3], AP + 4 * HUGE - 1);
	EXPECT_U64(t, range[4], AP + 4 * HUGE + 2 * PAGE);
	EXPECT_U64(t, range[5], AP_LAST);
	memory_free();
}

static void compat_ioas_with_a_page_table_is_busy(struct rules *t)
{
	struct container c = mock_container(t);
	uint32_t ioas = 0;

	EXPECT(t, destroy(t, c.ioas), -EBUSY);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &ioas), 0);
	EXPECT(t, ioas, c.ioas);
	EXPECT(t, destroy(t, c.m.stdev), 0);
	EXPECT(t, destroy(t, c.ioas), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &ioas), -ENODEV);
	memory_free();
}

#define MAPS(rules, name, ...) ROW(rules, name, dma_map_with_a_page_table, struct map_row, __VA_ARGS__)

static const struct rule_case cases[] = {
	CASE("D.1-2g", coherency_is_that_of_all_page_tables),
	CASE("D.1-3g", type_1_with_page_tables_and_areas),
	MAPS("D.2-4", dma_map_in_the_aperture_is_taken, 0, BOTH, MEMORY, AP, 4 * PAGE),
	MAPS("D.2-4", dma_map_of_half_a_page_is_taken, 0, BOTH, MEMORY + HALF, AP, HALF),
	MAPS("D.2-5", dma_map_for_reading_is_taken, 0, VFIO_DMA_MAP_FLAG_READ, MEMORY, AP, PAGE),
	MAPS("D.2-5", dma_map_without_rights_is_einval, -EINVAL, 0, MEMORY, AP, PAGE),
	MAPS("D.2-6h", dma_map_below_the_aperture_is_einval, -EINVAL, BOTH, MEMORY, 0, PAGE),
	MAPS("D.2-6h", dma_map_across_the_aperture_is_einval, -EINVAL, BOTH, MEMORY, AP_LAST + 1 - PAGE, 2 * PAGE),
	MAPS("D.2-6h", dma_map_of_nothing_is_efault, -EFAULT, BOTH, NOWHERE, AP, PAGE),
	MAPS("D.2-6g", dma_map_of_a_misaligned_size_is_einval, -EINVAL, BOTH, MEMORY, AP, HALF + 1),
	MAPS("D.2-6g", dma_map_of_a_misaligned_address_is_einval, -EINVAL, BOTH, MEMORY + 1, AP, PAGE),
	MAPS("D.2-6a", dma_map_that_wraps_comes_before_the_reservation, -EOVERFLOW, BOTH, U64_MAX, 0, PAGE),
	CASE("B.7-1,D.2-17a,B.7-3", pieces_of_version_1_stay_mapped),
	CASE("D.2-14,D.2-11", version_2_unmaps_whole_areas_of_page_tables),
	CASE("B.7-7", cut_of_an_area_with_pins_is_einval),
	CASE("D.3-4c", page_sizes_are_those_of_all_page_tables),
	CASE("D.3-10", ranges_are_those_between_reservations),
	CASE("D.0-4,A.1-2b,A.1-4", compat_ioas_with_a_page_table_is_busy),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* D: the commands of a VFIO container. */
#include "calls.h"

#include <string.h>
#include <sys/mman.h>

/* D.1 */

static void api_version_is_0_whatever_the_argument(struct rules *t)
{
	EXPECT(t, call(t, VFIO_GET_API_VERSION, NULL), 0);
	EXPECT(t, call(t, VFIO_GET_API_VERSION, HOLE), 0);
	EXPECT(t, call_value(t, VFIO_GET_API_VERSION, UINTPTR_MAX), 0);
}

struct extension_row {
	uintptr_t extension;
	int without, with; /* a compat IOAS */
};

static void check_extension(struct rules *t, const void *row)
{
	const struct extension_row *r = row;

	EXPECT(t, call_value(t, VFIO_CHECK_EXTENSION, r->extension), r->without);
	container_new(t);
	EXPECT(t, call_value(t, VFIO_CHECK_EXTENSION, r->extension), r->with);
}

static void no_other_extension_exists(struct rules *t)
{
	container_new(t);
	for (uintptr_t x = 0; x < 300; x++)
		if (x != VFIO_TYPE1_IOMMU && x != VFIO_TYPE1v2_IOMMU && x != VFIO_UNMAP_ALL && x != VFIO_DMA_CC_IOMMU)
			EXPECT(t, call_value(t, VFIO_CHECK_EXTENSION, x), 0);
}

static void set_iommu_takes_types_1_and_3_only(struct rules *t)
{
	static const uintptr_t others[] = {0, 2, 4, 5, 6, 7, 8, 9, 10, UINTPTR_MAX, (UINT64_C(1) << 32) + 3};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		EXPECT(t, call_value(t, VFIO_SET_IOMMU, others[i]), -EINVAL); /* before the IOAS */
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), -ENODEV);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), -ENODEV);
	container_new(t);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		EXPECT(t, call_value(t, VFIO_SET_IOMMU, others[i]), -EINVAL);
	for (int i = 0; i < 2; i++) {
		EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
		EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	}
}

static uint64_t huge_pages(struct rules *t, uint32_t ioas)
{
	uint64_t val = 7;

	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, ioas, &val), 0);
	return val;
}

static void version_1_switches_huge_pages_off_for_good(struct rules *t)
{
	uint32_t ioas = container_new(t);

	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	EXPECT_U64(t, huge_pages(t, ioas), 1);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	EXPECT_U64(t, huge_pages(t, ioas), 0);
	EXPECT_U64(t, alignment(t, ioas), PAGE);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	EXPECT_U64(t, huge_pages(t, ioas), 0);
	/* So a map can be cut still. */
	EXPECT(t, container_map(t, 0x10000, 3 * PAGE), 0);
	EXPECT(t, container_unmap(t, 0x11000, PAGE, NULL), 0);
	expect_bytes(t, ioas, 2 * PAGE);
}

static void version_1_with_a_misaligned_map_is_eaddrinuse(struct rules *t)
{
	uint32_t ioas = container_new(t);

	EXPECT(t, map_at(t, ioas, 1, 1), 0);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), -EADDRINUSE);
	EXPECT_U64(t, huge_pages(t, ioas), 1);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
}

static void set_iommu_is_not_needed(struct rules *t)
{
	uint32_t ioas = container_new(t);

	EXPECT(t, container_map(t, 0, PAGE), 0);
	EXPECT(t, container_unmap(t, 0, PAGE, NULL), 0);
	expect_bytes(t, ioas, 0);
}

static void group_and_dirty_page_commands_are_enotty(struct rules *t)
{
	static const unsigned long cmds[] = {
		VFIO_GROUP_GET_STATUS,    VFIO_GROUP_SET_CONTAINER,     VFIO_GROUP_UNSET_CONTAINER,
		VFIO_GROUP_GET_DEVICE_FD, VFIO_DEVICE_GET_INFO,         VFIO_DEVICE_SET_IRQS,
		VFIO_IOMMU_ENABLE,        VFIO_IOMMU_DISABLE,           VFIO_IOMMU_DIRTY_PAGES,
		VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_ATTACH_IOMMUFD_PT};
	uint32_t arg[16] = {sizeof(arg)};

	container_new(t);
	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++)
		EXPECT(t, call(t, cmds[i], arg), -ENOTTY);
}

/* D.2: MAP_DMA into a container that has [0x10000, 0x10fff] mapped. */
struct dma_map_row {
	int result;
	uint32_t flags, argsz;
	uint64_t vaddr, iova, size;
	bool no_ioas, small_pages;
};

static void dma_map(struct rules *t, const void *row)
{
	const struct dma_map_row *r = row;
	uint32_t ioas = container_new(t);
	struct vfio_iommu_type1_dma_map c = {
		.argsz = r->argsz, .flags = r->flags, .vaddr = r->vaddr, .iova = r->iova, .size = r->size};

	EXPECT(t, map_at(t, ioas, 0x10000, PAGE), 0);
	if (r->small_pages)
		EXPECT(t, small_pages(t, ioas), 0);
	if (r->no_ioas)
		EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_CLEAR, &(uint32_t){0}), 0);
	EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, place_at_end(t, &c, sizeof(c), PROT_READ)), r->result);
	expect_bytes(t, ioas, PAGE + (r->result ? 0 : r->size));
}

static void unknown_map_flags_are_einval(struct rules *t)
{
	container_new(t);
	for (int bit = 2; bit < 32; bit++) {
		struct vfio_iommu_type1_dma_map c = {.argsz = sizeof(c), .flags = 3 | 1U << bit, .size = PAGE};

		EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &c), -EINVAL);
	}
}

static void argument_is_read_whole_before_its_size(struct rules *t)
{
	static const unsigned long cmds[] = {VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA, VFIO_IOMMU_GET_INFO};
	static const uint32_t sizes[] = {32, 24, 16};
	uint32_t arg[8] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(cmds); i++) {
		EXPECT(t, call(t, cmds[i], NULL), -EFAULT);
		EXPECT(t, call(t, cmds[i], HOLE), -EFAULT);
		for (uint32_t readable = 0; readable < sizes[i]; readable += 4)
			EXPECT(t,
			       call(t, cmds[i], place(t, arg, sizes[i], readable, PROT_READ | PROT_WRITE, PROT_NONE)),
			       -EFAULT);
		/* argsz is 0: too small, but only once all of it was read. */
		EXPECT(t, call(t, cmds[i], place_at_end(t, arg, sizes[i], PROT_READ | PROT_WRITE)), -EINVAL);
	}
}

static void argsz_below_the_structure_is_einval(struct rules *t)
{
	for (uint32_t argsz = 0; argsz < 32; argsz++) {
		struct vfio_iommu_type1_dma_map map = {.argsz = argsz, .size = PAGE};

		EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &map), -EINVAL);
	}
	for (uint32_t argsz = 0; argsz < 24; argsz++) {
		struct vfio_iommu_type1_dma_unmap unmap_dma = {.argsz = argsz, .size = PAGE};

		EXPECT(t, call(t, VFIO_IOMMU_UNMAP_DMA, &unmap_dma), -EINVAL);
	}
}

static void argsz_above_the_structure_is_taken_whatever_follows(struct rules *t)
{
	uint32_t ioas = container_new(t);
	struct {
		struct vfio_iommu_type1_dma_map map;
		uint64_t more[4];
	} map = {{.argsz = sizeof(map), .flags = 3, .iova = 0, .size = PAGE}, {1, 2, 3, 4}};
	struct vfio_iommu_type1_dma_unmap unmap_dma = {.argsz = UINT32_MAX, .iova = 0, .size = PAGE};

	EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &map), 0);
	EXPECT(t, call(t, VFIO_IOMMU_UNMAP_DMA, place_at_end(t, &unmap_dma, 24, PROT_READ | PROT_WRITE)), 0);
	map.map.argsz = UINT32_MAX;
	EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, place_at_end(t, &map.map, 32, PROT_READ)), 0);
	expect_bytes(t, ioas, PAGE);
}

static void rights_of_a_map_become_those_of_its_pages(struct rules *t)
{
	uint32_t ioas = container_new(t);

	for (uint32_t flags = 0; flags < 4; flags++) {
		uint64_t iova = (flags + 1) * 0x10000;
		struct vfio_iommu_type1_dma_map c = {
			.argsz = sizeof(c), .flags = flags, .vaddr = VA, .iova = iova, .size = PAGE};

		EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &c), 0);
		EXPECT(t, copy_at(t, ioas, ioas, READ, iova, iova + PAGE, PAGE), 0);
		EXPECT(t, copy_at(t, ioas, ioas, WRITE, iova, iova + 2 * PAGE, PAGE),
		       flags & VFIO_DMA_MAP_FLAG_WRITE ? 0 : -EPERM);
	}
}

/* UNMAP_DMA of a container that has [0x10000, 0x13fff] and [0x14000, 0x14fff] mapped. */
struct dma_unmap_row {
	int result;
	uint32_t flags;
	uint64_t iova, size;
	uint64_t removed; /* as told */
	uint64_t left;
	bool no_ioas;
};

static uint32_t two_maps(struct rules *t, uintptr_t version)
{
	uint32_t ioas = container_new(t);

	EXPECT(t, call_value(t, VFIO_SET_IOMMU, version), 0);
	EXPECT(t, container_map(t, 0x10000, 4 * PAGE), 0);
	EXPECT(t, container_map(t, 0x14000, PAGE), 0);
	return ioas;
}

static void dma_unmap(struct rules *t, const struct dma_unmap_row *r, uintptr_t version)
{
	uint32_t ioas = two_maps(t, version);
	struct vfio_iommu_type1_dma_unmap c = {.argsz = sizeof(c), .flags = r->flags, .iova = r->iova, .size = r->size};

	if (r->no_ioas)
		EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_CLEAR, &(uint32_t){0}), 0);
	EXPECT(t, call(t, VFIO_IOMMU_UNMAP_DMA, &c), r->result);
	EXPECT_U64(t, c.size, r->removed);
	expect_bytes(t, ioas, r->left);
}

static void unmap_of_version_1(struct rules *t, const void *row)
{
	dma_unmap(t, row, VFIO_TYPE1_IOMMU);
}

static void unmap_of_version_2(struct rules *t, const void *row)
{
	dma_unmap(t, row, VFIO_TYPE1v2_IOMMU);
}

static void unknown_unmap_flags_are_einval(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1v2_IOMMU);

	for (int bit = 0; bit < 32; bit++) {
		struct vfio_iommu_type1_dma_unmap c = {.argsz = 24, .flags = 1U << bit, .iova = 0x14000, .size = PAGE};

		if (bit != 1)
			EXPECT(t, call(t, VFIO_IOMMU_UNMAP_DMA, &c), -EINVAL);
	}
	expect_bytes(t, ioas, 5 * PAGE);
}

static void unmap_whose_size_cannot_be_written_is_efault_and_done(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1v2_IOMMU);
	struct vfio_iommu_type1_dma_unmap c = {.argsz = sizeof(c), .iova = 0x14000, .size = PAGE}, bisects = c,
					  nothing = c;

	EXPECT(t, call(t, VFIO_IOMMU_UNMAP_DMA, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, is_free(t, ioas, 0x14000, PAGE), true);
	nothing.iova = 0x80000;
	EXPECT(t, call(t, VFIO_IOMMU_UNMAP_DMA, place_at_end(t, &nothing, sizeof(c), PROT_READ)), -EFAULT);
	bisects.iova = 0x10000;
	EXPECT(t, call(t, VFIO_IOMMU_UNMAP_DMA, place_at_end(t, &bisects, sizeof(c), PROT_READ)), -EFAULT);
	expect_bytes(t, ioas, 4 * PAGE);
}

static void version_1_cuts_a_map_into_three(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1_IOMMU);
	uint64_t removed;

	EXPECT(t, container_unmap(t, 0x11000, 2 * PAGE, &removed), 0);
	EXPECT_U64(t, removed, 2 * PAGE);
	EXPECT(t, is_free(t, ioas, 0x11000, 2 * PAGE), true);
	/* What is left are maps of their own. */
	EXPECT(t, unmap(t, ioas, 0x13000, PAGE, NULL), 0);
	EXPECT(t, unmap(t, ioas, 0x10000, PAGE, NULL), 0);
	expect_bytes(t, ioas, PAGE);
}

static void pieces_of_a_cut_keep_their_pages_and_rights(struct rules *t)
{
	uint32_t ioas = container_new(t);
	struct vfio_iommu_type1_dma_map c = {
		.argsz = sizeof(c), .flags = 1, .vaddr = VA + 0x3000, .iova = 0x100000, .size = 8 * PAGE};
	struct iommu_ioas_copy copy = {.size = sizeof(copy),
				       .flags = READ,
				       .dst_ioas_id = ioas,
				       .src_ioas_id = ioas,
				       .length = 4 * PAGE,
				       .src_iova = 0x105000};

	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &c), 0);
	EXPECT(t, container_unmap(t, 0x104000, PAGE, NULL), 0);
	/* The second piece is of address VA + 0x8000: an automatic copy of it is aligned so. */
	copy.length = 3 * PAGE;
	EXPECT(t, call(t, IOMMU_IOAS_COPY, &copy), 0);
	EXPECT_U64(t, copy.dst_iova, 0x4000);
	EXPECT(t, copy_at(t, ioas, ioas, WRITE, 0x105000, 0x200000, PAGE), -EPERM);
	EXPECT(t, copy_at(t, ioas, ioas, WRITE, 0x100000, 0x200000, PAGE), -EPERM);
	EXPECT(t, copy_at(t, ioas, ioas, READ, 0x100000, 0x200000, 4 * PAGE), 0);
}

static void cut_that_is_misaligned_leaves_every_byte(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1_IOMMU);
	uint64_t size;

	EXPECT(t, container_unmap(t, 0x10800, PAGE, &size), -EINVAL);
	EXPECT_U64(t, size, PAGE); /* not written */
	EXPECT(t, container_unmap(t, 0x10000, 0x800, &size), -EINVAL);
	EXPECT_U64(t, size, 0x800);
	EXPECT(t, container_unmap(t, 0x11000, PAGE + 1, &size), -EINVAL);
	EXPECT(t, is_free(t, ioas, 0x10000, 1), false);
	EXPECT(t, is_free(t, ioas, 0x11000, 1), false);
	expect_bytes(t, ioas, 5 * PAGE);
}

/* A cut before the first byte, after the last, and the quirk: none behind the first byte. */
static void cut_at_the_first_byte_of_a_map_does_nothing(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1_IOMMU);
	uint64_t removed;

	EXPECT(t, container_unmap(t, 0x10000, 1, &removed), -ENOENT);
	EXPECT_U64(t, removed, 0);
	EXPECT(t, unmap(t, ioas, 0x10000, 4 * PAGE, NULL), 0); /* in one piece still */
	expect_bytes(t, ioas, PAGE);
}

static void cut_stays_although_the_unmap_fails(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1_IOMMU);
	uint64_t removed;

	/* Cut before 0x11000; the last byte is the first of the other map, where there is no cut, so the range bisects
	 * that. */
	EXPECT(t, container_unmap(t, 0x11000, 0x3001, &removed), -ENOENT);
	EXPECT_U64(t, removed, 3 * PAGE);
	EXPECT(t, unmap(t, ioas, 0x10000, PAGE, NULL), 0);
	expect_bytes(t, ioas, PAGE);
}

static void cut_at_the_end_is_made_first(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1_IOMMU);

	/* Made first, the cut before 0x11000 would make its first byte one where there is no cut, and the result
	 * ENOENT. */
	EXPECT(t, container_unmap(t, 0x11000, 1, NULL), -EINVAL);
	EXPECT(t, unmap(t, ioas, 0x10000, 4 * PAGE, NULL), 0);
	/* The cut after 0x12fff stays, the one before 0x10800 fails. */
	EXPECT(t, container_map(t, 0x10000, 4 * PAGE), 0);
	EXPECT(t, container_unmap(t, 0x10800, 0x2800, NULL), -EINVAL);
	EXPECT(t, unmap(t, ioas, 0x13000, PAGE, NULL), 0);
	EXPECT(t, unmap(t, ioas, 0x10000, 3 * PAGE, NULL), 0);
}

static void version_1_unmaps_what_the_native_call_does_not(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1_IOMMU);

	EXPECT(t, unmap(t, ioas, 0x11000, PAGE, NULL), -ENOENT);
	EXPECT(t, container_unmap(t, 0x11000, PAGE, NULL), 0);
	expect_bytes(t, ioas, 4 * PAGE);
}

static void huge_pages_option_alone_decides_about_cuts(struct rules *t)
{
	uint32_t ioas = two_maps(t, VFIO_TYPE1v2_IOMMU);
	uint64_t on = 1;

	EXPECT(t, container_unmap(t, 0x11000, PAGE, NULL), -ENOENT);
	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, container_unmap(t, 0x11000, PAGE, NULL), 0);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET, ioas, &on), 0);
	EXPECT(t, container_unmap(t, 0x13000, 0x800, NULL), -ENOENT);
	expect_bytes(t, ioas, 4 * PAGE);
}

static void there_is_no_limit_of_maps(struct rules *t)
{
	uint32_t ioas = container_new(t);
	const uint64_t count = transport_kind(t->transport) == TRANSPORT_SYSCALLS ? 2000 : 66000;

	for (uint64_t i = 0; i < count; i++)
		if (!EXPECT(t, container_map(t, i * PAGE, PAGE), 0))
			break;
	expect_bytes(t, ioas, count * PAGE);
}

/* D.3 */

enum {
	INFO_TOTAL = 72, /* with one range */
};

static void get_info_with_every_argsz(struct rules *t)
{
	unsigned char buf[160];
	struct vfio_iommu_type1_info *info = (void *)buf;

	container_new(t);
	for (uint32_t argsz = 0; argsz <= 100; argsz++) {
		memset(buf, 0xa5, sizeof(buf));
		info->argsz = argsz;
		EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, buf), argsz < 16 ? -EINVAL : 0);
		EXPECT(t, info->argsz, argsz < 16 ? argsz : INFO_TOTAL);
		if (argsz >= 16) {
			EXPECT(t, info->flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
			EXPECT_U64(t, info->iova_pgsizes, UINT64_C(0xfffffffffffff000));
		}
		if (argsz >= 20)
			EXPECT(t, info->cap_offset, argsz >= INFO_TOTAL ? 24 : 0);
		for (size_t i = argsz < 16 ? 16 : argsz; i < sizeof(buf); i++)
			if (!EXPECT(t, buf[i], 0xa5))
				return;
	}
}

static void get_info_chain(struct rules *t)
{
	unsigned char buf[256] = {0};
	struct vfio_iommu_type1_info *info = (void *)buf;
	struct vfio_iommu_type1_info_dma_avail avail;
	struct vfio_iommu_type1_info_cap_iova_range ranges;
	struct vfio_iova_range range;

	container_new(t);
	info->argsz = sizeof(buf);
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, buf), 0);
	EXPECT(t, info->argsz, INFO_TOTAL);
	EXPECT(t, info->cap_offset, 24);
	EXPECT(t, info->pad, 0);
	memcpy(&avail, buf + 24, sizeof(avail));
	EXPECT(t, avail.header.id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	EXPECT(t, avail.header.version, 1);
	EXPECT(t, avail.header.next, 40);
	EXPECT_U64(t, avail.avail, UINT32_MAX);
	memcpy(&ranges, buf + 40, sizeof(ranges));
	EXPECT(t, ranges.header.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	EXPECT(t, ranges.header.version, 1);
	EXPECT(t, ranges.header.next, 0);
	EXPECT(t, ranges.nr_iovas, 1);
	EXPECT(t, ranges.reserved, 0);
	memcpy(&range, buf + 56, sizeof(range));
	EXPECT_U64(t, range.start, 0);
	EXPECT_U64(t, range.end, U64_MAX);
}

static void get_info_does_not_show_maps_or_the_list(struct rules *t)
{
	const struct iommu_iova_range list = {0x10000, 0x1ffff};
	uint32_t ioas = container_new(t);
	unsigned char buf[128] = {0};
	struct vfio_iommu_type1_info *info = (void *)buf;

	EXPECT(t, allow(t, ioas, &list, 1), 0);
	EXPECT(t, container_map(t, 0x100000, PAGE), 0);
	EXPECT(t, call_value(t, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	info->argsz = sizeof(buf);
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, buf), 0);
	EXPECT(t, info->argsz, INFO_TOTAL);
	EXPECT_U64(t, info->iova_pgsizes, UINT64_C(0xfffffffffffff000));
}

static void get_info_argsz_comes_before_the_ioas(struct rules *t)
{
	struct vfio_iommu_type1_info info = {.argsz = 15};

	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	info.argsz = 16;
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, &info), -ENODEV);
	EXPECT(t, info.argsz, 16);
}

static void get_info_that_cannot_be_written_is_efault(struct rules *t)
{
	unsigned char buf[128] = {16};

	container_new(t);
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, place_at_end(t, buf, 16, PROT_READ)), -EFAULT);
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, place_at_end(t, buf, 16, PROT_READ | PROT_WRITE)), 0);
	buf[0] = 72;
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, place(t, buf, 72, 24, PROT_READ | PROT_WRITE, PROT_READ)), -EFAULT);
	EXPECT(t, call(t, VFIO_IOMMU_GET_INFO, place(t, buf, 72, 40, PROT_READ | PROT_WRITE, PROT_NONE)), -EFAULT);
}

#define EXTENSION(rules, name, ...) ROW(rules, name, check_extension, struct extension_row, __VA_ARGS__)
#define DMA_ROW(rules, name, r, f, a, ...)                                                                             \
	ROW(rules, name, dma_map, struct dma_map_row, .result = (r), .flags = (f), .argsz = (a), ##__VA_ARGS__)
#define DMA(rules, name, result, ...) DMA_ROW(rules, name, result, 3, 32, ##__VA_ARGS__)
#define V1(rules, name, ...)          ROW(rules, name, unmap_of_version_1, struct dma_unmap_row, __VA_ARGS__)
#define V2(rules, name, ...)          ROW(rules, name, unmap_of_version_2, struct dma_unmap_row, __VA_ARGS__)
#define ALL                           (5 * PAGE)

static const struct rule_case cases[] = {
	CASE("D.1-1", api_version_is_0_whatever_the_argument),
	EXTENSION("D.1-2a", extension_type1, VFIO_TYPE1_IOMMU, 1, 1),
	EXTENSION("D.1-2a", extension_type1v2, VFIO_TYPE1v2_IOMMU, 1, 1),
	EXTENSION("D.1-2a", extension_unmap_all, VFIO_UNMAP_ALL, 1, 1),
	EXTENSION("D.1-2b", extension_noiommu, VFIO_NOIOMMU_IOMMU, 0, 0),
	EXTENSION("D.1-2c,D.0-3", extension_dma_cc, VFIO_DMA_CC_IOMMU, -ENODEV, 1),
	EXTENSION("D.1-2d", extension_nesting, VFIO_TYPE1_NESTING_IOMMU, 0, 0),
	EXTENSION("D.1-2d", extension_update_vaddr, VFIO_UPDATE_VADDR, 0, 0),
	EXTENSION("D.1-2d", extension_spapr, VFIO_SPAPR_TCE_IOMMU, 0, 0),
	EXTENSION("D.1-2d", extension_spapr_v2, VFIO_SPAPR_TCE_v2_IOMMU, 0, 0),
	EXTENSION("D.1-2d", extension_eeh, VFIO_EEH, 0, 0),
	EXTENSION("D.1-2e", extension_is_the_whole_word, (UINT64_C(1) << 32) + VFIO_TYPE1_IOMMU, 0, 0),
	EXTENSION("D.1-2e", extension_of_ones, UINTPTR_MAX, 0, 0),
	CASE("D.1-2d", no_other_extension_exists),
	CASE("D.1-3a,D.1-3b,D.1-3d,D.0-3", set_iommu_takes_types_1_and_3_only),
	CASE("D.1-3c,D.1-3e", version_1_switches_huge_pages_off_for_good),
	CASE("D.1-3f", version_1_with_a_misaligned_map_is_eaddrinuse),
	CASE("D.1-5", set_iommu_is_not_needed),
	CASE("D.1-4", group_and_dirty_page_commands_are_enotty),

	CASE("D.2-1,D.3-1,D.0-2", argument_is_read_whole_before_its_size),
	CASE("D.2-2a", argsz_below_the_structure_is_einval),
	CASE("D.2-2b", argsz_above_the_structure_is_taken_whatever_follows),
	CASE("D.2-2c", unknown_map_flags_are_einval),
	DMA_ROW("D.2-3a", map_flags_come_before_the_ioas, -EINVAL, 4, 32, .size = PAGE, .no_ioas = true),
	DMA_ROW("D.2-3a", map_argsz_comes_before_the_ioas, -EINVAL, 3, 31, .size = PAGE, .no_ioas = true),
	DMA("D.2-3b,D.0-3", map_without_an_ioas_is_enodev, -ENODEV, .size = 0, .no_ioas = true),
	DMA("D.2-4", map_of_a_page, 0, .vaddr = VA, .size = PAGE),
	DMA_ROW("D.2-5", map_without_any_right_is_taken, 0, 0, 32, .vaddr = VA, .size = PAGE),
	DMA_ROW("D.2-5", map_with_write_alone_is_taken, 0, 2, 32, .vaddr = VA, .size = PAGE),
	DMA("D.2-6a", map_whose_address_wraps_is_eoverflow, -EOVERFLOW, .vaddr = U64_MAX - PAGE + 1, .size = PAGE),
	DMA("D.2-6b", map_of_size_0_is_einval, -EINVAL, .vaddr = VA, .size = 0),
	DMA("D.2-6c", map_of_the_largest_size_is_einval, -EINVAL, .vaddr = 0, .size = U64_MAX),
	DMA("D.2-6c", map_of_the_largest_size_elsewhere_is_eoverflow, -EOVERFLOW, .vaddr = 1, .size = U64_MAX),
	DMA("D.2-6d", map_of_the_last_byte_is_taken, 0, .vaddr = VA, .iova = U64_MAX, .size = 1),
	DMA("D.2-6d", map_beyond_the_last_byte_is_eoverflow, -EOVERFLOW, .vaddr = VA, .iova = U64_MAX, .size = 2),
	DMA("D.2-6e", map_over_a_map_is_eexist, -EEXIST, .vaddr = VA, .iova = 0x10fff, .size = PAGE),
	DMA("D.2-6f", map_of_bytes_is_taken_without_a_page_table, 0, .vaddr = VA + 1, .iova = 3, .size = 5),
	DMA("D.2-6g", map_with_a_misaligned_size_is_einval, -EINVAL, .vaddr = VA, .iova = 0x20000, .size = 5,
	    .small_pages = true),
	DMA("D.2-6g", map_with_a_misaligned_iova_is_einval, -EINVAL, .vaddr = VA, .iova = 0x20800, .size = PAGE,
	    .small_pages = true),
	DMA("D.2-6g", map_with_a_misaligned_address_is_einval, -EINVAL, .vaddr = VA + 8, .iova = 0x20000, .size = PAGE,
	    .small_pages = true),
	CASE("D.2-5,D.2-7", rights_of_a_map_become_those_of_its_pages),
	CASE("D.2-19", there_is_no_limit_of_maps),

	CASE("D.2-8", unknown_unmap_flags_are_einval),
	V2("D.2-9a", unmap_flags_come_before_the_ioas, -EINVAL, 1, 0x14000, PAGE, .removed = PAGE, .left = ALL,
	   .no_ioas = true),
	V2("D.2-9b,D.0-3", unmap_without_an_ioas_is_enodev, -ENODEV, 0, 0x14000, PAGE, .removed = PAGE, .left = ALL,
	   .no_ioas = true),
	V2("D.2-9b", missing_ioas_comes_before_the_range_of_all, -ENODEV, 2, 0x14000, PAGE, .removed = PAGE,
	   .left = ALL, .no_ioas = true),
	V2("D.2-10a", unmap_all, 0, 2, 0, 0, .removed = ALL, .left = 0),
	V2("D.2-10b", unmap_all_with_an_iova_is_einval, -EINVAL, 2, PAGE, 0, .removed = 0, .left = ALL),
	V2("D.2-10b", unmap_all_with_a_size_is_einval, -EINVAL, 2, 0, PAGE, .removed = PAGE, .left = ALL),
	V1("D.2-10a", unmap_all_of_version_1, 0, 2, 0, 0, .removed = ALL, .left = 0),
	V2("D.2-11", unmap_of_one_map, 0, 0, 0x14000, PAGE, .removed = PAGE, .left = ALL - PAGE),
	V2("D.2-11", unmap_of_two_maps_with_slack, 0, 0, 0xf000, 0x10000, .removed = ALL, .left = 0),
	V2("D.2-12a", unmap_of_size_0_is_einval, -EINVAL, 0, 0x14000, 0, .removed = 0, .left = ALL),
	V2("D.2-12b", unmap_that_wraps_is_eoverflow, -EOVERFLOW, 0, U64_MAX, 2, .removed = 0, .left = ALL),
	V2("D.2-12c", unmap_of_the_largest_size_is_an_ordinary_one, 0, 0, 0, U64_MAX, .removed = ALL, .left = 0),
	V2("D.2-13", unmap_of_nothing_is_0_bytes, 0, 0, 0x80000, PAGE, .removed = 0, .left = ALL),
	V1("D.2-13", unmap_of_nothing_of_version_1_is_0_bytes, 0, 0, 0x80000, PAGE, .removed = 0, .left = ALL),
	V2("D.2-14", unmap_of_the_middle_of_version_2_is_enoent, -ENOENT, 0, 0x11000, PAGE, .removed = 0, .left = ALL),
	V2("D.2-14", unmap_of_the_head_of_version_2_is_enoent, -ENOENT, 0, 0x10000, PAGE, .removed = 0, .left = ALL),
	V2("D.2-14", unmap_of_the_tail_of_version_2_is_enoent, -ENOENT, 0, 0x13000, PAGE, .removed = 0, .left = ALL),
	V2("D.2-15", unmap_that_fails_later_says_what_is_gone, -ENOENT, 0, 0x10000, 0x4800, .removed = 4 * PAGE,
	   .left = PAGE),
	CASE("D.2-16", unmap_whose_size_cannot_be_written_is_efault_and_done),
	V1("D.2-17a,B.7-1", unmap_of_the_middle_of_version_1, 0, 0, 0x11000, PAGE, .removed = PAGE, .left = ALL - PAGE),
	V1("D.2-17a,B.7-1", unmap_of_the_head_of_version_1, 0, 0, 0x10000, PAGE, .removed = PAGE, .left = ALL - PAGE),
	V1("D.2-17a,B.7-1", unmap_of_the_tail_of_version_1, 0, 0, 0x13000, PAGE, .removed = PAGE, .left = ALL - PAGE),
	V1("D.2-17a,B.7-1", unmap_across_two_maps_of_version_1, 0, 0, 0x12000, 3 * PAGE, .removed = 3 * PAGE,
	   .left = 2 * PAGE),
	V1("D.2-17b", unmap_from_0_needs_no_first_cut, 0, 0, 0, 0x11000, .removed = PAGE, .left = ALL - PAGE),
	V1("D.2-12a", unmap_of_size_0_of_version_1_is_einval, -EINVAL, 0, 0x80000, 0, .removed = 0, .left = ALL),
	CASE("D.2-17a,B.7-1", version_1_cuts_a_map_into_three),
	CASE("B.7-5", pieces_of_a_cut_keep_their_pages_and_rights),
	CASE("D.2-18,B.7-3", cut_that_is_misaligned_leaves_every_byte),
	CASE("B.7-2a,B.7-2b", cut_at_the_first_byte_of_a_map_does_nothing),
	CASE("B.7-2b,B.7-4", cut_stays_although_the_unmap_fails),
	CASE("B.7-4b", cut_at_the_end_is_made_first),
	CASE("B.7-6", version_1_unmaps_what_the_native_call_does_not),
	CASE("D.2-17c", huge_pages_option_alone_decides_about_cuts),

	CASE("D.3-2,D.3-3,D.3-4a,D.3-6,D.3-7", get_info_with_every_argsz),
	CASE("D.3-5,D.3-6,D.3-4b", get_info_chain),
	CASE("D.3-8", get_info_does_not_show_maps_or_the_list),
	CASE("D.3-2,D.0-3", get_info_argsz_comes_before_the_ioas),
	CASE("D.3-9", get_info_that_cannot_be_written_is_efault),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

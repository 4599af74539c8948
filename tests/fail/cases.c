/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of an iommufd and of a VFIO container, and what else is done with their files. */
#define _GNU_SOURCE
#include "cases.h"
#include "set_ups.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

/* Descriptors are kept and not compared, as the process gives any. */

SIMPLE(ioas_alloc, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, 0)
SIMPLE(map, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 7, .ioas_id = w->ioas, .user_va = (uintptr_t)w->memory + 4 * PAGE,
       .length = 4 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(map_automatic, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 6, .ioas_id = w->ioas, .user_va = (uintptr_t)w->memory,
       .length = 4 * PAGE)
SIMPLE(map_file, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = 7, .ioas_id = w->ioas, .fd = w->memfd,
       .start = 4 * PAGE, .length = 4 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(map_dmabuf, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = 7, .ioas_id = w->ioas, .fd = w->dmabuf,
       .length = 2 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(copy, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = 7, .dst_ioas_id = w->ioas, .src_ioas_id = w->ioas,
       .length = PAGE, .dst_iova = APERTURE + 32 * PAGE, .src_iova = APERTURE + PAGE)
SIMPLE(unmap, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, .ioas_id = w->ioas, .iova = APERTURE, .length = 2 * PAGE)
SIMPLE(unmap_all, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, .ioas_id = w->ioas, .length = UINT64_MAX)
SIMPLE(huge_pages, IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_HUGE_PAGES, .object_id = w->ioas)
SIMPLE(vfio_ioas, IOMMU_VFIO_IOAS, iommu_vfio_ioas, .ioas_id = w->ioas, .op = IOMMU_VFIO_IOAS_SET)
SIMPLE(change_process, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, 0)
SIMPLE(hwpt_alloc, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .flags = IOMMU_HWPT_ALLOC_NEST_PARENT, .dev_id = w->idev,
       .pt_id = w->ioas)
SIMPLE(set_dirty, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, .flags = 1, .hwpt_id = w->hwpt)
SIMPLE(viommu_alloc, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = w->idev,
       .hwpt_id = w->hwpt)
SIMPLE(vdevice_alloc, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, .viommu_id = w->viommu, .dev_id = w->idev,
       .virt_id = 0x99)
SIMPLE(hw_queue_alloc, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, .viommu_id = w->viommu,
       .type = IOMMU_HW_QUEUE_TYPE_SELFTEST, .nesting_parent_iova = APERTURE, .length = PAGE)
SIMPLE(map_read_only, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 5, .ioas_id = w->ioas,
       .user_va = (uintptr_t)w->memory + 4 * PAGE, .length = 4 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(map_mixed, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 7, .ioas_id = w->ioas,
       .user_va = (uintptr_t)w->memory + (SHARED - 2) * PAGE, .length = 6 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(map_file_automatic, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = 6, .ioas_id = w->ioas, .fd = w->memfd,
       .start = 4 * PAGE, .length = 4 * PAGE)
SIMPLE(map_file_read_only, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = 5, .ioas_id = w->ioas, .fd = w->memfd,
       .start = 4 * PAGE, .length = 4 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(copy_automatic, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = 6, .dst_ioas_id = w->ioas, .src_ioas_id = w->ioas,
       .length = PAGE, .src_iova = APERTURE + PAGE)
SIMPLE(copy_to_other, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = 7, .dst_ioas_id = w->other_ioas,
       .src_ioas_id = w->ioas, .length = 2 * PAGE, .dst_iova = APERTURE + 32 * PAGE, .src_iova = APERTURE)
SIMPLE(copy_from_other, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = 7, .dst_ioas_id = w->ioas,
       .src_ioas_id = w->other_ioas, .length = 2 * PAGE, .dst_iova = APERTURE + 32 * PAGE, .src_iova = APERTURE)
SIMPLE(copy_file, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = 7, .dst_ioas_id = w->ioas, .src_ioas_id = w->ioas,
       .length = PAGE, .dst_iova = APERTURE + 32 * PAGE, .src_iova = APERTURE + 17 * PAGE)
SIMPLE(unmap_file, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, .ioas_id = w->ioas, .iova = APERTURE + 16 * PAGE,
       .length = 2 * PAGE)
SIMPLE(unmap_dmabuf, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, .ioas_id = w->ioas, .iova = APERTURE + 24 * PAGE,
       .length = 2 * PAGE)
SIMPLE(huge_pages_on, IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_HUGE_PAGES, .object_id = w->ioas,
       .val64 = 1)
SIMPLE(huge_pages_get, IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_HUGE_PAGES, .op = IOMMU_OPTION_OP_GET,
       .object_id = w->ioas)
SIMPLE(rlimit_mode, IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_RLIMIT_MODE, .val64 = 1)
SIMPLE(rlimit_mode_get, IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = IOMMU_OPTION_OP_GET)
SIMPLE(vfio_ioas_get, IOMMU_VFIO_IOAS, iommu_vfio_ioas, .op = IOMMU_VFIO_IOAS_GET)
SIMPLE(vfio_ioas_clear, IOMMU_VFIO_IOAS, iommu_vfio_ioas, .op = IOMMU_VFIO_IOAS_CLEAR)
SIMPLE(hwpt_plain, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .dev_id = w->idev, .pt_id = w->ioas)
SIMPLE(hwpt_tracking, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING, .dev_id = w->idev,
       .pt_id = w->ioas)
SIMPLE(hwpt_pasid, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .flags = IOMMU_HWPT_ALLOC_PASID, .dev_id = w->idev,
       .pt_id = w->ioas)
SIMPLE(unset_dirty, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, .hwpt_id = w->hwpt)
SIMPLE(destroy_nested, IOMMU_DESTROY, iommu_destroy, .id = w->nested)
SIMPLE(destroy_viommu, IOMMU_DESTROY, iommu_destroy, .id = w->viommu)
SIMPLE(destroy_vdevice, IOMMU_DESTROY, iommu_destroy, .id = w->vdevice)
SIMPLE(destroy_hw_queue, IOMMU_DESTROY, iommu_destroy, .id = w->hw_queue)
SIMPLE(destroy_other, IOMMU_DESTROY, iommu_destroy, .id = w->other_ioas)
SIMPLE(destroy_hwpt, IOMMU_DESTROY, iommu_destroy, .id = w->hwpt)
SIMPLE(destroy_device, IOMMU_DESTROY, iommu_destroy, .id = w->stdev)
SIMPLE(destroy_ioas, IOMMU_DESTROY, iommu_destroy, .id = w->ioas)

static void iova_ranges(struct world *w, struct outcome *out)
{
	struct iommu_iova_range range[4] = {{0}};
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd), .ioas_id = w->ioas, .num_iovas = 4, .allowed_iovas = (uintptr_t)range};

	out->rc = CALL(w, IOMMU_IOAS_IOVA_RANGES, &cmd);
	if (!out->rc)
		STORE(out, range);
}

static void allow_iovas(struct world *w, struct outcome *out)
{
	struct iommu_iova_range range[2] = {{APERTURE, APERTURE + 100 * PAGE - 1},
					    {APERTURE + 200 * PAGE, APERTURE + 300 * PAGE - 1}};
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd), .ioas_id = w->ioas, .num_iovas = 2, .allowed_iovas = (uintptr_t)range};

	out->rc = CALL(w, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static void fault_alloc(struct world *w, struct outcome *out)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};

	out->rc = CALL(w, IOMMU_FAULT_QUEUE_ALLOC, &cmd);
	if (out->rc)
		return;
	w->fault_fd = (int)cmd.out_fault_fd;
	STORE(out, cmd.out_fault_id);
}

static void veventq_alloc(struct world *w, struct outcome *out)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = w->viommu, .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 2};

	out->rc = CALL(w, IOMMU_VEVENTQ_ALLOC, &cmd);
	if (out->rc)
		return;
	w->veventq_fd = (int)cmd.out_veventq_fd;
	STORE(out, cmd.out_veventq_id);
}

static void hwpt_nested(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_selftest data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .dev_id = w->idev,
				       .pt_id = w->viommu,
				       .data_type = IOMMU_HWPT_DATA_SELFTEST,
				       .data_len = sizeof(data),
				       .data_uptr = (uintptr_t)&data};

	out->rc = CALL(w, IOMMU_HWPT_ALLOC, &cmd);
	STORE(out, cmd.out_hwpt_id);
}

static void hwpt_fault(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .flags = IOMMU_HWPT_FAULT_ID_VALID,
				       .dev_id = w->idev,
				       .pt_id = w->ioas,
				       .fault_id = w->fault};

	out->rc = CALL(w, IOMMU_HWPT_ALLOC, &cmd);
	STORE(out, cmd.out_hwpt_id);
}

static void hw_info(struct world *w, struct outcome *out)
{
	struct iommu_test_hw_info info = {0};
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd), .dev_id = w->idev, .data_len = sizeof(info), .data_uptr = (uintptr_t)&info};

	out->rc = CALL(w, IOMMU_GET_HW_INFO, &cmd);
	STORE(out, info);
}

/* Its walk's own failures are not told, by design of the ABI: only the result counts. */
static void get_dirty(struct world *w, struct outcome *out)
{
	uint64_t bits[2] = {0};
	struct iommu_hwpt_get_dirty_bitmap cmd = {.size = sizeof(cmd),
						  .hwpt_id = w->hwpt,
						  .iova = APERTURE,
						  .length = 2 * PAGE,
						  .page_size = PAGE,
						  .data = (uintptr_t)bits};

	out->rc = CALL(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static void invalidate_nested(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_invalidate_selftest entry[2] = {{.iotlb_id = 0}, {.iotlb_id = 1}};
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd),
					    .hwpt_id = w->nested,
					    .data_uptr = (uintptr_t)entry,
					    .data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
					    .entry_len = sizeof(*entry),
					    .entry_num = 2};

	out->rc = CALL(w, IOMMU_HWPT_INVALIDATE, &cmd);
}

static void invalidate_viommu(struct world *w, struct outcome *out)
{
	struct iommu_viommu_invalidate_selftest entry[2] = {{.vdev_id = 0x99}, {.vdev_id = 0x99, .cache_id = 1}};
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd),
					    .hwpt_id = w->viommu,
					    .data_uptr = (uintptr_t)entry,
					    .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
					    .entry_len = sizeof(*entry),
					    .entry_num = 2};

	out->rc = CALL(w, IOMMU_HWPT_INVALIDATE, &cmd);
}

static void read_fault(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_pgfault fault[2];

	out->rc = world_read(w, w->fault_fd, fault, sizeof(fault));
	if (out->rc > 0)
		STORE(out, fault[0]);
}

static void write_fault(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_page_response response = {.cookie = 1};

	out->rc = world_write(w, w->fault_fd, &response, sizeof(response));
}

static void read_vevent(struct world *w, struct outcome *out)
{
	uint32_t record[8];

	out->rc = world_read(w, w->veventq_fd, record, sizeof(record));
}

static void vfio_map(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_map cmd = {.argsz = sizeof(cmd),
					       .flags = 3,
					       .vaddr = (uintptr_t)w->memory,
					       .iova = APERTURE + 32 * PAGE,
					       .size = PAGE};

	out->rc = CALL(w, VFIO_IOMMU_MAP_DMA, &cmd);
}

static void vfio_unmap_middle(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_unmap cmd = {.argsz = sizeof(cmd), .iova = APERTURE + 33 * PAGE, .size = PAGE};

	out->rc = CALL(w, VFIO_IOMMU_UNMAP_DMA, &cmd);
}

static void vfio_info(struct world *w, struct outcome *out)
{
	unsigned char room[128] = {0};
	uint32_t argsz = sizeof(room);

	memcpy(room, &argsz, sizeof(argsz));
	out->rc = CALL(w, VFIO_IOMMU_GET_INFO, room);
	STORE(out, room);
}

static void open_node(struct world *w, struct outcome *out)
{
	int fd = world_open(w, "/dev/vfio/vfio", O_RDWR);

	out->rc = fd < 0 ? fd : 0;
	if (fd >= 0)
		world_close(w, fd);
}

/* A page table on another, or with data of the test device's. */
static void hwpt_with_data(struct world *w, struct outcome *out, uint32_t pt, uint32_t flags,
			   const struct iommu_hwpt_selftest *data)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .flags = flags,
				       .dev_id = w->idev,
				       .pt_id = pt,
				       .data_type = IOMMU_HWPT_DATA_SELFTEST,
				       .data_len = sizeof(*data),
				       .data_uptr = (uintptr_t)data,
				       .fault_id = flags ? w->fault : 0};

	out->rc = CALL(w, IOMMU_HWPT_ALLOC, &cmd);
	STORE(out, cmd.out_hwpt_id);
}

static void hwpt_on_parent(struct world *w, struct outcome *out)
{
	hwpt_with_data(w, out, w->hwpt, 0, &(struct iommu_hwpt_selftest){.iotlb = IOMMU_TEST_IOTLB_DEFAULT});
}

static void hwpt_huge(struct world *w, struct outcome *out)
{
	hwpt_with_data(w, out, w->ioas, 0, &(struct iommu_hwpt_selftest){.pagetable_type = MOCK_IOMMUPT_HUGE});
}

static void hwpt_nested_fault(struct world *w, struct outcome *out)
{
	hwpt_with_data(w, out, w->viommu, IOMMU_HWPT_FAULT_ID_VALID,
		       &(struct iommu_hwpt_selftest){.iotlb = IOMMU_TEST_IOTLB_DEFAULT});
}

static void viommu_with_region(struct world *w, struct outcome *out)
{
	struct iommu_viommu_selftest data = {.in_data = 5};
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd),
					 .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					 .dev_id = w->idev,
					 .hwpt_id = w->hwpt,
					 .data_len = sizeof(data),
					 .data_uptr = (uintptr_t)&data};

	out->rc = CALL(w, IOMMU_VIOMMU_ALLOC, &cmd);
	if (out->rc)
		return;
	memcpy(out->stored, &data, sizeof(data));
	memcpy(out->stored + sizeof(data), &cmd.out_viommu_id, sizeof(cmd.out_viommu_id));
}

static void map_region(struct world *w, struct outcome *out)
{
	void *at;

	out->rc = world_map(w, w->fd, 2 * PAGE, w->region_offset, &at);
	if (out->rc)
		return;
	STORE(out, *(uint32_t *)at);
	munmap(at, 2 * PAGE);
}

/* A structure of a newer kernel, whose further members are zero, in more than a page. */
static void long_structure(struct world *w, struct outcome *out)
{
	static uint32_t cmd[2048];

	memset(cmd, 0, sizeof(cmd));
	cmd[0] = sizeof(cmd);
	out->rc = CALL(w, IOMMU_IOAS_ALLOC, cmd);
	memcpy(out->stored, cmd, 12);
}

static void hw_info_long(struct world *w, struct outcome *out)
{
	static unsigned char info[2 * PAGE];
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd), .dev_id = w->idev, .data_len = sizeof(info), .data_uptr = (uintptr_t)info};

	memset(info, 0xff, sizeof(info));
	out->rc = CALL(w, IOMMU_GET_HW_INFO, &cmd);
	memcpy(out->stored, info, sizeof(out->stored));
}

/* EBUSY is what it shall answer. */
static void destroy_mapped(struct world *w, struct outcome *out)
{
	destroy_viommu(w, out);
	if (out->rc == 0)
		out->rc = -ENOTRECOVERABLE;
	if (out->rc == -EBUSY)
		out->rc = 0;
}

static void close_it(struct world *w, struct outcome *out)
{
	out->rc = world_close(w, w->fd);
	w->fd = -1;
}

static void poll_faults(struct world *w, struct outcome *out)
{
	out->rc = world_poll(w, w->fault_fd);
}

static void open_read_only(struct world *w, struct outcome *out)
{
	long fd = world_open(w, "/dev/iommu", O_RDONLY);

	out->rc = fd < 0 ? fd : 0;
	if (fd >= 0)
		world_close(w, (int)fd);
}

static void vfio_unmap_all(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_unmap cmd = {.argsz = sizeof(cmd), .flags = VFIO_DMA_UNMAP_FLAG_ALL};

	out->rc = CALL(w, VFIO_IOMMU_UNMAP_DMA, &cmd);
	STORE(out, cmd.size);
}

static void vfio_unmap(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_unmap cmd = {.argsz = sizeof(cmd), .iova = APERTURE + 32 * PAGE, .size = 4 * PAGE};

	out->rc = CALL(w, VFIO_IOMMU_UNMAP_DMA, &cmd);
	STORE(out, cmd.size);
}

static void vfio_version(struct world *w, struct outcome *out)
{
	out->rc = CALL(w, VFIO_GET_API_VERSION, NULL);
}

static void vfio_extension(struct world *w, struct outcome *out)
{
	out->rc = CALL(w, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU);
}

static void vfio_set_iommu(struct world *w, struct outcome *out)
{
	out->rc = CALL(w, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
}

const struct sweep iommufd_sweeps[] = {
	{"open", nothing, open_node, 0},
	{"open to read", nothing, open_read_only, 0},
	{"close", device_mapped, close_it, 0},
	{"poll", faults_waiting, poll_faults, 0},
	{"mmap of a region", virtual, map_region, 0},
	{"a long structure", nothing, long_structure, 0},
	{"IOAS_ALLOC", nothing, ioas_alloc, 0},
	{"IOAS_MAP", plain, map, STAYS},
	{"IOAS_MAP to read", device, map_read_only, STAYS},
	{"IOAS_MAP of private and shared memory", device, map_mixed, STAYS},
	{"IOAS_MAP with a page table", device, map, STAYS},
	{"IOAS_MAP with two page tables", table, map, STAYS},
	{"IOAS_MAP of private and shared memory with two page tables", table, map_mixed, STAYS},
	{"IOAS_MAP automatic with a page table", device, map_automatic, STAYS},
	{"IOAS_MAP while tracking", tracking, map, STAYS},
	{"IOAS_MAP with an access", accessing, map, STAYS},
	{"IOAS_MAP_FILE", plain, map_file, STAYS},
	{"IOAS_MAP_FILE automatic", plain, map_file_automatic, STAYS},
	{"IOAS_MAP_FILE to read", device, map_file_read_only, STAYS},
	{"IOAS_MAP_FILE with a page table", device, map_file, STAYS},
	{"IOAS_MAP_FILE with two page tables", table, map_file, STAYS},
	{"IOAS_MAP_FILE of a dma-buf", buffer, map_dmabuf, STAYS},
	{"IOAS_MAP_FILE of a dma-buf that is mapped", buffer_mapped, map_dmabuf, STAYS},
	{"IOAS_COPY", mapped, copy, STAYS},
	{"IOAS_COPY automatic", mapped, copy_automatic, STAYS},
	{"IOAS_COPY with a page table", device_mapped, copy, STAYS},
	{"IOAS_COPY of a file", device_mapped, copy_file, STAYS},
	{"IOAS_COPY from an IOAS with a page table", two_spaces, copy_to_other, STAYS},
	{"IOAS_COPY to an IOAS with a page table", from_other, copy_from_other, STAYS},
	{"IOAS_UNMAP", mapped, unmap, STAYS},
	{"IOAS_UNMAP with a page table", device_mapped, unmap, STAYS},
	{"IOAS_UNMAP of a file", device_mapped, unmap_file, STAYS},
	{"IOAS_UNMAP of a dma-buf", buffer_mapped, unmap_dmabuf, STAYS},
	{"IOAS_UNMAP of all", device_mapped, unmap_all, STAYS},
	{"IOAS_UNMAP while tracking", tracking, unmap, STAYS},
	{"IOAS_UNMAP of what is pinned", pinned, unmap_all, STAYS},
	{"IOAS_IOVA_RANGES", device, iova_ranges, 0},
	{"IOAS_ALLOW_IOVAS", device, allow_iovas, 0},
	{"OPTION HUGE_PAGES off", plain, huge_pages, STAYS},
	{"OPTION HUGE_PAGES on", device_mapped, huge_pages_on, STAYS},
	{"OPTION HUGE_PAGES get", plain, huge_pages_get, 0},
	{"OPTION RLIMIT_MODE", nothing, rlimit_mode, STAYS},
	{"OPTION RLIMIT_MODE get", nothing, rlimit_mode_get, 0},
	{"VFIO_IOAS", plain, vfio_ioas, 0},
	{"VFIO_IOAS get", compat, vfio_ioas_get, 0},
	{"VFIO_IOAS clear", compat, vfio_ioas_clear, 0},
	{"IOAS_CHANGE_PROCESS", plain, change_process, 0},
	{"IOAS_CHANGE_PROCESS with a file", file_mapped, change_process, 0},
	{"HWPT_ALLOC", device_mapped, hwpt_plain, 0},
	{"HWPT_ALLOC of a parent", device_mapped, hwpt_alloc, 0},
	{"HWPT_ALLOC that tracks", device_mapped, hwpt_tracking, 0},
	{"HWPT_ALLOC for PASIDs", device_mapped, hwpt_pasid, 0},
	{"HWPT_ALLOC with huge pages", device_mapped, hwpt_huge, 0},
	{"HWPT_ALLOC on a parent", table, hwpt_on_parent, 0},
	{"HWPT_ALLOC nested", virtual_device, hwpt_nested, 0},
	{"HWPT_ALLOC nested with faults", virtual_faults, hwpt_nested_fault, 0},
	{"HWPT_ALLOC with faults", faults, hwpt_fault, 0},
	{"HWPT_ALLOC with a dma-buf", buffer_mapped, hwpt_plain, 0},
	{"GET_HW_INFO", device, hw_info, 0},
	{"GET_HW_INFO into much room", device, hw_info_long, 0},
	{"HWPT_SET_DIRTY_TRACKING", to_track, set_dirty, 0},
	{"HWPT_SET_DIRTY_TRACKING off", tracking_dirty, unset_dirty, 0},
	{"HWPT_GET_DIRTY_BITMAP", tracking, get_dirty, 0},
	{"HWPT_GET_DIRTY_BITMAP of what is dirty", tracking_dirty, get_dirty, PARTLY},
	{"HWPT_INVALIDATE", nested, invalidate_nested, PARTLY},
	{"HWPT_INVALIDATE of a vIOMMU", nested, invalidate_viommu, PARTLY},
	{"FAULT_QUEUE_ALLOC", nothing, fault_alloc, 0},
	{"VIOMMU_ALLOC", table, viommu_alloc, 0},
	{"VIOMMU_ALLOC with a region", table, viommu_with_region, 0},
	{"VDEVICE_ALLOC", virtual, vdevice_alloc, 0},
	{"VEVENTQ_ALLOC", virtual, veventq_alloc, 0},
	{"HW_QUEUE_ALLOC", virtual, hw_queue_alloc, 0},
	{"DESTROY of a page table", table, destroy_hwpt, 0},
	{"DESTROY of a device", device_mapped, destroy_device, 0},
	{"DESTROY of an IOAS", mapped, destroy_ioas, 0},
	{"DESTROY of an IOAS with areas of another", spaces_shared, destroy_other, 0},
	{"DESTROY of a nested page table", nested_loose, destroy_nested, 0},
	{"DESTROY of a vIOMMU", virtual, destroy_viommu, 0},
	{"DESTROY of a vIOMMU whose region is mapped", virtual_mapped, destroy_mapped, 0},
	{"DESTROY of a vDevice", virtual_device, destroy_vdevice, 0},
	{"DESTROY of a hardware queue", queued, destroy_hw_queue, 0},
	{"read of faults", faults_waiting, read_fault, 0},
	{"write of answers", faults_read, write_fault, 0},
	{"read of events", events_waiting, read_vevent, 0},
	{"VFIO_GET_API_VERSION", compat, vfio_version, 0},
	{"VFIO_CHECK_EXTENSION", compat, vfio_extension, 0},
	{"VFIO_SET_IOMMU", compat, vfio_set_iommu, 0},
	{"VFIO_IOMMU_MAP_DMA", compat, vfio_map, 0},
	{"VFIO_IOMMU_UNMAP_DMA", compat_v1, vfio_unmap, STAYS},
	{"VFIO_IOMMU_UNMAP_DMA of all", compat_v1, vfio_unmap_all, STAYS},
	{"VFIO_IOMMU_UNMAP_DMA cutting", compat_v1, vfio_unmap_middle, STAYS},
	{"VFIO_IOMMU_GET_INFO", compat, vfio_info, 0},
	{0},
};

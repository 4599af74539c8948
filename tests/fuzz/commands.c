/* SPDX-License-Identifier: BSD-3-Clause */
#include "commands.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"

#define M(kind, structure, name)                                                                                       \
	{                                                                                                              \
		MEMBER_##kind, offsetof(struct structure, name), sizeof(((struct structure *)NULL)->name)              \
	}
#define THROUGH(structure, name) (offsetof(struct structure, name) + sizeof(((struct structure *)NULL)->name))

/* A command whose structure's first version ended with a member, and one that says something back. */
#define SIZED(command, structure, last)                                                                                \
	.name = #command, .cmd = IOMMU_##command, .style = COMMAND_SIZED, .size = sizeof(struct structure),            \
	.min = THROUGH(structure, last)
#define ANSWERS(structure) .answers = true, .answer_to = sizeof(struct structure)

#define ARGSZ(command, structure)                                                                                      \
	.name = #command, .cmd = VFIO_##command, .style = COMMAND_ARGSZ, .size = sizeof(struct structure),             \
	.min = sizeof(struct structure)
#define VALUE(command) .name = #command, .cmd = VFIO_##command, .style = COMMAND_VALUE

const struct command commands[] = {
	{SIZED(IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id), ANSWERS(iommu_ioas_alloc),
	 .member = {M(RESERVED, iommu_ioas_alloc, flags)}},
	{SIZED(IOAS_MAP, iommu_ioas_map, iova), ANSWERS(iommu_ioas_map),
	 .member = {M(MAP_FLAGS, iommu_ioas_map, flags), M(ID, iommu_ioas_map, ioas_id), M(IOVA, iommu_ioas_map, iova),
		    M(LENGTH, iommu_ioas_map, length), M(VA, iommu_ioas_map, user_va),
		    M(RESERVED, iommu_ioas_map, __reserved)}},
	{SIZED(IOAS_UNMAP, iommu_ioas_unmap, length), ANSWERS(iommu_ioas_unmap),
	 .member = {M(ID, iommu_ioas_unmap, ioas_id), M(IOVA, iommu_ioas_unmap, iova),
		    M(LENGTH, iommu_ioas_unmap, length)}},
	{SIZED(IOAS_COPY, iommu_ioas_copy, src_iova), ANSWERS(iommu_ioas_copy),
	 .member = {M(MAP_FLAGS, iommu_ioas_copy, flags), M(ID, iommu_ioas_copy, dst_ioas_id),
		    M(ID, iommu_ioas_copy, src_ioas_id), M(LENGTH, iommu_ioas_copy, length),
		    M(IOVA, iommu_ioas_copy, dst_iova), M(IOVA, iommu_ioas_copy, src_iova)}},
	{SIZED(IOAS_MAP_FILE, iommu_ioas_map_file, iova), ANSWERS(iommu_ioas_map_file),
	 .member = {M(MAP_FLAGS, iommu_ioas_map_file, flags), M(ID, iommu_ioas_map_file, ioas_id),
		    M(IOVA, iommu_ioas_map_file, iova), M(LENGTH, iommu_ioas_map_file, length),
		    M(FD, iommu_ioas_map_file, fd), M(IOVA, iommu_ioas_map_file, start)}},
	{SIZED(IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas),
	 .member = {M(ID, iommu_ioas_allow_iovas, ioas_id), M(COUNT, iommu_ioas_allow_iovas, num_iovas),
		    M(RANGES, iommu_ioas_allow_iovas, allowed_iovas), M(RESERVED, iommu_ioas_allow_iovas, __reserved)}},
	{SIZED(IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment), ANSWERS(iommu_ioas_iova_ranges),
	 .member = {M(ID, iommu_ioas_iova_ranges, ioas_id), M(COUNT, iommu_ioas_iova_ranges, num_iovas),
		    M(RANGES, iommu_ioas_iova_ranges, allowed_iovas), M(RESERVED, iommu_ioas_iova_ranges, __reserved)}},
	{SIZED(OPTION, iommu_option, val64), .answers = true, .answer_from = offsetof(struct iommu_option, val64),
	 .answer_to = sizeof(struct iommu_option),
	 .member = {M(SMALL, iommu_option, option_id), M(SMALL, iommu_option, op), M(ID, iommu_option, object_id),
		    M(SMALL, iommu_option, val64), M(RESERVED, iommu_option, __reserved)}},
	{SIZED(VFIO_IOAS, iommu_vfio_ioas, __reserved),
	 .member = {M(ID, iommu_vfio_ioas, ioas_id), M(SMALL, iommu_vfio_ioas, op),
		    M(RESERVED, iommu_vfio_ioas, __reserved)}},
	{SIZED(DESTROY, iommu_destroy, id), .member = {M(ID, iommu_destroy, id)}},
	{SIZED(FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd), ANSWERS(iommu_fault_alloc),
	 .member = {M(RESERVED, iommu_fault_alloc, flags)}},
	{SIZED(IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
	 .member = {M(RESERVED, iommu_ioas_change_process, __reserved)}},

	{SIZED(HWPT_ALLOC, iommu_hwpt_alloc, __reserved),
	 .member = {M(FLAGS, iommu_hwpt_alloc, flags), M(ID, iommu_hwpt_alloc, dev_id), M(ID, iommu_hwpt_alloc, pt_id),
		    M(SMALL, iommu_hwpt_alloc, data_type), M(COUNT, iommu_hwpt_alloc, data_len),
		    M(DATA, iommu_hwpt_alloc, data_uptr), M(ID, iommu_hwpt_alloc, fault_id),
		    M(RESERVED, iommu_hwpt_alloc, __reserved)}},
	{SIZED(GET_HW_INFO, iommu_hw_info, __reserved),
	 .member = {M(FLAGS, iommu_hw_info, flags), M(ID, iommu_hw_info, dev_id), M(COUNT, iommu_hw_info, data_len),
		    M(DATA, iommu_hw_info, data_uptr), M(SMALL, iommu_hw_info, in_data_type),
		    M(RESERVED, iommu_hw_info, __reserved)}},
	{SIZED(HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved),
	 .member = {M(FLAGS, iommu_hwpt_set_dirty_tracking, flags), M(ID, iommu_hwpt_set_dirty_tracking, hwpt_id),
		    M(RESERVED, iommu_hwpt_set_dirty_tracking, __reserved)}},
	{SIZED(HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data),
	 .member = {M(ID, iommu_hwpt_get_dirty_bitmap, hwpt_id), M(FLAGS, iommu_hwpt_get_dirty_bitmap, flags),
		    M(IOVA, iommu_hwpt_get_dirty_bitmap, iova), M(LENGTH, iommu_hwpt_get_dirty_bitmap, length),
		    M(LENGTH, iommu_hwpt_get_dirty_bitmap, page_size), M(DATA, iommu_hwpt_get_dirty_bitmap, data),
		    M(RESERVED, iommu_hwpt_get_dirty_bitmap, __reserved)}},
	{SIZED(HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved),
	 .member = {M(ID, iommu_hwpt_invalidate, hwpt_id), M(DATA, iommu_hwpt_invalidate, data_uptr),
		    M(SMALL, iommu_hwpt_invalidate, data_type), M(COUNT, iommu_hwpt_invalidate, entry_len),
		    M(COUNT, iommu_hwpt_invalidate, entry_num), M(RESERVED, iommu_hwpt_invalidate, __reserved)}},
	{SIZED(VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id),
	 .member = {M(RESERVED, iommu_viommu_alloc, flags), M(SMALL, iommu_viommu_alloc, type),
		    M(ID, iommu_viommu_alloc, dev_id), M(ID, iommu_viommu_alloc, hwpt_id),
		    M(COUNT, iommu_viommu_alloc, data_len), M(DATA, iommu_viommu_alloc, data_uptr)}},
	{SIZED(VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id),
	 .member = {M(ID, iommu_vdevice_alloc, viommu_id), M(ID, iommu_vdevice_alloc, dev_id),
		    M(SMALL, iommu_vdevice_alloc, virt_id)}},
	{SIZED(VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd),
	 .member = {M(RESERVED, iommu_veventq_alloc, flags), M(ID, iommu_veventq_alloc, viommu_id),
		    M(SMALL, iommu_veventq_alloc, type), M(COUNT, iommu_veventq_alloc, veventq_depth),
		    M(RESERVED, iommu_veventq_alloc, __reserved)}},
	{SIZED(HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length),
	 .member = {M(RESERVED, iommu_hw_queue_alloc, flags), M(ID, iommu_hw_queue_alloc, viommu_id),
		    M(SMALL, iommu_hw_queue_alloc, type), M(SMALL, iommu_hw_queue_alloc, index),
		    M(IOVA, iommu_hw_queue_alloc, nesting_parent_iova), M(LENGTH, iommu_hw_queue_alloc, length)}},
	{SIZED(TEST_CMD, iommu_test_cmd, last),
	 .member = {M(SMALL, iommu_test_cmd, op), M(ID, iommu_test_cmd, id), M(IOVA, iommu_test_cmd, check_map.iova),
		    M(LENGTH, iommu_test_cmd, check_map.length), M(DATA, iommu_test_cmd, check_map.uptr),
		    M(FLAGS, iommu_test_cmd, access_rw.flags), M(RESERVED, iommu_test_cmd, __reserved)}},

	{VALUE(GET_API_VERSION)},
	{VALUE(CHECK_EXTENSION)},
	{VALUE(SET_IOMMU)},
	{ARGSZ(IOMMU_GET_INFO, vfio_iommu_type1_info), .member = {M(FLAGS, vfio_iommu_type1_info, flags)}},
	{ARGSZ(IOMMU_MAP_DMA, vfio_iommu_type1_dma_map),
	 .member = {M(FLAGS, vfio_iommu_type1_dma_map, flags), M(VA, vfio_iommu_type1_dma_map, vaddr),
		    M(IOVA, vfio_iommu_type1_dma_map, iova), M(LENGTH, vfio_iommu_type1_dma_map, size)}},
	{ARGSZ(IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap),
	 .member = {M(FLAGS, vfio_iommu_type1_dma_unmap, flags), M(IOVA, vfio_iommu_type1_dma_unmap, iova),
		    M(LENGTH, vfio_iommu_type1_dma_unmap, size)}},
	{ARGSZ(IOMMU_DIRTY_PAGES, vfio_iommu_type1_dirty_bitmap),
	 .member = {M(FLAGS, vfio_iommu_type1_dirty_bitmap, flags)}},
};

const size_t commands_count = sizeof(commands) / sizeof(commands[0]);

bool command_exists(uint32_t cmd)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].cmd == cmd)
			return true;
	return false;
}

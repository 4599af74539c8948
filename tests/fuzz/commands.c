/* SPDX-License-Identifier: BSD-3-Clause */
#include "commands.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"

#define M(kind, structure, name)                                                                                       \
	{                                                                                                              \
		MEMBER_##kind, offsetof(struct structure, name), sizeof(((struct structure *)NULL)->name), ID_ANY      \
	}
#define ID(what, structure, name)                                                                                      \
	{                                                                                                              \
		MEMBER_ID, offsetof(struct structure, name), sizeof(((struct structure *)NULL)->name), ID_##what       \
	}
#define MADE(what, structure, name)                                                                                    \
	{                                                                                                              \
		ID_##what, offsetof(struct structure, name)                                                            \
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

/* struct vfio_iommu_type1_bind, and struct vfio_iommu_type1_bind_process in its place. */
struct bind_process {
	uint32_t argsz, mode, flags, pasid;
	int32_t pid;
};

#define BOND .member = {M(SMALL, bind_process, mode), M(FLAGS, bind_process, flags), M(SMALL, bind_process, pid)}

const struct command commands[] = {
	{SIZED(IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id), ANSWERS(iommu_ioas_alloc),
	 .member = {M(RESERVED, iommu_ioas_alloc, flags)}, .made = {MADE(IOAS, iommu_ioas_alloc, out_ioas_id)}},
	{SIZED(IOAS_MAP, iommu_ioas_map, iova), ANSWERS(iommu_ioas_map),
	 .member = {M(MAP_FLAGS, iommu_ioas_map, flags), ID(IOAS, iommu_ioas_map, ioas_id),
		    M(IOVA, iommu_ioas_map, iova), M(LENGTH, iommu_ioas_map, length), M(VA, iommu_ioas_map, user_va),
		    M(RESERVED, iommu_ioas_map, __reserved)}},
	{SIZED(IOAS_UNMAP, iommu_ioas_unmap, length), ANSWERS(iommu_ioas_unmap),
	 .member = {ID(IOAS, iommu_ioas_unmap, ioas_id), M(IOVA, iommu_ioas_unmap, iova),
		    M(LENGTH, iommu_ioas_unmap, length)}},
	{SIZED(IOAS_COPY, iommu_ioas_copy, src_iova), ANSWERS(iommu_ioas_copy),
	 .member = {M(MAP_FLAGS, iommu_ioas_copy, flags), ID(IOAS, iommu_ioas_copy, dst_ioas_id),
		    ID(IOAS, iommu_ioas_copy, src_ioas_id), M(LENGTH, iommu_ioas_copy, length),
		    M(IOVA, iommu_ioas_copy, dst_iova), M(IOVA, iommu_ioas_copy, src_iova)}},
	{SIZED(IOAS_MAP_FILE, iommu_ioas_map_file, iova), ANSWERS(iommu_ioas_map_file),
	 .member = {M(MAP_FLAGS, iommu_ioas_map_file, flags), ID(IOAS, iommu_ioas_map_file, ioas_id),
		    M(IOVA, iommu_ioas_map_file, iova), M(LENGTH, iommu_ioas_map_file, length),
		    M(FD, iommu_ioas_map_file, fd), M(START, iommu_ioas_map_file, start)}},
	{SIZED(IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas),
	 .member = {ID(IOAS, iommu_ioas_allow_iovas, ioas_id), M(COUNT, iommu_ioas_allow_iovas, num_iovas),
		    M(RANGES, iommu_ioas_allow_iovas, allowed_iovas), M(RESERVED, iommu_ioas_allow_iovas, __reserved)}},
	{SIZED(IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment), ANSWERS(iommu_ioas_iova_ranges),
	 .member = {ID(IOAS, iommu_ioas_iova_ranges, ioas_id), M(COUNT, iommu_ioas_iova_ranges, num_iovas),
		    M(RANGES, iommu_ioas_iova_ranges, allowed_iovas), M(RESERVED, iommu_ioas_iova_ranges, __reserved)}},
	{SIZED(OPTION, iommu_option, val64), .answers = true, .answer_from = offsetof(struct iommu_option, val64),
	 .answer_to = sizeof(struct iommu_option),
	 .member = {M(SMALL, iommu_option, option_id), M(SMALL, iommu_option, op), M(ID, iommu_option, object_id),
		    M(SMALL, iommu_option, val64), M(RESERVED, iommu_option, __reserved)}},
	{SIZED(VFIO_IOAS, iommu_vfio_ioas, __reserved),
	 .member = {ID(IOAS, iommu_vfio_ioas, ioas_id), M(SMALL, iommu_vfio_ioas, op),
		    M(RESERVED, iommu_vfio_ioas, __reserved)},
	 .made = {MADE(IOAS, iommu_vfio_ioas, ioas_id)}},
	{SIZED(DESTROY, iommu_destroy, id), .member = {M(ID, iommu_destroy, id)}},
	{SIZED(FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd), ANSWERS(iommu_fault_alloc),
	 .member = {M(RESERVED, iommu_fault_alloc, flags)}, .made = {MADE(FAULT, iommu_fault_alloc, out_fault_id)},
	 .descriptor = offsetof(struct iommu_fault_alloc, out_fault_fd)},
	{SIZED(IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved),
	 .member = {M(RESERVED, iommu_ioas_change_process, __reserved)}},

	{SIZED(HWPT_ALLOC, iommu_hwpt_alloc, __reserved),
	 .member = {M(SMALL, iommu_hwpt_alloc, flags), ID(DEVICE, iommu_hwpt_alloc, dev_id),
		    ID(IOAS, iommu_hwpt_alloc, pt_id), M(TYPE, iommu_hwpt_alloc, data_type),
		    M(COUNT, iommu_hwpt_alloc, data_len), M(DATA, iommu_hwpt_alloc, data_uptr),
		    ID(FAULT, iommu_hwpt_alloc, fault_id), M(RESERVED, iommu_hwpt_alloc, __reserved)},
	 .made = {MADE(HWPT, iommu_hwpt_alloc, out_hwpt_id)}},
	{SIZED(GET_HW_INFO, iommu_hw_info, __reserved),
	 .member = {M(FLAGS, iommu_hw_info, flags), ID(DEVICE, iommu_hw_info, dev_id),
		    M(COUNT, iommu_hw_info, data_len), M(DATA, iommu_hw_info, data_uptr),
		    M(SMALL, iommu_hw_info, in_data_type), M(RESERVED, iommu_hw_info, __reserved)}},
	{SIZED(HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved),
	 .member = {M(FLAGS, iommu_hwpt_set_dirty_tracking, flags), ID(HWPT, iommu_hwpt_set_dirty_tracking, hwpt_id),
		    M(RESERVED, iommu_hwpt_set_dirty_tracking, __reserved)}},
	{SIZED(HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data),
	 .member = {ID(HWPT, iommu_hwpt_get_dirty_bitmap, hwpt_id), M(FLAGS, iommu_hwpt_get_dirty_bitmap, flags),
		    M(IOVA, iommu_hwpt_get_dirty_bitmap, iova), M(LENGTH, iommu_hwpt_get_dirty_bitmap, length),
		    M(LENGTH, iommu_hwpt_get_dirty_bitmap, page_size), M(DATA, iommu_hwpt_get_dirty_bitmap, data),
		    M(RESERVED, iommu_hwpt_get_dirty_bitmap, __reserved)}},
	{SIZED(HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved),
	 .member = {ID(HWPT, iommu_hwpt_invalidate, hwpt_id), M(DATA, iommu_hwpt_invalidate, data_uptr),
		    M(TYPE, iommu_hwpt_invalidate, data_type), M(COUNT, iommu_hwpt_invalidate, entry_len),
		    M(COUNT, iommu_hwpt_invalidate, entry_num), M(RESERVED, iommu_hwpt_invalidate, __reserved)}},
	{SIZED(VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id),
	 .member = {M(RESERVED, iommu_viommu_alloc, flags), M(TYPE, iommu_viommu_alloc, type),
		    ID(DEVICE, iommu_viommu_alloc, dev_id), ID(HWPT, iommu_viommu_alloc, hwpt_id),
		    M(COUNT, iommu_viommu_alloc, data_len), M(DATA, iommu_viommu_alloc, data_uptr)},
	 .made = {MADE(VIOMMU, iommu_viommu_alloc, out_viommu_id)}},
	{SIZED(VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id),
	 .member = {ID(VIOMMU, iommu_vdevice_alloc, viommu_id), ID(DEVICE, iommu_vdevice_alloc, dev_id),
		    M(SMALL, iommu_vdevice_alloc, virt_id)},
	 .made = {MADE(VDEVICE, iommu_vdevice_alloc, out_vdevice_id)}},
	{SIZED(VEVENTQ_ALLOC, iommu_veventq_alloc, out_veventq_fd),
	 .member = {M(RESERVED, iommu_veventq_alloc, flags), ID(VIOMMU, iommu_veventq_alloc, viommu_id),
		    M(TYPE, iommu_veventq_alloc, type), M(COUNT, iommu_veventq_alloc, veventq_depth),
		    M(RESERVED, iommu_veventq_alloc, __reserved)},
	 .made = {MADE(ANY, iommu_veventq_alloc, out_veventq_id)},
	 .descriptor = offsetof(struct iommu_veventq_alloc, out_veventq_fd)},
	{SIZED(HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length),
	 .member = {M(RESERVED, iommu_hw_queue_alloc, flags), ID(VIOMMU, iommu_hw_queue_alloc, viommu_id),
		    M(TYPE, iommu_hw_queue_alloc, type), M(SMALL, iommu_hw_queue_alloc, index),
		    M(IOVA, iommu_hw_queue_alloc, nesting_parent_iova), M(LENGTH, iommu_hw_queue_alloc, length)},
	 .made = {MADE(ANY, iommu_hw_queue_alloc, out_hw_queue_id)}},
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

	{ARGSZ(IOMMU_BIND, bind_process), BOND},
	{ARGSZ(IOMMU_UNBIND, bind_process), BOND},
};

const size_t commands_count = sizeof(commands) / sizeof(commands[0]);

#define TEST(name_of_op)                                                                                               \
	.name = #name_of_op, .cmd = IOMMU_TEST_CMD, .style = COMMAND_SIZED, .op = IOMMU_TEST_OP_##name_of_op,          \
	.size = sizeof(struct iommu_test_cmd), .min = THROUGH(iommu_test_cmd, last)
#define T(kind, name)     M(kind, iommu_test_cmd, name)
#define TID(what, name)   ID(what, iommu_test_cmd, name)
#define TMADE(what, name) MADE(what, iommu_test_cmd, name)

const struct command test_ops[] = {
	{TEST(MOCK_DOMAIN), ANSWERS(iommu_test_cmd), .member = {TID(IOAS, id)},
	 .made = {TMADE(MOCK, mock_domain.out_stdev_id), TMADE(HWPT, mock_domain.out_hwpt_id),
		  TMADE(DEVICE, mock_domain.out_idev_id)}},
	{TEST(MOCK_DOMAIN_FLAGS), ANSWERS(iommu_test_cmd),
	 .member = {TID(IOAS, id), T(FLAGS, mock_domain_flags.dev_flags)},
	 .made = {TMADE(MOCK, mock_domain_flags.out_stdev_id), TMADE(HWPT, mock_domain_flags.out_hwpt_id),
		  TMADE(DEVICE, mock_domain_flags.out_idev_id)}},
	{TEST(MOCK_DOMAIN_REPLACE), ANSWERS(iommu_test_cmd),
	 .member = {TID(MOCK, id), TID(HWPT, mock_domain_replace.pt_id)}},
	{TEST(ADD_RESERVED), .member = {TID(IOAS, id), T(IOVA, add_reserved.start), T(LENGTH, add_reserved.length)}},
	{TEST(MD_CHECK_MAP),
	 .member = {TID(HWPT, id), T(IOVA, check_map.iova), T(LENGTH, check_map.length), T(VA, check_map.uptr)}},
	{TEST(MD_CHECK_REFS),
	 .member = {T(LENGTH, check_refs.length), T(VA, check_refs.uptr), T(SMALL, check_refs.refs)}},
	{TEST(MD_CHECK_IOTLB), .member = {TID(HWPT, id), T(SMALL, check_iotlb.id), T(SMALL, check_iotlb.iotlb)}},
	{TEST(DEV_CHECK_CACHE),
	 .member = {TID(DEVICE, id), T(SMALL, check_dev_cache.id), T(SMALL, check_dev_cache.cache)}},
	{TEST(CREATE_ACCESS), ANSWERS(iommu_test_cmd), .member = {TID(IOAS, id), T(FLAGS, create_access.flags)},
	 .descriptor = offsetof(struct iommu_test_cmd, create_access.out_access_fd)},
	{TEST(ACCESS_REPLACE_IOAS), .member = {T(MADE, id), TID(IOAS, access_replace_ioas.ioas_id)}},
	{TEST(ACCESS_PAGES), ANSWERS(iommu_test_cmd),
	 .member = {T(MADE, id), T(FLAGS, access_pages.flags), T(IOVA, access_pages.iova),
		    T(LENGTH, access_pages.length), T(VA, access_pages.uptr)}},
	{TEST(DESTROY_ACCESS_PAGES), .member = {T(MADE, id), T(SMALL, destroy_access_pages.access_pages_id)}},
	{TEST(ACCESS_RW), .member = {T(MADE, id), T(IOVA, access_rw.iova), T(LENGTH, access_rw.length),
				     T(DATA, access_rw.uptr), T(FLAGS, access_rw.flags)}},
	{TEST(SET_TEMP_MEMORY_LIMIT), .member = {T(COUNT, memory_limit.limit)}},
	{TEST(DIRTY), ANSWERS(iommu_test_cmd),
	 .member = {TID(HWPT, id), T(IOVA, dirty.iova), T(LENGTH, dirty.length), T(LENGTH, dirty.page_size),
		    T(DATA, dirty.uptr), T(FLAGS, dirty.flags)}},
	{TEST(TRIGGER_IOPF),
	 .member = {TID(DEVICE, trigger_iopf.dev_id), T(PASID, trigger_iopf.pasid), T(SMALL, trigger_iopf.grpid),
		    T(FLAGS, trigger_iopf.perm), T(IOVA, trigger_iopf.addr)}},
	{TEST(TRIGGER_VEVENT), .member = {TID(DEVICE, trigger_vevent.dev_id)}},
	{TEST(PASID_ATTACH), ANSWERS(iommu_test_cmd),
	 .member = {TID(MOCK, id), T(PASID, pasid_attach.pasid), TID(HWPT, pasid_attach.pt_id)}},
	{TEST(PASID_REPLACE), ANSWERS(iommu_test_cmd),
	 .member = {TID(MOCK, id), T(PASID, pasid_replace.pasid), TID(HWPT, pasid_replace.pt_id)}},
	{TEST(PASID_DETACH), .member = {TID(MOCK, id), T(PASID, pasid_detach.pasid)}},
	{TEST(PASID_CHECK_HWPT),
	 .member = {TID(MOCK, id), T(PASID, pasid_check.pasid), TID(HWPT, pasid_check.hwpt_id)}},
	{TEST(DMABUF_GET), .member = {T(LENGTH, dmabuf_get.length), T(RESERVED, dmabuf_get.open_flags)}},
	{TEST(DMABUF_REVOKE), .member = {T(MADE, dmabuf_revoke.dmabuf_fd), T(SMALL, dmabuf_revoke.revoked)}},
};

const size_t test_ops_count = sizeof(test_ops) / sizeof(test_ops[0]);

bool command_exists(uint32_t cmd)
{
	for (size_t i = 0; i < commands_count; i++)
		if (commands[i].cmd == cmd)
			return true;
	return false;
}

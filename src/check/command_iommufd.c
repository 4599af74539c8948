/* SPDX-License-Identifier: BSD-3-Clause */
#include "check/command.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"

static const struct name no_flags[] = {{0}};

static const struct field destroy[] = {
	FIELD(iommu_destroy, id, "id", OBJECT),
	{0},
};

/* Address spaces */

static const struct field ioas_alloc[] = {
	FLAGS_FIELD(iommu_ioas_alloc, flags, no_flags),
	OUT_ID(iommu_ioas_alloc, out_ioas_id, "ioas"),
	{0},
};

static const struct field allow_iovas[] = {
	FIELD(iommu_ioas_allow_iovas, ioas_id, "ioas", NUMBER),
	FIELD(iommu_ioas_allow_iovas, num_iovas, "num", NUMBER),
	RESERVED_FIELD(iommu_ioas_allow_iovas, __reserved),
	FIELD(iommu_ioas_allow_iovas, allowed_iovas, "ranges", HEX),
	{0},
};

static const struct field iova_ranges[] = {
	FIELD(iommu_ioas_iova_ranges, ioas_id, "ioas", NUMBER),
	FIELD(iommu_ioas_iova_ranges, num_iovas, "num", NUMBER, .place = INOUT),
	RESERVED_FIELD(iommu_ioas_iova_ranges, __reserved),
	FIELD(iommu_ioas_iova_ranges, allowed_iovas, "ranges", HEX),
	FIELD(iommu_ioas_iova_ranges, out_iova_alignment, "alignment", BYTES, .place = OUT),
	{0},
};

static const struct name map_flags[] = {
	{IOMMU_IOAS_MAP_READABLE, "READABLE"},
	{IOMMU_IOAS_MAP_WRITEABLE, "WRITEABLE"},
	{IOMMU_IOAS_MAP_FIXED_IOVA, "FIXED_IOVA"},
	{0},
};

static const struct field ioas_map[] = {
	FIELD(iommu_ioas_map, ioas_id, "ioas", NUMBER),
	FLAGS_FIELD(iommu_ioas_map, flags, map_flags),
	RESERVED_FIELD(iommu_ioas_map, __reserved),
	FIELD(iommu_ioas_map, user_va, "va", HEX),
	FIELD(iommu_ioas_map, length, "length", BYTES),
	FIELD(iommu_ioas_map, iova, "iova", HEX, .if_set = IOMMU_IOAS_MAP_FIXED_IOVA),
	FIELD(iommu_ioas_map, iova, "iova", HEX, .if_clear = IOMMU_IOAS_MAP_FIXED_IOVA, .place = OUT),
	{0},
};

static const struct field map_file[] = {
	FIELD(iommu_ioas_map_file, ioas_id, "ioas", NUMBER),
	FLAGS_FIELD(iommu_ioas_map_file, flags, map_flags),
	FIELD(iommu_ioas_map_file, fd, "fd", FD),
	FIELD(iommu_ioas_map_file, start, "start", HEX),
	FIELD(iommu_ioas_map_file, length, "length", BYTES),
	FIELD(iommu_ioas_map_file, iova, "iova", HEX, .if_set = IOMMU_IOAS_MAP_FIXED_IOVA),
	FIELD(iommu_ioas_map_file, iova, "iova", HEX, .if_clear = IOMMU_IOAS_MAP_FIXED_IOVA, .place = OUT),
	{0},
};

static const struct field copy[] = {
	FIELD(iommu_ioas_copy, dst_ioas_id, "dst_ioas", NUMBER),
	FIELD(iommu_ioas_copy, src_ioas_id, "src_ioas", NUMBER),
	FLAGS_FIELD(iommu_ioas_copy, flags, map_flags),
	FIELD(iommu_ioas_copy, length, "length", BYTES),
	FIELD(iommu_ioas_copy, src_iova, "src_iova", HEX),
	FIELD(iommu_ioas_copy, dst_iova, "dst_iova", HEX, .if_set = IOMMU_IOAS_MAP_FIXED_IOVA),
	FIELD(iommu_ioas_copy, dst_iova, "dst_iova", HEX, .if_clear = IOMMU_IOAS_MAP_FIXED_IOVA, .place = OUT),
	{0},
};

static const struct field unmap[] = {
	FIELD(iommu_ioas_unmap, ioas_id, "ioas", NUMBER),
	FIELD(iommu_ioas_unmap, iova, "iova", HEX),
	FIELD(iommu_ioas_unmap, length, "length", BYTES, .place = INOUT),
	{0},
};

static const struct field change_process[] = {
	RESERVED_FIELD(iommu_ioas_change_process, __reserved),
	{0},
};

static const struct name options[] = {
	{IOMMU_OPTION_RLIMIT_MODE, "RLIMIT_MODE"},
	{IOMMU_OPTION_HUGE_PAGES, "HUGE_PAGES"},
	{0},
};

static const struct name option_ops[] = {
	{IOMMU_OPTION_OP_SET, "SET"},
	{IOMMU_OPTION_OP_GET, "GET"},
	{0},
};

static const struct field option[] = {
	FIELD(iommu_option, op, "op", ENUM, .names = option_ops),
	FIELD(iommu_option, option_id, "option", ENUM, .names = options),
	RESERVED_FIELD(iommu_option, __reserved),
	FIELD(iommu_option, object_id, "object", OBJECT, .not_zero = true),
	FIELD(iommu_option, val64, "value", NUMBER, .if_clear = IOMMU_OPTION_OP_GET),
	FIELD(iommu_option, val64, "value", NUMBER, .if_set = IOMMU_OPTION_OP_GET, .place = OUT),
	{0},
};

static const struct name vfio_ioas_ops[] = {
	{IOMMU_VFIO_IOAS_GET, "GET"},
	{IOMMU_VFIO_IOAS_SET, "SET"},
	{IOMMU_VFIO_IOAS_CLEAR, "CLEAR"},
	{0},
};

static const struct field vfio_ioas[] = {
	FIELD(iommu_vfio_ioas, op, "op", ENUM, .names = vfio_ioas_ops),
	RESERVED_FIELD(iommu_vfio_ioas, __reserved),
	FIELD(iommu_vfio_ioas, ioas_id, "ioas", NUMBER, .if_set = IOMMU_VFIO_IOAS_SET),
	FIELD(iommu_vfio_ioas, ioas_id, "ioas", NUMBER, .if_clear = IOMMU_VFIO_IOAS_SET | IOMMU_VFIO_IOAS_CLEAR,
	      .place = OUT),
	{0},
};

/* Page tables */

static const struct name hwpt_alloc_flags[] = {
	{IOMMU_HWPT_ALLOC_NEST_PARENT, "NEST_PARENT"},
	{IOMMU_HWPT_ALLOC_DIRTY_TRACKING, "DIRTY_TRACKING"},
	{IOMMU_HWPT_FAULT_ID_VALID, "FAULT_ID_VALID"},
	{IOMMU_HWPT_ALLOC_PASID, "PASID"},
	{0},
};

static const struct name hwpt_data_types[] = {
	{IOMMU_HWPT_DATA_VTD_S1, "VTD_S1"},
	{IOMMU_HWPT_DATA_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_HWPT_DATA_AMD_GUEST, "AMD_GUEST"},
	{IOMMU_HWPT_DATA_SELFTEST, "SELFTEST"},
	{0},
};

static const struct field hwpt_alloc[] = {
	FIELD(iommu_hwpt_alloc, dev_id, "device", NUMBER),
	FIELD(iommu_hwpt_alloc, pt_id, "pt", OBJECT),
	FLAGS_FIELD(iommu_hwpt_alloc, flags, hwpt_alloc_flags),
	RESERVED_FIELD(iommu_hwpt_alloc, __reserved),
	FIELD(iommu_hwpt_alloc, data_type, "data_type", ENUM, .not_zero = true, .names = hwpt_data_types),
	FIELD(iommu_hwpt_alloc, data_len, "data_len", BYTES, .not_zero = true),
	FIELD(iommu_hwpt_alloc, data_uptr, "data", HEX, .not_zero = true),
	FIELD(iommu_hwpt_alloc, fault_id, "fault", NUMBER, .if_set = IOMMU_HWPT_FAULT_ID_VALID),
	OUT_ID(iommu_hwpt_alloc, out_hwpt_id, "hwpt"),
	{0},
};

static const struct name hw_info_flags[] = {
	{IOMMU_HW_INFO_FLAG_INPUT_TYPE, "INPUT_TYPE"},
	{0},
};

static const struct name hw_info_types[] = {
	{IOMMU_HW_INFO_TYPE_NONE, "NONE"},
	{IOMMU_HW_INFO_TYPE_INTEL_VTD, "INTEL_VTD"},
	{IOMMU_HW_INFO_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{IOMMU_HW_INFO_TYPE_AMD, "AMD"},
	{IOMMU_HW_INFO_TYPE_SELFTEST, "SELFTEST"},
	{0},
};

static const struct name hw_capabilities[] = {
	{IOMMU_HW_CAP_DIRTY_TRACKING, "DIRTY_TRACKING"},
	{IOMMU_HW_CAP_PCI_PASID_EXEC, "PCI_PASID_EXEC"},
	{IOMMU_HW_CAP_PCI_PASID_PRIV, "PCI_PASID_PRIV"},
	{IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, "PCI_ATS_NOT_SUPPORTED"},
	{0},
};

static const struct field hw_info[] = {
	FIELD(iommu_hw_info, dev_id, "device", NUMBER),
	FLAGS_FIELD(iommu_hw_info, flags, hw_info_flags),
	FIELD(iommu_hw_info, data_uptr, "data", HEX, .not_zero = true),
	FIELD(iommu_hw_info, data_len, "data_len", BYTES, .place = INOUT),
	FIELD(iommu_hw_info, out_data_type, "type", ENUM, .place = OUT, .names = hw_info_types),
	FIELD(iommu_hw_info, out_max_pasid_log2, "max_pasid_log2", NUMBER, .place = OUT, .not_zero = true),
	FIELD(iommu_hw_info, out_capabilities, "capabilities", FLAGS, .place = OUT, .not_zero = true,
	      .names = hw_capabilities),
	{0},
};

static const struct name set_dirty_flags[] = {
	{IOMMU_HWPT_DIRTY_TRACKING_ENABLE, "ENABLE"},
	{0},
};

static const struct field set_dirty[] = {
	FIELD(iommu_hwpt_set_dirty_tracking, hwpt_id, "hwpt", NUMBER),
	FLAGS_FIELD(iommu_hwpt_set_dirty_tracking, flags, set_dirty_flags),
	{0},
};

static const struct name get_dirty_flags[] = {
	{IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, "NO_CLEAR"},
	{0},
};

static const struct field get_dirty[] = {
	FIELD(iommu_hwpt_get_dirty_bitmap, hwpt_id, "hwpt", NUMBER),
	FLAGS_FIELD(iommu_hwpt_get_dirty_bitmap, flags, get_dirty_flags),
	RESERVED_FIELD(iommu_hwpt_get_dirty_bitmap, __reserved),
	FIELD(iommu_hwpt_get_dirty_bitmap, iova, "iova", HEX),
	FIELD(iommu_hwpt_get_dirty_bitmap, length, "length", BYTES),
	FIELD(iommu_hwpt_get_dirty_bitmap, page_size, "page_size", BYTES),
	FIELD(iommu_hwpt_get_dirty_bitmap, data, "bitmap", HEX),
	{0},
};

static const struct name invalidate_types[] = {
	{IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, "VTD_S1"},
	{IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, "SELFTEST"},
	{0},
};

static const struct field invalidate[] = {
	FIELD(iommu_hwpt_invalidate, hwpt_id, "hwpt", OBJECT),
	FIELD(iommu_hwpt_invalidate, data_type, "data_type", ENUM, .names = invalidate_types),
	FIELD(iommu_hwpt_invalidate, data_uptr, "data", HEX),
	FIELD(iommu_hwpt_invalidate, entry_len, "entry_len", BYTES),
	RESERVED_FIELD(iommu_hwpt_invalidate, __reserved),
	FIELD(iommu_hwpt_invalidate, entry_num, "done", NUMBER, .place = ALWAYS),
	{0},
};

/* Faults and virtual IOMMUs */

static const struct field fault_alloc[] = {
	FLAGS_FIELD(iommu_fault_alloc, flags, no_flags),
	OUT_ID(iommu_fault_alloc, out_fault_id, "fault"),
	FIELD(iommu_fault_alloc, out_fault_fd, "fd", FD, .place = OUT),
	{0},
};

static const struct name viommu_types[] = {
	{IOMMU_VIOMMU_TYPE_DEFAULT, "DEFAULT"},
	{IOMMU_VIOMMU_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{IOMMU_VIOMMU_TYPE_SELFTEST, "SELFTEST"},
	{0},
};

static const struct field viommu_alloc[] = {
	FLAGS_FIELD(iommu_viommu_alloc, flags, no_flags),
	FIELD(iommu_viommu_alloc, type, "type", ENUM, .names = viommu_types),
	FIELD(iommu_viommu_alloc, dev_id, "device", NUMBER),
	FIELD(iommu_viommu_alloc, hwpt_id, "hwpt", NUMBER),
	FIELD(iommu_viommu_alloc, data_len, "data_len", BYTES, .not_zero = true),
	FIELD(iommu_viommu_alloc, data_uptr, "data", HEX, .not_zero = true),
	OUT_ID(iommu_viommu_alloc, out_viommu_id, "viommu"),
	{0},
};

static const struct field vdevice_alloc[] = {
	FIELD(iommu_vdevice_alloc, viommu_id, "viommu", NUMBER),
	FIELD(iommu_vdevice_alloc, dev_id, "device", NUMBER),
	FIELD(iommu_vdevice_alloc, virt_id, "virt_id", HEX),
	OUT_ID(iommu_vdevice_alloc, out_vdevice_id, "vdevice"),
	{0},
};

static const struct name veventq_types[] = {
	{IOMMU_VEVENTQ_TYPE_DEFAULT, "DEFAULT"},
	{IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
	{IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{IOMMU_VEVENTQ_TYPE_SELFTEST, "SELFTEST"},
	{0},
};

static const struct field veventq_alloc[] = {
	FIELD(iommu_veventq_alloc, viommu_id, "viommu", NUMBER),
	FLAGS_FIELD(iommu_veventq_alloc, flags, no_flags),
	FIELD(iommu_veventq_alloc, type, "type", ENUM, .names = veventq_types),
	FIELD(iommu_veventq_alloc, veventq_depth, "depth", NUMBER),
	RESERVED_FIELD(iommu_veventq_alloc, __reserved),
	OUT_ID(iommu_veventq_alloc, out_veventq_id, "veventq"),
	FIELD(iommu_veventq_alloc, out_veventq_fd, "fd", FD, .place = OUT),
	{0},
};

static const struct name hw_queue_types[] = {
	{IOMMU_HW_QUEUE_TYPE_DEFAULT, "DEFAULT"},
	{IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
	{IOMMU_HW_QUEUE_TYPE_SELFTEST, "SELFTEST"},
	{0},
};

static const struct field hw_queue_alloc[] = {
	FIELD(iommu_hw_queue_alloc, viommu_id, "viommu", NUMBER),
	FLAGS_FIELD(iommu_hw_queue_alloc, flags, no_flags),
	FIELD(iommu_hw_queue_alloc, type, "type", ENUM, .names = hw_queue_types),
	FIELD(iommu_hw_queue_alloc, index, "index", NUMBER),
	FIELD(iommu_hw_queue_alloc, nesting_parent_iova, "iova", HEX),
	FIELD(iommu_hw_queue_alloc, length, "length", BYTES),
	OUT_ID(iommu_hw_queue_alloc, out_hw_queue_id, "hw_queue"),
	{0},
};

#define SELECTOR(type, member) .selector = offsetof(struct type, member)

const struct command iommufd_commands[] = {
	COMMAND(IOMMU_DESTROY, "DESTROY", iommu_destroy, .fields = destroy),
	COMMAND(IOMMU_IOAS_ALLOC, "IOAS_ALLOC", iommu_ioas_alloc, .fields = ioas_alloc),
	COMMAND(IOMMU_IOAS_ALLOW_IOVAS, "IOAS_ALLOW_IOVAS", iommu_ioas_allow_iovas, .fields = allow_iovas),
	COMMAND(IOMMU_IOAS_COPY, "IOAS_COPY", iommu_ioas_copy, .fields = copy, SELECTOR(iommu_ioas_copy, flags)),
	COMMAND(IOMMU_IOAS_IOVA_RANGES, "IOAS_IOVA_RANGES", iommu_ioas_iova_ranges, .fields = iova_ranges),
	COMMAND(IOMMU_IOAS_MAP, "IOAS_MAP", iommu_ioas_map, .fields = ioas_map, SELECTOR(iommu_ioas_map, flags)),
	COMMAND(IOMMU_IOAS_UNMAP, "IOAS_UNMAP", iommu_ioas_unmap, .fields = unmap),
	COMMAND(IOMMU_OPTION, "OPTION", iommu_option, .fields = option, SELECTOR(iommu_option, op)),
	COMMAND(IOMMU_VFIO_IOAS, "VFIO_IOAS", iommu_vfio_ioas, .fields = vfio_ioas, SELECTOR(iommu_vfio_ioas, op)),
	COMMAND(IOMMU_HWPT_ALLOC, "HWPT_ALLOC", iommu_hwpt_alloc, .fields = hwpt_alloc,
		SELECTOR(iommu_hwpt_alloc, flags)),
	COMMAND(IOMMU_GET_HW_INFO, "GET_HW_INFO", iommu_hw_info, .fields = hw_info),
	COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, "HWPT_SET_DIRTY_TRACKING", iommu_hwpt_set_dirty_tracking,
		.fields = set_dirty),
	COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, "HWPT_GET_DIRTY_BITMAP", iommu_hwpt_get_dirty_bitmap, .fields = get_dirty),
	COMMAND(IOMMU_HWPT_INVALIDATE, "HWPT_INVALIDATE", iommu_hwpt_invalidate, .fields = invalidate),
	COMMAND(IOMMU_FAULT_QUEUE_ALLOC, "FAULT_QUEUE_ALLOC", iommu_fault_alloc, .fields = fault_alloc),
	COMMAND(IOMMU_IOAS_MAP_FILE, "IOAS_MAP_FILE", iommu_ioas_map_file, .fields = map_file,
		SELECTOR(iommu_ioas_map_file, flags)),
	COMMAND(IOMMU_VIOMMU_ALLOC, "VIOMMU_ALLOC", iommu_viommu_alloc, .fields = viommu_alloc),
	COMMAND(IOMMU_VDEVICE_ALLOC, "VDEVICE_ALLOC", iommu_vdevice_alloc, .fields = vdevice_alloc),
	COMMAND(IOMMU_IOAS_CHANGE_PROCESS, "IOAS_CHANGE_PROCESS", iommu_ioas_change_process, .fields = change_process),
	COMMAND(IOMMU_VEVENTQ_ALLOC, "VEVENTQ_ALLOC", iommu_veventq_alloc, .fields = veventq_alloc),
	COMMAND(IOMMU_HW_QUEUE_ALLOC, "HW_QUEUE_ALLOC", iommu_hw_queue_alloc, .fields = hw_queue_alloc),
	{0},
};

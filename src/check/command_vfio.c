/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of VFIO as a container knows them. */
#include "check/command.h"

#include "abi/vfio.h"

static const struct name extensions[] = {
	{VFIO_TYPE1_IOMMU, "TYPE1_IOMMU"},
	{VFIO_SPAPR_TCE_IOMMU, "SPAPR_TCE_IOMMU"},
	{VFIO_TYPE1v2_IOMMU, "TYPE1v2_IOMMU"},
	{VFIO_DMA_CC_IOMMU, "DMA_CC_IOMMU"},
	{VFIO_EEH, "EEH"},
	{VFIO_TYPE1_NESTING_IOMMU, "TYPE1_NESTING_IOMMU"},
	{VFIO_SPAPR_TCE_v2_IOMMU, "SPAPR_TCE_v2_IOMMU"},
	{VFIO_NOIOMMU_IOMMU, "NOIOMMU_IOMMU"},
	{VFIO_UNMAP_ALL, "UNMAP_ALL"},
	{VFIO_UPDATE_VADDR, "UPDATE_VADDR"},
	{0},
};

static const struct name info_flags[] = {
	{VFIO_IOMMU_INFO_PGSIZES, "PGSIZES"},
	{VFIO_IOMMU_INFO_CAPS, "CAPS"},
	{0},
};

static const struct field get_info[] = {
	FIELD(vfio_iommu_type1_info, argsz, "argsz", NUMBER, .place = INOUT),
	FIELD(vfio_iommu_type1_info, flags, "flags", FLAGS, .place = OUT, .not_zero = true, .names = info_flags),
	FIELD(vfio_iommu_type1_info, iova_pgsizes, "pgsizes", HEX, .place = OUT),
	FIELD(vfio_iommu_type1_info, cap_offset, "cap_offset", NUMBER, .place = OUT, .not_zero = true),
	{0},
};

static const struct name map_flags[] = {
	{VFIO_DMA_MAP_FLAG_READ, "READ"},
	{VFIO_DMA_MAP_FLAG_WRITE, "WRITE"},
	{VFIO_DMA_MAP_FLAG_VADDR, "VADDR"},
	{0},
};

static const struct field map_dma[] = {
	FLAGS_FIELD(vfio_iommu_type1_dma_map, flags, map_flags),
	FIELD(vfio_iommu_type1_dma_map, vaddr, "va", HEX),
	FIELD(vfio_iommu_type1_dma_map, size, "size", BYTES),
	FIELD(vfio_iommu_type1_dma_map, iova, "iova", HEX),
	{0},
};

static const struct name unmap_flags[] = {
	{VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, "GET_DIRTY_BITMAP"},
	{VFIO_DMA_UNMAP_FLAG_ALL, "ALL"},
	{VFIO_DMA_UNMAP_FLAG_VADDR, "VADDR"},
	{0},
};

/* The size is answered whether or not the unmap failed. */
static const struct field unmap_dma[] = {
	FLAGS_FIELD(vfio_iommu_type1_dma_unmap, flags, unmap_flags),
	FIELD(vfio_iommu_type1_dma_unmap, iova, "iova", HEX),
	FIELD(vfio_iommu_type1_dma_unmap, size, "size", BYTES, .place = ALWAYS),
	{0},
};

static const struct name dirty_flags[] = {
	{VFIO_IOMMU_DIRTY_PAGES_FLAG_START, "START"},
	{VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, "STOP"},
	{VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, "GET_BITMAP"},
	{0},
};

static const struct field dirty_pages[] = {
	FLAGS_FIELD(vfio_iommu_type1_dirty_bitmap, flags, dirty_flags),
	{0},
};

/* The bind, and the process that follows it. */
#define PROCESS_FIELD(member, text, how, ...)                                                                          \
	{                                                                                                              \
		.name = (text),                                                                                        \
		.offset =                                                                                              \
			sizeof(struct vfio_iommu_type1_bind) + offsetof(struct vfio_iommu_type1_bind_process, member), \
		.size = sizeof(((struct vfio_iommu_type1_bind_process *)0)->member), .kind = (how), __VA_ARGS__        \
	}
#define BIND_COMMAND(command, text, members)                                                                           \
	{                                                                                                              \
		.number = (command), .name = (text), .fields = (members),                                              \
		.size = sizeof(struct vfio_iommu_type1_bind) + sizeof(struct vfio_iommu_type1_bind_process),           \
		.selector = sizeof(struct vfio_iommu_type1_bind) /* flags */                                           \
	}

static const struct name bind_modes[] = {
	{VFIO_IOMMU_BIND_PROCESS, "PROCESS"},
	{0},
};

static const struct name bind_flags[] = {
	{VFIO_IOMMU_BIND_PID, "PID"},
	{0},
};

static const struct field bind[] = {
	FIELD(vfio_iommu_type1_bind, mode, "mode", ENUM, .names = bind_modes),
	PROCESS_FIELD(flags, "flags", FLAGS, .not_zero = true, .names = bind_flags),
	PROCESS_FIELD(pid, "pid", FD, .if_set = VFIO_IOMMU_BIND_PID),
	PROCESS_FIELD(pasid, "pasid", NUMBER, .place = OUT),
	{0},
};

static const struct field unbind[] = {
	FIELD(vfio_iommu_type1_bind, mode, "mode", ENUM, .names = bind_modes),
	PROCESS_FIELD(flags, "flags", FLAGS, .not_zero = true, .names = bind_flags),
	PROCESS_FIELD(pid, "pid", FD, .if_set = VFIO_IOMMU_BIND_PID),
	{0},
};

const struct command vfio_commands[] = {
	{.number = VFIO_GET_API_VERSION, .name = "VFIO_GET_API_VERSION"},
	{.number = VFIO_CHECK_EXTENSION, .name = "VFIO_CHECK_EXTENSION", .values = extensions},
	{.number = VFIO_SET_IOMMU, .name = "VFIO_SET_IOMMU", .values = extensions},
	{.number = VFIO_IOMMU_GET_INFO, .name = "VFIO_IOMMU_GET_INFO", .fields = get_info},
	COMMAND(VFIO_IOMMU_MAP_DMA, "VFIO_IOMMU_MAP_DMA", vfio_iommu_type1_dma_map, .fields = map_dma),
	COMMAND(VFIO_IOMMU_UNMAP_DMA, "VFIO_IOMMU_UNMAP_DMA", vfio_iommu_type1_dma_unmap, .fields = unmap_dma),
	BIND_COMMAND(VFIO_IOMMU_BIND, "VFIO_IOMMU_BIND", bind),
	BIND_COMMAND(VFIO_IOMMU_UNBIND, "VFIO_IOMMU_UNBIND", unbind),
	{.number = VFIO_IOMMU_ENABLE, .name = "VFIO_IOMMU_ENABLE"},
	{.number = VFIO_IOMMU_DISABLE, .name = "VFIO_IOMMU_DISABLE"},
	COMMAND(VFIO_IOMMU_DIRTY_PAGES, "VFIO_IOMMU_DIRTY_PAGES", vfio_iommu_type1_dirty_bitmap, .fields = dirty_pages),
	{0},
};

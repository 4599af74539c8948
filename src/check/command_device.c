/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of VFIO as groups and devices know them. */
#include "check/command.h"

#include "abi/vfio.h"

#define SELECTED .selector = offsetof(struct vfio_device_feature, flags) /* the same place in each of them */

static const struct name status_flags[] = {
	{VFIO_GROUP_FLAGS_VIABLE, "VIABLE"},
	{VFIO_GROUP_FLAGS_CONTAINER_SET, "CONTAINER_SET"},
	{0},
};

static const struct field get_status[] = {
	FIELD(vfio_group_status, flags, "flags", FLAGS, .place = OUT, .names = status_flags),
	{0},
};

static const struct field set_container[] = {
	{.name = "container", .size = sizeof(int32_t), .kind = FD},
	{0},
};

static const struct field get_device_fd[] = {
	{.name = "device", .kind = TEXT},
	{0},
};

static const struct name info_flags[] = {
	{VFIO_DEVICE_FLAGS_RESET, "RESET"},
	{VFIO_DEVICE_FLAGS_PCI, "PCI"},
	{VFIO_DEVICE_FLAGS_CAPS, "CAPS"},
	{0},
};

static const struct field get_info[] = {
	FIELD(vfio_device_info, argsz, "argsz", NUMBER, .place = INOUT),
	FIELD(vfio_device_info, flags, "flags", FLAGS, .place = OUT, .names = info_flags),
	FIELD(vfio_device_info, num_regions, "regions", NUMBER, .place = OUT),
	FIELD(vfio_device_info, num_irqs, "irqs", NUMBER, .place = OUT),
	FIELD(vfio_device_info, cap_offset, "cap_offset", NUMBER, .place = OUT, .not_zero = true),
	{0},
};

static const struct name regions[] = {
	{VFIO_PCI_BAR0_REGION_INDEX, "BAR0"}, {VFIO_PCI_BAR1_REGION_INDEX, "BAR1"},
	{VFIO_PCI_BAR2_REGION_INDEX, "BAR2"}, {VFIO_PCI_BAR3_REGION_INDEX, "BAR3"},
	{VFIO_PCI_BAR4_REGION_INDEX, "BAR4"}, {VFIO_PCI_BAR5_REGION_INDEX, "BAR5"},
	{VFIO_PCI_ROM_REGION_INDEX, "ROM"},   {VFIO_PCI_CONFIG_REGION_INDEX, "CONFIG"},
	{VFIO_PCI_VGA_REGION_INDEX, "VGA"},   {0},
};

static const struct name region_flags[] = {
	{VFIO_REGION_INFO_FLAG_READ, "READ"},
	{VFIO_REGION_INFO_FLAG_WRITE, "WRITE"},
	{VFIO_REGION_INFO_FLAG_MMAP, "MMAP"},
	{VFIO_REGION_INFO_FLAG_CAPS, "CAPS"},
	{0},
};

static const struct field get_region_info[] = {
	FIELD(vfio_region_info, index, "index", ENUM, .names = regions),
	FIELD(vfio_region_info, argsz, "argsz", NUMBER, .place = INOUT),
	FIELD(vfio_region_info, flags, "flags", FLAGS, .place = OUT, .not_zero = true, .names = region_flags),
	FIELD(vfio_region_info, size, "size", BYTES, .place = OUT),
	FIELD(vfio_region_info, offset, "offset", HEX, .place = OUT),
	FIELD(vfio_region_info, cap_offset, "cap_offset", NUMBER, .place = OUT, .not_zero = true),
	{0},
};

static const struct name irqs[] = {
	{VFIO_PCI_INTX_IRQ_INDEX, "INTX"}, {VFIO_PCI_MSI_IRQ_INDEX, "MSI"}, {VFIO_PCI_MSIX_IRQ_INDEX, "MSIX"},
	{VFIO_PCI_ERR_IRQ_INDEX, "ERR"},   {VFIO_PCI_REQ_IRQ_INDEX, "REQ"}, {0},
};

static const struct name irq_flags[] = {
	{VFIO_IRQ_INFO_EVENTFD, "EVENTFD"},
	{VFIO_IRQ_INFO_MASKABLE, "MASKABLE"},
	{VFIO_IRQ_INFO_AUTOMASKED, "AUTOMASKED"},
	{VFIO_IRQ_INFO_NORESIZE, "NORESIZE"},
	{0},
};

static const struct field get_irq_info[] = {
	FIELD(vfio_irq_info, index, "index", ENUM, .names = irqs),
	FIELD(vfio_irq_info, flags, "flags", FLAGS, .place = OUT, .not_zero = true, .names = irq_flags),
	FIELD(vfio_irq_info, count, "count", NUMBER, .place = OUT),
	{0},
};

static const struct name irq_set_flags[] = {
	{VFIO_IRQ_SET_DATA_NONE, "DATA_NONE"},
	{VFIO_IRQ_SET_DATA_BOOL, "DATA_BOOL"},
	{VFIO_IRQ_SET_DATA_EVENTFD, "DATA_EVENTFD"},
	{VFIO_IRQ_SET_ACTION_MASK, "ACTION_MASK"},
	{VFIO_IRQ_SET_ACTION_UNMASK, "ACTION_UNMASK"},
	{VFIO_IRQ_SET_ACTION_TRIGGER, "ACTION_TRIGGER"},
	{0},
};

/* Of the data, the first eventfd. */
static const struct field set_irqs[] = {
	FIELD(vfio_irq_set, index, "index", ENUM, .names = irqs),
	FLAGS_FIELD(vfio_irq_set, flags, irq_set_flags),
	FIELD(vfio_irq_set, start, "start", NUMBER),
	FIELD(vfio_irq_set, count, "count", NUMBER),
	{.name = "fd",
	 .offset = offsetof(struct vfio_irq_set, data),
	 .size = sizeof(int32_t),
	 .kind = FD,
	 .if_set = VFIO_IRQ_SET_DATA_EVENTFD},
	{0},
};

static const struct name hot_reset_flags[] = {
	{VFIO_PCI_HOT_RESET_FLAG_DEV_ID, "DEV_ID"},
	{VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, "DEV_ID_OWNED"},
	{0},
};

/* How many devices there are is answered also where there is no room for them. */
static const struct field hot_reset_info[] = {
	FIELD(vfio_pci_hot_reset_info, argsz, "argsz", NUMBER),
	FIELD(vfio_pci_hot_reset_info, flags, "flags", FLAGS, .place = OUT, .not_zero = true, .names = hot_reset_flags),
	FIELD(vfio_pci_hot_reset_info, count, "count", NUMBER, .place = ALWAYS),
	{0},
};

static const struct name no_flags[] = {{0}};

static const struct field hot_reset[] = {
	FLAGS_FIELD(vfio_pci_hot_reset, flags, no_flags),
	FIELD(vfio_pci_hot_reset, count, "groups", NUMBER),
	{0},
};

static const struct name widths[] = {
	{VFIO_DEVICE_IOEVENTFD_8, "8"},
	{VFIO_DEVICE_IOEVENTFD_16, "16"},
	{VFIO_DEVICE_IOEVENTFD_32, "32"},
	{VFIO_DEVICE_IOEVENTFD_64, "64"},
	{0},
};

static const struct field ioeventfd[] = {
	FIELD(vfio_device_ioeventfd, flags, "width", FLAGS, .names = widths),
	FIELD(vfio_device_ioeventfd, offset, "offset", HEX),
	FIELD(vfio_device_ioeventfd, data, "data", HEX),
	FIELD(vfio_device_ioeventfd, fd, "fd", FD),
	{0},
};

static const struct name features[] = {
	{VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, "PCI_VF_TOKEN"},
	{VFIO_DEVICE_FEATURE_MIGRATION, "MIGRATION"},
	{VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, "MIG_DEVICE_STATE"},
	{VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, "LOW_POWER_ENTRY"},
	{VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP, "LOW_POWER_ENTRY_WITH_WAKEUP"},
	{VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, "LOW_POWER_EXIT"},
	{VFIO_DEVICE_FEATURE_DMA_LOGGING_START, "DMA_LOGGING_START"},
	{VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, "DMA_LOGGING_STOP"},
	{VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, "DMA_LOGGING_REPORT"},
	{VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, "MIG_DATA_SIZE"},
	{VFIO_DEVICE_FEATURE_BUS_MASTER, "BUS_MASTER"},
	{VFIO_DEVICE_FEATURE_DMA_BUF, "DMA_BUF"},
	{VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, "MIG_PRECOPY_INFOv2"},
	{0},
};

#define FEATURE_OP_SHIFT 16

static const struct name feature_ops[] = {
	{VFIO_DEVICE_FEATURE_GET >> FEATURE_OP_SHIFT, "GET"},
	{VFIO_DEVICE_FEATURE_SET >> FEATURE_OP_SHIFT, "SET"},
	{VFIO_DEVICE_FEATURE_PROBE >> FEATURE_OP_SHIFT, "PROBE"},
	{0},
};

/* The lower and the upper half of the flags. */
static const struct field feature[] = {
	{.name = "flags",
	 .offset = offsetof(struct vfio_device_feature, flags) + sizeof(uint16_t),
	 .size = sizeof(uint16_t),
	 .kind = FLAGS,
	 .names = feature_ops},
	{.name = "feature",
	 .offset = offsetof(struct vfio_device_feature, flags),
	 .size = sizeof(uint16_t),
	 .kind = ENUM,
	 .names = features},
	FIELD(vfio_device_feature, argsz, "argsz", NUMBER),
	{0},
};

static const struct name bind_flags[] = {
	{VFIO_DEVICE_BIND_FLAG_TOKEN, "TOKEN"},
	{0},
};

static const struct field bind_iommufd[] = {
	FLAGS_FIELD(vfio_device_bind_iommufd, flags, bind_flags),
	FIELD(vfio_device_bind_iommufd, iommufd, "iommufd", FD),
	FIELD(vfio_device_bind_iommufd, token_uuid_ptr, "token", HEX, .if_set = VFIO_DEVICE_BIND_FLAG_TOKEN),
	OUT_ID(vfio_device_bind_iommufd, out_devid, "device"),
	{0},
};

static const struct name pasid_flags[] = {
	{VFIO_DEVICE_ATTACH_PASID, "PASID"},
	{0},
};

static const struct field attach[] = {
	FLAGS_FIELD(vfio_device_attach_iommufd_pt, flags, pasid_flags),
	FIELD(vfio_device_attach_iommufd_pt, pasid, "pasid", NUMBER, .if_set = VFIO_DEVICE_ATTACH_PASID),
	FIELD(vfio_device_attach_iommufd_pt, pt_id, "pt", NUMBER, .place = INOUT),
	{0},
};

_Static_assert(VFIO_DEVICE_ATTACH_PASID == VFIO_DEVICE_DETACH_PASID, "one table of flags");

static const struct field detach[] = {
	FLAGS_FIELD(vfio_device_detach_iommufd_pt, flags, pasid_flags),
	FIELD(vfio_device_detach_iommufd_pt, pasid, "pasid", NUMBER, .if_set = VFIO_DEVICE_DETACH_PASID),
	{0},
};

const struct command device_commands[] = {
	{.number = VFIO_GET_API_VERSION, .name = "VFIO_GET_API_VERSION"},
	{.number = VFIO_CHECK_EXTENSION, .name = "VFIO_CHECK_EXTENSION"},
	{.number = VFIO_SET_IOMMU, .name = "VFIO_SET_IOMMU"},
	COMMAND(VFIO_GROUP_GET_STATUS, "VFIO_GROUP_GET_STATUS", vfio_group_status, .fields = get_status),
	{.number = VFIO_GROUP_SET_CONTAINER, .name = "VFIO_GROUP_SET_CONTAINER", .fields = set_container},
	{.number = VFIO_GROUP_UNSET_CONTAINER, .name = "VFIO_GROUP_UNSET_CONTAINER"},
	{.number = VFIO_GROUP_GET_DEVICE_FD, .name = "VFIO_GROUP_GET_DEVICE_FD", .fields = get_device_fd},
	{.number = VFIO_DEVICE_GET_INFO, .name = "VFIO_DEVICE_GET_INFO", .fields = get_info},
	{.number = VFIO_DEVICE_GET_REGION_INFO, .name = "VFIO_DEVICE_GET_REGION_INFO", .fields = get_region_info},
	COMMAND(VFIO_DEVICE_GET_IRQ_INFO, "VFIO_DEVICE_GET_IRQ_INFO", vfio_irq_info, .fields = get_irq_info),
	{.number = VFIO_DEVICE_SET_IRQS, .name = "VFIO_DEVICE_SET_IRQS", .fields = set_irqs, SELECTED},
	{.number = VFIO_DEVICE_RESET, .name = "VFIO_DEVICE_RESET"},
	{.number = VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
	 .name = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO",
	 .fields = hot_reset_info},
	{.number = VFIO_DEVICE_PCI_HOT_RESET, .name = "VFIO_DEVICE_PCI_HOT_RESET", .fields = hot_reset},
	COMMAND(VFIO_DEVICE_IOEVENTFD, "VFIO_DEVICE_IOEVENTFD", vfio_device_ioeventfd, .fields = ioeventfd),
	{.number = VFIO_DEVICE_FEATURE, .name = "VFIO_DEVICE_FEATURE", .fields = feature},
	COMMAND(VFIO_DEVICE_BIND_IOMMUFD, "VFIO_DEVICE_BIND_IOMMUFD", vfio_device_bind_iommufd, .fields = bind_iommufd,
		SELECTED),
	COMMAND(VFIO_DEVICE_ATTACH_IOMMUFD_PT, "VFIO_DEVICE_ATTACH_IOMMUFD_PT", vfio_device_attach_iommufd_pt,
		.fields = attach, SELECTED),
	COMMAND(VFIO_DEVICE_DETACH_IOMMUFD_PT, "VFIO_DEVICE_DETACH_IOMMUFD_PT", vfio_device_detach_iommufd_pt,
		.fields = detach, SELECTED),
	{0},
};

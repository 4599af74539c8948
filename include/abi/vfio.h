/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ABI of VFIO as in Linux 7.2: containers, groups, devices. Names, numbers and layouts; 64-bit only.
 *
 * The argument of most commands is a pointer to a structure whose first member, argsz, says how many bytes of it the
 * caller has. Where an answer is longer, argsz comes back as the length needed. An unknown flag is EINVAL here, not
 * EOPNOTSUPP as in iommufd.h. Some numbers mean one thing on a container and another on a device: the kind of file
 * decides.
 *
 * What the errnos mean where iommufd.h does not say it; docs/abi-coverage.md has those of each command.
 *
 * EINVAL      argsz is too short, or a flag unknown; there is no such region or interrupt; the file is in the wrong
 *             state: no container, no IOMMU, bound already, an interrupt that is not enabled.
 * ENOTTY      No such command; also: no such feature, no such action of an interrupt, or not of a file from a group.
 * EBUSY       The group is open, or a device of it is bound by its own node; an eventfd unmasks INTx already; a PASID
 *             was freed and is in use still; a device is not closed yet.
 * EIO         A BAR is read or written while the device's memory space is disabled.
 * EPERM       The group is another iommufd's; eventfds of the program cannot be had (pidfd_getfd is forbidden).
 * ENODEV      No such device in the group; the container has no IOAS; a device cannot share addresses; no ioeventfd.
 * ENOSPC      Room for too few devices in the answer; too many ioeventfds; no PASID is free, or none is so high.
 * ERANGE      Eventfds of no vectors, where none are enabled.
 * EACCES      A PASID is another process's, or of a bond; the caller may not look into a process.
 * EOVERFLOW   Also: a device cannot use a PASID that high.
 * ESRCH       There is no such process, or it is not bound.
 * ENFILE      iommuse has no descriptor left.
 */
#ifndef IOMMUSE_ABI_VFIO_H
#define IOMMUSE_ABI_VFIO_H

#include <stdint.h>
#include <sys/ioctl.h>

#ifndef __LP64__
#error "the ABI of VFIO is described for 64-bit only"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define VFIO_API_VERSION 0
#define VFIO_TYPE        (';')
#define VFIO_BASE        100

/* Arguments of VFIO_CHECK_EXTENSION; VFIO_SET_IOMMU takes those that are called _IOMMU. */
#define VFIO_TYPE1_IOMMU         1
#define VFIO_SPAPR_TCE_IOMMU     2
#define VFIO_TYPE1v2_IOMMU       3
#define VFIO_DMA_CC_IOMMU        4
#define VFIO_EEH                 5
#define VFIO_TYPE1_NESTING_IOMMU 6
#define VFIO_SPAPR_TCE_v2_IOMMU  7
#define VFIO_NOIOMMU_IOMMU       8
#define VFIO_UNMAP_ALL           9
#define VFIO_UPDATE_VADDR        10

/* Container and group */
#define VFIO_GET_API_VERSION       _IO(';', 0x64)
#define VFIO_CHECK_EXTENSION       _IO(';', 0x65)
#define VFIO_SET_IOMMU             _IO(';', 0x66)
#define VFIO_GROUP_GET_STATUS      _IO(';', 0x67)
#define VFIO_GROUP_SET_CONTAINER   _IO(';', 0x68)
#define VFIO_GROUP_UNSET_CONTAINER _IO(';', 0x69)
#define VFIO_GROUP_GET_DEVICE_FD   _IO(';', 0x6a)

/* Device */
#define VFIO_DEVICE_GET_INFO               _IO(';', 0x6b)
#define VFIO_DEVICE_GET_REGION_INFO        _IO(';', 0x6c)
#define VFIO_DEVICE_GET_IRQ_INFO           _IO(';', 0x6d)
#define VFIO_DEVICE_SET_IRQS               _IO(';', 0x6e)
#define VFIO_DEVICE_RESET                  _IO(';', 0x6f)
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO _IO(';', 0x70)
#define VFIO_DEVICE_PCI_HOT_RESET          _IO(';', 0x71)
#define VFIO_DEVICE_IOEVENTFD              _IO(';', 0x74)
#define VFIO_DEVICE_FEATURE                _IO(';', 0x75)
#define VFIO_DEVICE_BIND_IOMMUFD           _IO(';', 0x76)
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT      _IO(';', 0x77)
#define VFIO_DEVICE_DETACH_IOMMUFD_PT      _IO(';', 0x78)

/* The file of a device's migration data */
#define VFIO_MIG_GET_PRECOPY_INFO _IO(';', 0x79)

/* Container with an IOMMU of type 1 */
#define VFIO_IOMMU_GET_INFO    _IO(';', 0x70)
#define VFIO_IOMMU_MAP_DMA     _IO(';', 0x71)
#define VFIO_IOMMU_UNMAP_DMA   _IO(';', 0x72)
#define VFIO_IOMMU_DIRTY_PAGES _IO(';', 0x75)

/*
 * Address spaces of processes bound to a container, as proposed for Linux in 2018 and never merged.
 *
 * struct vfio_iommu_type1_bind, followed by struct vfio_iommu_type1_bind_process. EFAULT: they cannot be read, or the
 * PASID not written. EINVAL: malformed, or the container has no IOMMU yet, or no group. ESRCH: no such process, or it
 * is not bound (UNBIND). EACCES: the caller may not look into it. EPERM: the caller may, but iommuse may not. ENODEV: a
 * device cannot share addresses. ENOSPC: no PASID is free. EOVERFLOW: a device cannot use one that high. ENFILE,
 * ENOMEM: iommuse has no descriptor or memory left.
 */
#define VFIO_IOMMU_BIND   _IO(';', 0x7a)
#define VFIO_IOMMU_UNBIND _IO(';', 0x7b)

struct vfio_iommu_type1_bind_process {
	uint32_t flags;
	uint32_t pasid; /* out */
	int32_t pid;    /* with VFIO_IOMMU_BIND_PID */
};

#define VFIO_IOMMU_BIND_PID 1

struct vfio_iommu_type1_bind {
	uint32_t argsz;
	uint32_t mode;
	uint8_t data[];
};

#define VFIO_IOMMU_BIND_PROCESS 1

/* Container with an IOMMU of sPAPR */
#define VFIO_IOMMU_ENABLE  _IO(';', 0x73)
#define VFIO_IOMMU_DISABLE _IO(';', 0x74)

/* One of a chain of capabilities. next: bytes from the beginning of the structure that has the chain; 0: the last. */
struct vfio_info_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next;
};

/* Containers */

#define VFIO_IOMMU_INFO_PGSIZES 1
#define VFIO_IOMMU_INFO_CAPS    2

struct vfio_iommu_type1_info {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova_pgsizes;
	uint32_t cap_offset;
	uint32_t pad;
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1
#define VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION  2
#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL      3

/* end is the last address. */
struct vfio_iova_range {
	uint64_t start;
	uint64_t end;
};

struct vfio_iommu_type1_info_cap_iova_range {
	struct vfio_info_cap_header header;
	uint32_t nr_iovas;
	uint32_t reserved;
	struct vfio_iova_range iova_ranges[];
};

struct vfio_iommu_type1_info_cap_migration {
	struct vfio_info_cap_header header;
	uint32_t flags;
	uint64_t pgsize_bitmap;
	uint64_t max_dirty_bitmap_size;
};

struct vfio_iommu_type1_info_dma_avail {
	struct vfio_info_cap_header header;
	uint32_t avail;
};

#define VFIO_DMA_MAP_FLAG_READ  1
#define VFIO_DMA_MAP_FLAG_WRITE 2
#define VFIO_DMA_MAP_FLAG_VADDR 4

struct vfio_iommu_type1_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t vaddr;
	uint64_t iova;
	uint64_t size;
};

struct vfio_bitmap {
	uint64_t pgsize;
	uint64_t size;
	uint64_t *data;
};

#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP 1
#define VFIO_DMA_UNMAP_FLAG_ALL              2
#define VFIO_DMA_UNMAP_FLAG_VADDR            4

struct vfio_iommu_type1_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size;
	uint8_t data[]; /* struct vfio_bitmap */
};

#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START      1
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP       2
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP 4

struct vfio_iommu_type1_dirty_bitmap {
	uint32_t argsz;
	uint32_t flags;
	uint8_t data[]; /* struct vfio_iommu_type1_dirty_bitmap_get */
};

struct vfio_iommu_type1_dirty_bitmap_get {
	uint64_t iova;
	uint64_t size;
	struct vfio_bitmap bitmap;
};

/* Groups */

#define VFIO_GROUP_FLAGS_VIABLE        1
#define VFIO_GROUP_FLAGS_CONTAINER_SET 2

struct vfio_group_status {
	uint32_t argsz;
	uint32_t flags;
};

/* Devices: a file of one's own, bound to an iommufd */

#define VFIO_DEVICE_BIND_FLAG_TOKEN 1

struct vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
	uint64_t token_uuid_ptr;
};

#define VFIO_DEVICE_ATTACH_PASID 1

/* pt_id: an IOAS or a page table, then the page table that it is. */
struct vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
	uint32_t pasid;
};

#define VFIO_DEVICE_DETACH_PASID 1

struct vfio_device_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pasid;
};

/* Devices: what they are */

#define VFIO_DEVICE_FLAGS_RESET    0x1
#define VFIO_DEVICE_FLAGS_PCI      0x2
#define VFIO_DEVICE_FLAGS_PLATFORM 0x4
#define VFIO_DEVICE_FLAGS_AMBA     0x8
#define VFIO_DEVICE_FLAGS_CCW      0x10
#define VFIO_DEVICE_FLAGS_AP       0x20
#define VFIO_DEVICE_FLAGS_FSL_MC   0x40
#define VFIO_DEVICE_FLAGS_CAPS     0x80
#define VFIO_DEVICE_FLAGS_CDX      0x100

struct vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
	uint32_t pad;
};

#define VFIO_DEVICE_INFO_CAP_ZPCI_BASE       1
#define VFIO_DEVICE_INFO_CAP_ZPCI_GROUP      2
#define VFIO_DEVICE_INFO_CAP_ZPCI_UTIL       3
#define VFIO_DEVICE_INFO_CAP_ZPCI_PFIP       4
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP 5

#define VFIO_PCI_ATOMIC_COMP32  1
#define VFIO_PCI_ATOMIC_COMP64  2
#define VFIO_PCI_ATOMIC_COMP128 4

struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	uint32_t flags;
	uint32_t reserved;
};

/* Devices: regions */

enum {
	VFIO_PCI_BAR0_REGION_INDEX = 0,
	VFIO_PCI_BAR1_REGION_INDEX = 1,
	VFIO_PCI_BAR2_REGION_INDEX = 2,
	VFIO_PCI_BAR3_REGION_INDEX = 3,
	VFIO_PCI_BAR4_REGION_INDEX = 4,
	VFIO_PCI_BAR5_REGION_INDEX = 5,
	VFIO_PCI_ROM_REGION_INDEX = 6,
	VFIO_PCI_CONFIG_REGION_INDEX = 7,
	VFIO_PCI_VGA_REGION_INDEX = 8,
	VFIO_PCI_NUM_REGIONS = 9, /* regions of one device's own begin here */
};

#define VFIO_REGION_INFO_FLAG_READ  1
#define VFIO_REGION_INFO_FLAG_WRITE 2
#define VFIO_REGION_INFO_FLAG_MMAP  4
#define VFIO_REGION_INFO_FLAG_CAPS  8

struct vfio_region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset; /* in the device's file */
};

#define VFIO_REGION_INFO_CAP_SPARSE_MMAP   1
#define VFIO_REGION_INFO_CAP_TYPE          2
#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3

struct vfio_region_sparse_mmap_area {
	uint64_t offset;
	uint64_t size;
};

struct vfio_region_info_cap_sparse_mmap {
	struct vfio_info_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
	struct vfio_region_sparse_mmap_area areas[];
};

struct vfio_region_info_cap_type {
	struct vfio_info_cap_header header;
	uint32_t type;
	uint32_t subtype;
};

#define VFIO_REGION_TYPE_PCI_VENDOR_TYPE         0x80000000U
#define VFIO_REGION_TYPE_PCI_VENDOR_MASK         0xffff
#define VFIO_REGION_TYPE_GFX                     1
#define VFIO_REGION_TYPE_CCW                     2
#define VFIO_REGION_TYPE_MIGRATION_DEPRECATED    3
#define VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED 1

/* The head of the region of that type; nothing serves it any more. */
struct vfio_device_migration_info {
	uint32_t device_state;
	uint32_t reserved;
	uint64_t pending_bytes;
	uint64_t data_offset;
	uint64_t data_size;
};

/* Devices: interrupts */

enum {
	VFIO_PCI_INTX_IRQ_INDEX = 0,
	VFIO_PCI_MSI_IRQ_INDEX = 1,
	VFIO_PCI_MSIX_IRQ_INDEX = 2,
	VFIO_PCI_ERR_IRQ_INDEX = 3,
	VFIO_PCI_REQ_IRQ_INDEX = 4,
	VFIO_PCI_NUM_IRQS = 5,
};

#define VFIO_IRQ_INFO_EVENTFD    1
#define VFIO_IRQ_INFO_MASKABLE   2
#define VFIO_IRQ_INFO_AUTOMASKED 4
#define VFIO_IRQ_INFO_NORESIZE   8

struct vfio_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};

/* flags of vfio_irq_set: one kind of data and one action */
#define VFIO_IRQ_SET_DATA_NONE      0x01
#define VFIO_IRQ_SET_DATA_BOOL      0x02
#define VFIO_IRQ_SET_DATA_EVENTFD   0x04
#define VFIO_IRQ_SET_ACTION_MASK    0x08
#define VFIO_IRQ_SET_ACTION_UNMASK  0x10
#define VFIO_IRQ_SET_ACTION_TRIGGER 0x20

#define VFIO_IRQ_SET_DATA_TYPE_MASK   0x07
#define VFIO_IRQ_SET_ACTION_TYPE_MASK 0x38

struct vfio_irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
	uint8_t data[]; /* nothing, uint8_t[count] or int32_t[count] */
};

/* Devices: reset together with others */

#define VFIO_PCI_DEVID_OWNED     0
#define VFIO_PCI_DEVID_NOT_OWNED (-1)

struct vfio_pci_dependent_device {
	union {
		uint32_t group_id;
		uint32_t devid; /* with VFIO_PCI_HOT_RESET_FLAG_DEV_ID */
	};
	uint16_t segment;
	uint8_t bus;
	uint8_t devfn;
};

#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID       1
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED 2

struct vfio_pci_hot_reset_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	struct vfio_pci_dependent_device devices[];
};

struct vfio_pci_hot_reset {
	uint32_t argsz;
	uint32_t flags;
	uint32_t count;
	int32_t group_fds[];
};

/* Devices: an eventfd that writes a register */

#define VFIO_DEVICE_IOEVENTFD_8         1
#define VFIO_DEVICE_IOEVENTFD_16        2
#define VFIO_DEVICE_IOEVENTFD_32        4
#define VFIO_DEVICE_IOEVENTFD_64        8
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK 0xf

struct vfio_device_ioeventfd {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t data;
	int32_t fd; /* -1: remove */
	uint32_t reserved;
};

/* Devices: features. flags: a feature's number and what is to be done with it */

#define VFIO_DEVICE_FEATURE_MASK  0xffff
#define VFIO_DEVICE_FEATURE_GET   0x10000
#define VFIO_DEVICE_FEATURE_SET   0x20000
#define VFIO_DEVICE_FEATURE_PROBE 0x40000

struct vfio_device_feature {
	uint32_t argsz;
	uint32_t flags;
	uint8_t data[];
};

#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN                0 /* 16 bytes of UUID */
#define VFIO_DEVICE_FEATURE_MIGRATION                   1
#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE            2
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY             3
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP 4
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT              5
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START           6
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP            7
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT          8
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE               9
#define VFIO_DEVICE_FEATURE_BUS_MASTER                  10
#define VFIO_DEVICE_FEATURE_DMA_BUF                     11
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2          12

#define VFIO_MIGRATION_STOP_COPY 1
#define VFIO_MIGRATION_P2P       2
#define VFIO_MIGRATION_PRE_COPY  4

struct vfio_device_feature_migration {
	uint64_t flags;
};

enum vfio_device_mig_state {
	VFIO_DEVICE_STATE_ERROR = 0,
	VFIO_DEVICE_STATE_STOP = 1,
	VFIO_DEVICE_STATE_RUNNING = 2,
	VFIO_DEVICE_STATE_STOP_COPY = 3,
	VFIO_DEVICE_STATE_RESUMING = 4,
	VFIO_DEVICE_STATE_RUNNING_P2P = 5,
	VFIO_DEVICE_STATE_PRE_COPY = 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
};

struct vfio_device_feature_mig_state {
	uint32_t device_state;
	int32_t data_fd; /* -1: none */
};

/* flags, where VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 is set: initial_bytes starts anew */
#define VFIO_PRECOPY_INFO_REINIT 1

struct vfio_precopy_info {
	uint32_t argsz;
	uint32_t flags;
	uint64_t initial_bytes;
	uint64_t dirty_bytes;
};

struct vfio_device_low_power_entry_with_wakeup {
	int32_t wakeup_eventfd;
	uint32_t reserved;
};

struct vfio_device_feature_dma_logging_control {
	uint64_t page_size; /* wished for */
	uint32_t num_ranges;
	uint32_t __reserved;
	uint64_t ranges; /* address of struct vfio_device_feature_dma_logging_range[] */
};

struct vfio_device_feature_dma_logging_range {
	uint64_t iova;
	uint64_t length;
};

struct vfio_device_feature_dma_logging_report {
	uint64_t iova;
	uint64_t length;
	uint64_t page_size;
	uint64_t bitmap;
};

struct vfio_device_feature_mig_data_size {
	uint64_t stop_copy_length;
};

#define VFIO_DEVICE_FEATURE_CLEAR_MASTER 0
#define VFIO_DEVICE_FEATURE_SET_MASTER   1

struct vfio_device_feature_bus_master {
	uint32_t op;
};

struct vfio_region_dma_range {
	uint64_t offset;
	uint64_t length;
};

struct vfio_device_feature_dma_buf {
	uint32_t region_index;
	uint32_t open_flags;
	uint32_t flags;
	uint32_t nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};

#ifdef __cplusplus
}
#endif

#endif

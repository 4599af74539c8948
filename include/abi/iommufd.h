/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ABI of /dev/iommu as in Linux 7.2: names, numbers and layouts. 64-bit only: Linux has no 32-bit entry for it.
 *
 * The argument of each command is a pointer to its structure, whose first member says how many bytes of it the caller
 * has. Members that begin with out_ are answers. Ranges are given as address and length, or as start and last, which
 * is inclusive.
 *
 * What the errnos mean, here and in the handlers:
 *
 * ENOTTY      The command does not exist.
 * EFAULT      Memory of the caller cannot be read or written, or does not exist where it is to be pinned.
 * E2BIG       The structure is longer than the one known here, and the rest of it is not zero.
 * EOPNOTSUPP  A flag, type, option or reserved member has a value that is unknown or that this object does not offer.
 * EINVAL      The members contradict each other, break a limit or an alignment, or do not fit the kind of object.
 * ENOENT      No object has that id and type, or nothing is mapped there, or the range bisects what is mapped.
 * EEXIST      The place is taken: a range that is mapped, an id or index in use.
 * EBUSY       The object is in use by another object, by a call, or by a file.
 * EADDRINUSE  A range that is reserved and one that is mapped or promised collide.
 * ENOSPC      No free place is large enough.
 * EOVERFLOW   The range ends beyond the last address.
 * EMSGSIZE    The answer has more elements than the caller has room for; the count is the full one.
 * ENOMEM      Out of memory, or beyond the limit of locked memory.
 * EPERM       The caller lacks the capability, or what is mapped lacks the access right.
 * ENODEV      The thing exists, but the part needed is gone: no compatibility IOAS, a device that left.
 * EDEADLK     The user of a mapping was asked to let go of it, and does not. (EDEADLOCK is another name for it.)
 * EIO         A device refuses the order of the steps, or a test's expectation does not hold.
 * EBADF       The number is no open file.
 * EBADFD      The file is of another kind.
 * EMFILE      The caller can have no further file.
 * ERANGE      A size that is derived from the arguments overflows.
 * ESPIPE      An event queue is read or written at a position, or by a count that is no whole number of records.
 * ENXIO       mmap of an offset or a length that was not offered.
 */
#ifndef IOMMUSE_ABI_IOMMUFD_H
#define IOMMUSE_ABI_IOMMUFD_H

#include <stdint.h>
#include <sys/ioctl.h>

#ifndef __LP64__
#error "the ABI of iommufd is 64-bit"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define IOMMUFD_TYPE (';')

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = 0x80,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
};

#define IOMMU_DESTROY                 _IO(';', 0x80)
#define IOMMU_IOAS_ALLOC              _IO(';', 0x81)
#define IOMMU_IOAS_ALLOW_IOVAS        _IO(';', 0x82)
#define IOMMU_IOAS_COPY               _IO(';', 0x83)
#define IOMMU_IOAS_IOVA_RANGES        _IO(';', 0x84)
#define IOMMU_IOAS_MAP                _IO(';', 0x85)
#define IOMMU_IOAS_UNMAP              _IO(';', 0x86)
#define IOMMU_OPTION                  _IO(';', 0x87)
#define IOMMU_VFIO_IOAS               _IO(';', 0x88)
#define IOMMU_HWPT_ALLOC              _IO(';', 0x89)
#define IOMMU_GET_HW_INFO             _IO(';', 0x8a)
#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(';', 0x8b)
#define IOMMU_HWPT_GET_DIRTY_BITMAP   _IO(';', 0x8c)
#define IOMMU_HWPT_INVALIDATE         _IO(';', 0x8d)
#define IOMMU_FAULT_QUEUE_ALLOC       _IO(';', 0x8e)
#define IOMMU_IOAS_MAP_FILE           _IO(';', 0x8f)
#define IOMMU_VIOMMU_ALLOC            _IO(';', 0x90)
#define IOMMU_VDEVICE_ALLOC           _IO(';', 0x91)
#define IOMMU_IOAS_CHANGE_PROCESS     _IO(';', 0x92)
#define IOMMU_VEVENTQ_ALLOC           _IO(';', 0x93)
#define IOMMU_HW_QUEUE_ALLOC          _IO(';', 0x94)

/* IOMMU_DESTROY: ends any object. */
struct iommu_destroy {
	uint32_t size;
	uint32_t id;
};

/* Address spaces */

struct iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t out_ioas_id;
};

/* An element of the arrays below. */
struct iommu_iova_range {
	uint64_t start;
	uint64_t last;
};

/* IOMMU_IOAS_IOVA_RANGES: where maps may lie. num_iovas: room in the array, then the number there is. */
struct iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	uint64_t allowed_iovas; /* address of struct iommu_iova_range[] */
	uint64_t out_iova_alignment;
};

/* IOMMU_IOAS_ALLOW_IOVAS: where maps without a fixed IOVA are to lie, and what later reservations may not take. */
struct iommu_ioas_allow_iovas {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas; /* 0: anywhere */
	uint32_t __reserved;
	uint64_t allowed_iovas; /* address of struct iommu_iova_range[] */
};

/* flags of map, map_file and copy */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1, /* iova is given; else it is chosen and returned */
	IOMMU_IOAS_MAP_WRITEABLE = 2,
	IOMMU_IOAS_MAP_READABLE = 4,
};

struct iommu_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t __reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova;
};

struct iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start; /* offset in the file */
	uint64_t length;
	uint64_t iova;
};

struct iommu_ioas_copy {
	uint32_t size;
	uint32_t flags;
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	uint64_t length;
	uint64_t dst_iova;
	uint64_t src_iova;
};

/* IOMMU_IOAS_UNMAP: iova 0 with length UINT64_MAX is everything. length: then the number of bytes that went. */
struct iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length;
};

/* IOMMU_IOAS_CHANGE_PROCESS: charges all that is mapped from files to the caller. */
struct iommu_ioas_change_process {
	uint32_t size;
	uint32_t __reserved;
};

enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0, /* 0: locked memory counts per user, 1: per process */
	IOMMU_OPTION_HUGE_PAGES = 1,  /* of an IOAS: pages larger than the smallest may be used */
};

enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

struct iommu_option {
	uint32_t size;
	uint32_t option_id;
	uint16_t op;
	uint16_t __reserved;
	uint32_t object_id;
	uint64_t val64;
};

/* IOMMU_VFIO_IOAS: which IOAS the container commands of VFIO work on. */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

struct iommu_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id;
	uint16_t op;
	uint16_t __reserved;
};

/* Page tables */

enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 2,
	IOMMU_HWPT_FAULT_ID_VALID = 4,
	IOMMU_HWPT_ALLOC_PASID = 8,
};

/* data_type of IOMMU_HWPT_ALLOC: what data_uptr points to */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,     /* struct iommu_hwpt_vtd_s1 */
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2, /* struct iommu_hwpt_arm_smmuv3 */
	IOMMU_HWPT_DATA_AMD_GUEST = 3,  /* struct iommu_hwpt_amd_guest */
};

enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1,
	IOMMU_VTD_S1_EAFE = 2,
	IOMMU_VTD_S1_WPE = 4,
};

struct iommu_hwpt_vtd_s1 {
	uint64_t flags;
	uint64_t pgtbl_addr;
	uint32_t addr_width;
	uint32_t __reserved;
};

struct iommu_hwpt_arm_smmuv3 {
	uint64_t ste[2]; /* little-endian */
};

struct iommu_hwpt_amd_guest {
	uint64_t dte[4];
};

struct iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id; /* an IOAS, the parent to nest on, or a vIOMMU */
	uint32_t out_hwpt_id;
	uint32_t __reserved;
	uint32_t data_type;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t fault_id;    /* looked at with IOMMU_HWPT_FAULT_ID_VALID */
	uint32_t __reserved2; /* not looked at */
};

enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1, /* in_data_type says what is wanted */
};

enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

/* bits of out_capabilities */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 2,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 4,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 8,
};

enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1,
};

struct iommu_hw_info_vtd {
	uint32_t flags;
	uint32_t __reserved;
	uint64_t cap_reg;
	uint64_t ecap_reg;
};

struct iommu_hw_info_arm_smmuv3 {
	uint32_t flags;
	uint32_t __reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

struct iommu_hw_info_tegra241_cmdqv {
	uint32_t flags;
	uint8_t version;
	uint8_t log2vcmdqs;
	uint8_t log2vsids;
	uint8_t __reserved;
};

struct iommu_hw_info_amd {
	uint64_t efr;
	uint64_t efr2;
};

/* IOMMU_GET_HW_INFO. data_len: room at data_uptr, then the full length. */
struct iommu_hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len;
	uint64_t data_uptr;
	union {
		uint32_t in_data_type;
		uint32_t out_data_type;
	};
	uint8_t out_max_pasid_log2; /* 0: no PASIDs */
	uint8_t __reserved[3];
	uint64_t out_capabilities;
};

enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

struct iommu_hwpt_set_dirty_tracking {
	uint32_t size;
	uint32_t flags;
	uint32_t hwpt_id;
	uint32_t __reserved;
};

enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

struct iommu_hwpt_get_dirty_bitmap {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags;
	uint32_t __reserved;
	uint64_t iova;
	uint64_t length;
	uint64_t page_size; /* bytes that one bit stands for */
	uint64_t data;      /* address of the bitmap; bits are set there, never cleared */
};

enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1,
};

struct iommu_hwpt_vtd_s1_invalidate {
	uint64_t addr;
	uint64_t npages; /* UINT64_MAX with addr 0: all */
	uint32_t flags;
	uint32_t __reserved;
};

struct iommu_viommu_arm_smmuv3_invalidate {
	uint64_t cmd[2]; /* little-endian */
};

/* IOMMU_HWPT_INVALIDATE. entry_num: requests in the array, then, whatever the result, the number that are done. */
struct iommu_hwpt_invalidate {
	uint32_t size;
	uint32_t hwpt_id; /* a nested page table, or a vIOMMU */
	uint64_t data_uptr;
	uint32_t data_type;
	uint32_t entry_len;
	uint32_t entry_num;
	uint32_t __reserved;
};

/* Page faults */

struct iommu_fault_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};

enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 2,
};

enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1,
	IOMMU_PGFAULT_PERM_WRITE = 2,
	IOMMU_PGFAULT_PERM_EXEC = 4,
	IOMMU_PGFAULT_PERM_PRIV = 8,
};

/* A record that is read from the fault queue's file. */
struct iommu_hwpt_pgfault {
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid;
	uint32_t perm;
	uint32_t __reserved;
	uint64_t addr;
	uint32_t length;
	uint32_t cookie; /* the same for a whole group; names it in the answer */
};

enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/* An answer that is written to the fault queue's file. */
struct iommu_hwpt_page_response {
	uint32_t cookie;
	uint32_t code;
};

/* Virtual IOMMUs */

enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2, /* data: struct iommu_viommu_tegra241_cmdqv */
};

struct iommu_viommu_tegra241_cmdqv {
	uint64_t out_vintf_mmap_offset;
	uint64_t out_vintf_mmap_length;
};

struct iommu_viommu_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t type;
	uint32_t dev_id;
	uint32_t hwpt_id;
	uint32_t out_viommu_id;
	uint32_t data_len;
	uint32_t __reserved; /* not looked at */
	uint64_t data_uptr;
};

struct iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	uint64_t virt_id;
};

enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,     /* struct iommu_vevent_arm_smmuv3 */
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2, /* struct iommu_vevent_tegra241_cmdqv */
};

struct iommu_veventq_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t viommu_id;
	uint32_t type;
	uint32_t veventq_depth; /* events */
	uint32_t out_veventq_id;
	uint32_t out_veventq_fd;
	uint32_t __reserved;
};

enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1, /* no payload follows */
};

/* Before each record that is read from the event queue's file; the payload of the queue's type follows. */
struct iommufd_vevent_header {
	uint32_t flags;
	uint32_t sequence;
};

struct iommu_vevent_arm_smmuv3 {
	uint64_t evt[4]; /* little-endian */
};

struct iommu_vevent_tegra241_cmdqv {
	uint64_t lvcmdq_err_map[2]; /* little-endian */
};

enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

struct iommu_hw_queue_alloc {
	uint32_t size;
	uint32_t flags; /* 0 */
	uint32_t viommu_id;
	uint32_t type;
	uint32_t index;
	uint32_t out_hw_queue_id;
	uint64_t nesting_parent_iova;
	uint64_t length;
};

#ifdef __cplusplus
}
#endif

#endif

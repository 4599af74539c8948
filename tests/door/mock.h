/* SPDX-License-Identifier: BSD-3-Clause */
/* What the clients share that use the test device: iommuse run --selftest. */
#ifndef MOCK_H
#define MOCK_H

#include "door.h"

#include <fcntl.h>
#include <poll.h>

enum {
	IOMMU_HWPT_ALLOC = 0x89,
	IOMMU_VIOMMU_ALLOC = 0x90,
	IOMMU_VDEVICE_ALLOC,
	IOMMU_VEVENTQ_ALLOC = 0x93,
	IOMMU_TEST = 0xa0
};
enum {
	OP_MOCK_DOMAIN = 2,
	OP_CREATE_ACCESS = 5,
	OP_ACCESS_RW = 8,
	OP_REPLACE = 10,
	OP_TRIGGER_IOPF = 15,
	OP_TRIGGER_VEVENT = 17,
	OP_DMABUF_GET = 22
};
enum {
	NEST_PARENT = 1,
	FAULT_ID_VALID = 4,
	DATA_NESTED = 0xdead,
	VIRT_ID = 0x99,
	FAULT_RECORD = 40,
	EVENT_RECORD = 12
};
#define TYPE_VIOMMU  0xdeadbeefu
#define TYPE_VEVENTQ 0xbeefbeefu
#define FIRST_IOVA   0x1000000ull
#define PAGE         4096ull

struct iommu_test {
	uint32_t size, op, id, reserved;
	union {
		uint32_t d[12];
		uint64_t q[6];
	};
	uint32_t last, padding;
};
struct iommu_hwpt_alloc {
	uint32_t size, flags, dev_id, pt_id, out_hwpt_id, reserved, data_type, data_len;
	uint64_t data_uptr;
	uint32_t fault_id, reserved2;
};
struct iommu_viommu_alloc {
	uint32_t size, flags, type, dev_id, hwpt_id, out_viommu_id, data_len, reserved;
	uint64_t data_uptr;
};
struct iommu_vdevice_alloc {
	uint32_t size, viommu_id, dev_id, out_vdevice_id;
	uint64_t virt_id;
};
struct iommu_veventq_alloc {
	uint32_t size, flags, viommu_id, type, depth, out_veventq_id, out_veventq_fd, reserved;
};
struct viommu_data {
	uint32_t in_data, out_data;
	uint64_t out_mmap_offset, out_mmap_length;
};

struct device {
	int fd;
	uint32_t ioas, stdev, idev;
};

long test_op(int fd, struct iommu_test *cmd);
/* A descriptor, or -errno. */
long access_new(int fd, uint32_t ioas);
long dmabuf_new(int fd, uint32_t flags);

/* A context with an IOAS, whose id is 1. Skips the case where there are no accesses. */
bool begin_with_access(struct test *t, int *fd);

/* A context with a mock device on an IOAS. Skips the case where there are none. */
bool begin_with_device(struct test *t, struct device *d);

/* The new object's id, or -errno. A page table on anything but the device's IOAS is nested. */
long hwpt_alloc(const struct device *d, uint32_t pt, uint32_t flags, uint32_t fault);
long attach(const struct device *d, uint32_t pt);
long page_fault(const struct device *d, uint32_t group);
long virtual_event(const struct device *d);
long viommu_alloc(const struct device *d, uint32_t hwpt, struct viommu_data *data);

/* What poll says, and what select and epoll say is the same. */
int ready(struct test *t, int fd);

/* A device behind a virtual IOMMU. Returns its id, or -errno. */
long begin_with_viommu(struct test *t, struct device *d, struct viommu_data *data);

#endif

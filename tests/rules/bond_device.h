/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices of the tests' own model (bond_model.c) for cases about PASIDs of processes: 0000:01:00.0 and 0000:01:00.1
 * (vfio0, vfio1) of group 1 and 0000:02:00.0 (vfio2) of group 2 have 20 bits of PASIDs and page requests, 0000:03:00.0
 * (vfio3) of group 3 has 2 bits, and 0000:04:00.0 (vfio4) of group 4 has no page requests. 0000:05:00.0 (vfio5) of
 * group 5 has no PASIDs. The case's own file is the container, or the iommufd.
 */
#ifndef IOMMUSE_TESTS_BOND_DEVICE_H
#define IOMMUSE_TESTS_BOND_DEVICE_H

#include "device.h"

#include "bond_model.h"

#define SHARING_0 "0000:01:00.0"
#define SHARING_1 "0000:01:00.1"
#define SHARING_2 "0000:02:00.0"
#define FEW       "0000:03:00.0"

/* enum iommuse_fault_reason */
#define NO_DOMAIN         1
#define PAGE_REQUEST_FAIL 7

struct bind_arg {
	struct vfio_iommu_type1_bind bind;
	struct vfio_iommu_type1_bind_process process;
};

/* A container with an IOMMU: the case's file, and the group in it. Returns the group. */
int container_with(struct rules *t, unsigned id);

/* pid 0: none is given. Returns the PASID, or -errno. */
int bind_to(struct rules *t, int container, int pid);
int unbind_from(struct rules *t, int container, int pid);

/* A device of a group, which may do DMA. */
int sharing_open(struct rules *t, int group, const char *name);
void let_do_dma(struct rules *t, int device);

/* Reads or writes 8 bytes. Returns 0, or why it failed. */
int dma_load(struct rules *t, int device, int pasid, const volatile void *address, uint64_t *value);
int dma_store(struct rules *t, int device, int pasid, volatile void *address, uint64_t value);

/* Can the device read memory of this process by the PASID? */
bool reaches_me(struct rules *t, int device, int pasid);

/* Can the case have processes that make calls? Skips it where not. */
bool has_processes(struct rules *t);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page faults that a device waits for (I/O page faults, PRI). They come one by one and are collected into groups, which
 * the last of a group completes; a group is answered once. (drivers/iommu/io-pgfault.c)
 */
#ifndef IOMMUSE_HWPT_FAULT_H
#define IOMMUSE_HWPT_FAULT_H

#include "hwpt/device.h"

struct page_fault {
	uint32_t flags; /* IOMMU_PGFAULT_FLAGS_PASID_VALID, _LAST_PAGE */
	uint32_t pasid;
	uint32_t group;
	uint32_t perm; /* IOMMU_PGFAULT_PERM_* */
	uint64_t address;
};

/* Belongs to whoever took it: a queue. */
struct fault_group {
	struct iommu_device *device;
	struct domain *domain; /* that it was routed to */
	uint32_t pasid;        /* whose attachment that is; NO_PASID: the device's */

	/* The queue's own. */
	struct fault_group *next, **link;
	uint32_t device_id;
	uint32_t cookie; /* 0: none */
	bool reading;    /* somebody copies it to a client, and frees it if it is answered meanwhile */
	bool answered;

	uint32_t count;
	struct page_fault fault[]; /* the one with LAST_PAGE is the last */
};

/* Partial faults that wait for the last of their group, of one device; more are dropped. */
#define PARTIAL_FAULTS_MAX 4096U

/*
 * Reports a fault. The last of a group sends the group to the domain of its PASID (no PASID: of the device; a PASID
 * without a domain: of the device if that is a nested one); where there is none that takes faults, the answer is
 * INVALID at once. The caller keeps the iommufd that has the device. Returns 0, -EINVAL: the domain takes none, or
 * -ENOMEM (of the last: answered INVALID; else it is dropped).
 */
int iommu_report_fault(struct iommu_device *device, const struct page_fault *fault);

/* Tells the device the answer, an IOMMUFD_PAGE_RESP_*. fault_group_answer() also frees the group. */
void fault_group_respond(const struct fault_group *group, uint32_t code);
void fault_group_answer(struct fault_group *group, uint32_t code);

/* Forgets the partial faults of a device. With its lock held, or when it is going. */
void iommu_faults_clear(struct iommu_device *device);

#endif

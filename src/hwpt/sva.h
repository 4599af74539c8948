/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared virtual addressing: a PASID of a device is attached to the address space of a process. The device uses the
 * process's own addresses, and reaches what the process itself would reach: pages are faulted in, copied on write, read
 * from files. What the process could not access is a page request that fails. (drivers/iommu/iommu-sva.c)
 *
 * Once the process has exited or executed another program nothing is reached any more, attached or not.
 */
#ifndef IOMMUSE_HWPT_SVA_H
#define IOMMUSE_HWPT_SVA_H

#include "hwpt/device.h"

struct mm;

/* The last address that a process may have (x86 with tables of five levels); where it has less, the kernel knows. */
#define SVA_ADDRESS_LAST ((UINT64_C(1) << 56) - 1)

struct sva_domain {
	struct domain domain; /* domain.shared has a reference */
};

/* mm: gets a reference. The domain is ended when nothing is attached to it. */
void sva_domain_init(struct sva_domain *sva, const struct iommu_driver *driver, struct mm *mm);
void sva_domain_fini(struct sva_domain *sva);

/*
 * A page request of a device, one page of access to address (IOMMU_PGFAULT_PERM_*): answered at once where the PASID is
 * a process's, else by who serves the fault queue of its page table; where there is none, INVALID. The answer comes by
 * the driver's page_response(). Returns 0, -ENOMEM, or -EINVAL: nobody takes it, which was answered. Without locks.
 */
int iommu_page_request(struct iommu_device *device, uint32_t pasid, uint64_t address, uint32_t perm, uint32_t group);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "hwpt/sva.h"

#include "abi/iommufd.h"
#include "client/client.h"
#include "client/mm.h"
#include "hwpt/attached.h"
#include "hwpt/fault.h"

#include <errno.h>

void sva_domain_init(struct sva_domain *sva, const struct iommu_driver *driver, struct mm *mm)
{
	sva->domain = (struct domain){.driver = driver, .shared = mm_get(mm)};
}

void sva_domain_fini(struct sva_domain *sva)
{
	mm_put(sva->domain.shared);
}

/* With a reference; NULL: the PASID is no process's. */
static struct mm *shared_get(struct iommu_device *device, uint32_t pasid)
{
	const struct attached *attached;
	struct mm *mm = NULL;

	pthread_mutex_lock(&device->lock);
	attached = attached_of(device, pasid);
	if (attached && attached->shared)
		mm = mm_get(attached->shared);
	pthread_mutex_unlock(&device->lock);
	return mm;
}

static bool may_access(struct mm *mm, uint64_t address, uint32_t perm)
{
	const uint32_t reads = (uint32_t)IOMMU_PGFAULT_PERM_READ | (uint32_t)IOMMU_PGFAULT_PERM_EXEC;

	if (mm_is_gone(mm) || address > SVA_ADDRESS_LAST)
		return false;
	if (!mm->ops->may)
		return true;
	return (!(perm & reads) || mm->ops->may(mm, uaddr(address), false)) &&
	       (!(perm & (uint32_t)IOMMU_PGFAULT_PERM_WRITE) || mm->ops->may(mm, uaddr(address), true));
}

int iommu_page_request(struct iommu_device *device, uint32_t pasid, uint64_t address, uint32_t perm, uint32_t group)
{
	const struct page_fault fault = {
		.flags = (uint32_t)IOMMU_PGFAULT_FLAGS_LAST_PAGE |
			 (pasid == NO_PASID ? 0 : (uint32_t)IOMMU_PGFAULT_FLAGS_PASID_VALID),
		.pasid = pasid,
		.group = group,
		.perm = perm,
		.address = address,
	};
	struct mm *mm = shared_get(device, pasid);
	uint32_t code;

	if (!mm)
		return iommu_report_fault(device, &fault);
	code = may_access(mm, address, perm) ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID;
	mm_put(mm);
	if (device->driver->page_response)
		device->driver->page_response(device, pasid, group, code);
	return 0;
}

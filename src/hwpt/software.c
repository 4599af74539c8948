/* SPDX-License-Identifier: BSD-3-Clause */
#include "hwpt/software.h"

#include "abi/iommufd.h"
#include "hwpt/device.h"
#include "hwpt/domain.h"

#include <errno.h>

#define PAGING_FLAGS ((uint32_t)IOMMU_HWPT_ALLOC_DIRTY_TRACKING | (uint32_t)IOMMU_HWPT_ALLOC_PASID)

const struct iova_span software_iommu_reserved[1] = {{.start = 0xfee00000, .last = 0xfeefffff}};

/* A device with PASIDs or page requests has address translation services, which both go with. */
static uint64_t capabilities(const struct iommu_device *device)
{
	const bool ats = device->max_pasids || device->can_fault;

	return (uint64_t)IOMMU_HW_CAP_DIRTY_TRACKING | (ats ? 0 : (uint64_t)IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
}

static int paging_check(const struct iommu_device *device, uint32_t flags, const struct user_data *data,
			struct paging_limits *limits)
{
	(void)device;
	if (flags & ~PAGING_FLAGS || (data && data->type != IOMMU_HWPT_DATA_NONE))
		return -EOPNOTSUPP;
	*limits = (struct paging_limits){
		.aperture_first = 0,
		.aperture_last = SOFTWARE_IOMMU_LAST,
		.page_sizes = PAGE_MASK,
		.coherent = true,
	};
	return 0;
}

static int attach_check(struct iommu_device *device, uint32_t pasid, const struct domain *domain,
			const struct domain *old)
{
	(void)device;
	(void)old;
	/* What a process has is reached by a PASID only: the device's own DMA stays apart. */
	return domain && (domain->driver != &software_iommu || (domain->shared && pasid == NO_PASID)) ? -EINVAL : 0;
}

static void page_response(struct iommu_device *device, uint32_t pasid, uint32_t group, uint32_t code)
{
	if (device->page_response)
		device->page_response(device, pasid, group, code);
}

const struct iommu_driver software_iommu = {
	.name = "software",
	.capabilities = capabilities,
	.paging_check = paging_check,
	.attach_check = attach_check,
	.page_response = page_response,
};

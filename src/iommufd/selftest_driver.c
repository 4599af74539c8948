/* SPDX-License-Identifier: BSD-3-Clause */
/* The mock IOMMU. It accepts what Linux's accepts, and refuses a domain now and then, so that roll-back can be tested.
 */
#include "abi/iommufd.h"
#include "client/client.h"
#include "iommufd/ctx.h"
#include "iommufd/selftest.h"

#include <stdlib.h>

/* Of each type of page tables; they have pages of all powers of two. */
static const struct paging_limits limits_of[] = {
	[MOCK_IOMMUPT_DEFAULT] =
		{
			.aperture_first = MOCK_APERTURE_START,
			.aperture_last = MOCK_APERTURE_LAST,
			.page_sizes = (UINT64_C(1) << 37) - MOCK_PAGE_SIZE,
		},
	[MOCK_IOMMUPT_HUGE] =
		{
			.aperture_first = 0,
			.aperture_last = (UINT64_C(1) << 38) - 1,
			.page_sizes = (UINT64_C(1) << 38) - PAGE_SIZE,
		},
};

#define PAGING_FLAGS                                                                                                   \
	((uint32_t)IOMMU_HWPT_ALLOC_NEST_PARENT | (uint32_t)IOMMU_HWPT_ALLOC_DIRTY_TRACKING |                          \
	 (uint32_t)IOMMU_HWPT_ALLOC_PASID)

static uint64_t capabilities(const struct iommu_device *dev)
{
	return (uint64_t)IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED |
	       (mock_device(dev)->no_dirty ? 0 : (uint64_t)IOMMU_HW_CAP_DIRTY_TRACKING);
}

static int hw_info(const struct iommu_device *dev, uint32_t *type, void *data, size_t room, size_t *length)
{
	const struct iommu_test_hw_info info = {.test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL};

	(void)dev;
	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_SELFTEST)
		return -EOPNOTSUPP;
	memcpy(data, &info, room < sizeof(info) ? room : sizeof(info));
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	*length = sizeof(info);
	return 0;
}

static bool has_data(const struct user_data *data)
{
	return data && data->type != IOMMU_HWPT_DATA_NONE;
}

static int paging_check(const struct iommu_device *dev, uint32_t flags, const struct user_data *data,
			struct paging_limits *limits)
{
	struct iommu_hwpt_selftest config = {.pagetable_type = MOCK_IOMMUPT_DEFAULT};

	if (has_data(data)) {
		int rc;

		if (data->type != IOMMU_HWPT_DATA_SELFTEST)
			return -EOPNOTSUPP;
		rc = user_data_copy(data, IOMMU_HWPT_DATA_SELFTEST, &config, sizeof(config), sizeof(config.iotlb));
		if (rc)
			return rc;
	}
	if (flags & ~PAGING_FLAGS || (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && mock_device(dev)->no_dirty))
		return -EOPNOTSUPP;
	if (config.pagetable_type >= sizeof(limits_of) / sizeof(*limits_of))
		return -EOPNOTSUPP;
	*limits = limits_of[config.pagetable_type];
	return 0;
}

static void nested_free(struct domain *domain)
{
	free(domain);
}

static int nested_invalidate(struct domain *domain, const struct user_array *array, uint32_t *done)
{
	struct mock_nested *nested = mock_nested(domain);

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_SELFTEST)
		return -EINVAL;
	for (uint32_t i = 0; i < array->count; i++) {
		struct iommu_hwpt_invalidate_selftest request;
		int rc = user_array_copy(array, i, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, &request, sizeof(request),
					 sizeof(request));

		if (rc)
			return rc;
		if (request.flags & ~(uint32_t)IOMMU_TEST_INVALIDATE_FLAG_ALL)
			return -EOPNOTSUPP;
		if (request.iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
			return -EINVAL;
		for (uint32_t id = 0; id < MOCK_NESTED_DOMAIN_IOTLB_NUM; id++)
			if (request.flags & IOMMU_TEST_INVALIDATE_FLAG_ALL || id == request.iotlb_id)
				atomic_store(&nested->iotlb[id], 0);
		++*done;
	}
	return 0;
}

static const struct nested_ops nested_ops = {.free = nested_free, .invalidate = nested_invalidate};

struct mock_nested *mock_nested(struct domain *domain)
{
	return domain->nested == &nested_ops ? (struct mock_nested *)domain : NULL;
}

static int nested_new(struct iommu_device *dev, struct domain *parent, struct viommu *viommu, uint32_t flags,
		      const struct user_data *data, struct domain **domain)
{
	const uint32_t known = viommu ? 0 : (uint32_t)IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_selftest config;
	struct mock_nested *nested;
	int rc;

	(void)dev;
	if (flags & ~known)
		return -EOPNOTSUPP;
	if (!viommu && (parent->driver != &mock_driver || parent->nested))
		return -EINVAL;
	if (!has_data(data) || data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	rc = user_data_copy(data, IOMMU_HWPT_DATA_SELFTEST, &config, sizeof(config), sizeof(config.iotlb));
	if (rc)
		return rc;
	nested = calloc(1, sizeof(*nested));
	if (!nested)
		return -ENOMEM;
	nested->domain.driver = &mock_driver;
	nested->domain.nested = &nested_ops;
	nested->domain.flags = flags;
	nested->viommu = viommu;
	for (int i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		atomic_init(&nested->iotlb[i], config.iotlb);
	*domain = &nested->domain;
	return 0;
}

/* Every second domain on that PASID is refused; a detach begins anew. */
static int check_reserved_pasid(struct mock_device *mock, const struct domain *domain)
{
	bool refused;

	pthread_mutex_lock(&mock->lock);
	refused = domain && mock->refuse;
	mock->refuse = domain && !refused;
	pthread_mutex_unlock(&mock->lock);
	return refused ? -ENOMEM : 0;
}

/* Without a virtual device, a domain of a virtual IOMMU would not know whose it is. */
static int check_virtual(struct mock_device *mock, const struct domain *domain, const struct domain *old)
{
	const struct mock_nested *nested = domain && domain->nested ? (const struct mock_nested *)domain : NULL;
	struct mock_virtual asked = {.domain = domain};

	if (nested && nested->viommu) {
		int rc = mock_virt_id(nested->viommu, mock->device, &asked.virt_id);

		if (rc)
			return rc;
	}
	pthread_mutex_lock(&mock->lock);
	if (mock->asked.domain == old)
		mock->attached = mock->asked;
	mock->asked = asked;
	pthread_mutex_unlock(&mock->lock);
	return 0;
}

static int attach_check(struct iommu_device *dev, uint32_t pasid, const struct domain *domain, const struct domain *old)
{
	struct mock_device *mock = mock_device(dev);

	if (domain && domain->driver != &mock_driver)
		return -EINVAL;
	if (pasid != NO_PASID)
		return pasid == IOMMU_TEST_PASID_RESERVED ? check_reserved_pasid(mock, domain) : 0;
	if (domain && domain->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && mock->no_dirty)
		return -EINVAL;
	return check_virtual(mock, domain, old);
}

const struct iommu_driver mock_driver = {
	.name = "mock",
	.capabilities = capabilities,
	.hw_info = hw_info,
	.paging_check = paging_check,
	.nested_new = nested_new,
	.attach_check = attach_check,
	.viommu = mock_viommu_ops,
};

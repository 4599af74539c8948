/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/hwpt.h"

#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/eventq.h"
#include "iommufd/viommu.h"

#include <stdlib.h>

#define PAGING_FLAGS                                                                                                   \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_FAULT_ID_VALID |                  \
	 IOMMU_HWPT_ALLOC_PASID)
#define NESTED_FLAGS (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

static void drop_fault(struct hwpt *hwpt)
{
	if (!hwpt->fault)
		return;
	eventq_changed(fault_flush(hwpt->fault, hwpt, NULL, NO_PASID));
	fault_put(hwpt->fault);
}

/* Whatever its age: one that was never found is not there. */
static void forget_automatic(struct hwpt_paging *hwpt)
{
	struct ctx *ctx = hwpt->common.object.ctx;
	struct hwpt_paging **at = &hwpt->ioas->hwpts;

	pthread_mutex_lock(&ctx->attach_lock);
	while (*at && *at != hwpt)
		at = &(*at)->next;
	if (*at)
		*at = hwpt->next;
	pthread_mutex_unlock(&ctx->attach_lock);
}

static void paging_destroy(struct object *object)
{
	struct hwpt_paging *hwpt = (struct hwpt_paging *)object;

	if (hwpt->automatic)
		forget_automatic(hwpt);
	drop_fault(&hwpt->common);
	paging_domain_fini(&hwpt->domain);
	ioas_put(hwpt->ioas);
	free(hwpt);
}

static const struct object_ops paging_ops = {.type = OBJECT_HWPT_PAGING, .destroy = paging_destroy};

static int check_paging(const struct device *device, uint32_t flags, const struct user_data *data,
			struct paging_limits *limits)
{
	const struct iommu_driver *driver = device->dev->driver;

	if (flags & ~(uint32_t)PAGING_FLAGS)
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING &&
	    !(driver->capabilities(device->dev) & IOMMU_HW_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_FAULT_ID_VALID && flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return -EOPNOTSUPP;
	return driver->paging_check(device->dev, flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, data, limits);
}

static void hwpt_init(struct hwpt *hwpt, struct domain *domain, uint32_t flags)
{
	hwpt->domain = domain;
	hwpt->domain->owner = hwpt;
	hwpt->fault = NULL;
	hwpt->pasid_compatible = flags & IOMMU_HWPT_ALLOC_PASID;
}

int hwpt_paging_new(struct ctx *ctx, struct ioas_object *ioas, struct device *device, uint32_t flags, bool automatic,
		    const struct user_data *data, struct hwpt_paging **hwpt)
{
	struct paging_limits limits = {0};
	struct hwpt_paging *h;
	int rc = check_paging(device, flags, data, &limits);

	if (rc)
		return rc;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	rc = paging_domain_init(&h->domain, device->dev->driver, flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, &limits,
				&ioas->ioas, &ctx->epoch);
	if (rc)
		goto out_free;
	hwpt_init(&h->common, &h->domain.domain, flags);
	h->ioas = ioas;
	h->automatic = automatic;
	h->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	rc = object_new(ctx, &h->common.object, &paging_ops);
	if (rc)
		goto out_fini;
	object_hold(&ioas->object);
	*hwpt = h;
	return 0;

out_fini:
	paging_domain_fini(&h->domain);
out_free:
	free(h);
	return rc;
}

void hwpt_publish_automatic(struct hwpt_paging *hwpt)
{
	struct hwpt_paging **at = &hwpt->ioas->hwpts;

	while (*at)
		at = &(*at)->next;
	hwpt->next = NULL;
	*at = hwpt;
	object_publish(&hwpt->common.object, NULL);
}

/* The object that holds a nested page table's parent, or is it. */
static struct object *nested_base(const struct hwpt_nested *hwpt)
{
	return hwpt->viommu ? &hwpt->viommu->object : &hwpt->parent->common.object;
}

static void nested_destroy(struct object *object)
{
	struct hwpt_nested *hwpt = (struct hwpt_nested *)object;

	drop_fault(&hwpt->common);
	hwpt->common.domain->nested->free(hwpt->common.domain);
	object_put(nested_base(hwpt));
	free(hwpt);
}

static const struct object_ops nested_ops = {.type = OBJECT_HWPT_NESTED, .destroy = nested_destroy};

static int check_nested(const struct hwpt_paging *parent, const struct viommu *viommu, const struct device *device,
			uint32_t flags, const struct user_data *data)
{
	const struct iommu_driver *driver = device->dev->driver;

	if (viommu && viommu->driver != driver)
		return -EINVAL;
	if (flags & ~(uint32_t)NESTED_FLAGS || !data->length || !driver->nested_new)
		return -EOPNOTSUPP;
	if (!viommu && (parent->automatic || !parent->nest_parent || parent->common.domain->driver != driver))
		return -EINVAL;
	return 0;
}

int hwpt_nested_new(struct ctx *ctx, struct hwpt_paging *parent, struct viommu *viommu, struct device *device,
		    uint32_t flags, const struct user_data *data, struct hwpt_nested **hwpt)
{
	const struct iommu_driver *driver = device->dev->driver;
	struct domain *domain;
	struct hwpt_nested *h;
	int rc = check_nested(parent, viommu, device, flags, data);

	if (rc)
		return rc;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	rc = driver->nested_new(device->dev, parent->common.domain, viommu,
				flags & ~(uint32_t)IOMMU_HWPT_FAULT_ID_VALID, data, &domain);
	if (rc)
		goto out_free;
	hwpt_init(&h->common, domain, flags);
	h->parent = parent;
	h->viommu = viommu;
	rc = object_new(ctx, &h->common.object, &nested_ops);
	if (rc)
		goto out_free_domain;
	object_hold(nested_base(h));
	*hwpt = h;
	return 0;

out_free_domain:
	domain->nested->free(domain);
out_free:
	free(h);
	return rc;
}

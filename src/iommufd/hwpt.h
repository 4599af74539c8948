/* SPDX-License-Identifier: BSD-3-Clause */
/* Page tables as objects: what devices and PASIDs are attached to. */
#ifndef IOMMUSE_IOMMUFD_HWPT_H
#define IOMMUSE_IOMMUFD_HWPT_H

#include "hwpt/domain.h"
#include "iommufd/ioas_object.h"
#include "iommufd/object.h"

struct device;
struct fault;
struct viommu;

/* Of either type. */
struct hwpt {
	struct object object; /* OBJECT_HWPT_PAGING or OBJECT_HWPT_NESTED */
	struct domain *domain;
	struct fault *fault; /* holds a user of it; NULL: none */
	bool pasid_compatible;
};

struct hwpt_paging {
	struct hwpt common;
	struct paging_domain domain;
	struct ioas_object *ioas; /* holds a user of it */
	bool automatic;           /* it goes with its last attachment */
	bool nest_parent;
	struct hwpt_paging *next; /* automatic: in the IOAS */
};

struct hwpt_nested {
	struct hwpt common;
	struct hwpt_paging *parent; /* holds a user of it, or of the vIOMMU */
	struct viommu *viommu;      /* NULL: directly on the parent */
};

/* Returns the page table with one more user, or NULL. */
static inline struct hwpt_paging *hwpt_paging_get(struct ctx *ctx, uint32_t id)
{
	return (struct hwpt_paging *)object_get(ctx, id, OBJECT_HWPT_PAGING);
}

/*
 * Makes a page table of an IOAS for a device: reserved, not published; object_abort() takes it back. Errors as of
 * IOMMU_HWPT_ALLOC with an IOAS.
 */
int hwpt_paging_new(struct ctx *ctx, struct ioas_object *ioas, struct device *device, uint32_t flags, bool automatic,
		    const struct user_data *data, struct hwpt_paging **hwpt);

/* Makes a page table nested on a parent or, where there is one, behind a virtual IOMMU; likewise. */
int hwpt_nested_new(struct ctx *ctx, struct hwpt_paging *parent, struct viommu *viommu, struct device *device,
		    uint32_t flags, const struct user_data *data, struct hwpt_nested **hwpt);

/* Lets attachments find an automatic page table, and publishes it; with the attach_lock held. */
void hwpt_publish_automatic(struct hwpt_paging *hwpt);

/* The IOAS that a page table shows, a nested one by its parent. */
static inline struct ioas_object *hwpt_ioas(struct hwpt *hwpt)
{
	if (hwpt->object.ops->type == OBJECT_HWPT_NESTED)
		return ((struct hwpt_nested *)hwpt)->parent->ioas;
	return ((struct hwpt_paging *)hwpt)->ioas;
}

#endif

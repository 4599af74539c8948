/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IOMMU group as an iommufd sees it: its devices that are bound, and which page table each PASID of them is attached
 * to. All that are attached in one PASID are attached to the same. The context's attach_lock guards all of it.
 */
#ifndef IOMMUSE_IOMMUFD_IGROUP_H
#define IOMMUSE_IOMMUFD_IGROUP_H

#include "base/range_map.h"
#include "iommufd/device.h"

struct member {
	struct member *next;
	struct device *device;
};

struct group_attachment {
	uint32_t pasid;
	struct hwpt *hwpt; /* a user of it for each member */
	struct member *members;
};

struct igroup {
	struct igroup *next;
	struct iommu_group *group;
	struct device *devices;
	struct range_map attachments; /* pasid -> struct group_attachment, with a member at least */
};

static inline struct group_attachment *igroup_attachment(const struct igroup *igroup, uint32_t pasid)
{
	struct range found;

	return range_map_find(&igroup->attachments, pasid, pasid, &found) ? found.value : NULL;
}

/* Adds a device to its group. Returns 0, -EBUSY: it is there; -EPERM: the group has another owner; -ENOMEM. */
int igroup_join(struct ctx *ctx, struct device *device);
void igroup_leave(struct ctx *ctx, struct device *device);

/* Detaches whatever of a device is attached. Takes the attach_lock itself. */
void device_detach_all(struct device *device);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices as objects: bound to an iommufd by a driver (VFIO's, the test device), attached to page tables.
 *
 * Without a PASID the unit of attachment is the IOMMU group: all its devices are attached to the same page table.
 */
#ifndef IOMMUSE_IOMMUFD_DEVICE_H
#define IOMMUSE_IOMMUFD_DEVICE_H

#include "hwpt/device.h"
#include "iommufd/object.h"

struct client;
struct ctx;
struct hwpt;
struct igroup;
struct vdevice;

struct device {
	struct object object; /* one more user as long as it is bound */
	struct iommu_device *dev;
	struct igroup *igroup;
	struct device *next; /* in the group */

	/* Guarded by the context's attach_lock. */
	bool unbinding;          /* no vDevice is made any more */
	struct vdevice *vdevice; /* NULL: none */
};

/*
 * Binds a device: makes the object, published, with one more user. Returns 0, -EBUSY: it is bound already, -EPERM: its
 * group belongs to another iommufd; -ENOMEM. Its owner unbinds it, which detaches what is attached, and waits for calls
 * that work on it; its vDevice goes with it and leaves a tombstone. No lock may be held by who unbinds.
 */
int device_bind(struct ctx *ctx, struct iommu_device *dev, struct client *client, struct device **device);
void device_unbind(struct device *device);

/* Does a device belong to the iommufd: is it bound to it, or another one of its group? Stores its id; 0: it is not
 * bound itself. */
bool device_owned(struct ctx *ctx, const struct iommu_device *dev, uint32_t *id);

/*
 * Attaches to the IOAS or page table *pt_id; stores the id of the page table. See section C of the specification:
 * -ENOENT, -EINVAL, -EBUSY: attached already, -EADDRINUSE, -ENOMEM, -EFAULT, what the driver says. replace: -EINVAL:
 * not attached. detach does not fail. pasid: NO_PASID, or what is in question. Attached, a device or PASID is a user
 * of its page table.
 */
int device_attach(struct device *device, uint32_t pasid, uint32_t *pt_id);
int device_replace(struct device *device, uint32_t pasid, uint32_t *pt_id);
void device_detach(struct device *device, uint32_t pasid);

/* The page table of a PASID, or NULL. Only for who knows that it does not change meanwhile: the test device. */
struct hwpt *device_hwpt(struct device *device, uint32_t pasid);

static inline struct device *device_get(struct ctx *ctx, uint32_t id)
{
	return (struct device *)object_get(ctx, id, OBJECT_DEVICE);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual IOMMUs, the virtual devices behind them, and their queues in hardware. */
#ifndef IOMMUSE_IOMMUFD_VIOMMU_H
#define IOMMUSE_IOMMUFD_VIOMMU_H

#include "hwpt/driver.h"
#include "ioas/access.h"
#include "iommufd/mmap.h"
#include "iommufd/object.h"

struct client;
struct ctx;
struct device;
struct hw_queue;
struct hwpt_paging;
struct ucmd;
struct vdevice;
struct veventq;
struct viommu;

struct viommu_ops {
	size_t size; /* of the driver's structure, which begins with struct viommu */
	/* Fills the driver's part; may copy out to the client's data, which is NULL where it gave none. Returns 0, or
	 * -errno with nothing left to undo: destroy is not called then. */
	int (*init)(struct viommu *viommu, struct iommu_device *device, const struct user_data *data);
	void (*destroy)(struct viommu *viommu); /* optional */
	/* Does requests until one is wrong; stores how many are done. NULL: -EOPNOTSUPP. */
	int (*invalidate)(struct viommu *viommu, const struct user_array *array, uint32_t *done);
	size_t vdevice_size; /* 0: sizeof(struct vdevice) */
	/* Called with the context's attach_lock held; optional. */
	int (*vdevice_init)(struct vdevice *vdevice);
	void (*vdevice_destroy)(struct vdevice *vdevice);
	/* The size of the driver's structure for a queue of this type, which begins with struct hw_queue; 0: there is
	 * none. Optional with hw_queue_init: there are no queues. */
	size_t (*hw_queue_size)(struct viommu *viommu, uint32_t type);
	/* The memory is pinned already. Returns 0, or -errno with nothing left to undo. */
	int (*hw_queue_init)(struct hw_queue *queue, uint32_t index);
	void (*hw_queue_destroy)(struct hw_queue *queue); /* optional */
};

struct viommu {
	struct object object;
	const struct viommu_ops *ops;
	const struct iommu_driver *driver;
	struct hwpt_paging *hwpt; /* holds a user of it */
	uint32_t type;
	pthread_mutex_t lock; /* guards the vDevices, and the drivers' parts */
	struct vdevice *vdevices;
	pthread_mutex_t veventqs_lock; /* guards veventqs; a leaf but for their own locks */
	struct veventq *veventqs;
};

struct vdevice {
	struct object object;
	struct viommu *viommu; /* holds a user of it */
	struct device *device; /* NULL: it is unbound; guarded by the context's attach_lock */
	uint64_t virt_id;
	struct vdevice *next; /* in the vIOMMU */
};

struct hw_queue {
	struct object object;
	struct viommu *viommu;        /* holds a user of it */
	struct object *access_object; /* an internal access, which takes an id as Linux's does */
	struct access access;
	uint32_t type;
	iova_t iova;
	uint64_t length;
	struct access_page page[1]; /* the first; the others follow it in the same pages */
};

static inline struct viommu *viommu_get(struct ctx *ctx, uint32_t id)
{
	return (struct viommu *)object_get(ctx, id, OBJECT_VIOMMU);
}

/* The virtual device with this number; with the lock held. */
struct vdevice *viommu_find_vdevice(struct viommu *viommu, uint64_t virt_id);

/* Destroys the virtual device of a device that is being unbound; its id stays taken until the iommufd is closed. */
void vdevice_abort(struct device *device);

#endif

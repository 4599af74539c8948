/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices behind virtual IOMMUs. A vDevice belongs to its vIOMMU and to its device, and goes when either a client
 * destroys it or the device is unbound. Whoever does it parts the two under the context's attach_lock; who made the id
 * invisible frees the vDevice.
 */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/dispatch.h"
#include "iommufd/viommu.h"

#include <stdlib.h>

struct vdevice *viommu_find_vdevice(struct viommu *viommu, uint64_t virt_id)
{
	struct vdevice *vdevice = viommu->vdevices;

	while (vdevice && vdevice->virt_id != virt_id)
		vdevice = vdevice->next;
	return vdevice;
}

/* Takes the vDevice from the device and the vIOMMU; with attach_lock held. */
static void part(struct vdevice *vdevice)
{
	struct viommu *viommu = vdevice->viommu;
	struct vdevice **link = &viommu->vdevices;

	if (!vdevice->device)
		return;
	if (viommu->ops->vdevice_destroy)
		viommu->ops->vdevice_destroy(vdevice);
	pthread_mutex_lock(&viommu->lock);
	while (*link != vdevice)
		link = &(*link)->next;
	*link = vdevice->next;
	pthread_mutex_unlock(&viommu->lock);
	vdevice->device->vdevice = NULL;
	vdevice->device = NULL;
}

static void vdevice_destroy(struct object *object)
{
	struct vdevice *vdevice = (struct vdevice *)object;
	struct viommu *viommu = vdevice->viommu;

	pthread_mutex_lock(&object->ctx->attach_lock);
	part(vdevice);
	pthread_mutex_unlock(&object->ctx->attach_lock);
	free(vdevice);
	object_put(&viommu->object);
}

static const struct object_ops vdevice_ops = {.type = OBJECT_VDEVICE, .destroy = vdevice_destroy};

/* One whose id is not visible is being destroyed, or was not yet published: the call that does it frees it. */
void vdevice_abort(struct device *device)
{
	struct ctx *ctx = device->object.ctx;
	struct vdevice *vdevice;
	bool hidden = false;

	pthread_mutex_lock(&ctx->attach_lock);
	device->unbinding = true;
	vdevice = device->vdevice;
	if (vdevice) {
		hidden = object_hide(&vdevice->object);
		part(vdevice);
	}
	pthread_mutex_unlock(&ctx->attach_lock);
	if (hidden)
		object_remove(&vdevice->object, 0, true);
}

/* Joins a vDevice, complete but for its id, to its device and vIOMMU; with attach_lock held. */
static int join(struct ucmd *ucmd, struct vdevice *vdevice, struct device *device)
{
	struct viommu *viommu = vdevice->viommu;
	int rc;

	vdevice->device = device;
	rc = viommu->ops->vdevice_init ? viommu->ops->vdevice_init(vdevice) : 0;
	if (rc)
		return rc;
	pthread_mutex_lock(&viommu->lock);
	rc = viommu_find_vdevice(viommu, vdevice->virt_id) ? -EEXIST : 0;
	if (!rc)
		rc = object_reserve(ucmd, &vdevice->object, &vdevice_ops);
	if (!rc) {
		vdevice->next = viommu->vdevices;
		viommu->vdevices = vdevice;
	}
	pthread_mutex_unlock(&viommu->lock);
	if (!rc)
		device->vdevice = vdevice;
	else if (viommu->ops->vdevice_destroy)
		viommu->ops->vdevice_destroy(vdevice);
	return rc;
}

/* Makes the object of this call. Consumes the user of the vIOMMU if it succeeds. */
static int vdevice_new(struct ucmd *ucmd, struct viommu *viommu, struct device *device)
{
	const struct iommu_vdevice_alloc *cmd = (const void *)ucmd->cmd;
	const size_t size = viommu->ops->vdevice_size ? viommu->ops->vdevice_size : sizeof(struct vdevice);
	struct vdevice *vdevice;
	int rc;

	if (viommu->driver != device->dev->driver)
		return -EINVAL;
	vdevice = calloc(1, size);
	if (vdevice) {
		vdevice->viommu = viommu;
		vdevice->virt_id = cmd->virt_id;
	}
	pthread_mutex_lock(&ucmd->ctx->attach_lock);
	if (device->unbinding)
		rc = -ENOENT;
	else if (device->vdevice)
		rc = -EEXIST;
	else
		rc = vdevice ? join(ucmd, vdevice, device) : -ENOMEM;
	pthread_mutex_unlock(&ucmd->ctx->attach_lock);
	if (rc)
		free(vdevice);
	return rc;
}

int iommufd_vdevice_alloc(struct ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = (void *)ucmd->cmd;
	struct viommu *viommu = viommu_get(ucmd->ctx, cmd->viommu_id);
	struct device *device;
	int rc;

	if (!viommu)
		return -ENOENT;
	device = device_get(ucmd->ctx, cmd->dev_id);
	rc = device ? vdevice_new(ucmd, viommu, device) : -ENOENT;
	if (device)
		object_put(&device->object);
	if (rc) {
		object_put(&viommu->object);
		return rc;
	}
	cmd->out_vdevice_id = ucmd->created->id;
	return ucmd_respond(ucmd);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/viommu.h"

#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/dispatch.h"
#include "iommufd/hwpt.h"

#include <stdlib.h>

static void viommu_free(struct viommu *viommu)
{
	struct hwpt_paging *hwpt = viommu->hwpt;

	pthread_mutex_destroy(&viommu->veventqs_lock);
	pthread_mutex_destroy(&viommu->lock);
	free(viommu);
	object_put(&hwpt->common.object);
}

static void viommu_destroy(struct object *object)
{
	struct viommu *viommu = (struct viommu *)object;

	if (viommu->ops && viommu->ops->destroy)
		viommu->ops->destroy(viommu);
	viommu_free(viommu);
}

static const struct object_ops viommu_object_ops = {.type = OBJECT_VIOMMU, .destroy = viommu_destroy};

/* Makes the object of this call. Consumes the user of the page table. */
static int viommu_new(struct ucmd *ucmd, struct device *device, struct hwpt_paging *hwpt, const struct viommu_ops *ops)
{
	const struct iommu_viommu_alloc *cmd = (const void *)ucmd->cmd;
	const struct user_data data = {
		.client = ucmd->client, .type = cmd->type, .length = cmd->data_len, .at = uaddr(cmd->data_uptr)};
	struct viommu *viommu = calloc(1, ops->size);
	int rc;

	if (!viommu) {
		object_put(&hwpt->common.object);
		return -ENOMEM;
	}
	viommu->driver = device->dev->driver;
	viommu->hwpt = hwpt;
	viommu->type = cmd->type;
	pthread_mutex_init(&viommu->lock, NULL);
	pthread_mutex_init(&viommu->veventqs_lock, NULL);
	rc = object_reserve(ucmd, &viommu->object, &viommu_object_ops);
	if (rc) {
		viommu_free(viommu);
		return rc;
	}
	viommu->ops = ops;
	rc = ops->init(viommu, device->dev, cmd->data_len ? &data : NULL);
	if (rc)
		viommu->ops = NULL;
	return rc;
}

static int alloc_for(struct ucmd *ucmd, struct device *device)
{
	const struct iommu_viommu_alloc *cmd = (const void *)ucmd->cmd;
	const struct iommu_driver *driver = device->dev->driver;
	const struct viommu_ops *ops = driver->viommu ? driver->viommu(device->dev, cmd->type) : NULL;
	struct hwpt_paging *hwpt;

	if (!ops)
		return -EOPNOTSUPP;
	hwpt = hwpt_paging_get(ucmd->ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	if (!hwpt->nest_parent) {
		object_put(&hwpt->common.object);
		return -EINVAL;
	}
	return viommu_new(ucmd, device, hwpt, ops);
}

int iommufd_viommu_alloc(struct ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = (void *)ucmd->cmd;
	struct device *device;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	device = device_get(ucmd->ctx, cmd->dev_id);
	if (!device)
		return -ENOENT;
	rc = alloc_for(ucmd, device);
	object_put(&device->object);
	if (rc)
		return rc;
	cmd->out_viommu_id = ucmd->created->id;
	return ucmd_respond(ucmd);
}

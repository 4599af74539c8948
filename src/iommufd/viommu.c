/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtual IOMMUs, their devices and queues. As in hwpt.c, what depends on a driver is answered as by one without the
 * operation.
 */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/object.h"

int iommufd_viommu_alloc(struct ucmd *ucmd)
{
	const struct iommu_viommu_alloc *cmd = (const void *)ucmd->cmd;
	struct object *device;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	device = object_get(ucmd->ctx, cmd->dev_id, OBJECT_DEVICE);
	if (!device)
		return -ENOENT;
	object_put(device);
	return -EOPNOTSUPP;
}

int iommufd_vdevice_alloc(struct ucmd *ucmd)
{
	const struct iommu_vdevice_alloc *cmd = (const void *)ucmd->cmd;
	struct object *viommu = object_get(ucmd->ctx, cmd->viommu_id, OBJECT_VIOMMU);
	struct object *device;

	if (!viommu)
		return -ENOENT;
	device = object_get(ucmd->ctx, cmd->dev_id, OBJECT_DEVICE);
	object_put(viommu);
	if (!device)
		return -ENOENT;
	object_put(device);
	return -EOPNOTSUPP;
}

int iommufd_hw_queue_alloc(struct ucmd *ucmd)
{
	const struct iommu_hw_queue_alloc *cmd = (const void *)ucmd->cmd;
	struct object *viommu;
	iova_t last;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->nesting_parent_iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	viommu = object_get(ucmd->ctx, cmd->viommu_id, OBJECT_VIOMMU);
	if (!viommu)
		return -ENOENT;
	object_put(viommu);
	return -EOPNOTSUPP;
}

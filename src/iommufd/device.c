/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/object.h"

/* A device says something of its hardware only by its driver; one without says EOPNOTSUPP. */
int iommufd_get_hw_info(struct ucmd *ucmd)
{
	const struct iommu_hw_info *cmd = (const void *)ucmd->cmd;
	struct object *device;

	if (cmd->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE || cmd->__reserved[0] || cmd->__reserved[1] ||
	    cmd->__reserved[2])
		return -EOPNOTSUPP;
	device = object_get(ucmd->ctx, cmd->dev_id, OBJECT_DEVICE);
	if (!device)
		return -ENOENT;
	object_put(device);
	return -EOPNOTSUPP;
}

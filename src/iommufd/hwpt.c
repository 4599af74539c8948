/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables. Each command is checked as far as it does not depend on a driver, in Linux's order; where no driver is
 * behind an object, the answer is that of a driver without the operation.
 */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/object.h"

#define INVALIDATE_ENTRIES_MAX (UINT32_C(1) << 19)

int iommufd_hwpt_alloc(struct ucmd *ucmd)
{
	const struct iommu_hwpt_alloc *cmd = (const void *)ucmd->cmd;
	struct object *device;
	struct object *table;
	int rc = -EINVAL;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;
	device = object_get(ucmd->ctx, cmd->dev_id, OBJECT_DEVICE);
	if (!device)
		return -ENOENT;
	table = object_get(ucmd->ctx, cmd->pt_id, OBJECT_ANY);
	if (table) {
		switch (table->ops->type) {
		case OBJECT_IOAS:
		case OBJECT_HWPT_PAGING:
		case OBJECT_VIOMMU:
			rc = -EOPNOTSUPP;
			break;
		default:
			break;
		}
		object_put(table);
	}
	object_put(device);
	return rc;
}

int iommufd_hwpt_set_dirty_tracking(struct ucmd *ucmd)
{
	const struct iommu_hwpt_set_dirty_tracking *cmd = (const void *)ucmd->cmd;
	struct object *hwpt;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = object_get(ucmd->ctx, cmd->hwpt_id, OBJECT_HWPT_PAGING);
	if (!hwpt)
		return -ENOENT;
	object_put(hwpt);
	return -EOPNOTSUPP;
}

int iommufd_hwpt_get_dirty_bitmap(struct ucmd *ucmd)
{
	const struct iommu_hwpt_get_dirty_bitmap *cmd = (const void *)ucmd->cmd;
	struct object *hwpt;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || cmd->__reserved)
		return -EOPNOTSUPP;
	hwpt = object_get(ucmd->ctx, cmd->hwpt_id, OBJECT_HWPT_PAGING);
	if (!hwpt)
		return -ENOENT;
	object_put(hwpt);
	return -EOPNOTSUPP;
}

/* Stores how many requests are done. */
static int invalidate(struct ucmd *ucmd, uint32_t *done)
{
	const struct iommu_hwpt_invalidate *cmd = (const void *)ucmd->cmd;
	struct object *object;
	int rc;

	*done = 0;
	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num && (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > PAGE_SIZE ||
			       cmd->entry_num > INVALIDATE_ENTRIES_MAX))
		return -EINVAL;
	object = object_get(ucmd->ctx, cmd->hwpt_id, OBJECT_ANY);
	if (!object)
		return -ENOENT;
	rc = object->ops->type == OBJECT_HWPT_NESTED || object->ops->type == OBJECT_VIOMMU ? -EOPNOTSUPP : -EINVAL;
	object_put(object);
	return rc;
}

/* The count is told on every path; not being able to tell it hides what else was wrong. */
int iommufd_hwpt_invalidate(struct ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = (void *)ucmd->cmd;
	uint32_t done;
	int rc = invalidate(ucmd, &done);

	cmd->entry_num = done;
	return ucmd_respond(ucmd) ? -EFAULT : rc;
}

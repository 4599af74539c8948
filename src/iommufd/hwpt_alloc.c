/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/dispatch.h"
#include "iommufd/eventq.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"

/* On whatever pt_id names; the page table is the call's then. */
static int make(struct ucmd *ucmd, struct device *device, struct object *table, struct hwpt **hwpt)
{
	const struct iommu_hwpt_alloc *cmd = (const void *)ucmd->cmd;
	const struct user_data data = {
		.client = ucmd->client, .type = cmd->data_type, .length = cmd->data_len, .at = uaddr(cmd->data_uptr)};
	struct hwpt_paging *paging;
	struct hwpt_nested *nested;
	struct viommu *viommu;
	int rc;

	switch (table->ops->type) {
	case OBJECT_IOAS:
		rc = hwpt_paging_new(ucmd->ctx, (struct ioas_object *)table, device, cmd->flags, false, &data, &paging);
		if (!rc)
			*hwpt = &paging->common;
		return rc;
	case OBJECT_HWPT_PAGING:
		rc = hwpt_nested_new(ucmd->ctx, (struct hwpt_paging *)table, NULL, device, cmd->flags, &data, &nested);
		break;
	case OBJECT_VIOMMU:
		viommu = (struct viommu *)table;
		rc = hwpt_nested_new(ucmd->ctx, viommu->hwpt, viommu, device, cmd->flags, &data, &nested);
		break;
	default:
		return -EINVAL;
	}
	if (!rc)
		*hwpt = &nested->common;
	return rc;
}

static int set_fault(struct ctx *ctx, struct hwpt *hwpt, uint32_t id)
{
	hwpt->fault = fault_get(ctx, id);
	if (!hwpt->fault)
		return -ENOENT;
	hwpt->domain->fault = fault_queue_group;
	return 0;
}

static int make_on_table(struct ucmd *ucmd, struct device *device)
{
	const struct iommu_hwpt_alloc *cmd = (const void *)ucmd->cmd;
	struct object *table = object_get(ucmd->ctx, cmd->pt_id, OBJECT_ANY);
	struct hwpt *hwpt;
	int rc;

	if (!table)
		return -EINVAL;
	rc = make(ucmd, device, table, &hwpt);
	if (!rc)
		ucmd->created = &hwpt->object;
	if (!rc && cmd->flags & IOMMU_HWPT_FAULT_ID_VALID)
		rc = set_fault(ucmd->ctx, hwpt, cmd->fault_id);
	object_put(table);
	return rc;
}

int iommufd_hwpt_alloc(struct ucmd *ucmd)
{
	struct iommu_hwpt_alloc *cmd = (void *)ucmd->cmd;
	struct device *device;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;
	device = device_get(ucmd->ctx, cmd->dev_id);
	if (!device)
		return -ENOENT;
	rc = make_on_table(ucmd, device);
	object_put(&device->object);
	if (rc)
		return rc;
	cmd->out_hwpt_id = ucmd->created->id;
	return ucmd_respond(ucmd);
}

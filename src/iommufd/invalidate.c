/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"

#define ENTRIES_MAX (UINT32_C(1) << 19)

static int invalidate_object(struct object *object, const struct user_array *array, uint32_t *done)
{
	struct viommu *viommu;
	struct domain *domain;

	switch (object->ops->type) {
	case OBJECT_HWPT_NESTED:
		domain = ((struct hwpt *)object)->domain;
		return domain->nested->invalidate ? domain->nested->invalidate(domain, array, done) : -EOPNOTSUPP;
	case OBJECT_VIOMMU:
		viommu = (struct viommu *)object;
		return viommu->ops->invalidate ? viommu->ops->invalidate(viommu, array, done) : -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

/* Stores how many requests are done. */
static int invalidate(struct ucmd *ucmd, uint32_t *done)
{
	const struct iommu_hwpt_invalidate *cmd = (const void *)ucmd->cmd;
	const struct user_array array = {.client = ucmd->client,
					 .type = cmd->data_type,
					 .entry_length = cmd->entry_len,
					 .count = cmd->entry_num,
					 .at = uaddr(cmd->data_uptr)};
	struct object *object;
	int rc;

	*done = 0;
	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num &&
	    (!cmd->data_uptr || !cmd->entry_len || cmd->entry_len > PAGE_SIZE || cmd->entry_num > ENTRIES_MAX))
		return -EINVAL;
	object = object_get(ucmd->ctx, cmd->hwpt_id, OBJECT_ANY);
	if (!object)
		return -ENOENT;
	rc = invalidate_object(object, &array, done);
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

/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "iommufd/dispatch.h"
#include "iommufd/ioas_object.h"

#include <linux/capability.h>

static int set_rlimit_mode(struct ucmd *ucmd, uint64_t mode)
{
	if (!client_capable(ucmd->client, CAP_SYS_RESOURCE))
		return -EPERM;
	if (!id_table_empty(&ucmd->ctx->objects))
		return -EBUSY;
	if (mode > 1)
		return -EINVAL;
	atomic_store_explicit(&ucmd->ctx->mm_accounting, mode == 1, memory_order_relaxed);
	return 0;
}

static int option_rlimit_mode(struct ucmd *ucmd)
{
	struct iommu_option *cmd = (void *)ucmd->cmd;

	if (cmd->object_id)
		return -EOPNOTSUPP;
	if (cmd->op == IOMMU_OPTION_OP_SET)
		return set_rlimit_mode(ucmd, cmd->val64);
	if (cmd->op != IOMMU_OPTION_OP_GET)
		return -EOPNOTSUPP;
	cmd->val64 = atomic_load_explicit(&ucmd->ctx->mm_accounting, memory_order_relaxed);
	return 0;
}

static int huge_pages(struct iommu_option *cmd, struct ioas *ioas)
{
	if (cmd->op == IOMMU_OPTION_OP_GET) {
		cmd->val64 = ioas_huge_pages(ioas);
		return 0;
	}
	if (cmd->op != IOMMU_OPTION_OP_SET)
		return -EOPNOTSUPP;
	if (cmd->val64 > 1)
		return -EINVAL;
	if (cmd->val64 == 0)
		return ioas_disable_huge_pages(ioas);
	ioas_enable_huge_pages(ioas);
	return 0;
}

static int option_huge_pages(struct ucmd *ucmd)
{
	struct iommu_option *cmd = (void *)ucmd->cmd;
	struct ioas_object *ioas = ioas_get(ucmd->ctx, cmd->object_id);
	int rc;

	if (!ioas)
		return -ENOENT;
	rc = huge_pages(cmd, &ioas->ioas);
	ioas_put(ioas);
	return rc;
}

static const struct {
	uint32_t id;
	int (*handle)(struct ucmd *ucmd);
} options[] = {
	{IOMMU_OPTION_RLIMIT_MODE, option_rlimit_mode},
	{IOMMU_OPTION_HUGE_PAGES, option_huge_pages},
};

/* Of the structure, only the value is copied back. */
int iommufd_option(struct ucmd *ucmd)
{
	const struct iommu_option *cmd = (const void *)ucmd->cmd;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		int rc;

		if (options[i].id != cmd->option_id)
			continue;
		rc = options[i].handle(ucmd);
		if (rc)
			return rc;
		return client_copy_out(ucmd->client, uaddr_add(ucmd->arg, offsetof(struct iommu_option, val64)),
				       &cmd->val64, sizeof(cmd->val64));
	}
	return -EOPNOTSUPP;
}

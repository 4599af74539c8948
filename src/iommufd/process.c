/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "iommufd/dispatch.h"
#include "iommufd/ioas_object.h"

static int add_all(struct ctx *ctx, struct owner_change *change)
{
	int rc = 0;

	for (uint32_t id = 1; !rc && id_table_next(&ctx->objects, &id); id++) {
		struct ioas_object *ioas = ioas_get(ctx, id);

		if (!ioas)
			continue;
		rc = owner_change_add(change, &ioas->ioas);
		ioas_put(ioas);
	}
	return rc;
}

/*
 * All or nothing: first every IOAS is asked, then all pages are changed. What another thread maps meanwhile counts as
 * mapped after the change. The lock of the context keeps two changes apart, as IOASes may share pages.
 */
int iommufd_ioas_change_process(struct ucmd *ucmd)
{
	const struct iommu_ioas_change_process *cmd = (const void *)ucmd->cmd;
	struct ctx *ctx = ucmd->ctx;
	struct owner_change change = OWNER_CHANGE_INIT;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&ctx->change_lock);
	rc = add_all(ctx, &change);
	if (!rc)
		rc = owner_change_commit(&change, &ctx->ioases, ucmd->client->ops->mm(ucmd->client));
	pthread_mutex_unlock(&ctx->change_lock);
	owner_change_end(&change);
	return rc;
}

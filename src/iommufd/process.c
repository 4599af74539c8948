/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "iommufd/dispatch.h"
#include "iommufd/ioas_object.h"

/*
 * All or nothing: first every IOAS is asked, then every IOAS is changed. What another thread maps meanwhile counts as
 * mapped after the change. The lock of the context keeps two changes apart, as IOASes may share pages.
 */
int iommufd_ioas_change_process(struct ucmd *ucmd)
{
	const struct iommu_ioas_change_process *cmd = (const void *)ucmd->cmd;
	struct ctx *ctx = ucmd->ctx;
	struct mm *mm = ucmd->client->ops->mm(ucmd->client);
	int rc = 0;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&ctx->change_lock);
	for (int pass = 0; pass < 2 && !rc; pass++) {
		for (uint32_t id = 1; !rc && id_table_next(&ctx->objects, &id); id++) {
			struct ioas_object *ioas = ioas_get(ctx, id);

			if (!ioas)
				continue;
			if (pass == 0)
				rc = ioas_check_change(&ioas->ioas);
			else
				ioas_change_owner(&ioas->ioas, mm);
			ioas_put(ioas);
		}
	}
	pthread_mutex_unlock(&ctx->change_lock);
	return rc;
}

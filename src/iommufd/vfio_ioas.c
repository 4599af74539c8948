/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "iommufd/dispatch.h"
#include "iommufd/ioas_object.h"

/* The id may have gone to another IOAS between the two looks: then it is no longer the compat IOAS. */
struct ioas_object *compat_ioas_get(struct ctx *ctx)
{
	uint32_t id = atomic_load_explicit(&ctx->compat_ioas, memory_order_acquire);

	while (id) {
		struct ioas_object *ioas = ioas_get(ctx, id);
		uint32_t now = atomic_load_explicit(&ctx->compat_ioas, memory_order_acquire);

		if (ioas && now == id)
			return ioas;
		if (ioas)
			ioas_put(ioas);
		if (!ioas && now == id) /* it is being destroyed */
			return NULL;
		id = now;
	}
	return NULL;
}

/* Under the lock, so that of two groups that come at once the second finds what the first made. */
int compat_ioas_make(struct ctx *ctx, struct client *client)
{
	struct ioas_object *ioas;
	int rc = 0;

	pthread_mutex_lock(&ctx->attach_lock);
	ioas = compat_ioas_get(ctx);
	if (ioas) {
		ioas_put(ioas);
	} else {
		rc = ioas_object_new(ctx, &ioas);
		if (!rc) {
			/* Once it is published a client may destroy it, who takes this back. */
			atomic_store_explicit(&ctx->compat_ioas, ioas->object.id, memory_order_release);
			object_publish(&ioas->object, client);
		}
	}
	pthread_mutex_unlock(&ctx->attach_lock);
	return rc;
}

static int get(struct ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = (void *)ucmd->cmd;
	struct ioas_object *ioas = compat_ioas_get(ucmd->ctx);

	if (!ioas)
		return -ENODEV;
	cmd->ioas_id = ioas->object.id;
	ioas_put(ioas);
	return ucmd_respond(ucmd);
}

/* As a user, so that the IOAS cannot go in between: who destroys it takes it back. */
static int set(struct ucmd *ucmd)
{
	const struct iommu_vfio_ioas *cmd = (const void *)ucmd->cmd;
	struct ioas_object *ioas = ioas_get(ucmd->ctx, cmd->ioas_id);

	if (!ioas)
		return -ENOENT;
	atomic_store_explicit(&ucmd->ctx->compat_ioas, ioas->object.id, memory_order_release);
	ioas_put(ioas);
	return 0;
}

static int clear(struct ucmd *ucmd)
{
	atomic_store_explicit(&ucmd->ctx->compat_ioas, 0, memory_order_release);
	return 0;
}

static int (*const ops[])(struct ucmd *ucmd) = {
	[IOMMU_VFIO_IOAS_GET] = get,
	[IOMMU_VFIO_IOAS_SET] = set,
	[IOMMU_VFIO_IOAS_CLEAR] = clear,
};

int iommufd_vfio_ioas(struct ucmd *ucmd)
{
	const struct iommu_vfio_ioas *cmd = (const void *)ucmd->cmd;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->op >= sizeof(ops) / sizeof(*ops))
		return -EOPNOTSUPP;
	return ops[cmd->op](ucmd);
}

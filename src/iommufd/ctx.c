/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/ctx.h"

#include "iommufd/dispatch.h"
#include "iommufd/ioas_object.h"
#include "iommufd/object.h"
#include "iommufd/selftest.h"

#include <stdlib.h>

uint64_t ctx_file_serial(struct ctx *ctx)
{
	return atomic_fetch_add_explicit(&ctx->config->file_serial, 1, memory_order_relaxed) + 1;
}

static void each_ioas(struct ioas_context *context, void (*visit)(struct ioas *ioas, void *arg), void *arg)
{
	struct ctx *ctx = (struct ctx *)((char *)context - offsetof(struct ctx, ioases));

	for (uint32_t id = 1; id_table_next(&ctx->objects, &id); id++) {
		struct ioas_object *ioas = ioas_get(ctx, id);

		if (!ioas)
			continue;
		visit(&ioas->ioas, arg);
		ioas_put(ioas);
	}
}

static void ctx_release(struct file *file)
{
	struct ctx *ctx = ctx_of(file);

	if (ctx->config->compat && ctx->config->compat->release)
		ctx->config->compat->release(ctx);
	selftest_remove_ctx(ctx);
	object_destroy_all(ctx);
	id_table_clear(&ctx->objects);
	ctx_mmaps_fini(&ctx->mmaps);
	pthread_mutex_destroy(&ctx->change_lock);
	pthread_mutex_destroy(&ctx->attach_lock);
	ioas_context_fini(&ctx->ioases);
	epoch_fini(&ctx->epoch);
	free(ctx);
}

static const struct file_ops ctx_ops = {
	.name = "/dev/iommu",
	.ioctl = iommufd_ioctl,
	.mmap = ctx_mmap,
	.release = ctx_release,
};

/* The same device by another name. */
static const struct file_ops ctx_vfio_ops = {
	.name = "/dev/vfio/vfio",
	.ioctl = iommufd_ioctl,
	.mmap = ctx_mmap,
	.release = ctx_release,
};

struct ctx *ctx_from_file(struct file *file)
{
	return file->ops == &ctx_ops || file->ops == &ctx_vfio_ops ? ctx_of(file) : NULL;
}

int iommufd_open(struct iommufd_config *config, bool mm_accounting, struct file **file)
{
	struct ctx *ctx = malloc(sizeof(*ctx));

	if (!ctx)
		return -ENOMEM;
	file_init(&ctx->file, mm_accounting ? &ctx_vfio_ops : &ctx_ops);
	ctx->config = config;
	ctx->file.serial = ctx_file_serial(ctx);
	id_table_init(&ctx->objects);
	atomic_init(&ctx->compat_ioas, 0);
	atomic_init(&ctx->compat_groups, 0);
	atomic_init(&ctx->mm_accounting, mm_accounting);
	pthread_mutex_init(&ctx->change_lock, NULL);
	pthread_mutex_init(&ctx->attach_lock, NULL);
	epoch_init(&ctx->epoch);
	ioas_context_init(&ctx->ioases);
	ctx->ioases.each = each_ioas;
	ctx->igroups = NULL;
	atomic_init(&ctx->compat_state, NULL);
	ctx_mmaps_init(&ctx->mmaps);
	selftest_add_ctx(ctx);
	*file = &ctx->file;
	return 0;
}

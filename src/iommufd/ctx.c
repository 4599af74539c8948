/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/ctx.h"

#include "iommufd/dispatch.h"
#include "iommufd/object.h"

#include <stdlib.h>
#include <sys/mman.h>

uint64_t ctx_file_serial(struct ctx *ctx)
{
	return atomic_fetch_add_explicit(&ctx->config->file_serial, 1, memory_order_relaxed) + 1;
}

/*
 * Only what a virtual IOMMU offers can be mapped, by its exact offset and length. No object that there is offers
 * anything, so no offset is right.
 */
static int ctx_mmap(struct file *file, struct client *client, uint64_t length, int prot, int flags, uint64_t offset)
{
	(void)file;
	(void)client;
	(void)offset;
	if (length % PAGE_SIZE)
		return -EINVAL;
	if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (prot & PROT_EXEC)
		return -EPERM;
	return -ENXIO;
}

static void ctx_release(struct file *file)
{
	struct ctx *ctx = ctx_of(file);

	object_destroy_all(ctx);
	id_table_clear(&ctx->objects);
	pthread_mutex_destroy(&ctx->change_lock);
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
	atomic_init(&ctx->mm_accounting, mm_accounting);
	pthread_mutex_init(&ctx->change_lock, NULL);
	*file = &ctx->file;
	return 0;
}

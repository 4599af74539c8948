/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues in memory that hardware reads by physical address: the memory must be contiguous, and stays pinned and mapped.
 * For us memory is contiguous where its pages follow one another in the same struct pages.
 */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"

#include <limits.h>
#include <stdlib.h>

/* What one allocation of the kernel's may be. */
#define QUEUE_PAGES_MAX (INT_MAX / sizeof(void *))

static void access_object_destroy(struct object *object)
{
	free(object);
}

static const struct object_ops access_object_ops = {.type = OBJECT_ACCESS, .destroy = access_object_destroy};

/* An access of the queue's, which no client can destroy. */
static int access_object_new(struct ctx *ctx, struct object **made)
{
	struct object *object = malloc(sizeof(*object));
	int rc = object ? object_new(ctx, object, &access_object_ops) : -ENOMEM;

	if (rc) {
		free(object);
		return rc;
	}
	object_hold(object);
	object_publish(object, NULL);
	*made = object;
	return 0;
}

static void access_object_free(struct object *object)
{
	object_hide(object);
	object_remove(object, 1, false);
}

/* The whole pages that a queue lies in. */
static iova_t first_page(const struct hw_queue *queue)
{
	return queue->iova & PAGE_MASK;
}

static uint64_t count_pages(const struct hw_queue *queue)
{
	return ((queue->iova & ~PAGE_MASK) + queue->length - 1) / PAGE_SIZE + 1;
}

static uint64_t count_bytes(const struct hw_queue *queue)
{
	return count_pages(queue) * PAGE_SIZE;
}

/* Returns 0, what access_pin() says, or -EFAULT: it is not contiguous. */
static int pin(struct hw_queue *queue)
{
	const iova_t iova = first_page(queue);
	int rc = access_pin(&queue->access, iova, count_bytes(queue), 0, NULL);

	if (!rc && !access_contiguous(&queue->access, iova, count_bytes(queue), queue->page)) {
		access_unpin(&queue->access, iova, count_bytes(queue));
		rc = -EFAULT;
	}
	return rc;
}

/* Makes the access, attached, with the memory pinned. On error nothing is left of it. */
static int access_begin(struct hw_queue *queue)
{
	struct ioas_object *ioas = queue->viommu->hwpt->ioas;
	int rc;

	access_init(&queue->access, NULL);
	rc = access_object_new(queue->object.ctx, &queue->access_object);
	if (rc)
		goto fini;
	rc = access_attach(&queue->access, &ioas->ioas);
	if (rc)
		goto free_object;
	object_hold(&ioas->object);
	rc = pin(queue);
	if (rc)
		goto detach;
	return 0;

detach:
	access_detach(&queue->access);
	object_put(&ioas->object);
free_object:
	access_object_free(queue->access_object);
	queue->access_object = NULL;
fini:
	access_fini(&queue->access);
	return rc;
}

static void access_end(struct hw_queue *queue)
{
	struct object *ioas = &queue->viommu->hwpt->ioas->object;

	access_unpin(&queue->access, first_page(queue), count_bytes(queue));
	access_detach(&queue->access);
	object_put(ioas);
	access_object_free(queue->access_object);
	access_fini(&queue->access);
}

/* access_object NULL: it was never complete. */
static void hw_queue_destroy(struct object *object)
{
	struct hw_queue *queue = (struct hw_queue *)object;
	struct viommu *viommu = queue->viommu;

	if (queue->access_object) {
		if (viommu->ops->hw_queue_destroy)
			viommu->ops->hw_queue_destroy(queue);
		access_end(queue);
	}
	free(queue);
	object_put(&viommu->object);
}

static const struct object_ops hw_queue_ops = {.type = OBJECT_HW_QUEUE, .destroy = hw_queue_destroy};

/* Makes the object of this call. Consumes the user of the vIOMMU, with the object if there is one. */
static int hw_queue_new(struct ucmd *ucmd, struct viommu *viommu, size_t size)
{
	const struct iommu_hw_queue_alloc *cmd = (const void *)ucmd->cmd;
	struct hw_queue *queue = calloc(1, size);
	int rc = queue ? object_reserve(ucmd, &queue->object, &hw_queue_ops) : -ENOMEM;

	if (rc) {
		free(queue);
		object_put(&viommu->object);
		return rc;
	}
	queue->viommu = viommu;
	queue->type = cmd->type;
	queue->iova = cmd->nesting_parent_iova;
	queue->length = cmd->length;
	if (count_pages(queue) > QUEUE_PAGES_MAX)
		return -ENOMEM;
	rc = access_begin(queue);
	if (rc)
		return rc;
	rc = viommu->ops->hw_queue_init(queue, cmd->index);
	if (rc) {
		access_end(queue);
		queue->access_object = NULL;
	}
	return rc;
}

static size_t queue_size(struct viommu *viommu, uint32_t type)
{
	const struct viommu_ops *ops = viommu->ops;

	return ops->hw_queue_size && ops->hw_queue_init ? ops->hw_queue_size(viommu, type) : 0;
}

int iommufd_hw_queue_alloc(struct ucmd *ucmd)
{
	struct iommu_hw_queue_alloc *cmd = (void *)ucmd->cmd;
	struct viommu *viommu;
	uint64_t end;
	iova_t last;
	size_t size;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->nesting_parent_iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	viommu = viommu_get(ucmd->ctx, cmd->viommu_id);
	if (!viommu)
		return -ENOENT;
	size = queue_size(viommu, cmd->type);
	if (!size || __builtin_add_overflow(cmd->nesting_parent_iova & ~PAGE_MASK, cmd->length, &end)) {
		object_put(&viommu->object);
		return size ? -ERANGE : -EOPNOTSUPP;
	}
	rc = hw_queue_new(ucmd, viommu, size);
	if (rc)
		return rc;
	cmd->out_hw_queue_id = ucmd->created->id;
	return ucmd_respond(ucmd);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mock virtual IOMMU: two pages that can be mapped, caches of virtual devices that can be invalidated, and two
 * queues of which the second needs the first.
 */
#include "client/client.h"
#include "client/file.h"
#include "client/memory.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/selftest.h"

#include <stdlib.h>

#define REGION_LENGTH (2 * PAGE_SIZE)

struct mock_hw_queue {
	struct hw_queue queue;
	struct mock_hw_queue *previous; /* holds a user of it; NULL: it is the first */
};

struct mock_viommu {
	struct viommu viommu;
	struct file_region *region;                           /* NULL: none was asked for */
	struct mock_hw_queue *queue[IOMMU_TEST_HW_QUEUE_MAX]; /* guarded by the virtual IOMMU's lock */
};

static struct mock_viommu *mock_viommu(struct viommu *viommu)
{
	return (struct mock_viommu *)viommu;
}

static void viommu_destroy(struct viommu *viommu)
{
	struct mock_viommu *mock = mock_viommu(viommu);

	if (mock->region)
		ctx_mmap_remove(viommu->object.ctx, mock->region);
	mock->region = NULL;
}

/* The client's number comes back in its structure, and at the beginning of the region. */
static int viommu_init(struct viommu *viommu, struct iommu_device *dev, const struct user_data *data)
{
	struct mock_viommu *mock = mock_viommu(viommu);
	struct iommu_viommu_selftest user;
	int rc;

	(void)dev;
	if (!data || !data->length)
		return 0;
	rc = user_data_copy(data, IOMMU_VIOMMU_TYPE_SELFTEST, &user, sizeof(user),
			    offsetof(typeof(user), out_mmap_offset));
	if (rc)
		return rc;
	rc = ctx_mmap_add(viommu->object.ctx, data->client, &viommu->object, REGION_LENGTH, &mock->region);
	if (rc)
		return rc;
	memcpy(mock->region->memory, &user.in_data, sizeof(user.in_data));
	user.out_data = user.in_data;
	user.out_mmap_offset = mock->region->offset;
	user.out_mmap_length = mock->region->length;
	rc = client_copy_out(data->client, data->at, &user, data->length);
	if (rc)
		viommu_destroy(viommu);
	return rc;
}

static int invalidate_one(struct viommu *viommu, const struct iommu_viommu_invalidate_selftest *request)
{
	const struct vdevice *vdevice;
	struct mock_device *mock;

	if (request->flags & ~(uint32_t)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (request->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	vdevice = viommu_find_vdevice(viommu, request->vdev_id);
	if (!vdevice)
		return -EINVAL;
	mock = mock_device(vdevice->device->dev);
	for (uint32_t id = 0; id < MOCK_DEV_CACHE_NUM; id++)
		if (request->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL || id == request->cache_id)
			atomic_store(&mock->cache[id], 0);
	return 0;
}

static int viommu_invalidate(struct viommu *viommu, const struct user_array *array, uint32_t *done)
{
	struct iommu_viommu_invalidate_selftest *requests;
	int rc;

	if (!array->count)
		return array->type == IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST ? 0 : -EINVAL;
	requests = calloc(array->count, sizeof(*requests));
	if (!requests)
		return -ENOMEM;
	rc = user_array_copy_all(array, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, requests, sizeof(*requests));
	pthread_mutex_lock(&viommu->lock);
	for (uint32_t i = 0; i < array->count && !rc; i++) {
		rc = invalidate_one(viommu, &requests[i]);
		if (!rc)
			++*done;
	}
	pthread_mutex_unlock(&viommu->lock);
	free(requests);
	return rc;
}

int mock_virt_id(struct viommu *viommu, const struct device *device, uint64_t *virt_id)
{
	int rc = -ENOENT;

	pthread_mutex_lock(&viommu->lock);
	for (const struct vdevice *vdevice = viommu->vdevices; vdevice && rc; vdevice = vdevice->next) {
		if (vdevice->device != device)
			continue;
		*virt_id = vdevice->virt_id;
		rc = 0;
	}
	pthread_mutex_unlock(&viommu->lock);
	return rc;
}

static size_t hw_queue_size(struct viommu *viommu, uint32_t type)
{
	(void)viommu;
	return type == IOMMU_HW_QUEUE_TYPE_SELFTEST ? sizeof(struct mock_hw_queue) : 0;
}

/* Does the parent's page table show at the queue's address the page that was pinned for it? */
static bool sees_its_page(const struct hw_queue *queue)
{
	struct place pinned = place_of_page(queue->page);
	struct place shown;
	uint64_t length;
	bool same;

	pinned.va += queue->iova % PAGE_SIZE;
	if (pinned.host)
		pinned.host += queue->iova % PAGE_SIZE;
	if (!place_of_iova(&queue->viommu->hwpt->domain, queue->iova, &shown, &length))
		return false;
	same = place_same(&pinned, &shown);
	hold_put((struct hold *)(uintptr_t)shown.hold);
	return same;
}

/* With one more user. NULL: there is none, or it is not there yet, or going. With the virtual IOMMU's lock held. */
static struct mock_hw_queue *get_queue(const struct mock_viommu *mock, uint32_t index)
{
	struct object *object = mock->queue[index] ? &mock->queue[index]->queue.object : NULL;

	return object ? (struct mock_hw_queue *)object_get(object->ctx, object->id, OBJECT_HW_QUEUE) : NULL;
}

static int hw_queue_add(struct mock_viommu *mock, struct mock_hw_queue *queue, uint32_t index, bool right)
{
	if (mock->queue[index])
		return -EEXIST;
	queue->previous = index ? get_queue(mock, index - 1) : NULL;
	if (index && !queue->previous)
		return -EIO;
	if (!right) {
		if (queue->previous)
			object_put(&queue->previous->queue.object);
		return -EFAULT;
	}
	mock->queue[index] = queue;
	return 0;
}

static int hw_queue_init(struct hw_queue *queue, uint32_t index)
{
	struct viommu *viommu = queue->viommu;
	bool right;
	int rc;

	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return -EINVAL;
	right = sees_its_page(queue);
	pthread_mutex_lock(&viommu->lock);
	rc = hw_queue_add(mock_viommu(viommu), (struct mock_hw_queue *)queue, index, right);
	pthread_mutex_unlock(&viommu->lock);
	return rc;
}

/*
 * As in Linux, whose test device does not note a queue's number: whichever queue goes, the first number becomes free,
 * and the second never does. So the first may be used twice, and nobody looks at a queue that is gone.
 */
static void hw_queue_destroy(struct hw_queue *base)
{
	struct mock_hw_queue *queue = (struct mock_hw_queue *)base;

	pthread_mutex_lock(&base->viommu->lock);
	mock_viommu(base->viommu)->queue[0] = NULL;
	pthread_mutex_unlock(&base->viommu->lock);
	if (queue->previous)
		object_put(&queue->previous->queue.object);
}

static const struct viommu_ops viommu_ops = {
	.size = sizeof(struct mock_viommu),
	.init = viommu_init,
	.destroy = viommu_destroy,
	.invalidate = viommu_invalidate,
	.hw_queue_size = hw_queue_size,
	.hw_queue_init = hw_queue_init,
	.hw_queue_destroy = hw_queue_destroy,
};

const struct viommu_ops *mock_viommu_ops(const struct iommu_device *dev, uint32_t type)
{
	(void)dev;
	return type == IOMMU_VIOMMU_TYPE_SELFTEST ? &viommu_ops : NULL;
}

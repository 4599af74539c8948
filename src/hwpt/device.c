/* SPDX-License-Identifier: BSD-3-Clause */
#include "hwpt/device.h"

#include "base/event.h"
#include "client/client.h"
#include "hwpt/attached.h"
#include "hwpt/fault.h"
#include "ioas/ioas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void iommu_device_init(struct iommu_device *device, const struct iommu_driver *driver, struct iommu_group *group)
{
	memset(device, 0, sizeof(*device));
	device->driver = driver;
	device->group = group;
	pthread_mutex_init(&device->lock, NULL);
}

void iommu_device_fini(struct iommu_device *device)
{
	struct pasid_table *table = atomic_load(&device->pasids);

	for (unsigned i = 0; table && i < PASID_SLOTS; i++)
		free(atomic_load(&table->leaf[i]));
	free(table);
	iommu_faults_clear(device);
	pthread_mutex_destroy(&device->lock);
}

void iommu_device_own(struct iommu_device *device, struct epoch *epoch)
{
	/* Changed by the owner only. */
	if (device->epoch)
		epoch_wait(device->epoch);
	pthread_mutex_lock(&device->lock);
	for (struct dma *dma = device->dmas; dma; dma = dma->next) {
		if (device->epoch)
			epoch_remove(&dma->slot);
		if (epoch)
			epoch_add(epoch, &dma->slot);
	}
	device->epoch = epoch;
	if (epoch)
		device->detached = (struct detached){0};
	/* What the one owner's device has begun to report is not the next one's. */
	iommu_faults_clear(device);
	pthread_mutex_unlock(&device->lock);
}

struct domain *iommu_device_domain(struct iommu_device *device, uint32_t pasid)
{
	const struct attached *attachment = attached_of(device, pasid);

	return attachment ? attachment->domain : NULL;
}

/* The slot of a PASID, made where there is none. NULL: no memory. */
static struct attached *_Atomic *slot_make(struct iommu_device *device, uint32_t pasid)
{
	struct attached *_Atomic *slot = attached_slot(device, pasid);
	struct pasid_table *table = atomic_load(&device->pasids);
	struct pasid_leaf *leaf;

	if (slot)
		return slot;
	if (!table) {
		table = calloc(1, sizeof(*table));
		if (!table)
			return NULL;
		atomic_store(&device->pasids, table);
	}
	leaf = calloc(1, sizeof(*leaf));
	if (!leaf)
		return NULL;
	atomic_store(&table->leaf[pasid / PASID_SLOTS], leaf);
	return &leaf->slot[pasid % PASID_SLOTS];
}

static struct pasid_leaf *leaf_of(struct iommu_device *device, uint32_t pasid)
{
	return atomic_load(&atomic_load(&device->pasids)->leaf[pasid / PASID_SLOTS]);
}

/* Keeps what a fault is explained by. With the lock held. */
static void remember(struct iommu_device *device, uint32_t pasid, const struct attached *old)
{
	device->detached = (struct detached){
		.time_ns = event_time(),
		.pasid = pasid,
		.ioas = old->paging ? old->paging->ioas->id : 0,
		.process = old->shared ? old->shared->pid : 0,
	};
}

/* With the lock held. attachment NULL: nothing from now on. */
static int change(struct iommu_device *device, uint32_t pasid, struct attached *attachment, struct leftovers *left)
{
	struct attached *_Atomic *slot = attachment ? slot_make(device, pasid) : attached_slot(device, pasid);
	struct attached *old;
	struct pasid_leaf *leaf;

	if (!slot)
		return attachment ? -ENOMEM : 0;
	if (attachment)
		attachment->serial = ++device->serial;
	old = atomic_exchange(slot, attachment);
	if (old) {
		if (!attachment && event_wanted_of(device->events, EVENT_DMA_FAULT))
			remember(device, pasid, old);
		old->next = left->attached;
		left->attached = old;
		left->epoch = device->epoch;
	}
	if (pasid == NO_PASID)
		return 0;
	leaf = leaf_of(device, pasid);
	leaf->used += attachment ? 1 : 0;
	leaf->used -= old ? 1 : 0;
	if (!leaf->used) {
		atomic_store(&atomic_load(&device->pasids)->leaf[pasid / PASID_SLOTS], NULL);
		leaf->next = left->leaves;
		left->leaves = leaf;
	}
	return 0;
}

int iommu_device_set(struct iommu_device *device, uint32_t pasid, struct domain *domain, struct leftovers *left)
{
	struct attached *attachment = NULL;
	int rc = 0;

	if (pasid >> PASID_BITS)
		return domain ? -EINVAL : 0;
	if (device->driver && device->driver->attach_check)
		rc = device->driver->attach_check(device, pasid, domain, iommu_device_domain(device, pasid));
	if (domain) {
		if (rc)
			return rc;
		attachment = malloc(sizeof(*attachment));
		if (!attachment)
			return -ENOMEM;
		*attachment = (struct attached){
			.domain = domain,
			.paging = domain->nested || domain->shared ? NULL : paging_domain(domain),
			.shared = domain->shared,
		};
	}
	pthread_mutex_lock(&device->lock);
	rc = change(device, pasid, attachment, left);
	pthread_mutex_unlock(&device->lock);
	if (rc)
		free(attachment);
	return rc;
}

void leftovers_end(struct leftovers *left)
{
	if (left->epoch)
		epoch_wait(left->epoch);
	for (struct attached *attached = left->attached, *next; attached; attached = next) {
		next = attached->next;
		free(attached);
	}
	for (struct pasid_leaf *leaf = left->leaves, *next; leaf; leaf = next) {
		next = leaf->next;
		free(leaf);
	}
	*left = (struct leftovers){0};
}

int iommu_device_attach(struct iommu_device *device, uint32_t pasid, struct domain *domain)
{
	struct leftovers left = {0};
	int rc = iommu_device_set(device, pasid, domain, &left);

	leftovers_end(&left);
	return rc;
}

void dma_init(struct dma *dma, struct iommu_device *device)
{
	memset(dma, 0, sizeof(*dma));
	dma->device = device;
	pthread_mutex_lock(&device->lock);
	dma->next = device->dmas;
	dma->link = &device->dmas;
	if (dma->next)
		dma->next->link = &dma->next;
	device->dmas = dma;
	if (device->epoch)
		epoch_add(device->epoch, &dma->slot);
	pthread_mutex_unlock(&device->lock);
}

void dma_fini(struct dma *dma)
{
	pthread_mutex_lock(&dma->device->lock);
	*dma->link = dma->next;
	if (dma->next)
		dma->next->link = dma->link;
	if (dma->device->epoch)
		epoch_remove(&dma->slot);
	pthread_mutex_unlock(&dma->device->lock);
}

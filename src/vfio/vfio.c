/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/vfio.h"
#include "hwpt/software.h"
#include "iommufd/iommufd.h"
#include "vfio/device_file.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void vfio_init(struct vfio *vfio, struct iommufd_config *config)
{
	*vfio = (struct vfio){.config = config};
}

void vfio_fini(struct vfio *vfio)
{
	(void)vfio; /* groups go with their last device */
}

struct vfio_group *vfio_find_group(struct vfio *vfio, uint32_t id)
{
	struct vfio_group *group = vfio->groups;

	while (group && group->iommu.id != id)
		group = group->next;
	return group;
}

struct vfio_device *vfio_find_device(struct vfio *vfio, const char *name)
{
	struct vfio_device *device = vfio->devices;

	while (device && strcmp(device->name, name) != 0)
		device = device->next;
	return device;
}

/* The group of an id, or a new one of the lowest that is free, in its place among the others. */
static struct vfio_group *group_for(struct vfio *vfio, uint32_t id)
{
	struct vfio_group **link = &vfio->groups;
	struct vfio_group *group;
	const bool any = id == UINT32_MAX;

	if (any)
		id = 1;
	for (; *link && (*link)->iommu.id <= id; link = &(*link)->next) {
		if ((*link)->iommu.id != id)
			continue;
		if (!any)
			return *link;
		id++;
	}
	group = calloc(1, sizeof(*group));
	if (!group)
		return NULL;
	group->iommu.id = id;
	pthread_mutex_init(&group->lock, NULL);
	group->next = *link;
	*link = group;
	return group;
}

static void group_remove_empty(struct vfio *vfio, struct vfio_group *group)
{
	struct vfio_group **link = &vfio->groups;

	for (const struct vfio_device *device = vfio->devices; device; device = device->next)
		if (device->group == group)
			return;
	while (*link != group)
		link = &(*link)->next;
	*link = group->next;
	pthread_mutex_destroy(&group->lock);
	free(group);
}

static bool has_address(const struct vfio_device *device, const struct vfio_device *other)
{
	return device->segment == other->segment && device->bus == other->bus && device->devfn == other->devfn;
}

static bool number_is_taken(const struct vfio *vfio, unsigned number)
{
	for (const struct vfio_device *device = vfio->devices; device; device = device->next)
		if (device->number == number)
			return true;
	return false;
}

/* Who waits for it gets it next: a poller that is busy takes it again as soon as it has let it go. Of the mutexes only
 * those that inherit priority are given to one who waits; where there are none, it may take long. */
static void model_lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
	if (pthread_mutex_init(lock, &attributes))
		pthread_mutex_init(lock, NULL);
	pthread_mutexattr_destroy(&attributes);
}

static void locks_init(struct vfio_device *device)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&device->lock, NULL);
	model_lock_init(&device->model_lock);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&device->user_changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void iommu_init(struct vfio *vfio, struct vfio_device *device)
{
	const struct iommuse_model *model = device->model;

	iommu_device_init(&device->iommu, &software_iommu, &device->group->iommu);
	device->iommu.name = device->name;
	device->iommu.max_pasids = model->pasid_bits ? UINT32_C(1) << model->pasid_bits : 0;
	device->iommu.can_fault = model->page_requests;
	device->iommu.reserved = software_iommu_reserved;
	device->iommu.reserved_count = sizeof(software_iommu_reserved) / sizeof(*software_iommu_reserved);
	device->iommu.events = vfio->config->events;
	dma_init(&device->dma, &device->iommu);
}

int vfio_add_device(struct vfio *vfio, struct vfio_device *device, uint32_t group)
{
	struct vfio_device **link = &vfio->devices;
	int rc;

	for (; *link; link = &(*link)->next)
		if (has_address(*link, device))
			return -EEXIST;
	device->group = group_for(vfio, group);
	if (!device->group)
		return -ENOMEM;
	rc = irqs_init(&device->irqs, device->model);
	if (rc) {
		group_remove_empty(vfio, device->group);
		return rc;
	}
	for (device->number = 0; number_is_taken(vfio, device->number);)
		device->number++;
	device->vfio = vfio;
	device->user = NULL;
	device->low_power = false;
	device->ioeventfds = NULL;
	memset(device->memory, 0, sizeof(device->memory));
	memset(device->region, 0, sizeof(device->region));
	locks_init(device);
	iommu_init(vfio, device);
	pci_config_init(&device->config, device->model);
	pci_config_place(&device->config, device->model, &vfio->window);
	device->next = NULL;
	*link = device;
	vfio->device_count++;
	return 0;
}

void vfio_remove_device(struct vfio *vfio, struct vfio_device *device)
{
	struct vfio_device **link = &vfio->devices;

	while (*link != device)
		link = &(*link)->next;
	*link = device->next;
	vfio->device_count--;
	group_remove_empty(vfio, device->group);
	irqs_fini(&device->irqs);
	dma_fini(&device->dma);
	iommu_device_fini(&device->iommu);
	pthread_cond_destroy(&device->user_changed);
	pthread_mutex_destroy(&device->model_lock);
	pthread_mutex_destroy(&device->user_lock);
	pthread_mutex_destroy(&device->lock);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which domain a fault goes to is looked up, and the group is handed over, under the device's lock. So a detach, which
 * takes that lock, parts the groups that are in the old domain's queue from those that never get there.
 */
#include "hwpt/fault.h"

#include "abi/iommufd.h"
#include "client/file.h"

#include <errno.h>
#include <stdlib.h>

struct partial_fault {
	struct partial_fault *next;
	struct page_fault fault;
};

/* In the order of their arrival. */
struct partial_faults {
	struct partial_fault *first, **end;
	uint32_t count;
};

static int add_partial(struct iommu_device *device, const struct page_fault *fault)
{
	struct partial_faults *faults = device->faults;
	struct partial_fault *partial;

	if (!faults) {
		faults = calloc(1, sizeof(*faults));
		if (!faults)
			return -ENOMEM;
		faults->end = &faults->first;
		device->faults = faults;
	}
	if (faults->count == PARTIAL_FAULTS_MAX)
		return -ENOMEM;
	partial = malloc(sizeof(*partial));
	if (!partial)
		return -ENOMEM;
	partial->next = NULL;
	partial->fault = *fault;
	*faults->end = partial;
	faults->end = &partial->next;
	faults->count++;
	return 0;
}

static uint32_t count_partial(const struct partial_faults *faults, uint32_t group)
{
	uint32_t count = 0;

	for (const struct partial_fault *partial = faults ? faults->first : NULL; partial; partial = partial->next)
		count += partial->fault.group == group;
	return count;
}

/* Takes the partial faults of a group out; to: room for them all, or NULL. */
static void take_partial(struct partial_faults *faults, uint32_t group, struct page_fault *to)
{
	struct partial_fault **link = &faults->first;

	while (*link) {
		struct partial_fault *partial = *link;

		if (partial->fault.group != group) {
			link = &partial->next;
			continue;
		}
		*link = partial->next;
		if (to)
			*to++ = partial->fault;
		free(partial);
		faults->count--;
	}
	faults->end = link;
}

/* The group that a last fault completes. NULL: no memory, and the group is lost. */
static struct fault_group *complete_group(struct iommu_device *device, const struct page_fault *last)
{
	uint32_t count = count_partial(device->faults, last->group);
	struct fault_group *group = calloc(1, sizeof(*group) + (count + 1) * sizeof(*last));

	if (count)
		take_partial(device->faults, last->group, group ? group->fault : NULL);
	if (!group)
		return NULL;
	group->device = device;
	group->count = count + 1;
	group->fault[count] = *last;
	return group;
}

/* Stores whose attachment it is; with the device's lock held. */
static struct domain *route(struct iommu_device *device, const struct page_fault *fault, uint32_t *pasid)
{
	struct domain *domain;

	*pasid = fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID ? fault->pasid : NO_PASID;
	domain = iommu_device_domain(device, *pasid);
	if (domain || *pasid == NO_PASID)
		return domain;
	/* The PASIDs behind a nested domain are its owner's. */
	*pasid = NO_PASID;
	domain = iommu_device_domain(device, NO_PASID);
	return domain && domain->nested ? domain : NULL;
}

/* With the device's lock held. Takes the group if it returns 0. */
static int deliver(struct iommu_device *device, struct fault_group *group, struct file **changed)
{
	struct domain *domain = route(device, &group->fault[group->count - 1], &group->pasid);

	if (!domain || !domain->fault)
		return -EINVAL;
	group->domain = domain;
	*changed = domain->fault(domain, group);
	return 0;
}

static void respond(struct iommu_device *device, const struct page_fault *fault, uint32_t code)
{
	uint32_t pasid = fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID ? fault->pasid : NO_PASID;

	if (device->driver->page_response)
		device->driver->page_response(device, pasid, fault->group, code);
}

int iommu_report_fault(struct iommu_device *device, const struct page_fault *fault)
{
	struct fault_group *group;
	struct file *changed = NULL;
	int rc;

	pthread_mutex_lock(&device->lock);
	if (!(fault->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)) {
		rc = add_partial(device, fault);
		pthread_mutex_unlock(&device->lock);
		return rc;
	}
	group = complete_group(device, fault);
	rc = group ? deliver(device, group, &changed) : -ENOMEM;
	pthread_mutex_unlock(&device->lock);

	if (rc) {
		respond(device, fault, IOMMUFD_PAGE_RESP_INVALID);
		free(group);
	}
	if (changed) {
		file_poll_changed(changed);
		file_put(changed);
	}
	return rc;
}

void fault_group_respond(const struct fault_group *group, uint32_t code)
{
	respond(group->device, &group->fault[group->count - 1], code);
}

void fault_group_answer(struct fault_group *group, uint32_t code)
{
	fault_group_respond(group, code);
	free(group);
}

void iommu_faults_clear(struct iommu_device *device)
{
	struct partial_faults *faults = device->faults;
	struct partial_fault *next;

	if (!faults)
		return;
	for (struct partial_fault *partial = faults->first; partial; partial = next) {
		next = partial->next;
		free(partial);
	}
	free(faults);
	device->faults = NULL;
}

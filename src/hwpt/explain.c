/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of an IOVA where DMA was blocked, for the event that tells it. It is found out after the DMA, by the
 * thread that did it, outside of its section: so it may have changed since, and says what is so now.
 *
 * What the PASID is attached to stays as long as the device's lock is held, as detaching takes it; so do the page table
 * and its IOAS. The IOAS's lock comes after it.
 */
#include "base/event.h"
#include "client/mm.h"
#include "hwpt/attached.h"
#include "ioas/history.h"
#include "ioas/ioas.h"

#include <stdio.h>

static void add_place(struct event *event, const struct ioas_explanation *explanation)
{
	if (explanation->mapped || explanation->has_below) {
		event->dma.known |= explanation->mapped ? EVENT_DMA_MAPPED : EVENT_DMA_BELOW;
		event->dma.below_start = explanation->below.start;
		event->dma.below_last = explanation->below.last;
		event->dma.below_prot = explanation->below.prot;
	}
	if (explanation->revoked)
		event->dma.known |= EVENT_DMA_REVOKED;
	if (explanation->has_above) {
		event->dma.known |= EVENT_DMA_ABOVE;
		event->dma.above_start = explanation->above.start;
		event->dma.above_last = explanation->above.last;
		event->dma.above_prot = explanation->above.prot;
	}
	if (explanation->unmapped) {
		event->dma.known |= EVENT_DMA_UNMAPPED;
		if (explanation->last.all)
			event->dma.known |= EVENT_DMA_ALL;
		event->dma.gone_ns = explanation->last.time_ns;
		event->dma.gone_pid = explanation->last.pid;
	}
}

/* With the device's lock held. */
static void explain(struct iommu_device *device, struct event *event)
{
	const struct attached *attached = attached_of(device, event->dma.pasid);
	struct ioas_explanation explanation;
	struct ioas *ioas;

	if (attached && attached->paging) {
		ioas = attached->paging->ioas;
		event->file = ioas->file;
		event->dma.known |= EVENT_DMA_IOAS;
		event->dma.ioas = ioas->id;
		ioas_explain(ioas, event->dma.iova, &explanation);
		add_place(event, &explanation);
	} else if (attached && attached->shared) {
		event->dma.known |= EVENT_DMA_PROCESS;
		if (mm_is_gone(attached->shared))
			event->dma.known |= EVENT_DMA_ENDED;
		event->dma.process = attached->shared->pid;
	} else if (!attached && device->detached.time_ns && device->detached.pasid == event->dma.pasid) {
		event->dma.known |= EVENT_DMA_DETACHED;
		if (device->detached.process)
			event->dma.known |= EVENT_DMA_PROCESS;
		event->dma.process = device->detached.process;
		event->dma.ioas = device->detached.ioas;
		event->dma.gone_ns = device->detached.time_ns;
	}
}

static void announce(struct iommu_device *device, const struct dma_fault *fault, uint64_t length)
{
	struct event event = {
		.type = EVENT_DMA_FAULT,
		.fd = -1,
		.dma = {.iova = fault->iova,
			.length = length,
			.pasid = fault->pasid,
			.access = (uint8_t)fault->access,
			.reason = (uint8_t)fault->reason},
	};

	snprintf(event.dma.device, sizeof(event.dma.device), "%s", device->name ? device->name : "");
	pthread_mutex_lock(&device->lock);
	explain(device, &event);
	pthread_mutex_unlock(&device->lock);
	event_announce(device->events, &event);
}

/* May who serves page faults mend it? */
static bool is_served(struct iommu_device *device, const struct dma_fault *fault)
{
	const struct attached *attached;
	bool served;

	if (fault->reason != DMA_FAULT_NOT_MAPPED && fault->reason != DMA_FAULT_READ_ONLY &&
	    fault->reason != DMA_FAULT_WRITE_ONLY)
		return false;
	pthread_mutex_lock(&device->lock);
	attached = attached_of(device, fault->pasid);
	served = attached && attached->domain->fault;
	pthread_mutex_unlock(&device->lock);
	return served;
}

void dma_report_withheld(const struct dma *dma, struct dma_withheld *withheld)
{
	const uint64_t length = withheld->length;

	withheld->length = 0;
	if (length && event_wanted_of(dma->device->events, EVENT_DMA_FAULT))
		announce(dma->device, &withheld->fault, length);
}

void dma_report(const struct dma *dma, const struct dma_fault *fault, uint64_t length)
{
	if (!event_wanted_of(dma->device->events, EVENT_DMA_FAULT))
		return;
	if (dma->withheld) {
		dma_report_withheld(dma, dma->withheld);
		if (is_served(dma->device, fault)) {
			*dma->withheld = (struct dma_withheld){*fault, length};
			return;
		}
	}
	announce(dma->device, fault, length);
}

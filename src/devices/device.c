/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a model can do with its device (struct iommuse_device_ops). All of it is called from a callback, so
 * vfio.model_lock is held.
 *
 * DMA goes by vfio.dma, a section of the epoch at a time. Memory that is borrowed in place keeps another struct dma
 * inside the epoch, as one cannot be inside twice.
 */
#include "devices/device.h"

#include "abi/iommufd.h"
#include "base/event.h"
#include "base/log.h"
#include "client/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_BUS_MASTER 0x4U

/* A section that copies here ends after so many bytes, as an unmap may wait for it. */
#define SECTION_BYTES 65536U

/* What is copied by way of memory here stays in a near cache where the copies are of a page each. */
#define BOUNCE_PAGES_BYTES 16384U

_Static_assert(IOMMUSE_READ == (int)DMA_READ && IOMMUSE_WRITE == (int)DMA_WRITE, "the same bits");
_Static_assert(IOMMUSE_NO_PASID == NO_PASID, "the same number");
_Static_assert(IOMMUSE_FAULT_NO_DOMAIN == (int)DMA_FAULT_NO_DOMAIN, "the same number");
_Static_assert(IOMMUSE_FAULT_NOT_MAPPED == (int)DMA_FAULT_NOT_MAPPED, "the same number");
_Static_assert(IOMMUSE_FAULT_READ_ONLY == (int)DMA_FAULT_READ_ONLY, "the same number");
_Static_assert(IOMMUSE_FAULT_WRITE_ONLY == (int)DMA_FAULT_WRITE_ONLY, "the same number");
_Static_assert(IOMMUSE_FAULT_MEMORY == (int)DMA_FAULT_MEMORY, "the same number");
_Static_assert(IOMMUSE_FAULT_BUS_MASTER == (int)DMA_FAULT_BUS_MASTER, "the same number");
_Static_assert(IOMMUSE_FAULT_PAGE_REQUEST == (int)DMA_FAULT_PAGE_REQUEST, "the same number");
_Static_assert(IOMMUSE_READ == (int)IOMMU_PGFAULT_PERM_READ && IOMMUSE_WRITE == (int)IOMMU_PGFAULT_PERM_WRITE,
	       "the same bits");

static const char *value_of(struct iommuse_device *base, const char *key)
{
	const struct model_device *device = model_device(base);
	const struct iommuse_key *keys = device->model.keys;

	for (size_t i = 0; keys && keys[i].name; i++)
		if (!strcmp(keys[i].name, key))
			return device->value[i];
	return NULL;
}

static void *area_of(struct iommuse_device *base, unsigned bar, uint64_t offset)
{
	const struct model_device *device = model_device(base);

	if (bar >= IOMMUSE_BARS || !device->vfio.memory[bar])
		return NULL;
	for (unsigned i = 0; i < IOMMUSE_AREAS; i++) {
		const struct iommuse_area *area = &device->model.bar[bar].area[i];

		if (offset >= area->offset && offset - area->offset < area->length)
			return device->vfio.memory[bar] + offset;
	}
	return NULL;
}

/* DMA */

static int failed(const struct dma_fault *from, struct iommuse_fault *to)
{
	if (to)
		*to = (struct iommuse_fault){.iova = from->iova, .pasid = from->pasid, .reason = from->reason};
	return -EFAULT;
}

/* Says that DMA is blocked where dma_read() and its like have not. */
static int refuse(struct model_device *device, const struct dma_fault *blocked, uint64_t n, struct iommuse_fault *fault)
{
	dma_report(&device->vfio.dma, blocked, n);
	return failed(blocked, fault);
}

static int may_dma(struct model_device *device, uint32_t pasid, uint64_t iova, uint64_t n, enum dma_access access,
		   struct iommuse_fault *fault)
{
	const struct dma_fault blocked = {
		.pasid = pasid, .reason = DMA_FAULT_BUS_MASTER, .access = access, .iova = iova};

	if (vfio_device_command(&device->vfio) & COMMAND_BUS_MASTER)
		return 0;
	return refuse(device, &blocked, n, fault);
}

static int read_memory(struct iommuse_device *base, uint32_t pasid, uint64_t iova, void *to, size_t n,
		       struct iommuse_fault *fault)
{
	struct model_device *device = model_device(base);
	struct dma_fault blocked;

	if (may_dma(device, pasid, iova, n, DMA_READ, fault))
		return -EFAULT;
	if (dma_read(&device->vfio.dma, pasid, iova, to, n, &blocked))
		return failed(&blocked, fault);
	return 0;
}

static int write_memory(struct iommuse_device *base, uint32_t pasid, uint64_t iova, const void *from, size_t n,
			struct iommuse_fault *fault)
{
	struct model_device *device = model_device(base);
	struct dma_fault blocked;

	if (may_dma(device, pasid, iova, n, DMA_WRITE, fault))
		return -EFAULT;
	/* Who sees one write of a device sees those before it. */
	atomic_thread_fence(memory_order_release);
	if (dma_write(&device->vfio.dma, pasid, iova, from, n, &blocked))
		return failed(&blocked, fault);
	return 0;
}

struct copy {
	struct model_device *device;
	uint32_t pasid;
	bool shared; /* the PASID is a process's, as was found out last */
	uint64_t to, from, n, done;
};

/* May be even where the IOVAs do not. */
static bool overlap(const uint8_t *a, const uint8_t *b, uint64_t n)
{
	return a < b + n && b < a + n;
}

static const struct hold *guarded(const struct dma_run *a, const struct dma_run *b)
{
	return a->hold && a->hold->copy ? a->hold : b->hold;
}

/* As many bytes as both have, or 0. */
static uint64_t copy_here(const struct dma_run *from, const struct dma_run *to)
{
	uint64_t n = from->length < to->length ? from->length : to->length;

	n = n < SECTION_BYTES ? n : SECTION_BYTES;
	if (overlap(from->host, to->host, n) || memory_copy(guarded(from, to), to->host, from->host, n) != n)
		return 0;
	return n;
}

/*
 * One section. Returns how many bytes were copied; 0: with *blocked, or with reason 0 where they cannot be copied so.
 */
static size_t copy_direct(struct copy *copy, struct dma_fault *blocked)
{
	struct dma *dma = &copy->device->vfio.dma;
	uint64_t left = copy->n - copy->done, n = 0;
	struct dma_run from, to;
	size_t count;

	copy->shared = false;
	dma_begin(dma);
	if (dma_translate(dma, copy->pasid, copy->from + copy->done, left, DMA_READ, &from, 1, &count, blocked) &&
	    dma_translate(dma, copy->pasid, copy->to + copy->done, left, DMA_WRITE, &to, 1, &count, blocked)) {
		copy->shared = !from.host && from.shared;
		if (from.host && to.host)
			n = copy_here(&from, &to);
	}
	dma_end(dma);
	if (blocked->reason)
		dma_report(dma, blocked, left);
	return n;
}

/* The same, with *blocked also where some came before. */
static size_t copy_bounced(const struct copy *copy, struct dma_fault *blocked)
{
	struct dma *dma = &copy->device->vfio.dma;
	uint64_t from = copy->from + copy->done, left = copy->n - copy->done;
	uint8_t *bounce = copy->device->bounce;
	size_t most = copy->shared ? BOUNCE_BYTES : BOUNCE_PAGES_BYTES;
	size_t n = left < most ? left : most;
	struct dma_fault write;

	if (dma_read(dma, copy->pasid, from, bounce, n, blocked))
		n = blocked->iova - from;
	if (dma_write(dma, copy->pasid, copy->to + copy->done, bounce, n, &write)) {
		*blocked = write;
		return 0;
	}
	return n;
}

static bool beyond_last(uint64_t iova, uint64_t done)
{
	return done && iova + done < iova;
}

static int copy_memory(struct iommuse_device *base, uint32_t pasid, uint64_t to, uint64_t from, size_t n,
		       struct iommuse_fault *fault)
{
	struct model_device *device = model_device(base);
	struct copy copy = {.device = device, .pasid = pasid, .to = to, .from = from, .n = n};
	struct dma_fault blocked = {.pasid = pasid, .reason = DMA_FAULT_NOT_MAPPED};

	if (may_dma(device, pasid, from, n, DMA_READ, fault))
		return -EFAULT;
	while (copy.done < n) {
		size_t part;

		if (beyond_last(from, copy.done) || beyond_last(to, copy.done)) {
			blocked.access = beyond_last(from, copy.done) ? DMA_READ : DMA_WRITE;
			blocked.iova = 0;
			blocked.reason = DMA_FAULT_NOT_MAPPED;
			return refuse(device, &blocked, n - copy.done, fault);
		}
		part = copy_direct(&copy, &blocked);
		if (!part && !blocked.reason)
			part = copy_bounced(&copy, &blocked);
		if (blocked.reason)
			return failed(&blocked, fault);
		copy.done += part;
	}
	return 0;
}

/* Borrowed memory */

/* In place, if it is in one piece that nobody can cut off. */
static bool borrow_direct(struct model_device *device, struct borrowed *borrowed, struct dma_fault *blocked)
{
	struct dma *dma = &device->borrowing;
	struct dma_run run;
	uint64_t found;
	size_t count;

	if (!device->direct)
		dma_begin(dma);
	found = dma_translate(dma, borrowed->pasid, borrowed->iova, borrowed->length, borrowed->direction, &run, 1,
			      &count, blocked);
	if (!blocked->reason && found == borrowed->length && run.host && !(run.hold && run.hold->copy)) {
		borrowed->memory = run.host;
		device->direct++;
	}
	if (!device->direct)
		dma_end(dma);
	if (blocked->reason)
		dma_report(dma, blocked, borrowed->length - found);
	return borrowed->memory;
}

static int borrow_copy(struct model_device *device, struct borrowed *borrowed, struct dma_fault *blocked)
{
	void *memory = calloc(1, borrowed->length);

	if (!memory)
		return -ENOMEM;
	if (borrowed->direction & IOMMUSE_READ &&
	    dma_read(&device->vfio.dma, borrowed->pasid, borrowed->iova, memory, borrowed->length, blocked)) {
		free(memory);
		return -EFAULT;
	}
	borrowed->memory = memory;
	borrowed->copied = true;
	return 0;
}

static void give_back(struct model_device *device, struct borrowed *borrowed)
{
	if (borrowed->copied) {
		if (borrowed->direction & IOMMUSE_WRITE)
			dma_write(&device->vfio.dma, borrowed->pasid, borrowed->iova, borrowed->memory,
				  borrowed->length, NULL);
		free(borrowed->memory);
	} else if (!--device->direct) {
		dma_end(&device->borrowing);
	}
	borrowed->memory = NULL;
}

static struct borrowed *free_one(struct model_device *device)
{
	for (unsigned i = 0; i < BORROWED_MAX; i++)
		if (!device->borrowed[i].memory)
			return &device->borrowed[i];
	return NULL;
}

static int map_memory(struct iommuse_device *base, uint32_t pasid, uint64_t iova, size_t n,
		      enum iommuse_direction direction, struct iommuse_mapping *mapping, struct iommuse_fault *fault)
{
	struct model_device *device = model_device(base);
	struct borrowed *borrowed = free_one(device);
	struct dma_fault blocked;
	int rc = 0;

	if (!n || n > BORROW_BYTES || !direction || direction & ~(IOMMUSE_READ | IOMMUSE_WRITE))
		return -EINVAL;
	if (!borrowed)
		return -EBUSY;
	if (may_dma(device, pasid, iova, n, (enum dma_access)direction, fault))
		return -EFAULT;
	*borrowed = (struct borrowed){.iova = iova, .length = n, .pasid = pasid, .direction = direction};
	if (!borrow_direct(device, borrowed, &blocked))
		rc = blocked.reason ? -EFAULT : borrow_copy(device, borrowed, &blocked);
	if (rc == -EFAULT)
		failed(&blocked, fault);
	if (!rc)
		*mapping = (struct iommuse_mapping){.memory = borrowed->memory,
						    .length = n,
						    .iova = iova,
						    .pasid = pasid,
						    .direction = direction,
						    .own = borrowed};
	return rc;
}

static void unmap_memory(struct iommuse_device *base, struct iommuse_mapping *mapping)
{
	struct model_device *device = model_device(base);

	for (unsigned i = 0; i < BORROWED_MAX; i++)
		if (mapping->own == &device->borrowed[i] && device->borrowed[i].memory)
			give_back(device, &device->borrowed[i]);
	mapping->own = NULL;
	mapping->memory = NULL;
}

/* Page requests */

static int page_request(struct iommuse_device *base, uint32_t pasid, uint64_t address, uint32_t access, uint32_t group)
{
	struct model_device *device = model_device(base);

	if (!device->model.page_requests)
		return -EOPNOTSUPP;
	if (!access || access & ~(uint32_t)(IOMMUSE_READ | IOMMUSE_WRITE) || group >= REQUEST_GROUPS)
		return -EINVAL;
	if (may_dma(device, pasid, address, PAGE_SIZE, (enum dma_access)access, NULL))
		return -EFAULT;
	return requests_make(device, pasid, address, access, group);
}

void model_device_answer(struct iommu_device *iommu, uint32_t pasid, uint32_t group, uint32_t code)
{
	const struct vfio_device *vfio = (struct vfio_device *)((char *)iommu - offsetof(struct vfio_device, iommu));

	(void)pasid;
	requests_answer(vfio->owner, group, code);
}

/* Interrupts and words */

static void raise_vector(struct iommuse_device *base, unsigned vector)
{
	irq_raise(&model_device(base)->vfio, vector);
}

static void set_intx(struct iommuse_device *base, bool asserted)
{
	irq_set_intx(&model_device(base)->vfio, asserted);
}

static unsigned vectors(struct iommuse_device *base)
{
	return irq_vectors(&model_device(base)->vfio);
}

/* By an event, where somebody listens: a log may be held up by who reads it. */
static void say(struct iommuse_device *base, const char *text)
{
	struct model_device *device = model_device(base);
	struct event event = {.type = EVENT_MESSAGE, .fd = -1};

	if (device->said) {
		snprintf(device->said, device->said_room, "%s: %s", device->model.name, text);
		return;
	}
	snprintf(event.text, sizeof(event.text), "%s (%s): %s", device->vfio.name, device->model.name, text);
	if (event_wanted_of(device->vfio.iommu.events, EVENT_MESSAGE))
		event_announce(device->vfio.iommu.events, &event);
	else
		log_line("%s", event.text);
}

const struct iommuse_device_ops model_device_ops = {
	.struct_size = sizeof(struct iommuse_device_ops),
	.value = value_of,
	.area = area_of,
	.dma_read = read_memory,
	.dma_write = write_memory,
	.dma_copy = copy_memory,
	.dma_map = map_memory,
	.dma_unmap = unmap_memory,
	.raise = raise_vector,
	.set_intx = set_intx,
	.vectors = vectors,
	.say = say,
	.page_request = page_request,
};

/* Callbacks, as vfio/ calls them. */

static void end_callback(struct model_device *device)
{
	for (unsigned i = 0; i < BORROWED_MAX; i++)
		if (device->borrowed[i].memory)
			give_back(device, &device->borrowed[i]);
	dma_report_withheld(&device->vfio.dma, &device->withheld);
}

static void call_reset(void *context)
{
	struct model_device *device = context;

	requests_forget(device);
	device->model.reset(device->state);
	end_callback(device);
}

static uint64_t call_read(void *context, unsigned bar, uint64_t offset, unsigned width)
{
	struct model_device *device = context;
	uint64_t value = device->model.read(device->state, bar, offset, width);

	end_callback(device);
	return value;
}

static void call_write(void *context, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	struct model_device *device = context;

	device->model.write(device->state, bar, offset, width, value);
	end_callback(device);
}

static bool call_poll(void *context)
{
	struct model_device *device = context;
	bool found = device->model.page_requests && requests_deliver(device);

	if (device->model.poll)
		found |= device->model.poll(device->state);
	end_callback(device);
	return found;
}

static void call_look_at_pin(void *context)
{
	struct model_device *device = context;

	device->model.look_at_pin(device->state);
	end_callback(device);
}

void model_device_wrap(struct model_device *device)
{
	device->seen = device->model;
	device->seen.create = NULL;
	device->seen.destroy = NULL;
	device->seen.reset = device->model.reset ? call_reset : NULL;
	device->seen.read = device->model.read ? call_read : NULL;
	device->seen.write = device->model.write ? call_write : NULL;
	device->seen.poll = device->model.poll || device->model.page_requests ? call_poll : NULL;
	device->seen.look_at_pin = device->model.look_at_pin ? call_look_at_pin : NULL;
	device->vfio.model = &device->seen;
	device->vfio.state = device;
}

static int opened(struct vfio_device *device)
{
	return poller_start(model_device(&device->base));
}

static void closing(struct vfio_device *device)
{
	poller_stop(model_device(&device->base));
}

static void kick(struct vfio_device *device)
{
	poller_kick(model_device(&device->base));
}

const struct vfio_device_hooks model_device_hooks = {.opened = opened, .closing = closing, .kick = kick};

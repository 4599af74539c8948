/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO_DEVICE_GET_IRQ_INFO and VFIO_DEVICE_SET_IRQS.
 *
 * The data of a SET_IRQS is copied, and the eventfds in it are found, before a lock is taken. What is wrong with one of
 * them counts when its turn comes: what Linux finds before that is said first.
 */
#include "abi/vfio.h"
#include "client/eventfd.h"
#include "vfio/device_file.h"
#include "vfio/irq_unmask.h"

#include <stdlib.h>

struct request {
	union {
		void *data; /* NULL: there is none */
		uint8_t *bools;
		int32_t *fds;
	};
	/* Of set.count entries each: what fds mean, and what was taken out, to be freed without locks. NULL: no fds. */
	struct eventfd **eventfds, **old;
	uint32_t found; /* how many of fds were looked at with success, */
	int err;        /* and what is wrong with the next */
	struct vfio_irq_set set;
};

typedef int request_handler(struct vfio_device *device, struct request *request);

int device_get_irq_info(struct device_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_device *device = file->device;
	struct vfio_irq_info info;

	if (client_copy_in(client, &info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info) || info.index >= IRQ_INDEXES)
		return -EINVAL;
	if (info.index == VFIO_PCI_ERR_IRQ_INDEX && !irq_count(device, info.index))
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	if (info.index == VFIO_PCI_INTX_IRQ_INDEX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	info.count = irq_count(device, info.index);
	return client_copy_out(client, arg, &info, sizeof(info));
}

/* Returns the size of the data, or -EINVAL. */
static int check_header(const struct vfio_device *device, const struct vfio_irq_set *set)
{
	uint32_t size, count;

	if (set->argsz < sizeof(*set) || set->index >= IRQ_INDEXES || set->count >= UINT32_MAX - set->start ||
	    set->flags & ~(uint32_t)(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK))
		return -EINVAL;
	count = irq_count(device, set->index);
	if (set->start >= count || set->start + set->count > count)
		return -EINVAL;
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = sizeof(uint8_t);
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = sizeof(int32_t);
		break;
	default:
		return -EINVAL;
	}
	if (set->argsz - sizeof(*set) < set->count * size)
		return -EINVAL;
	return (int)(set->count * size);
}

static int request_read(struct vfio_device *device, struct client *client, uaddr_t arg, struct request *r)
{
	int size;

	if (client_copy_in(client, &r->set, arg, sizeof(r->set)))
		return -EFAULT;
	size = check_header(device, &r->set);
	if (size <= 0)
		return size;
	r->data = malloc((size_t)size);
	if (!r->data)
		return -ENOMEM;
	return client_copy_in(client, r->data, uaddr_add(arg, sizeof(r->set)), (size_t)size);
}

/* What is wrong with an eventfd is no error yet. Returns 0 or -ENOMEM. */
static int find_eventfds(struct client *client, struct request *r)
{
	uint32_t count = r->set.count;

	if (!(r->set.flags & VFIO_IRQ_SET_DATA_EVENTFD) || !count)
		return 0;
	r->eventfds = calloc(count, sizeof(struct eventfd *));
	r->old = calloc(count, sizeof(struct eventfd *));
	if (!r->eventfds || !r->old)
		return -ENOMEM;
	while (r->found < count && !r->err) {
		if (r->fds[r->found] >= 0)
			r->err = eventfd_new(client, r->fds[r->found], &r->eventfds[r->found]);
		if (!r->err)
			r->found++;
	}
	return 0;
}

static void request_free(struct request *r)
{
	if (r->eventfds && r->old)
		for (uint32_t i = 0; i < r->set.count; i++) {
			eventfd_free(r->eventfds[i]);
			eventfd_free(r->old[i]);
		}
	free(r->eventfds);
	free(r->old);
	free(r->data);
}

static bool data_is(const struct request *r, uint32_t type)
{
	return r->set.flags & type;
}

/* Is the ith told to happen? For data that is no eventfds. */
static bool told(const struct request *r, uint32_t i)
{
	return data_is(r, VFIO_IRQ_SET_DATA_NONE) || r->bools[i];
}

/* Puts the ith eventfd where it is going to be signalled. Returns 0, or what is wrong with it. */
static int install(struct irqs *irqs, struct request *r, uint32_t i, struct eventfd **place)
{
	if (i >= r->found)
		return r->err;
	pthread_mutex_lock(&irqs->lock);
	r->old[i] = *place;
	*place = r->eventfds[i];
	r->eventfds[i] = NULL;
	pthread_mutex_unlock(&irqs->lock);
	return 0;
}

static void take_out(struct irqs *irqs, struct eventfd **place, struct eventfd **taken)
{
	pthread_mutex_lock(&irqs->lock);
	*taken = *place;
	*place = NULL;
	pthread_mutex_unlock(&irqs->lock);
}

static bool is_one_intx(const struct vfio_device *device, const struct request *r)
{
	return device->irqs.mode == VFIO_PCI_INTX_IRQ_INDEX && !r->set.start && r->set.count == 1;
}

static int mask_intx(struct vfio_device *device, struct request *r)
{
	if (!is_one_intx(device, r))
		return -EINVAL;
	if (data_is(r, VFIO_IRQ_SET_DATA_EVENTFD))
		return -ENOTTY;
	if (told(r, 0))
		irq_mask_intx(device);
	return 0;
}

static int set_unmask(struct vfio_device *device, struct request *r)
{
	struct irqs *irqs = &device->irqs;
	struct irq_unmask *unmask = NULL;
	struct irq_unmask *old;
	int err;

	if (r->err)
		return r->err;
	if (r->eventfds[0]) {
		if (irqs->unmask)
			return -EBUSY;
		err = irq_unmask_new(device, r->eventfds[0], &unmask);
		if (err)
			return err;
		r->eventfds[0] = NULL;
	}
	pthread_mutex_lock(&irqs->lock);
	old = irqs->unmask;
	irqs->unmask = unmask;
	pthread_mutex_unlock(&irqs->lock);
	irq_unmask_free(old);
	return 0;
}

static int unmask_intx(struct vfio_device *device, struct request *r)
{
	if (!is_one_intx(device, r))
		return -EINVAL;
	if (r->eventfds)
		return set_unmask(device, r);
	if (told(r, 0))
		irq_unmask_intx(device);
	return 0;
}

static bool ends_mode(const struct vfio_device *device, const struct request *r)
{
	return device->irqs.mode == (int)r->set.index && !r->set.count && data_is(r, VFIO_IRQ_SET_DATA_NONE);
}

/* Is another mode enabled? */
static bool is_in_the_way(const struct vfio_device *device, const struct request *r)
{
	return device->irqs.mode >= 0 && device->irqs.mode != (int)r->set.index;
}

static int trigger_intx(struct vfio_device *device, struct request *r)
{
	struct irqs *irqs = &device->irqs;
	bool enabled = irqs->mode == VFIO_PCI_INTX_IRQ_INDEX;
	int err;

	if (ends_mode(device, r)) {
		irq_disable(device);
		return 0;
	}
	if (is_in_the_way(device, r) || r->set.start || r->set.count != 1)
		return -EINVAL;
	if (data_is(r, VFIO_IRQ_SET_DATA_EVENTFD)) {
		err = install(irqs, r, 0, &irqs->trigger[0]);
		if (!err && !enabled)
			irq_enable(device, VFIO_PCI_INTX_IRQ_INDEX, 1);
		return err;
	}
	if (!enabled)
		return -EINVAL;
	if (told(r, 0))
		irq_signal_intx(device);
	return 0;
}

/* Where one fails, it and those before it are gone. */
static int set_vectors(struct irqs *irqs, struct request *r)
{
	int err = 0;
	uint32_t i;

	for (i = 0; i < r->set.count && !err; i++) {
		uint32_t vector = r->set.start + i;

		if (vector < irqs->enabled)
			err = install(irqs, r, i, &irqs->trigger[vector]);
		else if (r->fds[i] >= 0)
			err = -EINVAL;
	}
	while (err && i--)
		if (r->set.start + i < irqs->enabled)
			take_out(irqs, &irqs->trigger[r->set.start + i], &r->eventfds[i]);
	return err;
}

/* All vectors that a device has are there to be enabled, so none is ever short. */
static int enable_vectors(struct vfio_device *device, struct request *r)
{
	uint32_t vectors = r->set.start + r->set.count;
	int err;

	if (!vectors)
		return -ERANGE;
	irq_enable(device, (int)r->set.index, vectors);
	err = set_vectors(&device->irqs, r);
	if (err)
		irq_disable(device);
	return err;
}

static int trigger_messages(struct vfio_device *device, struct request *r)
{
	struct irqs *irqs = &device->irqs;
	bool enabled = irqs->mode == (int)r->set.index;

	if (ends_mode(device, r)) {
		irq_disable(device);
		return 0;
	}
	if (is_in_the_way(device, r))
		return -EINVAL;
	if (data_is(r, VFIO_IRQ_SET_DATA_EVENTFD))
		return enabled ? set_vectors(irqs, r) : enable_vectors(device, r);
	if (!enabled)
		return -EINVAL;
	pthread_mutex_lock(&irqs->lock);
	for (uint32_t i = 0; i < r->set.count && r->set.start + i < irqs->enabled; i++)
		if (told(r, i))
			irq_signal(irqs, irqs->trigger[r->set.start + i]);
	pthread_mutex_unlock(&irqs->lock);
	return 0;
}

static int clear_single(struct irqs *irqs, struct eventfd **place)
{
	struct eventfd *old;

	take_out(irqs, place, &old);
	eventfd_free(old);
	return 0;
}

static int set_single(struct irqs *irqs, struct request *r, struct eventfd **place)
{
	if (data_is(r, VFIO_IRQ_SET_DATA_NONE) ? !*place : !r->set.count)
		return -EINVAL;
	if (!r->set.count)
		return clear_single(irqs, place);
	if (data_is(r, VFIO_IRQ_SET_DATA_EVENTFD))
		return r->fds[0] < -1 ? -EINVAL : install(irqs, r, 0, place);
	if (told(r, 0)) {
		pthread_mutex_lock(&irqs->lock);
		irq_signal(irqs, *place);
		pthread_mutex_unlock(&irqs->lock);
	}
	return 0;
}

static int trigger_error(struct vfio_device *device, struct request *r)
{
	return set_single(&device->irqs, r, &device->irqs.error);
}

static int trigger_request(struct vfio_device *device, struct request *r)
{
	return set_single(&device->irqs, r, &device->irqs.request);
}

/* NULL: there is no such action. */
static request_handler *find_handler(const struct vfio_irq_set *set)
{
	static request_handler *const trigger[IRQ_INDEXES] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = trigger_intx,     [VFIO_PCI_MSI_IRQ_INDEX] = trigger_messages,
		[VFIO_PCI_MSIX_IRQ_INDEX] = trigger_messages, [VFIO_PCI_ERR_IRQ_INDEX] = trigger_error,
		[VFIO_PCI_REQ_IRQ_INDEX] = trigger_request,
	};

	switch (set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
	case VFIO_IRQ_SET_ACTION_TRIGGER:
		return trigger[set->index];
	case VFIO_IRQ_SET_ACTION_MASK:
		return set->index == VFIO_PCI_INTX_IRQ_INDEX ? mask_intx : NULL;
	case VFIO_IRQ_SET_ACTION_UNMASK:
		return set->index == VFIO_PCI_INTX_IRQ_INDEX ? unmask_intx : NULL;
	default:
		return NULL;
	}
}

static int handle(struct device_file *file, struct request *r, request_handler *handler)
{
	struct vfio_device *device = file->device;
	int rc = file->closed ? -ENODEV : 0;

	if (!rc && r->eventfds && !device->irqs.sender)
		rc = eventfd_sender_new(&device->irqs.sender);
	return rc ? rc : handler(device, r);
}

int device_set_irqs(struct device_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_device *device = file->device;
	request_handler *handler;
	struct request r = {0};
	int rc = request_read(device, client, arg, &r);

	if (rc)
		goto out_free;
	handler = find_handler(&r.set);
	rc = handler ? find_eventfds(client, &r) : -ENOTTY;
	if (rc)
		goto out_free;
	pthread_mutex_lock(&device->lock);
	rc = handle(file, &r, handler);
	pthread_mutex_unlock(&device->lock);
out_free:
	request_free(&r);
	return rc;
}

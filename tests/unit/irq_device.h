/* SPDX-License-Identifier: BSD-3-Clause */
/* A device with interrupts and nothing else, and a client in this process that sets them. */
#ifndef IOMMUSE_TESTS_IRQ_DEVICE_H
#define IOMMUSE_TESTS_IRQ_DEVICE_H

#include "abi/vfio.h"
#include "check.h"
#include "client/local.h"
#include "vfio/device_file.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK    VFIO_IRQ_SET_ACTION_MASK
#define UNMASK  VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI  VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR  VFIO_PCI_ERR_IRQ_INDEX
#define REQ  VFIO_PCI_REQ_IRQ_INDEX

#define MSI_AT  0x50
#define MSIX_AT 0x70

enum { VECTORS = 2048 };

struct irq_device {
	struct vfio_device device;
	struct device_file file;
	struct iommuse_model model;
	struct local local;
	struct local_client client;
};

static int irq_no_file(void *context, int fd, struct file **file)
{
	(void)context;
	(void)fd;
	(void)file;
	return -EBADFD;
}

static inline void irq_device_begin(struct irq_device *d)
{
	static const struct local_files files = {.file = irq_no_file};

	memset(d, 0, sizeof(*d));
	d->model = (struct iommuse_model){.intx = true, .msi_vectors = 8, .msix_vectors = VECTORS};
	d->device.model = &d->model;
	pthread_mutex_init(&d->device.lock, NULL);
	pthread_mutex_init(&d->device.model_lock, NULL);
	d->device.config.msi = MSI_AT;
	d->device.config.msix = MSIX_AT;
	d->device.config.express = 0x80;
	d->device.config.command = PCI_COMMAND_MASTER;
	d->file.device = &d->device;
	d->local = (struct local){.kind = LOCAL_CHECKED, .files = &files};
	CHECK_EQ(local_init(&d->local), 0);
	local_client_init(&d->client, &d->local, -1);
	CHECK_EQ(irqs_init(&d->device.irqs, &d->model), 0);
}

static inline void irq_device_disable(struct irq_device *d)
{
	pthread_mutex_lock(&d->device.lock);
	irqs_disable(&d->device);
	pthread_mutex_unlock(&d->device.lock);
}

static inline void irq_device_end(struct irq_device *d)
{
	irq_device_disable(d);
	irqs_fini(&d->device.irqs);
	local_fini(&d->local);
	pthread_mutex_destroy(&d->device.lock);
	pthread_mutex_destroy(&d->device.model_lock);
}

/* VFIO_DEVICE_SET_IRQS with size bytes of data. */
static inline int irq_set(struct irq_device *d, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
			  const void *data, size_t size)
{
	struct vfio_irq_set *set = malloc(sizeof(*set) + size);
	int rc;

	*set = (struct vfio_irq_set){
		.argsz = (uint32_t)(sizeof(*set) + size),
		.flags = flags,
		.index = index,
		.start = start,
		.count = count,
	};
	if (size)
		memcpy(set->data, data, size);
	rc = device_set_irqs(&d->file, &d->client.client, uaddr((uintptr_t)set));
	free(set);
	return rc;
}

static inline int irq_set_fds(struct irq_device *d, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	return irq_set(d, EVENTFD | TRIGGER, index, start, count, fds, count * sizeof(*fds));
}

static inline int irq_set_none(struct irq_device *d, uint32_t action, uint32_t index, uint32_t start, uint32_t count)
{
	return irq_set(d, NONE | action, index, start, count, NULL, 0);
}

static inline void irq_model_raise(struct irq_device *d, unsigned vector)
{
	pthread_mutex_lock(&d->device.model_lock);
	irq_raise(&d->device, vector);
	pthread_mutex_unlock(&d->device.model_lock);
}

static inline void irq_model_set_intx(struct irq_device *d, bool asserted)
{
	pthread_mutex_lock(&d->device.model_lock);
	irq_set_intx(&d->device, asserted);
	pthread_mutex_unlock(&d->device.model_lock);
}

static inline unsigned irq_model_vectors(struct irq_device *d)
{
	unsigned vectors;

	pthread_mutex_lock(&d->device.model_lock);
	vectors = irq_vectors(&d->device);
	pthread_mutex_unlock(&d->device.model_lock);
	return vectors;
}

/* What a write of the command register does. */
static inline void irq_set_command(struct irq_device *d, uint16_t command)
{
	pthread_mutex_lock(&d->device.model_lock);
	atomic_store(&d->device.config.command, command);
	irq_intx_disabled(&d->device);
	pthread_mutex_unlock(&d->device.model_lock);
}

/* What configuration space says. */
static inline uint8_t irq_config(struct irq_device *d, unsigned at)
{
	uint8_t byte;

	pthread_mutex_lock(&d->device.model_lock);
	vfio_device_refresh_config(&d->device);
	byte = d->device.config.byte[at];
	pthread_mutex_unlock(&d->device.model_lock);
	return byte;
}

static inline int irq_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	CHECK(fd >= 0);
	return fd;
}

/* How often it was signalled since it was last asked. */
static inline uint64_t irq_signals(int fd)
{
	eventfd_t count = 0;

	(void)eventfd_read(fd, &count);
	return count;
}

/* The same where somebody else does it soon. */
static inline uint64_t irq_wait(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	(void)poll(&pollfd, 1, -1);
	return irq_signals(fd);
}

#endif

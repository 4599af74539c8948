/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio/irq.h"

#include "abi/vfio.h"
#include "client/eventfd.h"
#include "vfio/device.h"
#include "vfio/irq_unmask.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

#define NO_MODE (-1)

int irqs_init(struct irqs *irqs, const struct iommuse_model *model)
{
	uint32_t vectors = 1;

	*irqs = (struct irqs){
		.mode = NO_MODE,
		.count = {[VFIO_PCI_INTX_IRQ_INDEX] = model->intx,
			  [VFIO_PCI_MSI_IRQ_INDEX] = model->msi_vectors,
			  [VFIO_PCI_MSIX_IRQ_INDEX] = model->msix_vectors,
			  [VFIO_PCI_ERR_IRQ_INDEX] = 1,
			  [VFIO_PCI_REQ_IRQ_INDEX] = 1},
	};
	for (unsigned i = VFIO_PCI_MSI_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		vectors = vectors > irqs->count[i] ? vectors : irqs->count[i];
	irqs->trigger = calloc(vectors, sizeof(struct eventfd *));
	irqs->spare = calloc(vectors, sizeof(struct eventfd *));
	if (!irqs->trigger || !irqs->spare) {
		free(irqs->trigger);
		free(irqs->spare);
		return -ENOMEM;
	}
	pthread_mutex_init(&irqs->lock, NULL);
	return 0;
}

void irqs_fini(struct irqs *irqs)
{
	eventfd_sender_free(irqs->sender);
	free(irqs->trigger);
	free(irqs->spare);
	pthread_mutex_destroy(&irqs->lock);
}

uint32_t irq_count(const struct vfio_device *device, uint32_t index)
{
	if (index == VFIO_PCI_ERR_IRQ_INDEX && !device->config.express)
		return 0;
	return device->irqs.count[index];
}

void irq_signal(struct irqs *irqs, struct eventfd *eventfd)
{
	if (eventfd)
		eventfd_signal(irqs->sender, eventfd);
}

static bool intx_disabled(const struct vfio_device *device)
{
	return vfio_device_command(device) & PCI_COMMAND_INTX_DISABLE;
}

/* After each change of what it looks at. With the lock held. */
static void fire_intx(struct vfio_device *device)
{
	struct irqs *irqs = &device->irqs;

	if (irqs->mode != VFIO_PCI_INTX_IRQ_INDEX || !irqs->asserted || irqs->masked || intx_disabled(device))
		return;
	irqs->masked = true;
	irq_signal(irqs, irqs->trigger[0]);
}

void irq_signal_intx(struct vfio_device *device)
{
	struct irqs *irqs = &device->irqs;

	pthread_mutex_lock(&irqs->lock);
	if (irqs->mode == VFIO_PCI_INTX_IRQ_INDEX && !intx_disabled(device))
		irq_signal(irqs, irqs->trigger[0]);
	pthread_mutex_unlock(&irqs->lock);
}

void irq_mask_intx(struct vfio_device *device)
{
	pthread_mutex_lock(&device->irqs.lock);
	device->irqs.masked = true;
	pthread_mutex_unlock(&device->irqs.lock);
}

static void unmask(struct vfio_device *device)
{
	pthread_mutex_lock(&device->irqs.lock);
	if (!intx_disabled(device)) {
		device->irqs.masked = false;
		fire_intx(device);
	}
	pthread_mutex_unlock(&device->irqs.lock);
}

/*
 * A driver that has served its device may have told it so in mapped pages, which the device has not seen yet. It looks
 * now, or its pin would interrupt for nothing, again and again until it looks.
 */
static void look(struct vfio_device *device)
{
	const struct iommuse_model *model = device->model;
	const struct irqs *irqs = &device->irqs;
	bool up;

	pthread_mutex_lock(&device->irqs.lock);
	up = irqs->mode == VFIO_PCI_INTX_IRQ_INDEX && irqs->asserted;
	pthread_mutex_unlock(&device->irqs.lock);
	if (!up)
		return;
	pthread_mutex_lock(&device->model_lock);
	if (model->look_at_pin)
		model->look_at_pin(device->state);
	else if (model->poll)
		model->poll(device->state);
	pthread_mutex_unlock(&device->model_lock);
	vfio_device_kick(device);
}

void irq_unmask_intx(struct vfio_device *device)
{
	look(device);
	unmask(device);
}

void irq_intx_disabled(struct vfio_device *device)
{
	if (intx_disabled(device))
		irq_mask_intx(device);
	else
		unmask(device);
}

void irq_enable(struct vfio_device *device, int mode, uint32_t vectors)
{
	struct irqs *irqs = &device->irqs;

	pthread_mutex_lock(&irqs->lock);
	irqs->mode = mode;
	irqs->enabled = vectors;
	irqs->masked = intx_disabled(device);
	fire_intx(device);
	pthread_mutex_unlock(&irqs->lock);
}

void irq_disable(struct vfio_device *device)
{
	struct irqs *irqs = &device->irqs;
	struct eventfd **triggers = irqs->trigger;
	struct irq_unmask *unmask = irqs->unmask;
	uint32_t vectors = irqs->enabled;

	pthread_mutex_lock(&irqs->lock);
	irqs->trigger = irqs->spare;
	irqs->mode = NO_MODE;
	irqs->enabled = 0;
	irqs->unmask = NULL;
	pthread_mutex_unlock(&irqs->lock);
	irqs->spare = triggers;
	irq_unmask_free(unmask);
	for (uint32_t i = 0; i < vectors; i++) {
		eventfd_free(triggers[i]);
		triggers[i] = NULL;
	}
}

void irqs_disable(struct vfio_device *device)
{
	struct irqs *irqs = &device->irqs;
	struct eventfd *error, *request;

	irq_disable(device);
	pthread_mutex_lock(&irqs->lock);
	irqs->asserted = false;
	error = irqs->error;
	request = irqs->request;
	irqs->error = irqs->request = NULL;
	pthread_mutex_unlock(&irqs->lock);
	eventfd_free(error);
	eventfd_free(request);
}

/* A message is a write to memory, which a device makes only as a bus master. */
void irq_raise(struct vfio_device *device, unsigned vector)
{
	struct irqs *irqs = &device->irqs;

	pthread_mutex_lock(&irqs->lock);
	if (irqs->mode > VFIO_PCI_INTX_IRQ_INDEX && vector < irqs->enabled &&
	    vfio_device_command(device) & PCI_COMMAND_MASTER)
		irq_signal(irqs, irqs->trigger[vector]);
	pthread_mutex_unlock(&irqs->lock);
}

void irq_set_intx(struct vfio_device *device, bool asserted)
{
	struct irqs *irqs = &device->irqs;

	if (!irqs->count[VFIO_PCI_INTX_IRQ_INDEX])
		return;
	pthread_mutex_lock(&irqs->lock);
	irqs->asserted = asserted;
	fire_intx(device);
	pthread_mutex_unlock(&irqs->lock);
}

unsigned irq_vectors(struct vfio_device *device)
{
	struct irqs *irqs = &device->irqs;
	unsigned vectors;

	pthread_mutex_lock(&irqs->lock);
	vectors = irqs->mode > VFIO_PCI_INTX_IRQ_INDEX ? irqs->enabled : 0;
	pthread_mutex_unlock(&irqs->lock);
	return vectors;
}

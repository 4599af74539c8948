/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of a device: each is an eventfd of the client's that is signalled. One of INTx, MSI and MSI-X is enabled
 * at a time; ERR and REQ are VFIO's own. Signalling never waits for a client (client/eventfd.h).
 */
#ifndef IOMMUSE_VFIO_IRQ_H
#define IOMMUSE_VFIO_IRQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct eventfd;
struct iommuse_model;
struct vfio_device;

#define IRQ_INDEXES 5U /* VFIO_PCI_INTX_IRQ_INDEX to VFIO_PCI_REQ_IRQ_INDEX */

struct irqs {
	pthread_mutex_t lock;        /* guards what follows; a leaf */
	uint32_t count[IRQ_INDEXES]; /* how many there are of each; does not change */
	int mode;                    /* the index of INTx, MSI, MSI-X that is enabled; -1: none */
	uint32_t enabled;            /* vectors of it */
	struct eventfd **trigger;    /* of each vector; NULL: it goes nowhere */
	struct eventfd *error, *request;
	struct eventfd *unmask; /* INTx: a client's write to it unmasks */
	bool asserted, masked;  /* INTx: the pin, and whether the driver has masked it, or VFIO after it fired */
};

/* Returns 0 or -ENOMEM. */
int irqs_init(struct irqs *irqs, const struct iommuse_model *model);
void irqs_fini(struct irqs *irqs);

/* All disabled, no eventfd is kept: after the last close. */
void irqs_disable(struct vfio_device *device);

/* By the model, with model_lock held. */
void irq_raise(struct vfio_device *device, unsigned vector);
void irq_set_intx(struct vfio_device *device, bool asserted);
unsigned irq_vectors(struct vfio_device *device);

/* The command register's INTx disable bit has changed. With model_lock held. */
void irq_intx_disabled(struct vfio_device *device);

#endif

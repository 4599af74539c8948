/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts of a device: each is an eventfd of the client's that is signalled. One of INTx, MSI and MSI-X is enabled
 * at a time; ERR and REQ are VFIO's own. Signalling never waits for a client (client/eventfd.h).
 *
 * INTx has a level: it fires while the pin is asserted and it is not masked, and is masked then; who unmasks it is told
 * again if the pin is still asserted. The model looks before, as what the driver did may be in mapped pages.
 */
#ifndef IOMMUSE_VFIO_IRQ_H
#define IOMMUSE_VFIO_IRQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct eventfd;
struct eventfd_sender;
struct iommuse_model;
struct irq_unmask;
struct vfio_device;

#define IRQ_INDEXES 5U /* VFIO_PCI_INTX_IRQ_INDEX to VFIO_PCI_REQ_IRQ_INDEX */

/* What clients set is changed under device.lock and lock: either suffices to read it. */
struct irqs {
	pthread_mutex_t lock;        /* guards what follows; above only a sender's */
	uint32_t count[IRQ_INDEXES]; /* how many there are of each; does not change. ERR: see irq_count() */
	int mode;                    /* the index of INTx, MSI, MSI-X that is enabled; -1: none */
	uint32_t enabled;            /* vectors of it */
	struct eventfd **trigger;    /* of each vector; NULL: it goes nowhere */
	struct eventfd *error, *request;
	bool asserted, masked;     /* INTx: the pin, and whether the driver has masked it, or VFIO after it fired */
	struct irq_unmask *unmask; /* INTx: waits for the eventfd that unmasks; NULL: there is none */

	/* Guarded by device.lock. */
	struct eventfd **spare;        /* as long as trigger, all NULL: becomes it when the mode ends */
	struct eventfd_sender *sender; /* made with the first eventfd, does not change then */
};

/* Returns 0 or -ENOMEM. */
int irqs_init(struct irqs *irqs, const struct iommuse_model *model);
/* After irqs_disable(). */
void irqs_fini(struct irqs *irqs);

/* All disabled, no eventfd is kept, the pin not asserted: after the last close. With device.lock held. */
void irqs_disable(struct vfio_device *device);

/* By the model, with model_lock held. */
void irq_raise(struct vfio_device *device, unsigned vector);
void irq_set_intx(struct vfio_device *device, bool asserted);
unsigned irq_vectors(struct vfio_device *device);

/* The command register's INTx disable bit has changed. With model_lock held. */
void irq_intx_disabled(struct vfio_device *device);

/* How many a device has: num_irqs of VFIO_DEVICE_GET_IRQ_INFO. index < IRQ_INDEXES. */
uint32_t irq_count(const struct vfio_device *device, uint32_t index);

/*
 * For VFIO_DEVICE_SET_IRQS, with device.lock held. The eventfds that are taken out are the caller's to free, without
 * irqs.lock.
 */

/* Signals one as a driver tests it; NULL is nothing. With irqs.lock held. */
void irq_signal(struct irqs *irqs, struct eventfd *eventfd);
/* Signals INTx, whatever its level, unless the command register has it disabled. */
void irq_signal_intx(struct vfio_device *device);
void irq_mask_intx(struct vfio_device *device);
/* May poll the model, by its lock. */
void irq_unmask_intx(struct vfio_device *device);
/* vectors: 1 for INTx. No mode is enabled. */
void irq_enable(struct vfio_device *device, int mode, uint32_t vectors);
/* The mode that is enabled, with all its eventfds, which it frees. */
void irq_disable(struct vfio_device *device);

#endif

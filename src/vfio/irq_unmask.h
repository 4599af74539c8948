/* SPDX-License-Identifier: BSD-3-Clause */
/* An eventfd that unmasks INTx when a client writes to it: a thread waits for that. */
#ifndef IOMMUSE_VFIO_IRQ_UNMASK_H
#define IOMMUSE_VFIO_IRQ_UNMASK_H

struct eventfd;
struct irq_unmask;
struct vfio_device;

/* A write that was made before counts. Returns 0, and writes belongs to it; -ENOMEM, -ENFILE. */
int irq_unmask_new(struct vfio_device *device, struct eventfd *writes, struct irq_unmask **unmask);

/* Nothing is unmasked by it any more. Without irqs.lock. NULL is nothing. */
void irq_unmask_free(struct irq_unmask *unmask);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small driver of dmax over VFIO's file of the device, for the examples. It knows nothing of containers and address
 * spaces: all addresses are such as the device has them in the queue's PASID.
 *
 *	cc -I include my_driver.c examples/dmax/driver.c -o my_driver
 *	iommuse run --device dmax -- ./my_driver
 *
 * Functions return 0 or -errno.
 */
#ifndef DMAX_DRIVER_H
#define DMAX_DRIVER_H

#include "dmax.h"

#include <stdint.h>

struct dmax {
	int device;         /* its file: the caller's */
	uint64_t registers; /* where BAR 0 is in it */
	uint8_t *doorbells;
	uint64_t doorbells_size;
	uint32_t queues;
};

struct dmax_queue {
	struct dmax *dmax;
	unsigned number;
	struct dmax_descriptor *ring;
	uint32_t size; /* descriptors in the ring */
	uint32_t tail; /* descriptors submitted */
	uint8_t *doorbell;
};

/* Resets the device and enables it. -ENODEV: it is no dmax. */
int dmax_open(struct dmax *dmax, int device);
void dmax_close(struct dmax *dmax);

/*
 * Starts a queue. pasid: 0: none. ring: `size` descriptors, a power of two, which the device finds at `address`.
 * -EINVAL: the device does not take this configuration.
 */
int dmax_queue_start(struct dmax_queue *queue, struct dmax *dmax, unsigned number, uint32_t pasid,
		     struct dmax_descriptor *ring, uint64_t address, uint32_t size);
void dmax_queue_stop(struct dmax_queue *queue);

/* Clears the record, and gives the device the descriptor. -EAGAIN: the ring is full. */
int dmax_submit(struct dmax_queue *queue, const struct dmax_descriptor *descriptor, struct dmax_record *record);

/* Waits until the record is written. -EIO: the queue was halted; dmax_queue_error() says why. */
int dmax_wait(const struct dmax_queue *queue, const struct dmax_record *record);

uint32_t dmax_queue_error(const struct dmax_queue *queue);

#endif

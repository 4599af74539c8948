/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions of a device, for the other ways in: an eventfd that writes a register. */
#ifndef IOMMUSE_VFIO_PCI_REGION_H
#define IOMMUSE_VFIO_PCI_REGION_H

#include <stdbool.h>
#include <stdint.h>

struct iommuse_model;
struct vfio_device;

/* Does it touch the table of MSI-X? */
bool region_in_vectors(const struct iommuse_model *model, unsigned bar, uint64_t offset, unsigned width);

/* A write of 1, 2, 4 or 8 bytes at a multiple of that, inside the BAR, with model_lock held; a kick is to follow.
 * Returns 0; -EIO: memory is not decoded. */
int region_bar_write(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned width, uint64_t value);

/* Something was written: the model is polled soon. Without model_lock. */
void vfio_device_kick(struct vfio_device *device);

#endif

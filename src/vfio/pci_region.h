/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions of a device, for the other ways in: an eventfd that writes a register. */
#ifndef IOMMUSE_VFIO_PCI_REGION_H
#define IOMMUSE_VFIO_PCI_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A region begins at its index << REGION_SHIFT in the file of a device. */
#define REGION_SHIFT 40
#define REGION_MASK  ((UINT64_C(1) << REGION_SHIFT) - 1)

struct iommuse_model;
struct vfio_device;

/* Does it touch the table of MSI-X? */
bool region_in_vectors(const struct iommuse_model *model, unsigned bar, uint64_t offset, unsigned width);

/*
 * Writes n bytes inside a BAR, in the widths that the offset allows, and lets the model be polled soon. got: how many
 * of them are there. Returns 0; -EIO: memory is not decoded; -EFAULT: the rest is not there. Takes model_lock.
 */
int region_write(struct vfio_device *device, unsigned bar, uint64_t offset, const uint8_t *from, size_t n, size_t got);

#endif

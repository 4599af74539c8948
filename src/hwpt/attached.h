/* SPDX-License-Identifier: BSD-3-Clause */
/* What PASIDs are attached to, as DMA looks at it. */
#ifndef IOMMUSE_HWPT_ATTACHED_H
#define IOMMUSE_HWPT_ATTACHED_H

#include "hwpt/device.h"

/* Where a PASID's attachment is kept, or NULL where nothing is. Inside the epoch, or with the device's lock held. */
static inline struct attached *_Atomic *attached_slot(struct iommu_device *device, uint32_t pasid)
{
	struct pasid_table *table;
	struct pasid_leaf *leaf;

	if (__builtin_expect(pasid == NO_PASID, 1))
		return &device->attachment;
	table = atomic_load(&device->pasids);
	if (!table || pasid >> PASID_BITS)
		return NULL;
	leaf = atomic_load(&table->leaf[pasid / PASID_SLOTS]);
	return leaf ? &leaf->slot[pasid % PASID_SLOTS] : NULL;
}

static inline struct attached *attached_of(struct iommu_device *device, uint32_t pasid)
{
	struct attached *_Atomic *slot = attached_slot(device, pasid);

	return slot ? atomic_load(slot) : NULL;
}

#endif

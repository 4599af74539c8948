/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers from elsewhere: as an IOMMU of a virtual machine gets its PASIDs from the host. While one is registered, the
 * space keeps account only. Those with the same functions share their numbers.
 */
#ifndef IOMMUSE_PASID_ALLOCATOR_H
#define IOMMUSE_PASID_ALLOCATOR_H

#include <stdint.h>

struct ioasid_space;

/* Both are called with the space's lock held. */
struct ioasid_allocator {
	/* One in [min, max]; IOASID_INVALID: none. One that is out of range is given back at once; one that is in use
	 * already counts as none. */
	uint32_t (*alloc)(uint32_t min, uint32_t max, void *opaque);
	void (*free)(uint32_t id, void *opaque);
	void *opaque;

	struct ioasid_allocator *next; /* private */
};

/* The one that is registered first gives out PASIDs. Returns 0; -EEXIST: it is registered; -EAGAIN: it would be the
 * first, but PASIDs of the space's own are in use; -EINVAL: a function is missing. */
int ioasid_register_allocator(struct ioasid_space *space, struct ioasid_allocator *allocator);

/* Then the next gives out PASIDs: one with the same functions, or else the one that was registered first; after the
 * last the space itself. Returns 0; -ENOENT: not registered; -EBUSY: PASIDs of its are in use, and no other could take
 * them back. */
int ioasid_unregister_allocator(struct ioasid_space *space, struct ioasid_allocator *allocator);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which IOMMU pages of a translation devices have written: a bit for each 2 KiB, and above it a bit for each 64 of
 * those that says that one of them may be set.
 *
 * An IOMMU page is 4 KiB where IOVA and memory are congruent and the translation has all of it, else 2 KiB. DMA sets
 * all bits of an IOMMU page, and whoever clears takes all of them.
 *
 * A mark is never lost. A device thread marks and writes in one section of its epoch, in either order, and does not
 * set what is set already. Whoever clears waits for the sections that were entered before (epoch_wait) until it says
 * that it is done: then what was marked before is written, and can be copied; later sections find the bits cleared and
 * set them.
 */
#ifndef IOMMUSE_HWPT_DIRTY_H
#define IOMMUSE_HWPT_DIRTY_H

#include "hwpt/table.h"

#define DIRTY_SHIFT 11

/* Counted: the parts of a translation that was split have the same. */
struct dirty_bits {
	_Atomic unsigned refs;
	iova_t base;    /* of the first bit; a multiple of 2 KiB */
	uint64_t words; /* of bits */
	_Atomic uint64_t *bits;
	_Atomic uint64_t summary[]; /* the bits follow */
};

/* For [start, last], clean; or NULL. Memory comes with the first mark where there is much of it. */
struct dirty_bits *dirty_bits_new(iova_t start, iova_t last);

static inline void dirty_bits_get(struct dirty_bits *bits)
{
	if (bits)
		atomic_fetch_add_explicit(&bits->refs, 1, memory_order_relaxed);
}

void dirty_bits_put(struct dirty_bits *bits);

/* Marks the IOMMU pages of [iova, last], which the translation has. */
void dirty_mark(struct translation *translation, iova_t iova, iova_t last);

/* Marks 2 KiB where an IOMMU page is longer, as the mock IOMMU does. */
void dirty_mark_part(struct translation *translation, iova_t iova, iova_t last);

/* Runs that are put together as they come. */
struct dirty_runs {
	int (*visit)(void *context, iova_t start, iova_t last);
	void *context;
	/* One who looks at 4 KiB, or more, at a time: both halves are taken for dirty where one is. */
	bool coarse;
	bool any; /* [start, last] is to be visited */
	iova_t start, last;
};

/* Reads what is dirty of a translation in [iova, last], clears it if clear. Returns what visit returned if not 0. */
int dirty_read(struct translation *translation, iova_t iova, iova_t last, bool clear, struct dirty_runs *runs);

/* The last run. */
int dirty_runs_end(struct dirty_runs *runs);

/* Forgets all that is marked. */
void dirty_forget(struct dirty_bits *bits);

#endif

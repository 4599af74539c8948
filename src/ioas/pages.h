/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is mapped (struct pages) and where (struct area).
 *
 * Pages are a run of memory of one owner: of its address space, or of a file that it has. They are counted: each area
 * over them holds a reference, and a copy of a map is another area over the same pages. An area does not say which
 * IOVAs it has: that is the key under which the IOAS keeps it. An area belongs to the IOAS that it is in, and is
 * changed under that IOAS's lock; of the pages only refs and mm change, mm under the lock of the context (change of
 * process).
 *
 * Most pages have one area for all their life, so the first area lies in the same piece of memory: 56 bytes a map.
 */
#ifndef IOMMUSE_IOAS_PAGES_H
#define IOMMUSE_IOAS_PAGES_H

#include "client/client.h"

enum pages_kind {
	PAGES_USER,
	PAGES_FILE,
};

/* Whose account pinned memory goes to, fixed when it is mapped. */
enum pages_account {
	PAGES_ACCOUNT_NONE,
	PAGES_ACCOUNT_USER,
	PAGES_ACCOUNT_MM,
};

struct pages {
	struct mm *mm;
	uint64_t base; /* a page's user address or file offset */
	uint64_t npages;
	_Atomic uint32_t refs;
	uint8_t kind;    /* enum pages_kind */
	uint8_t account; /* enum pages_account */
	bool writable;
};

struct area {
	struct pages *pages;
	union {
		uint64_t start;    /* the first byte's offset from the pages' base */
		struct area *next; /* once out of the IOAS: the next of a list to be freed */
	};
	uint8_t prot; /* IOMMU_IOAS_MAP_READABLE, _WRITEABLE */
	bool inside;  /* the memory is that of the pages */
};

struct memory_file;

/* The user address or file offset of the area's first byte. */
static inline uint64_t area_source(const struct area *area)
{
	return area->pages->base + area->start;
}

/*
 * Makes pages of length bytes from va, or from an offset of a file, with their first area, which holds the only
 * reference. The file's reference is consumed on success. Returns 0, -ENOMEM, or -EINVAL: length is 0 or beyond what
 * counts as pages.
 */
int pages_new_user(struct mm *mm, uaddr_t va, uint64_t length, struct area **area);
int pages_new_file(struct mm *mm, struct memory_file *file, uint64_t start, uint64_t length, struct area **area);

/* The file behind pages of that kind. */
struct memory_file *pages_file(struct pages *pages);

/* Another area over the same pages, from their byte start on. NULL: no memory. */
struct area *area_share(struct pages *pages, uint64_t start);

/* Frees an area that is in no IOAS; and the pages with their last area. */
void area_free(struct area *area);

#endif

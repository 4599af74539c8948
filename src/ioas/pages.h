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
 * Most pages have one area for all their life, so the first area lies in the same piece of memory: 72 bytes a map.
 */
#ifndef IOMMUSE_IOAS_PAGES_H
#define IOMMUSE_IOAS_PAGES_H

#include "client/account.h"
#include "client/client.h"

#include <stdatomic.h>

struct ioas_context;
struct memory_query;
struct memory_run;

enum pages_kind {
	PAGES_USER,
	PAGES_FILE,
	PAGES_DMABUF, /* never pinned: the exporter keeps it, or takes it back for good */
};

/*
 * What of the pages is pinned: extents that do not meet, ascending, each with how many use it. Pinned means: found,
 * counted, and held where it can be held; so what an IOVA means stays as it was found. A page is pinned once, however
 * many areas and accesses use it; the last of them unpins it.
 */
struct extent {
	uint64_t first, last; /* page indices */
	uint8_t *host;        /* of the first page in this process; NULL: by the owner's mm only */
	uint32_t users;
	struct hold *hold; /* counted; may be NULL */
};

struct pins {
	uint32_t count, room;
	struct extent extent[];
};

struct pages {
	struct mm *mm;
	uint64_t base; /* a page's user address or file offset */
	uint64_t npages;
	/* NULL: nothing is pinned. Guarded by one of the context's pin locks; may be compared to NULL without it. */
	struct pins *_Atomic pins;
	_Atomic uint32_t refs;
	uint8_t kind;    /* enum pages_kind */
	uint8_t account; /* enum account_mode */
	bool writable;
	bool finding; /* a call is pinning what is missing; guarded by the same lock as pins */
};

struct area {
	struct pages *pages;
	uint64_t start;  /* the first byte's offset from the pages' base */
	uint64_t length; /* once in an IOAS */
	union {
		struct {
			uint8_t prot;      /* IOMMU_IOAS_MAP_READABLE, _WRITEABLE */
			bool going;        /* accesses are being told to leave it: no new ones */
			uint16_t locks;    /* pins of internal accesses: it cannot be unmapped */
			uint32_t accesses; /* pins of accesses, internal ones too */
		};
		struct area *next; /* once out of the IOAS: the next of a list to be freed */
	};
};

struct memory_file;

/* The user address or file offset of the area's first byte. */
static inline uint64_t area_source(const struct area *area)
{
	return area->pages->base + area->start;
}

/* The pages that an area of length bytes meets. */
static inline uint64_t area_first_page(const struct area *area)
{
	return area->start >> PAGE_SHIFT;
}

static inline uint64_t area_last_page(const struct area *area, uint64_t length)
{
	return (area->start + (length - 1)) >> PAGE_SHIFT;
}

/*
 * Makes pages of length bytes from va, or from an offset of a file, with their first area, which holds the only
 * reference. The file's reference is consumed on success. Returns 0, -ENOMEM, or -EINVAL: length is 0 or beyond what
 * counts as pages; of a dma-buf also -EINVAL: beyond the buffer, -ENODEV: revoked. The context may be NULL where
 * nothing is revoked.
 */
int pages_new_user(struct mm *mm, uaddr_t va, uint64_t length, struct area **area);
int pages_new_file(struct mm *mm, struct memory_file *file, uint64_t start, uint64_t length,
		   struct ioas_context *context, struct area **area);

/* The file behind pages of that kind, or the dma-buf. */
struct memory_file *pages_file(struct pages *pages);

/* Has the exporter taken back the memory? Under the lock of an IOAS with areas over the pages, the answer holds until
 * it is dropped, unless they are about to be taken away. */
bool pages_revoked(struct pages *pages);

/* Another area over the same pages, from their byte start on. NULL: no memory. */
struct area *area_share(struct pages *pages, uint64_t start);

static inline void pages_get(struct pages *pages)
{
	atomic_fetch_add_explicit(&pages->refs, 1, memory_order_relaxed);
}

/* For who has a reference of its own, beside those of areas. */
void pages_put(struct pages *pages);

/* Frees an area that is in no IOAS; and the pages with their last area. */
void area_free(struct area *area);

/*
 * Adds a user to the pages from first to last, pinning what nobody uses yet. The query may be NULL. Without locks: it
 * waits for the client, and for another thread that pins the same pages. Returns 0, or -EFAULT, -EINVAL (file),
 * -EOPNOTSUPP, -ENFILE, -ENOMEM; then nothing is charged and nothing new is pinned. pages_unpin() wants a range that
 * was pinned, or what pages_part() made of it; it needs no memory.
 */
int pages_pin(struct pages *pages, struct ioas_context *context, struct memory_query *query, uint64_t first,
	      uint64_t last);
void pages_unpin(struct pages *pages, struct ioas_context *context, uint64_t first, uint64_t last);

/* Makes it possible to unpin what was pinned in two parts, of which index begins the second. Returns 0 or -ENOMEM. */
int pages_part(struct pages *pages, struct ioas_context *context, uint64_t index);

/*
 * How pages that are pinned are reached: the longest run from first on, at most to last. The hold gets a reference
 * where wanted. Returns false where the first is not pinned.
 */
bool pages_run(struct pages *pages, struct ioas_context *context, uint64_t first, uint64_t last, bool hold,
	       struct memory_run *run);

/* Finds memory as pinning would, but pins nothing: a run whose hold is the caller's. length in pages. */
int pages_resolve(struct pages *pages, struct memory_query *query, uint64_t index, uint64_t length,
		  struct memory_run *run);

/* How many pages are pinned; with the lock of the pins held. */
uint64_t pages_pinned(const struct pages *pages);

/* The lock that guards what is pinned of these pages. */
pthread_mutex_t *pages_lock(const struct pages *pages, struct ioas_context *context);

#endif

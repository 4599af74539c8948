/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An I/O address space: areas at their IOVAs, ranges that are reserved, and ranges that are allowed.
 *
 * Reserved restricts everybody; allowed restricts only the choice of an IOVA and later reservations. Ranges are [start,
 * last]. One lock guards all of an IOAS. It is not held across a copy from or to a client, nor while removed areas are
 * freed; two IOASes are never locked at once: what is copied from one is held by references until it is in the other.
 * Removal needs no memory and does not fail for want of it.
 */
#ifndef IOMMUSE_IOAS_IOAS_H
#define IOMMUSE_IOAS_IOAS_H

#include "base/range_map.h"
#include "ioas/domain.h"
#include "ioas/pages.h"
#include "ioas/reserved.h"

#include <pthread.h>

#include <stdatomic.h>

struct access_place;
struct event_stream;
struct history;
struct ioas;
struct use;

/* What the IOASes of one iommufd share, as a copy is another area over the same pages. The owner fills each. */
#define PIN_LOCKS 16
struct ioas_context {
	pthread_mutex_t pin_lock[PIN_LOCKS]; /* of what is pinned of some pages; below the locks of IOASes */
	pthread_cond_t pin_found[PIN_LOCKS]; /* a call of theirs has found what it is to pin */
	/* Visits all IOASes that there are, each kept meanwhile. */
	void (*each)(struct ioas_context *context, void (*visit)(struct ioas *ioas, void *arg), void *arg);
	_Atomic bool no_huge_pages; /* without a page table, IOVAs are chosen as by a kernel without huge pages */
};

void ioas_context_init(struct ioas_context *context);
void ioas_context_fini(struct ioas_context *context);

struct ioas {
	pthread_mutex_t lock;
	struct range_map areas;   /* struct area */
	struct range_map allowed; /* the values say nothing; empty: no restriction */
	struct reserved reserved;
	uint64_t alignment; /* of IOVAs, lengths and the sources' offsets in their pages; a power of two */
	bool huge_pages_disabled;

	/*
	 * Domains and accesses; see domain.h and access.h. While changing, one of them is being added or removed, which
	 * walks all areas without the lock: who wants to change areas waits. pinned: each area's memory is pinned once
	 * for the domains together; changes under the lock. flushing: calls that use the list of domains without the
	 * lock, so that it must not change. uses: accesses that use areas without the lock (use.h).
	 */
	struct ioas_domain *domains;
	struct access_place *accesses;
	struct use *uses;
	bool changing;
	_Atomic bool pinned;
	unsigned flushing;
	unsigned waiting;             /* for one of these */
	pthread_cond_t changed;       /* broadcast where somebody waits */
	struct ioas_context *context; /* the owner sets it, before there is a domain or an access */

	struct history *history; /* history.h; NULL: none is kept */

	/* For events; the owner sets them before anybody else sees the IOAS. */
	struct event_stream *events;
	uint64_t file;
	uint32_t id;
};

void ioas_init(struct ioas *ioas);

/* Unmaps everything and frees what is inside. Nobody may use the IOAS any more. */
void ioas_fini(struct ioas *ioas);

/* How something is to be mapped. */
struct ioas_map {
	struct client *client;
	uint64_t length;
	iova_t iova; /* if fixed, where; else set to where */
	bool fixed;
	uint8_t prot;    /* IOMMU_IOAS_MAP_READABLE, _WRITEABLE */
	uint8_t account; /* enum account_mode */
};

/*
 * Maps a stretch of the client's memory or of a file. Returns 0, or in this order, -EOVERFLOW: the source ends beyond
 * the last address; -EINVAL: length 0, or so long that it counts no pages; file: -EBADF, -ENFILE; -ENOMEM; then the
 * errors of ioas_map_pieces(). For a file length 0 comes first.
 */
int ioas_map_user(struct ioas *ioas, struct ioas_map *map, uaddr_t va);
int ioas_map_file(struct ioas *ioas, struct ioas_map *map, int fd, uint64_t start);

/* Areas that are in no IOAS yet, which are to lie one behind the other. */
struct piece {
	struct area *area;
	uint64_t length;
};

struct pieces {
	struct piece *piece;
	size_t count, room;
	struct piece few[4];
};

/*
 * Collects what is mapped at [iova, iova + length - 1] as areas over the same pages. Returns 0, -EINVAL: length 0,
 * -EOVERFLOW: wraps, -ENOENT: a byte is not mapped, or -ENOMEM. On success the pieces are the caller's, to be mapped or
 * dropped.
 */
int ioas_share(struct ioas *ioas, iova_t iova, uint64_t length, struct pieces *pieces);
void pieces_drop(struct pieces *pieces);

/*
 * Maps pieces, which are as long as map->length together, and consumes them whatever the result. Returns 0, or in this
 * order: -EINVAL: length not aligned; where the IOVA is chosen -EOVERFLOW: half the space or more, -EINVAL: the source
 * is aligned less than IOVAs are, -ENOSPC; where it is fixed -EINVAL: not aligned, -EOVERFLOW: wraps, -EINVAL:
 * reserved, -EEXIST; for each piece -EPERM: writable map of pages that are not, -EINVAL: its offset in the page not
 * aligned; -ENOMEM; where there is a domain the errors of pages_pin(). On error nothing is mapped.
 */
int ioas_map_pieces(struct ioas *ioas, struct ioas_map *map, struct pieces *pieces);

/*
 * Unmaps the areas in [start, last], ascending. Stores how many bytes went, also on error. Returns 0 (also where
 * nothing was there), or -EBUSY: an internal access uses an area, -ENOENT: an area reaches beyond the range,
 * -EDEADLOCK: an access does not let an area go; those before it are gone. When it returns no device and no access uses
 * what is gone. Not from the unmap callback of an access.
 */
int ioas_unmap(struct ioas *ioas, struct client *client, iova_t start, iova_t last, uint64_t *unmapped);

/*
 * Splits the areas that cross from an address to the next, for each address in turn; those before an error stay split.
 * An area whose first byte that address is is left alone, as Linux does. Returns 0, or in this order -EBUSY: accesses
 * are being told to leave it, -EOPNOTSUPP: a dma-buf, -EINVAL: not aligned, -ENOMEM, -EINVAL: an access uses it, or
 * there is a domain and huge pages are not disabled.
 */
int ioas_cut(struct ioas *ioas, const iova_t *address, unsigned count);

/* Chooses an IOVA; with the lock held. source: the address in user memory or the file that the first byte comes from.
 */
int ioas_choose_iova(const struct ioas *ioas, uint64_t source, uint64_t length, iova_t *iova);

/*
 * Reserves a range for an owner. Returns 0, -EADDRINUSE: something is mapped or allowed there, or -ENOMEM.
 * ioas_unreserve() drops all of an owner's.
 */
int ioas_reserve(struct ioas *ioas, iova_t start, iova_t last, const void *owner);
void ioas_unreserve(struct ioas *ioas, const void *owner);

/* Puts the ranges of allowed in place of those that were, which it leaves in allowed. Returns 0 or -EADDRINUSE: meets a
 * reservation. */
int ioas_allow(struct ioas *ioas, struct range_map *allowed);

/* Stores up to room spans that are not reserved, ascending. Returns how many there are; *alignment: at the same moment.
 */
size_t ioas_usable(struct ioas *ioas, struct iova_span *span, size_t room, uint64_t *alignment);

/* Returns 0, -EINVAL: there are areas and domains, or -EADDRINUSE: something that is mapped is not aligned to pages. */
int ioas_disable_huge_pages(struct ioas *ioas);
void ioas_enable_huge_pages(struct ioas *ioas);
bool ioas_huge_pages(struct ioas *ioas);

/*
 * Shows the IOAS through one more page table. Returns 0, or in this order -EINVAL: the smallest page of the domain is
 * larger than a page; -EADDRINUSE: something mapped is not aligned to its pages, or something mapped or allowed is
 * outside of the aperture; -EFAULT, -EINVAL (file), -ENOMEM: memory cannot be pinned. On error the IOAS is as it was.
 */
int ioas_add_domain(struct ioas *ioas, struct ioas_domain *domain);

/* Returns when no device uses the domain's translations. */
void ioas_remove_domain(struct ioas *ioas, struct ioas_domain *domain);

/* What all domains have: their page sizes, those below a page collapsed into it (none: all from a page on), and whether
 * each of them enforces coherency (none: true). */
uint64_t ioas_page_sizes(struct ioas *ioas);
bool ioas_coherent(struct ioas *ioas);

/* How often pages of mm have the page at va pinned: each pages once. For the test device. */
unsigned ioas_context_pins(struct ioas_context *context, struct mm *mm, uaddr_t va);

/* Pages that are to pass to another address space, as IOAS_CHANGE_PROCESS does. Begins as zeroes. */
struct owner_change {
	struct {
		struct pages *pages;
		struct mm *old; /* NULL: it did not change */
		uint64_t charged;
	} * of;
	size_t count, room;
};

#define OWNER_CHANGE_INIT ((struct owner_change){0})

/* Collects the pages of what is mapped. Returns 0, -EINVAL: not all of it is of files, or -ENOMEM. */
int owner_change_add(struct owner_change *change, struct ioas *ioas);

/*
 * Makes mm the owner of the pages that were collected, and moves what is charged for them. The caller serialises this
 * for the IOASes that may share pages. Returns 0, or -ENOMEM: over its limit; then nothing changed.
 */
int owner_change_commit(struct owner_change *change, struct ioas_context *context, struct mm *mm);
void owner_change_end(struct owner_change *change);

#endif

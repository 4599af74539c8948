/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses: how emulated devices and the system itself use what an IOAS maps, with or without a page table.
 *
 * An access is attached to one IOAS at a time. It may pin ranges, and read and write bytes. Before what it has pinned
 * is unmapped, its unmap callback is called, without locks, and must drop every pin that meets the range. An internal
 * access has no callback: it locks the areas that it pins, and unmapping them is EBUSY.
 */
#ifndef IOMMUSE_IOAS_ACCESS_H
#define IOMMUSE_IOAS_ACCESS_H

#include "ioas/ioas.h"

struct access;

struct access_ops {
	bool needs_pin_pages;
	/* [iova, iova + length - 1] is about to be unmapped; 0 and UINT64_MAX: the access leaves the IOAS. Called
	 * without locks. May be NULL. */
	void (*unmap)(struct access *access, iova_t iova, uint64_t length);
};

/* An access in the list of an IOAS; guarded by that IOAS's lock. */
struct access_place {
	struct access_place *next;
	struct access *access;
	struct ioas *ioas;
	unsigned called; /* unmap callbacks in flight */
};

struct access {
	const struct access_ops *ops; /* NULL: internal */
	pthread_mutex_t lock;         /* guards ioas and holding; above the locks of IOASes */
	struct ioas *ioas;            /* NULL: detached, or it is just leaving */
	struct access_place *holding; /* where its pins are; NULL: detached */
	struct access_place place[2]; /* it joins one IOAS before it leaves the other */
};

/* Does it pin pages, so that everything has to be aligned to them? */
static inline bool access_needs_pages(const struct access *access)
{
	return !access->ops || access->ops->needs_pin_pages;
}

void access_init(struct access *access, const struct access_ops *ops);

/* Detached, and not used any more. */
void access_fini(struct access *access);

/*
 * Attaches to an IOAS. -EINVAL: attached already, -EADDRINUSE: it needs pages and something mapped is not aligned to
 * them; -ENOMEM.
 */
int access_attach(struct access *access, struct ioas *ioas);

/* Another IOAS, which is joined first; NULL: none. -ENOENT: not attached, -EBUSY: it is just being detached; the errors
 * of access_attach(), and then the old one stays. The old one's unmap callback is called for everything. */
int access_replace(struct access *access, struct ioas *ioas);
void access_detach(struct access *access);

#define ACCESS_WRITE 1U

/* A page that an access has pinned, as it can be reached. */
struct access_page {
	struct pages *pages;
	uint64_t index; /* of the page in pages */
	uint8_t *host;  /* NULL: by mm only */
	struct hold *hold;
};

/*
 * Pins the pages behind [iova, iova + length - 1]. page: room for all that it meets, or NULL. Returns 0, or -EINVAL:
 * length 0, the access does not pin, or an area is not aligned to pages or is going; -EOVERFLOW; -ENOENT: detached, or
 * a hole; -EPERM; -EFAULT, -ENOMEM. On error nothing is pinned. access_unpin() wants exactly a range that was pinned.
 */
int access_pin(struct access *access, iova_t iova, uint64_t length, unsigned flags, struct access_page *page);
void access_unpin(struct access *access, iova_t iova, uint64_t length);

/* Of a range that the access has pinned and keeps: its first page. Returns whether its pages follow one another in the
 * same struct pages. */
bool access_contiguous(struct access *access, iova_t iova, uint64_t length, struct access_page *first);

/*
 * Reads or writes bytes. Returns 0, or -EINVAL: length 0, or an area is going; -EOVERFLOW; -ENOENT: detached, or a
 * hole; -EPERM, -EFAULT. What came before the error is transferred.
 */
int access_rw(struct access *access, iova_t iova, void *buf, size_t length, unsigned flags);

#endif

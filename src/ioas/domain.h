/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an IOAS knows of the page tables that show it to devices: each has an entry for all that is mapped. The floor
 * above fills the table of operations and embeds the structure.
 *
 * While an IOAS has a domain, the memory of all its areas is pinned. map and unmap are called with the IOAS's lock
 * held, or while the domain is being added and nobody else uses it; they do not block. What unmap took away may be in
 * use by a device until flush returns, which is called without locks before anything is unpinned or freed.
 */
#ifndef IOMMUSE_IOAS_DOMAIN_H
#define IOMMUSE_IOAS_DOMAIN_H

#include "base/types.h"

#include <stdbool.h>

struct area;
struct hold;
struct ioas_domain;
struct pages;

/* A stretch of IOVAs over memory that is reached in one way. */
struct ioas_mapping {
	iova_t start, last;
	struct pages *pages; /* kept by the area until after flush */
	uint64_t source;     /* user address or file offset of the first byte */
	uint8_t *host;       /* of the first byte in this process; NULL: by the owner's mm only */
	struct hold *hold;   /* kept likewise; may be NULL */
	uint8_t prot;        /* IOMMU_IOAS_MAP_READABLE, _WRITEABLE */
};

struct ioas_domain_ops {
	/* Returns 0 or -ENOMEM. */
	int (*map)(struct ioas_domain *domain, const struct ioas_mapping *mapping);
	/* Makes room for count mappings that follow in ascending order; optional. Returns 0 or -ENOMEM. */
	int (*prepare)(struct ioas_domain *domain, uint64_t count);
	/* Takes away all mappings inside [start, last]; needs no memory. */
	void (*unmap)(struct ioas_domain *domain, iova_t start, iova_t last);
	/* Replaces one mapping by two, as an area was split at address (the last byte of the first). Returns 0 or
	 * -ENOMEM. */
	int (*split)(struct ioas_domain *domain, iova_t address);
	/* Returns when no device uses what was taken away before. */
	void (*flush)(struct ioas_domain *domain);
};

struct ioas_domain {
	const struct ioas_domain_ops *ops;
	struct ioas_domain *next; /* in the IOAS, in the order of addition; guarded by the IOAS's lock */
	iova_t aperture_first, aperture_last;
	uint64_t page_sizes; /* bit n: pages of 2^n */
	bool coherent;       /* enforces cache coherency */
};

#endif

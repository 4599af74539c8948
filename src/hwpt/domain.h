/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain: what a device, or one PASID of it, is attached to. A paging domain shows an IOAS; a nested one belongs to
 * its driver, and no software device can go through it.
 */
#ifndef IOMMUSE_HWPT_DOMAIN_H
#define IOMMUSE_HWPT_DOMAIN_H

#include "hwpt/driver.h"
#include "hwpt/table.h"
#include "ioas/domain.h"

#include <pthread.h>

struct epoch;
struct fault_group;
struct file;
struct ioas;

struct domain {
	const struct iommu_driver *driver;
	const struct nested_ops *nested; /* NULL: a paging domain, or that of a process */
	struct mm *shared;               /* the process's, of a struct sva_domain; else NULL */
	uint32_t flags;                  /* IOMMU_HWPT_ALLOC_* */
	/*
	 * Takes a complete group of page faults; NULL: they are unhandled. Called with the device's lock held, which
	 * keeps the domain attached; owns the group then. Returns the file that has become readable, with a reference,
	 * or NULL.
	 */
	struct file *(*fault)(struct domain *domain, struct fault_group *group);
	void *owner; /* of the floor above: its hwpt */
};

struct paging_domain {
	struct domain domain;
	struct ioas_domain base;
	_Atomic bool tracking; /* dirty tracking is on; changed under the IOAS's lock */
	struct table table;    /* likewise; readers walk it without a lock */
	struct epoch *epoch;
	struct ioas *ioas;
	pthread_mutex_t track_lock; /* above the IOAS's: held while tracking is switched */
};

static inline struct paging_domain *paging_domain(struct domain *domain)
{
	return (struct paging_domain *)domain;
}

/*
 * Makes a paging domain of an IOAS and adds it to it: ioas_add_domain() says the errors. The domain is freed with
 * paging_domain_fini(), when nothing is attached to it.
 */
int paging_domain_init(struct paging_domain *domain, const struct iommu_driver *driver, uint32_t flags,
		       const struct paging_limits *limits, struct ioas *ioas, struct epoch *epoch);
void paging_domain_fini(struct paging_domain *domain);

/* Dirty tracking: without it nothing is dirty. Enabling forgets what was; both may be repeated. Returns 0 or -ENOMEM.
 */
int paging_domain_track(struct paging_domain *domain, bool on);

/*
 * Visits what is dirty in [iova, last], ascending, as runs of IOMMU pages, cut to [iova, last]. Where clear is set, it
 * is clean afterwards, whole IOMMU pages at a time; a device that writes there again marks it again. Costs what is
 * dirty. Returns what visit returned if not 0: then what lies behind that run is as it was. visit is called with the
 * IOAS's lock held.
 */
int paging_domain_dirty(struct paging_domain *domain, iova_t iova, iova_t last, bool clear,
			int (*visit)(void *context, iova_t start, iova_t last), void *context);

/* The same for who looks at whole pages of 4 KiB, of which iova begins one and last ends one: they may be visited where
 * a half is dirty, which makes runs fewer. */
int paging_domain_dirty_pages(struct paging_domain *domain, iova_t iova, iova_t last, bool clear,
			      int (*visit)(void *context, iova_t start, iova_t last), void *context);

/*
 * Marks what is mapped in [iova, last] as written, if tracking is on: 2 KiB at a time, also where an IOMMU page is
 * longer. Takes the IOAS's lock.
 */
void paging_domain_mark(struct paging_domain *domain, iova_t iova, iova_t last);

/* The mapping at iova, by a caller that keeps the IOAS from changing or is inside an epoch. False: none. */
bool paging_domain_find(struct paging_domain *domain, iova_t iova, struct ioas_mapping *mapping);

#endif

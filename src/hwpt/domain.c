/* SPDX-License-Identifier: BSD-3-Clause */
#include "hwpt/domain.h"

#include "base/epoch.h"
#include "hwpt/dirty.h"
#include "ioas/ioas.h"

#include <errno.h>
#include <stddef.h>

static struct paging_domain *of_base(struct ioas_domain *base)
{
	return (struct paging_domain *)((char *)base - offsetof(struct paging_domain, base));
}

static int domain_map(struct ioas_domain *base, const struct ioas_mapping *mapping)
{
	struct paging_domain *domain = of_base(base);
	struct dirty_bits *dirty = NULL;
	int rc;

	if (atomic_load_explicit(&domain->tracking, memory_order_relaxed)) {
		dirty = dirty_bits_new(mapping->start, mapping->last);
		if (!dirty)
			return -ENOMEM;
	}
	rc = table_insert(&domain->table, mapping, dirty);
	if (rc)
		dirty_bits_put(dirty);
	return rc;
}

static int domain_prepare(struct ioas_domain *base, uint64_t count)
{
	table_expect(&of_base(base)->table, count);
	return 0;
}

static void domain_unmap(struct ioas_domain *base, iova_t start, iova_t last)
{
	table_remove(&of_base(base)->table, start, last);
}

static int domain_split(struct ioas_domain *base, iova_t address)
{
	return table_split(&of_base(base)->table, address);
}

static void domain_flush(struct ioas_domain *base)
{
	table_flush(&of_base(base)->table);
}

static const struct ioas_domain_ops domain_ops = {
	.map = domain_map,
	.prepare = domain_prepare,
	.unmap = domain_unmap,
	.split = domain_split,
	.flush = domain_flush,
};

int paging_domain_init(struct paging_domain *domain, const struct iommu_driver *driver, uint32_t flags,
		       const struct paging_limits *limits, struct ioas *ioas, struct epoch *epoch)
{
	int rc;

	domain->domain = (struct domain){.driver = driver, .flags = flags};
	domain->base = (struct ioas_domain){
		.ops = &domain_ops,
		.aperture_first = limits->aperture_first,
		.aperture_last = limits->aperture_last,
		.page_sizes = limits->page_sizes,
		.coherent = limits->coherent,
	};
	domain->epoch = epoch;
	domain->ioas = ioas;
	atomic_init(&domain->tracking, false);
	pthread_mutex_init(&domain->track_lock, NULL);
	table_init(&domain->table, epoch);
	rc = ioas_add_domain(ioas, &domain->base);
	if (rc) {
		table_fini(&domain->table);
		pthread_mutex_destroy(&domain->track_lock);
	}
	return rc;
}

void paging_domain_fini(struct paging_domain *domain)
{
	ioas_remove_domain(domain->ioas, &domain->base);
	table_fini(&domain->table);
	pthread_mutex_destroy(&domain->track_lock);
}

bool paging_domain_find(struct paging_domain *domain, iova_t iova, struct ioas_mapping *mapping)
{
	const struct translation *translation = table_find(&domain->table, iova);

	if (translation)
		*mapping = translation->mapping;
	return translation;
}

/* Dirty tracking. */

static int walk_all(struct paging_domain *domain, int (*visit)(struct translation *, void *))
{
	return table_walk(&domain->table, 0, UINT64_MAX, visit, NULL);
}

static int forget(struct translation *translation, void *arg)
{
	(void)arg;
	dirty_forget(atomic_load_explicit(&translation_side(translation)->dirty, memory_order_relaxed));
	return 0;
}

static int add_bits(struct translation *translation, void *arg)
{
	struct dirty_bits *bits = dirty_bits_new(translation->mapping.start, translation->mapping.last);

	(void)arg;
	if (!bits)
		return -ENOMEM;
	atomic_store_explicit(&translation_side(translation)->dirty, bits, memory_order_release);
	return 0;
}

static int hide_bits(struct translation *translation, void *arg)
{
	struct translation_side *side = translation_side(translation);

	(void)arg;
	side->old = atomic_load_explicit(&side->dirty, memory_order_relaxed);
	atomic_store_explicit(&side->dirty, NULL, memory_order_relaxed);
	return 0;
}

static int put_hidden_bits(struct translation *translation, void *arg)
{
	struct translation_side *side = translation_side(translation);

	(void)arg;
	dirty_bits_put(side->old);
	side->old = NULL;
	return 0;
}

/* With both locks held. */
static int start_tracking(struct paging_domain *domain)
{
	int rc;

	if (atomic_load_explicit(&domain->tracking, memory_order_relaxed))
		return walk_all(domain, forget);
	rc = walk_all(domain, add_bits);
	if (rc) {
		walk_all(domain, hide_bits);
		walk_all(domain, put_hidden_bits);
		return rc;
	}
	atomic_store_explicit(&domain->tracking, true, memory_order_release);
	return 0;
}

int paging_domain_track(struct paging_domain *domain, bool on)
{
	int rc = 0;

	pthread_mutex_lock(&domain->track_lock);
	pthread_mutex_lock(&domain->ioas->lock);
	if (on) {
		rc = start_tracking(domain);
	} else {
		atomic_store_explicit(&domain->tracking, false, memory_order_relaxed);
		walk_all(domain, hide_bits);
	}
	pthread_mutex_unlock(&domain->ioas->lock);
	/* Of DMA in flight no part is written later without a mark; or marks what is going to be freed. */
	epoch_wait(domain->epoch);
	if (!on) {
		pthread_mutex_lock(&domain->ioas->lock);
		walk_all(domain, put_hidden_bits);
		pthread_mutex_unlock(&domain->ioas->lock);
	}
	pthread_mutex_unlock(&domain->track_lock);
	return rc;
}

/* A range that is marked or read. */
struct dirty_range {
	iova_t iova, last;
	bool clear;
	struct dirty_runs runs;
};

static int read_dirty(struct translation *translation, void *arg)
{
	struct dirty_range *range = arg;

	return dirty_read(translation, range->iova, range->last, range->clear, &range->runs);
}

static int read_range(struct paging_domain *domain, struct dirty_range *range)
{
	int rc;

	pthread_mutex_lock(&domain->ioas->lock);
	rc = table_walk(&domain->table, range->iova, range->last, read_dirty, range);
	if (!rc)
		rc = dirty_runs_end(&range->runs);
	pthread_mutex_unlock(&domain->ioas->lock);
	if (range->clear)
		epoch_wait(domain->epoch);
	return rc;
}

int paging_domain_dirty(struct paging_domain *domain, iova_t iova, iova_t last, bool clear,
			int (*visit)(void *context, iova_t start, iova_t last), void *context)
{
	struct dirty_range range = {
		.iova = iova, .last = last, .clear = clear, .runs = {.visit = visit, .context = context}};

	return read_range(domain, &range);
}

int paging_domain_dirty_pages(struct paging_domain *domain, iova_t iova, iova_t last, bool clear,
			      int (*visit)(void *context, iova_t start, iova_t last), void *context)
{
	struct dirty_range range = {.iova = iova,
				    .last = last,
				    .clear = clear,
				    .runs = {.visit = visit, .context = context, .coarse = true}};

	return read_range(domain, &range);
}

static int mark_dirty(struct translation *translation, void *arg)
{
	const struct ioas_mapping *mapping = &translation->mapping;
	const struct dirty_range *range = arg;

	dirty_mark_part(translation, range->iova > mapping->start ? range->iova : mapping->start,
			range->last < mapping->last ? range->last : mapping->last);
	return 0;
}

void paging_domain_mark(struct paging_domain *domain, iova_t iova, iova_t last)
{
	struct dirty_range range = {.iova = iova, .last = last};

	pthread_mutex_lock(&domain->ioas->lock);
	table_walk(&domain->table, iova, last, mark_dirty, &range);
	pthread_mutex_unlock(&domain->ioas->lock);
}

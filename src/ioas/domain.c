/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The domains of an IOAS. Where there is one, all areas are pinned.
 *
 * The first domain pins all areas, and the last one unpins them, which both take long and ask clients' memory: that is
 * done without the lock, while "changing" keeps the areas as they are.
 */
#include "abi/iommufd.h"
#include "client/memory.h"
#include "ioas/change.h"

#include <stdlib.h>

static uint64_t smallest_page(uint64_t page_sizes)
{
	return page_sizes & -page_sizes;
}

/* Sets changing, and waits until nobody uses the list of domains. Takes the lock. */
static void begin_change(struct ioas *ioas)
{
	ioas_lock(ioas);
	ioas->changing = true;
	while (ioas->flushing)
		ioas_wait(ioas);
}

/* With the lock held, which it drops. */
static void end_change(struct ioas *ioas)
{
	ioas->changing = false;
	ioas_wake(ioas);
	ioas_unlock(ioas);
}

static int show(struct ioas *ioas, struct ioas_domain *domain, iova_t iova, uint64_t length, const struct area *area)
{
	struct pages *pages = area->pages;
	const uint64_t last_page = area_last_page(area, length);
	const iova_t last = iova + (length - 1);
	uint64_t index = area_first_page(area);
	struct ioas_mapping mapping = {.start = iova, .pages = pages, .source = area_source(area), .prot = area->prot};
	uint64_t skip = area->start & ~PAGE_MASK; /* of the first page */

	/* A page table has no entry that permits nothing. */
	if (!(area->prot & (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)))
		return -EINVAL;
	if (pages_revoked(pages))
		return 0;
	for (;;) {
		struct memory_run run;
		uint64_t bytes;
		int rc;

		if (!pages_run(pages, ioas->context, index, last_page, false, &run))
			return -EFAULT;
		bytes = run.length - skip;
		mapping.last = last - mapping.start < bytes ? last : mapping.start + (bytes - 1);
		mapping.host = run.host ? run.host + skip : NULL;
		mapping.hold = run.hold;
		rc = domain->ops->map(domain, &mapping);
		if (rc || mapping.last == last)
			return rc;
		mapping.start = mapping.last + 1;
		mapping.source += bytes;
		index += run.length >> PAGE_SHIFT;
		skip = 0;
	}
}

int domains_show(struct ioas *ioas, iova_t iova, uint64_t length, const struct area *area)
{
	int rc = 0;

	for (struct ioas_domain *domain = ioas->domains; domain && !rc; domain = domain->next)
		rc = show(ioas, domain, iova, length, area);
	return rc;
}

void domains_hide(struct ioas *ioas, iova_t start, iova_t last)
{
	for (struct ioas_domain *domain = ioas->domains; domain; domain = domain->next)
		domain->ops->unmap(domain, start, last);
}

void domains_flush(struct ioas *ioas)
{
	for (struct ioas_domain *domain = ioas->domains; domain; domain = domain->next)
		domain->ops->flush(domain);
	pthread_mutex_lock(&ioas->lock);
	ioas->flushing--;
	ioas_wake(ioas);
	ioas_unlock(ioas);
}

/* Unpins the areas that begin below end, or all. */
static void unpin_areas(struct ioas *ioas, const iova_t *end)
{
	struct range_cursor at;

	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		const struct area *area = at.range.value;

		if (end && at.range.start >= *end)
			break;
		pages_unpin(area->pages, ioas->context, area_first_page(area), area_last_page(area, area->length));
	}
}

/* Pins and shows an area; what fails leaves it unpinned. */
static int fill_area(struct ioas *ioas, struct ioas_domain *domain, const struct range *where, bool pin,
		     struct memory_query *query)
{
	const struct area *area = where->value;
	const uint64_t first = area_first_page(area);
	const uint64_t last = area_last_page(area, area->length);
	int rc = pin ? pages_pin(area->pages, ioas->context, query, first, last) : 0;

	if (rc)
		return rc;
	rc = show(ioas, domain, where->start, area->length, area);
	if (rc && pin)
		pages_unpin(area->pages, ioas->context, first, last);
	return rc;
}

/* Of all areas, in one walk, as each touches much memory. Without the lock: nobody else knows of the domain. */
static int fill(struct ioas *ioas, struct ioas_domain *domain, bool pin)
{
	struct memory_query query = {0};
	struct range_cursor at;
	int rc = 0;

	if (domain->ops->prepare)
		rc = domain->ops->prepare(domain, ioas->areas.count);
	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more && !rc; more = range_map_next(&at)) {
		rc = fill_area(ioas, domain, &at.range, pin, &query);
		if (!rc)
			continue;
		domain->ops->unmap(domain, 0, UINT64_MAX);
		domain->ops->flush(domain);
		if (pin)
			unpin_areas(ioas, &at.range.start);
		break;
	}
	memory_query_end(&query);
	return rc;
}

static bool in_use(const struct ioas *ioas, iova_t start, iova_t last)
{
	struct range met;

	return range_map_find(&ioas->areas, start, last, &met) || range_map_find(&ioas->allowed, start, last, &met);
}

/* Reserves what the domain cannot translate. With the lock held. */
static int reserve_complement(struct ioas *ioas, const struct ioas_domain *domain)
{
	const iova_t first = domain->aperture_first;
	const iova_t last = domain->aperture_last;
	int rc = 0;

	if (first) {
		if (in_use(ioas, 0, first - 1))
			return -EADDRINUSE;
		rc = reserved_add(&ioas->reserved, 0, first - 1, domain);
	}
	if (!rc && last != UINT64_MAX) {
		if (in_use(ioas, last + 1, UINT64_MAX))
			return -EADDRINUSE;
		rc = reserved_add(&ioas->reserved, last + 1, UINT64_MAX, domain);
	}
	return rc;
}

static struct ioas_domain **link_of(struct ioas *ioas, const struct ioas_domain *domain)
{
	struct ioas_domain **link = &ioas->domains;

	while (*link != domain)
		link = &(*link)->next;
	return link;
}

int ioas_add_domain(struct ioas *ioas, struct ioas_domain *domain)
{
	int rc;

	if (smallest_page(domain->page_sizes) > PAGE_SIZE)
		return -EINVAL;
	begin_change(ioas);
	/* In the list only for the alignment; it is not shown anything before it is filled. */
	domain->next = NULL;
	*link_of(ioas, NULL) = domain;
	rc = ioas_update_alignment(ioas);
	*link_of(ioas, domain) = NULL;
	if (!rc)
		rc = reserve_complement(ioas, domain);
	if (!rc) {
		ioas_unlock(ioas);
		rc = fill(ioas, domain, !ioas->pinned);
		pthread_mutex_lock(&ioas->lock);
	}
	if (!rc) {
		ioas->pinned = true;
		*link_of(ioas, NULL) = domain;
	} else {
		reserved_drop(&ioas->reserved, domain);
		ioas_update_alignment(ioas);
	}
	end_change(ioas);
	return rc;
}

void ioas_remove_domain(struct ioas *ioas, struct ioas_domain *domain)
{
	begin_change(ioas);
	domain->ops->unmap(domain, 0, UINT64_MAX);
	*link_of(ioas, domain) = domain->next;
	ioas_unlock(ioas);
	domain->ops->flush(domain);
	if (!ioas->domains)
		unpin_areas(ioas, NULL);
	pthread_mutex_lock(&ioas->lock);
	ioas->pinned = ioas->domains;
	reserved_drop(&ioas->reserved, domain);
	ioas_update_alignment(ioas); /* cannot rise */
	end_change(ioas);
}

uint64_t ioas_page_sizes(struct ioas *ioas)
{
	uint64_t sizes = UINT64_MAX;

	pthread_mutex_lock(&ioas->lock);
	for (const struct ioas_domain *domain = ioas->domains; domain; domain = domain->next)
		sizes &= domain->page_sizes;
	ioas_unlock(ioas);
	return sizes & ~PAGE_MASK ? (sizes & PAGE_MASK) | PAGE_SIZE : sizes;
}

bool ioas_coherent(struct ioas *ioas)
{
	bool coherent = true;

	pthread_mutex_lock(&ioas->lock);
	for (const struct ioas_domain *domain = ioas->domains; domain; domain = domain->next)
		coherent &= domain->coherent;
	ioas_unlock(ioas);
	return coherent;
}

static bool is_of(struct pages *pages, const struct dmabuf *dmabuf)
{
	return pages->kind == PAGES_DMABUF && pages_file(pages)->dmabuf == dmabuf;
}

/* The pages were marked as revoked before: what is shown from now on leaves them out. */
static void hide_dmabuf(struct ioas *ioas, void *arg)
{
	struct range_cursor at;

	ioas_lock(ioas);
	if (!ioas->domains) {
		ioas_unlock(ioas);
		return;
	}
	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more; more = range_map_next(&at))
		if (is_of(((const struct area *)at.range.value)->pages, arg))
			domains_hide(ioas, at.range.start, at.range.last);
	/* Also where an area was just taken away by somebody who has not flushed yet. */
	domains_flush_begin(ioas);
	ioas_unlock(ioas);
	domains_flush(ioas);
}

void ioas_context_hide(struct ioas_context *context, struct dmabuf *dmabuf)
{
	if (context->each)
		context->each(context, hide_dmabuf, dmabuf);
}

void ioas_context_init(struct ioas_context *context)
{
	for (size_t i = 0; i < PIN_LOCKS; i++) {
		pthread_mutex_init(&context->pin_lock[i], NULL);
		pthread_cond_init(&context->pin_found[i], NULL);
	}
	context->each = NULL;
	atomic_init(&context->no_huge_pages, false);
}

void ioas_context_fini(struct ioas_context *context)
{
	for (size_t i = 0; i < PIN_LOCKS; i++) {
		pthread_cond_destroy(&context->pin_found[i]);
		pthread_mutex_destroy(&context->pin_lock[i]);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/client.h"
#include "client/memory.h"
#include "ioas/access.h"
#include "iommufd/selftest.h"

struct place place_of_page(const struct access_page *page)
{
	const struct pages *pages = page->pages;

	return (struct place){
		.mm = pages->kind == PAGES_USER ? pages->mm : NULL,
		.va = pages->base + page->index * PAGE_SIZE,
		.host = page->host,
		.hold = page->hold,
	};
}

struct place place_of_run(const struct mm *mm, uint64_t va, const struct memory_run *run, uint64_t offset)
{
	return (struct place){
		.mm = mm,
		.va = va + offset,
		.host = run->host ? run->host + offset : NULL,
		.hold = run->hold,
	};
}

bool place_of_iova(struct paging_domain *domain, iova_t iova, struct place *place, uint64_t *length)
{
	struct ioas_mapping mapping;
	uint64_t offset;
	bool found;

	pthread_mutex_lock(&domain->ioas->lock);
	found = paging_domain_find(domain, iova, &mapping);
	if (found) {
		const struct pages *pages = mapping.pages;

		offset = iova - mapping.start;
		*length = mapping.last - iova + 1;
		*place = (struct place){
			.mm = pages->kind == PAGES_USER ? pages->mm : NULL,
			.va = mapping.source + offset,
			.host = mapping.host ? mapping.host + offset : NULL,
			.hold = hold_get(mapping.hold),
		};
	}
	pthread_mutex_unlock(&domain->ioas->lock);
	return found;
}

static bool is_known(const struct place *place)
{
	return place->hold && place->hold->dev && place->host;
}

static uint64_t file_offset(const struct place *place)
{
	return place->hold->offset + (uint64_t)(place->host - place->hold->host);
}

/*
 * Memory that is shared is told apart by its file, as it may be mapped at several addresses; what cannot be held is
 * known by its owner's address only.
 */
bool place_same(const struct place *a, const struct place *b)
{
	if (is_known(a) && is_known(b))
		return a->hold->dev == b->hold->dev && a->hold->ino == b->hold->ino && file_offset(a) == file_offset(b);
	if (a->host || b->host)
		return a->host == b->host;
	return a->mm && a->mm == b->mm && a->va == b->va;
}

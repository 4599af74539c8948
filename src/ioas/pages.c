/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/pages.h"

#include <stdlib.h>

struct mapping {
	struct pages pages;
	struct area area;
};

struct file_mapping {
	struct mapping mapping;
	struct memory_file *file;
};

static int mapping_new(size_t size, struct mm *mm, uint64_t address, uint64_t length, struct mapping **out)
{
	uint64_t start = address & ~PAGE_MASK;
	struct mapping *mapping;

	if (!length || length > UINT64_MAX - PAGE_SIZE)
		return -EINVAL;
	mapping = malloc(size);
	if (!mapping)
		return -ENOMEM;
	mapping->pages.mm = mm_get(mm);
	mapping->pages.base = address & PAGE_MASK;
	mapping->pages.npages = ((start + length) >> PAGE_SHIFT) + ((start + length) % PAGE_SIZE != 0);
	mapping->pages.kind = PAGES_USER;
	mapping->pages.account = PAGES_ACCOUNT_NONE;
	mapping->pages.writable = false;
	atomic_init(&mapping->pages.refs, 1);
	mapping->area.pages = &mapping->pages;
	mapping->area.start = start;
	mapping->area.prot = 0;
	mapping->area.inside = true;
	*out = mapping;
	return 0;
}

int pages_new_user(struct mm *mm, uaddr_t va, uint64_t length, struct area **area)
{
	struct mapping *mapping;
	int rc = mapping_new(sizeof(*mapping), mm, va.va, length, &mapping);

	if (!rc)
		*area = &mapping->area;
	return rc;
}

int pages_new_file(struct mm *mm, struct memory_file *file, uint64_t start, uint64_t length, struct area **area)
{
	struct mapping *mapping;
	int rc = mapping_new(sizeof(struct file_mapping), mm, start, length, &mapping);

	if (rc)
		return rc;
	mapping->pages.kind = PAGES_FILE;
	((struct file_mapping *)mapping)->file = file;
	*area = &mapping->area;
	return 0;
}

struct memory_file *pages_file(struct pages *pages)
{
	return ((struct file_mapping *)pages)->file;
}

struct area *area_share(struct pages *pages, uint64_t start)
{
	struct area *area = malloc(sizeof(*area));

	if (!area)
		return NULL;
	atomic_fetch_add_explicit(&pages->refs, 1, memory_order_relaxed);
	area->pages = pages;
	area->start = start;
	area->prot = 0;
	area->inside = false;
	return area;
}

/* References come only from areas, so nobody adds one to the last. */
static void pages_put(struct pages *pages)
{
	if (atomic_load_explicit(&pages->refs, memory_order_acquire) != 1 &&
	    atomic_fetch_sub_explicit(&pages->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (pages->kind == PAGES_FILE)
		memory_file_put(pages_file(pages));
	mm_put(pages->mm);
	free(pages);
}

void area_free(struct area *area)
{
	struct pages *pages = area->pages;

	if (!area->inside)
		free(area);
	pages_put(pages);
}

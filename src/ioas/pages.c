/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/pages.h"

#include "client/dmabuf.h"
#include "client/memory.h"
#include "ioas/change.h"

#include <stdlib.h>

struct mapping {
	struct pages pages;
	struct area area;
};

struct file_mapping {
	struct mapping mapping;
	struct memory_file *file;
};

struct dmabuf_mapping {
	struct file_mapping mapping;
	struct dmabuf_importer importer;
	struct ioas_context *context;
	_Atomic bool revoked;
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
	mapping->pages.account = ACCOUNT_NONE;
	mapping->pages.writable = false;
	mapping->pages.finding = false;
	atomic_init(&mapping->pages.pins, NULL);
	atomic_init(&mapping->pages.refs, 1);
	mapping->area.pages = &mapping->pages;
	mapping->area.start = start;
	mapping->area.next = NULL;
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

static struct dmabuf_mapping *dmabuf_mapping(struct pages *pages)
{
	return (struct dmabuf_mapping *)pages;
}

static struct dmabuf_mapping *of_importer(struct dmabuf_importer *importer)
{
	return (struct dmabuf_mapping *)((char *)importer - offsetof(struct dmabuf_mapping, importer));
}

static void revoke(struct dmabuf_importer *importer)
{
	atomic_store_explicit(&of_importer(importer)->revoked, true, memory_order_release);
}

static void hide(struct dmabuf_importer *importer)
{
	struct dmabuf_mapping *mapping = of_importer(importer);

	ioas_context_hide(mapping->context, mapping->mapping.file->dmabuf);
}

static int join(struct dmabuf_mapping *mapping, struct memory_file *file, struct ioas_context *context)
{
	mapping->importer.revoke = revoke;
	mapping->importer.hide = context ? hide : NULL;
	mapping->importer.user = context;
	mapping->context = context;
	atomic_init(&mapping->revoked, false);
	return dmabuf_join(file->dmabuf, &mapping->importer);
}

int pages_new_file(struct mm *mm, struct memory_file *file, uint64_t start, uint64_t length,
		   struct ioas_context *context, struct area **area)
{
	const size_t size = file->dmabuf ? sizeof(struct dmabuf_mapping) : sizeof(struct file_mapping);
	struct mapping *mapping;
	int rc;

	if (file->dmabuf && (start > file->dmabuf->length || length > file->dmabuf->length - start))
		return -EINVAL;
	rc = mapping_new(size, mm, start, length, &mapping);
	if (rc)
		return rc;
	mapping->pages.kind = file->dmabuf ? PAGES_DMABUF : PAGES_FILE;
	((struct file_mapping *)mapping)->file = file;
	if (file->dmabuf)
		rc = join(dmabuf_mapping(&mapping->pages), file, context);
	if (rc) {
		mm_put(mm);
		free(mapping);
		return rc;
	}
	*area = &mapping->area;
	return 0;
}

struct memory_file *pages_file(struct pages *pages)
{
	return ((struct file_mapping *)pages)->file;
}

bool pages_revoked(struct pages *pages)
{
	return pages->kind == PAGES_DMABUF &&
	       atomic_load_explicit(&dmabuf_mapping(pages)->revoked, memory_order_acquire);
}

struct area *area_share(struct pages *pages, uint64_t start)
{
	struct area *area = malloc(sizeof(*area));

	if (!area)
		return NULL;
	pages_get(pages);
	area->pages = pages;
	area->start = start;
	area->next = NULL;
	return area;
}

/* Whoever takes a reference has one, so nobody adds one to the last. */
void pages_put(struct pages *pages)
{
	if (atomic_load_explicit(&pages->refs, memory_order_acquire) != 1 &&
	    atomic_fetch_sub_explicit(&pages->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (pages->kind == PAGES_DMABUF)
		dmabuf_leave(pages_file(pages)->dmabuf, &dmabuf_mapping(pages)->importer);
	if (pages->kind != PAGES_USER)
		memory_file_put(pages_file(pages));
	mm_put(pages->mm);
	free(pages);
}

void area_free(struct area *area)
{
	struct pages *pages = area->pages;

	/* The first area is inside the memory of its pages. */
	if (area != &((struct mapping *)pages)->area)
		free(area);
	pages_put(pages);
}

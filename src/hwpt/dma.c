/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "client/client.h"
#include "client/memory.h"
#include "client/mm.h"
#include "hwpt/attached.h"
#include "hwpt/dirty.h"
#include "hwpt/sva.h"
#include "ioas/pages.h"

#include <errno.h>

/* A section that copies here ends after so many bytes, as an unmap may wait for it. */
#define SECTION_BYTES 65536U
#define SECTION_RUNS  16U

/* Translations. */

static struct translation *iotlb_fill(const struct attached *attachment, iova_t iova, struct iotlb_entry *entry)
{
	struct translation *translation = table_find(&attachment->paging->table, iova);
	uint64_t serial;

	if (!translation)
		return NULL;
	serial = atomic_load(&translation->serial);
	/* One that ended just now may be used until the end of the section, not later. */
	if (serial)
		*entry = (struct iotlb_entry){.start = translation->mapping.start,
					      .last = translation->mapping.last,
					      .attachment = attachment->serial,
					      .serial = serial,
					      .translation = translation};
	return translation;
}

static inline struct translation *lookup(struct dma *dma, const struct attached *attachment, uint32_t pasid,
					 iova_t iova)
{
	struct iotlb_entry *entry = iotlb_entry(dma, pasid, iova);

	if (entry->attachment == attachment->serial && iova >= entry->start && iova <= entry->last &&
	    atomic_load(&entry->translation->serial) == entry->serial)
		return entry->translation;
	return iotlb_fill(attachment, iova, entry);
}

static enum dma_fault_reason allowed(const struct translation *translation, enum dma_access access)
{
	const struct ioas_mapping *mapping;

	if (!translation)
		return DMA_FAULT_NOT_MAPPED;
	mapping = &translation->mapping;
	if (access & DMA_WRITE && !(mapping->prot & IOMMU_IOAS_MAP_WRITEABLE))
		return DMA_FAULT_READ_ONLY;
	if (access & DMA_READ && !(mapping->prot & IOMMU_IOAS_MAP_READABLE))
		return DMA_FAULT_WRITE_ONLY;
	if (!mapping->host && mapping->pages->kind != PAGES_USER)
		return DMA_FAULT_MEMORY;
	return 0;
}

/* Only memory of an address space is reached by it, and its pages stay that address space's. */
static void fill_run(const struct ioas_mapping *mapping, iova_t iova, uint64_t length, struct dma_run *run)
{
	uint64_t offset = iova - mapping->start;

	run->length = length;
	run->hold = mapping->hold;
	if (mapping->host) {
		run->host = mapping->host + offset;
		run->mm = NULL;
	} else {
		run->host = NULL;
		run->mm = mapping->pages->mm;
		run->va = uaddr(mapping->source + offset);
		run->shared = false;
	}
}

/*
 * Addresses are the process's own, and all that it could have are one run: what is there is found out by using it. An
 * unmap does not wait for it, but a detach does.
 */
static uint64_t translate_shared(struct mm *mm, iova_t iova, uint64_t length, struct dma_run *run, size_t *count,
				 struct dma_fault *fault)
{
	if (iova > SVA_ADDRESS_LAST || mm_is_gone(mm)) {
		fault->reason = DMA_FAULT_PAGE_REQUEST;
		fault->iova = iova;
		return 0;
	}
	if (length > SVA_ADDRESS_LAST - iova + 1)
		length = SVA_ADDRESS_LAST - iova + 1;
	*run = (struct dma_run){.length = length, .mm = mm, .va = uaddr(iova), .shared = true};
	*count = 1;
	return length;
}

uint64_t dma_translate_anew(struct dma *dma, uint32_t pasid, iova_t iova, uint64_t length, enum dma_access access,
			    struct dma_run *run, size_t room, size_t *count, struct dma_fault *fault)
{
	const struct attached *attachment = attached_of(dma->device, pasid);
	uint64_t done = 0;
	size_t n = 0;

	*count = 0;
	fault->reason = 0;
	fault->pasid = pasid;
	fault->access = access;
	if (attachment && attachment->shared)
		return room && length ? translate_shared(attachment->shared, iova, length, run, count, fault) : 0;
	if (!attachment || !attachment->paging) {
		fault->reason = DMA_FAULT_NO_DOMAIN;
		fault->iova = iova;
		return 0;
	}
	while (done < length && n < room) {
		struct translation *translation = lookup(dma, attachment, pasid, iova);
		enum dma_fault_reason reason = allowed(translation, access);
		uint64_t part;

		if (done && !iova) /* beyond the last IOVA */
			reason = DMA_FAULT_NOT_MAPPED;
		if (reason) {
			fault->reason = reason;
			fault->iova = iova;
			break;
		}
		part = translation->mapping.last - iova;
		part = part < length - done ? part + 1 : length - done;
		fill_run(&translation->mapping, iova, part, &run[n++]);
		if (access & DMA_WRITE && atomic_load_explicit(&attachment->paging->tracking, memory_order_acquire))
			dirty_mark(translation, iova, iova + part - 1);
		done += part;
		iova += part;
	}
	*count = n;
	return done;
}

_Static_assert(IOMMU_IOAS_MAP_WRITEABLE == (int)DMA_WRITE, "the same bit");
_Static_assert(IOMMU_IOAS_MAP_READABLE == (int)DMA_READ << 2, "shifted");

/* Copying. */

struct transfer {
	struct dma *dma;
	uint32_t pasid;
	enum dma_access access;
	uint8_t *to;         /* where the device reads memory to */
	const uint8_t *from; /* what it writes there */
};

/* Returns how many bytes came. */
static size_t copy_local(const struct transfer *t, size_t done, const struct dma_run *run)
{
	if (t->access == DMA_READ)
		return memory_copy(run->hold, t->to + done, run->host, run->length);
	return memory_copy(run->hold, run->host, t->from + done, run->length);
}

static size_t copy_shared(const struct transfer *t, size_t done, const struct dma_run *run)
{
	const struct mm_ops *ops = run->mm->ops;

	if (t->access == DMA_READ)
		return (ops->load ? ops->load : ops->read)(run->mm, t->to + done, run->va, run->length);
	return (ops->store ? ops->store : ops->write)(run->mm, run->va, t->from + done, run->length);
}

/* Copies at most to the end of the page; *n says how much that is. */
static size_t copy_remote(const struct transfer *t, size_t done, const struct dma_run *run, size_t *n)
{
	uint64_t page = PAGE_SIZE - (run->va.va & (PAGE_SIZE - 1));

	*n = run->length < page ? run->length : page;
	if (t->access == DMA_READ)
		return run->mm->ops->read(run->mm, t->to + done, run->va, *n);
	return run->mm->ops->write(run->mm, run->va, t->from + done, *n);
}

/* One section. Returns how many bytes came; *reason: what was met after them, or 0. */
static size_t copy_runs(const struct transfer *t, size_t done, const struct dma_run *run, size_t count,
			enum dma_fault_reason *reason)
{
	size_t begin = done, n, got;

	for (size_t i = 0; i < count; i++) {
		/* What a client can delay has a section of its own. */
		if (!run[i].host && i)
			break;
		if (run[i].host) {
			n = run[i].length;
			got = copy_local(t, done, &run[i]);
		} else if (run[i].shared) {
			n = run[i].length;
			got = copy_shared(t, done, &run[i]);
		} else {
			got = copy_remote(t, done, &run[i], &n);
		}
		done += got;
		if (got < n)
			*reason = !run[i].host && run[i].shared ? DMA_FAULT_PAGE_REQUEST : DMA_FAULT_MEMORY;
		if (got < n || !run[i].host)
			break;
	}
	return done - begin;
}

/* How many bytes a section takes at most. Inside it. */
static uint64_t section_bytes(const struct transfer *t)
{
	const struct attached *attached = t->pasid == NO_PASID ? NULL : attached_of(t->dma->device, t->pasid);

	return attached && attached->shared ? DMA_SHARED_BYTES : SECTION_BYTES;
}

/* Returns how many bytes came before the fault. */
static size_t transfer_some(const struct transfer *t, iova_t iova, size_t n, struct dma_fault *fault)
{
	struct dma_run run[SECTION_RUNS];
	size_t done = 0;

	while (done < n) {
		enum dma_fault_reason reason = 0;
		size_t count, got;
		uint64_t want, found;

		if (done && iova + done < iova) {
			fault->reason = DMA_FAULT_NOT_MAPPED;
			break;
		}
		dma_begin(t->dma);
		want = section_bytes(t);
		want = n - done < want ? n - done : want;
		found = dma_translate_anew(t->dma, t->pasid, iova + done, want, t->access, run, SECTION_RUNS, &count,
					   fault);
		got = copy_runs(t, done, run, count, &reason);
		dma_end(t->dma);
		done += got;
		if (reason)
			fault->reason = reason;
		if (reason || (fault->reason && got == found))
			break;
		fault->reason = 0;
	}
	return done;
}

static int transfer(const struct transfer *t, iova_t iova, size_t n, struct dma_fault *fault)
{
	struct dma_fault own;
	size_t done;

	if (!fault)
		fault = &own;
	fault->reason = 0;
	done = transfer_some(t, iova, n, fault);
	if (!fault->reason)
		return 0;
	fault->iova = iova + done;
	dma_report(t->dma, fault, n - done);
	return -EFAULT;
}

int dma_read(struct dma *dma, uint32_t pasid, iova_t iova, void *to, size_t n, struct dma_fault *fault)
{
	const struct transfer t = {.dma = dma, .pasid = pasid, .access = DMA_READ, .to = to};

	return transfer(&t, iova, n, fault);
}

int dma_write(struct dma *dma, uint32_t pasid, iova_t iova, const void *from, size_t n, struct dma_fault *fault)
{
	const struct transfer t = {.dma = dma, .pasid = pasid, .access = DMA_WRITE, .from = from};

	return transfer(&t, iova, n, fault);
}

int dma_readv(struct dma *dma, uint32_t pasid, const struct iovec *iova, int count, void *to, struct dma_fault *fault)
{
	uint8_t *at = to;

	for (int i = 0; i < count; i++) {
		int rc = dma_read(dma, pasid, (uintptr_t)iova[i].iov_base, at, iova[i].iov_len, fault);

		if (rc)
			return rc;
		at += iova[i].iov_len;
	}
	return 0;
}

int dma_writev(struct dma *dma, uint32_t pasid, const struct iovec *iova, int count, const void *from,
	       struct dma_fault *fault)
{
	const uint8_t *at = from;

	for (int i = 0; i < count; i++) {
		int rc = dma_write(dma, pasid, (uintptr_t)iova[i].iov_base, at, iova[i].iov_len, fault);

		if (rc)
			return rc;
		at += iova[i].iov_len;
	}
	return 0;
}

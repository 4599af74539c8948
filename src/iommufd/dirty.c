/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What devices wrote, for the client: a bit for each of its pages, set in its bitmap and never cleared.
 *
 * The page table is asked for runs, some at a time, without the client's memory being touched; then their bits are
 * brought to the client, whose bitmap is read, or-ed and written in pieces, only where there is something to set. What
 * it costs is therefore what is dirty, whatever the range.
 */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/hwpt.h"

#define RUNS  256
#define PIECE 4096U /* bytes of the bitmap */

struct run {
	uint64_t first, last; /* bits */
};

struct runs {
	iova_t iova, last; /* of the range; bit 0 is iova */
	unsigned shift;
	iova_t next; /* where to go on: the byte after the last run */
	bool end;    /* there is none */
	size_t count;
	struct run run[RUNS];
};

/* A piece of the client's bitmap: bits that are to be set there. */
struct bitmap {
	struct client *client;
	uaddr_t at;
	uint64_t piece;   /* which */
	size_t low, high; /* the bytes that have bits: [low, high) */
	unsigned char set[PIECE], old[PIECE];
};

/* Returns 1 when no more runs can be taken. A run is of whole IOMMU pages, which may reach out of the range. */
static int take_run(void *context, iova_t start, iova_t last)
{
	struct runs *runs = context;
	struct run *run = &runs->run[runs->count];

	runs->end = last >= runs->last;
	runs->next = last + 1;
	start = start > runs->iova ? start : runs->iova;
	last = last < runs->last ? last : runs->last;
	*run = (struct run){(start - runs->iova) >> runs->shift, (last - runs->iova) >> runs->shift};
	return ++runs->count == RUNS;
}

static int bitmap_flush(struct bitmap *bitmap)
{
	const size_t low = bitmap->low, n = bitmap->high - low;
	const uaddr_t at = uaddr_add(bitmap->at, bitmap->piece * PIECE + low);

	if (bitmap->low >= bitmap->high)
		return 0;
	if (client_copy_in(bitmap->client, bitmap->old, at, n))
		return -EFAULT;
	for (size_t i = 0; i < n; i++)
		bitmap->old[i] |= bitmap->set[low + i];
	memset(bitmap->set + low, 0, n);
	bitmap->low = PIECE;
	bitmap->high = 0;
	return client_copy_out(bitmap->client, at, bitmap->old, n);
}

/* Bits [first, last] of the piece. */
static void set_in_piece(struct bitmap *bitmap, unsigned first, unsigned last)
{
	const size_t from = first / 8, to = last / 8;
	const unsigned char head = (unsigned char)(0xffU << first % 8);
	const unsigned char tail = (unsigned char)(0xffU >> (7 - last % 8));

	if (from == to) {
		bitmap->set[from] |= head & tail;
	} else {
		bitmap->set[from] |= head;
		memset(bitmap->set + from + 1, 0xff, to - from - 1);
		bitmap->set[to] |= tail;
	}
	bitmap->low = from < bitmap->low ? from : bitmap->low;
	bitmap->high = to + 1 > bitmap->high ? to + 1 : bitmap->high;
}

static int bitmap_set(struct bitmap *bitmap, struct run run)
{
	const uint64_t bits = UINT64_C(8) * PIECE;

	for (uint64_t piece = run.first / bits; piece <= run.last / bits; piece++) {
		const uint64_t base = piece * bits;
		int rc = piece != bitmap->piece ? bitmap_flush(bitmap) : 0;

		if (rc)
			return rc;
		bitmap->piece = piece;
		set_in_piece(bitmap, run.first > base ? (unsigned)(run.first - base) : 0,
			     (unsigned)(run.last - base < bits ? run.last - base : bits - 1));
	}
	return 0;
}

static int deliver(struct bitmap *bitmap, const struct runs *runs)
{
	int rc = 0;

	for (size_t i = 0; i < runs->count && !rc; i++)
		rc = bitmap_set(bitmap, runs->run[i]);
	return rc ? rc : bitmap_flush(bitmap);
}

/* What the client could not be told is dirty again. */
static void take_back(struct paging_domain *domain, const struct runs *runs)
{
	for (size_t i = 0; i < runs->count; i++) {
		const struct run *run = &runs->run[i];
		iova_t last = runs->iova + (((run->last + 1) << runs->shift) - 1);

		paging_domain_mark(domain, runs->iova + (run->first << runs->shift),
				   last < runs->last ? last : runs->last);
	}
}

/* Nobody is told how it ended, as on Linux: what could not be told is found by the next call. */
static void walk(struct paging_domain *domain, const struct iommu_hwpt_get_dirty_bitmap *cmd, struct client *client)
{
	const bool clear = !(cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
	int (*const dirty)(struct paging_domain *, iova_t, iova_t, bool, int (*)(void *, iova_t, iova_t), void *) =
		cmd->page_size & (PAGE_SIZE - 1) ? paging_domain_dirty : paging_domain_dirty_pages;
	struct bitmap bitmap;
	struct runs runs;

	bitmap.client = client;
	bitmap.at = uaddr(cmd->data);
	bitmap.piece = 0;
	bitmap.low = PIECE;
	bitmap.high = 0;
	memset(bitmap.set, 0, sizeof(bitmap.set));
	runs.iova = cmd->iova;
	runs.last = cmd->iova + cmd->length - 1;
	runs.shift = (unsigned)__builtin_ctzll(cmd->page_size);
	runs.next = cmd->iova;
	runs.end = false;
	do {
		runs.count = 0;
		dirty(domain, runs.next, runs.last, clear, take_run, &runs);
		if (deliver(&bitmap, &runs)) {
			if (clear)
				take_back(domain, &runs);
			return;
		}
	} while (runs.count == RUNS && !runs.end);
}

static uint64_t alignment_of(struct ioas *ioas)
{
	uint64_t alignment;

	pthread_mutex_lock(&ioas->lock);
	alignment = ioas->alignment;
	pthread_mutex_unlock(&ioas->lock);
	return alignment;
}

/* page_size need not be a power of two: it counts as a mask here, and by its lowest bit in the bitmap. */
static int check_range(struct ioas *ioas, const struct iommu_hwpt_get_dirty_bitmap *cmd)
{
	const uint64_t mask = alignment_of(ioas) - 1;
	iova_t last;

	if (__builtin_add_overflow(cmd->iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	if (cmd->iova & mask || (last + 1) & mask)
		return -EINVAL;
	if (!cmd->page_size || cmd->iova & (cmd->page_size - 1) || (last + 1) & (cmd->page_size - 1))
		return -EINVAL;
	return 0;
}

static bool can_track(const struct hwpt_paging *hwpt)
{
	return hwpt->common.domain->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
}

int iommufd_hwpt_set_dirty_tracking(struct ucmd *ucmd)
{
	const struct iommu_hwpt_set_dirty_tracking *cmd = (const void *)ucmd->cmd;
	struct hwpt_paging *hwpt;
	int rc;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = hwpt_paging_get(ucmd->ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	rc = can_track(hwpt) ? paging_domain_track(&hwpt->domain, cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
			     : -EOPNOTSUPP;
	object_put(&hwpt->common.object);
	return rc;
}

/* Nothing is dirty in a range of length 0, which only IOVA 0 can have. */
int iommufd_hwpt_get_dirty_bitmap(struct ucmd *ucmd)
{
	const struct iommu_hwpt_get_dirty_bitmap *cmd = (const void *)ucmd->cmd;
	struct hwpt_paging *hwpt;
	int rc;

	if (cmd->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR || cmd->__reserved)
		return -EOPNOTSUPP;
	hwpt = hwpt_paging_get(ucmd->ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	rc = check_range(&hwpt->ioas->ioas, cmd);
	if (!rc && !can_track(hwpt))
		rc = -EOPNOTSUPP;
	if (!rc && cmd->length)
		walk(&hwpt->domain, cmd, ucmd->client);
	object_put(&hwpt->common.object);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The choice of an IOVA: the lowest that is free, not reserved and allowed, aligned as the source is, so that large
 * pages can be used. The first and the last page of the space are never chosen, nor a gap of one byte.
 */
#include "ioas/ioas.h"

#define HUGE_PAGE_SIZE (UINT64_C(2) << 20)

static uint64_t alignment_for(uint64_t source, uint64_t length, bool huge_pages)
{
	uint64_t most = huge_pages ? HUGE_PAGE_SIZE : PAGE_SIZE;
	uint64_t lowest = source & -source;
	uint64_t align = length > 1 ? UINT64_C(1) << (64 - __builtin_clzll(length - 1)) : 1;

	if (source && lowest < align)
		align = lowest;
	return align < most ? align : most;
}

static bool choose_in_window(const struct ioas *ioas, struct range_gap want, iova_t *iova)
{
	iova_t start;
	struct iova_span hole;

	/* The window itself counts as a gap: a search in it begins where the first fit of an empty window would be. */
	if (__builtin_add_overflow(want.first, want.align - 1, &start))
		return false;
	start = (start & -want.align) | want.offset;
	if (start > want.last || want.last - start < want.length - 1)
		return false;
	for (iova_t last = want.last; reserved_hole(&ioas->reserved, start, last, &hole); start = hole.last + 1) {
		want.first = hole.start;
		want.last = hole.last;
		if (range_map_find_gap(&ioas->areas, &want, iova))
			return true;
		if (hole.last == last)
			break;
	}
	return false;
}

static bool choose_allowed(const struct ioas *ioas, struct range_gap want, iova_t *iova)
{
	const iova_t first = want.first;
	const iova_t last = want.last;
	struct range_cursor at;
	bool more = range_map_first(&ioas->allowed, first, last, &at);

	while (more) {
		want.first = at.range.start > first ? at.range.start : first;
		want.last = at.range.last;
		/* Ranges that touch are one. */
		for (more = range_map_next(&at); more && at.range.start - 1 == want.last; more = range_map_next(&at))
			want.last = at.range.last;
		if (want.last > last)
			want.last = last;
		if (choose_in_window(ioas, want, iova))
			return true;
	}
	return false;
}

/*
 * The recordings of the test device are of a kernel without huge pages, and show IOVAs that it chose where there was no
 * page table.
 */
static bool huge_pages(const struct ioas *ioas)
{
	return ioas->domains || !ioas->context || !atomic_load(&ioas->context->no_huge_pages);
}

int ioas_choose_iova(const struct ioas *ioas, uint64_t source, uint64_t length, iova_t *iova)
{
	struct range_gap want = {
		.first = PAGE_SIZE,
		.last = UINT64_MAX - PAGE_SIZE,
		.length = length < 2 ? 2 : length, /* the gap must reach beyond the address chosen */
		.offset = source % PAGE_SIZE,
	};
	bool found;

	if (length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	want.align = alignment_for(source, length, huge_pages(ioas));
	if (want.align < ioas->alignment)
		return -EINVAL;
	found = ioas->allowed.count ? choose_allowed(ioas, want, iova) : choose_in_window(ioas, want, iova);
	return found ? 0 : -ENOSPC;
}

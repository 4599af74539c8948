/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#include <errno.h>
#include <stddef.h>

#define PAGE    UINT64_C(4096)
#define HUGE    (UINT64_C(2) << 20)
#define U64_MAX UINT64_MAX

uint64_t model_alignment(const struct space *space)
{
	return space->small_pages ? PAGE : 1;
}

static bool misaligned(const struct space *space, uint64_t x)
{
	return x & (model_alignment(space) - 1);
}

static struct area *area_over(struct space *space, uint64_t start, uint64_t last)
{
	struct area *lowest = NULL;

	for (unsigned i = 0; i < space->areas; i++) {
		struct area *a = &space->area[i];

		if (a->iova <= last && a->last >= start && (!lowest || a->iova < lowest->iova))
			lowest = a;
	}
	return lowest;
}

static const struct area *area_at(const struct space *space, uint64_t iova)
{
	for (unsigned i = 0; i < space->areas; i++)
		if (space->area[i].iova <= iova && iova <= space->area[i].last)
			return &space->area[i];
	return NULL;
}

/* The last byte of the gap that begins at iova. */
static uint64_t gap_last(const struct space *space, uint64_t iova, uint64_t limit)
{
	for (unsigned i = 0; i < space->areas; i++)
		if (space->area[i].iova > iova && space->area[i].iova - 1 < limit)
			limit = space->area[i].iova - 1;
	return limit;
}

/* A.6: where a map of this length may begin in [start, last], or false. */
static bool candidate(uint64_t *start, uint64_t last, uint64_t length, uint64_t align, uint64_t offset)
{
	uint64_t up;

	if (__builtin_add_overflow(*start, align - 1, &up))
		return false;
	up = (up & ~(align - 1)) | offset;
	if (up >= last || last - up < length - 1)
		return false;
	*start = up;
	return true;
}

static bool place_in(const struct space *space, struct range window, const struct request *r, uint64_t align,
		     uint64_t *iova)
{
	uint64_t offset = r->addr % PAGE, at = window.start;

	if (!candidate(&at, window.last, r->length, align, offset))
		return false;
	while (at <= window.last) {
		const struct area *a = area_at(space, at);

		if (a) {
			if (a->last >= window.last)
				return false;
			at = a->last + 1;
			continue;
		}
		uint64_t last = gap_last(space, at, window.last), found = at;

		if (candidate(&found, last, r->length, align, offset)) {
			*iova = found;
			return true;
		}
		if (last >= window.last)
			return false;
		at = last + 1;
	}
	return false;
}

/* The lowest allowed range that begins at or after start, joined with those that follow it without a gap. */
static bool next_window(const struct space *space, uint64_t start, struct range *window)
{
	bool found = false, grew = true;

	if (space->ranges == 0) {
		*window = (struct range){PAGE, U64_MAX - PAGE};
		return start == 0;
	}
	for (unsigned i = 0; i < space->ranges; i++) {
		struct range r = space->allowed[i];

		if (r.start >= start && (!found || r.start < window->start)) {
			*window = r;
			found = true;
		}
	}
	while (found && grew) {
		grew = false;
		for (unsigned i = 0; i < space->ranges; i++)
			if (window->last != U64_MAX && space->allowed[i].start == window->last + 1) {
				window->last = space->allowed[i].last;
				grew = true;
			}
	}
	return found;
}

static uint64_t power_of_2_from(uint64_t length)
{
	uint64_t p = 1;

	while (p < length)
		p <<= 1;
	return p;
}

static int place(const struct space *space, const struct request *r, uint64_t *iova)
{
	if (r->length >= U64_MAX / 2)
		return -EOVERFLOW;
	uint64_t align = power_of_2_from(r->length), lowest = r->addr & -r->addr;

	if (r->addr && lowest < align)
		align = lowest;
	if (align > HUGE)
		align = HUGE;
	if (align < model_alignment(space))
		return -EINVAL;
	uint64_t from = 0;
	struct range w = {0, 0};

	while (next_window(space, from, &w)) {
		struct range inside = {w.start < PAGE ? PAGE : w.start,
				       w.last > U64_MAX - PAGE ? U64_MAX - PAGE : w.last};

		if (inside.start <= inside.last && place_in(space, inside, r, align, iova))
			return 0;
		if (w.last == U64_MAX)
			break;
		from = w.last + 1;
	}
	return -ENOSPC;
}

/* Steps 8 and 9 of A.5: the length, and where it goes. */
static int settle(struct space *space, struct request *r)
{
	uint64_t last;

	if (misaligned(space, r->length))
		return -EINVAL;
	if (!r->fixed)
		return place(space, r, &r->iova);
	if (misaligned(space, r->iova))
		return -EINVAL;
	if (__builtin_add_overflow(r->iova, r->length - 1, &last))
		return -EOVERFLOW;
	return area_over(space, r->iova, last) ? -EEXIST : 0;
}

/* Step 10, and the area. */
static int insert(struct space *space, struct area area, bool write)
{
	if (write && !area.writable)
		return -EPERM;
	if (misaligned(space, area.addr % PAGE))
		return -EINVAL;
	space->area[space->areas++] = area;
	return 0;
}

static int map_one(struct space *space, struct request *r)
{
	int rc = settle(space, r);

	if (rc)
		return rc;
	return insert(
		space,
		(struct area){
			.iova = r->iova, .last = r->iova + r->length - 1, .addr = r->addr, .writable = r->writable},
		r->writable);
}

int model_container_map(struct space *space, struct request *r)
{
	uint64_t end;

	if (__builtin_add_overflow(r->addr, r->length, &end))
		return -EOVERFLOW;
	if (r->length == 0 || r->length > U64_MAX - PAGE)
		return -EINVAL;
	return map_one(space, r);
}

int model_map(struct space *space, struct request *r)
{
	if (r->iova == U64_MAX || r->length == U64_MAX)
		return -EOVERFLOW;
	return model_container_map(space, r);
}

int model_map_file(struct space *space, struct request *r)
{
	uint64_t last;

	if (r->iova == U64_MAX || r->length == U64_MAX)
		return -EOVERFLOW;
	if (r->length == 0)
		return -EINVAL;
	if (__builtin_add_overflow(r->addr, r->length - 1, &last))
		return -EOVERFLOW;
	if (r->length > U64_MAX - PAGE)
		return -EINVAL;
	return map_one(space, r);
}

int model_copy(struct space *dst, const struct space *src, struct request *r, uint64_t src_iova)
{
	struct area pieces[MODEL_AREAS];
	unsigned count = 0, before = dst->areas;
	uint64_t last, at = src_iova;

	if (r->length == U64_MAX || src_iova == U64_MAX || r->iova == U64_MAX)
		return -EOVERFLOW;
	if (r->length == 0)
		return -EINVAL;
	if (__builtin_add_overflow(src_iova, r->length - 1, &last))
		return -EOVERFLOW;
	for (;;) {
		const struct area *a = area_at(src, at);

		if (!a)
			return -ENOENT;
		pieces[count] = *a;
		pieces[count].addr += at - a->iova;
		pieces[count].iova = at;
		if (a->last >= last) {
			pieces[count++].last = last;
			break;
		}
		count++;
		at = a->last + 1;
	}
	r->addr = pieces[0].addr;
	int rc = settle(dst, r);

	for (unsigned i = 0; !rc && i < count; i++) {
		pieces[i].iova += r->iova - src_iova;
		pieces[i].last += r->iova - src_iova;
		rc = insert(dst, pieces[i], r->writable);
	}
	if (rc)
		dst->areas = before;
	return rc;
}

/* Removes what lies in [iova, last], lowest first, up to an area that does not lie in it whole. */
static int remove_all(struct space *space, uint64_t iova, uint64_t last, uint64_t *removed)
{
	struct area *a;

	*removed = 0;
	while ((a = area_over(space, iova, last))) {
		if (a->iova < iova || a->last > last)
			return -ENOENT;
		*removed += a->last - a->iova + 1;
		*a = space->area[--space->areas];
	}
	return 0;
}

int model_unmap(struct space *space, uint64_t iova, uint64_t *length)
{
	uint64_t last, removed;

	if (iova == 0 && *length == U64_MAX) {
		remove_all(space, 0, U64_MAX, length);
		return 0;
	}
	if (iova == U64_MAX || *length == U64_MAX)
		return -EOVERFLOW;
	if (*length == 0)
		return -EINVAL;
	if (__builtin_add_overflow(iova, *length - 1, &last))
		return -EOVERFLOW;
	int rc = remove_all(space, iova, last, &removed);

	if (!rc && removed == 0)
		rc = -ENOENT;
	if (!rc)
		*length = removed;
	return rc;
}

static int cut(struct space *space, uint64_t iova)
{
	struct area *a = area_over(space, iova, iova);

	if (!a || iova == a->iova || iova == a->last)
		return 0;
	struct area right = *a;

	right.iova = iova + 1;
	right.addr += right.iova - a->iova;
	if (misaligned(space, right.iova) || misaligned(space, right.addr % PAGE))
		return -EINVAL;
	a->last = iova;
	space->area[space->areas++] = right;
	return 0;
}

int model_container_unmap(struct space *space, uint64_t iova, uint64_t *size)
{
	uint64_t last;
	int rc = 0;

	if (space->small_pages) {
		rc = cut(space, iova + *size - 1);
		if (!rc && iova)
			rc = cut(space, iova - 1);
		if (rc)
			return rc;
	}
	if (*size == 0)
		return -EINVAL;
	if (__builtin_add_overflow(iova, *size - 1, &last)) {
		*size = 0;
		return -EOVERFLOW;
	}
	return remove_all(space, iova, last, size);
}

int model_allow(struct space *space, const struct range *ranges, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (ranges[i].start >= ranges[i].last)
			return -EINVAL;
		for (unsigned j = 0; j < i; j++)
			if (ranges[j].start <= ranges[i].last && ranges[j].last >= ranges[i].start)
				return -EINVAL;
	}
	for (unsigned i = 0; i < count; i++)
		space->allowed[i] = ranges[i];
	space->ranges = count;
	return 0;
}

int model_huge_pages(struct space *space, uint64_t value)
{
	if (value > 1)
		return -EINVAL;
	if (value == 1 || space->small_pages) {
		space->small_pages = !value;
		return 0;
	}
	for (unsigned i = 0; i < space->areas; i++) {
		const struct area *a = &space->area[i];

		if ((a->iova | (a->last - a->iova + 1) | a->addr) % PAGE)
			return -EADDRINUSE;
	}
	space->small_pages = true;
	return 0;
}

uint64_t model_bytes(const struct space *space)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < space->areas; i++)
		sum += space->area[i].last - space->area[i].iova + 1;
	return sum;
}

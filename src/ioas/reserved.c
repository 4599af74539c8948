/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/reserved.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void reserved_clear(struct reserved *reserved)
{
	free(reserved->all);
	free(reserved->union_of);
	*reserved = RESERVED_INIT;
}

static int make_room(struct reserved *reserved)
{
	size_t room = reserved->room ? reserved->room * 2 : 4;
	struct reservation *all;
	struct iova_span *spans;

	if (reserved->count < reserved->room)
		return 0;
	all = reallocarray(reserved->all, room, sizeof(*all));
	if (!all)
		return -ENOMEM;
	reserved->all = all;
	spans = reallocarray(reserved->union_of, room, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	reserved->union_of = spans;
	reserved->room = room;
	return 0;
}

static void unite(struct reserved *reserved)
{
	struct iova_span *span = NULL;

	reserved->spans = 0;
	for (size_t i = 0; i < reserved->count; i++) {
		const struct reservation *r = &reserved->all[i];

		if (span && (r->start <= span->last || r->start - 1 == span->last)) {
			if (r->last > span->last)
				span->last = r->last;
			continue;
		}
		span = &reserved->union_of[reserved->spans++];
		*span = (struct iova_span){r->start, r->last};
	}
}

int reserved_add(struct reserved *reserved, iova_t start, iova_t last, const void *owner)
{
	size_t at;
	int rc = make_room(reserved);

	if (rc)
		return rc;
	for (at = reserved->count; at && reserved->all[at - 1].start > start; at--)
		reserved->all[at] = reserved->all[at - 1];
	reserved->all[at] = (struct reservation){start, last, owner};
	reserved->count++;
	unite(reserved);
	return 0;
}

void reserved_drop(struct reserved *reserved, const void *owner)
{
	size_t kept = 0;

	for (size_t i = 0; i < reserved->count; i++)
		if (reserved->all[i].owner != owner)
			reserved->all[kept++] = reserved->all[i];
	reserved->count = kept;
	unite(reserved);
}

/* The first span that does not end before at. */
static size_t span_from(const struct reserved *reserved, iova_t at)
{
	size_t low = 0;
	size_t high = reserved->spans;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (reserved->union_of[middle].last < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool reserved_meets(const struct reserved *reserved, iova_t start, iova_t last)
{
	size_t i = span_from(reserved, start);

	return i < reserved->spans && reserved->union_of[i].start <= last;
}

bool reserved_hole(const struct reserved *reserved, iova_t start, iova_t last, struct iova_span *hole)
{
	size_t i = span_from(reserved, start);

	if (i < reserved->spans && reserved->union_of[i].start <= start) {
		if (reserved->union_of[i].last >= last)
			return false;
		start = reserved->union_of[i].last + 1;
		i++;
	}
	if (i < reserved->spans && reserved->union_of[i].start <= last)
		last = reserved->union_of[i].start - 1;
	*hole = (struct iova_span){start, last};
	return true;
}

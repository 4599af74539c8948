/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/announce.h"

#include <stdlib.h>

/* What one call took out. */
struct removal {
	struct area *list; /* to be freed without the lock */
	uint64_t bytes;
	size_t count;
	iova_t first, last;
};

static void announce_unmap(struct ioas *ioas, const struct client *client, const struct removal *removal)
{
	struct event event = {.map = {.iova = removal->first,
				      .last = removal->last,
				      .count = removal->count,
				      .bytes = removal->bytes}};

	ioas_announce(ioas, EVENT_UNMAP, client, &event);
}

/* With the lock held. */
static int remove_range(struct ioas *ioas, iova_t start, iova_t last, struct removal *removal)
{
	struct range met;

	while (range_map_find(&ioas->areas, start, last, &met)) {
		struct area *area = met.value;

		if (met.start < start || met.last > last)
			return -ENOENT;
		range_map_remove(&ioas->areas, met.start);
		if (!removal->count++)
			removal->first = met.start;
		removal->last = met.last;
		removal->bytes += met.last - met.start + 1;
		area->next = removal->list;
		removal->list = area;
		if (met.last == last)
			break;
		start = met.last + 1;
	}
	return 0;
}

/* Everything: the whole map is taken away in one step. Returns the bytes that were mapped, modulo 2^64. */
static uint64_t unmap_all(struct ioas *ioas, struct client *client)
{
	struct range_map taken;
	struct range_cursor at;
	uint64_t bytes = 0;

	pthread_mutex_lock(&ioas->lock);
	taken = ioas->areas;
	ioas->areas = RANGE_MAP_INIT;
	if (taken.count && event_wanted(ioas->events)) {
		const struct removal removal = {.count = taken.count, .first = 0, .last = UINT64_MAX};

		announce_unmap(ioas, client, &removal);
	}
	pthread_mutex_unlock(&ioas->lock);
	for (bool more = range_map_first(&taken, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		bytes += at.range.last - at.range.start + 1;
		area_free(at.range.value);
	}
	range_map_clear(&taken);
	return bytes;
}

int ioas_unmap(struct ioas *ioas, struct client *client, iova_t start, iova_t last, uint64_t *unmapped)
{
	struct removal removal;
	int rc;

	if (!start && last == UINT64_MAX) {
		*unmapped = unmap_all(ioas, client);
		return 0;
	}
	removal.list = NULL;
	removal.bytes = 0;
	removal.count = 0;
	pthread_mutex_lock(&ioas->lock);
	rc = remove_range(ioas, start, last, &removal);
	if (removal.count && event_wanted(ioas->events))
		announce_unmap(ioas, client, &removal);
	pthread_mutex_unlock(&ioas->lock);
	for (struct area *area = removal.list, *next; area; area = next) {
		next = area->next;
		area_free(area);
	}
	*unmapped = removal.bytes;
	return rc;
}

/* With the lock held. */
static int cut_one(struct ioas *ioas, iova_t address)
{
	struct range met;
	struct area *left;
	struct area *right;
	uint64_t start;
	int rc;

	if (!range_map_find(&ioas->areas, address, address, &met) || address == met.start || address == met.last)
		return 0;
	left = met.value;
	start = left->start + (address + 1 - met.start);
	if (((address + 1) | start) & (ioas->alignment - 1))
		return -EINVAL;
	right = area_share(left->pages, start);
	if (!right)
		return -ENOMEM;
	right->prot = left->prot;
	range_map_update(&ioas->areas, met.start, address, left);
	rc = range_map_insert(&ioas->areas, address + 1, met.last, right);
	if (rc) {
		range_map_update(&ioas->areas, met.start, met.last, left);
		area_free(right);
	}
	return rc;
}

int ioas_cut(struct ioas *ioas, const iova_t *address, unsigned count)
{
	int rc = 0;

	pthread_mutex_lock(&ioas->lock);
	for (unsigned i = 0; i < count && !rc; i++)
		rc = cut_one(ioas, address[i]);
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

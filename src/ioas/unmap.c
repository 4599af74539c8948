/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking areas away. A stretch of them is taken out of the IOAS and of its domains with the lock held; then, without
 * it, nobody may be using them any more; then their memory is unpinned and they are freed.
 */
#include "abi/iommufd.h"
#include "ioas/announce.h"
#include "ioas/history.h"
#include "ioas/use.h"

#include <stdlib.h>

/* An access that was told so often and still uses an area does not let it go. */
#define UNMAP_TRIES 100

/* What was taken out with the lock held once. */
struct removal {
	const struct client *client; /* may be NULL */
	struct area *list;           /* to be freed without the lock */
	uint64_t bytes;
	size_t count;
	iova_t first, last;
	uint64_t time_ns; /* 0: nothing was noted yet */
};

/* A call. */
struct unmapping {
	struct client *client;
	iova_t start, last; /* what is left to do */
	uint64_t bytes;
	iova_t told; /* of which area the accesses were told last */
	unsigned tries;
};

static void announce_unmap(struct ioas *ioas, const struct removal *removal)
{
	struct event event = {.map = {.iova = removal->first,
				      .last = removal->last,
				      .count = removal->count,
				      .bytes = removal->bytes}};

	ioas_announce(ioas, EVENT_UNMAP, removal->client, &event);
}

/* With the lock held. */
static void note(struct ioas *ioas, struct removal *removal, iova_t start, iova_t last, bool all)
{
	if (!removal->time_ns)
		removal->time_ns = event_time();
	history_note(ioas->history, &(struct unmapped){.start = start,
						       .last = last,
						       .time_ns = removal->time_ns,
						       .pid = removal->client ? removal->client->pid : 0,
						       .all = all});
}

/* With the lock held. Returns -EAGAIN at an area that accesses use: *met. */
static int remove_range(struct ioas *ioas, iova_t start, iova_t last, struct removal *removal, struct range *met)
{
	while (range_map_find(&ioas->areas, start, last, met)) {
		struct area *area = met->value;

		if (area->locks)
			return -EBUSY;
		if (met->start < start || met->last > last)
			return -ENOENT;
		if (area->accesses || uses_pin(ioas, met->start, met->last))
			return -EAGAIN;
		range_map_remove(&ioas->areas, met->start);
		if (!removal->count++)
			removal->first = met->start;
		removal->last = met->last;
		removal->bytes += met->last - met->start + 1;
		if (__builtin_expect(ioas->history != NULL, 0))
			note(ioas, removal, met->start, met->last, false);
		area->next = removal->list;
		removal->list = area;
		if (met->last == last)
			break;
		start = met->last + 1;
	}
	return 0;
}

static void free_removed(struct ioas *ioas, const struct removal *removal, bool pinned)
{
	for (struct area *area = removal->list, *next; area; area = next) {
		next = area->next;
		if (pinned)
			pages_unpin(area->pages, ioas->context, area_first_page(area),
				    area_last_page(area, area->length));
		area_free(area);
	}
}

/* Ends what remove_range() began. Drops the lock. */
static void finish(struct ioas *ioas, const struct removal *removal)
{
	const bool pinned = ioas->pinned;
	bool used;

	if (!removal->count) {
		ioas_unlock(ioas);
		return;
	}
	if (event_wanted(ioas->events))
		announce_unmap(ioas, removal);
	if (pinned) {
		domains_hide(ioas, removal->first, removal->last);
		domains_flush_begin(ioas);
	}
	used = uses_mark(ioas, removal->first, removal->last, removal);
	ioas_unlock(ioas);
	if (pinned)
		domains_flush(ioas);
	if (used)
		uses_wait(ioas, removal);
	free_removed(ioas, removal, pinned);
}

/* Makes accesses leave an area: once. Returns 0 or -EDEADLOCK. */
static int evict(struct ioas *ioas, struct unmapping *unmapping, const struct range *where)
{
	struct range met;
	struct area *area;

	ioas_lock(ioas);
	if (!range_map_find(&ioas->areas, where->start, where->last, &met) || met.start != where->start ||
	    met.last != where->last) {
		ioas_unlock(ioas);
		return 0; /* another call took it away */
	}
	area = met.value;
	area->going = true;
	if (uses_pin(ioas, met.start, met.last)) {
		ioas_wait(ioas);
		ioas_unlock(ioas);
		return 0;
	}
	if (unmapping->told != met.start)
		unmapping->tries = 0;
	unmapping->told = met.start;
	if (area->accesses)
		accesses_tell(ioas, met.start, met.last - met.start + 1);
	ioas_unlock(ioas);
	return ++unmapping->tries > UNMAP_TRIES ? -EDEADLOCK : 0;
}

static int unmap(struct ioas *ioas, struct unmapping *unmapping)
{
	for (;;) {
		struct removal removal = {.client = unmapping->client};
		struct range met;
		int rc;

		ioas_lock(ioas);
		rc = remove_range(ioas, unmapping->start, unmapping->last, &removal, &met);
		finish(ioas, &removal);
		unmapping->bytes += removal.bytes;
		if (rc == -EAGAIN) {
			unmapping->start = met.start;
			rc = evict(ioas, unmapping, &met);
			if (!rc)
				continue;
		}
		return rc;
	}
}

/*
 * Everything, where nobody uses anything: the whole map is taken away in one step. Returns the bytes that were mapped,
 * modulo 2^64. Drops the lock.
 */
static uint64_t unmap_all(struct ioas *ioas, struct client *client)
{
	struct range_map taken = ioas->areas;
	struct range_cursor at;
	uint64_t bytes = 0;

	ioas->areas = RANGE_MAP_INIT;
	if (taken.count && (ioas->history || event_wanted(ioas->events))) {
		struct removal removal = {.client = client, .count = taken.count, .first = 0, .last = UINT64_MAX};

		if (event_wanted(ioas->events))
			announce_unmap(ioas, &removal);
		if (ioas->history)
			note(ioas, &removal, 0, UINT64_MAX, true);
	}
	ioas_unlock(ioas);
	for (bool more = range_map_first(&taken, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		bytes += at.range.last - at.range.start + 1;
		area_free(at.range.value);
	}
	range_map_clear(&taken);
	return bytes;
}

int ioas_unmap(struct ioas *ioas, struct client *client, iova_t start, iova_t last, uint64_t *unmapped)
{
	struct unmapping unmapping = {.client = client, .start = start, .last = last};
	int rc;

	if (!start && last == UINT64_MAX) {
		ioas_lock(ioas);
		if (!ioas->pinned && !ioas->accesses) {
			*unmapped = unmap_all(ioas, client);
			return 0;
		}
		ioas_unlock(ioas);
	}
	rc = unmap(ioas, &unmapping);
	*unmapped = unmapping.bytes;
	return rc;
}

/* Splits what is shown of an area between two pages. With the lock held. */
static int split_shown(struct ioas *ioas, iova_t address, struct pages *pages, uint64_t start)
{
	int rc = pages_part(pages, ioas->context, start >> PAGE_SHIFT);

	for (struct ioas_domain *domain = ioas->domains; domain && !rc; domain = domain->next)
		rc = domain->ops->split(domain, address);
	return rc;
}

/* Finds the area that crosses an address, when nobody uses it for a moment. With the lock held, which it may drop
 * meanwhile. */
static bool find_crossing(struct ioas *ioas, iova_t address, struct range *met)
{
	while (range_map_find(&ioas->areas, address, address, met)) {
		if (address == met->start || address == met->last)
			return false;
		if (!uses_meet(ioas, met->start, met->last) && !ioas->changing)
			return true;
		ioas_wait(ioas);
	}
	return false;
}

/* With the lock held. */
static int cut_one(struct ioas *ioas, iova_t address)
{
	struct range met;
	struct area *left;
	struct area *right;
	uint64_t start;
	int rc = 0;

	if (!find_crossing(ioas, address, &met))
		return 0;
	left = met.value;
	if (left->going)
		return -EBUSY;
	if (left->pages->kind == PAGES_DMABUF)
		return -EOPNOTSUPP;
	start = left->start + (address + 1 - met.start);
	if (((address + 1) | start) & (ioas->alignment - 1))
		return -EINVAL;
	if (left->accesses || (ioas->domains && !ioas->huge_pages_disabled))
		return -EINVAL;
	right = area_share(left->pages, start);
	if (!right)
		return -ENOMEM;
	right->prot = left->prot;
	right->length = met.last - address;
	if (ioas->domains)
		rc = split_shown(ioas, address, left->pages, start);
	if (!rc) {
		range_map_update(&ioas->areas, met.start, address, left);
		rc = range_map_insert(&ioas->areas, address + 1, met.last, right);
		if (rc)
			range_map_update(&ioas->areas, met.start, met.last, left);
	}
	if (rc)
		area_free(right);
	else
		left->length = address + 1 - met.start;
	return rc;
}

int ioas_cut(struct ioas *ioas, const iova_t *address, unsigned count)
{
	int rc = 0;

	ioas_lock(ioas);
	for (unsigned i = 0; i < count && !rc; i++)
		rc = cut_one(ioas, address[i]);
	ioas_unlock(ioas);
	return rc;
}

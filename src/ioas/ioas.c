/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/ioas.h"

#include "ioas/access.h"
#include "ioas/announce.h"
#include "ioas/change.h"

#include <stdlib.h>

void ioas_init(struct ioas *ioas)
{
	pthread_mutex_init(&ioas->lock, NULL);
	ioas->areas = RANGE_MAP_INIT;
	ioas->allowed = RANGE_MAP_INIT;
	ioas->reserved = RESERVED_INIT;
	ioas->alignment = 1;
	ioas->huge_pages_disabled = false;
	ioas->domains = NULL;
	ioas->accesses = NULL;
	ioas->uses = NULL;
	ioas->changing = false;
	atomic_init(&ioas->pinned, false);
	ioas->flushing = 0;
	ioas->waiting = 0;
	pthread_cond_init(&ioas->changed, NULL);
	ioas->context = NULL;
	ioas->history = NULL;
	ioas->events = NULL;
	ioas->file = 0;
	ioas->id = 0;
}

void ioas_fini(struct ioas *ioas)
{
	uint64_t unmapped;

	ioas->events = NULL; /* the IOAS itself is said to have gone */
	ioas_unmap(ioas, NULL, 0, UINT64_MAX, &unmapped);
	range_map_clear(&ioas->areas);
	range_map_clear(&ioas->allowed);
	reserved_clear(&ioas->reserved);
	free(ioas->history);
	pthread_cond_destroy(&ioas->changed);
	pthread_mutex_destroy(&ioas->lock);
}

void ioas_wait(struct ioas *ioas)
{
	ioas->waiting++;
	pthread_cond_wait(&ioas->changed, &ioas->lock);
	ioas->waiting--;
}

void ioas_announce(struct ioas *ioas, enum event_type type, const struct client *client, const struct event *what)
{
	struct event event = *what;

	event.type = type;
	event.pid = client ? client->pid : 0;
	event.tid = client ? client->tid : 0;
	event.fd = client ? client->fd : -1;
	event.file = ioas->file;
	event.map.ioas = ioas->id;
	event_announce(ioas->events, &event);
}

int ioas_reserve(struct ioas *ioas, iova_t start, iova_t last, const void *owner)
{
	struct range met;
	int rc = -EADDRINUSE;

	ioas_lock(ioas);
	if (!range_map_find(&ioas->areas, start, last, &met) && !range_map_find(&ioas->allowed, start, last, &met))
		rc = reserved_add(&ioas->reserved, start, last, owner);
	ioas_unlock(ioas);
	return rc;
}

void ioas_unreserve(struct ioas *ioas, const void *owner)
{
	ioas_lock(ioas);
	reserved_drop(&ioas->reserved, owner);
	ioas_unlock(ioas);
}

static bool meets_reservation(const struct ioas *ioas, const struct range_map *allowed)
{
	struct range_cursor at;

	if (!ioas->reserved.count)
		return false;
	for (bool more = range_map_first(allowed, 0, UINT64_MAX, &at); more; more = range_map_next(&at))
		if (reserved_meets(&ioas->reserved, at.range.start, at.range.last))
			return true;
	return false;
}

int ioas_allow(struct ioas *ioas, struct range_map *allowed)
{
	struct range_map old;
	int rc = 0;

	ioas_lock(ioas);
	if (meets_reservation(ioas, allowed)) {
		rc = -EADDRINUSE;
	} else {
		old = ioas->allowed;
		ioas->allowed = *allowed;
		*allowed = old;
	}
	ioas_unlock(ioas);
	return rc;
}

size_t ioas_usable(struct ioas *ioas, struct iova_span *span, size_t room, uint64_t *alignment)
{
	struct iova_span hole;
	size_t count = 0;

	ioas_lock(ioas);
	*alignment = ioas->alignment;
	for (iova_t at = 0; reserved_hole(&ioas->reserved, at, UINT64_MAX, &hole); at = hole.last + 1) {
		if (count < room)
			span[count] = hole;
		count++;
		if (hole.last == UINT64_MAX)
			break;
	}
	ioas_unlock(ioas);
	return count;
}

static bool all_aligned(const struct ioas *ioas, uint64_t alignment)
{
	const uint64_t mask = alignment - 1;
	struct range_cursor at;

	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		const struct area *area = at.range.value;

		if ((at.range.start & mask) || ((at.range.last + 1) & mask) || (area->start & ~PAGE_MASK & mask))
			return false;
	}
	return true;
}

static uint64_t wanted_alignment(const struct ioas *ioas)
{
	uint64_t alignment = ioas->huge_pages_disabled ? PAGE_SIZE : 1;

	for (const struct ioas_domain *domain = ioas->domains; domain; domain = domain->next) {
		uint64_t page = domain->page_sizes & -domain->page_sizes;

		alignment = page > alignment ? page : alignment;
	}
	for (const struct access_place *place = ioas->accesses; place; place = place->next)
		if (access_needs_pages(place->access) && alignment < PAGE_SIZE)
			alignment = PAGE_SIZE;
	return alignment;
}

int ioas_update_alignment(struct ioas *ioas)
{
	uint64_t alignment = wanted_alignment(ioas);

	if (alignment > ioas->alignment && !all_aligned(ioas, alignment))
		return -EADDRINUSE;
	ioas->alignment = alignment;
	return 0;
}

int ioas_disable_huge_pages(struct ioas *ioas)
{
	int rc = 0;

	ioas_lock(ioas);
	if (!ioas->huge_pages_disabled && ioas->domains && ioas->areas.count) {
		rc = -EINVAL;
	} else if (!ioas->huge_pages_disabled) {
		ioas->huge_pages_disabled = true;
		rc = ioas_update_alignment(ioas);
		ioas->huge_pages_disabled = !rc;
	}
	ioas_unlock(ioas);
	return rc;
}

void ioas_enable_huge_pages(struct ioas *ioas)
{
	ioas_lock(ioas);
	ioas->huge_pages_disabled = false;
	ioas_update_alignment(ioas); /* cannot rise */
	ioas_unlock(ioas);
}

bool ioas_huge_pages(struct ioas *ioas)
{
	bool disabled;

	ioas_lock(ioas);
	disabled = ioas->huge_pages_disabled;
	ioas_unlock(ioas);
	return !disabled;
}

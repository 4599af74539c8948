/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/ioas.h"

#include "ioas/announce.h"

void ioas_init(struct ioas *ioas)
{
	pthread_mutex_init(&ioas->lock, NULL);
	ioas->areas = RANGE_MAP_INIT;
	ioas->allowed = RANGE_MAP_INIT;
	ioas->reserved = RESERVED_INIT;
	ioas->alignment = 1;
	ioas->huge_pages_disabled = false;
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
	pthread_mutex_destroy(&ioas->lock);
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

	pthread_mutex_lock(&ioas->lock);
	if (!range_map_find(&ioas->areas, start, last, &met) && !range_map_find(&ioas->allowed, start, last, &met))
		rc = reserved_add(&ioas->reserved, start, last, owner);
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

void ioas_unreserve(struct ioas *ioas, const void *owner)
{
	pthread_mutex_lock(&ioas->lock);
	reserved_drop(&ioas->reserved, owner);
	pthread_mutex_unlock(&ioas->lock);
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

	pthread_mutex_lock(&ioas->lock);
	if (meets_reservation(ioas, allowed)) {
		rc = -EADDRINUSE;
	} else {
		old = ioas->allowed;
		ioas->allowed = *allowed;
		*allowed = old;
	}
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

size_t ioas_usable(struct ioas *ioas, struct iova_span *span, size_t room, uint64_t *alignment)
{
	struct iova_span hole;
	size_t count = 0;

	pthread_mutex_lock(&ioas->lock);
	*alignment = ioas->alignment;
	for (iova_t at = 0; reserved_hole(&ioas->reserved, at, UINT64_MAX, &hole); at = hole.last + 1) {
		if (count < room)
			span[count] = hole;
		count++;
		if (hole.last == UINT64_MAX)
			break;
	}
	pthread_mutex_unlock(&ioas->lock);
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

/* Sets the alignment to what the IOAS needs. Returns 0, or -EADDRINUSE: it would have to rise above that of an area. */
static int update_alignment(struct ioas *ioas)
{
	uint64_t alignment = ioas->huge_pages_disabled ? PAGE_SIZE : 1;

	if (alignment > ioas->alignment && !all_aligned(ioas, alignment))
		return -EADDRINUSE;
	ioas->alignment = alignment;
	return 0;
}

int ioas_disable_huge_pages(struct ioas *ioas)
{
	int rc = 0;

	pthread_mutex_lock(&ioas->lock);
	if (!ioas->huge_pages_disabled) {
		ioas->huge_pages_disabled = true;
		rc = update_alignment(ioas);
		ioas->huge_pages_disabled = !rc;
	}
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

void ioas_enable_huge_pages(struct ioas *ioas)
{
	pthread_mutex_lock(&ioas->lock);
	ioas->huge_pages_disabled = false;
	update_alignment(ioas); /* cannot rise */
	pthread_mutex_unlock(&ioas->lock);
}

bool ioas_huge_pages(struct ioas *ioas)
{
	bool disabled;

	pthread_mutex_lock(&ioas->lock);
	disabled = ioas->huge_pages_disabled;
	pthread_mutex_unlock(&ioas->lock);
	return !disabled;
}

int ioas_check_change(struct ioas *ioas)
{
	struct range_cursor at;
	int rc = 0;

	pthread_mutex_lock(&ioas->lock);
	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more && !rc; more = range_map_next(&at))
		if (((struct area *)at.range.value)->pages->kind != PAGES_FILE)
			rc = -EINVAL;
	pthread_mutex_unlock(&ioas->lock);
	return rc;
}

void ioas_change_owner(struct ioas *ioas, struct mm *mm)
{
	struct range_cursor at;

	pthread_mutex_lock(&ioas->lock);
	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		struct pages *pages = ((struct area *)at.range.value)->pages;
		struct mm *old = pages->mm;

		if (pages->kind != PAGES_FILE || old == mm)
			continue;
		pages->mm = mm_get(mm);
		mm_put(old);
	}
	pthread_mutex_unlock(&ioas->lock);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "abi/iommufd.h"
#include "client/memory.h"
#include "ioas/announce.h"
#include "ioas/change.h"
#include "ioas/history.h"

#include <stdlib.h>

static void pieces_init(struct pieces *pieces)
{
	pieces->piece = pieces->few;
	pieces->count = 0;
	pieces->room = sizeof(pieces->few) / sizeof(*pieces->few);
}

static void pieces_fini(struct pieces *pieces)
{
	if (pieces->piece != pieces->few)
		free(pieces->piece);
}

static struct piece *pieces_add(struct pieces *pieces)
{
	struct piece *more;

	if (pieces->count < pieces->room)
		return &pieces->piece[pieces->count++];
	more = reallocarray(pieces->piece == pieces->few ? NULL : pieces->piece, pieces->room * 2, sizeof(*more));
	if (!more)
		return NULL;
	if (pieces->piece == pieces->few)
		for (size_t i = 0; i < pieces->count; i++)
			more[i] = pieces->few[i];
	pieces->piece = more;
	pieces->room *= 2;
	return &pieces->piece[pieces->count++];
}

void pieces_drop(struct pieces *pieces)
{
	for (size_t i = 0; i < pieces->count; i++)
		area_free(pieces->piece[i].area);
	pieces_fini(pieces);
}

/* With the lock held. last: the last byte wanted. */
static int share_areas(struct ioas *ioas, iova_t iova, iova_t last, struct pieces *pieces)
{
	struct range_cursor at;

	for (bool more = range_map_first(&ioas->areas, iova, last, &at); more; more = range_map_next(&at)) {
		const struct area *area = at.range.value;
		struct piece *piece;

		if (at.range.start > iova)
			return -ENOENT;
		piece = pieces_add(pieces);
		if (!piece)
			return -ENOMEM;
		piece->length = (at.range.last < last ? at.range.last : last) - iova + 1;
		piece->area = area_share(area->pages, area->start + (iova - at.range.start));
		if (!piece->area) {
			pieces->count--;
			return -ENOMEM;
		}
		if (at.range.last >= last)
			return 0;
		iova = at.range.last + 1;
	}
	return -ENOENT;
}

int ioas_share(struct ioas *ioas, iova_t iova, uint64_t length, struct pieces *pieces)
{
	iova_t last;
	int rc;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	pieces_init(pieces);
	pthread_mutex_lock(&ioas->lock);
	rc = share_areas(ioas, iova, last, pieces);
	ioas_unlock(ioas);
	if (rc)
		pieces_drop(pieces);
	return rc;
}

/* All but whether something is mapped there. */
static int check_iova(const struct ioas *ioas, iova_t iova, uint64_t length)
{
	iova_t last;

	if (iova & (ioas->alignment - 1))
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	return reserved_meets(&ioas->reserved, iova, last) ? -EINVAL : 0;
}

static int check_pieces(const struct ioas *ioas, const struct piece *piece, size_t count, uint8_t prot)
{
	for (size_t i = 0; i < count; i++) {
		const struct area *area = piece[i].area;

		if (prot & IOMMU_IOAS_MAP_WRITEABLE && !area->pages->writable)
			return -EPERM;
		if (area->start & ~PAGE_MASK & (ioas->alignment - 1))
			return -EINVAL;
	}
	return 0;
}

static int insert_pieces(struct ioas *ioas, const struct ioas_map *map, const struct piece *piece, size_t count)
{
	iova_t iova = map->iova;
	size_t done;
	int rc = 0;

	for (done = 0; done < count; iova += piece[done++].length) {
		piece[done].area->prot = map->prot;
		piece[done].area->length = piece[done].length;
		rc = range_map_insert(&ioas->areas, iova, iova + (piece[done].length - 1), piece[done].area);
		if (rc)
			break;
	}
	if (rc)
		while (done--) {
			iova -= piece[done].length;
			range_map_remove(&ioas->areas, iova);
		}
	return rc;
}

static void announce_map(struct ioas *ioas, const struct ioas_map *map, uint64_t source, size_t count)
{
	struct event event = {.map = {.prot = map->prot,
				      .iova = map->iova,
				      .last = map->iova + (map->length - 1),
				      .source = source,
				      .count = count}};

	ioas_announce(ioas, EVENT_MAP, map->client, &event);
}

/* Where there is no memory for a history, faults are explained without. */
static void tell_map(struct ioas *ioas, const struct ioas_map *map, uint64_t source, size_t count)
{
	if (event_wanted(ioas->events))
		announce_map(ioas, map, source, count);
	if (!ioas->history && event_wanted_of(ioas->events, EVENT_DMA_FAULT))
		ioas->history = history_new();
}

/* Shows what was inserted to the domains. On error it is shown nowhere and not inserted any more. */
static int show_pieces(struct ioas *ioas, const struct ioas_map *map, const struct piece *piece, size_t count)
{
	iova_t iova = map->iova;
	int rc = 0;

	for (size_t i = 0; i < count && !rc; iova += piece[i++].length)
		rc = domains_show(ioas, iova, piece[i].length, piece[i].area);
	if (!rc)
		return 0;
	domains_hide(ioas, map->iova, map->iova + (map->length - 1));
	iova = map->iova;
	for (size_t i = 0; i < count; iova += piece[i++].length)
		range_map_remove(&ioas->areas, iova);
	return rc;
}

/*
 * With the lock held. pin_error: of the pages, which is told only where nothing else is wrong. That something is mapped
 * there is told by the insertion, unless it would be told too late. Sets *hidden where something was shown and taken
 * away again.
 */
static int place(struct ioas *ioas, struct ioas_map *map, const struct piece *piece, size_t count, int pin_error,
		 bool *hidden)
{
	uint64_t source = area_source(piece->area);
	struct range met;
	int rc;

	if (map->length & (ioas->alignment - 1))
		return -EINVAL;
	if (map->fixed)
		rc = check_iova(ioas, map->iova, map->length);
	else
		rc = ioas_choose_iova(ioas, source, map->length, &map->iova);
	if (rc)
		return rc;
	rc = check_pieces(ioas, piece, count, map->prot);
	if (!rc)
		rc = pin_error;
	if (rc)
		return range_map_find(&ioas->areas, map->iova, map->iova + (map->length - 1), &met) ? -EEXIST : rc;
	rc = insert_pieces(ioas, map, piece, count);
	if (!rc && ioas->domains) {
		rc = show_pieces(ioas, map, piece, count);
		*hidden = rc;
	}
	if (!rc && event_wanted_any(ioas->events))
		tell_map(ioas, map, source, count);
	return rc;
}

static void unpin_pieces(struct ioas *ioas, const struct piece *piece, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pages_unpin(piece[i].area->pages, ioas->context, area_first_page(piece[i].area),
			    area_last_page(piece[i].area, piece[i].length));
}

static int pin_pieces(struct ioas *ioas, const struct piece *piece, size_t count)
{
	struct memory_query query = {0};
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		rc = pages_pin(piece[i].area->pages, ioas->context, &query, area_first_page(piece[i].area),
			       area_last_page(piece[i].area, piece[i].length));
		if (rc)
			unpin_pieces(ioas, piece, i);
	}
	memory_query_end(&query);
	return rc;
}

/* Pins without the lock, as far as it looks necessary, and again if it turns out to be otherwise. */
static int map_pieces(struct ioas *ioas, struct ioas_map *map, const struct piece *piece, size_t count)
{
	bool pin = atomic_load_explicit(&ioas->pinned, memory_order_relaxed);
	bool hidden = false;
	int error;
	int rc;

	for (;;) {
		error = pin ? pin_pieces(ioas, piece, count) : 0;
		ioas_lock(ioas);
		if (pin == atomic_load_explicit(&ioas->pinned, memory_order_relaxed))
			break;
		ioas_unlock(ioas);
		if (pin && !error)
			unpin_pieces(ioas, piece, count);
		pin = !pin;
	}
	rc = place(ioas, map, piece, count, error, &hidden);
	if (hidden)
		domains_flush_begin(ioas);
	ioas_unlock(ioas);
	if (hidden)
		domains_flush(ioas);
	if (rc && pin && !error)
		unpin_pieces(ioas, piece, count);
	return rc;
}

int ioas_map_pieces(struct ioas *ioas, struct ioas_map *map, struct pieces *pieces)
{
	int rc = map_pieces(ioas, map, pieces->piece, pieces->count);

	if (rc)
		pieces_drop(pieces);
	else
		pieces_fini(pieces);
	return rc;
}

/* Maps an area over new pages, and frees it if that fails. */
static int map_new(struct ioas *ioas, struct ioas_map *map, struct area *area)
{
	struct piece piece = {area, map->length};
	int rc;

	area->pages->writable = map->prot & IOMMU_IOAS_MAP_WRITEABLE;
	area->pages->account = area->pages->kind == PAGES_DMABUF ? ACCOUNT_NEVER : map->account;
	rc = map_pieces(ioas, map, &piece, 1);
	if (rc)
		area_free(area);
	return rc;
}

int ioas_map_user(struct ioas *ioas, struct ioas_map *map, uaddr_t va)
{
	struct area *area;
	uint64_t end;
	int rc;

	if (__builtin_add_overflow(va.va, map->length, &end))
		return -EOVERFLOW;
	rc = pages_new_user(map->client->ops->mm(map->client), va, map->length, &area);
	return rc ? rc : map_new(ioas, map, area);
}

int ioas_map_file(struct ioas *ioas, struct ioas_map *map, int fd, uint64_t start)
{
	struct memory_file *file;
	struct area *area;
	uint64_t last;
	int rc;

	if (!map->length)
		return -EINVAL;
	if (__builtin_add_overflow(start, map->length - 1, &last))
		return -EOVERFLOW;
	rc = map->client->ops->memory_file(map->client, fd, &file);
	if (rc)
		return rc;
	rc = pages_new_file(map->client->ops->mm(map->client), file, start, map->length, ioas->context, &area);
	if (rc) {
		memory_file_put(file);
		return rc;
	}
	return map_new(ioas, map, area);
}

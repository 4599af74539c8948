/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of some pages is pinned. The edges of each range that is pinned are edges of extents until it is unpinned, so
 * unpinning splits none and needs no memory: extents are joined only as they are found, within one call. The lock is
 * not held while the client is asked for memory, which can last as long as it likes: one call at a time finds what is
 * missing of some pages, and has users of what was there before.
 */
#include "client/dmabuf.h"
#include "client/memory.h"
#include "ioas/ioas.h"

#include <stdlib.h>

/* At most so much is asked for at once, so that its length in bytes is a number. */
#define ASK_PAGES (UINT64_C(1) << 40)

pthread_mutex_t *pages_lock(const struct pages *pages, struct ioas_context *context)
{
	return &context->pin_lock[((uintptr_t)pages >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 60 & (PIN_LOCKS - 1)];
}

static struct pins *pins_of(const struct pages *pages)
{
	return atomic_load_explicit(&pages->pins, memory_order_relaxed);
}

/* The first extent that does not end before the page. */
static uint32_t extent_from(const struct pins *pins, uint64_t index)
{
	uint32_t low = 0;
	uint32_t high = pins->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (pins->extent[middle].last < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct pages *pages, uint32_t more)
{
	struct pins *pins = pins_of(pages);
	uint32_t count = pins ? pins->count : 0;
	uint32_t room = pins ? pins->room : 0;

	if (room - count >= more)
		return 0;
	if (count > UINT32_MAX / 4)
		return -ENOMEM;
	room = pins ? count + more + count / 2 : more;
	pins = realloc(pins, sizeof(*pins) + room * sizeof(pins->extent[0]));
	if (!pins)
		return -ENOMEM;
	pins->count = count;
	pins->room = room;
	atomic_store_explicit(&pages->pins, pins, memory_order_relaxed);
	return 0;
}

/* Makes a place among the extents. It is filled there: a copy that is read back too soon has to wait for its bytes. */
static struct extent *insert(struct pins *pins, uint32_t at)
{
	struct extent *extent = &pins->extent[at];

	if (at < pins->count)
		memmove(extent + 1, extent, (pins->count - at) * sizeof(*extent));
	pins->count++;
	return extent;
}

static bool joins(const struct extent *extent, const uint8_t *host, const struct hold *hold)
{
	if (extent->hold != hold || !extent->host != !host)
		return false;
	return !host || extent->host + ((extent->last + 1 - extent->first) << PAGE_SHIFT) == host;
}

/* Makes the page the first of its extent, if it is in one. */
static int part(struct pages *pages, uint64_t index)
{
	struct pins *pins = pins_of(pages);
	struct extent right;
	uint32_t at;

	if (!pins)
		return 0;
	at = extent_from(pins, index);
	if (at == pins->count || pins->extent[at].first >= index)
		return 0;
	if (make_room(pages, 1))
		return -ENOMEM;
	pins = pins_of(pages);
	right = pins->extent[at];
	right.first = index;
	hold_get(right.hold);
	if (right.host)
		right.host += (index - pins->extent[at].first) << PAGE_SHIFT;
	pins->extent[at].last = index - 1;
	*insert(pins, at + 1) = right;
	return 0;
}

int pages_resolve(struct pages *pages, struct memory_query *query, uint64_t index, uint64_t length,
		  struct memory_run *run)
{
	const uint64_t at = pages->base + (index << PAGE_SHIFT);
	const uint64_t bytes = (length < ASK_PAGES ? length : ASK_PAGES) << PAGE_SHIFT;

	if (pages->kind == PAGES_FILE)
		return memory_file_pin(pages_file(pages), at, bytes, pages->writable, run);
	if (!pages->mm->ops->pin)
		return -EFAULT;
	return pages->mm->ops->pin(pages->mm, query, uaddr(at), bytes, pages->writable, run);
}

/*
 * Adds what was found at index, where nothing is pinned, with one user, and consumes its hold. It goes into the extent
 * before if that begins at *own: then it was found by the same call. Returns 0 or -ENOMEM: it is not added.
 */
static int add_found(struct pages *pages, uint64_t index, const struct memory_run *run, uint64_t *own)
{
	const uint64_t count = run->length >> PAGE_SHIFT;
	const struct extent extent = {
		.first = index, .last = index + count - 1, .users = 1, .host = run->host, .hold = run->hold};
	uint32_t at = pins_of(pages) ? extent_from(pins_of(pages), index) : 0;
	struct extent *before = at ? &pins_of(pages)->extent[at - 1] : NULL;
	bool join = before && before->first == *own && before->last + 1 == index && joins(before, run->host, run->hold);
	int rc = join ? 0 : make_room(pages, 1);

	if (!rc)
		rc = account_charge(pages->mm, pages->account, count);
	if (rc)
		return rc;
	if (join) {
		before->last = extent.last;
		hold_put(run->hold);
	} else {
		*insert(pins_of(pages), at) = extent;
		*own = index;
	}
	return 0;
}

/* The end of the gap in [index, last] that begins at index. Returns false where index is pinned; then *end is the end
 * of that. */
static bool is_gap(const struct pins *pins, uint64_t index, uint64_t last, uint64_t *end)
{
	uint32_t at = pins ? extent_from(pins, index) : 0;

	*end = last;
	if (!pins || at == pins->count || pins->extent[at].first > last)
		return true;
	*end = pins->extent[at].first > index ? pins->extent[at].first - 1 : pins->extent[at].last;
	return pins->extent[at].first > index;
}

/*
 * Adds what is missing in [first, last]. Drops the lock whenever it asks the client for memory. Nobody else adds
 * anything meanwhile, and what was there has our user.
 */
static int find_missing(struct pages *pages, pthread_mutex_t *lock, struct memory_query *query, uint64_t first,
			uint64_t last)
{
	uint64_t own = UINT64_MAX;
	uint64_t index = first;

	while (index <= last) {
		struct memory_run run;
		uint64_t end;
		int rc;

		if (!is_gap(pins_of(pages), index, last, &end)) {
			index = end + 1;
			continue;
		}
		pthread_mutex_unlock(lock);
		rc = pages_resolve(pages, query, index, end - index + 1, &run);
		pthread_mutex_lock(lock);
		if (rc)
			return rc;
		rc = add_found(pages, index, &run, &own);
		if (rc) {
			hold_put(run.hold);
			return rc;
		}
		index += run.length >> PAGE_SHIFT;
	}
	return 0;
}

/* Drops a user of each extent in [first, last], and what has none then, which is charged no more. */
static void drop(struct pages *pages, uint64_t first, uint64_t last)
{
	struct pins *pins = pins_of(pages);
	uint32_t kept;
	uint32_t at;
	uint64_t gone = 0;

	if (!pins)
		return;
	kept = extent_from(pins, first);
	for (at = kept; at < pins->count && pins->extent[at].first <= last; at++) {
		struct extent *extent = &pins->extent[at];

		if (--extent->users) {
			pins->extent[kept++] = *extent;
			continue;
		}
		gone += extent->last - extent->first + 1;
		hold_put(extent->hold);
	}
	if (kept != at)
		memmove(&pins->extent[kept], &pins->extent[at], (pins->count - at) * sizeof(pins->extent[0]));
	pins->count -= at - kept;
	if (!pins->count) {
		atomic_store_explicit(&pages->pins, NULL, memory_order_relaxed);
		free(pins);
	}
	if (gone)
		account_uncharge(pages->mm, pages->account, gone);
}

/* With the lock held, which it drops meanwhile. */
static int pin(struct pages *pages, pthread_mutex_t *lock, struct memory_query *query, uint64_t first, uint64_t last)
{
	struct pins *pins;
	int rc;

	if (part(pages, first) || part(pages, last + 1))
		return -ENOMEM;
	pins = pins_of(pages);
	for (uint32_t at = pins ? extent_from(pins, first) : 0;
	     pins && at < pins->count && pins->extent[at].first <= last; at++)
		pins->extent[at].users++;
	rc = find_missing(pages, lock, query, first, last);
	if (rc)
		drop(pages, first, last);
	return rc;
}

static pthread_cond_t *found_by(const pthread_mutex_t *lock, struct ioas_context *context)
{
	return &context->pin_found[lock - context->pin_lock];
}

int pages_pin(struct pages *pages, struct ioas_context *context, struct memory_query *query, uint64_t first,
	      uint64_t last)
{
	pthread_mutex_t *lock = pages_lock(pages, context);
	int rc;

	if (pages->kind == PAGES_DMABUF)
		return 0;
	pthread_mutex_lock(lock);
	while (pages->finding)
		pthread_cond_wait(found_by(lock, context), lock);
	pages->finding = true;
	rc = pin(pages, lock, query, first, last);
	pages->finding = false;
	pthread_cond_broadcast(found_by(lock, context));
	pthread_mutex_unlock(lock);
	return rc;
}

void pages_unpin(struct pages *pages, struct ioas_context *context, uint64_t first, uint64_t last)
{
	pthread_mutex_t *lock = pages_lock(pages, context);

	if (pages->kind == PAGES_DMABUF)
		return;
	pthread_mutex_lock(lock);
	drop(pages, first, last);
	pthread_mutex_unlock(lock);
}

int pages_part(struct pages *pages, struct ioas_context *context, uint64_t index)
{
	pthread_mutex_t *lock = pages_lock(pages, context);
	int rc;

	pthread_mutex_lock(lock);
	rc = part(pages, index);
	pthread_mutex_unlock(lock);
	return rc;
}

static bool dmabuf_run(struct pages *pages, uint64_t first, uint64_t last, struct memory_run *run)
{
	run->length = (last - first + 1) << PAGE_SHIFT;
	run->host = pages_file(pages)->dmabuf->memory + pages->base + (first << PAGE_SHIFT);
	run->hold = NULL;
	return true;
}

bool pages_run(struct pages *pages, struct ioas_context *context, uint64_t first, uint64_t last, bool hold,
	       struct memory_run *run)
{
	pthread_mutex_t *lock;
	const struct pins *pins;
	const struct extent *extent;
	uint64_t end;
	bool found;

	if (pages->kind == PAGES_DMABUF)
		return dmabuf_run(pages, first, last, run);
	if (!pins_of(pages))
		return false;
	lock = pages_lock(pages, context);
	pthread_mutex_lock(lock);
	pins = pins_of(pages);
	extent = pins ? &pins->extent[extent_from(pins, first)] : NULL;
	found = pins && extent < &pins->extent[pins->count] && extent->first <= first;
	if (found) {
		run->host = extent->host ? extent->host + ((first - extent->first) << PAGE_SHIFT) : NULL;
		run->hold = hold ? hold_get(extent->hold) : extent->hold;
		while (extent->last < last && &extent[1] < &pins->extent[pins->count] &&
		       extent[1].first == extent->last + 1 && joins(extent, extent[1].host, extent[1].hold))
			extent++;
		end = extent->last < last ? extent->last : last;
		run->length = (end - first + 1) << PAGE_SHIFT;
	}
	pthread_mutex_unlock(lock);
	return found;
}

uint64_t pages_pinned(const struct pages *pages)
{
	const struct pins *pins = pins_of(pages);
	uint64_t pinned = 0;

	for (uint32_t at = 0; pins && at < pins->count; at++)
		pinned += pins->extent[at].last - pins->extent[at].first + 1;
	return pinned;
}

/* How often a page is pinned. */
struct count {
	struct mm *mm;
	uint64_t va;
	struct hold *hold; /* where the page is kept, if it is known */
	uint64_t offset;   /* of the page, in the file that the hold is of */
	const struct pages **seen;
	size_t count, room;
	const struct pages *few[32];
};

static bool is_of_user(const struct count *count, const struct pages *pages, uint64_t *index)
{
	if (pages->kind != PAGES_USER || pages->mm != count->mm || count->va < pages->base)
		return false;
	*index = (count->va - pages->base) >> PAGE_SHIFT;
	return *index < pages->npages;
}

/* Is the page pinned, by its address or as the memory of the same file? With the lock of the pins held. */
static bool has_page(const struct count *count, const struct pages *pages)
{
	const struct pins *pins = atomic_load_explicit(&pages->pins, memory_order_relaxed);
	uint64_t index = 0;
	bool of_user = is_of_user(count, pages, &index);

	for (uint32_t i = 0; pins && i < pins->count; i++) {
		const struct extent *extent = &pins->extent[i];
		const struct hold *hold = extent->hold;
		uint64_t from;

		if (of_user) {
			if (extent->first <= index && index <= extent->last)
				return true;
			continue;
		}
		if (!count->hold || !count->hold->dev || !hold || hold->dev != count->hold->dev ||
		    hold->ino != count->hold->ino)
			continue;
		from = hold->offset + (uint64_t)(extent->host - hold->host);
		if (count->offset >= from && (count->offset - from) >> PAGE_SHIFT <= extent->last - extent->first)
			return true;
	}
	return false;
}

/* Each pages once. Where there is no memory to remember more of them, they are not counted. */
static void see(struct count *count, const struct pages *pages)
{
	for (size_t i = 0; i < count->count; i++)
		if (count->seen[i] == pages)
			return;
	if (count->count == count->room) {
		const struct pages **seen =
			reallocarray(count->seen == count->few ? NULL : count->seen, count->room * 2, sizeof(*seen));

		if (!seen)
			return;
		if (count->seen == count->few)
			memcpy(seen, count->few, sizeof(count->few));
		count->seen = seen;
		count->room *= 2;
	}
	count->seen[count->count++] = pages;
}

static void count_ioas(struct ioas *ioas, void *arg)
{
	struct count *count = arg;
	struct range_cursor at;

	pthread_mutex_lock(&ioas->lock);
	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		const struct pages *pages = ((const struct area *)at.range.value)->pages;
		pthread_mutex_t *lock = pages_lock(pages, ioas->context);
		bool has;

		pthread_mutex_lock(lock);
		has = has_page(count, pages);
		pthread_mutex_unlock(lock);
		if (has)
			see(count, pages);
	}
	pthread_mutex_unlock(&ioas->lock);
}

unsigned ioas_context_pins(struct ioas_context *context, struct mm *mm, uaddr_t va)
{
	struct count count = {.mm = mm, .va = va.va & PAGE_MASK};
	struct memory_run run = {0};
	unsigned pins;

	count.seen = count.few;
	count.room = sizeof(count.few) / sizeof(count.few[0]);
	if (mm->ops->pin && !mm->ops->pin(mm, NULL, uaddr(count.va), PAGE_SIZE, false, &run) && run.hold) {
		count.hold = run.hold;
		count.offset = run.hold->offset + (uint64_t)(run.host - run.hold->host);
	}
	if (context->each)
		context->each(context, count_ioas, &count);
	hold_put(run.hold);
	pins = (unsigned)count.count;
	if (count.seen != count.few)
		free(count.seen);
	return pins;
}

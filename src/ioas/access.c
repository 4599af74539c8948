/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/access.h"

#include "abi/iommufd.h"
#include "client/memory.h"
#include "ioas/use.h"

void access_init(struct access *access, const struct access_ops *ops)
{
	access->ops = ops;
	pthread_mutex_init(&access->lock, NULL);
	access->ioas = NULL;
	access->holding = NULL;
}

void access_fini(struct access *access)
{
	pthread_mutex_destroy(&access->lock);
}

/* Into the list, if the alignment may rise to what the access needs. */
static int join(struct access *access, struct ioas *ioas, struct access_place *place)
{
	int rc;

	ioas_lock(ioas);
	*place = (struct access_place){.next = ioas->accesses, .access = access, .ioas = ioas};
	ioas->accesses = place;
	rc = ioas_update_alignment(ioas);
	if (rc)
		ioas->accesses = place->next;
	ioas_unlock(ioas);
	return rc;
}

static bool is_used(const struct access_place *place)
{
	for (const struct use *use = place->ioas->uses; use; use = use->next)
		if (use->access == place->access)
			return true;
	return place->called;
}

void accesses_tell(struct ioas *ioas, iova_t start, uint64_t length)
{
	struct access_place *next;

	for (struct access_place *place = ioas->accesses; place; place = next) {
		const struct access_ops *ops = place->access->ops;

		if (ops && ops->unmap) {
			place->called++;
			ioas_unlock(ioas);
			ops->unmap(place->access, start, length);
			pthread_mutex_lock(&ioas->lock);
			place->called--;
			ioas_wake(ioas);
		}
		next = place->next;
	}
}

/* Out of the list of an IOAS in which the access has no pins any more, when nobody calls it or uses it. */
static void leave(struct access_place *place)
{
	struct ioas *ioas = place->ioas;

	ioas_lock(ioas);
	while (is_used(place) || ioas->changing)
		ioas_wait(ioas);
	for (struct access_place **link = &ioas->accesses; *link; link = &(*link)->next)
		if (*link == place) {
			*link = place->next;
			break;
		}
	ioas_update_alignment(ioas); /* cannot rise */
	ioas_unlock(ioas);
}

int access_attach(struct access *access, struct ioas *ioas)
{
	int rc = -EINVAL;

	pthread_mutex_lock(&access->lock);
	if (!access->holding)
		rc = join(access, ioas, &access->place[0]);
	if (!rc) {
		access->holding = &access->place[0];
		access->ioas = ioas;
	}
	pthread_mutex_unlock(&access->lock);
	return rc;
}

/* With the access's lock held. Joins the new IOAS, which may be NULL, and uses neither meanwhile. */
static int begin_replace(struct access *access, struct ioas *ioas, struct access_place **place)
{
	int rc;

	if (!access->ioas)
		return access->holding ? -EBUSY : -ENOENT;
	*place = NULL;
	if (ioas) {
		*place = &access->place[access->holding == &access->place[0]];
		rc = join(access, ioas, *place);
		if (rc)
			return rc;
	}
	access->ioas = NULL;
	return 0;
}

int access_replace(struct access *access, struct ioas *ioas)
{
	struct access_place *place;
	int rc = 0;

	pthread_mutex_lock(&access->lock);
	if (ioas && access->ioas == ioas) {
		pthread_mutex_unlock(&access->lock);
		return 0;
	}
	rc = begin_replace(access, ioas, &place);
	pthread_mutex_unlock(&access->lock);
	if (rc)
		return rc;
	if (access->ops && access->ops->unmap)
		access->ops->unmap(access, 0, UINT64_MAX);
	leave(access->holding);
	pthread_mutex_lock(&access->lock);
	access->holding = place;
	access->ioas = ioas;
	pthread_mutex_unlock(&access->lock);
	return 0;
}

void access_detach(struct access *access)
{
	access_replace(access, NULL);
}

/* Locks the IOAS that the access is attached to. NULL: none. */
static struct ioas *lock_ioas(struct access *access)
{
	struct ioas *ioas;

	pthread_mutex_lock(&access->lock);
	ioas = access->ioas;
	if (ioas)
		pthread_mutex_lock(&ioas->lock);
	pthread_mutex_unlock(&access->lock);
	return ioas;
}

/* The area at iova, if it may be used so. With the lock held. */
static int find_area(struct ioas *ioas, iova_t iova, unsigned flags, bool whole_pages, struct range *met)
{
	const struct area *area;

	if (!range_map_find(&ioas->areas, iova, iova, met))
		return -ENOENT;
	area = met->value;
	if (area->going || (whole_pages && (area->start + (iova - met->start)) & ~PAGE_MASK))
		return -EINVAL;
	if (!(area->prot & (flags & ACCESS_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : IOMMU_IOAS_MAP_READABLE)))
		return -EPERM;
	return 0;
}

/* The pages of an area behind [iova, last], of which last may be beyond the area. */
struct span {
	struct pages *pages;
	uint64_t first, last; /* pages */
	iova_t end;           /* the last IOVA in the area */
};

static struct span span_of(const struct range *met, iova_t iova, iova_t last)
{
	const struct area *area = met->value;
	const iova_t end = met->last < last ? met->last : last;

	return (struct span){
		.pages = area->pages,
		.first = (area->start + (iova - met->start)) >> PAGE_SHIFT,
		.last = (area->start + (end - met->start)) >> PAGE_SHIFT,
		.end = end,
	};
}

/* Stores how pages that are pinned are reached. Returns where the next ones go. */
static struct access_page *store_pages(struct ioas *ioas, const struct span *span, struct access_page *page)
{
	struct memory_run run = {0};

	for (uint64_t index = span->first; index <= span->last; index += run.length >> PAGE_SHIFT) {
		if (!pages_run(span->pages, ioas->context, index, span->last, false, &run))
			break;
		for (uint64_t at = 0; at < run.length; at += PAGE_SIZE)
			*page++ = (struct access_page){.pages = span->pages,
						       .index = index + (at >> PAGE_SHIFT),
						       .host = run.host ? run.host + at : NULL,
						       .hold = run.hold};
	}
	return page;
}

/* Drops the pins of [iova, last], all of which is there and pinned. With the lock held. */
static void unpin_areas(struct ioas *ioas, const struct access *access, iova_t iova, iova_t last)
{
	struct range_cursor at;

	for (bool more = range_map_first(&ioas->areas, iova, last, &at); more; more = range_map_next(&at)) {
		struct area *area = at.range.value;
		struct span span = span_of(&at.range, iova > at.range.start ? iova : at.range.start, last);

		pages_unpin(span.pages, ioas->context, span.first, span.last);
		area->accesses--;
		if (!access->ops)
			area->locks--;
	}
}

/* Pins one area, which stays meanwhile. With the lock held, which it drops meanwhile. */
static int pin_area(struct ioas *ioas, const struct access *access, struct area *area, const struct span *span,
		    struct memory_query *query)
{
	int rc;

	if (span->pages->kind == PAGES_DMABUF)
		return -EINVAL;
	if (area->accesses == UINT32_MAX || area->locks == UINT16_MAX)
		return -ENOMEM;
	area->accesses++;
	if (!access->ops)
		area->locks++;
	ioas_unlock(ioas);
	rc = pages_pin(span->pages, ioas->context, query, span->first, span->last);
	pthread_mutex_lock(&ioas->lock);
	if (!rc)
		return 0;
	area->accesses--;
	if (!access->ops)
		area->locks--;
	return rc;
}

/* With the lock held, which it may drop meanwhile. */
static int pin_areas(struct ioas *ioas, const struct access *access, iova_t iova, iova_t last, unsigned flags,
		     struct access_page *page)
{
	struct memory_query query = {0};
	iova_t at = iova;
	int rc;

	for (;;) {
		struct range met;
		struct span span;

		rc = find_area(ioas, at, flags, true, &met);
		if (rc)
			break;
		span = span_of(&met, at, last);
		rc = pin_area(ioas, access, met.value, &span, &query);
		if (rc)
			break;
		if (page)
			page = store_pages(ioas, &span, page);
		if (span.end == last)
			break;
		at = span.end + 1;
	}
	if (rc && at > iova)
		unpin_areas(ioas, access, iova, at - 1);
	memory_query_end(&query);
	return rc;
}

int access_pin(struct access *access, iova_t iova, uint64_t length, unsigned flags, struct access_page *page)
{
	struct use use = {.access = access, .start = iova};
	struct ioas *ioas;
	int rc;

	if (!access_needs_pages(access) || !length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &use.last))
		return -EOVERFLOW;
	ioas = lock_ioas(access);
	if (!ioas)
		return -ENOENT;
	use_begin(ioas, &use);
	rc = pin_areas(ioas, access, iova, use.last, flags, page);
	use_end(ioas, &use);
	ioas_unlock(ioas);
	return rc;
}

/* What an access has pinned keeps its IOAS, also while it leaves it. */
void access_unpin(struct access *access, iova_t iova, uint64_t length)
{
	struct ioas *ioas;

	pthread_mutex_lock(&access->lock);
	ioas = access->holding ? access->holding->ioas : NULL;
	if (ioas)
		pthread_mutex_lock(&ioas->lock);
	pthread_mutex_unlock(&access->lock);
	if (!ioas)
		return;
	unpin_areas(ioas, access, iova, iova + (length - 1));
	ioas_unlock(ioas);
}

bool access_contiguous(struct access *access, iova_t iova, uint64_t length, struct access_page *first)
{
	struct ioas *ioas = lock_ioas(access);
	const iova_t last = iova + (length - 1);
	bool contiguous = true;
	struct range_cursor at;
	uint64_t next = 0;

	first->pages = NULL;
	if (!ioas)
		return false;
	for (bool more = range_map_first(&ioas->areas, iova, last, &at); more; more = range_map_next(&at)) {
		struct span span = span_of(&at.range, iova > at.range.start ? iova : at.range.start, last);

		if (first->pages) {
			contiguous = contiguous && span.pages == first->pages && span.first == next;
		} else {
			const struct span page = {.pages = span.pages, .first = span.first, .last = span.first};

			store_pages(ioas, &page, first);
		}
		next = span.last + 1;
	}
	ioas_unlock(ioas);
	return first->pages && contiguous;
}

/* Bytes that are copied: of pages, from their byte at on. */
struct copy {
	struct pages *pages;
	uint64_t at;
	uint8_t *buf;
	bool write;
};

/* Copies n bytes that lie in a run, from its byte skip on. */
static size_t copy_run(const struct copy *copy, const struct memory_run *run, uint64_t skip, size_t n)
{
	if (copy->write)
		return memory_copy(run->hold, run->host + skip, copy->buf, n);
	return memory_copy(run->hold, copy->buf, run->host + skip, n);
}

static size_t copy_client(const struct copy *copy, size_t n)
{
	struct mm *mm = copy->pages->mm;
	uaddr_t va = uaddr(copy->pages->base + copy->at);

	if (copy->write)
		return mm->ops->write ? mm->ops->write(mm, va, copy->buf, n) : 0;
	return mm->ops->read ? mm->ops->read(mm, copy->buf, va, n) : 0;
}

/* How many bytes of n are in the first length bytes from the page of the first one on. */
static size_t within(uint64_t length, uint64_t skip, size_t n)
{
	return length - skip < n ? (size_t)(length - skip) : n;
}

/*
 * Copies at most n bytes in one way: pinned memory as it was found, a file's for this moment only, and otherwise as the
 * owner itself would access it. Returns how many, or -errno.
 */
static ssize_t copy_some(struct ioas_context *context, const struct copy *copy, size_t n)
{
	struct pages *pages = copy->pages;
	const uint64_t first = copy->at >> PAGE_SHIFT;
	const uint64_t last = (copy->at + (n - 1)) >> PAGE_SHIFT;
	const uint64_t skip = copy->at & ~PAGE_MASK;
	struct memory_run run;
	size_t want = n;
	size_t got;

	if (pages_run(pages, context, first, last, true, &run)) {
		want = within(run.length, skip, n);
	} else if (pages->kind == PAGES_FILE) {
		int rc = pages_resolve(pages, NULL, first, last - first + 1, &run);

		if (rc)
			return rc;
		want = within(run.length, skip, n);
	} else {
		/* Of what is pinned in part, a page at a time. */
		if (atomic_load_explicit(&pages->pins, memory_order_relaxed))
			want = within(PAGE_SIZE, skip, n);
		run = (struct memory_run){0};
	}
	got = run.host ? copy_run(copy, &run, skip, want) : pages->kind == PAGES_USER ? copy_client(copy, want) : 0;
	hold_put(run.hold);
	return got == want ? (ssize_t)got : -EFAULT;
}

static int copy_all(struct ioas_context *context, struct copy *copy, size_t n)
{
	if (copy->pages->kind == PAGES_DMABUF)
		return -EINVAL;
	while (n) {
		ssize_t done = copy_some(context, copy, n);

		if (done < 0)
			return (int)done;
		copy->at += (size_t)done;
		copy->buf += done;
		n -= (size_t)done;
	}
	return 0;
}

/* With the lock held, which it drops while it copies. */
static int rw(struct ioas *ioas, struct access *access, iova_t iova, iova_t last, uint8_t *buf, unsigned flags)
{
	struct use use = {.access = access};

	for (;;) {
		struct copy copy = {.buf = buf, .write = flags & ACCESS_WRITE};
		struct range met;
		size_t n;
		int rc = find_area(ioas, iova, flags, false, &met);

		if (rc)
			return rc;
		use.area = met.value;
		use.start = iova;
		use.last = met.last < last ? met.last : last;
		n = use.last - iova + 1;
		copy.pages = use.area->pages;
		copy.at = use.area->start + (iova - met.start);
		use_begin(ioas, &use);
		ioas_unlock(ioas);
		rc = copy_all(ioas->context, &copy, n);
		pthread_mutex_lock(&ioas->lock);
		use_end(ioas, &use);
		if (rc || use.last == last)
			return rc;
		iova = use.last + 1;
		buf += n;
	}
}

int access_rw(struct access *access, iova_t iova, void *buf, size_t length, unsigned flags)
{
	struct ioas *ioas;
	iova_t last;
	int rc;

	if (!length)
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	ioas = lock_ioas(access);
	if (!ioas)
		return -ENOENT;
	rc = rw(ioas, access, iova, last, buf, flags);
	ioas_unlock(ioas);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/pin.h"

#include "client/holds.h"

/* What memory_query.private has. */
enum {
	QUERY_ENDS, /* memory may end before the mapping does */
};

/* There may be less memory than is mapped: of a file; and a page that has no file and cannot be written may be one of
 * the kernel's own, such as [vvar]. */
static bool may_end(const struct vma *vma)
{
	return vma->ino || !(vma->access & VMA_WRITE);
}

/* Answers for the part of the mapping that the hold shows. */
static void answer_held(struct memory_query *query, const struct vma *vma, struct hold *hold)
{
	const uint64_t end = hold->offset + hold->length - vma->offset;

	if (hold->offset > vma->offset)
		query->start += hold->offset - vma->offset;
	if (end <= vma->last - vma->start)
		query->last = vma->start + end - 1;
	hold_run(hold, vma->offset + (query->start - vma->start), query->last - query->start + 1, &query->run);
}

/* Answers for all of a mapping, or of what is held of it. */
static int answer(const struct pin_source *source, const struct vma *vma, uint64_t va, uint64_t length, bool write,
		  struct memory_query *query)
{
	const struct hold_key key = {
		.dev = vma->dev,
		.ino = vma->ino,
		.offset = vma->offset + (va - vma->start),
		.length = length,
		.writable = write,
	};
	struct hold *hold;
	int rc;

	query->start = vma->start;
	query->last = vma->last;
	query->run = (struct memory_run){
		.length = vma->last - vma->start + 1,
		.host = source->plain ? (uint8_t *)(uintptr_t)vma->start : NULL, /* NOLINT(performance-no-int-to-ptr) */
	};
	if (!vma->shared || !vma->ino)
		return 0;
	hold = holds_find(source->holds, &key);
	rc = hold ? 0 : source->hold(source, vma, va, length, write, &hold);
	if (rc)
		return rc == -EOPNOTSUPP ? 0 : rc;
	answer_held(query, vma, hold);
	return 0;
}

static int ask(const struct pin_source *source, uint64_t va, uint64_t length, bool write, struct memory_query *query)
{
	struct vma vma;
	int rc = vma_find(source->maps, va, &vma, NULL, 0);

	if (!rc)
		rc = vma_pinnable(&vma, source->mounts, write);
	if (rc)
		return rc;
	if (length > vma.last - va + 1)
		length = vma.last - va + 1;
	if (may_end(&vma))
		rc = source->backed(source, va + length - PAGE_SIZE, write);
	if (rc)
		return rc;
	memory_query_end(query);
	rc = answer(source, &vma, va, length, write, query);
	if (rc)
		return rc;
	query->mm = source->mm;
	query->private[QUERY_ENDS] = may_end(&vma);
	query->access = write ? VMA_WRITE : VMA_READ;
	return 0;
}

static bool answers(const struct memory_query *query, const struct mm *mm, uint64_t va, bool write)
{
	return query->mm == mm && va >= query->start && va <= query->last &&
	       query->access & (write ? VMA_WRITE : VMA_READ);
}

static uint64_t room_at(const struct memory_query *query, uint64_t va, uint64_t length)
{
	const uint64_t room = query->last - va + 1;

	return length < room ? length : room;
}

static void run_at(const struct memory_query *query, uint64_t va, uint64_t length, struct memory_run *run)
{
	run->length = room_at(query, va, length);
	run->host = query->run.host ? query->run.host + (va - query->start) : NULL;
	run->hold = hold_get(query->run.hold);
}

bool pin_known(const struct memory_query *query, struct mm *mm, uint64_t va, uint64_t length, bool write,
	       struct memory_run *run)
{
	if (!query || !answers(query, mm, va, write) || query->private[QUERY_ENDS])
		return false;
	run_at(query, va, length, run);
	return true;
}

int pin_from(const struct pin_source *source, struct memory_query *query, uint64_t va, uint64_t length, bool write,
	     struct memory_run *run)
{
	struct memory_query own = {0};
	int rc = 0;

	if (!query)
		query = &own;
	if (!answers(query, source->mm, va, write))
		rc = ask(source, va, length, write, query);
	else if (query->private[QUERY_ENDS])
		rc = source->backed(source, va + room_at(query, va, length) - PAGE_SIZE, write);
	if (!rc)
		run_at(query, va, length, run);
	if (query == &own)
		memory_query_end(query);
	return rc;
}

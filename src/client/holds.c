/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/holds.h"

#include "client/vma.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUCKETS 64U

struct holds {
	_Atomic unsigned refs;
	size_t (*copy)(void *dst, const void *src, size_t n);
	pthread_mutex_t lock; /* guards the buckets; a leaf */
	struct mapped *bucket[BUCKETS];
	uint64_t serial; /* the last that was given to a hold */
	_Atomic uint64_t count;
	pthread_mutex_t cut_lock; /* held while copies are put in place; above lock */
};

struct mapped {
	struct hold hold;
	struct holds *holds;
	struct mapped *next, **link;
	bool writable;
	bool cut; /* a part is a copy by now, or will be */
	uint64_t serial;
};

struct holds *holds_new(size_t (*copy)(void *dst, const void *src, size_t n))
{
	struct holds *holds = calloc(1, sizeof(*holds));

	if (!holds)
		return NULL;
	atomic_init(&holds->refs, 1);
	holds->copy = copy;
	pthread_mutex_init(&holds->lock, NULL);
	pthread_mutex_init(&holds->cut_lock, NULL);
	return holds;
}

void holds_put(struct holds *holds)
{
	if (!holds || atomic_fetch_sub_explicit(&holds->refs, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&holds->cut_lock);
	pthread_mutex_destroy(&holds->lock);
	free(holds);
}

static struct mapped **bucket_of(struct holds *holds, ino_t ino)
{
	return &holds->bucket[ino % BUCKETS];
}

static void mapped_release(struct hold *hold)
{
	struct mapped *mapped = (struct mapped *)hold;

	if (mapped->holds) {
		pthread_mutex_lock(&mapped->holds->lock);
		*mapped->link = mapped->next;
		if (mapped->next)
			mapped->next->link = mapped->link;
		pthread_mutex_unlock(&mapped->holds->lock);
		atomic_fetch_sub_explicit(&mapped->holds->count, 1, memory_order_relaxed);
		holds_put(mapped->holds);
	}
	munmap(hold->host, hold->length);
	free(mapped);
}

static bool covers(const struct mapped *mapped, const struct hold_key *key)
{
	const struct hold *hold = &mapped->hold;

	return hold->ino == key->ino && hold->dev == key->dev && !mapped->cut && (mapped->writable || !key->writable) &&
	       key->offset >= hold->offset && key->length <= hold->length &&
	       key->offset - hold->offset <= hold->length - key->length;
}

/* One whose references are gone is on its way out. */
static bool get_unless_zero(struct hold *hold)
{
	unsigned refs = atomic_load_explicit(&hold->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&hold->refs, &refs, refs + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

struct hold *holds_find(struct holds *holds, const struct hold_key *key)
{
	struct mapped *found;

	if (!holds)
		return NULL;
	pthread_mutex_lock(&holds->lock);
	for (found = *bucket_of(holds, key->ino); found; found = found->next)
		if (covers(found, key) && get_unless_zero(&found->hold))
			break;
	pthread_mutex_unlock(&holds->lock);
	return found ? &found->hold : NULL;
}

static void link_in(struct mapped *mapped)
{
	struct mapped **bucket = bucket_of(mapped->holds, mapped->hold.ino);

	pthread_mutex_lock(&mapped->holds->lock);
	mapped->serial = ++mapped->holds->serial;
	mapped->next = *bucket;
	mapped->link = bucket;
	if (mapped->next)
		mapped->next->link = &mapped->next;
	*bucket = mapped;
	pthread_mutex_unlock(&mapped->holds->lock);
}

struct hold *holds_add(struct holds *holds, const struct hold_key *key, void *host)
{
	struct mapped *mapped = calloc(1, sizeof(*mapped));

	if (!mapped)
		return NULL;
	atomic_init(&mapped->hold.refs, 1);
	mapped->hold.release = mapped_release;
	mapped->hold.copy = holds && key->cut ? holds->copy : NULL;
	mapped->hold.host = host;
	mapped->hold.length = key->length;
	mapped->hold.dev = key->dev;
	mapped->hold.ino = key->ino;
	mapped->hold.offset = key->offset;
	mapped->writable = key->writable;
	mapped->holds = holds;
	if (holds) {
		atomic_fetch_add_explicit(&holds->refs, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&holds->count, 1, memory_order_relaxed);
		link_in(mapped);
	}
	return &mapped->hold;
}

bool holds_any(const struct holds *holds)
{
	return atomic_load_explicit(&holds->count, memory_order_relaxed);
}

bool holds_file(struct holds *holds, dev_t dev, ino_t ino)
{
	const struct mapped *found;

	pthread_mutex_lock(&holds->lock);
	for (found = *bucket_of(holds, ino); found; found = found->next)
		if (found->hold.ino == ino && found->hold.dev == dev)
			break;
	pthread_mutex_unlock(&holds->lock);
	return found;
}

/* The part of a hold that is of the bytes [start, end) of the file. */
static bool clip(const struct hold *hold, uint64_t *start, uint64_t *end)
{
	const uint64_t hold_end = hold->offset + hold->length;

	*start = *start > hold->offset ? *start : hold->offset;
	*end = *end < hold_end ? *end : hold_end;
	return *start < *end;
}

/* Copies what the file has of the bytes [start, end); holes stay holes. */
static void copy_data(const struct holds *holds, const struct hold *hold, int fd, uint8_t *copy, uint64_t start,
		      uint64_t end)
{
	size_t (*copy_bytes)(void *, const void *, size_t) = holds->copy;

	for (uint64_t at = start; at < end;) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? data : lseek(fd, data, SEEK_HOLE);

		if (hole < 0 || (uint64_t)data >= end)
			break;
		at = (uint64_t)hole < end ? (uint64_t)hole : end;
		if (copy_bytes)
			copy_bytes(copy + ((uint64_t)data - start), hold->host + ((uint64_t)data - hold->offset),
				   at - (uint64_t)data);
		else
			memcpy(copy + ((uint64_t)data - start), hold->host + ((uint64_t)data - hold->offset),
			       at - (uint64_t)data);
	}
}

/* The copy takes the place of the file's pages in one step: who uses them meanwhile finds the one or the other. */
static void put_copy(const struct holds *holds, const struct hold *hold, int fd, uint64_t start, uint64_t end)
{
	const size_t length = end - start;
	void *copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (copy == MAP_FAILED)
		return;
	copy_data(holds, hold, fd, copy, start, end);
	if (mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, hold->host + (start - hold->offset)) ==
	    MAP_FAILED)
		munmap(copy, length);
}

/* Puts copies in the place of what is still the file's: what was cut before is not. */
static void cut_hold(const struct holds *holds, const struct hold *hold, int maps, int fd, uint64_t start, uint64_t end)
{
	for (uint64_t at = start; at < end;) {
		const uint64_t host = (uintptr_t)hold->host + (at - hold->offset);
		uint64_t to = end;
		struct vma vma;

		if (vma_find(maps, host, &vma, NULL, 0))
			return;
		if (vma.last - host < end - at)
			to = at + (vma.last - host) + 1;
		if (vma.ino == hold->ino && vma.dev == hold->dev)
			put_copy(holds, hold, fd, at, to);
		at = to;
	}
}

/* The first of the holds that lie in the range and were made after one, no longer to be found, with a reference. */
static struct mapped *next_to_cut(struct holds *holds, dev_t dev, ino_t ino, uint64_t start, uint64_t end,
				  uint64_t after)
{
	struct mapped *next;

	pthread_mutex_lock(&holds->lock);
	do {
		next = NULL;
		for (struct mapped *m = *bucket_of(holds, ino); m; m = m->next) {
			uint64_t from = start;
			uint64_t to = end;

			if (m->hold.ino == ino && m->hold.dev == dev && m->serial > after &&
			    (!next || m->serial < next->serial) && clip(&m->hold, &from, &to))
				next = m;
		}
		if (next) {
			next->cut = true;
			after = next->serial;
		}
	} while (next && !get_unless_zero(&next->hold));
	pthread_mutex_unlock(&holds->lock);
	return next;
}

void holds_cut(struct holds *holds, int fd, dev_t dev, ino_t ino, uint64_t start, uint64_t end)
{
	int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	struct mapped *mapped;
	uint64_t after = 0;

	if (maps < 0)
		return;
	pthread_mutex_lock(&holds->cut_lock);
	while ((mapped = next_to_cut(holds, dev, ino, start, end, after))) {
		uint64_t from = start;
		uint64_t to = end;

		after = mapped->serial;
		clip(&mapped->hold, &from, &to);
		cut_hold(holds, &mapped->hold, maps, fd, from, to);
		hold_put(&mapped->hold);
	}
	pthread_mutex_unlock(&holds->cut_lock);
	close(maps);
}

void hold_run(struct hold *hold, uint64_t offset, uint64_t length, struct memory_run *run)
{
	uint64_t room = hold->offset + hold->length - offset;

	run->length = length < room ? length : room;
	run->host = hold->host + (offset - hold->offset);
	run->hold = hold;
}

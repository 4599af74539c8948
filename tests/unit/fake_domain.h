/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client whose memory is found, held and copied, and a page table that keeps a list; both can be made to fail, and
 * both notice what must not happen: memory that is let go while a device may use it.
 */
#ifndef IOMMUSE_TESTS_FAKE_DOMAIN_H
#define IOMMUSE_TESTS_FAKE_DOMAIN_H

#include "check.h"
#include "client/account.h"
#include "client/client.h"
#include "client/memory.h"
#include "ioas/ioas.h"

#include <stdlib.h>

#define MEMORY_PAGES 64U
#define MEMORY_AT    UINT64_C(0x10000000)

struct memory {
	struct client client;
	struct mm mm;
	struct accounts accounts;
	uint64_t limit;                   /* of locked memory, in pages */
	uint64_t bad;                     /* the address of a page that is not there; 0: none */
	uint64_t run;                     /* bytes of the longest run that is found at once */
	bool remote;                      /* not to be reached in this process */
	bool anew;                        /* each hold is of other memory than the one before */
	_Atomic unsigned held;            /* holds that are not released */
	_Atomic unsigned asked;           /* calls of pin */
	_Atomic unsigned copied;          /* calls of read and write */
	void (*on_pin)(struct memory *m); /* as another thread would */
	void (*on_copy)(struct memory *m);
	_Alignas(4096) uint8_t bytes[MEMORY_PAGES * PAGE_SIZE];
};

struct memory_hold {
	struct hold hold;
	struct memory *memory;
};

static struct memory *memory_of(struct mm *mm)
{
	return (struct memory *)((char *)mm - offsetof(struct memory, mm));
}

static void memory_hold_release(struct hold *hold)
{
	struct memory_hold *mine = (struct memory_hold *)hold;

	atomic_fetch_sub(&mine->memory->held, 1);
	free(mine);
}

static int memory_pin(struct mm *mm, struct memory_query *query, uaddr_t va, uint64_t length, bool write,
		      struct memory_run *run)
{
	struct memory *m = memory_of(mm);
	uint64_t at = va.va - MEMORY_AT;
	struct memory_hold *hold;

	(void)query;
	(void)write;
	atomic_fetch_add(&m->asked, 1);
	if (m->on_pin)
		m->on_pin(m);
	if (at >= sizeof(m->bytes) || va.va == m->bad)
		return -EFAULT;
	if (m->run && length > m->run)
		length = m->run;
	if (m->bad > va.va && length > m->bad - va.va)
		length = m->bad - va.va;
	if (length > sizeof(m->bytes) - at)
		length = sizeof(m->bytes) - at;
	hold = calloc(1, sizeof(*hold));
	if (!hold)
		return -ENOMEM;
	atomic_init(&hold->hold.refs, 1);
	hold->hold.release = memory_hold_release;
	hold->memory = m;
	atomic_fetch_add(&m->held, 1);
	*run = (struct memory_run){.length = length, .host = m->remote ? NULL : m->bytes + at, .hold = &hold->hold};
	return 0;
}

static size_t memory_there(struct memory *m, uint64_t va, size_t n)
{
	uint64_t at = va - MEMORY_AT;

	atomic_fetch_add(&m->copied, 1);
	if (m->on_copy)
		m->on_copy(m);
	if (at >= sizeof(m->bytes))
		return 0;
	if (n > sizeof(m->bytes) - at)
		n = sizeof(m->bytes) - at;
	if (m->bad && va + n > m->bad)
		n = m->bad > va ? m->bad - va : 0;
	return n;
}

static size_t memory_read(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	struct memory *m = memory_of(mm);

	n = memory_there(m, src.va, n);
	if (n)
		memcpy(dst, m->bytes + (src.va - MEMORY_AT), n);
	return n;
}

static size_t memory_write(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	struct memory *m = memory_of(mm);

	n = memory_there(m, dst.va, n);
	if (n)
		memcpy(m->bytes + (dst.va - MEMORY_AT), src, n);
	return n;
}

static uint64_t memory_limit(struct mm *mm)
{
	return memory_of(mm)->limit;
}

static void memory_release(struct mm *mm)
{
	(void)mm;
}

static struct mm *memory_mm(struct client *client)
{
	return &((struct memory *)client)->mm;
}

static const struct client_ops memory_client_ops = {.mm = memory_mm};
static const struct mm_ops memory_mm_ops = {
	.release = memory_release,
	.pin = memory_pin,
	.read = memory_read,
	.write = memory_write,
	.memlock_limit = memory_limit,
};

static inline void memory_init(struct memory *m)
{
	memset(m, 0, sizeof(*m));
	m->client = (struct client){.ops = &memory_client_ops, .pid = 1, .tid = 1, .fd = 3};
	m->mm.ops = &memory_mm_ops;
	atomic_init(&m->mm.refs, 1);
	m->limit = UINT64_MAX;
	accounts_init(&m->accounts, MEMLOCK_ENFORCE);
	m->mm.accounts = &m->accounts;
	m->mm.user = accounts_user(&m->accounts, 1000);
}

static inline void memory_fini(struct memory *m)
{
	CHECK_EQ(atomic_load(&m->mm.refs), 1);
	CHECK_EQ(atomic_load(&m->held), 0);
	CHECK_EQ(atomic_load(&m->mm.pinned), 0);
	CHECK_EQ(atomic_load(&m->mm.user->locked), 0);
	accounts_fini(&m->accounts);
}

enum { MAPPINGS = 256 };

struct fake_domain {
	struct ioas_domain base;
	struct ioas_mapping mapping[MAPPINGS];
	size_t count;
	unsigned maps, unmaps, splits;
	_Atomic unsigned flushes;
	unsigned fail_at;   /* which map or split from now on has no memory; 0: none */
	_Atomic bool stale; /* something was taken away and is not flushed */
	void (*on_flush)(struct fake_domain *domain);
};

static struct fake_domain *domain_of(struct ioas_domain *base)
{
	return (struct fake_domain *)base;
}

static int domain_fails(struct fake_domain *d)
{
	return d->fail_at && !--d->fail_at;
}

static int domain_map(struct ioas_domain *base, const struct ioas_mapping *mapping)
{
	struct fake_domain *d = domain_of(base);

	for (size_t i = 0; i < d->count; i++)
		CHECK(d->mapping[i].start > mapping->last || d->mapping[i].last < mapping->start);
	CHECK(mapping->start <= mapping->last);
	if (domain_fails(d) || d->count == MAPPINGS)
		return -ENOMEM;
	d->maps++;
	d->mapping[d->count++] = *mapping;
	return 0;
}

static void domain_unmap(struct ioas_domain *base, iova_t start, iova_t last)
{
	struct fake_domain *d = domain_of(base);
	size_t kept = 0;

	d->unmaps++;
	for (size_t i = 0; i < d->count; i++) {
		const struct ioas_mapping *m = &d->mapping[i];

		if (m->start >= start && m->last <= last) {
			atomic_store(&d->stale, true);
			continue;
		}
		CHECK(m->start > last || m->last < start); /* none is cut */
		d->mapping[kept++] = *m;
	}
	d->count = kept;
}

static int domain_split(struct ioas_domain *base, iova_t address)
{
	struct fake_domain *d = domain_of(base);

	for (size_t i = 0; i < d->count; i++) {
		struct ioas_mapping *left = &d->mapping[i];
		struct ioas_mapping right = *left;

		if (left->start > address || left->last <= address)
			continue;
		if (domain_fails(d) || d->count == MAPPINGS)
			return -ENOMEM;
		right.source += address + 1 - left->start;
		right.host = left->host ? left->host + (address + 1 - left->start) : NULL;
		right.start = address + 1;
		left->last = address;
		d->mapping[d->count++] = right;
		d->splits++;
		break;
	}
	return 0;
}

static void domain_flush(struct ioas_domain *base)
{
	struct fake_domain *d = domain_of(base);

	atomic_fetch_add(&d->flushes, 1);
	if (d->on_flush)
		d->on_flush(d);
	atomic_store(&d->stale, false);
}

static const struct ioas_domain_ops fake_domain_ops = {
	.map = domain_map,
	.unmap = domain_unmap,
	.split = domain_split,
	.flush = domain_flush,
};

static inline void fake_domain_init(struct fake_domain *d, uint64_t page_size)
{
	memset(d, 0, sizeof(*d));
	d->base.ops = &fake_domain_ops;
	d->base.aperture_last = UINT64_MAX;
	d->base.page_sizes = -page_size;
	d->base.coherent = true;
}

/* The byte that a device would reach. NULL: none, or only by the owner's memory. */
static inline uint8_t *domain_host(const struct fake_domain *d, iova_t iova)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->mapping[i].start <= iova && iova <= d->mapping[i].last)
			return d->mapping[i].host ? d->mapping[i].host + (iova - d->mapping[i].start) : NULL;
	return NULL;
}

static inline bool domain_has(const struct fake_domain *d, iova_t iova)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->mapping[i].start <= iova && iova <= d->mapping[i].last)
			return true;
	return false;
}

#endif

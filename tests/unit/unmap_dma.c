/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * After an unmap, a detach or a replacement returned, no DMA gets there any more. Devices translate and copy without
 * pause, while others map, split, unmap, attach, replace, detach and read what is dirty. Memory that was taken away is
 * poisoned: no device reads the poison, and nothing is written over it.
 *
 * With IOMMUSE_TEST_LONG in the environment ten million translations at least, and thirteen times as many changes.
 */
#include "abi/iommufd.h"
#include "check.h"
#include "hwpt/device.h"
#include "ioas/ioas.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

enum {
	DEVICES = 2,
	MAPPERS = 2,
	FRAMES = 64, /* of each mapper; mapped by twos */
	PART = 256,  /* bytes of a frame that one device uses, so that devices do not race with each other */
	WORDS = PART / 8,
	PASID = 77,
	CHANGES = 3000, /* as many maps and unmaps at least, and a quarter of that attachments; or a multiple of it */
};

static const uint64_t poison = UINT64_C(0x6666666666666666), life = UINT64_C(0x1111111111111111);

static struct epoch epoch;
static struct ioas ioas;
static struct paging_domain shared;   /* what mappers change */
static struct paging_domain fixed[2]; /* what devices are attached to and detached from, by a PASID */
static struct iommu_device device[DEVICES];
static uint64_t frame[MAPPERS][FRAMES][PAGE / 8];
static uint64_t fixed_frame[2][PAGE / 8];
static atomic_ulong translations, hits, changes, attachments;
static atomic_bool stop;
static unsigned long wanted = 600000, wanted_changes = CHANGES;

static iova_t iova_of(unsigned mapper, unsigned n)
{
	return 0x1000000 + (mapper * FRAMES + n) * PAGE;
}

static unsigned next(uint64_t *state, unsigned n)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(*state >> 33) % n;
}

static void map(struct paging_domain *domain, iova_t iova, uint64_t length, void *host)
{
	const struct ioas_mapping mapping = {.start = iova,
					     .last = iova + length - 1,
					     .source = iova,
					     .host = host,
					     .prot = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	pthread_mutex_lock(&ioas.lock);
	CHECK_EQ(domain->base.ops->map(&domain->base, &mapping), 0);
	pthread_mutex_unlock(&ioas.lock);
}

static void unmap(struct paging_domain *domain, iova_t iova, uint64_t length)
{
	pthread_mutex_lock(&ioas.lock);
	domain->base.ops->unmap(&domain->base, iova, iova + length - 1);
	pthread_mutex_unlock(&ioas.lock);
	domain->base.ops->flush(&domain->base);
}

static void fill(uint64_t *word, unsigned count, uint64_t with)
{
	for (unsigned i = 0; i < count; i++)
		word[i] = with;
}

static bool all(const uint64_t *word, unsigned count, uint64_t are)
{
	for (unsigned i = 0; i < count; i++)
		if (word[i] != are)
			return false;
	return true;
}

/* A device. */

static void copy(struct dma *dma, uint32_t pasid, iova_t iova, uint64_t *state)
{
	struct dma_fault fault;
	uint64_t word[WORDS];
	int rc;

	if (next(state, 2)) {
		fill(word, WORDS, life);
		rc = dma_write(dma, pasid, iova, word, sizeof(word), &fault);
	} else {
		rc = dma_read(dma, pasid, iova, word, sizeof(word), &fault);
		if (!rc && !all(word, WORDS, life))
			CHECK(!"a device reads what was taken away from it");
	}
	if (rc && fault.reason != DMA_FAULT_NOT_MAPPED && fault.reason != DMA_FAULT_NO_DOMAIN)
		CHECK_EQ(fault.reason, DMA_FAULT_NOT_MAPPED);
	if (!rc)
		atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed);
}

/* Sometimes others get the processor meanwhile. */
static void look(struct dma *dma, uint32_t pasid, iova_t iova, bool slowly)
{
	struct dma_fault fault;
	struct dma_run run[2];
	size_t count;

	dma_begin(dma);
	if (dma_translate(dma, pasid, iova, PART, DMA_READ, run, 2, &count, &fault)) {
		if (slowly)
			sched_yield();
		if (!all((const uint64_t *)(const void *)run[0].host, WORDS, life))
			CHECK(!"what is found is not taken away before the end of the section");
	}
	dma_end(dma);
}

static void *device_thread(void *arg)
{
	const unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t state = me;
	struct dma dma;

	dma_init(&dma, &device[me]);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (unsigned i = 0; i < 20; i++) {
			iova_t iova = iova_of(next(&state, MAPPERS), next(&state, FRAMES)) + me * PART;

			if (i % 4)
				copy(&dma, NO_PASID, iova, &state);
			else
				look(&dma, NO_PASID, iova, !next(&state, 64));
			if (i)
				copy(&dma, PASID, me * PART, &state);
			else
				look(&dma, PASID, me * PART, !next(&state, 4));
		}
		atomic_fetch_add(&translations, 40);
		if (atomic_load(&translations) >= wanted && atomic_load(&changes) >= wanted_changes &&
		    atomic_load(&attachments) >= wanted_changes / 4)
			atomic_store(&stop, true);
	}
	dma_fini(&dma);
	return NULL;
}

/* Somebody who maps. Frames 2n and 2n+1 are mapped by one map, or by two, or by one that is split. */

enum pair_state { GONE, ONE, TWO };

static bool poisoned(unsigned mapper, unsigned first)
{
	for (unsigned i = first; i < first + 2; i++)
		if (!all(frame[mapper][i], PAGE / 8, poison))
			return false;
	return true;
}

static enum pair_state change_pair(unsigned me, unsigned first, enum pair_state pair, uint64_t *state)
{
	switch (pair) {
	case GONE:
		if (!poisoned(me, first))
			CHECK(!"nothing is written to what was taken away");
		fill(frame[me][first], 2 * PAGE / 8, life);
		if (next(state, 2)) {
			map(&shared, iova_of(me, first), 2 * PAGE, frame[me][first]);
			return ONE;
		}
		map(&shared, iova_of(me, first), PAGE, frame[me][first]);
		map(&shared, iova_of(me, first + 1), PAGE, frame[me][first + 1]);
		return TWO;
	case ONE:
		if (next(state, 2)) {
			pthread_mutex_lock(&ioas.lock);
			CHECK_EQ(shared.base.ops->split(&shared.base, iova_of(me, first + 1) - 1), 0);
			pthread_mutex_unlock(&ioas.lock);
			return TWO;
		}
		unmap(&shared, iova_of(me, first), 2 * PAGE);
		break;
	case TWO:
		for (unsigned i = first; i < first + 2; i++) {
			unmap(&shared, iova_of(me, i), PAGE);
			fill(frame[me][i], PAGE / 8, poison);
		}
		break;
	}
	fill(frame[me][first], 2 * PAGE / 8, poison);
	return GONE;
}

static void *mapper_thread(void *arg)
{
	const unsigned me = (unsigned)(uintptr_t)arg;
	enum pair_state pair[FRAMES / 2] = {GONE};
	uint64_t state = 100 + me;

	fill(frame[me][0], FRAMES * PAGE / 8, poison);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		unsigned n = next(&state, FRAMES / 2);

		pair[n] = change_pair(me, n * 2, pair[n], &state);
		atomic_fetch_add_explicit(&changes, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Somebody who attaches. */

static void *attacher_thread(void *arg)
{
	int at[DEVICES];
	uint64_t state = 200;

	for (unsigned i = 0; i < DEVICES; i++)
		at[i] = -1;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		const unsigned d = next(&state, DEVICES);
		const int to = (int)next(&state, 3) - 1, from = at[d];

		if (to == from)
			continue;
		if (to >= 0) {
			uint64_t *words = fixed_frame[to] + d * WORDS;

			if (!all(words, WORDS, poison))
				CHECK(!"nothing is written to what a device was detached from");
			fill(words, WORDS, life);
		}
		CHECK_EQ(iommu_device_attach(&device[d], PASID, to < 0 ? NULL : &fixed[to].domain), 0);
		if (from >= 0)
			fill(fixed_frame[from] + d * WORDS, WORDS, poison);
		at[d] = to;
		atomic_fetch_add_explicit(&attachments, 1, memory_order_relaxed);
		if (!next(&state, 100))
			sched_yield();
	}
	return arg;
}

/* Somebody who migrates. */

static int see(void *context, iova_t start, iova_t last)
{
	iova_t *expect = context;

	CHECK(start >= *expect && start <= last);
	*expect = last + 1;
	return 0;
}

static void *tracker_thread(void *arg)
{
	uint64_t state = 300;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		iova_t expect = 0;

		CHECK_EQ(paging_domain_track(&shared, next(&state, 3)), 0);
		for (unsigned i = 0; i < 5; i++, expect = 0)
			paging_domain_dirty(&shared, 0, UINT64_MAX, next(&state, 2), see, &expect);
	}
	return arg;
}

static void run(void)
{
	void *(*const body[])(void *) = {device_thread, mapper_thread, attacher_thread, tracker_thread};
	const unsigned count[] = {DEVICES, MAPPERS, 1, 1};
	pthread_t thread[DEVICES + MAPPERS + 2];
	unsigned n = 0;

	for (unsigned kind = 0; kind < 4; kind++)
		for (uintptr_t i = 0; i < count[kind]; i++)
			pthread_create(&thread[n++], NULL, body[kind], (void *)i);
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = ~(PAGE - 1)};

	if (getenv("IOMMUSE_TEST_LONG")) {
		wanted = 10000000;
		wanted_changes = 13UL * CHANGES;
	}
	epoch_init(&epoch);
	ioas_init(&ioas);
	CHECK_EQ(paging_domain_init(&shared, NULL, 0, &limits, &ioas, &epoch), 0);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(paging_domain_init(&fixed[i], NULL, 0, &limits, &ioas, &epoch), 0);
		map(&fixed[i], 0, PAGE, fixed_frame[i]);
		fill(fixed_frame[i], PAGE / 8, poison);
	}
	for (unsigned i = 0; i < DEVICES; i++) {
		iommu_device_init(&device[i], NULL, NULL);
		iommu_device_own(&device[i], &epoch);
		CHECK_EQ(iommu_device_attach(&device[i], NO_PASID, &shared.domain), 0);
	}
	run();
	CHECK(atomic_load(&hits) > atomic_load(&translations) / 20);
	for (unsigned i = 0; i < DEVICES; i++) {
		iommu_device_attach(&device[i], NO_PASID, NULL);
		iommu_device_attach(&device[i], PASID, NULL);
		iommu_device_own(&device[i], NULL);
		iommu_device_fini(&device[i]);
	}
	paging_domain_fini(&shared);
	paging_domain_fini(&fixed[0]);
	paging_domain_fini(&fixed[1]);
	ioas_fini(&ioas);
	epoch_fini(&epoch);
	printf("%lu translations, %lu of them copied, %lu maps and unmaps, %lu attachments\n",
	       atomic_load(&translations), atomic_load(&hits), atomic_load(&changes), atomic_load(&attachments));
	return check_result();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is dirty in a domain, against an array with an entry for each 2 KiB.
 *
 *   test-unit-dirty_bits [SEED]
 */
#include "abi/iommufd.h"
#include "check.h"
#include "hwpt/device.h"
#include "ioas/ioas.h"

#include <stdlib.h>
#include <string.h>

#define PAGE     UINT64_C(4096)
#define GRANULE  UINT64_C(2048)
#define GRANULES 20000U
#define BASE     UINT64_C(0x4000800) /* granules of an odd number are the first halves of pages */

static struct epoch epoch;
static struct ioas ioas;
static struct paging_domain domain;
static struct iommu_device device;
static struct dma dma;
static uint8_t memory[GRANULES * GRANULE + PAGE];
static uint64_t state;

/* Of each granule: which mapping has it, and is its memory congruent. */
static struct {
	uint32_t first, last;
	bool mapped, congruent, dirty;
} model[GRANULES];

static unsigned below(unsigned n)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(state >> 33) % n;
}

static iova_t iova_of(unsigned granule)
{
	return BASE + granule * GRANULE;
}

/* The IOMMU page that a granule is in. */
static void page_of(unsigned g, unsigned *first, unsigned *last)
{
	unsigned low = iova_of(g) % PAGE ? g - 1 : g;

	*first = *last = g;
	if (!model[g].congruent || (low > g && !g) || low < model[g].first || low + 1 > model[g].last)
		return;
	*first = low;
	*last = low + 1;
}

static void map(unsigned first, unsigned last, bool congruent)
{
	const uint64_t source = (uint64_t)first * GRANULE + (congruent ? BASE % PAGE : BASE % PAGE + GRANULE);
	const struct ioas_mapping mapping = {.start = iova_of(first),
					     .last = iova_of(last + 1) - 1,
					     .source = source,
					     .host = memory + first * GRANULE,
					     .prot = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	pthread_mutex_lock(&ioas.lock);
	CHECK_EQ(domain.base.ops->map(&domain.base, &mapping), 0);
	pthread_mutex_unlock(&ioas.lock);
	for (unsigned g = first; g <= last; g++) {
		model[g].first = first;
		model[g].last = last;
		model[g].mapped = true;
		model[g].congruent = congruent;
		model[g].dirty = false;
	}
}

static void map_somewhere(void)
{
	unsigned first = below(GRANULES), last = first, longest = 1U << below(13);

	if (model[first].mapped)
		return;
	while (last + 1 < GRANULES && !model[last + 1].mapped && last - first + 1 < longest)
		last++;
	map(first, last, below(4));
}

static void unmap_somewhere(void)
{
	unsigned g = below(GRANULES), first = model[g].first, last = model[g].last;

	if (!model[g].mapped)
		return;
	pthread_mutex_lock(&ioas.lock);
	domain.base.ops->unmap(&domain.base, iova_of(first), iova_of(last + 1) - 1);
	pthread_mutex_unlock(&ioas.lock);
	domain.base.ops->flush(&domain.base);
	for (g = first; g <= last; g++)
		model[g].mapped = model[g].dirty = false;
}

static void split_somewhere(void)
{
	unsigned g = below(GRANULES), last = model[g].last;

	if (!model[g].mapped || g == last)
		return;
	pthread_mutex_lock(&ioas.lock);
	CHECK_EQ(domain.base.ops->split(&domain.base, iova_of(g + 1) - 1), 0);
	pthread_mutex_unlock(&ioas.lock);
	for (unsigned i = model[g].first; i <= last; i++) {
		if (i <= g)
			model[i].last = g;
		else
			model[i].first = g + 1;
	}
}

static void write_somewhere(void)
{
	unsigned g = below(GRANULES), longest = 1U << below(10), first, last;
	iova_t start = iova_of(g) + below(GRANULE);
	uint64_t n = 1 + below(longest * GRANULE);
	struct dma_run run[64];
	struct dma_fault fault;
	size_t count;

	dma_begin(&dma);
	n = dma_translate(&dma, NO_PASID, start, n, DMA_WRITE, run, 64, &count, &fault);
	dma_end(&dma);
	if (!atomic_load(&domain.tracking))
		return;
	for (; n && iova_of(g) <= start + n - 1; g++) {
		CHECK(model[g].mapped);
		page_of(g, &first, &last);
		model[first].dirty = model[last].dirty = true;
	}
}

/* As the test device does. */
static void mark_somewhere(void)
{
	unsigned first = below(GRANULES), last = first + below(200);

	if (last >= GRANULES)
		last = GRANULES - 1;
	paging_domain_mark(&domain, iova_of(first), iova_of(last + 1) - 1);
	if (atomic_load(&domain.tracking))
		for (unsigned g = first; g <= last; g++)
			model[g].dirty = model[g].mapped;
}

struct reading {
	iova_t next;    /* nothing dirty lies before it that has not been visited */
	unsigned stop;  /* after so many runs; 0: never */
	unsigned count; /* runs */
};

/* Clears the model as well. */
static void expect(struct reading *r, iova_t start, iova_t last)
{
	for (unsigned g = (unsigned)((r->next - BASE) / GRANULE); g < GRANULES && iova_of(g) < start; g++)
		if (model[g].dirty)
			CHECK(!"all that is dirty is visited");
	for (unsigned g = (unsigned)((start - BASE) / GRANULE); g < GRANULES && iova_of(g) <= last; g++)
		if (!model[g].dirty)
			CHECK(!"what is visited is dirty");
}

static void forget(iova_t start, iova_t last)
{
	unsigned low, high;

	for (unsigned g = (unsigned)((start - BASE) / GRANULE); g < GRANULES && iova_of(g) <= last; g++)
		if (model[g].mapped) {
			page_of(g, &low, &high);
			model[low].dirty = model[high].dirty = false;
		}
}

static int visit(void *context, iova_t start, iova_t last)
{
	struct reading *r = context;

	if (start < r->next || (r->count && start == r->next))
		CHECK(!"runs are ascending, and as long as they can be");
	expect(r, start, last);
	r->next = last + 1;
	return ++r->count == r->stop ? 7 : 0;
}

static void read_some(unsigned first, unsigned last, bool clear, unsigned stop)
{
	struct reading r = {.next = iova_of(first), .stop = stop};
	int rc = paging_domain_dirty(&domain, iova_of(first), iova_of(last + 1) - 1, clear, visit, &r);

	CHECK_EQ(rc, stop && r.count == stop ? 7 : 0);
	if (!rc) {
		expect(&r, iova_of(last + 1), iova_of(last + 1) - 1);
		r.next = iova_of(last + 1);
	}
	if (clear && r.next > iova_of(first))
		forget(iova_of(first), r.next - 1);
}

static void read_somewhere(void)
{
	unsigned first = below(GRANULES), last = first + below(GRANULES - first);

	read_some(first, last, below(2), below(3) ? 0 : 1 + below(5));
}

static bool page_seen[GRANULES / 2 + 2], page_dirty[GRANULES / 2 + 2];

static int see_pages(void *context, iova_t start, iova_t last)
{
	iova_t *next = context;

	CHECK(start >= *next && start <= last);
	*next = last + 1;
	for (uint64_t page = start / PAGE; page <= last / PAGE; page++)
		page_seen[page - BASE / PAGE] = true;
	return 0;
}

/* By who looks at whole pages. The first granule that begins a page is 1. */
static void read_pages_somewhere(void)
{
	unsigned first = below(GRANULES / 2 - 1), last = first + below(GRANULES / 2 - 1 - first);
	const iova_t start = iova_of(2 * first + 1), end = iova_of(2 * last + 3) - 1;
	iova_t next = start;
	bool clear = below(2);

	memset(page_seen, 0, sizeof(page_seen));
	memset(page_dirty, 0, sizeof(page_dirty));
	for (unsigned g = 2 * first + 1; g <= 2 * last + 2; g++)
		page_dirty[iova_of(g) / PAGE - BASE / PAGE] |= model[g].dirty;
	CHECK_EQ(paging_domain_dirty_pages(&domain, start, end, clear, see_pages, &next), 0);
	CHECK(next <= end + 1);
	CHECK(!memcmp(page_seen, page_dirty, sizeof(page_seen)));
	if (clear)
		forget(start, end);
}

/* Where the first half of each page is dirty, that is one run. */
static int count_run(void *context, iova_t start, iova_t last)
{
	unsigned *count = context;

	CHECK(start <= last);
	return ++*count == 0;
}

static void halves_are_one_run(void)
{
	unsigned halves = 0, pages = 0;

	domain.base.ops->unmap(&domain.base, 0, UINT64_MAX);
	domain.base.ops->flush(&domain.base);
	map(1, 400, true);
	for (unsigned g = 1; g < 400; g += 2)
		paging_domain_mark(&domain, iova_of(g), iova_of(g + 1) - 1);
	CHECK_EQ(paging_domain_dirty(&domain, iova_of(1), iova_of(401) - 1, false, count_run, &halves), 0);
	CHECK_EQ(halves, 200);
	CHECK_EQ(paging_domain_dirty_pages(&domain, iova_of(1), iova_of(401) - 1, true, count_run, &pages), 0);
	CHECK_EQ(pages, 1);
	CHECK_EQ(paging_domain_dirty(&domain, iova_of(1), iova_of(401) - 1, false, count_run, &pages), 0);
	CHECK_EQ(pages, 1);
}

static void track(bool on)
{
	CHECK_EQ(paging_domain_track(&domain, on), 0);
	for (unsigned g = 0; g < GRANULES; g++)
		model[g].dirty = false;
}

static void same_as_an_array(unsigned steps)
{
	static void (*const step[])(void) = {map_somewhere,   map_somewhere,   unmap_somewhere,
					     split_somewhere, write_somewhere, write_somewhere,
					     mark_somewhere,  read_somewhere,  read_pages_somewhere};

	for (unsigned i = 0; i < steps; i++) {
		step[below(9)]();
		if (!below(500))
			track(below(3));
		if (!below(500))
			read_some(0, GRANULES - 1, false, 0);
	}
	read_some(0, GRANULES - 1, true, 0);
	read_some(0, GRANULES - 1, false, 0);
}

int main(int argc, char **argv)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = ~(GRANULE - 1)};

	state = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	printf("seed %" PRIu64 "\n", state);
	epoch_init(&epoch);
	ioas_init(&ioas);
	CHECK_EQ(paging_domain_init(&domain, NULL, 0, &limits, &ioas, &epoch), 0);
	iommu_device_init(&device, NULL, NULL);
	iommu_device_own(&device, &epoch);
	dma_init(&dma, &device);
	CHECK_EQ(iommu_device_attach(&device, NO_PASID, &domain.domain), 0);
	track(true);
	same_as_an_array(20000);
	track(true);
	halves_are_one_run();
	iommu_device_attach(&device, NO_PASID, NULL);
	dma_fini(&dma);
	iommu_device_own(&device, NULL);
	iommu_device_fini(&device);
	paging_domain_fini(&domain);
	ioas_fini(&ioas);
	epoch_fini(&epoch);
	return check_result();
}

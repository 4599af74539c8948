/* SPDX-License-Identifier: BSD-3-Clause */
/* A device's way through the IOMMU, and the page table that it goes by, from inside. */
#include "abi/iommufd.h"
#include "bench.h"
#include "client/local.h"
#include "hwpt/device.h"
#include "ioas/ioas.h"

#include <pthread.h>

#define PAGE UINT64_C(4096)
#define GIB  (UINT64_C(1) << 30)

static struct epoch epoch;
static struct ioas ioas;
static struct paging_domain domain;
static struct iommu_device device;
static struct dma dma[2];
static iova_t *order; /* scale.many IOVAs, shuffled */
static volatile uint64_t sink;
static struct local local = {.kind = LOCAL_TRUSTED};
static struct local_client client;
static struct ioas_context ioases;
static _Alignas(4096) uint8_t page[PAGE];

static void map(iova_t iova, uint64_t length)
{
	/* Only addresses count. */
	const struct ioas_mapping mapping = {.start = iova,
					     .last = iova + length - 1,
					     .source = iova,
					     .host = (uint8_t *)(uintptr_t)(iova + GIB),
					     .prot = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	pthread_mutex_lock(&ioas.lock);
	bench_must(!domain.base.ops->map(&domain.base, &mapping), "map");
	pthread_mutex_unlock(&ioas.lock);
}

static void unmap(iova_t iova, uint64_t length)
{
	pthread_mutex_lock(&ioas.lock);
	domain.base.ops->unmap(&domain.base, iova, iova + length - 1);
	pthread_mutex_unlock(&ioas.lock);
	domain.base.ops->flush(&domain.base);
}

static void begin(void)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = ~(PAGE - 1)};

	epoch_init(&epoch);
	ioas_init(&ioas);
	ioas_context_init(&ioases);
	ioas.context = &ioases;
	bench_must(!local_init(&local), "a client");
	local_client_init(&client, &local, -1);
	memset(page, 1, sizeof(page));
	bench_must(!paging_domain_init(&domain, NULL, 0, &limits, &ioas, &epoch), "a domain");
	iommu_device_init(&device, NULL, NULL);
	iommu_device_own(&device, &epoch);
	dma_init(&dma[0], &device);
	dma_init(&dma[1], &device);
	bench_must(!iommu_device_attach(&device, NO_PASID, &domain.domain), "attach");
	order = calloc(scale.many, sizeof(*order));
	bench_must(order, "calloc");
	for (unsigned i = 0; i < scale.many; i++)
		order[i] = GIB + i * 2 * PAGE;
	for (unsigned i = scale.many; i-- > 1;) {
		unsigned j = (unsigned)(bench_random() % (i + 1));
		iova_t swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
}

static void end(void)
{
	iommu_device_attach(&device, NO_PASID, NULL);
	dma_fini(&dma[0]);
	dma_fini(&dma[1]);
	iommu_device_own(&device, NULL);
	iommu_device_fini(&device);
	paging_domain_fini(&domain);
	ioas_fini(&ioas);
	ioas_context_fini(&ioases);
	local_fini(&local);
	epoch_fini(&epoch);
	free(order);
}

static void begin_many(void)
{
	begin();
	for (unsigned i = 0; i < scale.many; i++)
		map(GIB + i * 2 * PAGE, PAGE);
}

/* Translations. */

static uint64_t translate(struct dma *by, iova_t iova)
{
	struct dma_fault fault;
	struct dma_run run;
	size_t count;
	uint64_t n;

	dma_begin(by);
	n = dma_translate(by, NO_PASID, iova, 64, DMA_READ, &run, 1, &count, &fault);
	dma_end(by);
	return n + (uintptr_t)run.host;
}

/* Nanoseconds of the processor for each of count translations: of a few pages, which the IOTLB has, or of all. */
static double translate_series(struct dma *by, unsigned count, bool few)
{
	double begin_at = bench_cpu();
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += translate(by, few ? GIB + i % 4 * 2 * PAGE : order[i % scale.many]);
	sink += sum;
	return (bench_cpu() - begin_at) / count;
}

static double cached(void)
{
	return translate_series(&dma[0], scale.pairs * 10, true);
}

static double at_random(void)
{
	return translate_series(&dma[0], 10 * scale.many, false);
}

/* Two threads that translate at random; and one beside a mapper. */

struct thread {
	pthread_t id;
	struct dma *by; /* NULL: maps */
	unsigned count;
	double cpu; /* nanoseconds for each operation */
};

static pthread_barrier_t barrier;
static atomic_bool stop;

/* As the calls do it: found, counted, shown, and all of that taken back. */
static void map_and_unmap_through_ioas(unsigned n)
{
	struct ioas_map m = {.client = &client.client,
			     .length = PAGE,
			     .iova = order[n % scale.many] + PAGE,
			     .fixed = true,
			     .prot = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};
	uint64_t unmapped;

	bench_must(!ioas_map_user(&ioas, &m, uaddr((uintptr_t)page)), "map");
	bench_must(!ioas_unmap(&ioas, &client.client, m.iova, m.iova + PAGE - 1, &unmapped), "unmap");
}

static double map_and_unmap(void)
{
	unsigned n = 0;

	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		map_and_unmap_through_ioas(n++);
	return n;
}

static void *run_thread(void *arg)
{
	struct thread *thread = arg;
	double begin_at, n = thread->count;

	pthread_barrier_wait(&barrier);
	begin_at = bench_cpu();
	if (thread->by)
		translate_series(thread->by, thread->count, false);
	else
		n = map_and_unmap();
	thread->cpu = (bench_cpu() - begin_at) / (n > 0 ? n : 1);
	atomic_store(&stop, true);
	return NULL;
}

static void run_threads(struct thread *thread)
{
	atomic_store(&stop, false);
	pthread_barrier_init(&barrier, NULL, 2);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&thread[i].id, NULL, run_thread, &thread[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i].id, NULL);
	pthread_barrier_destroy(&barrier);
}

/* By processor time, as other programs may take processors away. */
static double two_threads(void)
{
	const unsigned count = 10 * scale.many;
	struct thread thread[2] = {{.by = &dma[0], .count = count}, {.by = &dma[1], .count = count}};
	double alone = translate_series(&dma[0], count, false);

	run_threads(thread);
	return alone / thread[0].cpu + alone / thread[1].cpu;
}

static double device_beside_mapper(void)
{
	const unsigned count = 10 * scale.many;
	struct thread thread[2] = {{.by = &dma[0], .count = count}, {0}};
	double alone = translate_series(&dma[0], count, false);

	run_threads(thread);
	return thread[0].cpu / alone;
}

static double mapper_beside_device(void)
{
	const unsigned count = 10 * scale.many;
	struct thread thread[2] = {{.by = &dma[0], .count = count}, {0}};
	double begin_at = bench_cpu(), alone;

	for (unsigned i = 0; i < scale.many; i++)
		map_and_unmap_through_ioas(i);
	alone = (bench_cpu() - begin_at) / scale.many;
	run_threads(thread);
	return thread[1].cpu / alone;
}

/* Ranges that are mapped in ascending order, as when a domain is added. */
static double map_ascending(void)
{
	double begin_at = bench_now(), took;

	pthread_mutex_lock(&ioas.lock);
	for (unsigned i = 0; i < scale.many; i++) {
		iova_t iova = GIB + i * 2 * PAGE;

		bench_must(!domain.base.ops->map(&domain.base,
						 &(const struct ioas_mapping){.start = iova, .last = iova + PAGE - 1}),
			   "map");
	}
	pthread_mutex_unlock(&ioas.lock);
	took = bench_now() - begin_at;
	unmap(0, UINT64_MAX);
	return took / scale.many;
}

static double map_and_unmap_one(void)
{
	double begin_at = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		map(order[i % scale.many] + PAGE, PAGE);
		unmap(order[i % scale.many] + PAGE, PAGE);
	}
	return (bench_now() - begin_at) / scale.pairs;
}

static double unmap_all(void)
{
	double begin_at;

	for (unsigned i = 0; i < scale.many; i++)
		map(GIB + i * 2 * PAGE, PAGE);
	begin_at = bench_now();
	unmap(0, UINT64_MAX);
	return (bench_now() - begin_at) / scale.many;
}

#define MANY "100,000 ranges"

const struct bench_row translate_rows[] = {
	{"translate one IOVA, cached", begin_many, cached, end, 5, "ns", "-", false, false},
	{"translate one IOVA, at random among " MANY, begin_many, at_random, end, 60, "ns", "-", false, true},
	{"two threads translate, of one", begin_many, two_threads, end, 1.9, "x", "-", true, true},
	{"processor time of a device beside a mapper", begin_many, device_beside_mapper, end, 1.15, "x", "-", false,
	 true},
	{"processor time of a mapper beside a device", begin_many, mapper_beside_device, end, 1.15, "x", "-", false,
	 true},
	{"page table: map and unmap one of " MANY, begin_many, map_and_unmap_one, end, 260, "ns", "-", false, false},
	{"page table: map " MANY ", ascending, each", begin, map_ascending, end, 60, "ns", "-", false, true},
	{"page table: unmap all of " MANY ", each", begin, unmap_all, end, 20, "ns", "-", false, true},
	{0},
};

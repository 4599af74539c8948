/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the event of a fault says of the place. Then faults beside maps, unmaps, attachments and the end of page tables
 * and address spaces: what is said is of what was there, and nobody waits for who waits for him.
 */
#include "abi/iommufd.h"
#include "base/event.h"
#include "fake_domain.h"
#include "hwpt/device.h"

#include <sched.h>

#define RW   (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define PAGE PAGE_SIZE
#define BASE UINT64_C(0x100000)

enum { DEVICES = 2, PASID = 5, ROUNDS = 150 };

static const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = PAGE_MASK};

static struct memory memory;
static struct ioas_context context;
static struct epoch epoch;
static struct ioas ioas;
static struct paging_domain domain;
static struct iommu_device device[DEVICES];
static struct event_stream *events;

/* Written by the consumer, read after a flush. */
static struct event last;
static unsigned heard;

static void hear(void *arg, const struct event *event, uint64_t lost)
{
	(void)arg;
	(void)lost;
	heard++;
	last = *event;
}

static void begin(event_listener *listener)
{
	memory_init(&memory);
	memory.client.pid = 4242;
	epoch_init(&epoch);
	ioas_context_init(&context);
	ioas_init(&ioas);
	ioas.context = &context;
	CHECK_EQ(event_stream_new(&events), 0);
	CHECK_EQ(event_stream_listen_to(events, EVENT_DMA_FAULT, listener, NULL), 0);
	ioas.events = events;
	ioas.id = 7;
	ioas.file = 70;
	CHECK_EQ(paging_domain_init(&domain, NULL, 0, &limits, &ioas, &epoch), 0);
	for (unsigned i = 0; i < DEVICES; i++) {
		iommu_device_init(&device[i], NULL, NULL);
		device[i].name = "0000:01:00.0";
		device[i].events = events;
		iommu_device_own(&device[i], &epoch);
		CHECK_EQ(iommu_device_attach(&device[i], NO_PASID, &domain.domain), 0);
	}
	heard = 0;
}

static void end(void)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		iommu_device_attach(&device[i], NO_PASID, NULL);
		iommu_device_own(&device[i], NULL);
		iommu_device_fini(&device[i]);
	}
	paging_domain_fini(&domain);
	ioas_fini(&ioas);
	event_stream_free(events);
	ioas_context_fini(&context);
	epoch_fini(&epoch);
	memory_fini(&memory);
}

static int map(iova_t iova, uint64_t length, uint8_t prot)
{
	struct ioas_map how = {.client = &memory.client, .length = length, .iova = iova, .fixed = true, .prot = prot};

	return ioas_map_user(&ioas, &how, uaddr(MEMORY_AT));
}

static void unmap(iova_t start, iova_t end_of)
{
	uint64_t bytes;

	CHECK_EQ(ioas_unmap(&ioas, &memory.client, start, end_of, &bytes), 0);
}

/* A DMA write that is blocked, and what was heard of it. */
static const struct event *wrong(struct dma *dma, uint32_t pasid, iova_t iova, uint64_t length)
{
	uint8_t bytes[256] = {0};
	struct dma_fault fault;

	heard = 0;
	CHECK_EQ(dma_write(dma, pasid, iova, bytes, length, &fault), -EFAULT);
	event_stream_flush(events);
	CHECK_EQ(heard, 1);
	CHECK_EQ(last.dma.reason, fault.reason);
	CHECK_EQ(last.dma.iova, fault.iova);
	CHECK_EQ(last.dma.access, DMA_WRITE);
	return &last;
}

static void a_fault_is_explained(void)
{
	const struct event *event;
	uint64_t before;
	struct dma dma;

	begin(hear);
	dma_init(&dma, &device[0]);
	event = wrong(&dma, NO_PASID, BASE, 64);
	CHECK_EQ(event->dma.known, EVENT_DMA_IOAS);
	CHECK(event->dma.ioas == 7 && event->file == 70 && event->dma.length == 64);
	CHECK_EQ(map(BASE, PAGE, RW), 0);
	CHECK_EQ(map(BASE + PAGE, PAGE, IOMMU_IOAS_MAP_READABLE), 0);
	CHECK_EQ(map(BASE + 4 * PAGE, PAGE, RW), 0);
	event = wrong(&dma, NO_PASID, BASE + 2 * PAGE, 8);
	CHECK_EQ(event->dma.known, EVENT_DMA_IOAS | EVENT_DMA_BELOW | EVENT_DMA_ABOVE);
	CHECK(event->dma.below_start == BASE + PAGE && event->dma.below_last == BASE + 2 * PAGE - 1);
	CHECK(event->dma.above_start == BASE + 4 * PAGE && event->dma.above_last == BASE + 5 * PAGE - 1);
	CHECK(event->dma.below_prot == IOMMU_IOAS_MAP_READABLE && event->dma.above_prot == RW);
	/* Of the first byte that failed. */
	event = wrong(&dma, NO_PASID, BASE + PAGE - 8, 64);
	CHECK(event->dma.reason == DMA_FAULT_READ_ONLY && event->dma.iova == BASE + PAGE && event->dma.length == 56);
	CHECK_EQ(event->dma.known, EVENT_DMA_IOAS | EVENT_DMA_MAPPED);
	CHECK(event->dma.below_start == BASE + PAGE);
	before = event_time();
	unmap(BASE + 4 * PAGE, BASE + 5 * PAGE - 1);
	event = wrong(&dma, NO_PASID, BASE + 4 * PAGE + 100, 8);
	CHECK_EQ(event->dma.known, EVENT_DMA_IOAS | EVENT_DMA_BELOW | EVENT_DMA_UNMAPPED);
	CHECK(event->dma.gone_pid == 4242 && event->dma.gone_ns >= before && event->dma.gone_ns <= event->time_ns);
	unmap(0, UINT64_MAX);
	dma_fini(&dma);
	end();
}

static void a_detach_is_remembered(void)
{
	const struct event *event;
	uint64_t before;
	struct dma dma;

	begin(hear);
	dma_init(&dma, &device[0]);
	event = wrong(&dma, PASID, BASE, 8);
	CHECK(event->dma.pasid == PASID && event->dma.reason == DMA_FAULT_NO_DOMAIN && !event->dma.known);
	before = event_time();
	CHECK_EQ(iommu_device_attach(&device[0], NO_PASID, NULL), 0);
	event = wrong(&dma, NO_PASID, BASE, 8);
	CHECK_EQ(event->dma.known, EVENT_DMA_DETACHED);
	CHECK(event->dma.ioas == 7 && event->dma.gone_ns >= before && event->dma.gone_ns <= event->time_ns);
	CHECK(!wrong(&dma, PASID, BASE, 8)->dma.known); /* that was not attached */
	/* The next owner is told nothing of it. */
	iommu_device_own(&device[0], NULL);
	CHECK_EQ(wrong(&dma, NO_PASID, BASE, 8)->dma.known, EVENT_DMA_DETACHED);
	iommu_device_own(&device[0], &epoch);
	CHECK(!wrong(&dma, NO_PASID, BASE, 8)->dma.known);
	dma_fini(&dma);
	end();
}

/* By who blocks DMA himself. */
static void a_fault_of_a_translation_is_told_by_who_asked(void)
{
	struct dma_fault fault = {.reason = DMA_FAULT_BUS_MASTER, .access = DMA_READ, .iova = BASE};
	struct dma_run run;
	struct dma dma;
	size_t count;

	begin(hear);
	dma_init(&dma, &device[0]);
	dma_report(&dma, &fault, 8);
	event_stream_flush(events);
	CHECK(heard == 1 && last.dma.reason == DMA_FAULT_BUS_MASTER && !strcmp(last.dma.device, "0000:01:00.0"));
	dma_begin(&dma);
	CHECK_EQ(dma_translate(&dma, NO_PASID, BASE, 8, DMA_READ, &run, 1, &count, &fault), 0);
	dma_end(&dma);
	event_stream_flush(events);
	CHECK_EQ(heard, 1);
	dma_report(&dma, &fault, 8);
	event_stream_flush(events);
	CHECK(heard == 2 && last.dma.reason == DMA_FAULT_NOT_MAPPED);
	dma_fini(&dma);
	end();
}

/* All at once. */

static atomic_bool stop;
static atomic_uint told[DMA_FAULT_BUS_MASTER + 1];
static atomic_uint passing_told; /* faults of an address space that comes to its end */

static void examine(void *arg, const struct event *event, uint64_t lost)
{
	const uint8_t known = event->dma.known;

	(void)arg;
	(void)lost;
	if (event->type != EVENT_DMA_FAULT)
		return;
	atomic_fetch_add(&told[event->dma.reason], 1);
	if (known & EVENT_DMA_MAPPED)
		CHECK(event->dma.below_start <= event->dma.iova && event->dma.below_last >= event->dma.iova);
	if (known & EVENT_DMA_BELOW)
		CHECK(event->dma.below_last < event->dma.iova);
	if (known & EVENT_DMA_ABOVE)
		CHECK(event->dma.above_start > event->dma.iova);
	if (known & EVENT_DMA_UNMAPPED)
		CHECK(event->dma.gone_pid == 4242 && event->dma.gone_ns <= event->time_ns);
	if (known & EVENT_DMA_IOAS)
		CHECK(event->dma.ioas == 7 || event->dma.ioas == 8);
	if (known & EVENT_DMA_IOAS && event->dma.ioas == 8)
		atomic_fetch_add(&passing_told, 1);
}

static void *do_dma(void *arg)
{
	struct iommu_device *dev = arg;
	uint64_t bytes = 0;
	struct dma dma;

	dma_init(&dma, dev);
	for (unsigned n = 0; !atomic_load(&stop); n++) {
		dma_read(&dma, n % 4 ? PASID : NO_PASID, BASE + n % 16 * PAGE, &bytes, sizeof(bytes), NULL);
	}
	dma_fini(&dma);
	return NULL;
}

static void *map_and_unmap(void *arg)
{
	(void)arg;
	for (unsigned n = 0; !atomic_load(&stop); n++) {
		for (unsigned i = n % 3; i < 16; i += 2)
			CHECK_EQ(map(BASE + i * PAGE, PAGE, i % 4 ? RW : IOMMU_IOAS_MAP_WRITEABLE), 0);
		if (n % 4)
			unmap(BASE, BASE + 16 * PAGE - 1);
		else
			unmap(0, UINT64_MAX);
	}
	return NULL;
}

/* The IOAS comes to its end as soon as nothing is attached, and its memory is somebody else's at once. */
static void attach_to_another(void)
{
	const unsigned before = atomic_load(&passing_told);
	struct paging_domain *passing = malloc(sizeof(*passing));
	struct ioas *space = malloc(sizeof(*space));

	CHECK(passing && space);
	ioas_init(space);
	space->context = &context;
	space->events = events;
	space->id = 8;
	CHECK_EQ(paging_domain_init(passing, NULL, 0, &limits, space, &epoch), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		CHECK_EQ(iommu_device_attach(&device[i], PASID, &passing->domain), 0);
	/* Threads are at it now. */
	while (atomic_load(&passing_told) == before)
		sched_yield();
	for (unsigned i = 0; i < DEVICES; i++)
		CHECK_EQ(iommu_device_attach(&device[i], PASID, NULL), 0);
	paging_domain_fini(passing);
	ioas_fini(space);
	memset(passing, 0x66, sizeof(*passing));
	memset(space, 0x66, sizeof(*space));
	free(passing);
	free(space);
}

static void faults_beside_everything_else(void)
{
	pthread_t thread[DEVICES + 1];
	const unsigned rounds = getenv("IOMMUSE_TEST_LONG") ? 50 * ROUNDS : ROUNDS;

	begin(examine);
	for (unsigned i = 0; i < DEVICES; i++)
		CHECK(!pthread_create(&thread[i], NULL, do_dma, &device[i]));
	CHECK(!pthread_create(&thread[DEVICES], NULL, map_and_unmap, NULL));
	for (unsigned round = 0; round < rounds || !atomic_load(&told[DMA_FAULT_NOT_MAPPED]) ||
				 !atomic_load(&told[DMA_FAULT_WRITE_ONLY]) || !atomic_load(&told[DMA_FAULT_NO_DOMAIN]);
	     round++)
		attach_to_another();
	atomic_store(&stop, true);
	for (unsigned i = 0; i < DEVICES + 1; i++)
		CHECK(!pthread_join(thread[i], NULL));
	unmap(0, UINT64_MAX);
	printf("%u faults where nothing is mapped, %u write-only, %u without a domain\n",
	       atomic_load(&told[DMA_FAULT_NOT_MAPPED]), atomic_load(&told[DMA_FAULT_WRITE_ONLY]),
	       atomic_load(&told[DMA_FAULT_NO_DOMAIN]));
	end();
}

int main(void)
{
	a_fault_is_explained();
	a_detach_is_remembered();
	a_fault_of_a_translation_is_told_by_who_asked();
	faults_beside_everything_else();
	return check_result();
}

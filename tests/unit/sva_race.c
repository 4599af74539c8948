/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces that end, or are detached, while a device uses them and asks for their pages. */
#include "hwpt/sva.h"

#include "abi/iommufd.h"
#include "check.h"
#include "client/mm.h"
#include "hwpt/software.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define AT UINT64_C(0x7000000000)

enum { PID = 5, BYTES = 4096, ROUNDS = 150, LONG_ROUNDS = 20000 };

static struct epoch epoch;
static struct iommu_device device;
static atomic_bool over;
static atomic_uint answers, mms, copies, faults;

/* A process. Its memory goes with it, so that a sanitizer sees who comes too late. */
struct process {
	struct mm mm;
	atomic_uint inside; /* copies */
	uint8_t *memory;
};

static size_t enter(struct process *process, uint64_t at, size_t n)
{
	atomic_fetch_add(&process->inside, 1);
	return at >= BYTES ? 0 : n < BYTES - at ? n : BYTES - at;
}

static size_t load(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	struct process *process = (struct process *)mm;

	n = enter(process, src.va - AT, n);
	memcpy(dst, process->memory + (src.va - AT), n);
	atomic_fetch_sub(&process->inside, 1);
	return n;
}

static size_t store(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	struct process *process = (struct process *)mm;

	n = enter(process, dst.va - AT, n);
	memcpy(process->memory + (dst.va - AT), src, n);
	atomic_fetch_sub(&process->inside, 1);
	return n;
}

static bool may(struct mm *mm, uaddr_t va, bool write)
{
	(void)va;
	return !write && ((struct process *)mm)->memory;
}

static void release(struct mm *mm)
{
	struct process *process = (struct process *)mm;

	pthread_mutex_destroy(&mm->watch_lock);
	free(process->memory);
	free(process);
	atomic_fetch_sub(&mms, 1);
}

static const struct mm_ops ops = {.release = release, .load = load, .store = store, .may = may};

static struct process *process_new(void)
{
	struct process *process = calloc(1, sizeof(*process));

	process->memory = calloc(1, BYTES);
	process->mm.ops = &ops;
	atomic_init(&process->mm.refs, 1);
	pthread_mutex_init(&process->mm.watch_lock, NULL);
	atomic_fetch_add(&mms, 1);
	return process;
}

/* The device. Half of the memory is each thread's own, as a process's memory has no order of its own. */
static void *do_dma(void *context)
{
	const uint64_t at = AT + (uintptr_t)context * BYTES / 2;
	uint8_t buffer[BYTES / 2];
	struct dma_fault fault;
	struct dma dma;

	dma_init(&dma, &device);
	memset(buffer, 1, sizeof(buffer));
	while (!atomic_load(&over)) {
		int rc = dma_write(&dma, PID, at, buffer, sizeof(buffer), &fault);

		if (!rc)
			rc = dma_read(&dma, PID, at, buffer, sizeof(buffer), &fault);
		atomic_fetch_add(rc ? &faults : &copies, 1);
		if (rc)
			CHECK(fault.iova == at &&
			      (fault.reason == DMA_FAULT_PAGE_REQUEST || fault.reason == DMA_FAULT_NO_DOMAIN));
	}
	dma_fini(&dma);
	return NULL;
}

static void answered(struct iommu_device *asked, uint32_t pasid, uint32_t group, uint32_t code)
{
	(void)asked;
	(void)pasid;
	(void)group;
	(void)code;
	atomic_fetch_add(&answers, 1);
}

static void *ask(void *context)
{
	unsigned asked = 0;

	(void)context;
	for (; !atomic_load(&over); asked++)
		(void)iommu_page_request(&device, PID, AT + BYTES - 1, IOMMU_PGFAULT_PERM_READ, asked % 512);
	CHECK_EQ(atomic_load(&answers), asked);
	return NULL;
}

/* The end of one address space, from wherever it is noticed. */
static void *end_mm(void *context)
{
	sched_yield();
	mm_announce_gone(context);
	return NULL;
}

static void one_round(unsigned round)
{
	struct process *process = process_new();
	struct sva_domain sva;
	pthread_t thread;
	bool ends = round % 3 == 0;

	sva_domain_init(&sva, &software_iommu, &process->mm);
	CHECK_EQ(iommu_device_attach(&device, PID, &sva.domain), 0);
	if (ends)
		CHECK_EQ(pthread_create(&thread, NULL, end_mm, &process->mm), 0);
	for (unsigned i = 0; i < round % 7; i++)
		sched_yield();
	if (ends && round % 2)
		pthread_join(thread, NULL);
	CHECK_EQ(iommu_device_attach(&device, PID, NULL), 0);
	CHECK_EQ(atomic_load(&process->inside), 0);
	if (ends && !(round % 2))
		pthread_join(thread, NULL);
	sva_domain_fini(&sva);
	mm_put(&process->mm);
}

int main(void)
{
	const unsigned rounds = getenv("IOMMUSE_TEST_LONG") ? LONG_ROUNDS : ROUNDS;
	pthread_t threads[3];

	epoch_init(&epoch);
	iommu_device_init(&device, &software_iommu, NULL);
	device.page_response = answered;
	iommu_device_own(&device, &epoch);
	for (uintptr_t i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, do_dma, (void *)i), 0);
	CHECK_EQ(pthread_create(&threads[2], NULL, ask, NULL), 0);
	for (unsigned round = 0; round < rounds; round++)
		one_round(round);
	/* On a busy machine nobody may have met so far. */
	while (!atomic_load(&copies) || !atomic_load(&faults))
		one_round(4);
	atomic_store(&over, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(atomic_load(&mms), 0);
	iommu_device_own(&device, NULL);
	iommu_device_fini(&device);
	epoch_fini(&epoch);
	return check_result();
}

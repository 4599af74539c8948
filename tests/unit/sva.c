/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs that share the addresses of a process: what is reached, how far, and what is asked for. */
#include "hwpt/sva.h"

#include "abi/iommufd.h"
#include "base/event.h"
#include "check.h"
#include "client/local_mm.h"
#include "client/mm.h"
#include "hwpt/software.h"
#include "ioas/ioas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)
#define SIZE (UINT64_C(3) * DMA_SHARED_BYTES)
#define AT   UINT64_C(0x7000000000) /* of the process's memory, in its own addresses */

enum { PID = 5, OTHER_PID = 77 };

static struct epoch epoch;
static struct iommu_device device;
static struct dma dma;
static struct dma_fault fault;
static uint8_t memory[SIZE], buffer[SIZE];

/* A process */

static struct {
	size_t there;    /* bytes that it has from AT on */
	size_t writable; /* and may write */
	size_t longest;  /* that was copied at once */
	unsigned inside; /* copies that found this thread in its section */
	unsigned released;
	unsigned asked;
} process;

static size_t part(uaddr_t va, size_t n, size_t end)
{
	const uint64_t at = va.va - AT;

	process.longest = n > process.longest ? n : process.longest;
	process.inside += atomic_load(&dma.slot.since) != 0;
	return at >= end ? 0 : n < end - at ? n : end - at;
}

static size_t load(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	(void)mm;
	n = part(src, n, process.there);
	memcpy(dst, memory + (src.va - AT), n);
	return n;
}

static size_t store(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	(void)mm;
	n = part(dst, n, process.writable);
	memcpy(memory + (dst.va - AT), src, n);
	return n;
}

static bool may(struct mm *mm, uaddr_t va, bool write)
{
	(void)mm;
	process.asked++;
	/* No lock is held, as whoever asks for the process's mappings may wait. */
	CHECK_EQ(pthread_mutex_trylock(&device.lock), 0);
	pthread_mutex_unlock(&device.lock);
	return va.va - AT < (write ? process.writable : process.there);
}

static void release(struct mm *mm)
{
	(void)mm;
	process.released++;
}

static const struct mm_ops process_ops = {.release = release, .load = load, .store = store, .may = may};
static const struct mm_ops plain_ops = {.release = release, .read = load, .write = store};
static struct mm mm;
static struct sva_domain sva;

static void begin(const struct mm_ops *ops)
{
	memset(&process, 0, sizeof(process));
	process.there = process.writable = SIZE;
	mm = (struct mm){.ops = ops, .refs = 1, .pid = 1234};
	for (size_t i = 0; i < SIZE; i++)
		memory[i] = (uint8_t)(i * 2654435761U >> 13);
	memset(buffer, 0, sizeof(buffer));
	sva_domain_init(&sva, &software_iommu, &mm);
	CHECK_EQ(iommu_device_attach(&device, PID, &sva.domain), 0);
}

static void end(void)
{
	CHECK_EQ(iommu_device_attach(&device, PID, NULL), 0);
	sva_domain_fini(&sva);
	CHECK_EQ(process.released, 0);
	mm_put(&mm);
	CHECK_EQ(process.released, 1);
}

static void check_fault(int rc, iova_t at, enum dma_access access)
{
	CHECK_EQ(rc, -EFAULT);
	CHECK_EQ(fault.reason, DMA_FAULT_PAGE_REQUEST);
	CHECK_EQ(fault.iova, at);
	CHECK_EQ(fault.access, access);
	CHECK_EQ(fault.pasid, PID);
}

/* DMA */

static void dma_goes_to_the_processs_own_addresses(const struct mm_ops *ops)
{
	begin(ops);
	CHECK_EQ(dma_read(&dma, PID, AT + 5, buffer, SIZE - 5, &fault), 0);
	CHECK(!memcmp(buffer, memory + 5, SIZE - 5));
	CHECK_EQ(process.longest, DMA_SHARED_BYTES);
	/* A detach waits for each piece. */
	CHECK_EQ(process.inside, 3);
	memset(buffer, 0x5a, sizeof(buffer));
	CHECK_EQ(dma_write(&dma, PID, AT + PAGE, buffer, SIZE - PAGE, NULL), 0);
	CHECK(!memcmp(buffer, memory + PAGE, SIZE - PAGE));
	CHECK_EQ(dma_read(&dma, PID, AT, buffer, 0, &fault), 0);
	end();
}

static void a_fault_is_at_the_first_byte_that_failed(void)
{
	begin(&process_ops);
	process.there = DMA_SHARED_BYTES + PAGE;
	process.writable = PAGE;
	check_fault(dma_read(&dma, PID, AT + 8, buffer, SIZE - 8, &fault), AT + process.there, DMA_READ);
	CHECK(!memcmp(buffer, memory + 8, process.there - 8));
	CHECK_EQ(buffer[process.there - 8], 0);
	memset(buffer, 1, sizeof(buffer));
	check_fault(dma_write(&dma, PID, AT + 1, buffer, 2 * PAGE, &fault), AT + PAGE, DMA_WRITE);
	CHECK_EQ(memory[PAGE - 1], 1);
	check_fault(dma_read(&dma, PID, AT + process.there, buffer, 1, &fault), AT + process.there, DMA_READ);
	check_fault(dma_read(&dma, PID, AT - 1, buffer, 2, &fault), AT - 1, DMA_READ);
	end();
}

static void addresses_that_no_process_has_fault(void)
{
	struct dma_run run;
	size_t count;

	begin(&process_ops);
	check_fault(dma_read(&dma, PID, SVA_ADDRESS_LAST + 1, buffer, 1, &fault), SVA_ADDRESS_LAST + 1, DMA_READ);
	check_fault(dma_write(&dma, PID, UINT64_MAX, buffer, 2, &fault), UINT64_MAX, DMA_WRITE);
	check_fault(dma_read(&dma, PID, UINT64_C(0xffff800000000000), buffer, PAGE, &fault),
		    UINT64_C(0xffff800000000000), DMA_READ);
	CHECK_EQ(process.longest, 0);
	dma_begin(&dma);
	CHECK_EQ(dma_translate(&dma, PID, SVA_ADDRESS_LAST - 9, 100, DMA_READ, &run, 1, &count, &fault), 10);
	CHECK(count == 1 && run.length == 10 && !run.host && run.shared && run.mm == &mm);
	CHECK_EQ(dma_translate(&dma, PID, AT, 0, DMA_READ, &run, 1, &count, &fault), 0);
	CHECK(!count && !fault.reason);
	CHECK_EQ(dma_translate(&dma, PID, AT, 1, DMA_READ, &run, 0, &count, &fault), 0);
	CHECK(!count && !fault.reason);
	dma_end(&dma);
	end();
}

static void nothing_is_reached_once_the_process_is_gone(void)
{
	begin(&process_ops);
	CHECK_EQ(dma_read(&dma, PID, AT, buffer, 8, &fault), 0);
	atomic_store(&mm.gone, true);
	check_fault(dma_read(&dma, PID, AT, buffer, 8, &fault), AT, DMA_READ);
	check_fault(dma_write(&dma, PID, AT, buffer, 8, &fault), AT, DMA_WRITE);
	CHECK_EQ(process.longest, 8);
	end();
}

static void a_pasid_alone_is_shared(void)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = PAGE_MASK};
	struct paging_domain domain;
	struct ioas ioas;

	begin(&process_ops);
	CHECK_EQ(iommu_device_attach(&device, NO_PASID, &sva.domain), -EINVAL);
	CHECK_EQ(dma_read(&dma, NO_PASID, AT, buffer, 1, &fault), -EFAULT);
	CHECK_EQ(fault.reason, DMA_FAULT_NO_DOMAIN);
	CHECK_EQ(dma_read(&dma, OTHER_PID, AT, buffer, 1, &fault), -EFAULT);
	CHECK_EQ(fault.reason, DMA_FAULT_NO_DOMAIN);
	/* The other kind in its place, and back. */
	ioas_init(&ioas);
	CHECK_EQ(paging_domain_init(&domain, &software_iommu, 0, &limits, &ioas, &epoch), 0);
	CHECK_EQ(paging_domain_track(&domain, true), 0);
	CHECK_EQ(iommu_device_attach(&device, PID, &domain.domain), 0);
	CHECK_EQ(dma_write(&dma, PID, AT, buffer, 1, &fault), -EFAULT);
	CHECK_EQ(fault.reason, DMA_FAULT_NOT_MAPPED);
	CHECK_EQ(iommu_device_attach(&device, PID, &sva.domain), 0);
	CHECK_EQ(dma_write(&dma, PID, AT, buffer, 1, &fault), 0);
	paging_domain_fini(&domain);
	ioas_fini(&ioas);
	end();
}

/* The memory of this process */

static uint8_t *map(size_t n, int prot)
{
	uint8_t *at = mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static uint64_t va(const void *at)
{
	return (uintptr_t)at;
}

static void protection_holds(const uint8_t *pages)
{
	const uint8_t *none = map(PAGE, PROT_NONE), *write_only = map(PAGE, PROT_WRITE);

	/* Pages that were not touched before are there, up to one that is read-only. */
	CHECK_EQ(dma_read(&dma, PID, va(pages), buffer, 4 * PAGE, &fault), 0);
	memset(buffer, 7, PAGE);
	check_fault(dma_write(&dma, PID, va(pages) + 3 * PAGE - 16, buffer, PAGE, &fault), va(pages) + 3 * PAGE,
		    DMA_WRITE);
	CHECK(pages[3 * PAGE - 1] == 7 && !pages[3 * PAGE]);
	check_fault(dma_read(&dma, PID, va(none), buffer, 1, &fault), va(none), DMA_READ);
	check_fault(dma_write(&dma, PID, va(none), buffer, 1, &fault), va(none), DMA_WRITE);
	check_fault(dma_read(&dma, PID, va(write_only), buffer, 1, &fault), va(write_only), DMA_READ);
	CHECK_EQ(dma_write(&dma, PID, va(write_only), buffer, 1, &fault), 0);
	check_fault(dma_write(&dma, PID, 0, buffer, 1, &fault), 0, DMA_WRITE);
	munmap((void *)none, PAGE);
	munmap((void *)write_only, PAGE);
}

static void a_file_ends_where_it_ends(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint8_t *file;

	CHECK(fd >= 0 && !ftruncate(fd, (off_t)PAGE));
	file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(file != MAP_FAILED);
	memset(buffer, 3, PAGE);
	check_fault(dma_write(&dma, PID, va(file) + 8, buffer, PAGE, &fault), va(file) + PAGE, DMA_WRITE);
	check_fault(dma_read(&dma, PID, va(file) + PAGE, buffer, 1, &fault), va(file) + PAGE, DMA_READ);
	CHECK_EQ(file[8], 3);
	munmap(file, 2 * PAGE);
	close(fd);
}

/* It grows for the process, and not for a device. */
static void a_stack_does_not_grow(struct mm *own)
{
	/* Where nothing can be accessed below, it may come near. */
	uint8_t *stack = map(64 * PAGE, PROT_NONE);
	uint8_t *top = stack + 63 * PAGE;

	munmap(stack + 32 * PAGE, 32 * PAGE);
	CHECK(mmap(top, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0) ==
	      top);
	check_fault(dma_write(&dma, PID, va(top) - 8, buffer, 8, &fault), va(top) - 8, DMA_WRITE);
	check_fault(dma_read(&dma, PID, va(top) - 8, buffer, 16, &fault), va(top) - 8, DMA_READ);
	CHECK(!own->ops->may(own, uaddr(va(top) - 8), true));
	top[-8] = 1;
	CHECK_EQ(dma_write(&dma, PID, va(top) - 8, buffer, 8, &fault), 0);
	munmap(top - PAGE, 2 * PAGE);
	munmap(stack, 32 * PAGE);
}

static void this_process_is_reached_as_it_would_itself(bool trusted)
{
	struct mm *own = local_mm_new(trusted);
	uint8_t *pages = map(4 * PAGE, PROT_READ | PROT_WRITE);

	sva_domain_init(&sva, &software_iommu, own);
	mm_put(own);
	CHECK_EQ(iommu_device_attach(&device, PID, &sva.domain), 0);
	CHECK(!mprotect(pages + 3 * PAGE, PAGE, PROT_READ));
	protection_holds(pages);
	a_file_ends_where_it_ends();
	a_stack_does_not_grow(own);
	CHECK(own->ops->may(own, uaddr(va(pages)), true) && own->ops->may(own, uaddr(va(pages)), false));
	CHECK(!own->ops->may(own, uaddr(va(pages) + 3 * PAGE), true) &&
	      own->ops->may(own, uaddr(va(pages) + 3 * PAGE), false));
	CHECK(!own->ops->may(own, uaddr(0), false));
	munmap(pages, 4 * PAGE);
	CHECK_EQ(iommu_device_attach(&device, PID, NULL), 0);
	sva_domain_fini(&sva);
}

/* Page requests */

static struct {
	unsigned count;
	uint32_t pasid, group, code;
} answer;

static void answered(struct iommu_device *asked, uint32_t pasid, uint32_t group, uint32_t code)
{
	CHECK(asked == &device);
	answer.count++;
	answer.pasid = pasid;
	answer.group = group;
	answer.code = code;
}

static void check_answer(uint32_t pasid, uint32_t group, uint32_t code)
{
	CHECK_EQ(answer.count, 1);
	CHECK_EQ(answer.pasid, pasid);
	CHECK_EQ(answer.group, group);
	CHECK_EQ(answer.code, code);
	memset(&answer, 0, sizeof(answer));
}

enum {
	READ = IOMMU_PGFAULT_PERM_READ,
	WRITE = IOMMU_PGFAULT_PERM_WRITE,
	SUCCESS = IOMMUFD_PAGE_RESP_SUCCESS,
	INVALID = IOMMUFD_PAGE_RESP_INVALID,
};

static void the_process_is_asked_for_a_page(void)
{
	begin(&process_ops);
	process.writable = PAGE;
	CHECK_EQ(iommu_page_request(&device, PID, AT, READ | WRITE, 511), 0);
	check_answer(PID, 511, SUCCESS);
	CHECK_EQ(process.asked, 2);
	CHECK_EQ(iommu_page_request(&device, PID, AT + PAGE, READ, 1), 0);
	check_answer(PID, 1, SUCCESS);
	CHECK_EQ(iommu_page_request(&device, PID, AT + PAGE, WRITE, 2), 0);
	check_answer(PID, 2, INVALID);
	CHECK_EQ(iommu_page_request(&device, PID, SVA_ADDRESS_LAST + 1, READ, 3), 0);
	check_answer(PID, 3, INVALID);
	atomic_store(&mm.gone, true);
	process.asked = 0;
	CHECK_EQ(iommu_page_request(&device, PID, AT, READ, 4), 0);
	check_answer(PID, 4, INVALID);
	CHECK_EQ(process.asked, 0);
	end();
	/* One that cannot tell. */
	begin(&plain_ops);
	CHECK_EQ(iommu_page_request(&device, PID, AT, READ | WRITE, 5), 0);
	check_answer(PID, 5, SUCCESS);
	end();
}

static void nobody_has_the_page(void)
{
	CHECK_EQ(iommu_page_request(&device, PID, AT, READ, 6), -EINVAL);
	check_answer(PID, 6, INVALID);
	CHECK_EQ(iommu_page_request(&device, NO_PASID, AT, READ, 7), -EINVAL);
	check_answer(NO_PASID, 7, INVALID);
	CHECK_EQ(iommu_page_request(&device, UINT32_MAX, AT, READ, 8), -EINVAL);
	check_answer(UINT32_MAX, 8, INVALID);
	device.page_response = NULL;
	CHECK_EQ(iommu_page_request(&device, PID, AT, READ, 6), -EINVAL);
	CHECK_EQ(answer.count, 0);
	device.page_response = answered;
}

/* What is told of it */

static void hear(void *context, const struct event *event, uint64_t lost)
{
	(void)lost;
	*(struct event *)context = *event;
}

static void a_fault_tells_whose_addresses_they_are(void)
{
	struct event heard = {0};

	CHECK_EQ(event_stream_new(&device.events), 0);
	CHECK_EQ(event_stream_listen(device.events, hear, &heard), 0);
	begin(&process_ops);
	check_fault(dma_read(&dma, PID, AT - 1, buffer, 2, &fault), AT - 1, DMA_READ);
	event_stream_flush(device.events);
	CHECK_EQ(heard.dma.reason, DMA_FAULT_PAGE_REQUEST);
	CHECK_EQ(heard.dma.known, EVENT_DMA_PROCESS);
	CHECK_EQ(heard.dma.process, 1234);
	atomic_store(&mm.gone, true);
	check_fault(dma_read(&dma, PID, AT, buffer, 2, &fault), AT, DMA_READ);
	event_stream_flush(device.events);
	CHECK_EQ(heard.dma.known, EVENT_DMA_PROCESS | EVENT_DMA_ENDED);
	end();
	CHECK_EQ(dma_read(&dma, PID, AT, buffer, 2, &fault), -EFAULT);
	event_stream_flush(device.events);
	CHECK_EQ(heard.dma.reason, DMA_FAULT_NO_DOMAIN);
	CHECK_EQ(heard.dma.known, EVENT_DMA_PROCESS | EVENT_DMA_DETACHED);
	CHECK_EQ(heard.dma.process, 1234);
	event_stream_free(device.events);
	device.events = NULL;
}

int main(void)
{
	epoch_init(&epoch);
	iommu_device_init(&device, &software_iommu, NULL);
	device.page_response = answered;
	dma_init(&dma, &device);
	iommu_device_own(&device, &epoch);
	dma_goes_to_the_processs_own_addresses(&process_ops);
	dma_goes_to_the_processs_own_addresses(&plain_ops);
	a_fault_is_at_the_first_byte_that_failed();
	addresses_that_no_process_has_fault();
	nothing_is_reached_once_the_process_is_gone();
	a_pasid_alone_is_shared();
	this_process_is_reached_as_it_would_itself(false);
	this_process_is_reached_as_it_would_itself(true);
	the_process_is_asked_for_a_page();
	nobody_has_the_page();
	a_fault_tells_whose_addresses_they_are();
	dma_fini(&dma);
	iommu_device_own(&device, NULL);
	iommu_device_fini(&device);
	epoch_fini(&epoch);
	return check_result();
}

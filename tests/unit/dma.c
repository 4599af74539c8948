/* SPDX-License-Identifier: BSD-3-Clause */
/* DMA: what is transferred, where it stops, and what is found behind IOVAs. */
#include "abi/iommufd.h"
#include "base/event.h"
#include "check.h"
#include "client/memory.h"
#include "hwpt/device.h"
#include "hwpt/driver.h"
#include "ioas/ioas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE      UINT64_C(4096)
#define BASE      UINT64_C(0x100000)
#define SIZE      (64 * PAGE)
#define REMOTE_AT UINT64_C(0x7000000000)

enum { READABLE = IOMMU_IOAS_MAP_READABLE, WRITEABLE = IOMMU_IOAS_MAP_WRITEABLE, BOTH = READABLE | WRITEABLE };

static struct epoch epoch;
static struct ioas ioas;
static struct paging_domain domain, other;
static struct iommu_device device;
static struct dma dma;
static struct dma_fault fault;
static uint8_t memory[SIZE], buffer[SIZE], remote[SIZE];

/* Another process's memory. */

static size_t remote_gone = SIZE; /* what lies from here on is not there */
static size_t longest;            /* copied at once */

static size_t there(uaddr_t va, size_t n)
{
	size_t at = va.va - REMOTE_AT;

	longest = n > longest ? n : longest;
	return at >= remote_gone ? 0 : n < remote_gone - at ? n : remote_gone - at;
}

static size_t remote_read(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	(void)mm;
	n = there(src, n);
	memcpy(dst, remote + (src.va - REMOTE_AT), n);
	return n;
}

static size_t remote_write(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	(void)mm;
	n = there(dst, n);
	memcpy(remote + (dst.va - REMOTE_AT), src, n);
	return n;
}

static const struct mm_ops remote_ops = {.read = remote_read, .write = remote_write};
static struct mm remote_mm = {.ops = &remote_ops};
static struct pages remote_pages = {.mm = &remote_mm, .kind = PAGES_USER};

/* Memory of which the end was cut off. */
static size_t cut_copy(void *dst, const void *src, size_t n)
{
	(void)dst;
	(void)src;
	return n < 100 ? n : 100;
}

static struct hold cut = {.copy = cut_copy};

static void map_in(struct paging_domain *in, struct ioas_mapping mapping)
{
	pthread_mutex_lock(&ioas.lock);
	CHECK_EQ(in->base.ops->map(&in->base, &mapping), 0);
	pthread_mutex_unlock(&ioas.lock);
}

static void map(iova_t iova, uint64_t length, uint64_t at, uint8_t prot)
{
	map_in(&domain,
	       (struct ioas_mapping){
		       .start = iova, .last = iova + length - 1, .source = at, .host = memory + at, .prot = prot});
}

static void map_remote(iova_t iova, uint64_t length, uint64_t at)
{
	map_in(&domain, (struct ioas_mapping){.start = iova,
					      .last = iova + length - 1,
					      .source = REMOTE_AT + at,
					      .pages = &remote_pages,
					      .prot = BOTH});
}

static void unmap(iova_t start, iova_t last)
{
	pthread_mutex_lock(&ioas.lock);
	domain.base.ops->unmap(&domain.base, start, last);
	pthread_mutex_unlock(&ioas.lock);
	domain.base.ops->flush(&domain.base);
}

static void scatter(uint8_t *bytes, unsigned seed)
{
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)((i * 2654435761U + seed) >> 13);
}

static void begin(void)
{
	unmap(0, UINT64_MAX);
	scatter(memory, 1);
	scatter(remote, 2);
	scatter(buffer, 3);
	remote_gone = SIZE;
	longest = 0;
	memset(&fault, 0, sizeof(fault));
}

static void check_fault(int rc, enum dma_fault_reason reason, iova_t iova)
{
	CHECK_EQ(rc, -EFAULT);
	CHECK_EQ(fault.reason, reason);
	CHECK_EQ(fault.iova, iova);
}

static void bytes_go_where_they_are_meant_to(void)
{
	begin();
	map(BASE, 2 * PAGE, 8 * PAGE, BOTH);
	map(BASE + 2 * PAGE, PAGE, 3 * PAGE, BOTH);
	map_remote(BASE + 3 * PAGE, 3 * PAGE, PAGE + 100);
	map(BASE + 6 * PAGE, 40 * PAGE, 20 * PAGE, BOTH);
	CHECK_EQ(dma_read(&dma, NO_PASID, BASE + 5, buffer, 7 * PAGE, &fault), 0);
	CHECK(!memcmp(buffer, memory + 8 * PAGE + 5, 2 * PAGE - 5));
	CHECK(!memcmp(buffer + 2 * PAGE - 5, memory + 3 * PAGE, PAGE));
	CHECK(!memcmp(buffer + 3 * PAGE - 5, remote + PAGE + 100, 3 * PAGE));
	CHECK(!memcmp(buffer + 6 * PAGE - 5, memory + 20 * PAGE, PAGE + 5));
	CHECK(longest <= PAGE);
	scatter(buffer, 9);
	CHECK_EQ(dma_write(&dma, NO_PASID, BASE + 3, buffer, 46 * PAGE - 3, NULL), 0);
	CHECK(!memcmp(buffer, memory + 8 * PAGE + 3, 2 * PAGE - 3));
	CHECK(!memcmp(buffer + 3 * PAGE - 3, remote + PAGE + 100, 3 * PAGE));
	CHECK(!memcmp(buffer + 6 * PAGE - 3, memory + 20 * PAGE, 40 * PAGE));
	CHECK_EQ(dma_read(&dma, NO_PASID, BASE, buffer, 0, &fault), 0);
}

static void scattered_iovas_are_one_buffer(void)
{
	const struct iovec iova[] = {{(void *)(BASE + 100), 50}, {(void *)(BASE + 3 * PAGE), 60}, {(void *)BASE, 10}};

	begin();
	map(BASE, 4 * PAGE, 0, BOTH);
	CHECK_EQ(dma_readv(&dma, NO_PASID, iova, 3, buffer, &fault), 0);
	CHECK(!memcmp(buffer, memory + 100, 50));
	CHECK(!memcmp(buffer + 50, memory + 3 * PAGE, 60));
	CHECK(!memcmp(buffer + 110, memory, 10));
	scatter(buffer, 4);
	CHECK_EQ(dma_writev(&dma, NO_PASID, iova, 3, buffer, &fault), 0);
	CHECK(!memcmp(buffer, memory + 100, 50));
	CHECK(!memcmp(buffer + 110, memory, 10));
}

static void a_fault_says_where(void)
{
	begin();
	map(BASE, 2 * PAGE, 0, BOTH);
	map(BASE + 2 * PAGE, PAGE, 2 * PAGE, READABLE);
	map(BASE + 3 * PAGE, PAGE, 3 * PAGE, WRITEABLE);
	scatter(buffer, 5);
	check_fault(dma_write(&dma, NO_PASID, BASE + PAGE, buffer, 3 * PAGE, &fault), DMA_FAULT_READ_ONLY,
		    BASE + 2 * PAGE);
	CHECK(!memcmp(memory + PAGE, buffer, PAGE)); /* what came before is there */
	CHECK_EQ(fault.access, DMA_WRITE);
	check_fault(dma_read(&dma, NO_PASID, BASE + PAGE, buffer, 4 * PAGE, &fault), DMA_FAULT_WRITE_ONLY,
		    BASE + 3 * PAGE);
	check_fault(dma_write(&dma, NO_PASID, BASE + 3 * PAGE + 8, buffer, PAGE, &fault), DMA_FAULT_NOT_MAPPED,
		    BASE + 4 * PAGE);
	check_fault(dma_read(&dma, NO_PASID, BASE - 1, buffer, 2, &fault), DMA_FAULT_NOT_MAPPED, BASE - 1);
	check_fault(dma_read(&dma, 5, BASE, buffer, 2, &fault), DMA_FAULT_NO_DOMAIN, BASE);
	CHECK_EQ(fault.pasid, 5);
	check_fault(dma_read(&dma, 1U << 30, BASE, buffer, 2, &fault), DMA_FAULT_NO_DOMAIN, BASE);
	/* The IOVAs do not go round. */
	map(0, PAGE, 0, BOTH);
	map(-PAGE, PAGE, PAGE, BOTH);
	check_fault(dma_read(&dma, NO_PASID, -PAGE, buffer, 2 * PAGE, &fault), DMA_FAULT_NOT_MAPPED, 0);
	CHECK_EQ(dma_read(&dma, NO_PASID, -PAGE, buffer, PAGE, &fault), 0);
}

static void memory_that_is_gone_is_a_fault(void)
{
	begin();
	map_remote(BASE, 4 * PAGE, 0);
	map_in(&domain, (struct ioas_mapping){.start = BASE + 4 * PAGE,
					      .last = BASE + 5 * PAGE - 1,
					      .host = memory,
					      .hold = &cut,
					      .prot = BOTH});
	remote_gone = PAGE + 10;
	check_fault(dma_read(&dma, NO_PASID, BASE + 8, buffer, 3 * PAGE, &fault), DMA_FAULT_MEMORY, BASE + PAGE + 10);
	CHECK(!memcmp(buffer, remote + 8, PAGE + 2));
	remote_gone = SIZE;
	check_fault(dma_write(&dma, NO_PASID, BASE + 3 * PAGE, buffer, 2 * PAGE, &fault), DMA_FAULT_MEMORY,
		    BASE + 4 * PAGE + 100);
}

static void a_run_is_as_long_as_it_can_be(void)
{
	struct dma_run run[2];
	size_t count;

	begin();
	map(BASE, 2 * PAGE, 0, BOTH);
	map(BASE + 2 * PAGE, PAGE, 9 * PAGE, BOTH);
	map_remote(BASE + 3 * PAGE, PAGE, 0);
	dma_begin(&dma);
	CHECK_EQ(dma_translate(&dma, NO_PASID, BASE + 7, 100, DMA_READ, run, 2, &count, &fault), 100);
	CHECK_EQ(count, 1);
	CHECK(run[0].host == memory + 7 && run[0].length == 100);
	CHECK_EQ(dma_translate(&dma, NO_PASID, BASE + 7, 4 * PAGE, DMA_READ, run, 2, &count, &fault), 3 * PAGE - 7);
	CHECK_EQ(count, 2);
	CHECK_EQ(fault.reason, 0);
	CHECK(run[0].length == 2 * PAGE - 7 && run[1].host == memory + 9 * PAGE && run[1].length == PAGE);
	CHECK_EQ(dma_translate(&dma, NO_PASID, BASE + 3 * PAGE + 1, PAGE, DMA_READ, run, 2, &count, &fault), PAGE - 1);
	CHECK_EQ(fault.reason, DMA_FAULT_NOT_MAPPED);
	CHECK(!run[0].host && run[0].mm == &remote_mm && run[0].va.va == REMOTE_AT + 1);
	dma_end(&dma);
}

/* What is remembered of translations ends with them. */
static void an_unmap_is_seen_at_once(void)
{
	uint8_t byte;

	begin();
	for (unsigned round = 0; round < 3; round++) {
		map(BASE, PAGE, PAGE * round, BOTH);
		CHECK_EQ(dma_read(&dma, NO_PASID, BASE + 11, &byte, 1, &fault), 0);
		CHECK_EQ(byte, memory[PAGE * round + 11]);
		CHECK_EQ(dma_read(&dma, NO_PASID, BASE + 11, &byte, 1, &fault), 0);
		unmap(round == 1 ? 0 : BASE, round == 1 ? UINT64_MAX : BASE + PAGE - 1);
		check_fault(dma_read(&dma, NO_PASID, BASE + 11, &byte, 1, &fault), DMA_FAULT_NOT_MAPPED, BASE + 11);
	}
}

static int refuse(struct iommu_device *dev, uint32_t pasid, const struct domain *to, const struct domain *old)
{
	(void)dev;
	(void)pasid;
	(void)old;
	return to ? -EBUSY : -EIO;
}

static void attachments_come_and_go(void)
{
	const struct iommu_driver refusing = {.attach_check = refuse};
	struct domain nested = {.nested = &(const struct nested_ops){0}};
	uint8_t byte;

	begin();
	map(BASE, PAGE, 0, BOTH);
	map_in(&other,
	       (struct ioas_mapping){.start = BASE, .last = BASE + PAGE - 1, .host = memory + PAGE, .prot = BOTH});
	for (uint32_t pasid = 1; pasid < 1U << PASID_BITS; pasid = pasid * 3 + 1) {
		CHECK_EQ(iommu_device_attach(&device, pasid, &domain.domain), 0);
		CHECK_EQ(dma_read(&dma, pasid, BASE, &byte, 1, &fault), 0);
		CHECK_EQ(byte, memory[0]);
		CHECK_EQ(iommu_device_attach(&device, pasid, &other.domain), 0);
		CHECK(iommu_device_domain(&device, pasid) == &other.domain);
		CHECK_EQ(dma_read(&dma, pasid, BASE, &byte, 1, &fault), 0);
		CHECK_EQ(byte, memory[PAGE]);
		CHECK_EQ(iommu_device_attach(&device, pasid, &nested), 0);
		check_fault(dma_read(&dma, pasid, BASE, &byte, 1, &fault), DMA_FAULT_NO_DOMAIN, BASE);
		CHECK_EQ(iommu_device_attach(&device, pasid, NULL), 0);
		check_fault(dma_read(&dma, pasid, BASE, &byte, 1, &fault), DMA_FAULT_NO_DOMAIN, BASE);
		CHECK(!iommu_device_domain(&device, pasid));
	}
	CHECK_EQ(iommu_device_attach(&device, 9, NULL), 0);
	CHECK_EQ(iommu_device_attach(&device, 1U << PASID_BITS, &domain.domain), -EINVAL);
	CHECK_EQ(iommu_device_attach(&device, 9, &domain.domain), 0);
	device.driver = &refusing;
	CHECK_EQ(iommu_device_attach(&device, 9, &other.domain), -EBUSY);
	CHECK(iommu_device_domain(&device, 9) == &domain.domain);
	CHECK_EQ(iommu_device_attach(&device, 9, NULL), 0);
	CHECK(!iommu_device_domain(&device, 9));
	device.driver = NULL;
}

struct heard {
	unsigned count;
	struct event last;
};

static void hear(void *context, const struct event *event, uint64_t lost)
{
	struct heard *heard = context;

	(void)lost;
	heard->count++;
	heard->last = *event;
}

static void a_fault_is_announced_once(void)
{
	struct heard heard = {0};

	begin();
	map_remote(BASE, 20 * PAGE, 0);
	CHECK_EQ(event_stream_new(&device.events), 0);
	CHECK_EQ(event_stream_listen(device.events, hear, &heard), 0);
	device.name = "0000:01:00.0";
	check_fault(dma_read(&dma, NO_PASID, BASE + 1, buffer, 21 * PAGE, &fault), DMA_FAULT_NOT_MAPPED,
		    BASE + 20 * PAGE);
	event_stream_flush(device.events);
	CHECK_EQ(heard.count, 1);
	CHECK_EQ(heard.last.type, EVENT_DMA_FAULT);
	CHECK_EQ(heard.last.dma.iova, BASE + 20 * PAGE);
	CHECK_EQ(heard.last.dma.length, PAGE + 1);
	CHECK_EQ(heard.last.dma.reason, DMA_FAULT_NOT_MAPPED);
	CHECK(!strcmp(heard.last.dma.device, "0000:01:00.0"));
	event_stream_free(device.events);
	device.events = NULL;
}

/* A device passes from one iommufd to the next, and its threads with it. */
static void a_device_is_owned_anew(void)
{
	struct epoch second;
	uint8_t byte;

	begin();
	map(BASE, PAGE, 0, BOTH);
	epoch_init(&second);
	CHECK_EQ(iommu_device_attach(&device, NO_PASID, NULL), 0);
	iommu_device_own(&device, NULL);
	CHECK(!atomic_load(&epoch.slots));
	check_fault(dma_read(&dma, NO_PASID, BASE, &byte, 1, &fault), DMA_FAULT_NO_DOMAIN, BASE);
	iommu_device_own(&device, &second);
	CHECK(atomic_load(&second.slots) == &dma.slot);
	iommu_device_own(&device, NULL);
	iommu_device_own(&device, &epoch);
	CHECK(!atomic_load(&second.slots));
	CHECK_EQ(iommu_device_attach(&device, NO_PASID, &domain.domain), 0);
	CHECK_EQ(dma_read(&dma, NO_PASID, BASE, &byte, 1, &fault), 0);
	epoch_fini(&second);
}

int main(void)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = ~(PAGE - 1)};

	epoch_init(&epoch);
	ioas_init(&ioas);
	CHECK_EQ(paging_domain_init(&domain, NULL, 0, &limits, &ioas, &epoch), 0);
	CHECK_EQ(paging_domain_init(&other, NULL, 0, &limits, &ioas, &epoch), 0);
	iommu_device_init(&device, NULL, NULL);
	dma_init(&dma, &device);
	CHECK_EQ(dma_read(&dma, NO_PASID, BASE, buffer, 1, &fault), -EFAULT);
	iommu_device_own(&device, &epoch);
	CHECK_EQ(iommu_device_attach(&device, NO_PASID, &domain.domain), 0);
	bytes_go_where_they_are_meant_to();
	scattered_iovas_are_one_buffer();
	a_fault_says_where();
	memory_that_is_gone_is_a_fault();
	a_run_is_as_long_as_it_can_be();
	an_unmap_is_seen_at_once();
	attachments_come_and_go();
	a_fault_is_announced_once();
	a_device_is_owned_anew();
	CHECK_EQ(iommu_device_attach(&device, NO_PASID, NULL), 0);
	dma_fini(&dma);
	iommu_device_own(&device, NULL);
	iommu_device_fini(&device);
	paging_domain_fini(&domain);
	paging_domain_fini(&other);
	ioas_fini(&ioas);
	epoch_fini(&epoch);
	return check_result();
}

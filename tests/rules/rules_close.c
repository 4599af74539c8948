/* SPDX-License-Identifier: BSD-3-Clause */
/* Closing an iommufd with everything alive: in each order of its descriptors, with each holding what it holds. */
#include "mock.h"

#include <stdlib.h>
#include <sys/mman.h>

#define EVENTS  IOMMU_VEVENTQ_TYPE_SELFTEST
#define PINS    MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES
#define VIRT    UINT64_C(0x99)
#define MMAPPED (2 * PAGE)

enum {
	IOMMUFD,
	FAULTS,
	VEVENTS,
	READER,
	PINNER,
	BUFFER,
	FILES,
};

/* Everything at once. The descriptors that a client has in the end, by the names above. */
struct everything {
	struct mock m, pasid;
	uint32_t ioas, fault, parent, nested, viommu, vdevice, queue;
	int fd[FILES];
};

static struct everything everything_new(struct rules *t)
{
	struct everything e = {.ioas = ioas_new(t)};
	uint32_t pin, on_pasid, flags = IOMMU_HWPT_ALLOC_PASID;

	memory_new(t);
	EXPECT(t, map_va_at(t, e.ioas, RW, MEMORY, AP, 16 * PAGE), 0);
	e.fd[IOMMUFD] = t->fd;
	e.fd[READER] = mock_access_new(t, e.ioas, 0);
	e.fd[PINNER] = mock_access_new(t, e.ioas, PINS);
	e.m = mock_new(t, e.ioas, 0);
	e.fd[BUFFER] = mock_dmabuf_new(t, (uint32_t)PAGE);
	EXPECT(t, map_file_at(t, e.ioas, RW, e.fd[BUFFER], 0, AP + HUGE, PAGE), 0);
	EXPECT(t, fault_new(t, &e.fault, &e.fd[FAULTS]), 0);
	e.parent = hwpt_new(t, e.m.device, e.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	e.viommu = viommu_new(t, e.m.device, e.parent);
	e.vdevice = vdevice_new(t, e.viommu, e.m.device, VIRT);
	EXPECT(t, nested_try(t, e.m.device, e.viommu, IOMMU_HWPT_FAULT_ID_VALID, e.fault, &e.nested), 0);
	EXPECT(t, mock_attach(t, e.m.stdev, e.nested), 0);
	EXPECT(t, veventq_try(t, e.viommu, EVENTS, 4, &e.queue, &e.fd[VEVENTS]), 0);
	hw_queue_new(t, e.viommu, 0, AP, PAGE);
	hw_queue_new(t, e.viommu, 1, AP + PAGE, PAGE);
	EXPECT(t, mock_access_pin(t, e.fd[PINNER], AP + 2 * PAGE, PAGE, 0, &pin), 0);
	on_pasid = hwpt_with_faults(t, e.m.device, e.ioas, flags, e.fault);
	e.pasid = mock_new(t, hwpt_new(t, e.m.device, e.ioas, flags), MOCK_FLAGS_DEVICE_PASID);
	EXPECT(t, pasid_attach(t, e.pasid.stdev, 3, on_pasid), 0);
	EXPECT(t, fault_trigger(t, e.m.device, 0, 1, AP), 0);
	EXPECT(t, fault_trigger(t, e.pasid.device, 3, 1, AP), 0);
	EXPECT(t, vevent_trigger(t, e.m.device), 0);
	return e;
}

/* The n-th order of count numbers. */
static void permute(unsigned n, int *order, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		order[i] = (int)i;
	for (unsigned i = count; i > 1; i--) {
		unsigned j = n % i;
		int keep = order[i - 1];

		n /= i;
		order[i - 1] = order[j];
		order[j] = keep;
	}
}

static void everything_is_closed_in_each_order(struct rules *t)
{
	const unsigned step = transport_kind(t->transport) == TRANSPORT_SYSCALLS ? 37 : 7;
	int check = node_open(t, "/dev/iommu"), order[FILES];

	for (unsigned n = 0; n < 720; n += step) {
		if (t->fd < 0)
			t->fd = node_open(t, "/dev/iommu");
		struct everything e = everything_new(t);

		permute(n, order, FILES);
		for (int i = 0; i < FILES; i++)
			EXPECT(t, transport_close(t->transport, e.fd[order[i]]), 0);
		/* Nothing is pinned any more; another file of the system can say so. */
		t->fd = check;
		EXPECT(t, check_refs(t, MEMORY, 16 * PAGE, 0), 0);
		t->fd = -1;
		memory_free();
	}
	EXPECT(t, transport_close(t->transport, check), 0);
}

static void files_of_queues_work_after_the_iommufd_is_closed(struct rules *t)
{
	struct everything e = everything_new(t);
	struct iommu_hwpt_pgfault record[2];
	uint32_t words[3] = {0};

	EXPECT(t, transport_close(t->transport, t->fd), 0);
	t->fd = -1;
	EXPECT(t, transport_read(t->transport, e.fd[FAULTS], record, sizeof(record)), sizeof(record));
	EXPECT(t, record[1].pasid, 3);
	EXPECT(t, transport_read(t->transport, e.fd[VEVENTS], words, sizeof(words)), sizeof(words));
	EXPECT(t, words[2], VIRT);
	for (int i = 1; i < FILES; i++)
		EXPECT(t, transport_close(t->transport, e.fd[i]), 0);
	memory_free();
}

static void objects_that_others_use_are_busy(struct rules *t)
{
	struct everything e = everything_new(t);
	const uint32_t busy[] = {e.ioas, e.m.device, e.parent, e.nested, e.viommu, e.fault, e.queue};

	for (size_t i = 0; i < ARRAY_SIZE(busy); i++)
		EXPECT(t, destroy(t, busy[i]), -EBUSY);
	/* Leaves first: the tombstone of the vDevice stays, and its id with it. */
	EXPECT(t, destroy(t, e.m.stdev), 0);
	EXPECT(t, destroy(t, e.vdevice), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(busy); i++)
		if (i != 1 && i != 3)
			EXPECT(t, destroy(t, busy[i]), -EBUSY);
	EXPECT(t, destroy(t, e.m.device), -ENOENT);
	EXPECT(t, destroy(t, e.nested), 0);
	for (int i = 1; i < FILES; i++)
		EXPECT(t, transport_close(t->transport, e.fd[i]), 0);
	memory_free();
}

static void mapped_region_keeps_what_it_shows_after_the_file_is_closed(struct rules *t)
{
	struct mock m = mock_new(t, ioas_new(t), 0);
	struct iommu_viommu_selftest data = {0};
	struct iommu_viommu_alloc c = {.size = sizeof(c),
				       .type = IOMMU_VIOMMU_TYPE_SELFTEST,
				       .dev_id = m.device,
				       .hwpt_id = hwpt_new(t, m.device, m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT),
				       .data_len = sizeof(data),
				       .data_uptr = (uintptr_t)&data};
	void *at = NULL;
	bool there;

	EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, &c), 0);
	there = EXPECT(t,
		       transport_mmap(t->transport, t->fd, MMAPPED, PROT_READ | PROT_WRITE, MAP_SHARED,
				      (off_t)data.out_mmap_offset, &at),
		       0);
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	t->fd = -1;
	if (there) {
		((volatile unsigned char *)at)[PAGE] = 5;
		EXPECT(t, ((volatile unsigned char *)at)[PAGE], 5);
		munmap(at, MMAPPED);
	}
}

static void ids_of_many_objects_are_all_free_again(struct rules *t)
{
	struct mock m = mock_new(t, ioas_new(t), 0);
	uint32_t next = next_id(t), hwpt[50];

	for (size_t i = 0; i < ARRAY_SIZE(hwpt); i++)
		hwpt[i] = hwpt_new(t, m.device, m.ioas, 0);
	for (size_t i = 0; i < ARRAY_SIZE(hwpt); i++)
		EXPECT(t, destroy(t, hwpt[i * 7 % ARRAY_SIZE(hwpt)]), 0);
	EXPECT(t, next_id(t), next);
}

static const struct rule_case cases[] = {
	CASE("A.1-5,A.1-7,C.9-2", everything_is_closed_in_each_order),
	CASE("A.1-6", files_of_queues_work_after_the_iommufd_is_closed),
	CASE("A.1-2b,A.1-2c,A.1-2e,A.1-2f,A.0.2-8", objects_that_others_use_are_busy),
	CASE("A.0.4-5,A.1-7", mapped_region_keeps_what_it_shows_after_the_file_is_closed),
	CASE("A.0.2-2", ids_of_many_objects_are_all_free_again),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}

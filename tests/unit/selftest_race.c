/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The test device where threads meet: what one has not finished, or is about to end, another must not depend on. What
 * each answer may be is checked; that nothing is used that is gone is for the sanitizers.
 */
#include "mock_system.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

static unsigned rounds;
static atomic_bool done;
static uint32_t viommu, device, table;

static uint32_t viommu_alloc(void)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd), .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = device, .hwpt_id = table};

	CHECK_EQ(call(IOMMU_VIOMMU_ALLOC, &cmd), 0);
	return cmd.out_viommu_id;
}

static struct iommu_hw_queue_alloc queue_of(uint32_t index)
{
	return (struct iommu_hw_queue_alloc){
		.size = sizeof(struct iommu_hw_queue_alloc),
		.viommu_id = viommu,
		.type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
		.index = index,
		.nesting_parent_iova = IOVA,
		.length = PAGE,
	};
}

/* The answer cannot be copied out, so the queue goes again. */
static void *make_first_in_vain(void *arg)
{
	struct iommu_hw_queue_alloc *cmd = memory(PAGE);

	(void)arg;
	*cmd = queue_of(0);
	CHECK_EQ(mprotect(cmd, PAGE, PROT_READ), 0);
	for (unsigned i = 0; i < rounds; i++)
		CHECK_EQ(call(IOMMU_HW_QUEUE_ALLOC, cmd), -EFAULT);
	munmap(cmd, PAGE);
	atomic_store(&done, true);
	return NULL;
}

static void *make_second(void *arg)
{
	(void)arg;
	while (!atomic_load(&done)) {
		struct iommu_hw_queue_alloc cmd = queue_of(1);

		CHECK_EQ(call(IOMMU_HW_QUEUE_ALLOC, &cmd), -EIO);
	}
	return NULL;
}

static void a_queue_does_not_depend_on_one_that_is_not_there(void)
{
	pthread_t thread[2];

	viommu = viommu_alloc();
	atomic_store(&done, false);
	CHECK_EQ(pthread_create(&thread[0], NULL, make_first_in_vain, NULL), 0);
	CHECK_EQ(pthread_create(&thread[1], NULL, make_second, NULL), 0);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	CHECK_EQ(destroy(viommu), 0);
}

/* Attaches to page tables that last for a moment only. */
static void *change(void *arg)
{
	const struct mock *mock = arg;

	for (unsigned i = 0; i < rounds; i++) {
		const uint32_t nested = hwpt_alloc(mock->idev, viommu, 0, 1);

		CHECK_EQ(OP(MOCK_DOMAIN_REPLACE, .id = mock->stdev, .mock_domain_replace.pt_id = nested), 0);
		CHECK_EQ(OP(MOCK_DOMAIN_REPLACE, .id = mock->stdev, .mock_domain_replace.pt_id = table), 0);
		CHECK_EQ(destroy(nested), 0);
	}
	atomic_store(&done, true);
	return NULL;
}

static void *trigger(void *arg)
{
	const struct mock *mock = arg;

	while (!atomic_load(&done)) {
		int rc = OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = mock->idev);

		CHECK(rc == -ENOENT || rc == -EOPNOTSUPP);
	}
	return NULL;
}

static void events_meet_the_end_of_a_page_table(struct mock *mock)
{
	struct iommu_vdevice_alloc vdevice = {.size = sizeof(vdevice), .virt_id = 0x99};
	pthread_t thread[2];

	viommu = viommu_alloc();
	vdevice.viommu_id = viommu;
	vdevice.dev_id = mock->idev;
	CHECK_EQ(call(IOMMU_VDEVICE_ALLOC, &vdevice), 0);
	atomic_store(&done, false);
	CHECK_EQ(pthread_create(&thread[0], NULL, change, mock), 0);
	CHECK_EQ(pthread_create(&thread[1], NULL, trigger, mock), 0);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
}

enum { THREADS = 4, SLOTS = 4 };

enum kind { IOAS, STDEV, IDEV, PARENT, TABLE, VIRTUAL, FAULT, LEAF, EVENTS, ACCESS, KINDS };

/* What there was lately; it may be something else by now. */
static _Atomic uint32_t lately[KINDS][SLOTS];

struct chaos {
	uint64_t random;
	unsigned char *memory; /* of all threads: 16 pages */
};

static uint32_t below(struct chaos *c, uint32_t n)
{
	uint64_t z = (c->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) % n);
}

static uint32_t any(struct chaos *c, enum kind kind)
{
	return atomic_load(&lately[kind][below(c, SLOTS)]);
}

/* What stood in its place may go, if it can. */
static void note(struct chaos *c, enum kind kind, int rc, uint32_t id)
{
	if (rc)
		return;
	id = atomic_exchange(&lately[kind][below(c, SLOTS)], id);
	if (kind == EVENTS || kind == ACCESS)
		iommuse_close(system_, (int)id);
	else if (!below(c, 4))
		destroy(id);
}

static void make_table(struct chaos *c)
{
	static const enum kind base[] = {IOAS, PARENT, VIRTUAL};
	const struct iommu_hwpt_selftest data = {.iotlb = 1};
	const uint32_t on = below(c, 3);
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = below(c, 2) ? IOMMU_HWPT_FAULT_ID_VALID : 0,
		.dev_id = any(c, IDEV),
		.pt_id = any(c, base[on]),
		.fault_id = any(c, FAULT),
		.data_type = on ? IOMMU_HWPT_DATA_SELFTEST : IOMMU_HWPT_DATA_NONE,
		.data_len = on ? sizeof(data) : 0,
		.data_uptr = (uintptr_t)&data,
	};
	int rc;

	if (!on && !cmd.flags)
		cmd.flags = below(c, 2) ? IOMMU_HWPT_ALLOC_NEST_PARENT : below(c, 8) & ~1U;
	rc = call(IOMMU_HWPT_ALLOC, &cmd);
	note(c, cmd.flags & IOMMU_HWPT_ALLOC_NEST_PARENT ? PARENT : TABLE, rc, cmd.out_hwpt_id);
}

static void make_something(struct chaos *c)
{
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	struct iommu_viommu_selftest data = {.in_data = 1};
	struct iommu_viommu_alloc virtual = {.size = sizeof(virtual),
					     .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					     .dev_id = any(c, IDEV),
					     .hwpt_id = any(c, PARENT),
					     .data_len = below(c, 2) ? sizeof(data) : 0,
					     .data_uptr = (uintptr_t)&data};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice), .viommu_id = any(c, VIRTUAL), .dev_id = any(c, IDEV), .virt_id = below(c, 3)};
	struct iommu_veventq_alloc events = {.size = sizeof(events),
					     .viommu_id = any(c, VIRTUAL),
					     .type = IOMMU_VEVENTQ_TYPE_SELFTEST,
					     .veventq_depth = 2};
	struct iommu_hw_queue_alloc queue = {.size = sizeof(queue),
					     .viommu_id = any(c, VIRTUAL),
					     .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
					     .index = below(c, 2),
					     .nesting_parent_iova = IOVA,
					     .length = PAGE};
	struct iommu_test_cmd access = {.id = any(c, IOAS), .create_access.flags = below(c, 2)};
	struct iommu_test_cmd mock = {.id = any(c, below(c, 2) ? IOAS : TABLE),
				      .mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_PASID};
	int rc;

	switch (below(c, 8)) {
	case 0:
		rc = call(IOMMU_IOAS_ALLOC, &ioas);
		note(c, IOAS, rc, ioas.out_ioas_id);
		break;
	case 1:
		rc = call(IOMMU_FAULT_QUEUE_ALLOC, &fault);
		note(c, EVENTS, rc, fault.out_fault_fd);
		note(c, FAULT, rc, fault.out_fault_id);
		break;
	case 2:
		rc = call(IOMMU_VIOMMU_ALLOC, &virtual);
		note(c, VIRTUAL, rc, virtual.out_viommu_id);
		break;
	case 3:
		rc = call(IOMMU_VDEVICE_ALLOC, &vdevice);
		note(c, LEAF, rc, vdevice.out_vdevice_id);
		break;
	case 4:
		rc = call(IOMMU_VEVENTQ_ALLOC, &events);
		note(c, EVENTS, rc, events.out_veventq_fd);
		note(c, LEAF, rc, events.out_veventq_id);
		break;
	case 5:
		rc = call(IOMMU_HW_QUEUE_ALLOC, &queue);
		note(c, LEAF, rc, queue.out_hw_queue_id);
		break;
	case 6:
		rc = op(IOMMU_TEST_OP_CREATE_ACCESS, &access);
		note(c, ACCESS, rc, access.create_access.out_access_fd);
		break;
	default:
		rc = op(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &mock);
		note(c, IDEV, rc, mock.mock_domain_flags.out_idev_id);
		note(c, STDEV, rc, mock.mock_domain_flags.out_stdev_id);
	}
}

static void use_device(struct chaos *c)
{
	const uint32_t id = any(c, STDEV), bound = any(c, IDEV), pasid = below(c, 3);
	const uint32_t pt = any(c, below(c, 4) ? TABLE : IOAS);

	switch (below(c, 6)) {
	case 0:
		OP(MOCK_DOMAIN_REPLACE, .id = id, .mock_domain_replace.pt_id = pt);
		break;
	case 1:
		OP(PASID_ATTACH, .id = id, .pasid_attach = {.pasid = pasid, .pt_id = pt});
		break;
	case 2:
		OP(PASID_REPLACE, .id = id, .pasid_replace = {.pasid = pasid, .pt_id = pt});
		break;
	case 3:
		OP(PASID_DETACH, .id = id, .pasid_detach.pasid = pasid);
		break;
	case 4:
		OP(TRIGGER_IOPF, .trigger_iopf = {.dev_id = bound, .pasid = pasid, .grpid = below(c, 2)});
		break;
	default:
		OP(TRIGGER_VEVENT, .trigger_vevent.dev_id = bound);
	}
}

static void use_memory(struct chaos *c)
{
	const uint64_t iova = IOVA + below(c, 4) * 4 * PAGE;
	uint64_t bits[2] = {0};
	struct iommu_hwpt_set_dirty_tracking track = {
		.size = sizeof(track), .hwpt_id = any(c, TABLE), .flags = below(c, 2)};
	struct iommu_hwpt_get_dirty_bitmap dirty = {.size = sizeof(dirty),
						    .hwpt_id = any(c, TABLE),
						    .iova = IOVA,
						    .length = 16 * PAGE,
						    .page_size = PAGE,
						    .data = (uintptr_t)bits};

	switch (below(c, 4)) {
	case 0:
		map(any(c, IOAS), c->memory + below(c, 4) * 4 * PAGE, 4 * PAGE, iova);
		break;
	case 1:
		unmap(any(c, IOAS), iova, 4 * PAGE);
		break;
	case 2:
		call(IOMMU_HWPT_SET_DIRTY_TRACKING, &track);
		break;
	default:
		call(IOMMU_HWPT_GET_DIRTY_BITMAP, &dirty);
	}
}

static void use_file(struct chaos *c)
{
	const struct iommu_hwpt_page_response response = {.cookie = 1 + below(c, 3)};
	const uint64_t iova = IOVA + below(c, 16) * PAGE;
	const uint32_t file = any(c, ACCESS), queue = any(c, EVENTS);
	char buf[256];

	switch (below(c, 7)) {
	case 0:
		iommuse_close(system_, (int)(below(c, 2) ? file : queue));
		break;
	case 1:
		iommuse_read(system_, (int)queue, buf, 5 * sizeof(struct iommu_hwpt_pgfault));
		break;
	case 2:
		iommuse_write(system_, (int)queue, &response, sizeof(response));
		break;
	case 3:
		OP(ACCESS_PAGES, .id = file, .access_pages = {.iova = iova, .length = 2 * PAGE});
		break;
	case 4:
		OP(DESTROY_ACCESS_PAGES, .id = file, .destroy_access_pages.access_pages_id = below(c, 4));
		break;
	case 5:
		OP(ACCESS_RW, .id = file, .access_rw = {.iova = iova, .length = sizeof(buf), .uptr = (uintptr_t)buf});
		break;
	default:
		OP(ACCESS_REPLACE_IOAS, .id = file, .access_replace_ioas.ioas_id = any(c, IOAS));
	}
}

static void *do_anything(void *arg)
{
	static void (*const things[])(struct chaos * c) = {make_something, make_table, use_device, use_memory,
							   use_file};
	struct chaos *c = arg;

	for (unsigned i = 0; i < rounds; i++) {
		const uint32_t thing = below(c, 30);

		if (thing)
			things[thing % (sizeof(things) / sizeof(*things))](c);
		else
			destroy(any(c, (enum kind)below(c, EVENTS)));
	}
	return NULL;
}

/* By ids that are anybody's. No answer is checked; it ends, and everything goes. */
static void anything_may_happen_at_once(void)
{
	struct chaos chaos[THREADS];
	pthread_t thread[THREADS];
	unsigned char *shared = memory(16 * PAGE);

	for (unsigned i = 0; i < THREADS; i++) {
		chaos[i] = (struct chaos){.random = (uint64_t)i << 32, .memory = shared};
		CHECK_EQ(pthread_create(&thread[i], NULL, do_anything, &chaos[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	struct mock mock;
	uint32_t ioas;

	rounds = getenv("IOMMUSE_TEST_LONG") ? 50000 : 5000;
	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	device = mock.idev;
	CHECK_EQ(map(ioas, memory(PAGE), PAGE, IOVA), 0);
	table = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	a_queue_does_not_depend_on_one_that_is_not_there();
	events_meet_the_end_of_a_page_table(&mock);
	end();
	begin();
	anything_may_happen_at_once();
	end();
	return check_result();
}

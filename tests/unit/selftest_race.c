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

int main(void)
{
	struct mock mock;
	uint32_t ioas;

	rounds = getenv("IOMMUSE_TEST_LONG") ? 100000 : 5000;
	begin();
	ioas = ioas_alloc();
	mock = mock_domain(ioas, 0);
	device = mock.idev;
	CHECK_EQ(map(ioas, memory(PAGE), PAGE, IOVA), 0);
	table = hwpt_alloc(mock.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	a_queue_does_not_depend_on_one_that_is_not_there();
	events_meet_the_end_of_a_page_table(&mock);
	end();
	return check_result();
}

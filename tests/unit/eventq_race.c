/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that report faults, read them, answer them, detach and poll: each group is answered once, and none stays. */
#include "fake_device.h"

#include <poll.h>
#include <stdlib.h>

#define REPORTERS 2
#define READERS   2

static const struct iommu_driver driver = {.name = "fake", .page_response = fake_page_response};
static struct iommufd_config config;
static struct file *file, *queue;
static struct fake_device device;
static struct fake_hwpt hwpts[2];
static struct fault *fault;
static unsigned rounds;
static atomic_uint reporting, told;
static pthread_barrier_t start;

/* Every group is reported in two parts. */
static void *report(void *arg)
{
	const uint32_t id = *(const uint32_t *)arg;

	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < rounds; i++) {
		struct page_fault part = {.group = id, .address = i};

		iommu_report_fault(&device.dev, &part);
		part.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE;
		iommu_report_fault(&device.dev, &part);
	}
	atomic_fetch_sub(&reporting, 1);
	return NULL;
}

/* Answers some of what it read, by guess or by what it saw, until all is quiet. */
static void *read_and_answer(void *arg)
{
	struct fake *fake = malloc(sizeof(*fake));
	struct iommu_hwpt_page_response response = {0};
	bool last;

	(void)arg;
	fake_init(fake);
	pthread_barrier_wait(&start);
	do {
		ssize_t n;

		last = !atomic_load(&reporting);
		fake->deny_write = response.cookie % 3 == 1;
		n = queue->ops->read(queue, &fake->client, uaddr(fake_at(fake, 0)),
				     4 * sizeof(struct iommu_hwpt_pgfault), 0);
		CHECK(n >= 0 || n == -EFAULT);
		response.cookie = n > 0 && response.cookie % 2 ? ((struct iommu_hwpt_pgfault *)fake->memory)->cookie
							       : response.cookie % 8 + 1;
		memcpy(fake->memory, &response, sizeof(response));
		n = queue->ops->write(queue, &fake->client, uaddr(fake_at(fake, 0)), sizeof(response), 0);
		CHECK(n == sizeof(response) || n == -EINVAL);
		queue->ops->poll(queue);
	} while (!last);
	free(fake);
	return NULL;
}

/* Attaches to the one and to the other, with nothing in between now and then. */
static void *change(void *arg)
{
	struct fake_hwpt *now = &hwpts[0];
	bool last;

	(void)arg;
	pthread_barrier_wait(&start);
	for (unsigned i = 0;; i++) {
		struct fake_hwpt *next = i % 3 ? &hwpts[i & 1] : NULL;

		last = !atomic_load(&reporting);
		if (last)
			next = NULL;
		CHECK_EQ(iommu_device_attach(&device.dev, NO_PASID, next ? &next->domain : NULL), 0);
		if (now && now != next) {
			eventq_changed(fault_flush(fault, &now->hwpt, &device.dev, NO_PASID));
			/* Nothing refers to it any more. */
			memset(&now->domain, 0xff, sizeof(now->domain));
			fake_hwpt_begin(now, &driver, fault);
		}
		now = next;
		if (last)
			break;
	}
	return NULL;
}

static void tell(struct file *changed)
{
	(void)changed;
	atomic_fetch_add(&told, 1);
}

int main(void)
{
	pthread_t thread[REPORTERS + READERS + 1];
	const uint32_t ids[REPORTERS] = {1, 2};
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	struct fake *fake = malloc(sizeof(*fake));
	unsigned n = 0;

	rounds = getenv("IOMMUSE_TEST_LONG") ? 200000 : 20000;
	fake_init(fake);
	CHECK_EQ(iommufd_open(&config, false, &file), 0);
	memcpy(fake->memory, &cmd, sizeof(cmd));
	CHECK_EQ(file->ops->ioctl(file, &fake->client, IOMMU_FAULT_QUEUE_ALLOC, fake_at(fake, 0)), 0);
	memcpy(&cmd, fake->memory, sizeof(cmd));
	queue = fake->installed;
	atomic_store(&queue->poll_changed, tell);
	fake_device_begin(&device, &driver, file, &fake->client);
	fault = fault_get(ctx_of(file), cmd.out_fault_id);
	fake_hwpt_begin(&hwpts[0], &driver, fault);
	fake_hwpt_begin(&hwpts[1], &driver, fault);
	CHECK_EQ(iommu_device_attach(&device.dev, NO_PASID, &hwpts[0].domain), 0);

	atomic_store(&reporting, REPORTERS);
	pthread_barrier_init(&start, NULL, REPORTERS + READERS + 1);
	for (unsigned i = 0; i < REPORTERS; i++)
		CHECK_EQ(pthread_create(&thread[n++], NULL, report, (void *)&ids[i]), 0);
	for (unsigned i = 0; i < READERS; i++)
		CHECK_EQ(pthread_create(&thread[n++], NULL, read_and_answer, NULL), 0);
	CHECK_EQ(pthread_create(&thread[n++], NULL, change, NULL), 0);
	for (unsigned i = 0; i < n; i++)
		pthread_join(thread[i], NULL);

	CHECK_EQ(device.answers, REPORTERS * rounds);
	CHECK(atomic_load(&told) > 0);
	CHECK_EQ(queue->ops->poll(queue) & POLLIN, 0);
	fault_put(fault);
	fake_device_end(&device);
	file_put(queue);
	file_put(file);
	free(fake);
	return check_result();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that bind, attach and use devices: what waits for whom, and what does not. */
#include "fake_iommu.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

static void *let_go_later(void *object)
{
	const struct timespec moment = {.tv_nsec = 20000000};

	nanosleep(&moment, NULL);
	object_put(object);
	return NULL;
}

static void unbinding_waits_for_calls_on_the_device(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a;
	pthread_t thread;

	begin();
	fake_device_new(&a, &group);
	CHECK(device_get(ctx, a.device->object.id) == a.device);
	CHECK_EQ(pthread_create(&thread, NULL, let_go_later, a.device), 0);
	fake_device_end(&a);
	CHECK_EQ(users_of(1), -ENOENT);
	pthread_join(thread, NULL);
	end();
}

/* One who takes a dma-buf back looks at all IOASes. */
static void closing_waits_for_who_still_looks_at_an_object(void)
{
	struct object *ioas;
	pthread_t thread;
	uint32_t id;

	begin();
	id = ioas_alloc();
	CHECK_EQ(map(id, 0x10000), 0);
	ioas = object_get(ctx, id, OBJECT_IOAS);
	CHECK_EQ(pthread_create(&thread, NULL, let_go_later, ioas), 0);
	end();
	pthread_join(thread, NULL);
}

struct later {
	struct fake_device *device;
	uint32_t id;
	atomic_bool done;
	pthread_t thread;
};

static void *detach_it(void *arg)
{
	struct later *later = arg;

	device_detach(later->device->device, NO_PASID);
	atomic_store(&later->done, true);
	return NULL;
}

static void *attach_it(void *arg)
{
	struct later *later = arg;

	CHECK(device_attach(later->device->device, NO_PASID, &later->id) == 0);
	atomic_store(&later->done, true);
	return NULL;
}

static void *disown_it(void *arg)
{
	struct later *later = arg;

	iommu_device_own(&later->device->dev, NULL);
	atomic_store(&later->done, true);
	return NULL;
}

static void start(struct later *later, void *(*call)(void *))
{
	CHECK_EQ(pthread_create(&later->thread, NULL, call, later), 0);
}

static bool done_in(struct later *later, unsigned ms)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	while (!atomic_load(&later->done) && ms--)
		nanosleep(&moment, NULL);
	return atomic_load(&later->done);
}

static void a_device_that_is_stuck_delays_its_own_detaching_only(void)
{
	struct iommu_group groups[2] = {{.id = 1}, {.id = 2}};
	struct fake_device a, b;
	struct later detaching = {.device = &a}, again = {.device = &a}, attaching = {.device = &b};
	struct dma dma;

	begin();
	fake_device_new(&a, &groups[0]);
	fake_device_new(&b, &groups[1]);
	attaching.id = ioas_alloc();
	CHECK(attach(&a, ioas_alloc()) > 0);
	dma_init(&dma, &a.dev);
	dma_begin(&dma);
	start(&detaching, detach_it);
	while (iommu_device_domain(&a.dev, NO_PASID))
		sched_yield();
	start(&attaching, attach_it);
	CHECK(done_in(&attaching, 5000));
	/* What another call has detached may still be in use. */
	start(&again, detach_it);
	CHECK(!done_in(&again, 20));
	CHECK(!atomic_load(&detaching.done));
	dma_end(&dma);
	pthread_join(detaching.thread, NULL);
	pthread_join(again.thread, NULL);
	pthread_join(attaching.thread, NULL);
	dma_fini(&dma);
	fake_device_end(&a);
	fake_device_end(&b);
	end();
}

/* Else who waits for the epoch would not see it. */
static void a_device_thread_that_is_inside_stays_its_iommufds(void)
{
	struct iommu_group group = {.id = 1};
	struct leftovers left = {0};
	struct fake_device a;
	struct later disowning = {.device = &a};
	struct dma dma;

	begin();
	fake_device_new(&a, &group);
	CHECK(attach(&a, ioas_alloc()) > 0);
	dma_init(&dma, &a.dev);
	dma_begin(&dma);
	CHECK_EQ(iommu_device_set(&a.dev, NO_PASID, NULL, &left), 0);
	CHECK(left.attached);
	start(&disowning, disown_it);
	CHECK(!done_in(&disowning, 20));
	dma_end(&dma);
	pthread_join(disowning.thread, NULL);
	leftovers_end(&left);
	dma_fini(&dma);
	fake_device_end(&a);
	end();
}

#define ROUNDS 300

static void *attach_and_detach(void *arg)
{
	struct fake_device *d = arg;
	const uint32_t ids[] = {1, 2};

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t id = ids[i % 2];
		int rc = device_attach(d->device, NO_PASID, &id);

		if (i % 3 == 0) {
			id = ids[(i + 1) % 2];
			rc |= device_replace(d->device, NO_PASID, &id);
		}
		CHECK_EQ(rc, 0);
		CHECK(device_hwpt(d->device, NO_PASID) != NULL);
		device_detach(d->device, NO_PASID);
	}
	return NULL;
}

/* Whatever comes in between, a device finds a page table, and none is left. */
static void attaching_and_detaching_at_once(void)
{
	struct iommu_group groups[4] = {{.id = 1}, {.id = 2}, {.id = 3}, {.id = 4}};
	struct fake_device d[4];
	pthread_t thread[4];
	uint32_t one, two;

	begin();
	one = ioas_alloc();
	two = ioas_alloc();
	CHECK_EQ(one + two, 3);
	for (int i = 0; i < 4; i++)
		fake_device_new(&d[i], &groups[i]);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, attach_and_detach, &d[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 4; i++)
		fake_device_end(&d[i]);
	CHECK_EQ(destroy(one), 0);
	CHECK_EQ(destroy(two), 0);
	CHECK(id_table_empty(&ctx->objects));
	end();
}

int main(void)
{
	unbinding_waits_for_calls_on_the_device();
	closing_waits_for_who_still_looks_at_an_object();
	a_device_that_is_stuck_delays_its_own_detaching_only();
	a_device_thread_that_is_inside_stays_its_iommufds();
	attaching_and_detaching_at_once();
	return check_result();
}

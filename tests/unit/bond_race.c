/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that bind, unbind, open, close and end at once, while a device does DMA by PASIDs. */
#include "bond_world.h"

static struct person *me, *peer, *mortal;
static int shared;
static unsigned rounds = 300;
static atomic_bool over;
static atomic_uint bound, opened;

static bool is_answer(long rc, const int *errors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rc == errors[i])
			return true;
	return rc >= 0;
}

#define CHECK_ANSWER(rc, ...)                                                                                          \
	CHECK(is_answer(rc, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

/* Binds itself and others to the shared container, of which groups come and go. */
static void *bind_and_unbind(void *arg)
{
	struct person *person = arg;

	for (unsigned i = 0; i < rounds || !atomic_load(&bound); i++) {
		struct person *who = i % 3 == 0 ? mortal : i % 3 == 1 ? me : peer;
		const pid_t pid = i % 4 ? who->pid : 0;
		long rc = bind_by(person, shared, pid);

		CHECK_ANSWER(rc, -EINVAL, -ESRCH);
		atomic_fetch_add(&bound, rc > 0);
		rc = unbind_by(person, shared, pid);
		CHECK_ANSWER(rc, -ESRCH, -EINVAL);
	}
	return NULL;
}

static void *join_and_leave(void *arg)
{
	struct world_device *device = arg;
	const uint32_t id = device->device.group->iommu.id;

	for (unsigned i = 0; i < rounds; i++) {
		const int group = open_group(id);
		const long rc = set_container(group, shared);
		int fd = -1;

		CHECK_EQ(rc, 0);
		/* Others meet it there, at least once. */
		while (!i && !atomic_load(&bound))
			sched_yield();
		if (i % 3)
			fd = device_fd(group, device);
		atomic_fetch_add(&opened, fd >= 0);
		if (i % 2)
			CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
		close_fd(i % 4 < 2 ? fd : group);
		close_fd(i % 4 < 2 ? group : fd);
	}
	return NULL;
}

/* In a container of its own, which is closed with the bond. */
static void *bind_and_close(void *arg)
{
	struct person *person = arg;

	for (unsigned i = 0; i < rounds; i++) {
		int group;
		const int container = container_with(2, &group);
		const int device = device_fd(group, bw.other);
		const long pasid = bind_by(person, container, 0);

		CHECK(pasid > 0);
		CHECK(device >= 0);
		CHECK(at_pasid(bw.other, (uint32_t)pasid) == person);
		if (i % 2)
			CHECK_EQ(unbind_by(person, container, 0), 0);
		close_fd(container);
		close_fd(device);
		CHECK(!at_pasid(bw.other, (uint32_t)pasid));
		close_fd(group);
	}
	return NULL;
}

/* Dies, and begins anew when nobody knows it any more. */
static void *live_and_die(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < rounds; i++) {
		const long rc = bind_by(mortal, shared, 0);

		CHECK_ANSWER(rc, -EINVAL);
		mm_announce_gone(&mortal->mm);
		await_forgotten(mortal);
		atomic_store(&mortal->mm.gone, false);
	}
	return NULL;
}

static void *do_dma(void *arg)
{
	struct world_device *device = arg;

	while (!atomic_load(&over)) {
		for (uint32_t pasid = 1; pasid < 6; pasid++) {
			uint64_t value;

			dma_peek(&device->device, pasid, 0x1000, &value);
		}
		sched_yield();
	}
	return NULL;
}

static void begin(void)
{
	int group;

	bond_world_begin();
	me = person_new(10);
	peer = person_new(11);
	mortal = person_new(12);
	shared = container_with(1, &group);
	close_fd(group);
}

int main(void)
{
	pthread_t thread[7];

	if (getenv("IOMMUSE_TEST_LONG"))
		rounds = 10000;
	begin();
	{
		const struct {
			void *(*run)(void *);
			void *of;
		} work[7] = {
			{do_dma, bw.first},      {do_dma, bw.other},         {bind_and_unbind, me},
			{bind_and_unbind, peer}, {join_and_leave, bw.first}, {bind_and_close, person_new(13)},
			{live_and_die, NULL},
		};

		for (int i = 0; i < 7; i++)
			CHECK_EQ(pthread_create(&thread[i], NULL, work[i].run, work[i].of), 0);
	}
	for (int i = 2; i < 7; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	CHECK(atomic_load(&opened));
	bond_world_end();
	return check_result();
}

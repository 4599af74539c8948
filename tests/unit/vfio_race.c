/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that contend for groups and devices. The hooks of the devices check that each has one user at a time. */
#include "vfio_world.h"

#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define THREADS 4

static struct world_device *first, *second, *third; /* on one bus; first and second are of one group */
static unsigned rounds = 300;
static atomic_uint won, lost;

static void begin(void)
{
	world_begin();
	first = add_device(&world_model, 1, 0, 1);
	second = add_device(&world_model, 1, 1, 1);
	third = add_device(&world_model, 1, 2, 2);
	atomic_store(&won, 0);
	atomic_store(&lost, 0);
}

static void run(void *(*thread)(void *))
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, thread, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void count(bool success)
{
	atomic_fetch_add(success ? &won : &lost, 1);
}

/* A machine may stand still for as long as anybody waits for another: who was refused after that asks again. */
static bool lasted_a_second(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - begin->tv_sec - (now.tv_nsec < begin->tv_nsec) >= 1;
}

static int wait_for_device_fd(int group, struct world_device *device)
{
	struct timespec begin;
	int fd;

	do {
		clock_gettime(CLOCK_MONOTONIC, &begin);
		fd = device_fd(group, device);
	} while (fd == -EBUSY && lasted_a_second(&begin));
	return fd;
}

static void *bind_and_close(void *arg)
{
	struct world_device *device = (uintptr_t)arg % 2 ? second : first;

	for (unsigned i = 0; i < rounds; i++) {
		int iommu = open_iommu();
		int cdev = open_cdev(device);
		uint32_t ioas = ioas_alloc(iommu);
		long rc = bind_device(cdev, iommu, NULL);

		CHECK(!rc || rc == -EINVAL || rc == -EPERM);
		count(!rc);
		if (!rc) {
			CHECK_EQ(attach(cdev, &ioas), 0);
			CHECK_EQ(call(cdev, VFIO_DEVICE_RESET, NULL), 0);
		}
		close_fd(i % 2 ? iommu : cdev);
		close_fd(i % 2 ? cdev : iommu);
	}
	return NULL;
}

static void one_of_many_binds_a_device(void)
{
	begin();
	run(bind_and_close);
	CHECK(atomic_load(&won));
	CHECK_EQ(atomic_load(&won), atomic_load(&first->counts.opened) + atomic_load(&second->counts.opened));
	CHECK_EQ(bind_device(open_cdev(first), open_iommu(), NULL), 0);
	world_end();
}

static int shared_cdev, shared_iommu, shared_group;

static void *bind_shared(void *arg)
{
	long rc = bind_device(shared_cdev, shared_iommu, NULL);

	(void)arg;
	CHECK(!rc || rc == -EINVAL);
	count(!rc);
	return NULL;
}

static void one_of_many_binds_a_file(void)
{
	for (unsigned i = 0; i < rounds / 4; i++) {
		begin();
		shared_cdev = open_cdev(first);
		shared_iommu = open_iommu();
		run(bind_shared);
		CHECK_EQ(atomic_load(&won), 1);
		CHECK_EQ(atomic_load(&first->counts.opened), 1);
		CHECK_EQ(call(shared_cdev, VFIO_DEVICE_RESET, NULL), 0);
		world_end();
	}
}

static void *get_and_close(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < rounds; i++) {
		int fd = wait_for_device_fd(shared_group, first);

		CHECK(fd >= 0);
		CHECK_EQ(call(fd, VFIO_DEVICE_RESET, NULL), 0);
		close_fd(fd);
	}
	return NULL;
}

/* Each of them gets a descriptor, whether it is the first of the device or not. */
static void many_share_a_device_of_a_group(void)
{
	begin();
	shared_group = open_group(1);
	CHECK_EQ(set_container(shared_group, open_iommu()), 0);
	run(get_and_close);
	CHECK(!first->device.user);
	world_end();
}

static pthread_t asker;

static void *ask_for_another(void *arg)
{
	(void)arg;
	CHECK(wait_for_device_fd(shared_group, first) >= 0);
	return NULL;
}

/* Another thread wants one before the first is there. */
static void ask_meanwhile(void)
{
	const struct timespec moment = {.tv_nsec = 50000000};

	world.before_install = NULL;
	CHECK_EQ(pthread_create(&asker, NULL, ask_for_another, NULL), 0);
	nanosleep(&moment, NULL);
	pthread_mutex_lock(&world.lock);
	CHECK_EQ(world_descriptors(&first->device.user->file), 1);
	pthread_mutex_unlock(&world.lock);
}

static void the_second_descriptor_comes_after_the_first(void)
{
	for (int denied = 0; denied < 2; denied++) {
		begin();
		shared_group = open_group(1);
		CHECK_EQ(set_container(shared_group, open_iommu()), 0);
		world.before_install = ask_meanwhile;
		atomic_store(&world.deny_install, denied);
		CHECK(denied ? device_fd(shared_group, first) == -EMFILE : device_fd(shared_group, first) >= 0);
		atomic_store(&world.deny_install, false);
		pthread_join(asker, NULL);
		CHECK(first->device.user != NULL);
		world_end();
	}
}

/* By the group, or by a file of its own. */
static void *open_either_way(void *arg)
{
	const uintptr_t number = (uintptr_t)arg;

	for (unsigned i = 0; i < rounds; i++) {
		int iommu = open_iommu();
		int group, device = -1;

		if ((number + i) % 2) {
			device = open_cdev(first);
			count(!bind_device(device, iommu, NULL));
		} else {
			group = open_group(1);
			CHECK(group >= 0 || group == -EBUSY);
			if (group >= 0 && !set_container(group, iommu)) {
				device = device_fd(group, first);
				CHECK(device >= 0 || device == -EBUSY || device == -EPERM);
				count(device >= 0);
			}
			if (i % 3)
				close_fd(group);
			close_fd(device);
			close_fd(i % 3 ? -1 : group);
			device = -1;
		}
		close_fd(device);
		close_fd(iommu);
	}
	return NULL;
}

static void groups_and_cdevs_exclude_each_other(void)
{
	begin();
	run(open_either_way);
	CHECK(atomic_load(&won));
	CHECK_EQ(atomic_load(&first->device.group->cdevs), 0);
	CHECK(open_group(1) >= 0);
	world_end();
}

static void *reset_bus_or_open(void *arg)
{
	union {
		struct vfio_pci_hot_reset_info head;
		unsigned char
			room[sizeof(struct vfio_pci_hot_reset_info) + 3 * sizeof(struct vfio_pci_dependent_device)];
	} info = {.head = {.argsz = sizeof(info)}};
	struct vfio_pci_hot_reset reset = {.argsz = sizeof(reset)};

	for (unsigned i = 0; i < rounds; i++) {
		int cdev;

		if (!arg) {
			count(!call(shared_cdev, VFIO_DEVICE_PCI_HOT_RESET, &reset));
			CHECK_EQ(call(shared_cdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
			CHECK_EQ(info.head.count, 3);
			continue;
		}
		cdev = open_cdev((uintptr_t)arg % 2 ? second : third);
		CHECK(bind_device(cdev, shared_iommu, NULL) != -EPERM);
		close_fd(cdev);
	}
	return NULL;
}

static void a_bus_is_reset_while_devices_come_and_go(void)
{
	begin();
	shared_iommu = open_iommu();
	shared_cdev = open_cdev(first);
	CHECK_EQ(bind_device(shared_cdev, shared_iommu, NULL), 0);
	run(reset_bus_or_open);
	world_end();
}

/* A device is given back by the last call that is at work with it, and who comes after the close waits for that. */

static atomic_bool waiting;

static void *bind_next(void *arg)
{
	struct timespec begin;
	long rc;

	do {
		clock_gettime(CLOCK_MONOTONIC, &begin);
		atomic_store(&waiting, true);
		rc = bind_device(*(int *)arg, shared_iommu, NULL);
	} while (rc == -EINVAL && lasted_a_second(&begin));
	CHECK_EQ(rc, 0);
	return NULL;
}

static void *open_next(void *arg)
{
	struct timespec begin;

	do {
		clock_gettime(CLOCK_MONOTONIC, &begin);
		atomic_store(&waiting, true);
		*(int *)arg = open_group(1);
	} while (*(int *)arg == -EBUSY && lasted_a_second(&begin));
	return NULL;
}

static struct file *close_in_a_call(int fd)
{
	struct file *file = NULL;

	CHECK_EQ(world_file(NULL, fd, &file), 0);
	close_fd(fd);
	return file;
}

static void who_comes_after_a_close_waits_for_it(void)
{
	struct file *file;
	pthread_t thread;
	int fd, group;

	begin();
	shared_iommu = open_iommu();
	fd = open_cdev(first);
	CHECK_EQ(bind_device(fd, shared_iommu, NULL), 0);
	file = close_in_a_call(fd);
	fd = open_cdev(first);
	atomic_store(&waiting, false);
	CHECK_EQ(pthread_create(&thread, NULL, bind_next, &fd), 0);
	while (!atomic_load(&waiting))
		sched_yield();
	file_put(file);
	pthread_join(thread, NULL);
	file = close_in_a_call(fd);
	atomic_store(&waiting, false);
	CHECK_EQ(pthread_create(&thread, NULL, open_next, &group), 0);
	while (!atomic_load(&waiting))
		sched_yield();
	file_put(file);
	pthread_join(thread, NULL);
	CHECK(group >= 0);
	world_end();
}

static void *bind_in_vain(void *arg)
{
	CHECK_EQ(bind_device(*(int *)arg, shared_iommu, NULL), -EINVAL);
	return NULL;
}

static void *open_in_vain(void *arg)
{
	(void)arg;
	CHECK_EQ(open_group(1), -EBUSY);
	return NULL;
}

/* But not for ever, as a client can make its calls last as long as it likes. */
static void who_comes_after_a_close_does_not_wait_for_ever(void)
{
	pthread_t one, two;
	struct file *file;
	int fd;

	begin();
	shared_iommu = open_iommu();
	fd = open_cdev(first);
	CHECK_EQ(bind_device(fd, shared_iommu, NULL), 0);
	file = close_in_a_call(fd);
	fd = open_cdev(first);
	CHECK_EQ(pthread_create(&one, NULL, bind_in_vain, &fd), 0);
	CHECK_EQ(pthread_create(&two, NULL, open_in_vain, NULL), 0);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	file_put(file);
	CHECK_EQ(bind_device(fd, shared_iommu, NULL), 0);
	world_end();
}

int main(void)
{
	if (getenv("IOMMUSE_TEST_LONG"))
		rounds *= 5;
	one_of_many_binds_a_device();
	one_of_many_binds_a_file();
	many_share_a_device_of_a_group();
	the_second_descriptor_comes_after_the_first();
	groups_and_cdevs_exclude_each_other();
	a_bus_is_reset_while_devices_come_and_go();
	who_comes_after_a_close_waits_for_it();
	who_comes_after_a_close_does_not_wait_for_ever();
	return check_result();
}

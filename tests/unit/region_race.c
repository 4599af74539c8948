/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads that access all regions of a device at once, reset it, and add and remove eventfds that write registers. */
#include "fake_vfio.h"

#include <sys/eventfd.h>
#include <sys/mman.h>

enum { THREADS = 4, STEPS = 3000 };

struct thread {
	pthread_t thread;
	struct fake fake;
	uint64_t seed;
	int fd;
};

static uint64_t any(struct thread *t)
{
	t->seed ^= t->seed << 13;
	t->seed ^= t->seed >> 7;
	t->seed ^= t->seed << 17;
	return t->seed >> 8;
}

static void access_region(struct thread *t)
{
	static const unsigned regions[] = {0, 2, 4, VFIO_PCI_CONFIG_REGION_INDEX};
	const unsigned index = regions[any(t) % ARRAY(regions)];
	const uint64_t size = index == VFIO_PCI_CONFIG_REGION_INDEX ? 256 : 0x1000;
	const uint64_t offset = any(t) % size;
	const size_t n = any(t) % (size - offset < 700 ? size - offset + 1 : 700);
	const uaddr_t buf = uaddr(fake_at(&t->fake, 0));
	ssize_t rc;

	if (any(t) % 2) {
		rc = device_read(dfile, &t->fake.client, buf, n, REGION(index) + offset);
	} else {
		for (size_t i = 0; i < 16; i++)
			t->fake.memory[i] = (unsigned char)any(t);
		rc = device_write(dfile, &t->fake.client, buf, n, REGION(index) + offset);
	}
	CHECK(rc == (ssize_t)n || rc == -EIO);
}

static void change_ioeventfd(struct thread *t)
{
	struct vfio_device_ioeventfd cmd = {.argsz = sizeof(cmd),
					    .flags = VFIO_DEVICE_IOEVENTFD_32,
					    .offset = REGION(any(t) % 2 ? 2 : 4) + any(t) % 4 * 4,
					    .fd = any(t) % 2 ? t->fd : -1};
	int rc;

	memcpy(t->fake.memory, &cmd, sizeof(cmd));
	rc = device_ioeventfd(dfile, &t->fake.client, uaddr(fake_at(&t->fake, 0)));
	CHECK(rc == 0 || rc == -EEXIST || rc == -ENODEV);
	CHECK_EQ(eventfd_write(t->fd, 1), 0);
}

static void map_area(struct thread *t)
{
	struct file_region *region;

	CHECK_EQ(device_mmap(dfile, &t->fake.client, 0x1000, PROT_READ, MAP_SHARED, REGION(2), &region), 0);
	CHECK_EQ(region->length, 0x4000);
	file_region_put(region);
}

static void *run(void *context)
{
	struct thread *t = context;

	for (unsigned i = 0; i < STEPS; i++) {
		switch (any(t) % 16) {
		case 0:
			change_ioeventfd(t);
			break;
		case 1:
			map_area(t);
			break;
		case 2:
			CHECK_EQ(device_reset(dfile, &t->fake.client, uaddr(0)), 0);
			break;
		default:
			access_region(t);
		}
	}
	return NULL;
}

int main(void)
{
	static struct thread threads[THREADS];
	uint8_t before[PCI_CONFIG_SIZE];

	vfio_begin();
	others_lock = true;
	memcpy(before, vdev.config.byte, sizeof(before));
	for (unsigned i = 0; i < THREADS; i++) {
		fake_init(&threads[i].fake);
		threads[i].fake.client.ops = &vfio_client_ops;
		threads[i].seed = 0x9e3779b97f4a7c15 * (i + 1);
		threads[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		CHECK_EQ(pthread_create(&threads[i].thread, NULL, run, &threads[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	for (unsigned i = 0; i < PCI_CONFIG_SIZE; i++)
		CHECK_EQ((vdev.config.byte[i] ^ before[i]) & ~vdev.config.writable[i], 0);
	vfio_end();
	for (unsigned i = 0; i < THREADS; i++)
		close(threads[i].fd);
	return check_result();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A device whose model notes each access, open, and a client of it whose memory is an array. */
#ifndef IOMMUSE_TESTS_FAKE_VFIO_H
#define IOMMUSE_TESTS_FAKE_VFIO_H

#include "abi/vfio.h"
#include "check.h"
#include "client/eventfd.h"
#include "client/local_region.h"
#include "fake_client.h"
#include "iommufd/iommufd.h"
#include "vfio/device_file.h"

#include <fcntl.h>
#include <semaphore.h>
#include <unistd.h>

#define MEBIBYTE    UINT64_C(0x100000)
#define REGION(i)   ((uint64_t)(i) << 40)
#define CONFIG      REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define ARRAY(a)    (sizeof(a) / sizeof(*(a)))
#define TRAPPED_BAR 4U

enum { ACCESSES = 4096, VECTORS = 5, TABLE = 0x3400, PBA = 0x3800 };

struct access_made {
	bool write;
	unsigned bar, width;
	uint64_t offset, value;
};

static struct {
	struct access_made made[ACCESSES];
	unsigned count;
	unsigned resets;
	atomic_uint kicks;
	sem_t *written;  /* posted after a write; NULL: nothing is */
	uint64_t answer; /* of a read, but for its width */
} model_saw;

static uint64_t fake_model_read(void *state, unsigned bar, uint64_t offset, unsigned width)
{
	CHECK(state == &model_saw);
	CHECK(bar < 6 && offset % width == 0);
	if (model_saw.count < ACCESSES)
		model_saw.made[model_saw.count++] = (struct access_made){false, bar, width, offset, 0};
	return model_saw.answer;
}

static void fake_model_write(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	CHECK(state == &model_saw);
	CHECK(bar < 6 && offset % width == 0);
	CHECK(width == 8 || !(value >> 8 * width));
	if (model_saw.count < ACCESSES)
		model_saw.made[model_saw.count++] = (struct access_made){true, bar, width, offset, value};
	if (model_saw.written)
		sem_post(model_saw.written);
}

static void fake_model_reset(void *state)
{
	CHECK(state == &model_saw);
	model_saw.resets++;
}

/* BAR 0: mapped pages with trapped ones between them, and the vectors. BAR 2: all mapped. BAR 4: all trapped. */
static const struct iommuse_model fake_model = {
	.struct_size = sizeof(fake_model),
	.api_version = IOMMUSE_DEVICE_API,
	.name = "fake",
	.vendor = 0x1234,
	.device = 0x5678,
	.class_code = 0xff0000,
	.bar = {[0] = {.size = 0x8000, .area = {{0x1000, 0x2000}, {0x6000, 0x1000}}},
		[2] = {.size = 0x4000, .wide = true, .area = {{0, 0x4000}}},
		[4] = {.size = 0x1000}},
	.intx = true,
	.msi_vectors = 8,
	.msix_vectors = VECTORS,
	.msix_bar = 0,
	.msix_table = TABLE,
	.msix_pba = PBA,
	.pasid_bits = 20,
	.reset = fake_model_reset,
	.read = fake_model_read,
	.write = fake_model_write,
};

static int fake_opened(struct vfio_device *device)
{
	(void)device;
	return 0;
}

static void fake_closing(struct vfio_device *device)
{
	(void)device;
}

static void fake_kick(struct vfio_device *device)
{
	CHECK(device->state == &model_saw);
	atomic_fetch_add(&model_saw.kicks, 1);
}

static const struct vfio_device_hooks fake_hooks = {.opened = fake_opened, .closing = fake_closing, .kick = fake_kick};

static struct iommufd_config vfio_config;
static struct vfio vfio;
static struct vfio_device vdev;
static struct device_file *dfile;
static struct fake fake;
static struct client_ops vfio_client_ops;
static bool others_lock; /* other threads hold locks as well */

/* No lock is held while a client is waited for. */
static void expect_unlocked(void)
{
	if (others_lock)
		return;
	CHECK_EQ(pthread_mutex_trylock(&vdev.lock), 0);
	CHECK_EQ(pthread_mutex_trylock(&vdev.model_lock), 0);
	pthread_mutex_unlock(&vdev.model_lock);
	pthread_mutex_unlock(&vdev.lock);
}

static size_t unlocked_read(struct client *client, void *dst, uaddr_t src, size_t n)
{
	expect_unlocked();
	return fake_read(client, dst, src, n);
}

static int unlocked_copy_out(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	expect_unlocked();
	return fake_copy_out(client, dst, src, n);
}

static int unlocked_eventfd(struct client *client, int fd, int *own_fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	(void)client;
	expect_unlocked();
	return own < 0 ? -EBADF : eventfd_check(own, own_fd);
}

static inline void vfio_begin(void)
{
	fake_init(&fake);
	memset(&model_saw, 0, sizeof(model_saw));
	vfio_client_ops = fake_ops;
	vfio_client_ops.read = unlocked_read;
	vfio_client_ops.copy_out = unlocked_copy_out;
	vfio_client_ops.region_new = local_region_new;
	vfio_client_ops.eventfd = unlocked_eventfd;
	fake.client.ops = &vfio_client_ops;
	vfio_init(&vfio, &vfio_config);
	vdev = (struct vfio_device){
		.model = &fake_model, .state = &model_saw, .hooks = &fake_hooks, .name = "0000:01:00.0", .bus = 1};
	CHECK_EQ(vfio_add_device(&vfio, &vdev, UINT32_MAX), 0);
	dfile = device_file_new(&vdev, false);
	pthread_mutex_lock(&vdev.lock);
	CHECK_EQ(device_start(dfile, &fake.client), 0);
	vdev.user = dfile;
	pthread_mutex_unlock(&vdev.lock);
	model_saw.resets = 0;
}

static inline void vfio_end(void)
{
	pthread_mutex_lock(&vdev.lock);
	device_stop(&vdev);
	vdev.user = NULL;
	pthread_mutex_unlock(&vdev.lock);
	free(dfile);
	vfio_remove_device(&vfio, &vdev);
	vfio_fini(&vfio);
}

/* By the client, from or to its memory at an offset. */
static inline ssize_t rd(uint64_t pos, size_t at, size_t n)
{
	return device_read(dfile, &fake.client, uaddr(fake_at(&fake, at)), n, pos);
}

static inline ssize_t wr(uint64_t pos, size_t at, size_t n)
{
	return device_write(dfile, &fake.client, uaddr(fake_at(&fake, at)), n, pos);
}

/* Values of up to 8 bytes. */
static inline uint64_t get(uint64_t pos, size_t n)
{
	uint64_t value = 0;

	CHECK_EQ(rd(pos, 0, n), n);
	memcpy(&value, fake.memory, n);
	return value;
}

static inline void put(uint64_t pos, size_t n, uint64_t value)
{
	memcpy(fake.memory, &value, n);
	CHECK_EQ(wr(pos, 0, n), n);
}

/* A command whose structure goes to the beginning of the client's memory and comes back from there. */
#define COMMAND(call, arg)                                                                                             \
	({                                                                                                             \
		memcpy(fake.memory, &(arg), sizeof(arg));                                                              \
		int rc_ = (call)(dfile, &fake.client, uaddr(fake_at(&fake, 0)));                                       \
		memcpy(&(arg), fake.memory, sizeof(arg));                                                              \
		rc_;                                                                                                   \
	})

#endif

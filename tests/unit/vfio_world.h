/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A system of devices of a model that only counts, and a client in this process with a table of descriptors: numbers
 * that several threads may open, duplicate and close.
 */
#ifndef IOMMUSE_TESTS_VFIO_WORLD_H
#define IOMMUSE_TESTS_VFIO_WORLD_H

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "check.h"
#include "client/file.h"
#include "client/local.h"
#include "iommufd/ctx.h"
#include "vfio/compat.h"
#include "vfio/device_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FDS   64
#define PAGE  UINT64_C(4096)
#define BAR   UINT32_C(16384) /* bytes of BAR 0, of which the first two pages are an area */
#define AREA  UINT32_C(8192)
#define IOVA  UINT64_C(0x100000)
#define WORDS (PAGE / sizeof(uint64_t))

/* What happened to a device. */
struct counts {
	atomic_uint created, resets, opened, closing;
	atomic_bool dirty_at_reset; /* an area was not cleared before */
	/* DMA to IOVA worked while it was being closed */
	atomic_bool closing_works;
};

struct world_device {
	struct vfio_device device;
	struct counts counts;
};

struct world_fd {
	struct file *file;
	bool reserved;
};

static struct {
	struct iommufd_config config;
	struct vfio vfio;
	struct local local;
	pthread_mutex_t lock; /* guards fds and descriptors of files */
	struct world_fd fds[FDS];
	int o_flags; /* of the last that was installed */
	atomic_bool deny_reserve, deny_install, deny_region, deny_poll;
	void (*after_reserve)(void), (*before_install)(void);
} world;

/* The client's descriptors. A reserved number counts as one of its file. */

static int world_file(void *context, int fd, struct file **file)
{
	int rc = -EBADF;

	(void)context;
	pthread_mutex_lock(&world.lock);
	if (fd >= 0 && fd < FDS && world.fds[fd].file && !world.fds[fd].reserved) {
		*file = file_get(world.fds[fd].file);
		rc = 0;
	}
	pthread_mutex_unlock(&world.lock);
	return rc;
}

static unsigned world_descriptors(const struct file *file)
{
	unsigned count = 0;

	for (int fd = 0; fd < FDS; fd++)
		count += world.fds[fd].file == file;
	return count;
}

static int world_fd_reserve(void *context, struct file *file)
{
	int rc = -EMFILE;

	(void)context;
	if (atomic_load(&world.deny_reserve))
		return rc;
	pthread_mutex_lock(&world.lock);
	/* descriptors: 1: it has had some */
	if (file->descriptors && !world_descriptors(file))
		rc = -ENOENT;
	for (int fd = 0; fd < FDS && rc == -EMFILE; fd++) {
		if (world.fds[fd].file)
			continue;
		world.fds[fd] = (struct world_fd){file, true};
		rc = fd;
	}
	pthread_mutex_unlock(&world.lock);
	if (rc >= 0 && world.after_reserve)
		world.after_reserve();
	return rc;
}

static void world_drop(int fd, bool reserved)
{
	struct file *file = NULL;
	bool last = false;

	pthread_mutex_lock(&world.lock);
	if (world.fds[fd].file && world.fds[fd].reserved == reserved) {
		file = world.fds[fd].file;
		world.fds[fd].file = NULL;
		last = !world_descriptors(file) && file->descriptors;
	}
	pthread_mutex_unlock(&world.lock);
	if (last && file->ops->closed)
		file->ops->closed(file);
	if (file && !reserved)
		file_put(file);
}

static int world_fd_install(void *context, int fd, struct file *file, int o_flags)
{
	(void)context;
	if (world.before_install)
		world.before_install();
	if (atomic_exchange(&world.deny_install, false)) { /* the next one only: others may be waiting */
		world_drop(fd, true);
		file_put(file);
		return -EMFILE;
	}
	pthread_mutex_lock(&world.lock);
	world.fds[fd].reserved = false;
	file->descriptors = 1;
	world.o_flags = o_flags;
	pthread_mutex_unlock(&world.lock);
	return 0;
}

static void world_fd_unreserve(void *context, int fd, struct file *file)
{
	(void)context;
	(void)file;
	world_drop(fd, true);
}

static const struct local_files world_files = {world_file, world_fd_reserve, world_fd_install, world_fd_unreserve};

/* Consumes the reference. */
static inline int fd_for(struct file *file)
{
	int fd = world_fd_reserve(NULL, file);

	return fd < 0 ? fd : (world_fd_install(NULL, fd, file, O_RDWR), fd);
}

static inline void close_fd(int fd)
{
	if (fd >= 0)
		world_drop(fd, false);
}

static inline int dup_fd(int fd)
{
	struct file *file;
	int rc = world_file(NULL, fd, &file);

	return rc ? rc : fd_for(file);
}

/* Calls */

static int no_region(struct client *client, struct file *file, uint64_t offset, uint64_t length,
		     struct file_region **region)
{
	(void)client;
	(void)file;
	(void)offset;
	(void)length;
	(void)region;
	return -ENFILE;
}

/* One of a call; ops is room for its own. */
static inline void world_client(struct local_client *client, struct client_ops *ops, int fd)
{
	local_client_init(client, &world.local, fd);
	if (!atomic_load(&world.deny_region))
		return;
	*ops = *client->client.ops;
	ops->region_new = no_region;
	client->client.ops = ops;
}

static inline long call(int fd, unsigned cmd, const void *arg)
{
	struct local_client client;
	struct client_ops ops;
	struct file *file;
	long rc = world_file(NULL, fd, &file);

	if (rc)
		return rc;
	world_client(&client, &ops, fd);
	rc = file->ops->ioctl ? file->ops->ioctl(file, &client.client, cmd, (uintptr_t)arg) : -ENOTTY;
	file_put(file);
	return rc;
}

static inline ssize_t read_fd(int fd, void *buf, size_t n, uint64_t pos)
{
	struct local_client client;
	struct file *file;
	ssize_t rc = world_file(NULL, fd, &file);

	if (rc)
		return rc;
	local_client_init(&client, &world.local, fd);
	rc = file->ops->read ? file->ops->read(file, &client.client, uaddr((uintptr_t)buf), n, pos) : -EINVAL;
	file_put(file);
	return rc;
}

static inline ssize_t write_fd(int fd, const void *buf, size_t n, uint64_t pos)
{
	struct local_client client;
	struct file *file;
	ssize_t rc = world_file(NULL, fd, &file);

	if (rc)
		return rc;
	local_client_init(&client, &world.local, fd);
	rc = file->ops->write ? file->ops->write(file, &client.client, uaddr((uintptr_t)buf), n, pos) : -EINVAL;
	file_put(file);
	return rc;
}

static inline int mmap_fd(int fd, uint64_t length, uint64_t offset, struct file_region **region)
{
	struct local_client client;
	struct file *file;
	int rc = world_file(NULL, fd, &file);

	if (rc)
		return rc;
	local_client_init(&client, &world.local, fd);
	rc = file->ops->mmap
		     ? file->ops->mmap(file, &client.client, length, PROT_READ | PROT_WRITE, MAP_SHARED, offset, region)
		     : -ENODEV;
	file_put(file);
	return rc;
}

static inline int open_iommu(void)
{
	struct file *file;

	return iommufd_open(&world.config, false, &file) ? -ENOMEM : fd_for(file);
}

static inline int open_container(void)
{
	struct file *file;

	return iommufd_open(&world.config, true, &file) ? -ENOMEM : fd_for(file);
}

static inline int open_group(uint32_t id)
{
	struct file *file;
	int rc = vfio_group_open(&world.vfio, vfio_find_group(&world.vfio, id), &file);

	return rc ? rc : fd_for(file);
}

static inline int open_cdev(struct world_device *device)
{
	struct file *file;
	int rc = vfio_cdev_open(&world.vfio, &device->device, &file);

	return rc ? rc : fd_for(file);
}

static inline long set_container(int group, int container)
{
	int32_t fd = container;

	return call(group, VFIO_GROUP_SET_CONTAINER, &fd);
}

static inline int device_fd(int group, const struct world_device *device)
{
	return (int)call(group, VFIO_GROUP_GET_DEVICE_FD, device->device.name);
}

static inline long status(int group)
{
	struct vfio_group_status cmd = {.argsz = sizeof(cmd)};
	long rc = call(group, VFIO_GROUP_GET_STATUS, &cmd);

	return rc ? rc : cmd.flags;
}

static inline long bind_device(int cdev, int iommu, uint32_t *id)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd), .iommufd = iommu};
	long rc = call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (id)
		*id = cmd.out_devid;
	return rc;
}

static inline long attach(int cdev, uint32_t *pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd), .pt_id = *pt};
	long rc = call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	*pt = cmd.pt_id;
	return rc;
}

static inline long attach_pasid(int cdev, uint32_t pasid, uint32_t *pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = VFIO_DEVICE_ATTACH_PASID, .pt_id = *pt, .pasid = pasid};
	long rc = call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	*pt = cmd.pt_id;
	return rc;
}

static inline long detach(int cdev)
{
	struct vfio_device_detach_iommufd_pt cmd = {.argsz = sizeof(cmd)};

	return call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static inline long detach_pasid(int cdev, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = pasid};

	return call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static inline uint32_t ioas_alloc(int iommu)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	CHECK_EQ(call(iommu, IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static inline long hwpt_alloc(int iommu, uint32_t device, uint32_t ioas, uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd), .flags = flags, .dev_id = device, .pt_id = ioas};
	long rc = call(iommu, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

static inline long destroy(int iommu, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return call(iommu, IOMMU_DESTROY, &cmd);
}

/* The IOAS of VFIO's commands; -ENODEV: none. */
static inline long compat_ioas(int iommu)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_GET};
	long rc = call(iommu, IOMMU_VFIO_IOAS, &cmd);

	return rc ? rc : cmd.ioas_id;
}

static inline long compat_set(int iommu, uint16_t op, uint32_t ioas)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd), .op = op, .ioas_id = ioas};

	return call(iommu, IOMMU_VFIO_IOAS, &cmd);
}

static inline long map(int iommu, uint32_t ioas, const void *memory, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					      IOMMU_IOAS_MAP_WRITEABLE,
				     .ioas_id = ioas,
				     .user_va = (uintptr_t)memory,
				     .length = length,
				     .iova = iova};

	return call(iommu, IOMMU_IOAS_MAP, &cmd);
}

/* What the device reads by DMA; -EFAULT: nothing. */
static inline int dma_peek(struct vfio_device *device, uint32_t pasid, uint64_t iova, uint64_t *value)
{
	int rc;

	pthread_mutex_lock(&device->model_lock);
	rc = dma_read(&device->dma, pasid, iova, value, sizeof(*value), NULL);
	pthread_mutex_unlock(&device->model_lock);
	return rc;
}

static inline int dma_works(struct world_device *device)
{
	uint64_t value;

	return !dma_peek(&device->device, NO_PASID, IOVA, &value);
}

/* Devices */

static void model_reset(void *state)
{
	struct world_device *device = state;
	const uint8_t *memory = device->device.memory[0];

	atomic_fetch_add(&device->counts.resets, 1);
	for (unsigned i = 0; memory && i < AREA; i++)
		if (memory[i])
			atomic_store(&device->counts.dirty_at_reset, true);
}

static int hook_opened(struct vfio_device *device)
{
	struct counts *counts = &((struct world_device *)device->owner)->counts;

	if (atomic_load(&world.deny_poll))
		return -EAGAIN;
	CHECK_EQ(atomic_fetch_add(&counts->opened, 1), atomic_load(&counts->closing));
	CHECK(device->memory[0]);
	return 0;
}

static void hook_closing(struct vfio_device *device)
{
	struct counts *counts = &((struct world_device *)device->owner)->counts;
	uint64_t value;

	CHECK_EQ(atomic_fetch_add(&counts->closing, 1) + 1, atomic_load(&counts->opened));
	CHECK(device->memory[0]);
	atomic_store(&counts->closing_works, !dma_peek(device, NO_PASID, IOVA, &value));
}

static const struct iommuse_model world_model = {
	.struct_size = sizeof(world_model),
	.api_version = IOMMUSE_DEVICE_API,
	.name = "counter",
	.vendor = 0x1234,
	.device = 0x5678,
	.bar = {{.size = BAR, .area = {{0, AREA}}}},
	.msix_vectors = 4,
	.msix_table = 0x2000,
	.msix_pba = 0x3000,
	.pasid_bits = 8,
	.reset = model_reset,
};

static const struct iommuse_model world_model_without_pasid = {
	.struct_size = sizeof(world_model),
	.api_version = IOMMUSE_DEVICE_API,
	.name = "counter",
	.bar = {{.size = BAR, .area = {{0, AREA}}}},
	.intx = true,
	.reset = model_reset,
};

static const struct vfio_device_hooks world_hooks = {.opened = hook_opened, .closing = hook_closing};

static inline struct world_device *add_device(const struct iommuse_model *model, uint8_t bus, uint8_t devfn,
					      uint32_t group)
{
	struct world_device *d = calloc(1, sizeof(*d));

	d->device.model = model;
	d->device.state = d;
	d->device.owner = d;
	d->device.hooks = &world_hooks;
	d->device.bus = bus;
	d->device.devfn = devfn;
	snprintf(d->device.name, sizeof(d->device.name), "0000:%02x:%02x.%u", bus, devfn >> 3, devfn & 7U);
	CHECK_EQ(vfio_add_device(&world.vfio, &d->device, group), 0);
	return d;
}

static inline void remove_device(struct world_device *device)
{
	CHECK(!device->device.user);
	CHECK(!device->device.memory[0]);
	CHECK_EQ(atomic_load(&device->counts.opened), atomic_load(&device->counts.closing));
	CHECK(!atomic_load(&device->counts.dirty_at_reset));
	vfio_remove_device(&world.vfio, &device->device);
	free(device);
}

static inline void world_begin(void)
{
	memset(&world, 0, sizeof(world));
	world.config.compat = &vfio_compat;
	world.local.kind = LOCAL_CHECKED;
	world.local.files = &world_files;
	CHECK_EQ(local_init(&world.local), 0);
	pthread_mutex_init(&world.lock, NULL);
	vfio_init(&world.vfio, &world.config);
}

/* Whatever is open is closed, in the order of numbers. */
static inline void world_end(void)
{
	for (int fd = 0; fd < FDS; fd++)
		close_fd(fd);
	while (world.vfio.devices)
		remove_device(world.vfio.devices->owner);
	CHECK(!world.vfio.groups);
	vfio_fini(&world.vfio);
	pthread_mutex_destroy(&world.lock);
	local_fini(&world.local);
}

static inline uint64_t *memory_new(void)
{
	uint64_t *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio/device_file.h"

#include "abi/vfio.h"
#include "base/event.h"
#include "iommufd/device.h"
#include "iommufd/ioas_object.h"
#include "vfio/announce.h"
#include "vfio/bond.h"

#include <stdlib.h>

struct device_entry {
	unsigned cmd;
	bool cdev; /* only of files of the device's own */
	device_command *handle;
};

static const struct device_entry commands[] = {
	{VFIO_DEVICE_GET_INFO, false, device_get_info},
	{VFIO_DEVICE_GET_REGION_INFO, false, device_get_region_info},
	{VFIO_DEVICE_GET_IRQ_INFO, false, device_get_irq_info},
	{VFIO_DEVICE_SET_IRQS, false, device_set_irqs},
	{VFIO_DEVICE_RESET, false, device_reset},
	{VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, false, device_get_pci_hot_reset_info},
	{VFIO_DEVICE_PCI_HOT_RESET, false, device_pci_hot_reset},
	{VFIO_DEVICE_IOEVENTFD, false, device_ioeventfd},
	{VFIO_DEVICE_FEATURE, false, device_feature},
	{VFIO_DEVICE_BIND_IOMMUFD, false, cdev_bind},
	{VFIO_DEVICE_ATTACH_IOMMUFD_PT, true, cdev_attach},
	{VFIO_DEVICE_DETACH_IOMMUFD_PT, true, cdev_detach},
};

static const struct device_entry *find_command(unsigned cmd)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (commands[i].cmd == cmd)
			return &commands[i];
	return NULL;
}

static bool is_bound(const struct device_file *file)
{
	return atomic_load_explicit(&file->bound, memory_order_acquire);
}

static long call(struct device_file *file, const struct device_entry *entry, struct client *client, uaddr_t arg)
{
	if (entry && entry->cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return cdev_bind(file, client, arg);
	if (!is_bound(file))
		return -EINVAL;
	if (!entry || (entry->cdev && file->from_group))
		return -ENOTTY;
	return entry->handle(file, client, arg);
}

static long device_file_ioctl(struct file *f, struct client *client, unsigned cmd, uint64_t arg)
{
	struct device_file *file = device_file_of(f);
	const struct device_entry *entry = find_command(cmd);
	const long rc = call(file, entry, client, uaddr(arg));

	if (event_wanted(file->device->vfio->config->events))
		vfio_announce_call(file->device->vfio->config->events, f, client, cmd, arg, rc);
	return rc;
}

static ssize_t device_file_read(struct file *f, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	struct device_file *file = device_file_of(f);

	return is_bound(file) ? device_read(file, client, buf, count, pos) : -EINVAL;
}

static ssize_t device_file_write(struct file *f, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	struct device_file *file = device_file_of(f);

	return is_bound(file) ? device_write(file, client, buf, count, pos) : -EINVAL;
}

static int device_file_mmap(struct file *f, struct client *client, uint64_t length, int prot, int flags,
			    uint64_t offset, struct file_region **region)
{
	struct device_file *file = device_file_of(f);

	return is_bound(file) ? device_mmap(file, client, length, prot, flags, offset, region) : -EINVAL;
}

/* Possibly under locks of who has found it out. */
static void device_file_closed(struct file *file)
{
	atomic_store(&device_file_of(file)->closed, true);
}

static void device_file_release(struct file *f)
{
	struct device_file *file = device_file_of(f);
	struct vfio_device *device = file->device;
	struct ctx *ctx = NULL;

	if (device_is_taken(file)) {
		ctx = device_file_shut(file);
		/* Before anybody is told that the device is free. */
		if (!file->from_group)
			atomic_fetch_sub(&device->group->cdevs, 1);
		device_give_back(file);
	}
	free(file);
	if (ctx)
		file_put(&ctx->file);
}

const struct file_ops device_file_ops = {
	.name = "anon_inode:[vfio-device]",
	.device = true,
	.ioctl = device_file_ioctl,
	.read = device_file_read,
	.write = device_file_write,
	.mmap = device_file_mmap,
	.closed = device_file_closed,
	.release = device_file_release,
};

struct device_file *device_file_new(struct vfio_device *device, bool from_group)
{
	struct device_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file_init(&file->file, &device_file_ops);
	file->file.serial = atomic_fetch_add_explicit(&device->vfio->config->file_serial, 1, memory_order_relaxed) + 1;
	file->device = device;
	file->from_group = from_group;
	return file;
}

static int attach_to_compat_ioas(struct device *device)
{
	struct ioas_object *ioas = compat_ioas_get(device->object.ctx);
	uint32_t id;

	if (!ioas)
		return -ENODEV;
	id = ioas->object.id;
	ioas_put(ioas);
	return device_attach(device, NO_PASID, &id);
}

static int bind_and_start(struct device_file *file, struct ctx *ctx, struct client *client)
{
	int rc = device_bind(ctx, &file->device->iommu, client, &file->iommufd);

	if (rc)
		return rc;
	if (file->from_group)
		rc = attach_to_compat_ioas(file->iommufd);
	if (!rc && file->from_group)
		rc = bonds_add_device(ctx, file->device);
	if (rc)
		goto out_unbind;
	rc = device_start(file, client);
	if (!rc)
		return 0;
	if (file->from_group)
		bonds_remove_device(ctx, file->device);

out_unbind:
	device_unbind(file->iommufd);
	return rc;
}

int device_file_open(struct device_file *file, struct ctx *ctx, struct client *client)
{
	struct vfio_device *device = file->device;
	int rc;

	atomic_store(&file->opener, client->pid);
	pthread_mutex_lock(&device->lock);
	rc = bind_and_start(file, ctx, client);
	if (!rc) {
		file_get(&ctx->file);
		file->ctx = ctx;
	}
	pthread_mutex_unlock(&device->lock);
	if (rc)
		device_give_back(file);
	return rc;
}

struct ctx *device_file_shut(struct device_file *file)
{
	struct vfio_device *device = file->device;
	struct ctx *ctx = file->ctx;

	pthread_mutex_lock(&device->lock);
	device_stop(device);
	if (file->from_group)
		bonds_remove_device(ctx, device);
	device_unbind(file->iommufd);
	cdev_release_pasids(file);
	file->ctx = NULL;
	pthread_mutex_unlock(&device->lock);
	return ctx;
}

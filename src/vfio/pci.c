/* SPDX-License-Identifier: BSD-3-Clause */
/* A PCI device of a file: what it has, its memory, and its resets. */
#include "abi/vfio.h"
#include "vfio/device_file.h"
#include "vfio/pci_region.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE (1U << 20)

int device_get_info(struct device_file *file, struct client *client, uaddr_t arg)
{
	const size_t min = offsetof(struct vfio_device_info, cap_offset);
	struct vfio_device_info info = {0};

	(void)file;
	if (client_copy_in(client, &info, arg, min))
		return -EFAULT;
	if (info.argsz < min)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return client_copy_out(client, arg, &info, info.argsz < sizeof(info) ? info.argsz : sizeof(info));
}

/* A large piece is given back rather than written: most of it was never touched. */
static void clear(uint8_t *memory, size_t length)
{
	if (length < LARGE || madvise(memory, length, MADV_REMOVE) < 0)
		memset(memory, 0, length);
}

static void clear_memory(struct vfio_device *device)
{
	for (unsigned bar = 0; bar < IOMMUSE_BARS; bar++) {
		const struct iommuse_area *area = device->model->bar[bar].area;

		for (unsigned i = 0; device->memory[bar] && i < IOMMUSE_AREAS && area[i].length; i++)
			clear(device->memory[bar] + area[i].offset, area[i].length);
	}
}

static void put_regions(struct file_region **region)
{
	for (unsigned bar = 0; bar < IOMMUSE_BARS; bar++) {
		if (!region[bar])
			continue;
		if (region[bar]->withdraw)
			region[bar]->withdraw(region[bar]);
		file_region_put(region[bar]);
	}
}

static int make_regions(struct device_file *file, struct client *client, struct file_region **region)
{
	const struct iommuse_bar *bar = file->device->model->bar;
	int rc = 0;

	for (unsigned i = 0; i < IOMMUSE_BARS && !rc; i++)
		if (bar[i].size && bar[i].area[0].length)
			rc = client->ops->region_new(client, &file->file, (uint64_t)i << REGION_SHIFT, bar[i].size,
						     &region[i]);
	if (rc)
		put_regions(region);
	return rc;
}

/* Back to power-on, without memory. */
static void power_off(struct vfio_device *device)
{
	struct file_region *region[IOMMUSE_BARS];

	irqs_disable(device);
	device->low_power = false;
	pthread_mutex_lock(&device->model_lock);
	clear_memory(device);
	device->model->reset(device->state);
	pci_config_reset(&device->config, device->model);
	for (unsigned bar = 0; bar < IOMMUSE_BARS; bar++) {
		region[bar] = device->region[bar];
		device->region[bar] = NULL;
		device->memory[bar] = NULL;
	}
	pthread_mutex_unlock(&device->model_lock);
	put_regions(region);
}

int device_start(struct device_file *file, struct client *client)
{
	struct vfio_device *device = file->device;
	struct file_region *region[IOMMUSE_BARS] = {NULL};
	int rc = make_regions(file, client, region);

	if (rc)
		return rc;
	irqs_disable(device);
	pthread_mutex_lock(&device->model_lock);
	for (unsigned bar = 0; bar < IOMMUSE_BARS; bar++) {
		device->region[bar] = region[bar];
		device->memory[bar] = region[bar] ? region[bar]->memory : NULL;
	}
	pci_config_reset(&device->config, device->model);
	device->model->reset(device->state);
	pthread_mutex_unlock(&device->model_lock);
	rc = device->hooks ? device->hooks->opened(device) : 0;
	if (rc)
		power_off(device);
	return rc;
}

void device_stop(struct vfio_device *device)
{
	device_forget_ioeventfds(device);
	irqs_disable(device); /* who unmasks may poll */
	if (device->hooks)
		device->hooks->closing(device);
	power_off(device);
}

/* Interrupts stay what they are, as most of configuration space does. */
void device_reset_now(struct vfio_device *device)
{
	pthread_mutex_lock(&device->model_lock);
	clear_memory(device);
	pci_config_restore(&device->config);
	device->model->reset(device->state);
	pthread_mutex_unlock(&device->model_lock);
}

int device_reset(struct device_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_device *device = file->device;

	(void)client;
	(void)arg;
	pthread_mutex_lock(&device->lock);
	device_reset_now(device);
	pthread_mutex_unlock(&device->lock);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO_DEVICE_FEATURE. There are the features of a PCI device without virtual functions, migration and dirty pages of
 * its own, under a kernel without CONFIG_VFIO_PCI_DMABUF.
 */
#include "abi/vfio.h"
#include "client/client.h"
#include "client/eventfd.h"
#include "vfio/device_file.h"

#include <errno.h>

#define OPERATIONS  ((uint32_t)VFIO_DEVICE_FEATURE_GET | (uint32_t)VFIO_DEVICE_FEATURE_SET)
#define KNOWN_FLAGS ((uint32_t)VFIO_DEVICE_FEATURE_MASK | OPERATIONS | (uint32_t)VFIO_DEVICE_FEATURE_PROBE)

struct feature {
	uint32_t operations;
	uint32_t size; /* of what it takes */
	int (*set)(struct vfio_device *device, struct client *client, uaddr_t data);
};

/* It may sleep from now on, and never does: what it would wake up for is not needed. */
static int low_power_entry(struct vfio_device *device, struct client *client, uaddr_t data)
{
	int rc = 0;

	(void)client;
	(void)data;
	pthread_mutex_lock(&device->lock);
	if (device->low_power)
		rc = -EINVAL;
	device->low_power = true;
	pthread_mutex_unlock(&device->lock);
	return rc;
}

static int low_power_entry_with_wakeup(struct vfio_device *device, struct client *client, uaddr_t data)
{
	struct vfio_device_low_power_entry_with_wakeup entry;
	struct eventfd *wakeup;
	int rc;

	if (client_copy_in(client, &entry, data, sizeof(entry)))
		return -EFAULT;
	if (entry.wakeup_eventfd < 0 || entry.reserved)
		return -EINVAL;
	rc = eventfd_new(client, entry.wakeup_eventfd, &wakeup);
	if (rc)
		return rc;
	eventfd_free(wakeup);
	return low_power_entry(device, client, data);
}

static int low_power_exit(struct vfio_device *device, struct client *client, uaddr_t data)
{
	(void)client;
	(void)data;
	pthread_mutex_lock(&device->lock);
	device->low_power = false;
	pthread_mutex_unlock(&device->lock);
	return 0;
}

static const struct feature features[] = {
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = {VFIO_DEVICE_FEATURE_SET, 0, low_power_entry},
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] = {VFIO_DEVICE_FEATURE_SET,
							     sizeof(struct vfio_device_low_power_entry_with_wakeup),
							     low_power_entry_with_wakeup},
	[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = {VFIO_DEVICE_FEATURE_SET, 0, low_power_exit},
};

static int use_feature(struct vfio_device *device, struct client *client, uint32_t flags, uint32_t length, uaddr_t data)
{
	const uint32_t id = flags & VFIO_DEVICE_FEATURE_MASK;
	const struct feature *feature;

	/* Asked of a device that cannot copy before it stops. */
	if (id == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2)
		return -EINVAL;
	if (id >= sizeof(features) / sizeof(*features) || !features[id].operations)
		return -ENOTTY;
	feature = &features[id];
	if (flags & OPERATIONS & ~feature->operations)
		return -EINVAL;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(flags & OPERATIONS) || length < feature->size)
		return -EINVAL;
	return feature->set(device, client, data);
}

int device_feature(struct device_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_device_feature feature;

	if (client_copy_in(client, &feature, arg, sizeof(feature)))
		return -EFAULT;
	if (feature.argsz < sizeof(feature) || feature.flags & ~KNOWN_FLAGS)
		return -EINVAL;
	if (!(feature.flags & VFIO_DEVICE_FEATURE_PROBE) && (feature.flags & OPERATIONS) == OPERATIONS)
		return -EINVAL;
	return use_feature(file->device, client, feature.flags, feature.argsz - (uint32_t)sizeof(feature),
			   uaddr_add(arg, sizeof(feature)));
}

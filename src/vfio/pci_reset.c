/* SPDX-License-Identifier: BSD-3-Clause */
/* Reset of a bus: of all its devices, so only for who owns them all. */
#include "abi/vfio.h"
#include "iommufd/device.h"
#include "vfio/device_file.h"

#include <stddef.h>
#include <stdlib.h>

/* The next device of the same bus, from one on; NULL: no more. */
static struct vfio_device *on_bus(const struct device_file *file, struct vfio_device *from)
{
	while (from && (from->segment != file->device->segment || from->bus != file->device->bus))
		from = from->next;
	return from;
}

static struct vfio_device *first_on_bus(const struct device_file *file)
{
	return on_bus(file, file->device->vfio->devices);
}

static uint32_t count_on_bus(const struct device_file *file)
{
	uint32_t count = 0;

	for (const struct vfio_device *device = first_on_bus(file); device; device = on_bus(file, device->next))
		count++;
	return count;
}

/* Names it as the file of the asker does: by its group, or by its id in the asker's iommufd. */
static struct vfio_pci_dependent_device describe(const struct device_file *file, const struct vfio_device *device,
						 bool *owned)
{
	struct vfio_pci_dependent_device entry = {
		.segment = device->segment, .bus = device->bus, .devfn = device->devfn};
	uint32_t id;

	*owned = true;
	if (file->from_group) {
		entry.group_id = device->group->iommu.id;
		return entry;
	}
	*owned = device_owned(file->ctx, &device->iommu, &id);
	if (!*owned)
		id = (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
	entry.devid = id;
	return entry;
}

int device_get_pci_hot_reset_info(struct device_file *file, struct client *client, uaddr_t arg)
{
	const size_t min = sizeof(struct vfio_pci_hot_reset_info);
	struct vfio_pci_hot_reset_info info;
	struct vfio_pci_dependent_device *entries;
	bool owned, all_owned = true;
	int rc;

	if (client_copy_in(client, &info, arg, min))
		return -EFAULT;
	if (info.argsz < min)
		return -EINVAL;
	info.count = count_on_bus(file);
	entries = calloc(info.count, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	info.count = 0;
	for (const struct vfio_device *device = first_on_bus(file); device; device = on_bus(file, device->next)) {
		entries[info.count++] = describe(file, device, &owned);
		all_owned &= owned;
	}
	info.flags = file->from_group ? 0 : VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	if (!file->from_group && all_owned)
		info.flags |= VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	rc = client_copy_out(client, arg, &info, min);
	if (!rc && (info.argsz - min) / sizeof(*entries) < info.count)
		rc = -ENOSPC;
	if (!rc)
		rc = client_copy_out(client, uaddr_add(arg, min), entries, info.count * sizeof(*entries));
	free(entries);
	return rc;
}

/* The groups behind the client's descriptors: which they are is all that counts. */
static int find_groups(struct client *client, uaddr_t at, uint32_t count, const struct vfio_group **groups)
{
	int32_t *fds = malloc(count * sizeof(*fds));
	int rc = 0;

	if (!fds)
		return -ENOMEM;
	if (client_copy_in(client, fds, at, count * sizeof(*fds)))
		rc = -EFAULT;
	for (uint32_t i = 0; i < count && !rc; i++) {
		struct file *file;

		rc = client->ops->file(client, fds[i], &file);
		if (rc == -EBADFD)
			rc = -EINVAL;
		if (rc)
			break;
		if (file->ops == &group_file_ops)
			groups[i] = ((struct group_file *)file)->group;
		else
			rc = -EINVAL;
		file_put(file);
	}
	free(fds);
	return rc;
}

static bool is_among(const struct vfio_group *group, const struct vfio_group *const *groups, uint32_t count)
{
	while (count)
		if (groups[--count] == group)
			return true;
	return false;
}

/* groups NULL: what belongs to the iommufd that the file is bound to. */
static bool owns_bus(const struct device_file *file, const struct vfio_group *const *groups, uint32_t count)
{
	bool owned = true;
	uint32_t id;

	for (const struct vfio_device *device = first_on_bus(file); device && owned;
	     device = on_bus(file, device->next))
		owned = groups ? is_among(device->group, groups, count) : device_owned(file->ctx, &device->iommu, &id);
	return owned;
}

/* With device.lock held. */
static bool is_open_for(const struct device_file *file, struct vfio_device *device)
{
	bool open;

	pthread_mutex_lock(&device->user_lock);
	open = device->user && (file->from_group || device->user->ctx == file->ctx);
	pthread_mutex_unlock(&device->user_lock);
	return open;
}

/* One after the other. What nobody has open is as after a reset, and so is what somebody else has opened since it was
 * looked at. */
static void reset_bus(const struct device_file *file)
{
	for (struct vfio_device *device = first_on_bus(file); device; device = on_bus(file, device->next)) {
		pthread_mutex_lock(&device->lock);
		if (is_open_for(file, device))
			device_reset_now(device);
		pthread_mutex_unlock(&device->lock);
	}
}

int device_pci_hot_reset(struct device_file *file, struct client *client, uaddr_t arg)
{
	const size_t min = sizeof(struct vfio_pci_hot_reset);
	const struct vfio_group **groups = NULL;
	struct vfio_pci_hot_reset reset;
	int rc = 0;

	if (client_copy_in(client, &reset, arg, min))
		return -EFAULT;
	if (reset.argsz < min || reset.flags || !reset.count == file->from_group || reset.count > count_on_bus(file))
		return -EINVAL;
	if (reset.count) {
		groups = calloc(reset.count, sizeof(struct vfio_group *));
		if (!groups)
			return -ENOMEM;
		rc = find_groups(client, uaddr_add(arg, min), reset.count, groups);
	}
	if (!rc && !owns_bus(file, groups, reset.count))
		rc = -EINVAL;
	free(groups);
	if (!rc)
		reset_bus(file);
	return rc;
}

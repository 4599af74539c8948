/* SPDX-License-Identifier: BSD-3-Clause */
#include "system/nodes.h"

#include "system/system.h"
#include "vfio/device.h"

#include <stdio.h>
#include <stdlib.h>

/* Linux gives /dev/iommu the first dynamic minor number of the misc devices that is free, and VFIO's groups and devices
 * the first dynamic major numbers; those of /dev/vfio/vfio and /dev/ioasid are fixed. */
enum {
	MISC_MAJOR = 10,
	IOMMU_MINOR = 256,
	VFIO_MINOR = 196,
	IOASID_MINOR = 129,
	GROUP_MAJOR = 510,
	CDEV_MAJOR = 511,
};

#define PATH_ROOM sizeof("/dev/vfio/devices/vfio4294967295")

static const struct node fixed[] = {
	{.path = "/dev/iommu", .mode = 0660, .major = MISC_MAJOR, .minor = IOMMU_MINOR, .kind = NODE_IOMMU},
	{.path = "/dev/vfio/vfio", .mode = 0666, .major = MISC_MAJOR, .minor = VFIO_MINOR, .kind = NODE_CONTAINER},
	{.path = "/dev/ioasid", .mode = 0666, .major = MISC_MAJOR, .minor = IOASID_MINOR, .kind = NODE_IOASID},
};

#define FIXED (sizeof(fixed) / sizeof(*fixed))

static size_t count_nodes(const struct vfio *vfio)
{
	size_t count = FIXED + vfio->device_count;

	for (const struct vfio_group *group = vfio->groups; group; group = group->next)
		count++;
	return count;
}

/* Nodes and their paths are one block. */
struct node *nodes_new(const struct vfio *vfio)
{
	size_t count = count_nodes(vfio);
	struct node *nodes = calloc(1, (count + 1) * sizeof(*nodes) + count * PATH_ROOM);
	struct node *node = nodes;
	char *path = (char *)(nodes + count + 1);

	if (!nodes)
		return NULL;
	for (size_t i = 0; i < FIXED; i++)
		*node++ = fixed[i];
	for (struct vfio_group *group = vfio->groups; group; group = group->next, path += PATH_ROOM) {
		snprintf(path, PATH_ROOM, "/dev/vfio/%u", group->iommu.id);
		*node++ = (struct node){path, 0666, GROUP_MAJOR, group->iommu.id, NODE_GROUP, group};
	}
	for (struct vfio_device *device = vfio->devices; device; device = device->next, path += PATH_ROOM) {
		snprintf(path, PATH_ROOM, "/dev/vfio/devices/vfio%u", device->number);
		*node++ = (struct node){path, 0666, CDEV_MAJOR, device->number, NODE_CDEV, device};
	}
	return nodes;
}

void nodes_free(struct node *nodes)
{
	free(nodes);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What programs see of the devices of a system below /sys. */
#ifndef IOMMUSE_SUPERVISOR_SYSFS_H
#define IOMMUSE_SUPERVISOR_SYSFS_H

#include <stdbool.h>

struct node;
struct tree;
struct tree_entry;
struct vfio;
struct vfio_device;

/* keep_pci: among the machine's own PCI devices and IOMMU groups, which are hidden otherwise. */
struct sysfs_config {
	struct vfio *vfio;
	const struct node *nodes; /* for the numbers of the devices' nodes */
	bool keep_pci;
};

/* Adds it to a tree; what fails, the tree remembers. */
void sysfs_describe(struct tree *tree, const struct sysfs_config *config);

/* Adds the directory of VFIO's nodes, for listings. */
void sysfs_describe_nodes(struct tree *tree, const struct node *nodes);

#define SYSFS_PATH_MAX 128

/* What may be done with a file. */
enum {
	SYSFS_READ = 0444,
	SYSFS_WRITE = 0200,
	SYSFS_READ_WRITE = 0644,
};

/* Where a device is. */
void sysfs_device_path(const struct vfio_device *device, char path[SYSFS_PATH_MAX]);

/* sysfs_pci.c: adds the attributes of a PCI device to its directory. */
void sysfs_pci_attributes(struct tree *tree, struct tree_entry *dir, const struct vfio_device *device);

#endif

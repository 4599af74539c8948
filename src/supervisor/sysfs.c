/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices lie in /sys/devices/iommuse, each on a root bus of its own, as behind a host bridge that is no PCI device:
 * so no address of theirs meets one of the machine's. All else is links to there, as in Linux.
 */
#include "supervisor/sysfs.h"

#include "supervisor/tree.h"
#include "system/system.h"
#include "vfio/device.h"

#include <stdio.h>
#include <string.h>

#define DRIVER  "/sys/bus/pci/drivers/vfio-pci"
#define IOMMU   "/sys/devices/virtual/iommu/iommuse0"
#define GROUPS  "/sys/kernel/iommu_groups"
#define VIRTUAL "/sys/devices/virtual/vfio"

/* A directory in which nothing is but ours. */
static struct tree_entry *whole_dir(struct tree *tree, const char *path)
{
	struct tree_entry *dir = tree_dir(tree, path);

	if (dir)
		dir->whole = true;
	return dir;
}

static struct tree_entry *dir_below(struct tree *tree, const char *path, const char *name)
{
	char full[SYSFS_PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", path, name);
	return whole_dir(tree, full);
}

void sysfs_device_path(const struct vfio_device *device, char path[SYSFS_PATH_MAX])
{
	snprintf(path, SYSFS_PATH_MAX, "/sys/devices/iommuse/pci%04x:%02x/%s", device->segment, device->bus,
		 device->name);
}

/* "dev" and "uevent" of the device of a node below /dev/vfio. */
static void add_number(struct tree *tree, struct tree_entry *dir, const struct sysfs_config *config, const char *path)
{
	for (const struct node *node = config->nodes; node->path; node++) {
		if (strcmp(node->path, path))
			continue;
		tree_text(tree, dir, "dev", SYSFS_READ, "%u:%u\n", node->major, node->minor);
		tree_text(tree, dir, "uevent", SYSFS_READ_WRITE, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", node->major,
			  node->minor, path + strlen("/dev/"));
	}
}

/* The device's file of its own, vfioN. */
static void describe_cdev(struct tree *tree, const struct sysfs_config *config, const struct vfio_device *device,
			  const char *parent)
{
	struct tree_entry *class = whole_dir(tree, "/sys/class/vfio-dev");
	char name[32], path[2 * SYSFS_PATH_MAX], node[64];
	struct tree_entry *dir;

	snprintf(name, sizeof(name), "vfio%u", device->number);
	snprintf(path, sizeof(path), "%s/vfio-dev/%s", parent, name);
	snprintf(node, sizeof(node), "/dev/vfio/devices/%s", name);
	dir = whole_dir(tree, path);
	add_number(tree, dir, config, node);
	tree_link(tree, dir, "device", parent);
	tree_link(tree, dir, "subsystem", "/sys/class/vfio-dev");
	tree_link(tree, class, name, path);
}

static void describe_device(struct tree *tree, const struct sysfs_config *config, const struct vfio_device *device)
{
	char path[SYSFS_PATH_MAX], group[64];
	struct tree_entry *dir;

	sysfs_device_path(device, path);
	snprintf(group, sizeof(group), GROUPS "/%u", device->group->iommu.id);
	dir = whole_dir(tree, path);
	sysfs_pci_attributes(tree, dir, device);
	tree_link(tree, dir, "driver", DRIVER);
	tree_link(tree, dir, "subsystem", "/sys/bus/pci");
	tree_link(tree, dir, "iommu", IOMMU);
	tree_link(tree, dir, "iommu_group", group);
	describe_cdev(tree, config, device, path);

	tree_link(tree, tree_dir(tree, "/sys/bus/pci/devices"), device->name, path);
	tree_link(tree, tree_dir(tree, DRIVER), device->name, path);
	tree_link(tree, whole_dir(tree, IOMMU "/devices"), device->name, path);
	snprintf(group, sizeof(group), GROUPS "/%u/devices", device->group->iommu.id);
	tree_link(tree, whole_dir(tree, group), device->name, path);
}

static void describe_group(struct tree *tree, const struct sysfs_config *config, const struct vfio_group *group)
{
	struct tree_entry *class = whole_dir(tree, "/sys/class/vfio");
	char name[16], node[64], path[SYSFS_PATH_MAX];
	struct tree_entry *dir;

	snprintf(name, sizeof(name), "%u", group->iommu.id);
	dir = dir_below(tree, GROUPS, name);
	tree_text(tree, dir, "type", SYSFS_READ_WRITE, "DMA-FQ\n");
	tree_text(tree, dir, "reserved_regions", SYSFS_READ, "0x%016lx 0x%016lx msi\n", 0xfee00000UL, 0xfeefffffUL);

	snprintf(node, sizeof(node), "/dev/vfio/%s", name);
	snprintf(path, sizeof(path), VIRTUAL "/%s", name);
	dir = whole_dir(tree, path);
	add_number(tree, dir, config, node);
	tree_link(tree, dir, "subsystem", "/sys/class/vfio");
	tree_link(tree, class, name, path);
}

static void describe_iommu(struct tree *tree)
{
	struct tree_entry *dir = whole_dir(tree, IOMMU);

	tree_text(tree, dir, "uevent", SYSFS_READ_WRITE, "%s", "");
	tree_link(tree, dir, "subsystem", "/sys/class/iommu");
	tree_link(tree, tree_dir(tree, "/sys/class/iommu"), "iommuse0", IOMMU);
}

static void describe_driver(struct tree *tree)
{
	static const char *const files[] = {"bind", "unbind", "new_id", "remove_id", "uevent"};
	struct tree_entry *dir = whole_dir(tree, DRIVER);

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		tree_file(tree, dir, files[i], SYSFS_WRITE, "", 0);
	tree_link(tree, dir, "module", "/sys/module/vfio_pci");
	tree_file(tree, tree_dir(tree, "/sys/bus/pci"), "drivers_probe", SYSFS_WRITE, "", 0);
}

static void describe_modules(struct tree *tree)
{
	static const struct {
		const char *module, *parameter, *value;
	} parameters[] = {
		{"vfio", "enable_unsafe_noiommu_mode", "N"},
		{"vfio_pci", "ids", ""},
		{"vfio_pci", "nointxmask", "N"},
		{"vfio_pci", "disable_vga", "N"},
		{"vfio_pci", "disable_idle_d3", "N"},
		{"vfio_pci", "enable_sriov", "N"},
		{"vfio_pci", "disable_denylist", "N"},
		{"vfio_iommu_type1", "allow_unsafe_interrupts", "N"},
		{"vfio_iommu_type1", "disable_hugepages", "N"},
		{"vfio_iommu_type1", "dma_entry_limit", "65535"},
		{"iommufd", "allow_unsafe_interrupts", "N"},
	};

	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++) {
		struct tree_entry *dir = dir_below(tree, "/sys/module", parameters[i].module);
		char path[SYSFS_PATH_MAX];

		tree_text(tree, dir, "initstate", SYSFS_READ, "live\n");
		tree_text(tree, dir, "refcnt", SYSFS_READ, "1\n");
		snprintf(path, sizeof(path), "/sys/module/%s/parameters", parameters[i].module);
		tree_text(tree, whole_dir(tree, path), parameters[i].parameter, SYSFS_READ, "%s\n",
			  parameters[i].value);
	}
	tree_link(tree, whole_dir(tree, "/sys/module/vfio_pci/drivers"), "pci:vfio-pci", DRIVER);
}

void sysfs_describe(struct tree *tree, const struct sysfs_config *config)
{
	if (!config->keep_pci) {
		whole_dir(tree, "/sys/bus/pci/devices");
		whole_dir(tree, GROUPS);
		whole_dir(tree, "/sys/class/iommu");
	}
	describe_driver(tree);
	describe_modules(tree);
	describe_iommu(tree);
	for (const struct vfio_group *group = config->vfio->groups; group; group = group->next)
		describe_group(tree, config, group);
	for (const struct vfio_device *device = config->vfio->devices; device; device = device->next)
		describe_device(tree, config, device);
}

void sysfs_describe_nodes(struct tree *tree, const struct node *nodes)
{
	char path[SYSFS_PATH_MAX];

	for (; nodes->path; nodes++) {
		char *slash;

		snprintf(path, sizeof(path), "%s", nodes->path);
		slash = strrchr(path, '/');
		*slash = '\0';
		if (strcmp(path, "/dev") != 0)
			tree_file(tree, whole_dir(tree, path), slash + 1, nodes->mode, "", 0);
	}
}

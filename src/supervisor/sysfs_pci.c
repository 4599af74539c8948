/* SPDX-License-Identifier: BSD-3-Clause */
/* The attributes of a PCI device, as it is before a driver has opened it. */
#include "supervisor/sysfs.h"

#include "abi/vfio.h"
#include "supervisor/tree.h"
#include "vfio/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Registers that are looked at; PCI Express Base Specification 4.0, section 7.5. */
enum {
	REVISION = 0x08,
	BAR0 = 0x10,
	SUBSYSTEM_VENDOR = 0x2c,
	SUBSYSTEM_DEVICE = 0x2e,
	INTERRUPT_LINE = 0x3c,
	INTERRUPT_PIN = 0x3d,
	EXPRESS_DEVICE_CAPABILITIES = 4,
	EXPRESS_LINK_CAPABILITIES = 12,
	EXPRESS_LINK_STATUS = 18,
	FUNCTION_LEVEL_RESET = 1 << 28,
};

/* The flags of a resource, as Linux's "resource" shows them; the low four are the BAR's own. */
enum {
	RESOURCE_MEMORY = 0x200,
	RESOURCE_PREFETCH = 0x2000,
	RESOURCE_SIZE_ALIGN = 0x40000,
	RESOURCE_64 = 0x100000,
	RESOURCES = 13, /* 6 BARs, a ROM, and 6 for virtual functions */
};

#define CPUS_MAX 8192U

static uint32_t reg(const struct vfio_device *device, unsigned offset, unsigned n)
{
	return pci_config_read(&device->config, offset, n);
}

static uint64_t bar_address(const struct vfio_device *device, unsigned bar)
{
	uint64_t address = reg(device, BAR0 + 4 * bar, 4) & ~UINT32_C(0xf);

	if (device->model->bar[bar].wide)
		address |= (uint64_t)reg(device, BAR0 + 4 * bar + 4, 4) << 32;
	return address;
}

static void add_resources(struct tree *tree, struct tree_entry *dir, const struct vfio_device *device)
{
	char text[RESOURCES * 60], name[16];
	size_t length = 0;

	for (unsigned i = 0; i < RESOURCES; i++) {
		const struct iommuse_bar *bar = i < IOMMUSE_BARS ? &device->model->bar[i] : NULL;
		uint64_t start = 0, last = 0, flags = 0;

		if (bar && bar->size) {
			start = bar_address(device, i);
			last = start + bar->size - 1;
			flags = RESOURCE_MEMORY | RESOURCE_SIZE_ALIGN | (bar->prefetchable ? RESOURCE_PREFETCH : 0) |
				(bar->wide ? RESOURCE_64 : 0) | (reg(device, BAR0 + 4 * i, 4) & 0xf);
			snprintf(name, sizeof(name), "resource%u", i);
			tree_file(tree, dir, name, 0600, NULL, bar->size);
		}
		length += (size_t)snprintf(text + length, sizeof(text) - length, "0x%016llx 0x%016llx 0x%016llx\n",
					   (unsigned long long)start, (unsigned long long)last,
					   (unsigned long long)flags);
	}
	tree_file(tree, dir, "resource", SYSFS_READ, text, length);
}

static const char *speed_name(uint32_t speed)
{
	static const char *const names[] = {"Unknown",        "2.5 GT/s PCIe",  "5.0 GT/s PCIe", "8.0 GT/s PCIe",
					    "16.0 GT/s PCIe", "32.0 GT/s PCIe", "64.0 GT/s PCIe"};

	return names[speed < sizeof(names) / sizeof(*names) ? speed : 0];
}

static void add_express(struct tree *tree, struct tree_entry *dir, const struct vfio_device *device)
{
	unsigned at = device->config.express;
	uint32_t most, now;

	if (!at)
		return;
	most = reg(device, at + EXPRESS_LINK_CAPABILITIES, 4);
	now = reg(device, at + EXPRESS_LINK_STATUS, 2);
	tree_text(tree, dir, "max_link_speed", SYSFS_READ, "%s\n", speed_name(most & 0xf));
	tree_text(tree, dir, "max_link_width", SYSFS_READ, "%u\n", most >> 4 & 0x3f);
	tree_text(tree, dir, "current_link_speed", SYSFS_READ, "%s\n", speed_name(now & 0xf));
	tree_text(tree, dir, "current_link_width", SYSFS_READ, "%u\n", now >> 4 & 0x3f);
	if (reg(device, at + EXPRESS_DEVICE_CAPABILITIES, 4) & FUNCTION_LEVEL_RESET)
		tree_text(tree, dir, "reset_method", SYSFS_READ_WRITE, "flr\n");
}

/* "0-3,8" as a mask. Returns the highest of them, or -1. */
static int parse_cpus(const char *list, uint32_t mask[CPUS_MAX / 32])
{
	int highest = -1;

	while (*list >= '0' && *list <= '9') {
		char *end;
		unsigned long first = strtoul(list, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		for (unsigned long cpu = first; cpu <= last && cpu < CPUS_MAX; cpu++) {
			mask[cpu / 32] |= 1U << cpu % 32;
			highest = (int)cpu;
		}
		list = end + (*end == ',');
	}
	return highest;
}

/* A line of a file of /sys/devices/system/cpu; without it there is one processor. */
static void read_cpus(const char *name, char *list, int size)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s", name);
	file = fopen(path, "re");
	if (!file || !fgets(list, size, file))
		snprintf(list, (size_t)size, "0\n");
	if (file)
		fclose(file);
}

/* It is near to all processors. The mask has room for those that may come. */
static void add_cpus(struct tree *tree, struct tree_entry *dir)
{
	uint32_t mask[CPUS_MAX / 32] = {0}, possible[CPUS_MAX / 32] = {0};
	char list[512], text[CPUS_MAX / 32 * 9 + 1];
	size_t length;
	int highest;

	read_cpus("possible", list, sizeof(list));
	highest = parse_cpus(list, possible);
	read_cpus("online", list, sizeof(list));
	if (parse_cpus(list, mask) > highest || highest < 0)
		return;
	length = (size_t)snprintf(text, sizeof(text), "%0*x", highest % 32 / 4 + 1, mask[highest / 32]);
	for (int word = highest / 32 - 1; word >= 0; word--)
		length += (size_t)snprintf(text + length, sizeof(text) - length, ",%08x", mask[word]);
	text[length++] = '\n';
	tree_file(tree, dir, "local_cpus", SYSFS_READ, text, length);
	tree_text(tree, dir, "local_cpulist", SYSFS_READ, "%s", list);
}

/* What tells programs and people which device it is. */
static void add_identity(struct tree *tree, struct tree_entry *dir, const struct vfio_device *device)
{
	const struct iommuse_model *model = device->model;
	uint32_t class = reg(device, REVISION, 4) >> 8;
	uint32_t subsystem_vendor = reg(device, SUBSYSTEM_VENDOR, 2);
	uint32_t subsystem = reg(device, SUBSYSTEM_DEVICE, 2);
	char alias[80];

	snprintf(alias, sizeof(alias), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X", model->vendor, model->device,
		 subsystem_vendor, subsystem, class >> 16, class >> 8 & 0xff, class & 0xff);
	tree_text(tree, dir, "vendor", SYSFS_READ, "0x%04x\n", model->vendor);
	tree_text(tree, dir, "device", SYSFS_READ, "0x%04x\n", model->device);
	tree_text(tree, dir, "subsystem_vendor", SYSFS_READ, "0x%04x\n", subsystem_vendor);
	tree_text(tree, dir, "subsystem_device", SYSFS_READ, "0x%04x\n", subsystem);
	tree_text(tree, dir, "class", SYSFS_READ, "0x%06x\n", class);
	tree_text(tree, dir, "revision", SYSFS_READ, "0x%02x\n", reg(device, REVISION, 1));
	tree_text(tree, dir, "modalias", SYSFS_READ, "%s\n", alias);
	tree_text(tree, dir, "uevent", SYSFS_READ_WRITE,
		  "DRIVER=vfio-pci\nPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n"
		  "MODALIAS=%s\n",
		  class, model->vendor, model->device, subsystem_vendor, subsystem, device->name, alias);
}

void sysfs_pci_attributes(struct tree *tree, struct tree_entry *dir, const struct vfio_device *device)
{
	static const struct {
		const char *name, *value;
		mode_t mode;
	} constants[] = {
		{"ari_enabled", "0\n", SYSFS_READ},
		{"broken_parity_status", "0\n", SYSFS_READ_WRITE},
		{"consistent_dma_mask_bits", "32\n", SYSFS_READ},
		{"d3cold_allowed", "1\n", SYSFS_READ_WRITE},
		{"dma_mask_bits", "32\n", SYSFS_READ},
		{"driver_override", "(null)\n", SYSFS_READ_WRITE},
		{"enable", "0\n", SYSFS_READ_WRITE},
		{"msi_bus", "1\n", SYSFS_READ_WRITE},
		{"numa_node", "-1\n", SYSFS_READ_WRITE},
		{"power_state", "D0\n", SYSFS_READ},
		{"reset", "", SYSFS_WRITE},
	};
	uint32_t line = reg(device, INTERRUPT_LINE, 1);

	for (size_t i = 0; i < sizeof(constants) / sizeof(*constants); i++)
		tree_text(tree, dir, constants[i].name, constants[i].mode, "%s", constants[i].value);
	add_identity(tree, dir, device);
	add_resources(tree, dir, device);
	add_express(tree, dir, device);
	add_cpus(tree, dir);
	tree_file(tree, dir, "config", SYSFS_READ_WRITE, device->config.byte, device->config.size);
	tree_text(tree, dir, "irq", SYSFS_READ, "%u\n", reg(device, INTERRUPT_PIN, 1) && line != 0xff ? line : 0);
}

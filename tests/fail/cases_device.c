/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups, devices and what is done with them: of one that copies memory. */
#define _GNU_SOURCE
#include "cases.h"
#include "set_ups.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define GROUP "/dev/vfio/1"
#define CDEV  "/dev/vfio/devices/vfio0"

/* Where the registers and the configuration space begin. */
#define REGISTERS UINT64_C(0)
#define CONFIG    (UINT64_C(7) << 40)

/* A command of a device whose structure is all that there is to it. */
#define DEVICE(name, file, command, structure, ...)                                                                    \
	static void name(struct world *w, struct outcome *out)                                                         \
	{                                                                                                              \
		struct structure cmd = {.argsz = sizeof(cmd), __VA_ARGS__};                                            \
                                                                                                                       \
		out->rc = world_ioctl(w, w->file, command, &cmd);                                                      \
		if (out->rc >= 0)                                                                                      \
			STORE(out, cmd);                                                                               \
	}

/* Keeps a descriptor, whose number is not compared. */
static void keep(struct outcome *out, long rc, int *fd)
{
	if (rc >= 0)
		*fd = (int)rc;
	out->rc = rc < 0 ? rc : 0;
}

static long get_device(struct world *w)
{
	char name[] = "0000:01:00.0";

	return world_ioctl(w, w->group, VFIO_GROUP_GET_DEVICE_FD, name);
}

static void open_group(struct world *w, struct outcome *out)
{
	keep(out, world_open(w, GROUP, O_RDWR), &w->group);
}

static void open_cdev(struct world *w, struct outcome *out)
{
	keep(out, world_open(w, CDEV, O_RDWR), &w->device);
}

static void set_container(struct world *w, struct outcome *out)
{
	out->rc = world_ioctl(w, w->group, VFIO_GROUP_SET_CONTAINER, &w->fd);
}

static void unset_container(struct world *w, struct outcome *out)
{
	out->rc = world_ioctl(w, w->group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static void get_first(struct world *w, struct outcome *out)
{
	keep(out, get_device(w), &w->device);
}

static void get_second(struct world *w, struct outcome *out)
{
	keep(out, get_device(w), &w->second_device);
}

DEVICE(group_status, group, VFIO_GROUP_GET_STATUS, vfio_group_status, .flags = 0)
DEVICE(bind, device, VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, .iommufd = w->fd)
DEVICE(attach, device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, .pt_id = w->ioas)
DEVICE(detach, device, VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, .flags = 0)
DEVICE(device_info, device, VFIO_DEVICE_GET_INFO, vfio_device_info, .flags = 0)
DEVICE(irq_info, device, VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, .index = 2)
DEVICE(ioeventfd, device, VFIO_DEVICE_IOEVENTFD, vfio_device_ioeventfd, .flags = 4, .offset = 0x1000, .data = 5,
       .fd = w->eventfd)

static void region_info(struct world *w, struct outcome *out)
{
	struct {
		struct vfio_region_info info;
		unsigned char capabilities[64];
	} cmd = {.info = {.argsz = sizeof(cmd)}};

	out->rc = world_ioctl(w, w->device, VFIO_DEVICE_GET_REGION_INFO, &cmd);
	if (out->rc >= 0)
		STORE(out, cmd);
}

static void set_irq(struct world *w, struct outcome *out)
{
	struct {
		uint32_t argsz, flags, index, start, count;
		int32_t fd;
	} cmd = {sizeof(cmd), 0x24, 2, 0, 1, w->eventfd};

	out->rc = world_ioctl(w, w->device, VFIO_DEVICE_SET_IRQS, &cmd);
}

static void reset(struct world *w, struct outcome *out)
{
	out->rc = world_ioctl(w, w->device, VFIO_DEVICE_RESET, NULL);
}

static void hot_reset_info(struct world *w, struct outcome *out)
{
	struct {
		uint32_t argsz, flags, count;
		unsigned char devices[64];
	} cmd = {.argsz = sizeof(cmd)};

	out->rc = world_ioctl(w, w->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &cmd);
	if (out->rc >= 0)
		STORE(out, cmd);
}

static void hot_reset(struct world *w, struct outcome *out)
{
	struct {
		uint32_t argsz, flags, count;
		int32_t group;
	} cmd = {sizeof(cmd), 0, 1, w->group};

	out->rc = world_ioctl(w, w->device, VFIO_DEVICE_PCI_HOT_RESET, &cmd);
}

static void read_config(struct world *w, struct outcome *out)
{
	unsigned char bytes[64];

	out->rc = world_pread(w, w->device, bytes, sizeof(bytes), CONFIG);
	if (out->rc >= 0)
		STORE(out, bytes);
}

static void write_config(struct world *w, struct outcome *out)
{
	const uint32_t interrupt_line = 0x0b;

	out->rc = world_pwrite(w, w->device, &interrupt_line, 1, CONFIG + 0x3c);
}

static void read_register(struct world *w, struct outcome *out)
{
	unsigned char byte;

	out->rc = world_pread(w, w->device, &byte, sizeof(byte), REGISTERS);
	if (out->rc >= 0)
		STORE(out, byte);
}

static void map_registers(struct world *w, struct outcome *out)
{
	out->rc = world_map(w, w->device, 2 * PAGE, REGISTERS, &w->region);
	if (out->rc < 0)
		w->region = NULL;
}

static void map_dma(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_map cmd = {.argsz = sizeof(cmd),
					       .flags = 3,
					       .vaddr = (uintptr_t)w->memory + (SHARED - 2) * PAGE,
					       .iova = 64 * PAGE,
					       .size = 4 * PAGE};

	out->rc = CALL(w, VFIO_IOMMU_MAP_DMA, &cmd);
}

/* The registers as what a device may reach. */
static void map_dma_of_registers(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd), .flags = 3, .vaddr = (uintptr_t)w->region, .iova = 64 * PAGE, .size = PAGE};

	out->rc = CALL(w, VFIO_IOMMU_MAP_DMA, &cmd);
}

static void close_device(struct world *w, struct outcome *out)
{
	out->rc = world_close(w, w->device);
	w->device = -1;
}

const struct sweep device_sweeps[] = {
	{"open of a group", plain, open_group, 0},
	{"open of a device", plain, open_cdev, 0},
	{"GROUP_GET_STATUS", group, group_status, 0},
	{"GROUP_SET_CONTAINER", group, set_container, 0},
	{"GROUP_UNSET_CONTAINER", group_contained, unset_container, 0},
	{"GROUP_GET_DEVICE_FD", group_contained, get_first, 0},
	{"GROUP_GET_DEVICE_FD once more", group_opened, get_second, 0},
	{"DEVICE_BIND_IOMMUFD", cdev, bind, 0},
	{"DEVICE_ATTACH_IOMMUFD_PT", cdev_bound, attach, 0},
	{"DEVICE_DETACH_IOMMUFD_PT", cdev_attached, detach, 0},
	{"DEVICE_GET_INFO", group_opened, device_info, 0},
	{"DEVICE_GET_REGION_INFO", group_opened, region_info, 0},
	{"DEVICE_GET_IRQ_INFO", group_opened, irq_info, 0},
	{"DEVICE_SET_IRQS", group_opened, set_irq, 0},
	{"DEVICE_IOEVENTFD", group_opened, ioeventfd, 0},
	{"DEVICE_RESET", group_opened, reset, 0},
	{"DEVICE_GET_PCI_HOT_RESET_INFO", group_opened, hot_reset_info, 0},
	{"DEVICE_PCI_HOT_RESET", group_opened, hot_reset, 0},
	{"read of configuration space", group_opened, read_config, 0},
	{"write of configuration space", group_opened, write_config, 0},
	{"read of a register", group_opened, read_register, 0},
	{"mmap of a device", group_opened, map_registers, 0},
	{"VFIO_IOMMU_MAP_DMA for a device", group_opened, map_dma, 0},
	{"VFIO_IOMMU_MAP_DMA of a device", registers_mapped, map_dma_of_registers, 0},
	{"close of a device", group_opened, close_device, 0},
	{0},
};

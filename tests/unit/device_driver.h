/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver of one device of a system in this process, by the device's own file. */
#ifndef IOMMUSE_TESTS_DEVICE_DRIVER_H
#define IOMMUSE_TESTS_DEVICE_DRIVER_H

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "check.h"
#include "iommuse/iommuse.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COMMAND_MEMORY = 2, COMMAND_MASTER = 4, COMMAND_NO_INTX = 0x400 };

struct driver {
	struct iommuse *system;
	int iommufd, device;
	uint32_t ioas;
};

static inline int64_t driver_call(struct driver *d, int fd, unsigned long cmd, void *arg)
{
	return iommuse_ioctl(d->system, fd, cmd, (uintptr_t)arg);
}

static inline void driver_new(struct driver *d, const char *device)
{
	const char *const devices[] = {device, NULL};
	char why[256];
	const struct iommuse_options options = {.struct_size = sizeof(options),
						.client = IOMMUSE_CLIENT_TRUSTED,
						.devices = devices,
						.why = why,
						.why_size = sizeof(why)};
	int rc = iommuse_new(&options, &d->system);

	CHECK_EQ(rc, 0);
	if (rc)
		printf("%s\n", why);
}

static inline void driver_command(struct driver *d, uint16_t command)
{
	CHECK_EQ(iommuse_pwrite(d->system, d->device, &command, 2, ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + 4), 2);
}

/* Binds and attaches. The device may do DMA then. */
static inline void driver_open(struct driver *d)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};

	d->iommufd = iommuse_open(d->system, "/dev/iommu", O_RDWR);
	d->device = iommuse_open(d->system, "/dev/vfio/devices/vfio0", O_RDWR);
	CHECK(d->iommufd >= 0 && d->device >= 0);
	bind.iommufd = d->iommufd;
	CHECK_EQ(driver_call(d, d->iommufd, IOMMU_IOAS_ALLOC, &alloc), 0);
	CHECK_EQ(driver_call(d, d->device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	d->ioas = attach.pt_id = alloc.out_ioas_id;
	CHECK_EQ(driver_call(d, d->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
	driver_command(d, COMMAND_MEMORY | COMMAND_MASTER);
}

static inline void driver_begin(struct driver *d, const char *device)
{
	driver_new(d, device);
	driver_open(d);
}

static inline void driver_close(struct driver *d)
{
	CHECK_EQ(iommuse_close(d->system, d->device), 0);
	CHECK_EQ(iommuse_close(d->system, d->iommufd), 0);
}

static inline void driver_end(struct driver *d)
{
	driver_close(d);
	iommuse_free(d->system);
}

static inline void driver_map(struct driver *d, uint64_t iova, void *memory, uint64_t length, uint32_t prot)
{
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | prot,
				     .ioas_id = d->ioas,
				     .user_va = (uintptr_t)memory,
				     .length = length,
				     .iova = iova};

	CHECK_EQ(driver_call(d, d->iommufd, IOMMU_IOAS_MAP, &map), 0);
}

static inline void driver_unmap(struct driver *d, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = d->ioas, .iova = iova, .length = length};

	CHECK_EQ(driver_call(d, d->iommufd, IOMMU_IOAS_UNMAP, &unmap), 0);
}

#define DRIVER_BOTH (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

/* A trapped register of BAR 0. */
static inline void driver_write(struct driver *d, uint64_t offset, uint64_t value)
{
	CHECK_EQ(iommuse_pwrite(d->system, d->device, &value, 8, (off_t)offset), 8);
}

static inline uint64_t driver_read(struct driver *d, uint64_t offset)
{
	uint64_t value = 0;

	CHECK_EQ(iommuse_pread(d->system, d->device, &value, 8, (off_t)offset), 8);
	return value;
}

static inline volatile uint8_t *driver_area(struct driver *d, uint64_t offset, size_t length)
{
	void *area = NULL;

	CHECK_EQ(iommuse_mmap(d->system, d->device, length, PROT_READ | PROT_WRITE, MAP_SHARED, (off_t)offset, &area),
		 0);
	return area;
}

/* fd -1: none any more. */
static inline void driver_irq(struct driver *d, uint32_t index, uint32_t vector, int fd)
{
	_Alignas(struct vfio_irq_set) unsigned char irq[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	struct vfio_irq_set *set = (struct vfio_irq_set *)irq;

	*set = (struct vfio_irq_set){.argsz = sizeof(irq),
				     .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				     .index = index,
				     .start = vector,
				     .count = 1};
	memcpy(set->data, &(int32_t){fd}, sizeof(int32_t));
	CHECK_EQ(driver_call(d, d->device, VFIO_DEVICE_SET_IRQS, set), 0);
}

static inline void driver_irq_none(struct driver *d, uint32_t index, uint32_t action, uint32_t count)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set), .flags = VFIO_IRQ_SET_DATA_NONE | action, .index = index, .count = count};

	CHECK_EQ(driver_call(d, d->device, VFIO_DEVICE_SET_IRQS, &set), 0);
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "device.h"

#include <fcntl.h>
#include <stdio.h>

const char *const rules_devices[] = {
	"ioat,addr=0000:01:00.0,group=1",
	"ioat,addr=0000:01:00.1,group=1",
	"ioat,addr=0000:01:01.0,group=2",
	"ioat,addr=0000:02:00.0,group=3",
	NULL,
};

int group_open(struct rules *t, unsigned id)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%u", id);
	return transport_open(t->transport, path, O_RDWR | O_CLOEXEC);
}

int cdev_open(struct rules *t, unsigned number)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", number);
	fd = transport_open(t->transport, path, O_RDWR | O_CLOEXEC);
	EXPECT(t, fd < 0 ? fd : 0, 0);
	return fd;
}

int call_on(struct rules *t, int fd, unsigned long cmd, void *arg)
{
	return transport_ioctl(t->transport, fd, cmd, (uintptr_t)arg);
}

void device_close(struct rules *t, int fd)
{
	EXPECT(t, transport_close(t->transport, fd), 0);
}

int group_status(struct rules *t, int group)
{
	struct vfio_group_status c = {.argsz = sizeof(c)};
	int rc = call_on(t, group, VFIO_GROUP_GET_STATUS, &c);

	return rc ? rc : (int)c.flags;
}

int set_container(struct rules *t, int group, int container)
{
	int32_t fd = container;

	return call_on(t, group, VFIO_GROUP_SET_CONTAINER, &fd);
}

int get_device_fd(struct rules *t, int group, const char *name)
{
	return transport_ioctl(t->transport, group, VFIO_GROUP_GET_DEVICE_FD, (uintptr_t)name);
}

int group_new(struct rules *t, unsigned id)
{
	int group = group_open(t, id);

	EXPECT(t, group < 0 ? group : 0, 0);
	EXPECT(t, set_container(t, group, t->fd), 0);
	return group;
}

int bind_cdev_to(struct rules *t, int cdev, int iommufd, uint32_t *id)
{
	struct vfio_device_bind_iommufd c = {.argsz = sizeof(c), .iommufd = iommufd};
	int rc = call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &c);

	if (id)
		*id = c.out_devid;
	return rc;
}

int bind_cdev(struct rules *t, int cdev, uint32_t *id)
{
	return bind_cdev_to(t, cdev, t->fd, id);
}

int cdev_new(struct rules *t, unsigned number, uint32_t *id)
{
	int cdev = cdev_open(t, number);

	EXPECT(t, bind_cdev(t, cdev, id), 0);
	return cdev;
}

int attach_cdev(struct rules *t, int cdev, uint32_t pasid, uint32_t *pt)
{
	struct vfio_device_attach_iommufd_pt c = {
		.argsz = sizeof(c), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = *pt, .pasid = pasid};
	int rc = call_on(t, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c);

	*pt = c.pt_id;
	return rc;
}

int detach_cdev(struct rules *t, int cdev, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt c = {
		.argsz = sizeof(c), .flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0, .pasid = pasid};

	return call_on(t, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &c);
}

int map_interrupts(struct rules *t, uint32_t ioas)
{
	static _Alignas(4096) unsigned char page[PAGE];

	return map_va_at(t, ioas, RW, (uintptr_t)page, INTERRUPTS, PAGE);
}

bool is_attached(struct rules *t, uint32_t ioas)
{
	if (map_interrupts(t, ioas))
		return true;
	EXPECT(t, unmap(t, ioas, INTERRUPTS, PAGE, NULL), 0);
	return false;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "irq_device.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define COMMAND_AT (((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + 4)

int dev_call(struct rules *t, int device, unsigned long cmd, void *arg)
{
	return transport_ioctl(t->transport, device, cmd, (uintptr_t)arg);
}

int dev_open(struct rules *t)
{
	int device = node_open(t, "/dev/vfio/devices/vfio0");
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = t->fd};

	EXPECT(t, dev_call(t, device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	return device;
}

void dev_close(struct rules *t, int device)
{
	EXPECT(t, transport_close(t->transport, device), 0);
}

void dev_write(struct rules *t, int device, unsigned reg, uint64_t value)
{
	EXPECT(t, transport_pwrite(t->transport, device, &value, sizeof(value), reg), sizeof(value));
}

uint64_t dev_read(struct rules *t, int device, unsigned reg)
{
	uint64_t value = 0;

	EXPECT(t, transport_pread(t->transport, device, &value, sizeof(value), reg), sizeof(value));
	return value;
}

void dev_command(struct rules *t, int device, uint16_t command)
{
	EXPECT(t, transport_pwrite(t->transport, device, &command, sizeof(command), COMMAND_AT), sizeof(command));
}

int irqs_set(struct rules *t, int device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
	     const void *data, size_t size)
{
	struct vfio_irq_set *set = malloc(sizeof(*set) + size);
	int rc;

	set->argsz = (uint32_t)(sizeof(*set) + size);
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (size)
		memcpy(set->data, data, size);
	rc = dev_call(t, device, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return rc;
}

int irqs_fds(struct rules *t, int device, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	return irqs_set(t, device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index, start, count, fds,
			count * sizeof(*fds));
}

int irqs_act(struct rules *t, int device, uint32_t action, uint32_t index, uint32_t start, uint32_t count)
{
	return irqs_set(t, device, VFIO_IRQ_SET_DATA_NONE | action, index, start, count, NULL, 0);
}

int event_new(struct rules *t)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	EXPECT(t, fd >= 0, 1);
	return fd;
}

uint64_t eventfd_take(int fd)
{
	eventfd_t count = 0;

	(void)eventfd_read(fd, &count);
	return count;
}

uint64_t eventfd_await(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	(void)poll(&p, 1, -1);
	return eventfd_take(fd);
}

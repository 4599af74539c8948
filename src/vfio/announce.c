/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio/announce.h"

#include "abi/vfio.h"
#include "base/event.h"
#include "client/file.h"

#include <string.h>

/* How much of a structure is shown at most; its argsz may say less. */
static size_t shown_size(unsigned cmd)
{
	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		return sizeof(struct vfio_group_status);
	case VFIO_DEVICE_GET_INFO:
		return sizeof(struct vfio_device_info);
	case VFIO_DEVICE_GET_REGION_INFO:
		return sizeof(struct vfio_region_info);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return sizeof(struct vfio_irq_info);
	case VFIO_DEVICE_SET_IRQS:
		return sizeof(struct vfio_irq_set) + sizeof(int32_t);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return sizeof(struct vfio_pci_hot_reset_info);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return sizeof(struct vfio_pci_hot_reset);
	case VFIO_DEVICE_IOEVENTFD:
		return sizeof(struct vfio_device_ioeventfd);
	case VFIO_DEVICE_FEATURE:
		return sizeof(struct vfio_device_feature);
	case VFIO_DEVICE_BIND_IOMMUFD:
		return sizeof(struct vfio_device_bind_iommufd);
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return sizeof(struct vfio_device_attach_iommufd_pt);
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return sizeof(struct vfio_device_detach_iommufd_pt);
	default:
		return 0;
	}
}

/* Nothing is read of a client whose addresses are good beyond the end of the name. */
static uint32_t read_name(struct client *client, uaddr_t at, void *name)
{
	if (client->ops->plain)
		return (uint32_t)client_read(client, name, at,
					     strnlen((const char *)(uintptr_t)at.va, EVENT_ARG_MAX - 1));
	return (uint32_t)client_read(client, name, at, EVENT_ARG_MAX - 1);
}

static uint32_t read_argument(struct client *client, unsigned cmd, uaddr_t at, unsigned char *arg)
{
	size_t size = shown_size(cmd);
	uint32_t argsz;

	if (cmd == VFIO_GROUP_GET_DEVICE_FD)
		return read_name(client, at, arg);
	if (cmd == VFIO_GROUP_SET_CONTAINER)
		return (uint32_t)client_read(client, arg, at, sizeof(int32_t));
	if (!size || client_copy_in(client, &argsz, at, sizeof(argsz)))
		return 0;
	return (uint32_t)client_read(client, arg, at, argsz < size ? argsz : size);
}

void vfio_announce_call(struct event_stream *events, const struct file *file, struct client *client, unsigned cmd,
			uint64_t arg, long result)
{
	struct event event = {.type = EVENT_DEVICE_CALL,
			      .pid = client->pid,
			      .tid = client->tid,
			      .fd = client->fd,
			      .file = file->serial,
			      .call = {.cmd = cmd, .result = result, .arg_value = arg}};

	/* What failed with EFAULT has no structure that could be read, and what failed otherwise may not have been
	 * asked for one: then only a client whose addresses are checked is read. */
	if (result != -EFAULT && (result >= 0 || !client->ops->plain))
		event.call.arg_size = read_argument(client, cmd, uaddr(arg), event.call.arg);
	event_announce(events, &event);
}

void vfio_announce_device(struct event_stream *events, const struct file *file, const struct client *client, int fd,
			  const char *name)
{
	struct event event = {
		.type = EVENT_OPEN, .pid = client->pid, .tid = client->tid, .fd = fd, .file = file->serial};

	strncpy(event.text, name, sizeof(event.text) - 1);
	event_announce(events, &event);
}

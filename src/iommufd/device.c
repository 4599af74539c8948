/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/device.h"

#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/igroup.h"
#include "iommufd/viommu.h"

#include <stdlib.h>

/* More than any driver says of its hardware. */
#define HW_INFO_MAX 256

static void device_destroy(struct object *object)
{
	struct device *device = (struct device *)object;
	struct ctx *ctx = object->ctx;

	/* Waits for device threads; nobody else can bind it yet. */
	iommu_device_own(device->dev, NULL);
	pthread_mutex_lock(&ctx->attach_lock);
	device->dev->owner = NULL;
	igroup_leave(ctx, device);
	pthread_mutex_unlock(&ctx->attach_lock);
	free(device);
}

static const struct object_ops device_ops = {.type = OBJECT_DEVICE, .destroy = device_destroy};

int device_bind(struct ctx *ctx, struct iommu_device *dev, struct client *client, struct device **device)
{
	struct device *d = malloc(sizeof(*d));
	int rc;

	if (!d)
		return -ENOMEM;
	d->dev = dev;
	d->unbinding = false;
	d->vdevice = NULL;
	rc = object_new(ctx, &d->object, &device_ops);
	if (rc)
		goto out_free;
	pthread_mutex_lock(&ctx->attach_lock);
	rc = igroup_join(ctx, d);
	if (!rc) {
		dev->owner = d;
		iommu_device_own(dev, &ctx->epoch);
	}
	pthread_mutex_unlock(&ctx->attach_lock);
	if (rc)
		goto out_id;
	object_hold(&d->object);
	*device = d;
	object_publish(&d->object, client);
	return 0;

out_id:
	id_table_release(&ctx->objects, d->object.id);
out_free:
	free(d);
	return rc;
}

/* No call finds it any more; those that did may be at anything but attaching, which is the owner's. */
void device_unbind(struct device *device)
{
	struct ctx *ctx = device->object.ctx;

	object_hide(&device->object);
	pthread_mutex_lock(&ctx->attach_lock);
	device->unbinding = true;
	pthread_mutex_unlock(&ctx->attach_lock);
	vdevice_abort(device);
	device_detach_all(device);
	object_remove(&device->object, 1, false);
}

bool device_owned(struct ctx *ctx, const struct iommu_device *dev, uint32_t *id)
{
	const struct igroup *igroup;

	*id = 0;
	pthread_mutex_lock(&ctx->attach_lock);
	igroup = ctx->igroups;
	while (igroup && igroup->group != dev->group)
		igroup = igroup->next;
	for (const struct device *device = igroup ? igroup->devices : NULL; device; device = device->next)
		if (device->dev == dev)
			*id = device->object.id;
	pthread_mutex_unlock(&ctx->attach_lock);
	return igroup;
}

static unsigned pasid_bits(const struct iommu_device *dev)
{
	return dev->max_pasids ? 31U - (unsigned)__builtin_clz(dev->max_pasids) : 0;
}

/* What the driver says goes to info and the structure; length: as much as there is. */
static int ask_driver(struct ucmd *ucmd, unsigned char *info, size_t *length)
{
	struct iommu_hw_info *cmd = (void *)ucmd->cmd;
	struct device *device = device_get(ucmd->ctx, cmd->dev_id);
	uint32_t type = cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE ? cmd->in_data_type : 0;
	const struct iommu_driver *driver;
	int rc = 0;

	if (!device)
		return -ENOENT;
	driver = device->dev->driver;
	*length = 0;
	if (driver->hw_info)
		rc = driver->hw_info(device->dev, &type, info, HW_INFO_MAX, length);
	else
		type = IOMMU_HW_INFO_TYPE_NONE;
	cmd->out_data_type = type;
	cmd->out_capabilities = driver->capabilities(device->dev);
	cmd->out_max_pasid_log2 = (uint8_t)pasid_bits(device->dev);
	object_put(&device->object);
	return rc;
}

/* The client's room behind the information becomes zero. */
static int fill_room(struct ucmd *ucmd, const unsigned char *info, size_t length)
{
	static const unsigned char zero[PAGE_SIZE];
	const struct iommu_hw_info *cmd = (const void *)ucmd->cmd;
	size_t n = length < cmd->data_len ? length : cmd->data_len;
	uaddr_t at = uaddr(cmd->data_uptr);

	if (n && client_copy_out(ucmd->client, at, info, n))
		return -EFAULT;
	for (size_t left = cmd->data_len - n; left; left -= n) {
		at = uaddr_add(at, n);
		n = left < sizeof(zero) ? left : sizeof(zero);
		if (client_copy_out(ucmd->client, at, zero, n))
			return -EFAULT;
	}
	return 0;
}

int iommufd_get_hw_info(struct ucmd *ucmd)
{
	struct iommu_hw_info *cmd = (void *)ucmd->cmd;
	unsigned char info[HW_INFO_MAX];
	size_t length;
	int rc;

	if (cmd->flags & ~(uint32_t)IOMMU_HW_INFO_FLAG_INPUT_TYPE || cmd->__reserved[0] || cmd->__reserved[1] ||
	    cmd->__reserved[2])
		return -EOPNOTSUPP;
	rc = ask_driver(ucmd, info, &length);
	if (rc)
		return rc;
	rc = fill_room(ucmd, info, length < HW_INFO_MAX ? length : HW_INFO_MAX);
	if (rc)
		return rc;
	cmd->data_len = (uint32_t)length;
	return ucmd_respond(ucmd);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/vfio/devices/vfioN: any number of files, of which one may bind the device to an iommufd. From then on until it
 * is closed the group cannot be opened.
 */
#include "abi/vfio.h"
#include "ioasid/ioasid.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/dispatch.h"
#include "pasid/ioasid.h"
#include "vfio/device_file.h"

#include <limits.h>
#include <stddef.h>

#define UUID_BYTES 16

int vfio_cdev_open(struct vfio *vfio, struct vfio_device *device, struct file **file)
{
	struct device_file *made = device_file_new(device, false);

	(void)vfio;
	if (!made)
		return -ENOMEM;
	*file = &made->file;
	return 0;
}

/* What is longer than known must be zero; what is shorter counts as zero. */
static int read_bind(struct client *client, uaddr_t arg, struct vfio_device_bind_iommufd *bind)
{
	const size_t min = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr);
	uint32_t size;
	int rc = 0;

	*bind = (struct vfio_device_bind_iommufd){0};
	if (client_copy_in(client, &size, arg, sizeof(size)))
		return -EFAULT;
	if (size < min)
		return -EINVAL;
	if (size > sizeof(*bind)) {
		rc = iommufd_check_zero(client, uaddr_add(arg, sizeof(*bind)), size - sizeof(*bind));
		size = sizeof(*bind);
	}
	return rc ? rc : client_copy_in(client, bind, arg, size);
}

/* Keeps the group from being opened. */
static int block_group(struct vfio_group *group)
{
	int rc = 0;

	pthread_mutex_lock(&group->lock);
	if (group_is_open(group))
		rc = -EBUSY;
	else
		atomic_fetch_add(&group->cdevs, 1);
	pthread_mutex_unlock(&group->lock);
	return rc;
}

/* A token is for devices with virtual functions, which ours are not. */
static int check_token(struct client *client, const struct vfio_device_bind_iommufd *bind)
{
	unsigned char uuid[UUID_BYTES];

	if (!(bind->flags & VFIO_DEVICE_BIND_FLAG_TOKEN))
		return 0;
	return client_copy_in(client, uuid, uaddr(bind->token_uuid_ptr), sizeof(uuid)) ? -EFAULT : -EINVAL;
}

static int find_iommufd(struct client *client, int fd, struct ctx **ctx)
{
	struct file *file;
	int rc = client->ops->file(client, fd, &file);

	if (rc)
		return rc;
	*ctx = ctx_from_file(file);
	if (*ctx)
		return 0;
	file_put(file);
	return -EBADFD;
}

/* Tells the id without a lock: until it is told nothing can be done with the file. */
static int bind_to(struct device_file *file, struct ctx *ctx, struct client *client, uaddr_t arg)
{
	uint32_t id;
	int rc;

	if (device_take(file))
		return -EINVAL;
	rc = device_file_open(file, ctx, client);
	if (rc)
		return rc;
	id = file->iommufd->object.id;
	rc = client_copy_out(client, uaddr_add(arg, offsetof(struct vfio_device_bind_iommufd, out_devid)), &id,
			     sizeof(id));
	if (rc) {
		ctx = device_file_shut(file);
		device_give_back(file);
		file_put(&ctx->file);
		return rc;
	}
	atomic_store_explicit(&file->bound, true, memory_order_release);
	device_opened(file);
	return 0;
}

int cdev_bind(struct device_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_group *group = file->device->group;
	struct vfio_device_bind_iommufd bind;
	struct ctx *ctx;
	int rc = read_bind(client, arg, &bind);

	if (rc)
		return rc;
	if (bind.iommufd < 0 || bind.flags & ~(uint32_t)VFIO_DEVICE_BIND_FLAG_TOKEN || file->from_group)
		return -EINVAL;
	group_settle(file->device->vfio, group);
	rc = block_group(group);
	if (rc)
		return rc;
	if (device_is_taken(file))
		rc = -EINVAL;
	if (!rc)
		rc = check_token(client, &bind);
	if (!rc)
		rc = find_iommufd(client, bind.iommufd, &ctx);
	if (rc)
		goto out_unblock;
	rc = bind_to(file, ctx, client, arg);
	file_put(&ctx->file);
	if (!rc)
		return 0; /* the release of the file unblocks */

out_unblock:
	atomic_fetch_sub(&group->cdevs, 1);
	return rc;
}

/*
 * PASIDs of /dev/ioasid. One that an address space has allocated is for its processes only, and stays theirs while it
 * is attached; one that nobody has is anybody's. All with device.lock held.
 */

static bool is_held(const struct device_file *file, uint32_t pasid)
{
	struct range found;

	return range_map_find(&file->held, pasid, pasid, &found);
}

static void release_pasid(struct device_file *file, uint32_t pasid)
{
	if (is_held(file, pasid)) {
		range_map_remove(&file->held, pasid);
		ioasid_unbind(file->device->vfio->ioasids, pasid);
	}
}

void cdev_release_pasids(struct device_file *file)
{
	struct range found;

	while (range_map_find(&file->held, 0, UINT64_MAX, &found))
		release_pasid(file, (uint32_t)found.start);
	range_map_clear(&file->held);
}

/* token: of the caller's set. A PASID that is held once is not held again, also where it was freed since. Stores
 * whether it is held only now. */
static int hold_pasid(struct device_file *file, uint64_t token, uint32_t pasid, bool *now)
{
	struct ioasid_space *ioasids = file->device->vfio->ioasids;
	const bool before = is_held(file, pasid);
	int rc = ioasids ? ioasid_bind(ioasids, token, pasid, now) : 0;

	if (rc == -EBUSY && before)
		return 0;
	if (rc || !*now)
		return rc;
	*now = !before;
	if (!before)
		rc = range_map_insert(&file->held, pasid, pasid, file);
	if (before || rc)
		ioasid_unbind(ioasids, pasid);
	return rc;
}

static uint64_t token_of(const struct vfio *vfio, struct mm *mm)
{
	return vfio->ioasid_users ? ioasid_token(vfio->ioasid_users, mm) : mm->serial;
}

/* A PASID is of the part of the numbers that Linux has room for, and none of the device's own DMA. */
static int attach_pasid(struct device_file *file, uint64_t token, uint32_t pasid, uint32_t *pt_id)
{
	struct device *device = file->iommufd;
	bool held = false;
	int rc;

	if (pasid > INT_MAX)
		return -ENOSPC;
	if (pasid == NO_PASID)
		return -EINVAL;
	rc = hold_pasid(file, token, pasid, &held);
	if (rc)
		return rc;
	rc = device_hwpt(device, pasid) ? device_replace(device, pasid, pt_id) : device_attach(device, pasid, pt_id);
	if (rc && held)
		release_pasid(file, pasid);
	return rc;
}

int cdev_attach(struct device_file *file, struct client *client, uaddr_t arg)
{
	const size_t min = offsetof(struct vfio_device_attach_iommufd_pt, pasid);
	struct vfio_device *device = file->device;
	struct vfio_device_attach_iommufd_pt attach;
	uint64_t token = 0;
	int rc;

	if (client_copy_in(client, &attach, arg, min))
		return -EFAULT;
	if (attach.argsz < min || attach.flags & ~(uint32_t)VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (attach.flags & VFIO_DEVICE_ATTACH_PASID) {
		if (attach.argsz < sizeof(attach))
			return -EINVAL;
		if (client_copy_in(client, &attach.pasid, uaddr_add(arg, min), sizeof(attach.pasid)))
			return -EFAULT;
		token = token_of(device->vfio, client->ops->mm(client));
	}
	pthread_mutex_lock(&device->lock);
	if (attach.flags & VFIO_DEVICE_ATTACH_PASID)
		rc = attach_pasid(file, token, attach.pasid, &attach.pt_id);
	else if (device_hwpt(file->iommufd, NO_PASID))
		rc = device_replace(file->iommufd, NO_PASID, &attach.pt_id);
	else
		rc = device_attach(file->iommufd, NO_PASID, &attach.pt_id);
	pthread_mutex_unlock(&device->lock);
	if (rc)
		return rc;
	rc = client_copy_out(client, uaddr_add(arg, offsetof(struct vfio_device_attach_iommufd_pt, pt_id)),
			     &attach.pt_id, sizeof(attach.pt_id));
	if (rc) {
		/* As on Linux: not the PASID. */
		pthread_mutex_lock(&device->lock);
		device_detach(file->iommufd, NO_PASID);
		pthread_mutex_unlock(&device->lock);
	}
	return rc;
}

int cdev_detach(struct device_file *file, struct client *client, uaddr_t arg)
{
	const size_t min = offsetof(struct vfio_device_detach_iommufd_pt, pasid);
	struct vfio_device *device = file->device;
	struct vfio_device_detach_iommufd_pt detach;

	if (client_copy_in(client, &detach, arg, min))
		return -EFAULT;
	if (detach.argsz < min || detach.flags & ~(uint32_t)VFIO_DEVICE_DETACH_PASID)
		return -EINVAL;
	detach.pasid = NO_PASID;
	if (detach.flags & VFIO_DEVICE_DETACH_PASID) {
		if (detach.argsz < sizeof(detach))
			return -EINVAL;
		if (client_copy_in(client, &detach.pasid, uaddr_add(arg, min), sizeof(detach.pasid)))
			return -EFAULT;
		if (detach.pasid == NO_PASID)
			return 0;
	}
	pthread_mutex_lock(&device->lock);
	device_detach(file->iommufd, detach.pasid);
	release_pasid(file, detach.pasid);
	pthread_mutex_unlock(&device->lock);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who has a device open is device.user: from before the binding to the release of that file. A device is given back by
 * the release and not before, as until then a call may be at work with it.
 */
#include "vfio/device_file.h"
#include "vfio/mm_pasid.h"

#include <time.h>

/* How long somebody waits for a device that another one is opening or closing. */
#define PATIENCE_S 1

/* Has it no descriptor any more, or not even a reference? */
static bool is_closing(const struct device_file *user)
{
	return atomic_load(&user->closed) || !atomic_load(&user->file.refs);
}

static bool is_changing(const struct device_file *user)
{
	return atomic_load(&user->opening) || is_closing(user);
}

/* With the lock held, which is dropped meanwhile. Returns false where it lasts too long. */
static bool settle(struct vfio_device *device, bool (*unsettled)(const struct device_file *user))
{
	struct timespec end;

	if (!device->user || !unsettled(device->user))
		return true;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PATIENCE_S;
	while (device->user && unsettled(device->user))
		if (pthread_cond_timedwait(&device->user_changed, &device->user_lock, &end))
			return false;
	return true;
}

int device_user_get(struct vfio_device *device, struct device_file **user)
{
	int rc = 0;

	pthread_mutex_lock(&device->user_lock);
	*user = NULL;
	if (!settle(device, is_changing) || (device->user && !file_get_live(&device->user->file)))
		rc = -EBUSY;
	else
		*user = device->user;
	pthread_mutex_unlock(&device->user_lock);
	return rc;
}

int device_take(struct device_file *file)
{
	struct vfio_device *device = file->device;
	int rc = 0;

	pthread_mutex_lock(&device->user_lock);
	if (!settle(device, is_changing))
		rc = -EBUSY;
	else if (device->user)
		rc = -EEXIST;
	if (!rc) {
		atomic_store(&file->opening, true);
		device->user = file;
	}
	pthread_mutex_unlock(&device->user_lock);
	return rc;
}

void device_give_back(struct device_file *file)
{
	struct vfio_device *device = file->device;

	pthread_mutex_lock(&device->user_lock);
	device->user = NULL;
	pthread_cond_broadcast(&device->user_changed);
	pthread_mutex_unlock(&device->user_lock);
}

void device_opened(struct device_file *file)
{
	struct vfio_device *device = file->device;

	pthread_mutex_lock(&device->user_lock);
	atomic_store(&file->opening, false);
	pthread_cond_broadcast(&device->user_changed);
	pthread_mutex_unlock(&device->user_lock);
}

bool vfio_device_opener(struct vfio_device *device, pid_t *opener, bool *from_group)
{
	const struct device_file *user;

	pthread_mutex_lock(&device->user_lock);
	user = device->user && !is_closing(device->user) ? device->user : NULL;
	*opener = user ? atomic_load(&user->opener) : 0;
	*from_group = user && user->from_group;
	pthread_mutex_unlock(&device->user_lock);
	return user;
}

bool device_is_taken(struct device_file *file)
{
	struct vfio_device *device = file->device;
	bool taken;

	pthread_mutex_lock(&device->user_lock);
	taken = device->user == file;
	pthread_mutex_unlock(&device->user_lock);
	return taken;
}

static void settle_closing(struct vfio_device *device)
{
	pthread_mutex_lock(&device->user_lock);
	settle(device, is_closing);
	pthread_mutex_unlock(&device->user_lock);
}

void group_settle(struct vfio *vfio, const struct vfio_group *group)
{
	for (struct vfio_device *device = vfio->devices; device; device = device->next)
		if (device->group == group)
			settle_closing(device);
}

/* For each close once, as it may last for ever. */
static void settle_closing_once(struct vfio_device *device)
{
	pthread_mutex_lock(&device->user_lock);
	if (device->user && !device->user->awaited && !settle(device, is_closing) && device->user &&
	    is_closing(device->user))
		device->user->awaited = true;
	pthread_mutex_unlock(&device->user_lock);
}

void vfio_settle(struct vfio *vfio)
{
	for (struct vfio_device *device = vfio->devices; device; device = device->next)
		settle_closing_once(device);
	if (!vfio->mm_pasids)
		return;
	mm_pasids_lock(vfio->mm_pasids);
	(void)bonds_purge(vfio->mm_pasids);
	mm_pasids_unlock(vfio->mm_pasids);
}

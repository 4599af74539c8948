/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/sysfs_live.h"

#include "supervisor/sysfs.h"
#include "vfio/device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS 10000000

struct sysfs_live {
	unsigned count;
	struct {
		struct vfio_device *device;
		int fd;
	} config[];
};

static void live_free(struct sysfs_live *live)
{
	for (unsigned i = 0; i < live->count; i++)
		close(live->config[i].fd);
	free(live);
}

int sysfs_live_new(struct vfio *vfio, const char *root, struct sysfs_live **out)
{
	struct sysfs_live *live = calloc(1, sizeof(*live) + vfio->device_count * sizeof(*live->config));
	char path[PATH_MAX], below[SYSFS_PATH_MAX];

	if (!live)
		return -ENOMEM;
	for (struct vfio_device *device = vfio->devices; device; device = device->next) {
		int fd, err;

		sysfs_device_path(device, below);
		snprintf(path, sizeof(path), "%s%s/config", root, below);
		fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			err = -errno;
			live_free(live);
			return err;
		}
		live->config[live->count].device = device;
		live->config[live->count++].fd = fd;
	}
	*out = live;
	return 0;
}

/* A model may wait for memory of its driver's that never comes. */
static int lock_patiently(pthread_mutex_t *lock)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += PATIENCE_NS;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	return pthread_mutex_timedlock(lock, &end);
}

void sysfs_live_refresh(struct sysfs_live *live)
{
	uint8_t byte[PCI_CONFIG_SIZE];

	for (unsigned i = 0; live && i < live->count; i++) {
		struct vfio_device *device = live->config[i].device;

		if (lock_patiently(&device->model_lock))
			continue;
		memcpy(byte, device->config.byte, sizeof(byte));
		pthread_mutex_unlock(&device->model_lock);
		(void)!pwrite(live->config[i].fd, byte, device->config.size, 0);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Where no thread can be had for a device it cannot be opened, and later it can. pthread_create() can be made to fail.
 */
#include "device_driver.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

static bool fail;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
	return fail ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}

static int64_t bind(struct driver *d)
{
	struct vfio_device_bind_iommufd bind_iommufd = {.argsz = sizeof(bind_iommufd), .iommufd = d->iommufd};

	return driver_call(d, d->device, VFIO_DEVICE_BIND_IOMMUFD, &bind_iommufd);
}

int main(void)
{
	struct driver d;

	driver_new(&d, "ioat");
	d.iommufd = iommuse_open(d.system, "/dev/iommu", O_RDWR);
	d.device = iommuse_open(d.system, "/dev/vfio/devices/vfio0", O_RDWR);
	fail = true;
	CHECK_EQ(bind(&d), -EAGAIN);
	CHECK_EQ(bind(&d), -EAGAIN);
	fail = false;
	CHECK_EQ(bind(&d), 0);
	driver_close(&d);
	driver_open(&d);
	driver_end(&d);
	return check_result();
}

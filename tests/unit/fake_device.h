/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices behind an IOMMU without translations: a log of the answers to their page faults. */
#ifndef IOMMUSE_TESTS_FAKE_DEVICE_H
#define IOMMUSE_TESTS_FAKE_DEVICE_H

#include "abi/iommufd.h"
#include "check.h"
#include "fake_client.h"
#include "hwpt/fault.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/eventq.h"
#include "iommufd/hwpt.h"

#define ANSWERS 64

struct fake_device {
	struct iommu_device dev;
	struct iommu_group group;
	struct device *device;
	pthread_mutex_t lock;
	unsigned answers; /* how many there were; the first are kept */
	struct {
		uint32_t pasid, group, code;
	} answer[ANSWERS];
};

static inline void fake_page_response(struct iommu_device *dev, uint32_t pasid, uint32_t group, uint32_t code)
{
	struct fake_device *device = (struct fake_device *)dev;

	pthread_mutex_lock(&device->lock);
	if (device->answers < ANSWERS) {
		device->answer[device->answers].pasid = pasid;
		device->answer[device->answers].group = group;
		device->answer[device->answers].code = code;
	}
	device->answers++;
	pthread_mutex_unlock(&device->lock);
}

static inline void fake_device_begin(struct fake_device *device, const struct iommu_driver *driver, struct file *file,
				     struct client *client)
{
	memset(device, 0, sizeof(*device));
	pthread_mutex_init(&device->lock, NULL);
	iommu_device_init(&device->dev, driver, &device->group);
	device->dev.name = "fake";
	device->dev.can_fault = true;
	device->dev.max_pasids = 16;
	CHECK_EQ(device_bind(ctx_of(file), &device->dev, client, &device->device), 0);
}

static inline void fake_device_end(struct fake_device *device)
{
	if (device->device)
		device_unbind(device->device);
	iommu_device_fini(&device->dev);
}

/* A page table that is no object: the client cannot name it. */
struct fake_hwpt {
	struct hwpt hwpt;
	struct domain domain;
};

static inline void fake_nested_free(struct domain *domain)
{
	(void)domain;
}

static const struct nested_ops fake_nested_ops = {.free = fake_nested_free};

static inline void fake_hwpt_begin(struct fake_hwpt *hwpt, const struct iommu_driver *driver, struct fault *fault)
{
	memset(hwpt, 0, sizeof(*hwpt));
	hwpt->hwpt.domain = &hwpt->domain;
	hwpt->hwpt.fault = fault;
	hwpt->domain.driver = driver;
	hwpt->domain.owner = &hwpt->hwpt;
	hwpt->domain.fault = fault ? fault_queue_group : NULL;
}

#endif

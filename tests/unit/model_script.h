/* SPDX-License-Identifier: BSD-3-Clause */
/* A model in a shared object, whose callbacks are the test's. */
#ifndef IOMMUSE_TESTS_MODEL_SCRIPT_H
#define IOMMUSE_TESTS_MODEL_SCRIPT_H

#include "iommuse/device.h"

#define SCRIPT_AREA    0x1000U /* of BAR 0: two pages; the first is trapped */
#define SCRIPT_VECTORS 4U

/* The symbol model_script. What is NULL does nothing. */
struct model_script {
	int (*create)(struct iommuse_device *device);
	void (*reset)(struct iommuse_device *device);
	uint64_t (*read)(struct iommuse_device *device, uint64_t offset, unsigned width);
	void (*write)(struct iommuse_device *device, uint64_t offset, unsigned width, uint64_t value);
	bool (*poll)(struct iommuse_device *device);
	/* Of the model that makes page requests. */
	void (*page_response)(struct iommuse_device *device, uint32_t pasid, uint32_t group, bool success);
	unsigned destroyed;
};

#endif

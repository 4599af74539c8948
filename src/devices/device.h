/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device of a model. vfio/ sees a model whose callbacks are ours: they call the model's own, and end what the model
 * borrowed when it returns. All callbacks but create() and destroy() run with vfio.model_lock held.
 */
#ifndef IOMMUSE_DEVICES_DEVICE_H
#define IOMMUSE_DEVICES_DEVICE_H

#include "devices/poller.h"
#include "devices/requests.h"
#include "vfio/device.h"

#define BORROWED_MAX 4U
#define BORROW_BYTES 65536U
#define BOUNCE_BYTES DMA_SHARED_BYTES

/* Memory that the model has borrowed. */
struct borrowed {
	void *memory; /* NULL: this one is free */
	bool copied;  /* memory is ours, allocated */
	uint64_t iova, length;
	uint32_t pasid, direction;
};

struct model_device {
	struct vfio_device vfio;
	struct iommuse_model seen;  /* by vfio/ */
	struct iommuse_model model; /* as it was loaded */
	void *state;                /* the model's */
	void *library;              /* of dlopen(); NULL: it is built in */
	char *text;                 /* what the user said, cut into keys and values */
	char *said;                 /* where create() says why it fails; NULL: afterwards */
	size_t said_room;
	const char **value; /* of each key of the model */
	struct poller poller;
	struct requests requests;

	/* Guarded by vfio.model_lock. */
	struct dma borrowing; /* inside its epoch while memory that is used in place is borrowed */
	unsigned direct;      /* how many those are */
	struct borrowed borrowed[BORROWED_MAX];
	struct dma_withheld withheld; /* until the model asks for the page, or the callback ends */
	uint8_t *bounce;              /* BOUNCE_BYTES */
};

static inline struct model_device *model_device(struct iommuse_device *base)
{
	return (struct model_device *)base;
}

extern const struct iommuse_device_ops model_device_ops;
extern const struct vfio_device_hooks model_device_hooks;

/* Sets what vfio/ sees of device->model. */
void model_device_wrap(struct model_device *device);

/* iommu_device.page_response of its device */
void model_device_answer(struct iommu_device *iommu, uint32_t pasid, uint32_t group, uint32_t code);

extern const struct iommuse_model dmax_model, ioat_model, nvme_model;

#endif

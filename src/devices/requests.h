/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests of a model (PRI). It makes them in a callback; the poller asks for the page when no lock is held, as
 * that may take a while; the answer, from whichever thread, is kept until the poller calls the model.
 *
 * Who is asked sees a number of ours: the model's own, where no other request that waits for an answer has it. A reset
 * forgets what was made; but what was asked for by then is still answered, in whatever order, and keeps its number
 * until then. Where all numbers are kept so, what the model makes waits for one.
 */
#ifndef IOMMUSE_DEVICES_REQUESTS_H
#define IOMMUSE_DEVICES_REQUESTS_H

#include "hwpt/device.h"

/* A group is a number of 9 bits, the model's as well as ours. */
#define REQUEST_GROUPS 512U

struct model_device;

struct request {
	uint64_t address;
	uint32_t pasid;
	uint8_t perm;                /* IOMMU_PGFAULT_PERM_* */
	uint8_t state;               /* enum request_state, in requests.c */
	struct dma_withheld blocked; /* the DMA that wants the page; is announced if that is refused */
};

/* Groups of the model, first in, first out; each is in one of them at most. */
struct request_line {
	uint16_t group[REQUEST_GROUPS];
	uint32_t first, count;
};

struct requests {
	pthread_mutex_t lock;                   /* a leaf; guards what follows */
	struct request request[REQUEST_GROUPS]; /* by the model's group */
	struct request_line made, answered;
	uint16_t asked[REQUEST_GROUPS]; /* by our number: the model's group, or what requests.c says */
};

void requests_init(struct requests *requests);
void requests_fini(struct requests *requests);

/* In a callback. perm is not 0. Takes what the device withholds, if that wants this page. Returns 0; -EINVAL: group;
 * -EBUSY: it waits for its answer. */
int requests_make(struct model_device *device, uint32_t pasid, uint64_t address, uint32_t perm, uint32_t group);

/* By the poller, without locks: asks for what was made. Returns whether there was anything. */
bool requests_ask(struct model_device *device);

/* An answer to what has this number, IOMMUFD_PAGE_RESP_*. Under any locks. */
void requests_answer(struct model_device *device, uint32_t number, uint32_t code);

/* By the poller, with model_lock held: tells the model what was answered. Returns whether anything was. */
bool requests_deliver(struct model_device *device);

void requests_forget(struct model_device *device);

#endif

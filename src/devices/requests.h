/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests of a model (PRI). It makes them in a callback; the poller asks for the page when no lock is held, as
 * that may take a while; the answer, from whichever thread, is kept until the poller calls the model.
 *
 * A reset forgets what was made. What was asked for by then is still answered, so as many answers for that group are
 * dropped.
 */
#ifndef IOMMUSE_DEVICES_REQUESTS_H
#define IOMMUSE_DEVICES_REQUESTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A group is a number of 9 bits. */
#define REQUEST_GROUPS 512U

struct model_device;

struct request {
	uint64_t address;
	uint32_t pasid;
	uint32_t forgotten; /* answers to come that nobody waits for */
	uint8_t perm;       /* IOMMU_PGFAULT_PERM_* */
	uint8_t state;      /* enum request_state, in requests.c */
};

/* Numbers of groups, first in, first out; each is in one of them at most. */
struct request_line {
	uint16_t group[REQUEST_GROUPS];
	uint32_t first, count;
};

struct requests {
	pthread_mutex_t lock; /* a leaf; guards what follows */
	struct request request[REQUEST_GROUPS];
	struct request_line made, answered;
};

void requests_init(struct requests *requests);
void requests_fini(struct requests *requests);

/* In a callback. perm is not 0. Returns 0; -EINVAL: group; -EBUSY: it waits for its answer. */
int requests_make(struct model_device *device, uint32_t pasid, uint64_t address, uint32_t perm, uint32_t group);

/* By the poller, without locks: asks for what was made. Returns whether there was anything. */
bool requests_ask(struct model_device *device);

/* An answer, IOMMUFD_PAGE_RESP_*. Under any locks. */
void requests_answer(struct model_device *device, uint32_t group, uint32_t code);

/* By the poller, with model_lock held: tells the model what was answered. Returns whether anything was. */
bool requests_deliver(struct model_device *device);

void requests_forget(struct model_device *device);

#endif

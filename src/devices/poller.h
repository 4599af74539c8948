/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread that looks for work of a device while it is open. It looks all the time while there is some, and less and
 * less often while there is none.
 */
#ifndef IOMMUSE_DEVICES_POLLER_H
#define IOMMUSE_DEVICES_POLLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct model_device;

struct poller {
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	_Atomic uint32_t kicks; /* changes with each; a futex */
	_Atomic bool napping;
};

/* Returns 0; -EAGAIN: no thread can be had. */
int poller_start(struct model_device *device);
void poller_stop(struct model_device *device);
void poller_kick(struct model_device *device);

#endif

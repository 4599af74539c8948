/* SPDX-License-Identifier: BSD-3-Clause */
/* Work that listeners have left for later, done by one thread in the order in which it was queued. */
#ifndef IOMMUSE_PASID_QUEUE_H
#define IOMMUSE_PASID_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ioasid_work;

struct work_queue {
	pthread_mutex_t lock; /* guards what follows; below the space's */
	pthread_cond_t changed;
	struct ioasid_work *first, **last;
	uint64_t queued, done; /* how many ever were */
	bool running, stop;    /* there is a thread; it is to end when nothing is left */
	bool busy;             /* work is being done */
	pthread_t thread;
};

void work_queue_init(struct work_queue *queue);

/* Starts the thread where there is none. Returns 0 or -errno. */
int work_queue_start(struct work_queue *queue);

/* Ends it when all is done, also what is queued by that. */
void work_queue_fini(struct work_queue *queue);

#endif

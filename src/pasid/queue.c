/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/queue.h"

#include "base/thread.h"
#include "pasid/space.h"

#include <stddef.h>

void work_queue_init(struct work_queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
	queue->last = &queue->first;
}

/* Does the first work, while no other is being done. Called with the lock, which it drops meanwhile. */
static void do_first(struct work_queue *queue)
{
	struct ioasid_work *work = queue->first;

	queue->first = work->next;
	if (!queue->first)
		queue->last = &queue->first;
	work->queued = false;
	queue->busy = true;
	pthread_mutex_unlock(&queue->lock);
	work->run(work);
	pthread_mutex_lock(&queue->lock);
	queue->busy = false;
	queue->done++;
	pthread_cond_broadcast(&queue->changed);
}

static void *run(void *context)
{
	struct work_queue *queue = context;

	pthread_mutex_lock(&queue->lock);
	while (queue->first || !queue->stop) {
		if (queue->first && !queue->busy)
			do_first(queue);
		else
			pthread_cond_wait(&queue->changed, &queue->lock);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

int work_queue_start(struct work_queue *queue)
{
	int rc = 0;

	pthread_mutex_lock(&queue->lock);
	if (!queue->running)
		rc = thread_start(&queue->thread, "ioasid", run, queue);
	if (!rc)
		queue->running = true;
	pthread_mutex_unlock(&queue->lock);
	return rc;
}

void work_queue_fini(struct work_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->stop = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
	if (queue->running)
		pthread_join(queue->thread, NULL);
	else
		run(queue);
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->lock);
}

bool ioasid_queue(struct ioasid_space *space, struct ioasid_work *work)
{
	struct work_queue *queue = &space->queue;
	bool new;

	pthread_mutex_lock(&queue->lock);
	new = !work->queued;
	if (new) {
		work->queued = true;
		work->next = NULL;
		*queue->last = work;
		queue->last = &work->next;
		queue->queued++;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	return new;
}

void ioasid_flush(struct ioasid_space *space)
{
	struct work_queue *queue = &space->queue;
	uint64_t until;

	pthread_mutex_lock(&queue->lock);
	until = queue->queued;
	while (queue->done < until) {
		if (queue->running || queue->busy)
			pthread_cond_wait(&queue->changed, &queue->lock);
		else
			do_first(queue);
	}
	pthread_mutex_unlock(&queue->lock);
}

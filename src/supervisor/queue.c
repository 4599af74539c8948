/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The client's end is open for reading and writing, as POLLOUT holds then whatever is in the pipe, and ours for
 * reading; where POLLOUT shall never hold, the client's is for reading only and ours for writing. The side that we lack
 * is opened for a moment where it is needed: were it there all the time, our end would not notice that the client's is
 * closed.
 *
 * A client that reads or writes a duplicate natively, at a number where that is not trapped, can hold the pipe as long
 * as it likes. It stalls threads that work on this queue, and no other: no lock is held meanwhile, and who comes second
 * waits for a moment only.
 */
#include "supervisor/queue.h"

#include "client/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BYTES_MAX 4096 /* that are put in: what fits into the pipe's first page leaves room, so POLLOUT holds */
#define DRAIN_MAX 256  /* reads: a client could go on writing for ever */
#define WAIT_MS   20

struct queue {
	struct queue *next;
	struct file *file; /* without a reference */
	_Atomic unsigned refs;
	int end;
	unsigned bytes; /* in the pipe; of the thread that is at it */
	pthread_mutex_t lock;
	pthread_cond_t shown;
	uint64_t asked, done; /* changes */
	bool busy;            /* a thread is at the pipe */
};

void queues_init(struct queues *queues)
{
	pthread_mutex_init(&queues->lock, NULL);
	for (unsigned i = 0; i < QUEUE_BUCKETS; i++)
		queues->by_file[i] = NULL;
}

static struct queue **bucket(struct queues *queues, const struct file *file)
{
	return &queues->by_file[((uintptr_t)file >> 5) % QUEUE_BUCKETS];
}

/* The other end as seen from ours. */
static int open_end(int end, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", end);
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Which end a client gets, and which remains. */
static int open_pipe(bool writable, int *end, int *client_fd)
{
	int ends[2];

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0)
		return -errno;
	*client_fd = ends[0];
	*end = ends[1];
	if (!writable)
		return 0;
	*end = ends[0];
	*client_fd = open_end(ends[0], O_RDWR);
	close(ends[1]);
	if (*client_fd >= 0)
		return 0;
	close(ends[0]);
	return *client_fd;
}

int queue_new(struct file *file, struct queue **queue, int *client_fd)
{
	struct queue *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;
	int err;

	if (!q)
		return -ENOMEM;
	err = open_pipe(file->ops->poll(file) & POLLOUT, &q->end, client_fd);
	if (err) {
		free(q);
		return err;
	}
	q->file = file;
	atomic_init(&q->refs, 1);
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->shown, &attr);
	pthread_condattr_destroy(&attr);
	*queue = q;
	return 0;
}

void queue_put(struct queue *queue)
{
	if (atomic_fetch_sub_explicit(&queue->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(queue->end);
	pthread_mutex_destroy(&queue->lock);
	pthread_cond_destroy(&queue->shown);
	free(queue);
}

int queue_end(const struct queue *queue)
{
	return queue->end;
}

/*
 * A byte more for each change, also where there are some: who waits for edges gets one.
 */
static void fill(struct queue *queue)
{
	int fd;

	if (queue->bytes == BYTES_MAX)
		return;
	fd = open_end(queue->end, O_RDWR);
	if (fd < 0)
		return;
	if (write(fd, "", 1) == 1)
		queue->bytes++;
	close(fd);
}

static void drain(struct queue *queue)
{
	char buf[BYTES_MAX];
	int fd;

	if (!queue->bytes)
		return;
	fd = open_end(queue->end, O_RDWR);
	if (fd < 0)
		return;
	for (int i = 0; i < DRAIN_MAX && read(fd, buf, sizeof(buf)) > 0; i++)
		continue;
	queue->bytes = 0;
	close(fd);
}

/* Waits until another thread has shown a change, but not for ever. With the lock. */
static void wait_for(struct queue *queue, uint64_t change)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += WAIT_MS * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (queue->done < change)
		if (pthread_cond_timedwait(&queue->shown, &queue->lock, &until) == ETIMEDOUT)
			return;
}

/* Shows what the file says now. One thread does it for all that ask meanwhile. */
static void update(struct queue *queue, struct file *file)
{
	uint64_t change;

	pthread_mutex_lock(&queue->lock);
	change = ++queue->asked;
	if (queue->busy) {
		wait_for(queue, change);
		pthread_mutex_unlock(&queue->lock);
		return;
	}
	queue->busy = true;
	while (queue->done != queue->asked) {
		change = queue->asked;
		pthread_mutex_unlock(&queue->lock);
		if (file->ops->poll(file) & POLLIN)
			fill(queue);
		else
			drain(queue);
		pthread_mutex_lock(&queue->lock);
		queue->done = change;
		pthread_cond_broadcast(&queue->shown);
	}
	queue->busy = false;
	pthread_mutex_unlock(&queue->lock);
}

static void poll_changed(struct file *file)
{
	struct queues *queues = file->poll_context;
	struct queue *queue;

	pthread_mutex_lock(&queues->lock);
	for (queue = *bucket(queues, file); queue && queue->file != file; queue = queue->next)
		;
	if (queue)
		atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&queues->lock);
	if (!queue)
		return;
	update(queue, file);
	queue_put(queue);
}

void queue_show(struct queues *queues, struct queue *queue)
{
	struct queue **head = bucket(queues, queue->file);

	pthread_mutex_lock(&queues->lock);
	queue->next = *head;
	*head = queue;
	pthread_mutex_unlock(&queues->lock);
	queue->file->poll_context = queues;
	atomic_store_explicit(&queue->file->poll_changed, poll_changed, memory_order_release);
	update(queue, queue->file);
}

void queue_hide(struct queues *queues, struct queue *queue)
{
	struct queue **link;

	pthread_mutex_lock(&queues->lock);
	for (link = bucket(queues, queue->file); *link != queue; link = &(*link)->next)
		;
	*link = queue->next;
	pthread_mutex_unlock(&queues->lock);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on an image by threads that wait for them. There are as many as are busy at once, up to a bound. */
#include "devices/nvme_image.h"

#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define THREADS_MAX 8U

struct list {
	struct image_io *first, **last;
};

struct threads {
	int fd;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t work, news;
	struct list todo, done;
	unsigned count, idle, waiting; /* waiting: operations, in todo */
	bool stop;
	pthread_t thread[THREADS_MAX];

	atomic_bool any_done; /* can be asked without the lock */
};

static void list_init(struct list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_add(struct list *list, struct image_io *io)
{
	io->next = NULL;
	*list->last = io;
	list->last = &io->next;
}

static struct image_io *list_take(struct list *list)
{
	struct image_io *io = list->first;

	if (!io)
		return NULL;
	list->first = io->next;
	if (!list->first)
		list->last = &list->first;
	return io;
}

static int64_t perform(int fd, struct image_io *io, int flags)
{
	struct iovec rest = {.iov_len = io->length - io->done};
	off_t at = (off_t)(io->offset + io->done);
	int64_t rc;

	if (io->buffer)
		rest.iov_base = io->buffer + io->done;
	switch (io->op) {
	case IMAGE_READ:
		rc = preadv2(fd, &rest, 1, at, flags);
		break;
	case IMAGE_WRITE:
		rc = pwritev2(fd, &rest, 1, at, io->durable ? RWF_DSYNC : 0);
		break;
	case IMAGE_FLUSH:
		rc = fdatasync(fd);
		break;
	default:
		rc = fallocate(fd, io->mode, (off_t)io->offset, (off_t)io->length);
		break;
	}
	return rc < 0 ? -errno : rc;
}

static void *run(void *context)
{
	struct threads *threads = context;
	struct image_io *io;

	pthread_mutex_lock(&threads->lock);
	for (;;) {
		io = list_take(&threads->todo);
		threads->waiting -= io != NULL;
		if (!io && threads->stop)
			break;
		if (!io) {
			threads->idle++;
			pthread_cond_wait(&threads->work, &threads->lock);
			threads->idle--;
			continue;
		}
		pthread_mutex_unlock(&threads->lock);
		io->raw = perform(threads->fd, io, 0);
		pthread_mutex_lock(&threads->lock);
		list_add(&threads->done, io);
		atomic_store_explicit(&threads->any_done, true, memory_order_release);
		pthread_cond_signal(&threads->news);
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

static void threads_start(void *engine, struct image_io *io)
{
	struct threads *threads = engine;
	bool here = false;

	/* What is in the page cache comes at once. */
	if (io->op == IMAGE_READ) {
		io->raw = perform(threads->fd, io, RWF_NOWAIT);
		here = io->raw > 0;
	}
	pthread_mutex_lock(&threads->lock);
	/* One that is idle may have been woken for another already. */
	if (!here && threads->waiting >= threads->idle && threads->count < THREADS_MAX &&
	    !thread_start(&threads->thread[threads->count], "iommuse-image", run, threads))
		threads->count++;
	if (here || !threads->count) {
		if (!here)
			io->raw = perform(threads->fd, io, 0);
		list_add(&threads->done, io);
		atomic_store_explicit(&threads->any_done, true, memory_order_release);
	} else {
		list_add(&threads->todo, io);
		threads->waiting++;
		pthread_cond_signal(&threads->work);
	}
	pthread_mutex_unlock(&threads->lock);
}

static void threads_push(void *engine)
{
	(void)engine;
}

static struct image_io *threads_reap(void *engine, bool wait)
{
	struct threads *threads = engine;
	struct image_io *io;

	if (!wait && !atomic_load_explicit(&threads->any_done, memory_order_acquire))
		return NULL;
	pthread_mutex_lock(&threads->lock);
	while (wait && !threads->done.first)
		pthread_cond_wait(&threads->news, &threads->lock);
	io = list_take(&threads->done);
	atomic_store_explicit(&threads->any_done, threads->done.first, memory_order_relaxed);
	pthread_mutex_unlock(&threads->lock);
	return io;
}

static int threads_open(int fd, void **engine)
{
	struct threads *threads = calloc(1, sizeof(*threads));

	if (!threads)
		return -ENOMEM;
	threads->fd = fd;
	list_init(&threads->todo);
	list_init(&threads->done);
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->work, NULL);
	pthread_cond_init(&threads->news, NULL);
	*engine = threads;
	return 0;
}

static void threads_close(void *engine)
{
	struct threads *threads = engine;

	pthread_mutex_lock(&threads->lock);
	threads->stop = true;
	pthread_cond_broadcast(&threads->work);
	pthread_mutex_unlock(&threads->lock);
	for (unsigned i = 0; i < threads->count; i++)
		pthread_join(threads->thread[i], NULL);
	pthread_cond_destroy(&threads->news);
	pthread_cond_destroy(&threads->work);
	pthread_mutex_destroy(&threads->lock);
	free(threads);
}

const struct image_engine image_threads = {
	.name = "threads",
	.open = threads_open,
	.close = threads_close,
	.start = threads_start,
	.push = threads_push,
	.reap = threads_reap,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an eventfd is signalled without waiting.
 *
 * An asynchronous operation of Linux (io_submit) may name an eventfd that the kernel signals when it is done. The
 * kernel adds 1 as it does for its own devices: it does not wait, and a full counter stays full. The operation here is
 * to poll the eventfd itself for being readable or writable. It is one or the other at any time, so it is done at once.
 * What it leaves behind, an entry in a ring, is taken out when the ring is full.
 *
 * Where that is refused, a thread polls and writes. A client that fills the counter between the two makes it wait, and
 * with it the signals of one device, until the eventfd is freed: then the thread is cancelled.
 */
#include "client/eventfd_sender.h"

#include "base/thread.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_ENTRIES 64
#define TRIES        8 /* the ring may be full again when others signal, too */

struct eventfd_sender {
	aio_context_t ring; /* 0: none, a thread writes */

	pthread_mutex_t lock; /* a leaf; guards what follows */
	pthread_cond_t work;
	struct eventfd *queue, **tail;
	struct eventfd *writing; /* by the thread, now */
	pthread_t thread;
	bool running, stop;
};

static bool submit(aio_context_t ring, int fd)
{
	struct iocb operation = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = POLLIN | POLLOUT,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *operations[] = {&operation};
	struct io_event done[RING_ENTRIES];

	for (int i = 0; i < TRIES; i++) {
		if (syscall(__NR_io_submit, ring, 1L, operations) == 1)
			return true;
		if (errno != EAGAIN)
			return false;
		(void)syscall(__NR_io_getevents, ring, 0L, (long)RING_ENTRIES, done, NULL);
	}
	return false;
}

/* Does an operation signal? */
static bool ring_works(aio_context_t ring)
{
	eventfd_t count = 0;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bool works = fd >= 0 && submit(ring, fd) && !eventfd_read(fd, &count) && count == 1;

	if (fd >= 0)
		close(fd);
	return works;
}

int eventfd_sender_new(struct eventfd_sender **sender)
{
	struct eventfd_sender *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	s->tail = &s->queue;
	if (syscall(__NR_io_setup, RING_ENTRIES, &s->ring))
		s->ring = 0;
	if (s->ring && !ring_works(s->ring)) {
		(void)syscall(__NR_io_destroy, s->ring);
		s->ring = 0;
	}
	*sender = s;
	return 0;
}

/* May be cancelled. Where the counter is full the signals are nothing. */
static void write_signals(int fd, uint64_t signals)
{
	const uint64_t one = 1;

	while (signals--) {
		struct pollfd pollfd = {.fd = fd, .events = POLLOUT};

		if (poll(&pollfd, 1, 0) != 1 || !(pollfd.revents & POLLOUT))
			return;
		if (write(fd, &one, sizeof(one)) != sizeof(one))
			return;
	}
}

static struct eventfd *take_first(struct eventfd_sender *s)
{
	struct eventfd *e = s->queue;

	s->queue = e->next;
	if (!s->queue)
		s->tail = &s->queue;
	return e;
}

/* Cancelled only while it writes, without the lock. */
static void *write_queue(void *context)
{
	struct eventfd_sender *s = context;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		uint64_t signals;
		int fd;

		if (!s->queue) {
			pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		s->writing = take_first(s);
		fd = s->writing->fd;
		signals = s->writing->pending;
		s->writing->pending = 0;
		pthread_mutex_unlock(&s->lock);
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
		write_signals(fd, signals);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		pthread_mutex_lock(&s->lock);
		s->writing = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* With the lock held. Where no thread can be had, the signals wait for the next one. */
static void start_thread(struct eventfd_sender *s)
{
	if (!s->running)
		s->running = !thread_start(&s->thread, "iommuse-eventfd", write_queue, s);
	pthread_cond_signal(&s->work);
}

/* With the lock held, which it drops meanwhile; running stays set, so that nobody else starts a thread. */
static void stop_thread(struct eventfd_sender *s)
{
	if (!s->running)
		return;
	s->stop = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_cancel(s->thread);
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&s->lock);
	s->running = s->stop = false;
	s->writing = NULL;
}

static void queue_signal(struct eventfd_sender *s, struct eventfd *e)
{
	pthread_mutex_lock(&s->lock);
	atomic_store(&e->sender, s);
	if (!e->pending++) {
		e->next = NULL;
		*s->tail = e;
		s->tail = &e->next;
	}
	start_thread(s);
	pthread_mutex_unlock(&s->lock);
}

void eventfd_signal(struct eventfd_sender *sender, struct eventfd *eventfd)
{
	if (!sender->ring || !submit(sender->ring, eventfd->fd))
		queue_signal(sender, eventfd);
}

static void unqueue(struct eventfd_sender *s, const struct eventfd *e)
{
	struct eventfd **link = &s->queue;

	while (*link && *link != e)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = e->next;
	if (!*link)
		s->tail = link;
}

void eventfd_sender_forget(struct eventfd_sender *s, struct eventfd *e)
{
	pthread_mutex_lock(&s->lock);
	unqueue(s, e);
	if (s->writing == e) {
		stop_thread(s);
		if (s->queue)
			start_thread(s);
	}
	pthread_mutex_unlock(&s->lock);
}

void eventfd_sender_free(struct eventfd_sender *sender)
{
	if (!sender)
		return;
	pthread_mutex_lock(&sender->lock);
	stop_thread(sender);
	pthread_mutex_unlock(&sender->lock);
	if (sender->ring)
		(void)syscall(__NR_io_destroy, sender->ring);
	pthread_cond_destroy(&sender->work);
	pthread_mutex_destroy(&sender->lock);
	free(sender);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event stream: many threads announce, one thread, the consumer, hands the records to the listeners.
 *
 * Rings. Each thread that announces has a ring in the stream. The thread alone moves head, the consumer alone moves
 * tail, so neither needs a lock. A thread finds its rings by ring_key: a list, one ring a stream, the last used first.
 *
 * Order. A thread makes sure that its ring has room, and only then takes a number, so that each number that was taken
 * becomes a record: the consumer may wait for number n + 1 before it hands out anything later. It finds n + 1 at the
 * tail of some ring, or the thread that took it is about to publish it. What does not fit is counted in the ring's
 * `lost` and takes no number.
 *
 * Sleep. The consumer stores asleep, looks for work once more, and waits. A thread publishes, then loads asleep. These
 * four accesses are sequentially consistent, so either the consumer sees the record or the thread sees that it must
 * wake the consumer. The same holds for losses, for flushes and for the end.
 *
 * Lifetime. A ring has two holders: the thread that owns it and the stream that lists it. The last of them frees it.
 * When a thread ends, the destructor of ring_key lets its rings go; the next new thread takes them over with what is in
 * them. When a stream is freed it writes NULL in the `stream` of its rings: a thread that finds such a ring among its
 * own lets it go, and never mistakes it for one of a later stream at the same address.
 *
 * ring_key is the one thing here that belongs to the process rather than to a stream: a key of each stream's own could
 * not be deleted while a thread that used it is ending.
 */
#include "base/event.h"

#include "base/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CACHE_LINE 64

struct slot {
	struct event event;
	uint64_t lost; /* records of this thread that were dropped just before */
};

/* Who holds a ring. */
enum { RING_OWNED = 1, RING_LISTED = 2 };

struct ring {
	/* The owner's */
	_Atomic uint64_t head; /* records published since the ring was made */
	uint64_t tail_seen;    /* a value that tail had */
	_Atomic uint64_t lost; /* dropped after the last record published */
	struct ring *next_of_thread;
	/* Seldom changed */
	struct slot *slots;
	struct ring *next; /* in the stream */
	struct stream *_Atomic stream;
	_Atomic unsigned holders;
	/* The consumer's */
	_Alignas(CACHE_LINE) _Atomic uint64_t tail; /* records handed over */
};

struct listener {
	event_listener *call;
	void *context;
	uint32_t wanted; /* bits of types, as in the stream */
	struct listener *_Atomic next;
};

/* A flush that waits. Lives on the stack of the thread that flushes. */
struct waiter {
	uint64_t number; /* what must have been handed over */
	bool done;
	struct waiter *next;
};

struct stream {
	/* Seldom changed */
	struct event_stream events;
	_Atomic bool ending;
	_Atomic uint32_t asleep; /* 1: the consumer waits on this word */
	struct ring *_Atomic rings;
	struct listener *_Atomic listeners;
	_Atomic uint64_t lost; /* by threads that could get no ring */
	pthread_t consumer;
	/* The announcing threads' */
	_Alignas(CACHE_LINE) _Atomic uint64_t last_number; /* the last number that was taken */
	struct waiter *waiters;                            /* this and the next: guarded by lock */
	bool running;
	/* The consumer's */
	_Alignas(CACHE_LINE) uint64_t handed; /* the last number that was handed over */
	_Atomic uint64_t flush_number;        /* the least number that a waiter wants; UINT64_MAX: none waits */
	pthread_cond_t flushed;
	pthread_mutex_t lock; /* for flushing, and for adding listeners */
};

static pthread_key_t ring_key; /* of a thread: its first ring */
static pthread_once_t ring_key_once = PTHREAD_ONCE_INIT;
static int ring_key_error;

static struct stream *stream_of(struct event_stream *events)
{
	return (struct stream *)events;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

uint64_t event_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Call it after what the consumer is to see has been stored. */
static void consumer_wake(struct stream *stream)
{
	if (atomic_load(&stream->asleep) && atomic_exchange(&stream->asleep, 0))
		futex_wake(&stream->asleep);
}

/* Rings */

static void ring_free(struct ring *ring)
{
	free(ring->slots);
	free(ring);
}

static void ring_let_go(struct ring *ring, unsigned holder)
{
	if (atomic_fetch_and_explicit(&ring->holders, ~holder, memory_order_acq_rel) == holder)
		ring_free(ring);
}

static void thread_ends(void *first)
{
	struct ring *next;

	for (struct ring *ring = first; ring; ring = next) {
		next = ring->next_of_thread;
		ring_let_go(ring, RING_OWNED);
	}
}

static void ring_key_create(void)
{
	ring_key_error = -pthread_key_create(&ring_key, thread_ends);
}

static struct ring *ring_new(struct stream *stream)
{
	struct ring *ring = aligned_alloc(CACHE_LINE, sizeof(*ring));

	if (!ring)
		return NULL;
	*ring = (struct ring){.slots = calloc(EVENT_RING_RECORDS, sizeof(struct slot))};
	if (!ring->slots) {
		free(ring);
		return NULL;
	}
	atomic_init(&ring->stream, stream);
	atomic_init(&ring->holders, RING_OWNED | RING_LISTED);
	ring->next = atomic_load_explicit(&stream->rings, memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&stream->rings, &ring->next, ring))
		;
	return ring;
}

/* A ring that a thread left behind, or else a new one. */
static struct ring *ring_take(struct stream *stream)
{
	for (struct ring *ring = atomic_load(&stream->rings); ring; ring = ring->next) {
		unsigned holders = RING_LISTED;

		if (atomic_compare_exchange_strong(&ring->holders, &holders, RING_LISTED | RING_OWNED))
			return ring;
	}
	return ring_new(stream);
}

/* Takes the stream's ring out of the thread's list, and lets the rings of freed streams go. */
static struct ring *ring_pick(struct ring **list, const struct stream *stream)
{
	struct ring *found = NULL;

	while (*list) {
		struct ring *ring = *list;
		const struct stream *of = atomic_load_explicit(&ring->stream, memory_order_relaxed);

		if (of && of != stream) {
			list = &ring->next_of_thread;
			continue;
		}
		*list = ring->next_of_thread;
		if (of)
			found = ring;
		else
			ring_let_go(ring, RING_OWNED);
	}
	return found;
}

/* The calling thread's ring in the stream, or NULL where there is no memory for one. */
static struct ring *ring_of_thread(struct stream *stream)
{
	struct ring *first = pthread_getspecific(ring_key);
	struct ring *ring;

	if (first && atomic_load_explicit(&first->stream, memory_order_relaxed) == stream)
		return first;
	ring = ring_pick(&first, stream);
	if (!ring)
		ring = ring_take(stream);
	if (ring) {
		ring->next_of_thread = first;
		first = ring;
	}
	if (!pthread_setspecific(ring_key, first))
		return ring;
	/* It fails only for a thread that had no ring before. */
	if (ring)
		ring_let_go(ring, RING_OWNED);
	return NULL;
}

/* Announcing */

static void lose(struct stream *stream, _Atomic uint64_t *lost)
{
	atomic_fetch_add(lost, 1);
	consumer_wake(stream);
}

static bool ring_is_full(struct ring *ring, uint64_t head)
{
	if (head - ring->tail_seen < EVENT_RING_RECORDS)
		return false;
	ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
	return head - ring->tail_seen == EVENT_RING_RECORDS;
}

void event_announce(struct event_stream *events, const struct event *event)
{
	struct stream *stream = stream_of(events);
	struct ring *ring;
	struct slot *slot;
	uint64_t head;

	if (!event_wanted_of(events, event->type))
		return;
	ring = ring_of_thread(stream);
	if (!ring) {
		lose(stream, &stream->lost);
		return;
	}
	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (ring_is_full(ring, head)) {
		lose(stream, &ring->lost);
		return;
	}
	slot = &ring->slots[head % EVENT_RING_RECORDS];
	slot->event = *event;
	slot->event.time_ns = event_time();
	slot->lost = 0;
	if (atomic_load_explicit(&ring->lost, memory_order_relaxed))
		slot->lost = atomic_exchange_explicit(&ring->lost, 0, memory_order_relaxed);
	slot->event.number = atomic_fetch_add_explicit(&stream->last_number, 1, memory_order_relaxed) + 1;
	atomic_store(&ring->head, head + 1);
	consumer_wake(stream);
}

/* The consumer */

static void hand_out(struct stream *stream, const struct event *event, uint64_t lost)
{
	struct listener *l = atomic_load_explicit(&stream->listeners, memory_order_acquire);

	for (; l; l = atomic_load_explicit(&l->next, memory_order_acquire))
		if (l->wanted >> event->type & 1)
			l->call(l->context, event, lost);
}

/* Hands out losses that no record followed. Returns whether there were any. */
static bool hand_out_losses(struct stream *stream)
{
	uint64_t lost = atomic_exchange(&stream->lost, 0);

	for (struct ring *ring = atomic_load(&stream->rings); ring; ring = ring->next) {
		uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

		if (atomic_load(&ring->lost) && atomic_load(&ring->head) == tail)
			lost += atomic_exchange(&ring->lost, 0);
	}
	if (!lost)
		return false;
	hand_out(stream, &(struct event){.type = EVENT_LOST, .time_ns = event_time(), .fd = -1}, lost);
	return true;
}

/* The record with the next number, if it is this ring's. */
static struct slot *ring_next(struct ring *ring, uint64_t number)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	struct slot *slot = &ring->slots[tail % EVENT_RING_RECORDS];

	return atomic_load(&ring->head) != tail && slot->event.number == number ? slot : NULL;
}

static struct ring *ring_with_next(struct stream *stream)
{
	struct ring *ring = atomic_load(&stream->rings);

	while (ring && !ring_next(ring, stream->handed + 1))
		ring = ring->next;
	return ring;
}

/* Ends the flushes whose records have all been handed out. Returns whether there were any. */
static bool serve_flushes(struct stream *stream)
{
	uint64_t least = UINT64_MAX;
	struct waiter *ready = NULL, *next;
	bool any;

	if (stream->handed < atomic_load(&stream->flush_number))
		return false;
	pthread_mutex_lock(&stream->lock);
	for (struct waiter **list = &stream->waiters; *list;) {
		struct waiter *w = *list;

		if (w->number > stream->handed) {
			least = w->number < least ? w->number : least;
			list = &w->next;
		} else {
			*list = w->next;
			w->next = ready;
			ready = w;
		}
	}
	atomic_store(&stream->flush_number, least);
	pthread_mutex_unlock(&stream->lock);

	any = ready;
	hand_out_losses(stream);

	pthread_mutex_lock(&stream->lock);
	for (; ready; ready = next) {
		next = ready->next;
		ready->done = true;
	}
	pthread_cond_broadcast(&stream->flushed);
	pthread_mutex_unlock(&stream->lock);
	return any;
}

/* Hands out all records whose turn it is. Returns whether there were any. */
static bool hand_out_records(struct stream *stream)
{
	bool any = false;
	struct ring *ring;
	struct slot *slot;

	while ((ring = ring_with_next(stream))) {
		while ((slot = ring_next(ring, stream->handed + 1))) {
			hand_out(stream, &slot->event, slot->lost);
			stream->handed++;
			atomic_fetch_add_explicit(&ring->tail, 1, memory_order_release);
			serve_flushes(stream);
		}
		any = true;
	}
	return any;
}

static bool work(struct stream *stream)
{
	bool any = hand_out_records(stream);

	any |= serve_flushes(stream);
	any |= hand_out_losses(stream);
	return any;
}

static void *consume(void *context)
{
	struct stream *stream = context;

	for (;;) {
		bool ending = atomic_load(&stream->ending);

		if (work(stream))
			continue;
		if (ending)
			return NULL;
		atomic_store(&stream->asleep, 1);
		if (!work(stream) && !atomic_load(&stream->ending))
			futex_wait(&stream->asleep, 1);
		atomic_store(&stream->asleep, 0);
	}
}

/* The stream */

int event_stream_new(struct event_stream **events)
{
	struct stream *stream = aligned_alloc(CACHE_LINE, sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	*stream = (struct stream){.flush_number = UINT64_MAX};
	pthread_mutex_init(&stream->lock, NULL);
	pthread_cond_init(&stream->flushed, NULL);
	*events = &stream->events;
	return 0;
}

static void stream_stop(struct stream *stream)
{
	if (!stream->running)
		return;
	atomic_store(&stream->ending, true);
	consumer_wake(stream);
	pthread_join(stream->consumer, NULL);
}

void event_stream_free(struct event_stream *events)
{
	struct stream *stream = stream_of(events);
	struct listener *next_listener;
	struct ring *next_ring;

	if (!stream)
		return;
	stream_stop(stream);
	for (struct ring *ring = atomic_load(&stream->rings); ring; ring = next_ring) {
		next_ring = ring->next;
		free(ring->slots);
		ring->slots = NULL;
		atomic_store_explicit(&ring->stream, NULL, memory_order_relaxed);
		ring_let_go(ring, RING_LISTED);
	}
	for (struct listener *l = atomic_load(&stream->listeners); l; l = next_listener) {
		next_listener = atomic_load(&l->next);
		free(l);
	}
	pthread_cond_destroy(&stream->flushed);
	pthread_mutex_destroy(&stream->lock);
	free(stream);
}

static int consumer_start(struct stream *stream)
{
	pthread_once(&ring_key_once, ring_key_create);
	if (ring_key_error)
		return ring_key_error;
	if (thread_start(&stream->consumer, "iommuse-events", consume, stream))
		return -EAGAIN;
	stream->running = true;
	return 0;
}

static int listen_to(struct event_stream *events, uint32_t wanted, event_listener *call, void *context)
{
	struct stream *stream = stream_of(events);
	struct listener *listener = calloc(1, sizeof(*listener));
	struct listener *_Atomic *last = &stream->listeners;
	int error = 0;

	if (!listener)
		return -ENOMEM;
	listener->call = call;
	listener->context = context;
	listener->wanted = wanted;
	pthread_mutex_lock(&stream->lock);
	if (!stream->running)
		error = consumer_start(stream);
	if (!error) {
		while (atomic_load(last))
			last = &atomic_load(last)->next;
		atomic_store_explicit(last, listener, memory_order_release);
		atomic_fetch_or(&events->wanted, wanted);
	}
	pthread_mutex_unlock(&stream->lock);
	if (error)
		free(listener);
	return error;
}

int event_stream_listen(struct event_stream *events, event_listener *call, void *context)
{
	return listen_to(events, EVENTS_ALL, call, context);
}

int event_stream_listen_to(struct event_stream *events, enum event_type type, event_listener *call, void *context)
{
	return listen_to(events, UINT32_C(1) << type | UINT32_C(1) << EVENT_LOST, call, context);
}

void event_stream_flush(struct event_stream *events)
{
	struct stream *stream = stream_of(events);
	struct waiter waiter = {.number = atomic_load(&stream->last_number)};

	pthread_mutex_lock(&stream->lock);
	if (stream->running) {
		waiter.next = stream->waiters;
		stream->waiters = &waiter;
		if (waiter.number < atomic_load(&stream->flush_number))
			atomic_store(&stream->flush_number, waiter.number);
		consumer_wake(stream);
		while (!waiter.done)
			pthread_cond_wait(&stream->flushed, &stream->lock);
	}
	pthread_mutex_unlock(&stream->lock);
}

size_t event_stream_memory(const struct event_stream *events)
{
	const struct stream *stream = (const struct stream *)events;
	size_t bytes = sizeof(*stream);

	for (struct ring *ring = atomic_load(&stream->rings); ring; ring = ring->next)
		bytes += sizeof(*ring) + EVENT_RING_RECORDS * sizeof(struct slot);
	return bytes;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The event stream: order, losses, flushing, the coming and going of threads and streams. */
#include "base/event.h"

#include "own_threads.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

enum { OBJECTS = 8, THREADS = 4 };

/* What a listener has seen. Written by the consumer, read after a flush or a free. */
struct seen {
	uint64_t records, lost, lost_records; /* lost_records: records of type EVENT_LOST */
	uint64_t last_number, last_time;
	uint64_t of_object[OBJECTS]; /* the last step of the object, from 1 */
	uint64_t skipped;            /* steps of objects that were not seen */
	uint64_t lost_before_last;   /* the losses that came with the last record */
};

static void see(void *context, const struct event *event, uint64_t lost)
{
	struct seen *seen = context;

	seen->lost += lost;
	if (event->type == EVENT_LOST) {
		EXPECT(lost > 0 && event->number == 0);
		seen->lost_records++;
		return;
	}
	EXPECT(event->number == seen->last_number + 1);
	EXPECT(event->type == EVENT_MAP && event->file < OBJECTS && event->time_ns > 0);
	EXPECT(event->map.iova > seen->of_object[event->file]);
	seen->skipped += event->map.iova - seen->of_object[event->file] - 1;
	seen->of_object[event->file] = event->map.iova;
	seen->last_number = event->number;
	seen->lost_before_last = lost;
	seen->records++;
}

static void announce(struct event_stream *events, uint64_t object, uint64_t step)
{
	struct event event = {.type = EVENT_MAP, .fd = -1, .file = object, .map.iova = step};

	EXPECT(event_wanted(events));
	event_announce(events, &event);
}

static struct event_stream *stream_with(event_listener *listener, void *context)
{
	struct event_stream *events;

	EXPECT(event_stream_new(&events) == 0);
	EXPECT(event_stream_listen(events, listener, context) == 0);
	return events;
}

static pthread_t start(void *(*body)(void *), void *context)
{
	pthread_t thread;

	EXPECT(pthread_create(&thread, NULL, body, context) == 0);
	return thread;
}

/* A listener that waits for a permit before it returns from a record. */
struct slow {
	struct seen seen;
	sem_t entered, permit;
};

static void see_slowly(void *context, const struct event *event, uint64_t lost)
{
	struct slow *slow = context;

	sem_post(&slow->entered);
	sem_wait(&slow->permit);
	see(&slow->seen, event, lost);
}

static void slow_init(struct slow *slow)
{
	memset(slow, 0, sizeof(*slow));
	sem_init(&slow->entered, 0, 0);
	sem_init(&slow->permit, 0, 0);
}

static void permit(struct slow *slow, unsigned n)
{
	while (n--)
		sem_post(&slow->permit);
}

/* Objects with locks of their own that several threads change. */
struct workload {
	struct event_stream *events;
	pthread_mutex_t lock[OBJECTS];
	uint64_t step[OBJECTS];
	unsigned rounds;
};

static void *change_objects(void *context)
{
	struct workload *load = context;
	unsigned random = (unsigned)(uintptr_t)&random;

	for (unsigned i = 0; i < load->rounds; i++) {
		random = random * 1103515245 + 12345;
		unsigned object = random >> 16 & (OBJECTS - 1);

		pthread_mutex_lock(&load->lock[object]);
		announce(load->events, object, ++load->step[object]);
		pthread_mutex_unlock(&load->lock[object]);
	}
	return NULL;
}

static void records_of_an_object_come_in_order_and_none_is_unaccounted_for(void)
{
	struct seen seen = {0};
	struct workload load = {.events = stream_with(see, &seen), .rounds = 20000};
	pthread_t thread[THREADS];
	uint64_t unseen = 0;

	for (int i = 0; i < OBJECTS; i++)
		pthread_mutex_init(&load.lock[i], NULL);
	for (int i = 0; i < THREADS; i++)
		thread[i] = start(change_objects, &load);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	event_stream_flush(load.events);
	EXPECT(seen.records + seen.lost == (uint64_t)THREADS * load.rounds);
	for (int i = 0; i < OBJECTS; i++)
		unseen += load.step[i] - seen.of_object[i];
	EXPECT(seen.skipped + unseen == seen.lost);
	event_stream_free(load.events);
	EXPECT(seen.records + seen.lost == (uint64_t)THREADS * load.rounds);
}

struct burst {
	struct event_stream *events;
	uint64_t object;
	unsigned count;
	pthread_barrier_t *together; /* or NULL */
};

static void *announce_burst(void *context)
{
	struct burst *burst = context;

	for (unsigned i = 1; i <= burst->count; i++)
		announce(burst->events, burst->object, i);
	/* No thread takes the ring over that another has left. */
	if (burst->together)
		pthread_barrier_wait(burst->together);
	return NULL;
}

static void a_blocked_listener_blocks_nobody_and_losses_are_exact(void)
{
	struct slow slow;
	struct burst burst[THREADS];
	pthread_t thread[THREADS];
	struct event_stream *events;
	pthread_barrier_t together;

	slow_init(&slow);
	pthread_barrier_init(&together, NULL, THREADS);
	events = stream_with(see_slowly, &slow);
	for (unsigned i = 0; i < THREADS; i++) {
		burst[i] = (struct burst){events, i, EVENT_RING_RECORDS + 100 * (i + 1), &together};
		thread[i] = start(announce_burst, &burst[i]);
	}
	/* The threads end although the listener has not yet let go of the first record. */
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	permit(&slow, THREADS * EVENT_RING_RECORDS + THREADS * 100);
	event_stream_flush(events);
	EXPECT(slow.seen.records == THREADS * EVENT_RING_RECORDS);
	EXPECT(slow.seen.lost == 100 + 200 + 300 + 400);
	EXPECT(slow.seen.lost_records >= 1);
	for (int i = 0; i < THREADS; i++)
		EXPECT(slow.seen.of_object[i] == EVENT_RING_RECORDS);
	event_stream_free(events);
	EXPECT(slow.seen.lost == 100 + 200 + 300 + 400);
}

static void a_record_says_how_many_were_lost_just_before_it(void)
{
	struct slow slow;
	struct event_stream *events;

	slow_init(&slow);
	events = stream_with(see_slowly, &slow);
	for (unsigned i = 1; i <= EVENT_RING_RECORDS + 5; i++)
		announce(events, 0, i);
	/* The second record is entered only when the first has left the ring. */
	sem_wait(&slow.entered);
	permit(&slow, 1);
	sem_wait(&slow.entered);
	announce(events, 0, EVENT_RING_RECORDS + 6);
	permit(&slow, EVENT_RING_RECORDS);
	event_stream_flush(events);
	EXPECT(slow.seen.records == EVENT_RING_RECORDS + 1);
	EXPECT(slow.seen.of_object[0] == EVENT_RING_RECORDS + 6);
	EXPECT(slow.seen.lost == 5 && slow.seen.lost_before_last == 5 && slow.seen.lost_records == 0);
	event_stream_free(events);
}

static void a_loss_that_nothing_follows_is_told_without_a_flush(void)
{
	struct slow slow;
	struct event_stream *events;

	slow_init(&slow);
	events = stream_with(see_slowly, &slow);
	for (unsigned i = 1; i <= EVENT_RING_RECORDS + 3; i++)
		announce(events, 0, i);
	permit(&slow, EVENT_RING_RECORDS + 1);
	for (unsigned i = 0; i < EVENT_RING_RECORDS + 1; i++)
		sem_wait(&slow.entered);
	event_stream_free(events);
	EXPECT(slow.seen.records == EVENT_RING_RECORDS && slow.seen.lost == 3 && slow.seen.lost_records == 1);
}

/* A listener that counts without order, so that several threads can read the counts. */
struct tally {
	_Atomic uint64_t of_object[OBJECTS];
};

static void count(void *context, const struct event *event, uint64_t lost)
{
	struct tally *tally = context;
	uint64_t object = event->type == EVENT_LOST ? OBJECTS - 1 : event->file;

	atomic_fetch_add(&tally->of_object[object], event->type == EVENT_LOST ? lost : lost + 1);
}

struct flusher {
	struct event_stream *events;
	struct tally *tally;
	uint64_t object;
};

static void *announce_and_flush(void *context)
{
	struct flusher *f = context;

	for (unsigned i = 1; i <= 2000; i++) {
		announce(f->events, f->object, i);
		if (i % 7)
			continue;
		event_stream_flush(f->events);
		EXPECT(atomic_load(&f->tally->of_object[f->object]) == i);
	}
	return NULL;
}

static void a_flush_returns_when_all_before_it_was_handed_over(void)
{
	struct tally tally = {0};
	struct event_stream *events = stream_with(count, &tally);
	struct flusher flusher[THREADS];
	pthread_t thread[THREADS];

	event_stream_flush(events); /* of nothing */
	for (unsigned i = 0; i < THREADS; i++) {
		flusher[i] = (struct flusher){events, &tally, i};
		thread[i] = start(announce_and_flush, &flusher[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	event_stream_free(events);
}

static void a_stream_that_is_freed_hands_over_what_is_left(void)
{
	struct tally tally = {0};

	for (unsigned round = 1; round <= 200; round++) {
		struct event_stream *events = stream_with(count, &tally);

		for (unsigned i = 1; i <= 10; i++)
			announce(events, 0, i);
		event_stream_free(events);
		EXPECT(atomic_load(&tally.of_object[0]) == round * 10);
	}
}

static void a_thread_that_ends_leaves_its_ring_to_the_next(void)
{
	struct slow slow;
	struct burst burst = {.object = 0, .count = 3};
	size_t memory_of_one;

	slow_init(&slow);
	permit(&slow, 100 * 3);
	burst.events = stream_with(see_slowly, &slow);
	pthread_join(start(announce_burst, &burst), NULL);
	memory_of_one = event_stream_memory(burst.events);
	for (unsigned i = 1; i < 100; i++) {
		burst.object = i % OBJECTS;
		event_stream_flush(burst.events);
		slow.seen.of_object[burst.object] = 0;
		pthread_join(start(announce_burst, &burst), NULL);
	}
	EXPECT(event_stream_memory(burst.events) == memory_of_one);
	event_stream_flush(burst.events);
	EXPECT(slow.seen.records == 100 * 3 && slow.seen.lost == 0);
	event_stream_free(burst.events);
}

static void a_thread_that_ends_leaves_its_records(void)
{
	struct slow slow;
	struct burst burst = {.object = 0, .count = 3};

	slow_init(&slow);
	burst.events = stream_with(see_slowly, &slow);
	pthread_join(start(announce_burst, &burst), NULL);
	burst.object = 1;
	pthread_join(start(announce_burst, &burst), NULL);
	permit(&slow, 6);
	event_stream_flush(burst.events);
	EXPECT(slow.seen.of_object[0] == 3 && slow.seen.of_object[1] == 3);
	event_stream_free(burst.events);
}

/* Announces to whichever stream it is given, so that it lives through many streams. */
struct traveller {
	sem_t go, gone;
	struct event_stream *events[2];
	uint64_t step;
};

static void *announce_everywhere(void *context)
{
	struct traveller *t = context;

	for (;;) {
		sem_wait(&t->go);
		if (!t->events[0])
			return NULL;
		announce(t->events[0], 0, t->step);
		announce(t->events[1], 1, t->step);
		announce(t->events[0], 0, t->step + 1);
		sem_post(&t->gone);
	}
}

static void a_ring_serves_its_own_stream_and_no_later_one(void)
{
	struct traveller t = {0};
	struct tally kept = {0}, replaced = {0};
	pthread_t thread;

	sem_init(&t.go, 0, 0);
	sem_init(&t.gone, 0, 0);
	thread = start(announce_everywhere, &t);
	t.events[1] = stream_with(count, &kept);
	for (uint64_t i = 1; i <= 100; i++) {
		/* Freed streams come back at the same address. */
		t.events[0] = stream_with(count, &replaced);
		t.step = i;
		sem_post(&t.go);
		sem_wait(&t.gone);
		event_stream_free(t.events[0]);
		event_stream_flush(t.events[1]);
		EXPECT(atomic_load(&replaced.of_object[0]) == 2 * i && atomic_load(&replaced.of_object[1]) == 0);
		EXPECT(atomic_load(&kept.of_object[1]) == i && atomic_load(&kept.of_object[0]) == 0);
	}
	event_stream_free(t.events[1]);
	/* The thread outlives all streams that it announced to. */
	t.events[0] = NULL;
	sem_post(&t.go);
	pthread_join(thread, NULL);
}

struct once {
	struct event_stream *events;
	_Atomic unsigned done; /* threads that have announced, and may be on their way out */
};

static void *announce_once(void *context)
{
	struct once *once = context;

	announce(once->events, 0, 1);
	atomic_fetch_add(&once->done, 1);
	return NULL;
}

static void threads_may_end_while_the_stream_is_freed(void)
{
	struct tally tally = {0};

	for (uint64_t round = 1; round <= 100; round++) {
		struct once once = {.events = stream_with(count, &tally)};
		pthread_t thread[2] = {start(announce_once, &once), start(announce_once, &once)};

		while (atomic_load(&once.done) < 2)
			sched_yield();
		event_stream_free(once.events);
		EXPECT(atomic_load(&tally.of_object[0]) == 2 * round);
		pthread_join(thread[0], NULL);
		pthread_join(thread[1], NULL);
	}
}

static void without_listeners_there_is_no_thread_and_nothing_is_kept(void)
{
	struct event event = {.type = EVENT_MAP};
	struct event_stream *events;
	size_t memory;

	EXPECT(!event_wanted(NULL));
	EXPECT(event_stream_new(&events) == 0);
	memory = event_stream_memory(events);
	EXPECT(!event_wanted(events));
	event_announce(events, &event);
	event_stream_flush(events);
	EXPECT(event_stream_memory(events) == memory);
	EXPECT(own_threads("iommuse-events", 0) == 0);
	event_stream_free(events);
	event_stream_free(NULL);
}

static void a_second_listener_sees_what_follows_its_arrival(void)
{
	struct tally first = {0}, second = {0};
	struct event_stream *events = stream_with(count, &first);

	announce(events, 0, 1);
	event_stream_flush(events);
	EXPECT(event_stream_listen(events, count, &second) == 0);
	announce(events, 0, 2);
	announce(events, 0, 3);
	event_stream_free(events);
	EXPECT(atomic_load(&first.of_object[0]) == 3 && atomic_load(&second.of_object[0]) == 2);
}

static void who_listens_to_one_type_hears_no_other(void)
{
	struct event map = {.type = EVENT_MAP, .fd = -1}, fault = {.type = EVENT_DMA_FAULT, .fd = -1, .file = 1};
	struct tally faults = {0}, all = {0};
	struct event_stream *events;

	EXPECT(event_stream_new(&events) == 0);
	EXPECT(!event_wanted_any(events) && !event_wanted_any(NULL) && !event_wanted_of(NULL, EVENT_MAP));
	EXPECT(event_stream_listen_to(events, EVENT_DMA_FAULT, count, &faults) == 0);
	EXPECT(!event_wanted(events) && event_wanted_any(events));
	EXPECT(event_wanted_of(events, EVENT_DMA_FAULT) && !event_wanted_of(events, EVENT_MAP));
	/* What nobody wants takes no room. */
	for (unsigned i = 0; i < 2 * EVENT_RING_RECORDS; i++)
		event_announce(events, &map);
	event_announce(events, &fault);
	event_stream_flush(events);
	EXPECT(atomic_load(&faults.of_object[1]) == 1);
	EXPECT(event_stream_listen(events, count, &all) == 0);
	EXPECT(event_wanted(events) && event_wanted_of(events, EVENT_MAP));
	event_announce(events, &map);
	event_announce(events, &fault);
	event_stream_free(events);
	EXPECT(atomic_load(&faults.of_object[0]) == 0 && atomic_load(&faults.of_object[1]) == 2);
	EXPECT(atomic_load(&all.of_object[0]) == 1 && atomic_load(&all.of_object[1]) == 1);
}

struct echo {
	struct event_stream *events;
	unsigned echoed;
};

static void echo(void *context, const struct event *event, uint64_t lost)
{
	struct echo *e = context;

	EXPECT(lost == 0);
	if (event->file == 1)
		e->echoed++;
	else
		announce(e->events, 1, event->map.iova);
}

static void a_listener_may_announce(void)
{
	struct echo e = {0};

	EXPECT(event_stream_new(&e.events) == 0);
	EXPECT(event_stream_listen(e.events, echo, &e) == 0);
	for (unsigned i = 1; i <= 100; i++)
		announce(e.events, 0, i);
	event_stream_free(e.events);
	EXPECT(e.echoed == 100);
}

int main(void)
{
	/* First, as a sanitizer's threads come and go with others. */
	without_listeners_there_is_no_thread_and_nothing_is_kept();
	records_of_an_object_come_in_order_and_none_is_unaccounted_for();
	a_blocked_listener_blocks_nobody_and_losses_are_exact();
	a_record_says_how_many_were_lost_just_before_it();
	a_loss_that_nothing_follows_is_told_without_a_flush();
	a_flush_returns_when_all_before_it_was_handed_over();
	a_stream_that_is_freed_hands_over_what_is_left();
	a_thread_that_ends_leaves_its_ring_to_the_next();
	a_thread_that_ends_leaves_its_records();
	a_ring_serves_its_own_stream_and_no_later_one();
	threads_may_end_while_the_stream_is_freed();
	a_second_listener_sees_what_follows_its_arrival();
	a_listener_may_announce();
	who_listens_to_one_type_hears_no_other();
	return 0;
}

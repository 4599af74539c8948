/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client can make a call take as long as it likes (a page of the argument that it serves itself), so each call in
 * flight has a thread, and another one receives meanwhile. But handing every call to another thread would cost more
 * than the call. So one thread, the leader, receives a call and handles it itself. A guard looks every TICK_MS, while
 * calls come in: if the leader is still in the call in which it was seen before, another thread becomes leader, and the
 * old one goes to rest when its call ends. While no calls come the guard sleeps without a timer; the leader sets the
 * timer with the first call after that.
 */
#include "supervisor/pool.h"

#include "base/log.h"
#include "supervisor/calls.h"
#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_MS     2
#define RESTING_MAX 1 /* threads that are kept for the next blocked call */

struct pool {
	struct supervisor *supervisor;
	int timer;
	_Atomic bool timer_set;
	_Atomic uint64_t calls; /* received so far */
	_Atomic uint64_t busy;  /* the number of the call that the leader is in, or 0 */
	_Atomic uint64_t reign; /* which leader this is: changed by the guard */

	pthread_mutex_t lock;
	pthread_cond_t vacant_changed;
	bool vacant; /* there is no leader */
	unsigned resting;
	bool told;
};

static void set_timer(struct pool *p)
{
	struct itimerspec tick = {.it_value = {.tv_nsec = TICK_MS * 1000000L}};

	timerfd_settime(p->timer, 0, &tick, NULL);
}

/* Receives and handles calls as long as this thread is the leader. */
static void lead(struct pool *p, uint64_t reign)
{
	struct supervisor *s = p->supervisor;

	while (atomic_load_explicit(&p->reign, memory_order_relaxed) == reign) {
		struct notification n;
		int err = notify_receive(s->listener, &n);

		if (err == -EINTR)
			continue;
		if (err == -ENOENT) {
			/* A caller that died, or, since Linux 6.11, the last one: then the process is about to end. */
			sched_yield();
			continue;
		}
		if (err) {
			log_error(err, "cannot receive calls any more");
			return;
		}
		atomic_store_explicit(&p->busy, atomic_fetch_add(&p->calls, 1) + 1, memory_order_relaxed);
		if (!atomic_load(&p->timer_set) && !atomic_exchange(&p->timer_set, true))
			set_timer(p);
		call_handle(s, &n);
		if (atomic_load_explicit(&p->reign, memory_order_relaxed) == reign)
			atomic_store_explicit(&p->busy, 0, memory_order_relaxed);
	}
}

static void *worker(void *context)
{
	struct pool *p = context;

	for (;;) {
		uint64_t reign;

		pthread_mutex_lock(&p->lock);
		if (!p->vacant && p->resting >= RESTING_MAX) {
			pthread_mutex_unlock(&p->lock);
			return NULL;
		}
		p->resting++;
		while (!p->vacant)
			pthread_cond_wait(&p->vacant_changed, &p->lock);
		p->resting--;
		p->vacant = false;
		reign = atomic_load(&p->reign);
		pthread_mutex_unlock(&p->lock);
		lead(p, reign);
	}
	return NULL;
}

static int start_thread(struct pool *p, void *(*run)(void *))
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, run, p);
	pthread_attr_destroy(&attr);
	return -err;
}

/* The leader is stuck in a call: another thread takes its place. */
static void depose(struct pool *p)
{
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (!p->resting)
		err = start_thread(p, worker);
	if (!err) {
		atomic_store(&p->busy, 0);
		atomic_fetch_add(&p->reign, 1);
		p->vacant = true;
		pthread_cond_signal(&p->vacant_changed);
	}
	pthread_mutex_unlock(&p->lock);
	if (err && !p->told)
		log_error(err, "no further thread can be started: a program that makes its call take long holds up the "
			       "others");
	p->told = err;
}

static void *guard(void *context)
{
	struct pool *p = context;
	uint64_t seen_busy = 0;
	uint64_t seen_calls = 0;

	for (;;) {
		uint64_t ticks, busy, calls;

		if (read(p->timer, &ticks, sizeof(ticks)) < 0 && errno != EINTR)
			return NULL;
		busy = atomic_load(&p->busy);
		calls = atomic_load(&p->calls);
		if (busy && busy == seen_busy) {
			depose(p);
			busy = 0;
		}
		if (!busy && calls == seen_calls) {
			/* Nothing happens. A call that came since the look above sees the flag, or we see the call. */
			atomic_store(&p->timer_set, false);
			if (atomic_load(&p->calls) == calls || atomic_exchange(&p->timer_set, true))
				continue;
		}
		seen_busy = busy;
		seen_calls = calls;
		set_timer(p);
	}
}

int pool_start(struct supervisor *s)
{
	struct pool *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->supervisor = s;
	p->vacant = true;
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (p->timer < 0) {
		err = -errno;
		goto out_free;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->vacant_changed, NULL);
	s->pool = p;
	err = start_thread(p, guard);
	for (int i = 0; i < 1 + RESTING_MAX && !err; i++)
		err = start_thread(p, worker);
	return err; /* a guard that was started keeps the pool */

out_free:
	free(p);
	return err;
}

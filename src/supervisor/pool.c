/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client can make a call take as long as it likes (a page of the argument that it serves itself), so each call in
 * flight has a thread, and another one receives meanwhile. But handing every call to another thread would cost more
 * than the call. So one worker receives a call and handles it itself. A guard looks every TICK_MS, while calls come in:
 * a worker that is still in the call in which it was seen before is stuck. It counts no longer, and another one
 * receives in its place; when its call ends it rests, or ends.
 *
 * Where workers get stuck one after the other, a client may be doing that on purpose: then twice as many receive at
 * each tick, up to RECEIVERS_MAX, and one again when all has been quiet for a while.
 *
 * While no calls come the guard sleeps without a timer; the first call after that sets it.
 */
#include "supervisor/pool.h"

#include "base/log.h"
#include "supervisor/calls.h"
#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_MS       2
#define QUIET_TICKS   50 /* without a worker that gets stuck, until fewer receive */
#define RECEIVERS_MAX 64
#define RESTING_MAX   1 /* workers that are kept for the next one that gets stuck */

struct worker {
	struct pool *pool;
	struct worker *next;
	pthread_t thread;
	_Atomic uint64_t call; /* the number of the call that it is in, or 0 */
	uint64_t seen;         /* what the guard saw in call */
	_Atomic bool counts;   /* it is one of the receivers; changed under the lock */
};

struct pool {
	struct supervisor *supervisor;
	int timer;
	_Atomic bool timer_set;
	_Atomic uint64_t calls; /* received so far */

	pthread_mutex_t lock;
	pthread_cond_t vacant;
	struct worker *workers;
	_Atomic unsigned receivers, wanted; /* changed under the lock */
	unsigned resting;
	unsigned quiet; /* ticks */
	bool told;
};

static void set_timer(struct pool *p)
{
	struct itimerspec tick = {.it_value = {.tv_nsec = TICK_MS * 1000000L}};

	timerfd_settime(p->timer, 0, &tick, NULL);
}

static bool is_over(const struct supervisor *s)
{
	struct pollfd p = {.fd = s->listener};

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

static bool shall_receive(const struct pool *p, const struct worker *w)
{
	return atomic_load_explicit(&w->counts, memory_order_relaxed) &&
	       atomic_load_explicit(&p->receivers, memory_order_relaxed) <=
		       atomic_load_explicit(&p->wanted, memory_order_relaxed);
}

/* Returns false where there is nothing to receive any more. */
static bool receive_calls(struct pool *p, struct worker *w)
{
	struct supervisor *s = p->supervisor;

	while (shall_receive(p, w)) {
		struct notification n;
		int err = notify_receive(s->listener, &n);

		/* ENOENT: a caller that died, or, since Linux 6.11, the last one. */
		if (err == -EINTR || (err == -ENOENT && !is_over(s)))
			continue;
		if (err) {
			if (err != -ENOENT)
				log_error(err, "cannot receive calls any more");
			return false;
		}
		atomic_store_explicit(&w->call, atomic_fetch_add(&p->calls, 1) + 1, memory_order_relaxed);
		if (!atomic_load(&p->timer_set) && !atomic_exchange(&p->timer_set, true))
			set_timer(p);
		call_handle(s, &n);
		atomic_store_explicit(&w->call, 0, memory_order_relaxed);
	}
	return true;
}

/* With the lock held. */
static void stop_counting(struct pool *p, struct worker *w)
{
	if (!w->counts)
		return;
	w->counts = false;
	p->receivers--;
}

/* With the lock held. Returns false where the worker shall end. */
static bool wait_for_vacancy(struct pool *p, struct worker *w)
{
	while (p->receivers >= p->wanted) {
		if (p->resting >= RESTING_MAX)
			return false;
		p->resting++;
		pthread_cond_wait(&p->vacant, &p->lock);
		p->resting--;
	}
	p->receivers++;
	w->seen = 0;
	w->counts = true;
	return true;
}

static void *work(void *context)
{
	struct worker *w = context;
	struct pool *p = w->pool;
	struct worker **link;
	bool more = true;

	pthread_mutex_lock(&p->lock);
	while (more && wait_for_vacancy(p, w)) {
		pthread_mutex_unlock(&p->lock);
		more = receive_calls(p, w);
		pthread_mutex_lock(&p->lock);
		stop_counting(p, w);
	}
	for (link = &p->workers; *link != w; link = &(*link)->next)
		;
	*link = w->next;
	pthread_mutex_unlock(&p->lock);
	free(w);
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(thread, &attr, run, context);
	pthread_attr_destroy(&attr);
	return -err;
}

/* With the lock held. */
static int start_worker(struct pool *p)
{
	struct worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->pool = p;
	err = start_thread(&w->thread, work, w);
	if (err) {
		free(w);
		return err;
	}
	w->next = p->workers;
	p->workers = w;
	return 0;
}

/* Finds workers that are stuck. With the lock held. */
static bool find_stuck(struct pool *p)
{
	bool found = false;

	for (struct worker *w = p->workers; w; w = w->next) {
		uint64_t call = atomic_load(&w->call);

		if (w->counts && call && call == w->seen) {
			stop_counting(p, w);
			found = true;
		}
		w->seen = call;
	}
	return found;
}

/* Brings as many to receive as are wanted. With the lock held. Returns 0, or -errno: there are too few. */
static int fill_up(struct pool *p)
{
	unsigned missing = p->wanted > p->receivers ? p->wanted - p->receivers : 0;
	int err = 0;

	for (unsigned i = 0; i < p->resting && missing; i++, missing--)
		pthread_cond_signal(&p->vacant);
	while (missing && !err) {
		err = start_worker(p);
		missing--;
	}
	return p->receivers ? 0 : err;
}

/* Those that wait for a call and are too many are called back. With the lock held. */
static void thin_out(struct pool *p)
{
	unsigned surplus = p->receivers > p->wanted ? p->receivers - p->wanted : 0;

	for (struct worker *w = p->workers; w && surplus; w = w->next) {
		if (w->counts && !atomic_load(&w->call)) {
			pthread_kill(w->thread, SIGUSR2); /* its receive ends with EINTR */
			surplus--;
		}
	}
}

/* One look at the workers. Returns whether another one is needed soon, whatever comes in. */
static bool look(struct pool *p)
{
	bool again;
	int err;

	pthread_mutex_lock(&p->lock);
	if (find_stuck(p)) {
		p->quiet = 0;
		if (p->wanted < RECEIVERS_MAX)
			p->wanted *= 2;
	} else if (p->wanted > 1 && ++p->quiet > QUIET_TICKS) {
		p->wanted = 1;
	}
	err = fill_up(p);
	thin_out(p);
	again = err || p->wanted > 1 || p->receivers > p->wanted;
	if (err && !p->told)
		log_error(err, "no further thread can be started: a program that makes its call take long holds up the "
			       "others");
	p->told = err;
	pthread_mutex_unlock(&p->lock);
	return again;
}

static void *guard(void *context)
{
	struct pool *p = context;
	uint64_t seen = 0;

	for (;;) {
		uint64_t ticks, calls;
		bool again;

		if (read(p->timer, &ticks, sizeof(ticks)) < 0 && errno != EINTR)
			return NULL;
		calls = atomic_load(&p->calls);
		again = look(p) || calls != seen;
		seen = calls;
		if (!again) {
			/* Nothing happens. A call that came since the look above sees the flag, or we see the call. */
			atomic_store(&p->timer_set, false);
			if (atomic_load(&p->calls) == calls || atomic_exchange(&p->timer_set, true))
				continue;
		}
		set_timer(p);
	}
}

int pool_start(struct supervisor *s)
{
	struct pool *p = calloc(1, sizeof(*p));
	pthread_t thread;
	int err;

	if (!p)
		return -ENOMEM;
	p->supervisor = s;
	p->wanted = 1;
	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (p->timer < 0) {
		err = -errno;
		goto out_free;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->vacant, NULL);
	err = start_thread(&thread, guard, p);
	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < 1 + RESTING_MAX && !err; i++)
		err = start_worker(p);
	pthread_mutex_unlock(&p->lock);
	return err; /* a guard that was started keeps the pool */

out_free:
	free(p);
	return err;
}

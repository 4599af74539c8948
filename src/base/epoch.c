/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/epoch.h"

#include "base/log.h"

#include <sched.h>
#include <time.h>

/* A reader's line is looked at seldom, as each look takes it away from its reader for a while. */
#define PAUSES 2
#define SPINS  50
#define YIELDS 50
#define NAP_NS 50000
#define LONG_S 1

void epoch_init(struct epoch *epoch)
{
	atomic_init(&epoch->waits, 0);
	atomic_init(&epoch->slots, NULL);
	epoch->started = 0;
	epoch->finished = 0;
	pthread_mutex_init(&epoch->lock, NULL);
}

void epoch_fini(struct epoch *epoch)
{
	pthread_mutex_destroy(&epoch->lock);
}

void epoch_add(struct epoch *epoch, struct epoch_slot *slot)
{
	struct epoch_slot *first;

	pthread_mutex_lock(&epoch->lock);
	first = atomic_load_explicit(&epoch->slots, memory_order_relaxed);
	slot->epoch = epoch;
	slot->watched = 0;
	slot->before = 0;
	slot->next = first;
	slot->link = NULL;
	if (first)
		first->link = &slot->next;
	atomic_store(&epoch->slots, slot);
	pthread_mutex_unlock(&epoch->lock);
}

void epoch_remove(struct epoch_slot *slot)
{
	struct epoch *epoch = slot->epoch;

	pthread_mutex_lock(&epoch->lock);
	while (slot->watched) {
		pthread_mutex_unlock(&epoch->lock);
		sched_yield();
		pthread_mutex_lock(&epoch->lock);
	}
	if (slot->next)
		slot->next->link = slot->link;
	if (slot->link)
		*slot->link = slot->next;
	else
		atomic_store(&epoch->slots, slot->next);
	slot->epoch = NULL;
	pthread_mutex_unlock(&epoch->lock);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static bool is_in(struct epoch_slot *slot, uint64_t entry)
{
	return atomic_load(&slot->since) == entry;
}

static bool left_soon(struct epoch_slot *slot, uint64_t entry)
{
	for (unsigned i = 0; i < SPINS; i++) {
		for (unsigned j = 0; j < PAUSES; j++)
			relax();
		if (!is_in(slot, entry))
			return true;
	}
	return false;
}

static void wait_long(struct epoch_slot *slot, uint64_t entry)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	struct timespec begin, now;
	bool told = false;

	for (unsigned i = 0; i < YIELDS; i++) {
		if (!is_in(slot, entry))
			return;
		sched_yield();
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (is_in(slot, entry)) {
		nanosleep(&nap, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (told || now.tv_sec - begin.tv_sec <= LONG_S)
			continue;
		told = true;
		log_line("a device takes more than a second for a DMA; an unmap or detach waits for it");
	}
}

/* With the lock held, which it drops where it takes long; the slot stays in the list. */
static void wait_slot(struct epoch *epoch, struct epoch_slot *slot)
{
	uint64_t entry = atomic_load(&slot->since);

	if (!entry || left_soon(slot, entry))
		return;
	slot->watched++;
	pthread_mutex_unlock(&epoch->lock);
	wait_long(slot, entry);
	pthread_mutex_lock(&epoch->lock);
	slot->watched--;
}

void epoch_wait(struct epoch *epoch)
{
	atomic_fetch_add(&epoch->waits, 1);
	/* A slot that is added later belongs to a reader that sees the change. */
	if (!atomic_load(&epoch->slots))
		return;
	pthread_mutex_lock(&epoch->lock);
	for (struct epoch_slot *slot = atomic_load(&epoch->slots); slot; slot = slot->next)
		wait_slot(epoch, slot);
	pthread_mutex_unlock(&epoch->lock);
}

uint64_t epoch_defer(struct epoch *epoch)
{
	uint64_t period;

	pthread_mutex_lock(&epoch->lock);
	/* The one in progress began too early. */
	period = epoch->started + 1;
	pthread_mutex_unlock(&epoch->lock);
	return period;
}

/* With the lock held. Has the period in progress passed? */
static bool all_left(struct epoch *epoch)
{
	bool left = true;

	for (struct epoch_slot *slot = atomic_load(&epoch->slots); slot; slot = slot->next) {
		if (slot->before && !is_in(slot, slot->before))
			slot->before = 0;
		left = left && !slot->before;
	}
	return left;
}

static void start_period(struct epoch *epoch)
{
	atomic_fetch_add(&epoch->waits, 1);
	epoch->started++;
	for (struct epoch_slot *slot = atomic_load(&epoch->slots); slot; slot = slot->next)
		slot->before = atomic_load(&slot->since);
}

bool epoch_passed(struct epoch *epoch, uint64_t period)
{
	bool passed;

	pthread_mutex_lock(&epoch->lock);
	if (epoch->finished < epoch->started && all_left(epoch))
		epoch->finished = epoch->started;
	if (epoch->finished == epoch->started && epoch->started < period) {
		start_period(epoch);
		if (all_left(epoch))
			epoch->finished = epoch->started;
	}
	passed = epoch->finished >= period;
	pthread_mutex_unlock(&epoch->lock);
	return passed;
}

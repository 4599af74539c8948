/* SPDX-License-Identifier: BSD-3-Clause */
/* Readers that look at what writers replace: nothing is freed under them, and nobody waits for readers that are out. */
#include "base/epoch.h"

#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { READERS = 3, ROUNDS = 3000, ALIVE = 0x5eed };

static struct epoch epoch;
static unsigned *_Atomic shown;
static atomic_bool stop;
static atomic_uint inside, released, looks;

static void *reader(void *arg)
{
	struct epoch_slot slot = {0};

	(void)arg;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		/* Slots come and go as well. */
		epoch_add(&epoch, &slot);
		for (unsigned k = 0; k < 50; k++) {
			epoch_enter(&slot);
			if (*atomic_load(&shown) != ALIVE)
				CHECK(!"freed under a reader");
			epoch_leave(&slot);
			atomic_fetch_add_explicit(&looks, 1, memory_order_relaxed);
		}
		epoch_remove(&slot);
	}
	return NULL;
}

static unsigned *make(void)
{
	unsigned *made = malloc(sizeof(*made));

	*made = ALIVE;
	return made;
}

/* One that is gone says so to who still looks; the sanitizers see the rest. */
static void end(unsigned *old)
{
	*old = 0;
	free(old);
}

static void *writer(void *arg)
{
	bool poll = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned *old = atomic_exchange(&shown, make());

		if (poll) {
			uint64_t period = epoch_defer(&epoch);

			while (!epoch_passed(&epoch, period))
				sched_yield();
		} else {
			epoch_wait(&epoch);
		}
		end(old);
	}
	return NULL;
}

static void nothing_is_freed_under_a_reader(void)
{
	pthread_t readers[READERS], writers[2];

	atomic_store(&shown, make());
	for (unsigned i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, reader, NULL);
	while (!atomic_load(&looks))
		sched_yield();
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&writers[i], NULL, writer, (void *)i);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	CHECK(!atomic_load(&epoch.slots));
	free(atomic_load(&shown));
}

static void *stay(void *arg)
{
	struct epoch_slot *slot = arg;

	epoch_enter(slot);
	atomic_store(&inside, 1);
	while (!atomic_load(&released))
		sched_yield();
	epoch_leave(slot);
	return NULL;
}

static void *wait_for_all(void *arg)
{
	epoch_wait(&epoch);
	/* It did not return before. */
	CHECK(atomic_load(&released));
	return arg;
}

static void a_wait_ends_when_those_inside_left(void)
{
	struct epoch_slot slot = {0}, other = {0};
	pthread_t staying, waiting;
	uint64_t period;

	epoch_wait(&epoch);
	epoch_add(&epoch, &slot);
	epoch_add(&epoch, &other);
	epoch_wait(&epoch);
	CHECK(epoch_passed(&epoch, epoch_defer(&epoch)));
	pthread_create(&staying, NULL, stay, &slot);
	while (!atomic_load(&inside))
		sched_yield();
	period = epoch_defer(&epoch);
	CHECK(!epoch_passed(&epoch, period));
	pthread_create(&waiting, NULL, wait_for_all, NULL);
	/* Slots come and go while one is waited for. */
	epoch_remove(&other);
	epoch_add(&epoch, &other);
	CHECK(!epoch_passed(&epoch, period));
	atomic_store(&released, 1);
	pthread_join(waiting, NULL);
	pthread_join(staying, NULL);
	CHECK(epoch_passed(&epoch, period));
	/* Who enters anew is not waited for. */
	epoch_enter(&slot);
	period = epoch_defer(&epoch);
	CHECK(!epoch_passed(&epoch, period));
	epoch_leave(&slot);
	epoch_enter(&slot);
	CHECK(epoch_passed(&epoch, period));
	epoch_leave(&slot);
	epoch_remove(&slot);
	epoch_remove(&other);
}

/*
 * A reader that has just entered, which another processor may not see yet, does not find what is gone. The reader
 * cannot be stopped in between: it is tried often, with the writer as quick as can be.
 */

static _Atomic unsigned *_Atomic lent;
static _Atomic unsigned thing;
/* The writer takes the line of the reader's slot away, so that the entry takes long to be seen. */
static struct {
	_Alignas(64) struct epoch_slot slot;
	atomic_uint noise;
} line;

static void *borrower(void *arg)
{
	epoch_add(&epoch, &line.slot);
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		_Atomic unsigned *found;

		epoch_enter(&line.slot);
		found = atomic_load(&lent);
		for (unsigned i = 0; found && i < 32; i++)
			if (atomic_load_explicit(found, memory_order_relaxed) != ALIVE)
				CHECK(!"a reader that entered was not seen");
		epoch_leave(&line.slot);
	}
	epoch_remove(&line.slot);
	return arg;
}

static void a_reader_is_seen_as_soon_as_it_looks(void)
{
	const unsigned handovers = getenv("IOMMUSE_TEST_LONG") ? 10000000 : 1000000;
	pthread_t thread;

	atomic_store(&stop, false);
	pthread_create(&thread, NULL, borrower, NULL);
	for (unsigned i = 0; i < handovers; i++) {
		atomic_store(&thing, ALIVE);
		atomic_store(&lent, &thing);
		for (unsigned k = 0; k < i % 32; k++)
			atomic_load(&thing);
		atomic_fetch_add(&line.noise, 1);
		atomic_store(&lent, NULL);
		epoch_wait(&epoch);
		atomic_store(&thing, 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

int main(void)
{
	epoch_init(&epoch);
	a_wait_ends_when_those_inside_left();
	nothing_is_freed_under_a_reader();
	a_reader_is_seen_as_soon_as_it_looks();
	epoch_fini(&epoch);
	return check_result();
}

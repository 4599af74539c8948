/* SPDX-License-Identifier: BSD-3-Clause */
/* Who watches an address space hears of its end once, or not at all, and nothing after it has ceased to watch. */
#include "check.h"

#include "client/local_mm.h"
#include "client/mm.h"

#include <stdlib.h>

#define WATCHES 8
#define ROUNDS  2000

struct listener {
	struct mm_watch watch;
	_Atomic unsigned told;
	_Atomic bool watching;
};

static void note(struct mm_watch *watch)
{
	struct listener *l = (struct listener *)watch;

	CHECK(atomic_load(&l->watching));
	atomic_fetch_add(&l->told, 1);
}

static void watch(struct mm *mm, struct listener *l, bool wanted)
{
	l->watch.gone = note;
	atomic_store(&l->watching, true);
	CHECK_EQ(mm_watch(mm, &l->watch), wanted);
}

static void unwatch(struct mm *mm, struct listener *l)
{
	mm_unwatch(mm, &l->watch);
	atomic_store(&l->watching, false);
}

static void each_hears_once(void)
{
	struct mm *mm = local_mm_new(false);
	struct listener l[WATCHES] = {0};

	for (int i = 0; i < WATCHES; i++)
		watch(mm, &l[i], true);
	/* The first, the last, one between; one again. */
	unwatch(mm, &l[0]);
	unwatch(mm, &l[WATCHES - 1]);
	unwatch(mm, &l[3]);
	watch(mm, &l[3], true);
	CHECK(!mm_is_gone(mm));
	mm_announce_gone(mm);
	mm_announce_gone(mm);
	CHECK(mm_is_gone(mm));
	for (int i = 0; i < WATCHES; i++)
		CHECK_EQ(l[i].told, i != 0 && i != WATCHES - 1);
	/* What has heard of it may cease to watch, twice as well. */
	for (int i = 0; i < WATCHES; i++)
		unwatch(mm, &l[i]);
	unwatch(mm, &l[1]);
	watch(mm, &l[0], false);
	CHECK_EQ(l[0].told, 0);
	unwatch(mm, &l[0]);
	mm_put(mm);
}

static bool same_number(struct mm *a, struct mm *b)
{
	return a->pid == b->pid;
}

static void memory_is_compared_by_its_kind(void)
{
	static const struct mm_ops with = {.same = same_number};
	static const struct mm_ops without = {0};
	struct mm a = {.ops = &with, .pid = 1}, b = {.ops = &with, .pid = 1}, c = {.ops = &with, .pid = 2};
	struct mm d = {.ops = &without, .pid = 1}, e = {.ops = &without, .pid = 1};

	CHECK(mm_same(&a, &a) && mm_same(&a, &b) && mm_same(&d, &d));
	CHECK(!mm_same(&a, &c) && !mm_same(&a, &d) && !mm_same(&d, &a) && !mm_same(&d, &e));
}

struct race {
	struct mm *mm;
	pthread_barrier_t start;
};

/* A watcher's memory is free for something else once it has ceased to watch. */
static void *watch_and_go(void *context)
{
	struct race *race = context;
	struct listener *l = calloc(1, sizeof(*l));

	l->watch.gone = note;
	atomic_store(&l->watching, true);
	pthread_barrier_wait(&race->start);
	if (!mm_watch(race->mm, &l->watch)) {
		CHECK(mm_is_gone(race->mm));
		CHECK_EQ(l->told, 0);
	}
	unwatch(race->mm, l);
	CHECK(l->told <= 1);
	free(l);
	return NULL;
}

static void *announce(void *context)
{
	struct race *race = context;

	pthread_barrier_wait(&race->start);
	mm_announce_gone(race->mm);
	return NULL;
}

static void the_end_races_with_watchers(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct race race = {.mm = local_mm_new(false)};
		struct listener before = {0};
		pthread_t threads[4];

		pthread_barrier_init(&race.start, NULL, 4);
		watch(race.mm, &before, true);
		for (int i = 0; i < 4; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, i < 2 ? watch_and_go : announce, &race), 0);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		CHECK_EQ(before.told, 1);
		unwatch(race.mm, &before);
		mm_put(race.mm);
		pthread_barrier_destroy(&race.start);
	}
}

int main(void)
{
	each_hears_once();
	memory_is_compared_by_its_kind();
	the_end_races_with_watchers();
	return check_result();
}

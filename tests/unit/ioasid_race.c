/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that do anything at once with PASIDs of the same sets, which end and begin meanwhile. What is in use is not
 * given out, events take turns, and at the end all is free; that nothing else goes wrong is for the sanitizers.
 */
#include "ioasid_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { BITS = 10, SIZE = 1 << BITS, THREADS = 4, TOKENS = 3, HELD = 40 };

static struct ioasid_space *space;
static struct ioasid_cgroup *cgroup;
static struct ioasid_set *_Atomic creator[TOKENS]; /* who takes it out ends it */
static atomic_uchar private[SIZE];                 /* it is one thread's own */
static unsigned steps;

/* By the listener, so under the space's lock. */
static bool active[SIZE];
static uint64_t allocated, freed;
static unsigned out_of_turn;

static struct ioasid_work work;
static _Atomic unsigned worked;

struct worker {
	uint64_t random;
	struct ioasid_set *own;
	uint32_t got[HELD], bound[HELD], mine[HELD]; /* 0: none */
};

static uint32_t below(struct worker *w, uint32_t n)
{
	w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((w->random >> 33) % n);
}

static void hear(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice)
{
	(void)notifier;
	switch (event) {
	case IOASID_EVENT_ALLOC:
		allocated++;
		out_of_turn += active[notice->id];
		break;
	case IOASID_EVENT_FREE:
		freed++;
		ioasid_queue(space, &work);
		break;
	case IOASID_EVENT_BIND:
	case IOASID_EVENT_UNBIND:
		out_of_turn += active[notice->id] == (event == IOASID_EVENT_BIND);
		active[notice->id] = event == IOASID_EVENT_BIND;
		break;
	}
}

static void do_work(struct ioasid_work *done)
{
	struct ioasid_set *set = ioasid_set_of_token(space, 1);
	uint32_t id = 0;

	(void)done;
	atomic_fetch_add(&worked, 1);
	if (!set)
		return;
	if (ioasid_set_next(set, &id))
		ioasid_detach_spid(set, id);
	ioasid_set_put(set);
}

static void use_private(struct worker *w)
{
	uint32_t *id = &w->mine[below(w, HELD)];

	if (*id) {
		CHECK_EQ(ioasid_state(space, *id) == IOASID_FREE, false);
		atomic_store(&private[*id], 0);
		CHECK_EQ(ioasid_free(w->own, *id), 0);
		*id = 0;
		return;
	}
	if (ioasid_alloc(w->own, 1, UINT32_MAX, cgroup, w, id))
		*id = 0;
	else
		CHECK_EQ(atomic_exchange(&private[*id], 1), 0);
}

static void use_reference(struct worker *w, struct ioasid_set *set, uint32_t id)
{
	uint32_t *got = &w->got[below(w, HELD)];

	if (*got) {
		CHECK(ioasid_state(space, *got) != IOASID_FREE);
		ioasid_put(space, *got);
		*got = 0;
	} else if (!ioasid_get(space, below(w, 2) ? set : NULL, id)) {
		*got = id;
	}
}

static void use_binding(struct worker *w, uint32_t id)
{
	uint32_t *bound = &w->bound[below(w, HELD)];
	bool held;

	if (*bound) {
		CHECK(ioasid_state(space, *bound) >= IOASID_ACTIVE);
		ioasid_unbind(space, *bound);
		*bound = 0;
	} else if (!ioasid_bind(space, 1 + below(w, TOKENS), id, &held) && held) {
		*bound = id;
	}
}

static void use_number(struct worker *w, struct ioasid_set *set, uint32_t id)
{
	uint32_t found;

	switch (below(w, 3)) {
	case 0:
		ioasid_attach_spid(set, id, below(w, 20));
		break;
	case 1:
		ioasid_detach_spid(set, id);
		break;
	case 2:
		found = ioasid_find_by_spid(set, below(w, 20), true);
		if (found != IOASID_INVALID) {
			CHECK(ioasid_state(space, found) != IOASID_FREE);
			ioasid_put(space, found);
		}
		break;
	}
}

static void end_one(struct worker *w)
{
	uint32_t i = below(w, TOKENS);
	struct ioasid_set *set = atomic_exchange(&creator[i], NULL);

	if (!set)
		return;
	ioasid_set_end(set);
	atomic_store(&creator[i], set_of(space, i + 1, ANY_NUMBER));
}

static void look(struct worker *w, struct ioasid_set *set, uint32_t id)
{
	struct ioasid_count count;
	struct ioasid_set *owner;
	void *data;

	ioasid_cgroup_usage(space, cgroup, &count);
	CHECK(count.current <= count.max);
	if (!ioasid_find_set(space, id, &owner))
		ioasid_set_put(owner);
	ioasid_find(space, set, id, NULL, &data);
	if (!ioasid_attach_data(set, id, w))
		ioasid_detach_data(set, id, NULL);
	for (unsigned i = 0; i < 5 && ioasid_set_next(set, &id); i++)
		id++;
}

static void step(struct worker *w)
{
	struct ioasid_set *set = ioasid_set_of_token(space, 1 + below(w, TOKENS));
	uint32_t id = below(w, SIZE);

	if (!set)
		return;
	switch (below(w, 8)) {
	case 0:
		if (!below(w, 50))
			end_one(w);
		break;
	case 1:
	case 2:
		ioasid_alloc(set, id / 4, id, below(w, 2) ? cgroup : NULL, NULL, &id);
		break;
	case 3:
		ioasid_free(set, id);
		break;
	case 4:
		use_private(w);
		break;
	case 5:
		use_reference(w, set, id);
		break;
	case 6:
		use_binding(w, id);
		break;
	case 7:
		use_number(w, set, id);
		look(w, set, id);
		break;
	}
	ioasid_set_put(set);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	w->own = set_of(space, 0, HELD / 2);
	for (unsigned i = 0; i < steps; i++)
		step(w);
	for (unsigned i = 0; i < HELD; i++)
		atomic_store(&private[w->mine[i]], 0);
	ioasid_set_end(w->own);
	for (unsigned i = 0; i < HELD; i++) {
		if (w->got[i])
			ioasid_put(space, w->got[i]);
		if (w->bound[i])
			ioasid_unbind(space, w->bound[i]);
	}
	return NULL;
}

int main(void)
{
	struct ioasid_notifier listener = {.notify = hear};
	struct worker worker[THREADS];
	pthread_t thread[THREADS];

	steps = getenv("IOMMUSE_TEST_LONG") ? 2000000 : 200000;
	work.run = do_work;
	space = space_of(BITS);
	CHECK_EQ(ioasid_cgroup_add(space, "/c", SIZE / 8), 0);
	cgroup = ioasid_cgroups(space);
	CHECK_EQ(ioasid_register_notifier(space, NULL, &listener), 0);
	for (uint32_t i = 0; i < TOKENS; i++)
		atomic_store(&creator[i], set_of(space, i + 1, ANY_NUMBER));
	memset(worker, 0, sizeof(worker));
	for (unsigned i = 0; i < THREADS; i++) {
		worker[i].random = i + 1;
		CHECK_EQ(pthread_create(&thread[i], NULL, run, &worker[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (uint32_t i = 0; i < TOKENS; i++)
		ioasid_set_end(atomic_load(&creator[i]));
	ioasid_flush(space);
	CHECK_EQ(usage_of(space).in_use, 0);
	CHECK_EQ(usage_of(space).pending, 0);
	CHECK_EQ(usage_of(space).available, SIZE - 1);
	CHECK_EQ(cgroup->current, 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &listener), 0);
	CHECK_EQ(out_of_turn, 0);
	for (uint32_t i = 0; i < SIZE; i++)
		CHECK(!active[i]);
	CHECK(allocated > 100 && freed > 10 && atomic_load(&worked));
	ioasid_space_free(space);
	return check_result();
}

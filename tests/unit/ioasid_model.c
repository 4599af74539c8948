/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random operations on a space, and on an array that says what should be.
 *
 *   ioasid_model [SEED [OPERATIONS]]
 *
 * With IOMMUSE_TEST_LONG in the environment millions of operations.
 */
#include "ioasid_world.h"

#include <string.h>

enum { BITS = 13, SIZE = 1 << BITS, SETS = 6, CGROUPS = 3 };

struct model_set {
	struct ioasid_set *set; /* NULL: there is none */
	uint64_t token, quota, refused;
	struct model_set *ended; /* those before, which still have PASIDs */
};

struct model_id {
	struct model_set *set; /* NULL: it is free */
	struct ioasid_cgroup *cgroup;
	uint32_t gets, bound, spid;
	bool pending;
	char *data;
};

static uint64_t seed, state, events[5], expected[5];
static struct ioasid_space *space;
static struct ioasid_cgroup *cgroup[CGROUPS];
static struct model_set *sets[SETS];
static struct model_id ids[SIZE];
static unsigned in_use;
static char data[4];

static uint32_t below(uint32_t n)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) % n);
}

static void count_event(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice)
{
	(void)notifier;
	CHECK(notice->id && notice->id < SIZE && notice->set == ids[notice->id].set->set);
	events[event]++;
}

/* An allocation is told before the model knows of it. */
static void count_alloc(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice)
{
	if (event == IOASID_EVENT_ALLOC)
		events[event]++;
	else
		count_event(notifier, event, notice);
}

/* Two address spaces of one process come one after the other. */
static uint64_t process_of(uint64_t token)
{
	return (token + 1) / 2;
}

static struct model_set *set_new(uint64_t token)
{
	struct model_set *model = calloc(1, sizeof(*model));

	model->token = token;
	model->quota = below(2) ? ANY_NUMBER : 1 + below(2 * SIZE / SETS);
	model->set = set_of_process(space, token, process_of(token), model->quota);
	return model;
}

static bool full(const struct ioasid_cgroup *at, const uint64_t *current)
{
	for (; at; at = at->parent)
		if (current[at == cgroup[0] ? 0 : at == cgroup[1] ? 1 : 2] >= at->max)
			return true;
	return false;
}

static uint64_t charged[CGROUPS];

static void charge(const struct ioasid_cgroup *at, int n)
{
	for (; at; at = at->parent)
		charged[at == cgroup[0] ? 0 : at == cgroup[1] ? 1 : 2] += (uint64_t)(int64_t)n;
}

/* Also what is left of sets before it. */
static uint64_t count_of_process(uint64_t process)
{
	uint64_t count = 0;

	for (uint32_t id = 0; id < SIZE; id++)
		count += ids[id].set && process_of(ids[id].set->token) == process;
	return count;
}

static int64_t model_alloc(struct model_set *set, struct ioasid_cgroup *from, uint32_t min, uint32_t max)
{
	if (max < min)
		return -EINVAL;
	if (count_of_process(process_of(set->token)) >= set->quota) {
		set->refused++;
		return -EAGAIN;
	}
	if (from && full(from, charged))
		return -EAGAIN;
	for (uint32_t id = min ? min : 1; id <= max && id < SIZE; id++)
		if (!ids[id].set)
			return id;
	return -ENOSPC;
}

static void do_alloc(void)
{
	struct model_set *set = sets[below(SETS)];
	struct ioasid_cgroup *from = below(2) ? cgroup[below(CGROUPS)] : NULL;
	uint32_t min = below(4) ? 0 : below(SIZE + 10), max = below(4) ? UINT32_MAX : below(SIZE + 10), id = 0;
	char *with = below(2) ? &data[below(4)] : NULL;
	int64_t want = model_alloc(set, from, min, max);
	int rc = ioasid_alloc(set->set, min, max, from, with, &id);

	CHECK_EQ(rc ? rc : (int64_t)id, want);
	if (want < 0 || rc)
		return;
	ids[id] = (struct model_id){.set = set, .cgroup = from, .spid = IOASID_INVALID, .data = with};
	in_use++;
	if (from)
		charge(from, 1);
	expected[IOASID_EVENT_ALLOC]++;
}

static bool active(const struct model_id *id)
{
	return id->bound || id->spid != IOASID_INVALID;
}

/* It is freed where nobody needs it; returns whether. */
static bool model_reclaim(struct model_id *id)
{
	if (!id->pending || id->gets || id->bound)
		return false;
	if (active(id))
		expected[IOASID_EVENT_UNBIND]++;
	if (id->cgroup)
		charge(id->cgroup, -1);
	in_use--;
	return true;
}

static void model_free(struct model_id *id)
{
	id->pending = true;
	if (id->gets || id->bound)
		expected[IOASID_EVENT_FREE]++;
}

static uint32_t any_id(void)
{
	return below(50) ? 1 + below(SIZE / (1 + below(8))) : below(SIZE + 5);
}

/* One that does not exist is a free one. */
static struct model_id *model_of(uint32_t id)
{
	static struct model_id none;

	return id < SIZE ? &ids[id] : &none;
}

static void forget(struct model_id *id)
{
	id->set = NULL;
}

static void do_free(void)
{
	struct model_set *set = sets[below(SETS)];
	uint32_t at = any_id();
	struct model_id *id = model_of(at);
	int want = 0;
	bool reclaimed = false;

	if (!at)
		want = -EINVAL;
	else if (!id->set)
		want = -ENOENT;
	else if (id->set->token != set->token)
		want = -EACCES;
	else if (!id->pending) {
		model_free(id);
		reclaimed = model_reclaim(id);
	}
	CHECK_EQ(ioasid_free(set->set, at), want);
	if (reclaimed)
		forget(id);
}

static void do_get(void)
{
	struct model_set *set = below(3) ? sets[below(SETS)] : NULL;
	uint32_t at = any_id();
	struct model_id *id = model_of(at);
	int want = !id->set ? -ENOENT : id->pending ? -EBUSY : set && id->set != set ? -EACCES : 0;

	CHECK_EQ(ioasid_get(space, set ? set->set : NULL, at), want);
	id->gets += want ? 0 : 1;
}

static void do_put(void)
{
	uint32_t at = any_id();
	struct model_id *id = model_of(at);
	bool want = false;

	if (id->set && id->gets) {
		id->gets--;
		want = model_reclaim(id);
	}
	CHECK_EQ(ioasid_put(space, at), want);
	if (want)
		forget(id);
}

static void do_bind(void)
{
	uint64_t token = 1 + below(SETS);
	uint32_t at = any_id();
	struct model_id *id = model_of(at);
	int want = !id->set ? 0 : id->set->token != token ? -EACCES : id->pending ? -EBUSY : 0;
	bool held = !below(2);

	if (id->set && !want) {
		expected[IOASID_EVENT_BIND] += active(id) ? 0 : 1;
		id->bound++;
	}
	CHECK_EQ(ioasid_bind(space, token, at, &held), want);
	CHECK_EQ(held, id->set && !want);
}

static void do_unbind(void)
{
	uint32_t at = any_id();
	struct model_id *id = model_of(at);
	bool reclaimed = false;

	if (id->set && id->bound) {
		id->bound--;
		expected[IOASID_EVENT_UNBIND] += active(id) ? 0 : 1;
		reclaimed = model_reclaim(id);
	}
	ioasid_unbind(space, at);
	if (reclaimed)
		forget(id);
}

static uint32_t find_spid(const struct model_set *set, uint32_t spid)
{
	for (uint32_t id = 1; id < SIZE; id++)
		if (ids[id].set == set && ids[id].spid == spid)
			return id;
	return 0;
}

static void do_attach_spid(void)
{
	struct model_set *set = sets[below(SETS)];
	uint32_t at = any_id(), spid = below(20) ? below(200) : IOASID_INVALID;
	struct model_id *id = model_of(at);
	int want = !id->set ? -ENOENT : id->set != set ? -EACCES : id->pending ? -EBUSY : 0;

	if (spid == IOASID_INVALID || (!want && find_spid(set, spid)))
		want = -EINVAL;
	if (!want) {
		expected[IOASID_EVENT_UNBIND] += active(id) ? 1 : 0;
		expected[IOASID_EVENT_BIND]++;
		id->spid = spid;
	}
	CHECK_EQ(ioasid_attach_spid(set->set, at, spid), want);
}

static void do_detach_spid(void)
{
	struct model_set *set = sets[below(SETS)];
	uint32_t at = any_id();
	struct model_id *id = model_of(at);
	int want = !id->set ? -ENOENT : id->set != set ? -EACCES : id->spid == IOASID_INVALID ? -ENOENT : 0;

	if (!want) {
		expected[IOASID_EVENT_UNBIND]++;
		id->spid = IOASID_INVALID;
		expected[IOASID_EVENT_BIND] += active(id) ? 1 : 0;
	}
	CHECK_EQ(ioasid_detach_spid(set->set, at), want);
}

static void do_find(void)
{
	struct model_set *set = sets[below(SETS)];
	uint32_t at = any_id(), spid = below(200), with = find_spid(set, spid);
	struct model_id *id = model_of(at);
	int want = !id->set ? -ENOENT : id->set != set ? -EACCES : 0;
	void *found = NULL;

	CHECK_EQ(ioasid_find_by_spid(set->set, spid, false), with && !ids[with].pending ? with : IOASID_INVALID);
	CHECK_EQ(ioasid_find(space, set->set, at, NULL, &found), want);
	CHECK(want || found == id->data);
	if (want || !id->data) {
		int rc = want || !id->pending ? want : -EBUSY;

		CHECK_EQ(ioasid_attach_data(set->set, at, &data[1]), rc);
		if (!rc)
			id->data = &data[1];
	} else {
		CHECK_EQ(ioasid_detach_data(set->set, at, NULL), 0);
		id->data = NULL;
	}
}

static void do_end(void)
{
	unsigned i = below(SETS);
	struct model_set *old = sets[i];
	static bool reclaimed[SIZE];

	for (uint32_t at = 1; at < SIZE; at++) {
		reclaimed[at] = false;
		if (ids[at].set != old || ids[at].pending)
			continue;
		model_free(&ids[at]);
		reclaimed[at] = model_reclaim(&ids[at]);
	}
	ioasid_set_end(old->set);
	for (uint32_t at = 1; at < SIZE; at++)
		if (reclaimed[at])
			forget(&ids[at]);
	sets[i] = set_new(old->token);
	sets[i]->ended = old;
}

static void do_limit(void)
{
	struct model_set *set = sets[below(SETS)];
	unsigned i = below(CGROUPS);

	set->quota = below(2) ? ANY_NUMBER : below(SIZE / 4);
	ioasid_set_limit(set->set, set->quota);
	ioasid_cgroup_limit(space, cgroup[i], below(SIZE));
}

static void check_all(void)
{
	unsigned pending = 0;

	for (uint32_t at = 0; at < SIZE; at++) {
		const struct model_id *id = &ids[at];
		enum ioasid_state want = !id->set      ? IOASID_FREE
					 : id->pending ? IOASID_FREE_PENDING
					 : active(id)  ? IOASID_ACTIVE
						       : IOASID_IDLE;

		CHECK_EQ(ioasid_state(space, at), want);
		pending += want == IOASID_FREE_PENDING;
	}
	for (unsigned i = 0; i < SETS; i++) {
		uint32_t next = 0;

		for (uint32_t at = 0; at < SIZE; at++)
			if (ids[at].set == sets[i] && !ids[at].pending) {
				CHECK(ioasid_set_next(sets[i]->set, &next));
				CHECK_EQ(next++, at);
			}
		CHECK(!ioasid_set_next(sets[i]->set, &next));
		CHECK_EQ(count_of(sets[i]->set).current, count_of_process(process_of(sets[i]->token)));
		CHECK_EQ(count_of(sets[i]->set).refused, sets[i]->refused);
	}
	for (unsigned i = 0; i < CGROUPS; i++)
		CHECK_EQ(cgroup[i]->current, charged[i]);
	CHECK(!memcmp(events, expected, sizeof(events)));
	CHECK_EQ(usage_of(space).in_use, in_use);
	CHECK_EQ(usage_of(space).pending, pending);
	CHECK_EQ(usage_of(space).available, SIZE - 1 - in_use);
}

static void step(void)
{
	static void (*const rare[])(void) = {do_end, do_limit};
	static void (*const usual[])(void) = {do_alloc, do_alloc,  do_alloc,       do_free,        do_get, do_put,
					      do_bind,  do_unbind, do_attach_spid, do_detach_spid, do_find};

	if (below(500))
		usual[below(sizeof(usual) / sizeof(*usual))]();
	else
		rare[below(2)]();
}

static void clean_up(void)
{
	for (unsigned i = 0; i < SETS; i++)
		ioasid_set_end(sets[i]->set);
	for (uint32_t at = 1; at < SIZE; at++)
		if (ids[at].set) {
			while (ids[at].gets && ids[at].gets--)
				ioasid_put(space, at);
			while (ids[at].bound && ids[at].bound--)
				ioasid_unbind(space, at);
		}
	CHECK_EQ(usage_of(space).in_use, 0);
	for (unsigned i = 0; i < SETS; i++)
		while (sets[i]) {
			struct model_set *next = sets[i]->ended;

			free(sets[i]);
			sets[i] = next;
		}
}

static void run(uint64_t operations)
{
	static const char *const path[CGROUPS] = {"/a", "/a/b", "/a/b/c"};
	struct ioasid_notifier listener = {.notify = count_alloc};

	printf("seed %" PRIu64 "\n", seed);
	state = seed;
	in_use = 0;
	memset(ids, 0, sizeof(ids));
	memset(charged, 0, sizeof(charged));
	memset(events, 0, sizeof(events));
	memset(expected, 0, sizeof(expected));
	space = space_of(BITS);
	for (unsigned i = 0; i < CGROUPS; i++) {
		CHECK_EQ(ioasid_cgroup_add(space, path[i], SIZE / (i + 1)), 0);
		cgroup[i] = ioasid_cgroup_find(space, path[i]);
	}
	CHECK_EQ(ioasid_register_notifier(space, NULL, &listener), 0);
	for (unsigned i = 0; i < SETS; i++)
		sets[i] = set_new(i + 1);
	for (uint64_t i = 0; i < operations; i++) {
		step();
		if (!(i % 8192))
			check_all();
	}
	check_all();
	CHECK_EQ(ioasid_unregister_notifier(space, &listener), 0);
	clean_up();
	ioasid_space_free(space);
}

int main(int argc, char **argv)
{
	uint64_t operations = getenv("IOMMUSE_TEST_LONG") ? 3000000 : 150000;

	if (argc > 2)
		operations = strtoull(argv[2], NULL, 0);
	if (argc > 1) {
		seed = strtoull(argv[1], NULL, 0);
		run(operations);
		return check_result();
	}
	for (seed = 1; seed <= 4; seed++)
		run(operations);
	return check_result();
}

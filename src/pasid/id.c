/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/allocator.h"
#include "pasid/space.h"

#include <errno.h>
#include <stdlib.h>

/* The chunk of a PASID, made where it is not there. NULL: no memory. */
static struct chunk *chunk_of(struct ioasid_space *space, uint32_t id)
{
	struct chunk **chunk = &space->chunk[id / CHUNK_IDS];

	if (!*chunk) {
		*chunk = space->spare ? space->spare : calloc(1, sizeof(**chunk));
		space->spare = NULL;
	}
	return *chunk;
}

/* A PASID was freed: its chunk goes if it was the last. */
static void trim(struct ioasid_space *space, uint32_t id)
{
	struct chunk **chunk = &space->chunk[id / CHUNK_IDS];
	uint32_t first = id / CHUNK_IDS * CHUNK_WORDS;

	for (uint32_t i = first; i < first + CHUNK_WORDS && i < space->taken.words[0]; i++)
		if (space->taken.word[0][i])
			return;
	if (space->spare)
		free(*chunk);
	else
		space->spare = *chunk;
	*chunk = NULL;
}

static int may_allocate(struct ioasid_set *set, struct ioasid_cgroup *cgroup)
{
	const struct ioasid_space *space = set->space;

	if (set->ended)
		return -EINVAL;
	if (set->quota != UINT64_MAX && ioasid_set_count(set) >= set->quota) {
		set->refused++;
		return -EAGAIN;
	}
	if (cgroup && ioasid_cgroup_full(cgroup))
		return -EAGAIN;
	return set->current >= set->reserved && space->claimed >= space->capacity ? -ENOSPC : 0;
}

/* Which number it is to be. */
static int choose(struct ioasid_space *space, uint32_t min, uint32_t max, uint32_t *id)
{
	const struct ioasid_allocator *from = space->allocators;

	if (!min)
		min = 1;
	if (max >= space->size)
		max = space->size - 1;
	if (min > max)
		return -ENOSPC;
	if (!from)
		return id_map_find(&space->taken, min, id) && *id <= max ? 0 : -ENOSPC;
	*id = from->alloc(min, max, from->opaque);
	if (*id == IOASID_INVALID)
		return -ENOSPC;
	if (*id < min || *id > max)
		from->free(*id, from->opaque);
	else if (!id_map_taken(&space->taken, *id))
		return 0;
	return -ENOSPC;
}

static void give_back(struct ioasid_space *space, uint32_t id)
{
	if (space->allocators)
		space->allocators->free(id, space->allocators->opaque);
}

static void take(struct ioasid_set *set, struct ioasid_cgroup *cgroup, void *data, uint32_t id, struct chunk *chunk)
{
	struct ioasid_space *space = set->space;
	struct ioasid *record = &chunk->id[id % CHUNK_IDS];

	id_map_take(&space->taken, id);
	ioasid_set_add(set, id);
	if (set->current++ >= set->reserved)
		space->claimed++;
	if (set->process)
		set->process->current++;
	space->in_use++;
	*record = (struct ioasid){.set = set, .references = 1, .more = cgroup || data};
	if (record->more)
		chunk->more[id % CHUNK_IDS] = (struct ioasid_more){.cgroup = cgroup, .data = data};
	if (cgroup)
		ioasid_cgroup_charge(cgroup);
	ioasid_publish(space, record, id, IOASID_EVENT_ALLOC);
}

static int alloc_locked(struct ioasid_set *set, uint32_t min, uint32_t max, struct ioasid_cgroup *cgroup, void *data,
			uint32_t *id)
{
	struct ioasid_space *space = set->space;
	struct chunk *chunk;
	int rc = may_allocate(set, cgroup);

	if (!rc)
		rc = choose(space, min, max, id);
	if (rc)
		return rc;
	chunk = ioasid_set_room(set, *id) ? NULL : chunk_of(space, *id);
	if (!chunk) {
		give_back(space, *id);
		return -ENOMEM;
	}
	take(set, cgroup, data, *id, chunk);
	return 0;
}

int ioasid_alloc(struct ioasid_set *set, uint32_t min, uint32_t max, struct ioasid_cgroup *cgroup, void *data,
		 uint32_t *id)
{
	int rc;

	if (max < min)
		return -EINVAL;
	pthread_mutex_lock(&set->space->lock);
	rc = alloc_locked(set, min, max, cgroup, data, id);
	pthread_mutex_unlock(&set->space->lock);
	return rc;
}

/* Nobody refers to it any more. */
static void reclaim(struct ioasid_space *space, struct ioasid *record, uint32_t id)
{
	struct ioasid_set *set = record->set;

	if (record->guest) {
		ioasid_publish(space, record, id, IOASID_EVENT_UNBIND);
		ioasid_forget_spid(space, record, id);
	}
	if (record->more)
		ioasid_cgroup_uncharge(ioasid_more(record, id)->cgroup);
	give_back(space, id);
	if (--set->current >= set->reserved)
		space->claimed--;
	if (set->process)
		set->process->current--;
	space->in_use--;
	record->set = NULL;
	id_map_release(&space->taken, id);
	trim(space, id);
	ioasid_set_release(set);
}

bool ioasid_drop(struct ioasid_space *space, struct ioasid *record, uint32_t id)
{
	if (--record->references)
		return false;
	space->pending--;
	reclaim(space, record, id);
	return true;
}

void ioasid_free_record(struct ioasid_space *space, struct ioasid *record, uint32_t id)
{
	record->pending = 1;
	space->pending++;
	ioasid_set_remove(record->set, id);
	if (record->references > 1)
		ioasid_publish(space, record, id, IOASID_EVENT_FREE);
	ioasid_drop(space, record, id);
}

int ioasid_free(struct ioasid_set *set, uint32_t id)
{
	struct ioasid_space *space = set->space;
	struct ioasid *record;
	int rc = 0;

	if (!id)
		return -EINVAL;
	pthread_mutex_lock(&space->lock);
	record = ioasid_record(space, id);
	if (!record)
		rc = -ENOENT;
	else if (!ioasid_owned(record, set))
		rc = -EACCES;
	else if (!record->pending)
		ioasid_free_record(space, record, id);
	pthread_mutex_unlock(&space->lock);
	return rc;
}

int ioasid_get_locked(struct ioasid_space *space, struct ioasid_set *set, uint32_t id)
{
	struct ioasid *record = ioasid_record(space, id);

	if (!record)
		return -ENOENT;
	if (record->pending)
		return -EBUSY;
	if (set && record->set != set)
		return -EACCES;
	record->references++;
	return 0;
}

int ioasid_get(struct ioasid_space *space, struct ioasid_set *set, uint32_t id)
{
	int rc;

	pthread_mutex_lock(&space->lock);
	rc = ioasid_get_locked(space, set, id);
	pthread_mutex_unlock(&space->lock);
	return rc;
}

/* The owner's reference and those of devices are not dropped by this. */
bool ioasid_put_locked(struct ioasid_space *space, uint32_t id)
{
	struct ioasid *record = ioasid_record(space, id);
	uint32_t others;

	if (!record)
		return false;
	others = record->bound + (record->pending ? 0U : 1U);
	return record->references > others && ioasid_drop(space, record, id);
}

bool ioasid_put(struct ioasid_space *space, uint32_t id)
{
	bool last;

	pthread_mutex_lock(&space->lock);
	last = ioasid_put_locked(space, id);
	pthread_mutex_unlock(&space->lock);
	return last;
}

int ioasid_bind(struct ioasid_space *space, uint64_t token, uint32_t id, bool *held)
{
	struct ioasid *record;
	int rc = 0;

	*held = false;
	pthread_mutex_lock(&space->lock);
	record = ioasid_record(space, id);
	if (record && record->set->token != token) {
		rc = -EACCES;
	} else if (record && record->pending) {
		rc = -EBUSY;
	} else if (record) {
		*held = true;
		record->references++;
		if (!record->bound++ && !record->guest)
			ioasid_publish(space, record, id, IOASID_EVENT_BIND);
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

void ioasid_unbind(struct ioasid_space *space, uint32_t id)
{
	struct ioasid *record;

	pthread_mutex_lock(&space->lock);
	record = ioasid_record(space, id);
	if (record && record->bound) {
		if (!--record->bound && !record->guest)
			ioasid_publish(space, record, id, IOASID_EVENT_UNBIND);
		ioasid_drop(space, record, id);
	}
	pthread_mutex_unlock(&space->lock);
}

enum ioasid_state ioasid_state(struct ioasid_space *space, uint32_t id)
{
	enum ioasid_state state = IOASID_FREE;
	const struct ioasid *record;

	pthread_mutex_lock(&space->lock);
	record = ioasid_record(space, id);
	if (record && record->pending)
		state = IOASID_FREE_PENDING;
	else if (record)
		state = record->bound || record->guest ? IOASID_ACTIVE : IOASID_IDLE;
	pthread_mutex_unlock(&space->lock);
	return state;
}

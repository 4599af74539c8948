/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/spid.h"

#include "pasid/space.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_FIRST 64U /* a power of two */

/* Guests' numbers of all sets are in one hash table. */
struct spid {
	struct spid *next;
	const struct ioasid_set *set;
	uint32_t spid, id;
};

uint32_t ioasid_spid_of(struct ioasid *record, uint32_t id)
{
	const struct spid *spid = record->guest ? ioasid_more(record, id)->spid : NULL;

	return spid ? spid->spid : IOASID_INVALID;
}

static struct spid **slot_of(const struct ioasid_space *space, const struct ioasid_set *set, uint32_t spid)
{
	uint64_t hash = ((uint64_t)(uintptr_t)set ^ (uint64_t)spid << 32 ^ spid) * UINT64_C(0x9e3779b97f4a7c15);

	return &space->spids[hash >> 32 & (space->spid_slots - 1)];
}

static struct spid *find_spid(const struct ioasid_space *space, const struct ioasid_set *set, uint32_t spid)
{
	struct spid *at = space->spids ? *slot_of(space, set, spid) : NULL;

	while (at && (at->set != set || at->spid != spid))
		at = at->next;
	return at;
}

static void insert(struct ioasid_space *space, struct spid *spid)
{
	struct spid **slot = slot_of(space, spid->set, spid->spid);

	spid->next = *slot;
	*slot = spid;
}

/* Room for one more. A table that cannot grow stays as it is. Returns 0 or -ENOMEM. */
static int grow(struct ioasid_space *space)
{
	struct spid **old = space->spids, **new;
	uint32_t slots = space->spid_slots;

	if (old && space->spid_count < slots)
		return 0;
	new = calloc(old ? slots * 2 : SLOTS_FIRST, sizeof(struct spid *));
	if (!new)
		return old ? 0 : -ENOMEM;
	space->spids = new;
	space->spid_slots = old ? slots * 2 : SLOTS_FIRST;
	for (uint32_t i = 0; old && i < slots; i++)
		while (old[i]) {
			struct spid *spid = old[i];

			old[i] = spid->next;
			insert(space, spid);
		}
	free(old);
	return 0;
}

void ioasid_forget_spid(struct ioasid_space *space, struct ioasid *record, uint32_t id)
{
	struct spid *spid = ioasid_more(record, id)->spid;
	struct spid **at = slot_of(space, spid->set, spid->spid);

	while (*at != spid)
		at = &(*at)->next;
	*at = spid->next;
	record->guest = 0;
	free(spid);
	if (!--space->spid_count) {
		free(space->spids);
		space->spids = NULL;
		space->spid_slots = 0;
	}
}

static int attach_locked(struct ioasid_set *set, uint32_t id, struct spid *new)
{
	struct ioasid_space *space = set->space;
	struct ioasid *record;
	int rc = ioasid_find_record(space, set, id, &record);

	if (!rc && record->pending)
		rc = -EBUSY;
	if (!rc && find_spid(space, set, new->spid))
		rc = -EINVAL;
	if (!rc)
		rc = grow(space);
	if (rc)
		return rc;
	space->spid_count++;
	if (record->guest || record->bound)
		ioasid_publish(space, record, id, IOASID_EVENT_UNBIND);
	if (record->guest)
		ioasid_forget_spid(space, record, id);
	insert(space, new);
	ioasid_more(record, id)->spid = new;
	record->guest = 1;
	ioasid_publish(space, record, id, IOASID_EVENT_BIND);
	return 0;
}

int ioasid_attach_spid(struct ioasid_set *set, uint32_t id, uint32_t spid)
{
	struct spid *new;
	int rc;

	if (spid == IOASID_INVALID)
		return -EINVAL;
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct spid){.set = set, .spid = spid, .id = id};
	pthread_mutex_lock(&set->space->lock);
	rc = attach_locked(set, id, new);
	pthread_mutex_unlock(&set->space->lock);
	if (rc)
		free(new);
	return rc;
}

int ioasid_detach_spid(struct ioasid_set *set, uint32_t id)
{
	struct ioasid_space *space = set->space;
	struct ioasid *record;
	int rc;

	pthread_mutex_lock(&space->lock);
	rc = ioasid_find_record(space, set, id, &record);
	if (!rc && !record->guest)
		rc = -ENOENT;
	if (!rc) {
		record->references++;
		ioasid_publish(space, record, id, IOASID_EVENT_UNBIND);
		ioasid_forget_spid(space, record, id);
		if (record->bound)
			ioasid_publish(space, record, id, IOASID_EVENT_BIND);
		ioasid_drop(space, record, id);
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

uint32_t ioasid_find_by_spid(struct ioasid_set *set, uint32_t spid, bool get)
{
	uint32_t id = IOASID_INVALID;
	const struct spid *found;

	pthread_mutex_lock(&set->space->lock);
	found = find_spid(set->space, set, spid);
	if (found) {
		struct ioasid *record = ioasid_record(set->space, found->id);

		if (!record->pending) {
			id = found->id;
			record->references += get ? 1 : 0;
		}
	}
	pthread_mutex_unlock(&set->space->lock);
	return id;
}

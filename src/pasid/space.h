/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of this folder share: a space, its sets and its PASIDs.
 *
 * A PASID's record is in a chunk, which exists while one of its PASIDs is not free; one chunk that nobody needs is kept
 * for the next. A reference is the owner's until the PASID is freed, a device's that is bound, or that of ioasid_get().
 * A set stays while it has references or a PASID of it is not free.
 *
 * Functions of this header are called with the space's lock held.
 */
#ifndef IOMMUSE_PASID_SPACE_H
#define IOMMUSE_PASID_SPACE_H

#include "pasid/id_map.h"
#include "pasid/ioasid.h"
#include "pasid/notify.h"
#include "pasid/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

struct ioasid_allocator;
struct spid;

#define CHUNK_IDS     256U
#define CHUNK_WORDS   (CHUNK_IDS / 64)
#define SET_PAGE_IDS  4096U
#define SET_PAGE_SIZE (SET_PAGE_IDS / 64)
#define SET_SLOTS     256U

/* What is needed each time; so little that the records of many stay in the processor's caches. */
struct ioasid {
	struct ioasid_set *set; /* NULL: it is free */
	uint32_t references;
	uint32_t bound : 29;  /* devices */
	uint32_t pending : 1; /* it was freed */
	uint32_t guest : 1;   /* it has a guest's number */
	uint32_t more : 1;    /* it has a valid struct ioasid_more; else that would be all zero */
};

struct ioasid_more {
	struct ioasid_cgroup *cgroup; /* who was charged; NULL: nobody */
	struct spid *spid;            /* valid where there is one (guest) */
	void *data;
};

struct chunk {
	struct ioasid id[CHUNK_IDS];
	struct ioasid_more more[CHUNK_IDS];
};

/* Which PASIDs a set has that were not freed, 4096 in one. */
struct set_page {
	uint64_t word[SET_PAGE_SIZE];
};

/* What the sets of one process have together; it exists while they do. */
struct ioasid_process {
	struct ioasid_process *next, **link;
	uint64_t serial;
	uint32_t sets;
	uint64_t current; /* PASIDs that are not free */
};

struct ioasid_set {
	struct ioasid_space *space;
	struct ioasid_set *next, **link;
	uint64_t token;                 /* 0: none */
	struct ioasid_process *process; /* NULL: without a token */
	bool ended;
	uint32_t references;
	uint64_t current, quota, refused; /* current: PASIDs that are not free */
	uint64_t reserved;
	struct ioasid_notifier *notifiers;
	struct set_page *page[];
};

struct ioasid_space {
	pthread_mutex_t lock;
	uint32_t size; /* PASIDs are below it */
	struct id_map taken;
	struct chunk **chunk;
	struct chunk *spare;
	struct ioasid_set *sets[SET_SLOTS];          /* by token */
	struct ioasid_process *processes[SET_SLOTS]; /* by serial */
	uint32_t in_use, pending;
	/* claimed: what sets have or have reserved, whichever is more, and what else is reserved (reserved) */
	uint64_t capacity, claimed, reserved;
	bool installed;      /* the capacity is not the default */
	struct spid **spids; /* a hash table; NULL: there never was one */
	uint32_t spid_slots, spid_count;
	struct ioasid_notifier *notifiers;   /* of all sets, and of address spaces */
	struct ioasid_allocator *allocators; /* the first gives out PASIDs; NULL: the space itself does */
	struct ioasid_cgroup *cgroups;
	struct work_queue queue;
};

/* NULL: it is free. */
static inline struct ioasid *ioasid_record(const struct ioasid_space *space, uint32_t id)
{
	struct chunk *chunk = id < space->size ? space->chunk[id / CHUNK_IDS] : NULL;

	return chunk && chunk->id[id % CHUNK_IDS].set ? &chunk->id[id % CHUNK_IDS] : NULL;
}

/* What else there is of it, made valid. */
static inline struct ioasid_more *ioasid_more(struct ioasid *record, uint32_t id)
{
	struct chunk *chunk = (struct chunk *)(record - id % CHUNK_IDS);
	struct ioasid_more *more = &chunk->more[id % CHUNK_IDS];

	if (!record->more)
		*more = (struct ioasid_more){.cgroup = NULL};
	record->more = 1;
	return more;
}

/* The record of a PASID of a set (NULL: any). Returns 0; -ENOENT: it is free; -EACCES: another set's. */
static inline int ioasid_find_record(const struct ioasid_space *space, const struct ioasid_set *set, uint32_t id,
				     struct ioasid **record)
{
	*record = ioasid_record(space, id);
	if (!*record)
		return -ENOENT;
	return set && (*record)->set != set ? -EACCES : 0;
}

/* Is it this set's, or that of one before it with the same token? */
static inline bool ioasid_owned(const struct ioasid *record, const struct ioasid_set *set)
{
	return record->set == set || (set->token && record->set->token == set->token);
}

/* What its owner does; it was not freed before. */
void ioasid_free_record(struct ioasid_space *space, struct ioasid *record, uint32_t id);

/* One reference less. Returns whether it is free now. */
bool ioasid_drop(struct ioasid_space *space, struct ioasid *record, uint32_t id);

/* Makes room for what a set knows of a PASID. Returns 0 or -ENOMEM. */
int ioasid_set_room(struct ioasid_set *set, uint32_t id);

static inline void ioasid_set_add(struct ioasid_set *set, uint32_t id)
{
	set->page[id / SET_PAGE_IDS]->word[id % SET_PAGE_IDS / 64] |= UINT64_C(1) << id % 64;
}

static inline void ioasid_set_remove(struct ioasid_set *set, uint32_t id)
{
	set->page[id / SET_PAGE_IDS]->word[id % SET_PAGE_IDS / 64] &= ~(UINT64_C(1) << id % 64);
}

/* What counts against its quota. */
static inline uint64_t ioasid_set_count(const struct ioasid_set *set)
{
	return set->process ? set->process->current : set->current;
}

/* Nobody needs it any more: it may go. */
void ioasid_set_release(struct ioasid_set *set);

/* Tells whoever listens. */
void ioasid_publish_slow(struct ioasid_space *space, struct ioasid *record, uint32_t id, enum ioasid_event event);

static inline void ioasid_publish(struct ioasid_space *space, struct ioasid *record, uint32_t id,
				  enum ioasid_event event)
{
	if (__builtin_expect(space->notifiers || record->set->notifiers, 0))
		ioasid_publish_slow(space, record, id, event);
}

/* A guest's number of it, or IOASID_INVALID. To forget it says nothing of it to listeners. */
uint32_t ioasid_spid_of(struct ioasid *record, uint32_t id);
void ioasid_forget_spid(struct ioasid_space *space, struct ioasid *record, uint32_t id);

/* May it, or one above it, have no more? Then that counts as refused. */
bool ioasid_cgroup_full(struct ioasid_cgroup *cgroup);
void ioasid_cgroup_charge(struct ioasid_cgroup *cgroup);
void ioasid_cgroup_uncharge(struct ioasid_cgroup *cgroup);
void ioasid_cgroups_free(struct ioasid_space *space);

#endif

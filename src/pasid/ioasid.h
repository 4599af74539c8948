/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PASIDs of a system. Each belongs to a set: that of a process (by /dev/ioasid), or one of our own (bonds of
 * address spaces). PASID 0 is never given out, and the lowest that is free is given out first.
 *
 * A PASID is idle when it is allocated, active while somebody (a device) is bound to it, and free pending from the
 * moment it was freed until nobody holds a reference any more; then it is free. To free always succeeds for its owner.
 * Its set stays until it is free, whoever gave the set up meanwhile.
 *
 * One lock guards all of a space: a leaf, but for the queue's (notify.h). Listeners and custom allocators are called
 * with it held, so they do not wait and take no locks but leaves.
 *
 * More of it: notify.h (listeners), spid.h (guests' numbers), capacity.h, allocator.h (numbers from elsewhere),
 * cgroup.h.
 */
#ifndef IOMMUSE_PASID_IOASID_H
#define IOMMUSE_PASID_IOASID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOASID_BITS_DEFAULT 20U
#define IOASID_BITS_MAX     20U /* as PCI has it */
#define IOASID_INVALID      UINT32_MAX

/* What is told of a quota: of a set or of a cgroup. current may be more than max, where that was made less. */
struct ioasid_count {
	uint64_t current; /* PASIDs that are not free: those that are free pending too; of all sets of a process */
	uint64_t max;     /* UINT64_MAX: any number */
	uint64_t refused; /* how often it was what refused one more */
};

struct ioasid_cgroup;
struct ioasid_set;
struct ioasid_space;

/* Returns 0, -EINVAL: bits is 0 or more than IOASID_BITS_MAX, or -ENOMEM. All sets must have been put before it is
 * freed. */
int ioasid_space_new(unsigned bits, struct ioasid_space **space);
void ioasid_space_free(struct ioasid_space *space);

/* Sets. */

enum ioasid_set_type {
	IOASID_SET_NULL, /* without a token */
	IOASID_SET_MM,   /* of an address space: its serial, which is never used again */
};

/*
 * Makes a set, with its creator's reference. process: a number of the process, which may have one address space after
 * the other; each token is of one process. quota: how many PASIDs the set may have, with those of the process's others
 * and those that are still in use of sets it had before; UINT64_MAX: any number. Returns 0; -EINVAL: no such type, a
 * token or a process with IOASID_SET_NULL or none with IOASID_SET_MM, quota 0; -EEXIST: the token has one that was not
 * given up; -ENOMEM.
 */
int ioasid_set_new(struct ioasid_space *space, uint64_t token, uint64_t process, uint64_t quota,
		   enum ioasid_set_type type, struct ioasid_set **set);

/* Its owner gives it up: frees all that it has, and drops the creator's reference. From now on the token may have
 * another set. */
void ioasid_set_end(struct ioasid_set *set);

/* One more reference to a set that the caller uses; one less. */
void ioasid_set_get(struct ioasid_set *set);
void ioasid_set_put(struct ioasid_set *set);

/* The set of a token that was not given up, with a reference; NULL: none. */
struct ioasid_set *ioasid_set_of_token(struct ioasid_space *space, uint64_t token);

/* Finds the lowest of its PASIDs, of those that were not freed, that is not below *id. Returns false where there is
 * none. */
bool ioasid_set_next(struct ioasid_set *set, uint32_t *id);

/* Another quota, possibly less than it has now. */
void ioasid_set_limit(struct ioasid_set *set, uint64_t quota);

void ioasid_set_usage(struct ioasid_set *set, struct ioasid_count *count);

/* PASIDs. Each takes the lock. */

enum ioasid_state {
	IOASID_FREE,
	IOASID_IDLE,
	IOASID_ACTIVE, /* a device, or a guest's number, is bound to it */
	IOASID_FREE_PENDING,
};

enum ioasid_state ioasid_state(struct ioasid_space *space, uint32_t id);

/*
 * Returns 0 and the lowest in [min, max]; -EINVAL: max < min, or the set was given up; -ENOSPC: none is free; -EAGAIN:
 * the set, or the cgroup or one above it, has as many as it may have; -ENOMEM. cgroup: who is charged, until the PASID
 * is free again; may be NULL.
 */
int ioasid_alloc(struct ioasid_set *set, uint32_t min, uint32_t max, struct ioasid_cgroup *cgroup, void *data,
		 uint32_t *id);

/* Returns 0, also where it was freed already and is still in use; -EINVAL: 0; -ENOENT: not allocated; -EACCES: another
 * set's. */
int ioasid_free(struct ioasid_set *set, uint32_t id);

/* References keep a PASID from being given out again. -ENOENT: not allocated; -EBUSY: free pending; -EACCES: another
 * set's (NULL: any will do). put returns whether it is free now. */
int ioasid_get(struct ioasid_space *space, struct ioasid_set *set, uint32_t id);
bool ioasid_put(struct ioasid_space *space, uint32_t id);

/* The set of a PASID, with a reference. Returns 0 or -ENOENT: not allocated. */
int ioasid_find_set(struct ioasid_space *space, uint32_t id, struct ioasid_set **set);

/*
 * The data of a PASID; -ENOENT: not allocated; -EACCES: another set's (NULL: any will do). getter takes a reference to
 * the data, with the lock held; where it returns false, and where there is no data, *data is NULL. It may be NULL.
 */
int ioasid_find(struct ioasid_space *space, struct ioasid_set *set, uint32_t id, bool (*getter)(void *data),
		void **data);

/* -ENOENT: not allocated; -EACCES: another set's; -EBUSY: it has data, or is free pending. */
int ioasid_attach_data(struct ioasid_set *set, uint32_t id, void *data);

/* No getter sees the data any more when it returns. -ENOENT: not allocated, or no data; -EACCES: another set's. data
 * (may be NULL): what it was. */
int ioasid_detach_data(struct ioasid_set *set, uint32_t id, void **data);

/*
 * A device is bound to a PASID, which is active from the first to the last. It holds a reference. token: of the mm that
 * asks. Returns 0, and whether the PASID is anybody's: one that is nobody's is not held; -EACCES: it belongs to another
 * set than the token's; -EBUSY: free pending.
 */
int ioasid_bind(struct ioasid_space *space, uint64_t token, uint32_t id, bool *held);
void ioasid_unbind(struct ioasid_space *space, uint32_t id);

#endif

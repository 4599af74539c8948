/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PASID of an address space: allocated when its first bond is made, given back when the last one has gone and no
 * device thread is at work with it.
 *
 * One lock guards these and all bonds of a system. It is below vfio_group.lock and vfio_device.lock and above the locks
 * of devices, the space of PASIDs and mm.watch_lock; whoever holds it does not wait for clients or for device threads.
 */
#ifndef IOMMUSE_VFIO_MM_PASID_H
#define IOMMUSE_VFIO_MM_PASID_H

#include "client/mm.h"

#include <semaphore.h>

struct bonds;
struct ioasid_set;
struct mm_pasids;

struct mm_pasid {
	struct mm_watch watch;
	struct mm_pasids *all;
	struct mm_pasid *next;
	struct mm *mm; /* with a reference */
	uint32_t pasid;
	unsigned refs;
	uint64_t number; /* of those that were ever made; higher ones are first in the list */
};

struct mm_pasids {
	struct ioasid_set *set;
	pthread_mutex_t lock;
	struct mm_pasid *first;
	uint64_t made;           /* how many ever */
	struct mm_pasid *unused; /* what mm_pasids_unlock() is to free */
	struct bonds *bonds;     /* of all containers */

	/* A thread ends the bonds of address spaces that are gone. It is there from the first PASID on. */
	pthread_t thread;
	bool running;
	_Atomic bool stopping;
	sem_t wake;
};

void mm_pasids_lock(struct mm_pasids *all);
void mm_pasids_unlock(struct mm_pasids *all);

/*
 * The address space which has the PASID of the memory that a client's is, itself or another one (CLONE_VM), with a
 * reference; NULL: none of those that were made after number *made, which becomes that of the last. Without the lock,
 * as processes can make it last to compare them.
 */
struct mm *mm_pasids_look(struct mm_pasids *all, struct mm *mm, uint64_t *made);

/* All that follows with the lock held. */

/* The one that was made for this address space; NULL: none. */
struct mm_pasid *mm_pasid_find(const struct mm_pasids *all, const struct mm *mm);

/* The same with a reference, made where there is none: the lowest free that is less than limit. Returns 0; -EOVERFLOW:
 * its PASID is not; -ENOSPC; -ESRCH: the address space is gone; -ENOMEM. */
int mm_pasid_get(struct mm_pasids *all, struct mm *mm, uint32_t limit, struct mm_pasid **out);
void mm_pasid_put(struct mm_pasid *pasid);

/* bond.c: ends the bonds of address spaces that are gone, as far as that needs no waiting. Returns whether something is
 * left to be done. */
bool bonds_purge(struct mm_pasids *all);

#endif

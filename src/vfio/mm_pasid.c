/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio/mm_pasid.h"

#include "base/thread.h"
#include "pasid/ioasid.h"
#include "vfio/bond.h"

#include <stdlib.h>
#include <time.h>

#define NAP_NS 500000 /* between looks whether device threads have let go */

#define OTHERS 32U /* that are taken at once to be compared */

struct mm_pasid_other {
	struct mm *mm;
	uint64_t number;
};

int mm_pasids_new(struct ioasid_space *ioasids, struct mm_pasids **pasids)
{
	struct mm_pasids *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	if (ioasid_set_new(ioasids, 0, 0, UINT64_MAX, IOASID_SET_NULL, &all->set)) {
		free(all);
		return -ENOMEM;
	}
	pthread_mutex_init(&all->lock, NULL);
	sem_init(&all->wake, 0, 0);
	*pasids = all;
	return 0;
}

void mm_pasids_free(struct mm_pasids *all)
{
	if (!all)
		return;
	if (all->running) {
		atomic_store(&all->stopping, true);
		sem_post(&all->wake);
		pthread_join(all->thread, NULL);
	}
	ioasid_set_end(all->set);
	sem_destroy(&all->wake);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

void mm_pasids_lock(struct mm_pasids *all)
{
	pthread_mutex_lock(&all->lock);
}

/* To let go of an address space may close files of it, so it is done without the lock. */
void mm_pasids_unlock(struct mm_pasids *all)
{
	struct mm_pasid *unused = all->unused;

	all->unused = NULL;
	pthread_mutex_unlock(&all->lock);
	while (unused) {
		struct mm_pasid *next = unused->next;

		mm_unwatch(unused->mm, &unused->watch);
		mm_put(unused->mm);
		free(unused);
		unused = next;
	}
}

static void *end_bonds(void *context)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	struct mm_pasids *all = context;
	bool more = false;

	for (;;) {
		if (more)
			nanosleep(&nap, NULL);
		else
			while (sem_wait(&all->wake))
				continue;
		if (atomic_load(&all->stopping))
			return NULL;
		mm_pasids_lock(all);
		more = bonds_purge(all);
		mm_pasids_unlock(all);
	}
}

static int start_thread(struct mm_pasids *all)
{
	if (all->running)
		return 0;
	if (thread_start(&all->thread, "iommuse-bonds", end_bonds, all))
		return -ENOMEM;
	all->running = true;
	return 0;
}

static void mm_gone(struct mm_watch *watch)
{
	sem_post(&((struct mm_pasid *)watch)->all->wake);
}

struct mm_pasid *mm_pasid_find(const struct mm_pasids *all, const struct mm *mm)
{
	struct mm_pasid *pasid = all->first;

	while (pasid && pasid->mm != mm)
		pasid = pasid->next;
	return pasid;
}

/* Those that were made after one and before another, the last first, with references. With the lock held. */
static size_t take_others(const struct mm_pasids *all, uint64_t after, uint64_t before, struct mm_pasid_other *others)
{
	size_t n = 0;

	for (const struct mm_pasid *pasid = all->first; pasid && pasid->number > after && n < OTHERS;
	     pasid = pasid->next)
		if (pasid->number < before && !mm_is_gone(pasid->mm))
			others[n++] = (struct mm_pasid_other){mm_get(pasid->mm), pasid->number};
	return n;
}

/* Most are asked for by the address space that is known. */
struct mm *mm_pasids_look(struct mm_pasids *all, struct mm *mm, uint64_t *made)
{
	struct mm_pasid_other others[OTHERS];
	const uint64_t after = *made;
	uint64_t before = UINT64_MAX;
	struct mm *known = NULL;
	bool found = false;
	size_t n;

	do {
		mm_pasids_lock(all);
		if (before == UINT64_MAX) {
			*made = all->made;
			found = mm_pasid_find(all, mm);
			known = found ? mm_get(mm) : NULL;
		}
		n = found ? 0 : take_others(all, after, before, others);
		mm_pasids_unlock(all);
		for (size_t i = 0; i < n; i++) {
			before = others[i].number;
			if (!found && mm_same(others[i].mm, mm)) {
				found = true;
				known = others[i].mm;
			} else {
				mm_put(others[i].mm);
			}
		}
	} while (n == OTHERS && !found);
	return known;
}

static int allocate(struct mm_pasids *all, struct mm *mm, uint32_t limit, struct mm_pasid **out)
{
	struct mm_pasid *pasid;
	int rc = start_thread(all);

	if (rc)
		return rc;
	pasid = calloc(1, sizeof(*pasid));
	if (!pasid)
		return -ENOMEM;
	rc = limit > 1 ? ioasid_alloc(all->set, 1, limit - 1, NULL, NULL, &pasid->pasid) : -ENOSPC;
	if (rc)
		goto out_free;
	pasid->all = all;
	pasid->refs = 1;
	pasid->watch.gone = mm_gone;
	pasid->mm = mm_get(mm);
	rc = -ESRCH;
	if (!mm_watch(mm, &pasid->watch))
		goto out_free_pasid;
	pasid->number = ++all->made;
	pasid->next = all->first;
	all->first = pasid;
	*out = pasid;
	return 0;

out_free_pasid:
	mm_put(mm); /* not the last reference: the caller's is another one */
	ioasid_free(all->set, pasid->pasid);
out_free:
	free(pasid);
	return rc;
}

int mm_pasid_get(struct mm_pasids *all, struct mm *mm, uint32_t limit, struct mm_pasid **out)
{
	struct mm_pasid *pasid = mm_pasid_find(all, mm);

	if (!pasid)
		return allocate(all, mm, limit, out);
	if (mm_is_gone(pasid->mm))
		return -ESRCH;
	if (pasid->pasid >= limit)
		return -EOVERFLOW;
	pasid->refs++;
	*out = pasid;
	return 0;
}

void mm_pasid_put(struct mm_pasid *pasid)
{
	struct mm_pasids *all = pasid->all;
	struct mm_pasid **link = &all->first;

	if (--pasid->refs)
		return;
	while (*link != pasid)
		link = &(*link)->next;
	*link = pasid->next;
	ioasid_free(all->set, pasid->pasid);
	pasid->next = all->unused;
	all->unused = pasid;
}

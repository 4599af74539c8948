/* SPDX-License-Identifier: BSD-3-Clause */
/* All PASIDs in use come from the same place: from allocators with the functions of the first, or from the space. */
#include "pasid/allocator.h"

#include "pasid/space.h"

#include <errno.h>

static bool same_numbers(const struct ioasid_allocator *a, const struct ioasid_allocator *b)
{
	return a->alloc == b->alloc && a->free == b->free;
}

static int insert(struct ioasid_space *space, struct ioasid_allocator *allocator)
{
	struct ioasid_allocator **at = &space->allocators;

	for (; *at; at = &(*at)->next)
		if (*at == allocator)
			return -EEXIST;
	if (!space->allocators && space->in_use)
		return -EAGAIN;
	allocator->next = NULL;
	*at = allocator;
	return 0;
}

int ioasid_register_allocator(struct ioasid_space *space, struct ioasid_allocator *allocator)
{
	int rc;

	if (!allocator->alloc || !allocator->free)
		return -EINVAL;
	pthread_mutex_lock(&space->lock);
	rc = insert(space, allocator);
	pthread_mutex_unlock(&space->lock);
	return rc;
}

static int remove_first(struct ioasid_space *space)
{
	struct ioasid_allocator *first = space->allocators, **at = &first->next;

	while (*at && !same_numbers(*at, first))
		at = &(*at)->next;
	if (*at) {
		struct ioasid_allocator *same = *at;

		*at = same->next;
		same->next = first->next;
		space->allocators = same;
		return 0;
	}
	if (space->in_use)
		return -EBUSY;
	space->allocators = first->next;
	return 0;
}

static int remove_allocator(struct ioasid_space *space, struct ioasid_allocator *allocator)
{
	if (space->allocators == allocator)
		return remove_first(space);
	for (struct ioasid_allocator **at = &space->allocators; *at; at = &(*at)->next)
		if (*at == allocator) {
			*at = allocator->next;
			return 0;
		}
	return -ENOENT;
}

int ioasid_unregister_allocator(struct ioasid_space *space, struct ioasid_allocator *allocator)
{
	int rc;

	pthread_mutex_lock(&space->lock);
	rc = remove_allocator(space, allocator);
	pthread_mutex_unlock(&space->lock);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/capacity.h"

#include "pasid/space.h"

#include <errno.h>

void ioasid_space_usage(struct ioasid_space *space, struct ioasid_space_usage *usage)
{
	pthread_mutex_lock(&space->lock);
	*usage = (struct ioasid_space_usage){
		.capacity = space->capacity,
		.in_use = space->in_use,
		.pending = space->pending,
		.reserved = space->reserved,
		.available = space->capacity - space->claimed,
	};
	pthread_mutex_unlock(&space->lock);
}

int ioasid_install_capacity(struct ioasid_space *space, uint64_t capacity)
{
	int rc = 0;

	if (!capacity || capacity >= space->size)
		return -EINVAL;
	pthread_mutex_lock(&space->lock);
	if (space->installed || space->claimed > capacity) {
		rc = -EBUSY;
	} else {
		space->installed = true;
		space->capacity = capacity;
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

int64_t ioasid_reserve_capacity(struct ioasid_space *space, uint64_t n)
{
	uint64_t available;
	int64_t rc = -ENOSPC;

	pthread_mutex_lock(&space->lock);
	available = space->capacity - space->claimed;
	if (!n)
		n = available;
	if (n <= available) {
		space->claimed += n;
		space->reserved += n;
		rc = (int64_t)n;
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

int64_t ioasid_cancel_capacity(struct ioasid_space *space, uint64_t n)
{
	int64_t rc = -EINVAL;

	pthread_mutex_lock(&space->lock);
	if (n <= space->reserved) {
		space->reserved -= n;
		space->claimed -= n;
		rc = (int64_t)(space->capacity - space->claimed);
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

/* What a set has or has reserved, whichever is more. */
static uint64_t claim(const struct ioasid_set *set, uint64_t reserved)
{
	return reserved > set->current ? reserved : set->current;
}

int ioasid_set_reserve(struct ioasid_set *set, uint64_t n)
{
	struct ioasid_space *space = set->space;
	uint64_t others;
	int rc = 0;

	pthread_mutex_lock(&space->lock);
	others = space->claimed - claim(set, set->reserved);
	if (n > set->quota || set->ended) {
		rc = -EINVAL;
	} else if (n > space->capacity || others + claim(set, n) > space->capacity) {
		rc = -ENOSPC;
	} else {
		space->claimed = others + claim(set, n);
		set->reserved = n;
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of PASIDs begin with. Sections are those of the interface that Linux was offered: F. */
#ifndef IOMMUSE_TESTS_IOASID_WORLD_H
#define IOMMUSE_TESTS_IOASID_WORLD_H

#include "check.h"
#include "pasid/allocator.h"
#include "pasid/capacity.h"
#include "pasid/cgroup.h"
#include "pasid/ioasid.h"
#include "pasid/notify.h"
#include "pasid/spid.h"

#include <errno.h>
#include <stdlib.h>

#define ANY_NUMBER UINT64_MAX

static inline struct ioasid_space *space_of(unsigned bits)
{
	struct ioasid_space *space = NULL;

	CHECK_EQ(ioasid_space_new(bits, &space), 0);
	return space;
}

static inline struct ioasid_set *set_of_process(struct ioasid_space *space, uint64_t token, uint64_t process,
						uint64_t quota)
{
	struct ioasid_set *set = NULL;

	CHECK_EQ(ioasid_set_new(space, token, process, quota, token ? IOASID_SET_MM : IOASID_SET_NULL, &set), 0);
	return set;
}

static inline struct ioasid_set *set_of(struct ioasid_space *space, uint64_t token, uint64_t quota)
{
	return set_of_process(space, token, token, quota);
}

/* Returns the PASID, or -errno. */
static inline int64_t alloc_in(struct ioasid_set *set, uint32_t min, uint32_t max)
{
	uint32_t id = 0;
	int rc = ioasid_alloc(set, min, max, NULL, NULL, &id);

	return rc ? rc : (int64_t)id;
}

static inline int64_t alloc(struct ioasid_set *set)
{
	return alloc_in(set, 1, INT32_MAX);
}

static inline int64_t alloc_charged(struct ioasid_set *set, struct ioasid_cgroup *cgroup)
{
	uint32_t id = 0;
	int rc = ioasid_alloc(set, 1, INT32_MAX, cgroup, NULL, &id);

	return rc ? rc : (int64_t)id;
}

/* Binds one that is somebody's. */
static inline int bind(struct ioasid_space *space, uint64_t token, uint32_t id)
{
	bool held = false;
	int rc = ioasid_bind(space, token, id, &held);

	CHECK(held == !rc);
	return rc;
}

static inline struct ioasid_space_usage usage_of(struct ioasid_space *space)
{
	struct ioasid_space_usage usage;

	ioasid_space_usage(space, &usage);
	return usage;
}

static inline struct ioasid_count count_of(struct ioasid_set *set)
{
	struct ioasid_count count;

	ioasid_set_usage(set, &count);
	return count;
}

#endif

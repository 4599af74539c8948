/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Quotas of cgroups, as the cgroup controller "ioasids" of the proposal had them: each PASID is charged to the cgroup
 * of the process that allocates it and to all above; where one of them has as many as it may have, none is charged.
 * What was charged is given back to the same cgroups, whatever became of the process.
 *
 * Only cgroups that have a quota are known. They are all added before the first PASID is allocated.
 */
#ifndef IOMMUSE_PASID_CGROUP_H
#define IOMMUSE_PASID_CGROUP_H

#include <stddef.h>
#include <stdint.h>

struct ioasid_count;
struct ioasid_space;

struct ioasid_cgroup {
	struct ioasid_cgroup *parent; /* the nearest above that has a quota; NULL: none */
	struct ioasid_cgroup *next;
	const char *path; /* "/user.slice/a", as /proc/PID/cgroup has it */
	/* Guarded by the space's lock. */
	uint64_t max;
	uint64_t current;
	uint64_t refused; /* how often it was the one that refused */
};

/* Returns 0; -EEXIST: it has a quota; -EINVAL: no absolute path; -EBUSY: PASIDs are in use; -ENOMEM. */
int ioasid_cgroup_add(struct ioasid_space *space, const char *path, uint64_t max);

/* The cgroup that a process in the cgroup of this path is charged to; NULL: none. Without a lock. */
struct ioasid_cgroup *ioasid_cgroup_find(const struct ioasid_space *space, const char *path);

/* The first of all, in the order they were added; NULL: no cgroup has a quota. */
struct ioasid_cgroup *ioasid_cgroups(const struct ioasid_space *space);

/* Another quota, possibly less than it has now. */
void ioasid_cgroup_limit(struct ioasid_space *space, struct ioasid_cgroup *cgroup, uint64_t max);

void ioasid_cgroup_usage(struct ioasid_space *space, const struct ioasid_cgroup *cgroup, struct ioasid_count *count);

#endif

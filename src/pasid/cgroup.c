/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/cgroup.h"

#include "pasid/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The length of a path without slashes at its end; that of the root is 0. */
static size_t length_of(const char *path)
{
	size_t n = strlen(path);

	while (n && path[n - 1] == '/')
		n--;
	return n;
}

/* Is the cgroup of this path the one of that path, or below it? */
static bool below(const char *path, const char *above)
{
	size_t n = length_of(above);

	return length_of(path) >= n && !strncmp(path, above, n) && (!path[n] || path[n] == '/');
}

static bool same(const char *a, const char *b)
{
	return length_of(a) == length_of(b) && below(a, b);
}

struct ioasid_cgroup *ioasid_cgroup_find(const struct ioasid_space *space, const char *path)
{
	struct ioasid_cgroup *nearest = NULL;

	for (struct ioasid_cgroup *cgroup = space->cgroups; cgroup; cgroup = cgroup->next)
		if (below(path, cgroup->path) && (!nearest || below(cgroup->path, nearest->path)))
			nearest = cgroup;
	return nearest;
}

struct ioasid_cgroup *ioasid_cgroups(const struct ioasid_space *space)
{
	return space->cgroups;
}

/* One that is new comes between those below it and those above it. */
static int insert(struct ioasid_space *space, struct ioasid_cgroup *new)
{
	struct ioasid_cgroup **last = &space->cgroups;

	new->parent = ioasid_cgroup_find(space, new->path);
	if (new->parent && same(new->parent->path, new->path))
		return -EEXIST;
	if (space->in_use)
		return -EBUSY;
	for (; *last; last = &(*last)->next)
		if ((*last)->parent == new->parent && below((*last)->path, new->path))
			(*last)->parent = new;
	*last = new;
	return 0;
}

int ioasid_cgroup_add(struct ioasid_space *space, const char *path, uint64_t max)
{
	struct ioasid_cgroup *new;
	char *copy;
	size_t n;
	int rc;

	if (path[0] != '/' || strstr(path, "//"))
		return -EINVAL;
	n = length_of(path) ? length_of(path) : 1;
	new = calloc(1, sizeof(*new));
	copy = strndup(path, n);
	if (!new || !copy) {
		rc = -ENOMEM;
		goto out_free;
	}
	new->path = copy;
	new->max = max;
	pthread_mutex_lock(&space->lock);
	rc = insert(space, new);
	pthread_mutex_unlock(&space->lock);
	if (!rc)
		return 0;

out_free:
	free(copy);
	free(new);
	return rc;
}

void ioasid_cgroups_free(struct ioasid_space *space)
{
	while (space->cgroups) {
		struct ioasid_cgroup *cgroup = space->cgroups;

		space->cgroups = cgroup->next;
		free((char *)cgroup->path);
		free(cgroup);
	}
}

void ioasid_cgroup_limit(struct ioasid_space *space, struct ioasid_cgroup *cgroup, uint64_t max)
{
	pthread_mutex_lock(&space->lock);
	cgroup->max = max;
	pthread_mutex_unlock(&space->lock);
}

void ioasid_cgroup_usage(struct ioasid_space *space, const struct ioasid_cgroup *cgroup, struct ioasid_count *count)
{
	pthread_mutex_lock(&space->lock);
	*count = (struct ioasid_count){cgroup->current, cgroup->max, cgroup->refused};
	pthread_mutex_unlock(&space->lock);
}

bool ioasid_cgroup_full(struct ioasid_cgroup *cgroup)
{
	for (; cgroup; cgroup = cgroup->parent)
		if (cgroup->current >= cgroup->max) {
			cgroup->refused++;
			return true;
		}
	return false;
}

void ioasid_cgroup_charge(struct ioasid_cgroup *cgroup)
{
	for (; cgroup; cgroup = cgroup->parent)
		cgroup->current++;
}

void ioasid_cgroup_uncharge(struct ioasid_cgroup *cgroup)
{
	for (; cgroup; cgroup = cgroup->parent)
		cgroup->current--;
}

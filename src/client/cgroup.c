/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* What counts more comes later. */
enum hierarchy {
	HIERARCHY_NONE,
	HIERARCHY_UNIFIED_ROOT, /* where it is mounted and not used, all processes are there */
	HIERARCHY_CONTROLLER,
	HIERARCHY_SYSTEMD,
	HIERARCHY_UNIFIED,
};

/* A line is "ID:CONTROLLERS:PATH"; the unified hierarchy's begins with "0::". */
static enum hierarchy hierarchy_of(char *line, const char **path)
{
	char *controllers = strchr(line, ':');
	char *end = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!end || end[1] != '/')
		return HIERARCHY_NONE;
	*end = '\0';
	end[1 + strcspn(end + 1, "\n")] = '\0';
	*path = end + 1;
	if (!strcmp(line, "0:"))
		return end[2] ? HIERARCHY_UNIFIED : HIERARCHY_UNIFIED_ROOT;
	return !strcmp(controllers + 1, "name=systemd") ? HIERARCHY_SYSTEMD : HIERARCHY_CONTROLLER;
}

int cgroup_choose(FILE *list, char *path, size_t room)
{
	enum hierarchy chosen = HIERARCHY_NONE;
	size_t line_room = 0;
	char *line = NULL;
	bool fits = false;

	errno = 0;
	while (getline(&line, &line_room, list) > 0) {
		const char *here;
		enum hierarchy hierarchy = hierarchy_of(line, &here);

		if (hierarchy <= chosen)
			continue;
		chosen = hierarchy;
		fits = snprintf(path, room, "%s", here) < (int)room;
	}
	free(line);
	if (ferror(list))
		return errno ? -errno : -EIO;
	if (chosen == HIERARCHY_NONE)
		return -EINVAL;
	return fits ? 0 : -ENAMETOOLONG;
}

int cgroup_of(pid_t tid, char *path, size_t room)
{
	char name[64] = "/proc/thread-self/cgroup";
	FILE *list;
	int rc;

	if (tid)
		snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)tid);
	list = fopen(name, "re");
	if (!list)
		return -errno;
	rc = cgroup_choose(list, path, room);
	fclose(list);
	return rc;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Cgroups by the directories they have where their hierarchy is mounted. Which hierarchies count: client/cgroup.h. */
#ifndef IOMMUSE_CLI_CGROUP_MOUNT_H
#define IOMMUSE_CLI_CGROUP_MOUNT_H

#include <stddef.h>
#include <stdio.h>

/*
 * Where a path is that of a cgroup's directory, below the place where its hierarchy is mounted, it becomes the
 * cgroup's. Any other stays as it is. Returns 0; -EXDEV: such a hierarchy does not count; -ENAMETOOLONG; or -errno of
 * opening the list of mounts.
 */
int cgroup_of_directory(char *path, size_t room);

/* The same by a list of mounts. */
int cgroup_find_mount(FILE *mounts, char *path, size_t room);

#endif

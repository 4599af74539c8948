/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In which cgroup a process is. A machine may have several hierarchies (version 1), and the process a path in each; one
 * of them counts: the unified one (version 2) where the process is below its root or there is no other, else the one
 * named systemd, else the first that the process lists.
 *
 * Paths are as this process sees them: relative to the root of its own cgroup namespace, whatever the other one's is.
 */
#ifndef IOMMUSE_CLIENT_CGROUP_H
#define IOMMUSE_CLIENT_CGROUP_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* The path of a thread's; tid 0: the one that asks. Returns 0; -ENAMETOOLONG; -EINVAL: it has none; or -errno of
 * reading its list. */
int cgroup_of(pid_t tid, char *path, size_t room);

/* The same from such a list. */
int cgroup_choose(FILE *list, char *path, size_t room);

#endif

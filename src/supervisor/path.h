/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of our nodes, or what of /proc, a client's path means. */
#ifndef IOMMUSE_SUPERVISOR_PATH_H
#define IOMMUSE_SUPERVISOR_PATH_H

#include "supervisor/supervisor.h"

struct path_target {
	int error;               /* -ENOTDIR: the path goes on below a node */
	bool linked;             /* the last word was a symbolic link */
	bool config;             /* its last word is that of a device's configuration space below /sys */
	bool beneath;            /* the path as given stays below the directory that it begins in */
	const struct node *node; /* one of our nodes, or NULL */
	pid_t status;            /* or 0: the path means the status of this thread or process in /proc */
	/* Otherwise the path means a descriptor ("/proc/self/fd/3"), and this is how we look at it. */
	char descriptor[96];
};

/*
 * Reads the path at the client's address and finds what it means, seen from the directory dirfd (AT_FDCWD or a
 * descriptor of the client's) and from the client's root. Returns true where it concerns us.
 *
 * links: a symbolic link of any name is looked at. Without, one that is not named like a node is not: where programs
 * see our nodes themselves, it leads to the node's place, and the first ioctl tells.
 */
bool path_find(struct call *call, int dirfd, uaddr_t path, bool links, struct path_target *target);

/*
 * Is the path empty? False, too, where it cannot be read. A NULL path counts as empty, as with AT_EMPTY_PATH since
 * Linux 6.11.
 */
bool path_is_empty(struct call *call, uaddr_t path);

#endif

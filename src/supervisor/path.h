/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of our nodes, or which descriptor, a client's path means. */
#ifndef IOMMUSE_SUPERVISOR_PATH_H
#define IOMMUSE_SUPERVISOR_PATH_H

#include "supervisor/supervisor.h"

#include <limits.h>

struct path_target {
	const struct node *node; /* one of our nodes, or NULL */
	/* Otherwise, where set: the path means a descriptor ("/proc/self/fd/3"), and this is how we look at it. */
	char descriptor[96];
};

/*
 * Reads the path at the client's address and finds what it means, seen from the directory dirfd (AT_FDCWD or a
 * descriptor of the client's). Paths are taken word by word: of symbolic links only the last word may be one, and only
 * where programs cannot see our nodes. Returns true where it concerns us.
 */
bool path_find(struct call *call, int dirfd, uaddr_t path, struct path_target *target);

/* Is the path empty? False, too, where it cannot be read. A NULL path counts as empty, as with AT_EMPTY_PATH since
 * Linux 6.11. */
bool path_is_empty(struct call *call, uaddr_t path);

#endif

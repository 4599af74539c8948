/* SPDX-License-Identifier: BSD-3-Clause */
/* The seccomp filter: which system calls wait for the supervisor. All others run natively. */
#ifndef IOMMUSE_SUPERVISOR_FILTER_H
#define IOMMUSE_SUPERVISOR_FILTER_H

#include <stdbool.h>

struct filter_config {
	bool paths;          /* no namespace shows our nodes: trap what asks for a path, too */
	bool forks;          /* trap what makes another process */
	bool credentials;    /* trap what changes a thread's capabilities in the initial user namespace */
	bool positions;      /* trap reads and writes at high positions, where devices have what is no memory */
	int window_fd;       /* event queues and devices get descriptors from this number on, */
	int window_fd_count; /* this many: their read and write are trapped */
};

/*
 * Installs the filter in the calling thread, for good, and for all that it starts. Returns the listener
 * (close-on-exec), or -errno: -EBUSY: another supervisor listens already, -ENOSYS and -EINVAL: a kernel without user
 * notification, -EACCES: no_new_privs is needed first.
 */
int filter_install(const struct filter_config *config);

/* Could a process like this one install it? Tries in a child. Returns 0, or -errno as filter_install(). */
int filter_probe(void);

/* Does this kernel know flag WAIT_KILLABLE_RECV (Linux 5.19)? Without it a signal interrupts a call that is half done.
 */
bool filter_wait_killable(void);

#endif

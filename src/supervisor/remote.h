/* SPDX-License-Identifier: BSD-3-Clause */
/* A client that is another process: its memory, its descriptors, its rights. */
#ifndef IOMMUSE_SUPERVISOR_REMOTE_H
#define IOMMUSE_SUPERVISOR_REMOTE_H

#include "supervisor/supervisor.h"

struct remote_mm;

/* Makes a call's client the process that waits in it. */
void remote_client_init(struct call *call);

/* Drops what a call has of its client's memory. */
void remote_call_end(struct call *call);

/* The address space that a process has now, with a reference. NULL: no memory. Under the lock. */
struct remote_mm *remote_mm_new(struct supervisor *s, pid_t pid);
struct mm *remote_mm_base(struct remote_mm *mm);

/* Reads a string of at most size bytes with its end. Returns its length, or -errno: -EFAULT, -ENAMETOOLONG. */
ssize_t remote_string(struct call *call, uaddr_t src, char *dst, size_t size);

#endif

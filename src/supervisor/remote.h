/* SPDX-License-Identifier: BSD-3-Clause */
/* A client that is another process: its calls' arguments, its descriptors, its rights. */
#ifndef IOMMUSE_SUPERVISOR_REMOTE_H
#define IOMMUSE_SUPERVISOR_REMOTE_H

#include "supervisor/supervisor.h"

struct remote_mm;

/* Makes a call's client the process that waits in it. */
void remote_client_init(struct call *call);

/* Drops what a call has of its client's memory. */
void remote_call_end(struct call *call);

/* The address space of a call's process, with a reference, for what outlives the call. */
struct remote_mm *remote_call_mm(struct call *call);

/* Reads a string of at most size bytes with its end. Returns its length, or -errno: -EFAULT, -ENAMETOOLONG. */
ssize_t remote_string(struct call *call, uaddr_t src, char *dst, size_t size);

#endif

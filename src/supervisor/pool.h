/* SPDX-License-Identifier: BSD-3-Clause */
/* The threads that receive and handle trapped calls. */
#ifndef IOMMUSE_SUPERVISOR_POOL_H
#define IOMMUSE_SUPERVISOR_POOL_H

struct supervisor;

/* Starts to serve. Returns 0, or -errno. There is no end to it but that of the process. */
int pool_start(struct supervisor *s);

#endif

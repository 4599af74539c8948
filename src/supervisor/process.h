/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who calls: the threads and processes that were seen. A pid may be used again, so a thread is known by an open
 * directory, /proc/TID/fd, which answers for that thread or for none, and a process by a pidfd.
 */
#ifndef IOMMUSE_SUPERVISOR_PROCESS_H
#define IOMMUSE_SUPERVISOR_PROCESS_H

#include "supervisor/supervisor.h"

int processes_new(struct processes **table);
void processes_free(struct processes *table);

/*
 * Finds out who makes the call and, where fd >= 0, what that descriptor of its is: fills process, stat, is_open. Under
 * the lock. Returns 0, or -errno: -ESRCH: it died, -EACCES: we may not look at it.
 */
int process_identify(struct supervisor *s, struct call *call, int fd);

/*
 * As fstatat(2), without ever asking a file server: a client may be one, and would never answer. What such a file says
 * of itself may be out of date, its identity is not.
 */
int process_stat(int dir, const char *path, struct stat *st);

/* Enters a call into the list of those in flight, and takes it off. Under the lock. */
void process_call_begin(struct call *call);
void process_call_end(struct call *call);

/* The capabilities of a thread in the initial user namespace, as a mask. */
uint64_t process_capabilities(const struct supervisor *s, pid_t tid);

/* A field of /proc/PID/status as a number: "Tgid", "CapEff". Returns 0, or -errno. */
int process_status(pid_t pid, const char *field, int base, uint64_t *value);

/* Is a process in the initial user namespace? pid 0: this one. */
bool process_in_initial_namespace(pid_t pid);

#endif

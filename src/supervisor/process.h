/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who calls: the threads and processes that were seen. A pid may be used again, so a thread is known by an open
 * directory, /proc/TID/fd, which answers for that thread or for none, and a process by a pidfd.
 */
#ifndef IOMMUSE_SUPERVISOR_PROCESS_H
#define IOMMUSE_SUPERVISOR_PROCESS_H

#include "supervisor/supervisor.h"

struct share;

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

/*
 * Waits for calls in flight of processes that are gone, as far as is known: what they had open is not closed before.
 * Not for long: who serves a page of their arguments can make them take as long as it likes. Under the lock, which is
 * dropped meanwhile.
 */
void processes_settle(struct supervisor *s);

/* Is a call of the thread in flight? Takes the lock. */
bool process_has_call(struct supervisor *s, pid_t pid, pid_t tid);

/*
 * Does another process that is known live in the same memory? Takes the lock, but not while it asks the kernel, which
 * waits for a process's execve, and so for a file server that may have to close files for it.
 */
bool process_shares_memory(struct supervisor *s, pid_t pid);

/* What other address spaces than this one want shared stays private. */
void process_refuse_shares(struct supervisor *s, const struct share *but);

/*
 * The capabilities that the thread which calls has in the initial user namespace, as a mask. They are kept until it
 * makes a call that may change them, all of which are trapped. Without the lock.
 */
uint64_t process_capabilities(const struct call *call);

/* The thread which calls, or, as by execve, any of its process, may have others after the call. Without the lock. */
void process_forget_capabilities(const struct call *call, bool all);

/* The address space of the process that a thread belongs to, with a reference; NULL: it has made no call. */
struct mm *process_mm(struct supervisor *s, pid_t tid);

/*
 * The address space that a process has now, which becomes known by that, with a reference; alive: a pidfd of it.
 * tid: one of its threads, which has memory: the first one may have ended.
 * Returns 0; -ESRCH: it has ended, or has none; -EPERM: we may not look into it; -ENFILE, -ENOMEM. Takes the lock.
 */
int process_open_mm(struct supervisor *s, pid_t pid, pid_t tid, int alive, struct mm **mm);

/* A field of /proc/PID/status as a number: "Tgid", "CapEff". Returns 0, or -errno. */
int process_status(pid_t pid, const char *field, int base, uint64_t *value);

/* Is a process in the initial user namespace? pid 0: this one. */
bool process_in_initial_namespace(pid_t pid);

#endif

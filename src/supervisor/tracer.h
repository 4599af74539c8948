/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads of a client stopped by ptrace, and system calls made in them. All functions belong to one thread of ours,
 * whose end lets go of whatever it still holds.
 */
#ifndef IOMMUSE_SUPERVISOR_TRACER_H
#define IOMMUSE_SUPERVISOR_TRACER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A thread that stands still, and what it shall go on with. */
struct traced {
	pid_t tid;
	uint64_t regs[27]; /* a struct user_regs_struct, whose header has a PAGE_SIZE of its own */
	uint64_t signals;  /* blocked */
	bool stop;         /* a SIGSTOP came meanwhile; no other signal does */
};

/* Runs a function in a thread that may trace, while nobody else waits for the children that it traces: with reaping
 * held. When it returns nothing is traced any more. */
int tracer_run(pthread_mutex_t *reaping, void *(*run)(void *), void *context);

/* Could a thread that stopped at this address make the call before it again? */
bool tracer_can_repeat(pid_t tid, uint64_t ip);

/* Takes hold of a thread, with PTRACE_O_* options, and asks it to stop where stop is set. Returns 0 or -errno. */
int tracer_seize(pid_t tid, unsigned long options, bool stop);

/* Asks a thread to stop that was seized without. */
void tracer_interrupt(pid_t tid);

/* Waits until a thread has stopped other than for a signal, which it gets; stores which PTRACE_EVENT_* it is. Returns
 * 0, -ETIMEDOUT, or -ESRCH: it is gone; how it ended is left to who asks for that. */
int tracer_wait(pid_t tid, unsigned timeout_ms, int *event);

/* Does a thread that has stopped stand still yet? One that is killed does not. */
bool tracer_has_stopped(pid_t tid);

/* Prepares a stopped thread for system calls: no signal disturbs them. -EINVAL: it did not stop at a system call. */
int tracer_begin(pid_t tid, struct traced *thread);

/* Makes the thread do a system call. Returns its result, or -errno. */
int64_t tracer_call(struct traced *thread, long nr, const uint64_t argument[6]);

/* Gives the thread back what it had; again: it makes the system call at which it stopped once more. Does not let go. */
void tracer_end(const struct traced *thread, bool again);

/* Lets go of a thread that tracer_wait() found stopped. Others get loose with the end of our thread: here the signal
 * for which one may have stopped would be lost. */
void tracer_detach(pid_t tid);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The seccomp listener: receive a trapped system call, answer it, let it go on natively, or put a descriptor into its
 * process. */
#ifndef IOMMUSE_SUPERVISOR_NOTIFY_H
#define IOMMUSE_SUPERVISOR_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A trapped system call. */
struct notification {
	uint64_t id;
	pid_t tid;   /* the thread that waits, in our pid namespace */
	int nr;      /* __NR_* */
	uint64_t ip; /* behind the call */
	uint64_t args[6];
};

/* Sets up a listener that was received. Old kernels lack the flag for it; they are only slower. */
void notify_prepare(int listener);

/* Waits for the next call. Returns 0, -EINTR, -ENOENT: the caller died first, try again, or another -errno: the
 * listener is of no use. */
int notify_receive(int listener, struct notification *n);

/* Is the caller still waiting? Memory read before a true answer was the caller's own. */
bool notify_valid(int listener, const struct notification *n);

/* Each answers the call, once. result is 0 or more, or -errno. A caller that is gone is no error. */
void notify_answer(int listener, const struct notification *n, int64_t result);
void notify_continue(int listener, const struct notification *n);

/* Has a caller that was asked to stop (PTRACE_INTERRUPT) make its call again after that. */
void notify_repeat(int listener, const struct notification *n);

/* As a number: the lowest that is free. */
#define NOTIFY_ANY_FD (-1)

/*
 * Puts the file behind fd at a number of the caller's descriptor table, in place of what is there, before the call is
 * answered. Returns the number, or -errno: -EMFILE, -EBADF: the number is beyond the caller's limit, -ENOENT: the
 * caller is gone.
 */
int notify_put_fd(int listener, const struct notification *n, int fd, int number, bool cloexec);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor's own state: one process that is "the kernel" for the programs that run under it.
 *
 * Locks. `lock` guards the stand-ins, the threads and processes that were seen, and the list of calls in flight.
 * Whoever handles a trapped call takes it once at the start: applying what has been closed and finding the file are one
 * step, or a call that follows a close could find the file that was closed. No handler runs under it, and no copy from
 * or to a client. Below it: what file_ops->closed takes. The pool's lock is a leaf.
 */
#ifndef IOMMUSE_SUPERVISOR_SUPERVISOR_H
#define IOMMUSE_SUPERVISOR_SUPERVISOR_H

#include "client/client.h"
#include "supervisor/notify.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct event_stream;
struct file;
struct holds;
struct node;
struct remote_mm;
struct shadow;
struct supervisor;
struct sysfs_live;
struct system;

/* Something that the supervisor's epoll descriptor watches; called under the lock. */
struct watch {
	void (*ready)(struct supervisor *s, struct watch *watch);
};

/* How private memory is kept that a device may use. */
enum pin_mode {
	PIN_FOLLOW, /* it is found in the program's address space when it is used */
	PIN_SHARE,  /* it is made shared with us, and stays after the program has unmapped it */
};

/* Event queues and devices get descriptors from window_fd on, so that the filter can tell their reads and writes from
 * all others. */
#define WINDOW_FDS 128

struct supervisor {
	pthread_mutex_t lock;
	int listener;
	int epoll; /* all that is watched: drained under the lock */
	int window_fd;
	int fd_limit;        /* of our own descriptors */
	bool trap_paths;     /* programs cannot see our nodes but through us */
	bool devices;        /* there are some */
	bool selftest;       /* the test device is there */
	enum pin_mode pin;   /* of private memory */
	_Atomic bool mapped; /* a program has mapped a part of a file of ours */
	bool user_namespace; /* the programs live in a user namespace of ours ... */
	uint64_t ambient;    /* ... and have these capabilities outside of it */

	pthread_mutex_t reaping; /* held by who waits for children, or for what it traces */

	struct overlay *overlay;
	struct shadow *shadow;   /* what programs see although it is not there; NULL: nothing */
	struct sysfs_live *live; /* of that, what changes; NULL: nothing */
	struct system *system;
	struct event_stream *events; /* NULL: nobody listens */
	struct standins *standins;
	struct processes *processes;
	uint64_t mm_serial;
	struct remote_mm *ending;   /* address spaces that are expected to end */
	struct remote_mm *unsure;   /* or may end without telling; they are looked at again ... */
	uint64_t unsure_due;        /* ... then, in ms of CLOCK_MONOTONIC */
	struct holds *holds;        /* of the clients' shared memory */
	_Atomic bool told_not_held; /* a person was told of shared memory that cannot be held */
	dev_t memfd_dev;            /* what memfds lie on */
	const char *argv0;          /* what the program was called as */
};

/* A process that made a trapped call. Guarded by the lock, but for what never changes. */
struct process {
	struct watch watch; /* of pidfd */
	struct process *next;
	pid_t pid;
	int pidfd;
	unsigned refs;
	bool gone;          /* out of the table */
	bool exec_tried;    /* mm may be another one by now */
	struct exec *execs; /* that were let go and may not be over */
	bool told;          /* a person was told that it cannot be read */
	struct remote_mm *mm;
	struct call *calls;                   /* in flight */
	uint64_t window_fds[WINDOW_FDS / 64]; /* numbers that are reserved */
};

/* A descriptor that a call is going to give to its client, and which file it will mean. */
struct fd_reservation {
	struct standin *standin; /* NULL: none */
	int number;
	int fd;     /* what the client gets; -1: it has it already */
	bool again; /* the file has other descriptors; else the stand-in is not published */
};

/* A call in flight: lives on the stack of the thread that handles it. */
struct call {
	struct client client;
	struct supervisor *supervisor;
	struct notification n;
	struct process *process;
	struct mm *mm;           /* the client's, once it was asked for, with a reference */
	struct file *file;       /* what args[fd] stands for, with a reference, or NULL */
	const struct node *node; /* its node, or NULL: it has none */
	struct fd_reservation reserved;
	int open_flags;   /* as it was opened */
	struct stat stat; /* of the descriptor, where one was looked up */
	bool is_open;     /* the descriptor exists */

	/* A process that replaces its memory (execve) must not get a reply into the new one: see exec.c. */
	_Atomic bool writing;
	_Atomic bool exec_tried;
	struct old_memory *old_memory;
	struct call *next, **link;
};

/* Applies what has happened to all that is watched: closes, deaths. Under the lock. */
void supervisor_drain(struct supervisor *s);

/* Descriptors that clients cannot make us use up. */
#define RESERVED_FDS 256

/* Is one left for a client? They are given out lowest first, so the number says how many there are. */
static inline bool supervisor_has_room(const struct supervisor *s, int fd)
{
	return s->fd_limit > 2 * RESERVED_FDS ? fd < s->fd_limit - RESERVED_FDS : true;
}

void supervisor_lock(struct supervisor *s);
void supervisor_unlock(struct supervisor *s);

#endif

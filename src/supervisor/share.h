/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --pin=share: private anonymous memory that is pinned is made shared memory in place, which we have mapped too. Then
 * it stays what it was whatever its process does with its addresses, as memory that Linux has pinned does, and DMA
 * copies it directly.
 *
 * A process is changed by a thread of its own, stopped by ptrace, while all its other threads are stopped too: one that
 * waits for our answer counts as stopped, and gets its answer later. What cannot be stopped in time, and memory of
 * other kinds, stays private, and is followed as without the option; a message says so.
 */
#ifndef IOMMUSE_SUPERVISOR_SHARE_H
#define IOMMUSE_SUPERVISOR_SHARE_H

#include "supervisor/notify.h"
#include "supervisor/supervisor.h"

#include <pthread.h>
#include <sys/queue.h>

/* Addresses of the process; end exclusive. */
struct share_range {
	LIST_ENTRY(share_range) entries;
	uint64_t start, end;
};

LIST_HEAD(share_ranges, share_range);

/* What memory was made into. */
struct share_memory {
	LIST_ENTRY(share_memory) entries;
	int memfd;
	dev_t dev;
	ino_t ino;
};

LIST_HEAD(share_memories, share_memory);

struct share_answer;

/* Of one address space. */
struct share {
	/* Held for writing while memory is exchanged; for reading by who writes to the process's memory, or answers it.
	 */
	pthread_rwlock_t exchange;
	pthread_mutex_t lock; /* guards the lists */
	struct share_memories memories;
	struct share_ranges wanted;  /* by a call that is to be made again */
	struct share_ranges refused; /* stays private */
	pthread_mutex_t answer_lock; /* guards answers */
	LIST_HEAD(, share_answer) answers;
	_Atomic pid_t vehicle; /* the thread that is made to do system calls, or 0 */
	unsigned exchanges;    /* so far */
	bool told;
};

/* Returns NULL where there is no memory for it. */
struct share *share_new(void);
void share_free(struct share *share);

/*
 * [start, end) is private anonymous memory that is being pinned, in a mapping that ends at limit. Returns -ERESTART:
 * noted; the call is to fail with it, so that it is undone, and is made again when the memory is shared; or 0: it stays
 * private.
 */
int share_want(struct share *share, uint64_t start, uint64_t end, uint64_t limit);

/* Does the call want something shared before it can go on? */
bool share_is_wanted(struct share *share);

/*
 * Shares what is wanted and has the caller make its call again, which answers the notification; share is that of the
 * caller's memory. Returns false where nothing could be shared: then the notification is as it was.
 */
bool share_and_restart(struct supervisor *s, struct share *share, pid_t pid, const struct notification *n);

/*
 * Lets a fork go on so that the child gets memory of its own in place of what is shared, as Linux copies what is
 * pinned. Returns false where nothing is shared or nothing can be done: then the notification is as it was.
 */
bool share_fork(struct supervisor *s, struct share *share, const struct notification *n);

/* A descriptor of the memory with this identity, the caller's to close; or -1. */
int share_find(struct share *share, dev_t dev, ino_t ino);

/* Around a write to the process's memory by a call of the thread, or for a device (tid 0). share may be NULL. */
bool share_enter(struct share *share, pid_t tid);
void share_leave(struct share *share, bool entered);

/* A thread whose answer is held back counts as stopped. */
struct share_answer {
	LIST_ENTRY(share_answer) entries;
	pid_t tid;
	bool entered;
};

/* Around an answer to a thread's call. share may be NULL. */
void share_begin_answer(struct share *share, struct share_answer *answer, pid_t tid);
void share_end_answer(struct share *share, struct share_answer *answer);

#endif

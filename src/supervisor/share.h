/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --pin=share: private anonymous memory that is pinned is made shared memory in place, which we have mapped too. Then
 * it stays what it was whatever its process does with its addresses, as memory that Linux has pinned does, and DMA
 * copies it directly.
 *
 * A process is changed by a thread of its own, stopped by ptrace, while all its other threads are stopped too: one that
 * waits for our answer counts as stopped, and gets its answer later. Where that fails memory stays private, and is
 * followed as without the option; a message says so, and for a while it is not tried again.
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

/* What memory was made into. */
struct share_memory {
	LIST_ENTRY(share_memory) entries;
	int memfd;
	dev_t dev;
	ino_t ino;
};

/* A thread whose answer is held back counts as stopped. */
struct share_answer {
	LIST_ENTRY(share_answer) entries;
	pid_t tid;
	bool held;
};

/* Of one address space. Locks: supervisor.reaping, exchange, lock, supervisor.lock, answer_lock. */
struct share {
	/* Held for writing while memory is exchanged; for reading by who writes to the process's memory, or answers it.
	 */
	pthread_rwlock_t exchange;
	pthread_mutex_t lock; /* guards the lists; held while memory is exchanged */
	LIST_HEAD(, share_memory) memories;
	unsigned memory_count;
	LIST_HEAD(, share_range) wanted; /* by calls that are to be made again */
	_Atomic bool is_wanting;         /* wanted is not empty */
	_Atomic uint64_t retry_ns;       /* before then nothing is shared */
	unsigned failures;               /* since the last exchange that worked */
	unsigned exchanges;              /* so far */
	unsigned empty_exchanges;        /* of nothing, the last ones */
	pthread_mutex_t answer_lock;     /* guards answers */
	LIST_HEAD(, share_answer) answers;
	_Atomic pid_t vehicle; /* the thread that is made to do system calls, or 0 */
	_Atomic bool common;   /* another process may have the same memory */
	_Atomic bool told;
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

/* Is something to be shared before calls can go on? */
bool share_is_wanted(struct share *share);

/* Nothing is wanted any more; for a while nothing will be, where it failed. With the lock held. */
void share_settle(struct share *share, bool failed);

/* What is wanted stays private: a call of another process wants it, and only a thread of its own could share it. */
void share_refuse(struct share *share, pid_t pid);

/* Another process with the same memory is made, whose threads nobody stops. */
void share_note_common(struct share *share);

/* Says, once, that memory stays private. */
void share_tell(struct share *share, pid_t pid, int err, const char *obstacle);

/* A filter of the process's own may refuse, or kill for, the calls that it would be made to do. */
bool share_has_own_filter(pid_t tid);

/* A descriptor of the memory with this identity, the caller's to close; or -1. */
int share_find(struct share *share, dev_t dev, ino_t ino);

/* Around a write to the process's memory by a call of the thread, or for a device (tid 0), and around an answer. share
 * may be NULL. */
bool share_enter(struct share *share, pid_t tid);
void share_leave(struct share *share, bool entered);

/*
 * From before the end of a call to its answer: the thread stands still. It is released while no exchange can begin, so
 * that none counts it as stopped when it goes on.
 */
void share_hold(struct share *share, struct share_answer *answer, pid_t tid);
void share_release(struct share *share, struct share_answer *answer);
bool share_is_held(struct share *share, pid_t tid);

/*
 * Shares what is wanted and has the caller make its call again, which answers the notification and releases the answer;
 * share is that of the caller's memory. Returns false where nothing was done: then both are as they were.
 */
bool share_and_restart(struct supervisor *s, struct share *share, pid_t pid, const struct notification *n,
		       struct share_answer *answer);

/* Lets a fork go on so that the child gets memory of its own in place of what is shared, as Linux copies what is
 * pinned. Answers, and releases the answer. */
void share_fork(struct supervisor *s, struct share *share, pid_t pid, const struct notification *n,
		struct share_answer *answer);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is the memory that a thread has now the one that was opened before? Linux compares two processes (kcmp), which is no
 * answer once the first has ended or executed another program while the memory lives on in others, or is kept for a
 * moment by who copies from it.
 */
#ifndef IOMMUSE_SUPERVISOR_MEMORY_ID_H
#define IOMMUSE_SUPERVISOR_MEMORY_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a program was started with, as far as it is never the same twice. A forked process has the same. */
struct memory_id {
	uint64_t auxv;   /* a sum of it: where its parts were loaded, by chance; 0: there is no id */
	uint64_t random; /* where 16 random bytes lie */
};

/* Of the memory that a thread has. Returns 0, or -errno: it is gone, or we may not look at it; then the id is none. */
int memory_id_read(pid_t tid, struct memory_id *id);

/* Do both exist and say the same? */
static inline bool memory_ids_equal(const struct memory_id *a, const struct memory_id *b)
{
	return a->auxv && a->auxv == b->auxv && a->random == b->random;
}

/*
 * Both that follow copy from the memory, which its process can make last as long as it likes: without locks.
 *
 * Was the memory behind mem, an open /proc/PID/mem, which has this id, and that of a thread made by one execve?
 * Returns 1, 0, or -errno: it cannot be told.
 */
int memory_has_origin(int mem, const struct memory_id *id, pid_t tid);

/* Is it also the same by what the thread, which waits in a call, has on its stack? Tells it from a forked one's. */
int memory_has_stack(int mem, pid_t tid);

#endif

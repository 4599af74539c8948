/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of an address space or of a file, found as pinning would find it: is it there, may it be written, and
 * where can it be reached from this process.
 */
#ifndef IOMMUSE_CLIENT_MEMORY_H
#define IOMMUSE_CLIENT_MEMORY_H

#include "base/types.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct memory_file;
struct mm;

/*
 * Memory that is kept whatever its owner does: most often a mapping of this process over shared memory. Counted; the
 * bytes at host stay the same memory until the last reference goes.
 */
struct hold {
	_Atomic unsigned refs;
	void (*release)(struct hold *hold);
	/* Copies bytes where the memory behind the mapping may be cut off (SIGBUS): returns how many came. NULL: plain.
	 */
	size_t (*copy)(void *dst, const void *src, size_t n);
	uint8_t *host;
	uint64_t length;
	/* Which memory it is: the same numbers mean the same bytes. dev 0: nothing is known. */
	dev_t dev;
	ino_t ino;
	uint64_t offset;                    /* of host, in the file */
	void (*revoked)(struct hold *hold); /* reserved for files that can be taken back; NULL */
};

static inline struct hold *hold_get(struct hold *hold)
{
	if (hold)
		atomic_fetch_add_explicit(&hold->refs, 1, memory_order_relaxed);
	return hold;
}

static inline void hold_put(struct hold *hold)
{
	if (hold && atomic_fetch_sub_explicit(&hold->refs, 1, memory_order_acq_rel) == 1)
		hold->release(hold);
}

/* A stretch of memory that is reached in one way. */
struct memory_run {
	uint64_t length;
	uint8_t *host;     /* of its first byte in this process; NULL: only by mm->ops->read and write */
	struct hold *hold; /* with a reference; NULL: nothing keeps it */
};

/*
 * What was asked last, so that a series of questions about neighbouring memory costs one. Begins as zeroes; lives
 * within one operation of one thread, memory_query_end() ends it.
 */
struct memory_query {
	struct mm *mm;
	uint64_t start, last; /* of the answer; the rest is the client kind's business */
	uint32_t access;
	struct memory_run run; /* of all of [start, last] */
	uint64_t private[6];
};

void memory_query_end(struct memory_query *query);

/*
 * Finds the memory of a file from offset on. length > 0, offset and length in whole pages. Stores a run of at most
 * length bytes. Returns 0, or -EINVAL: not a memory file (memfd, shm, hugetlbfs), or beyond its end; -ENOMEM; -ENODEV:
 * a revoked dma-buf; -EFAULT.
 */
int memory_file_pin(struct memory_file *file, uint64_t offset, uint64_t length, bool write, struct memory_run *run);

/* Copies between this process's memory and a run's; n bytes from the run's byte at. Returns the bytes copied. */
static inline size_t memory_copy(const struct hold *hold, void *dst, const void *src, size_t n)
{
	if (__builtin_expect(hold && hold->copy, 0))
		return hold->copy(dst, src, n);
	memcpy(dst, src, n);
	return n;
}

#endif

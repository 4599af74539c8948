/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Readers that walk without a lock, and a writer that waits until none of them can still use what it took away.
 *
 * Each thread that reads has a slot. It enters before it looks and leaves when it has used what it found; inside, what
 * it found stays valid. A writer takes something out of sight, then epoch_wait() returns when every reader that was
 * inside has left once; then it frees. Readers never wait, and share no memory with each other. One slot serves one
 * thread at a time and is not entered twice.
 *
 * Readers load what the writer changes with memory_order_seq_cst (free on x86, as are acquire loads): so either the
 * writer sees that a reader is inside, or the reader sees the change.
 */
#ifndef IOMMUSE_BASE_EPOCH_H
#define IOMMUSE_BASE_EPOCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct epoch_slot {
	/* The reader's line: others look at it while they wait, and write to none of it. */
	_Alignas(64) _Atomic uint64_t since; /* which of its entries the reader is in; 0: outside */
	uint64_t entries;                    /* the reader's own */
	/* Guarded by the epoch's lock. */
	_Alignas(64) struct epoch *epoch;
	struct epoch_slot *next, **link;
	unsigned watched; /* by those who wait for it without the lock: it stays in the list */
	uint64_t before;  /* the entry that the grace period in progress waits for; 0: none */
};

struct epoch {
	_Atomic uint64_t waits; /* changing it orders what the writer did before what it looks at */
	struct epoch_slot *_Atomic slots;
	pthread_mutex_t lock;       /* guards slots and what follows */
	uint64_t started, finished; /* grace periods, for epoch_passed(); at most one is in progress */
};

void epoch_init(struct epoch *epoch);
void epoch_fini(struct epoch *epoch);

/* A slot is added before its reader looks at anything of the epoch, and removed when it does not any more; its reader
 * may be inside for other reasons meanwhile. */
void epoch_add(struct epoch *epoch, struct epoch_slot *slot);
void epoch_remove(struct epoch_slot *slot);

static inline void epoch_enter(struct epoch_slot *slot)
{
	/* The exchange orders the entry before all that is then looked at. */
	atomic_exchange(&slot->since, ++slot->entries);
}

static inline void epoch_leave(struct epoch_slot *slot)
{
	atomic_store_explicit(&slot->since, 0, memory_order_release);
}

/*
 * Waits for the readers that are inside now. Costs some nanoseconds where there are none. Holds no lock while it waits.
 * Where one stays inside for more than a second, says so once (base/log.h) and goes on waiting.
 */
void epoch_wait(struct epoch *epoch);

/*
 * The same for who must not wait. epoch_defer() names the grace period that will have passed when those readers have
 * left; epoch_passed() says whether it has. Grace periods go on only as somebody asks.
 */
uint64_t epoch_defer(struct epoch *epoch);
bool epoch_passed(struct epoch *epoch, uint64_t period);

#endif

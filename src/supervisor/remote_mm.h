/* SPDX-License-Identifier: BSD-3-Clause */
/* The address space of another process, as memory for DMA. */
#ifndef IOMMUSE_SUPERVISOR_REMOTE_MM_H
#define IOMMUSE_SUPERVISOR_REMOTE_MM_H

#include "supervisor/memory_id.h"
#include "supervisor/supervisor.h"

struct remote_mm;
struct share;
struct vma;

/* The address space that a process has now, with a reference. before: the one that it had before; NULL: none that is
 * known. Returns NULL: no memory. Under the lock. */
struct remote_mm *remote_mm_new(struct supervisor *s, pid_t pid, const struct remote_mm *before);
struct mm *remote_mm_base(struct remote_mm *mm);

/* What is opened of the memory that a thread has. */
struct remote_view {
	pid_t tid;
	int pidfd, mem, maps; /* or -errno */
	struct memory_id id;
};

/* Without locks: the process can make it last, by an execve that another thread calls. What nobody adopts is closed. */
void remote_view_open(struct remote_view *view, pid_t pid, pid_t tid);
void remote_view_close(struct remote_view *view);

/*
 * Gets hold of the memory, by what a thread that has it showed. At its first use and not before, as many processes only
 * call execve. Under the lock.
 */
void remote_mm_adopt(struct remote_mm *mm, struct remote_view *view);

/* The same at once, where no lock is held that others need. */
void remote_mm_open(struct remote_mm *mm, pid_t tid);
bool remote_mm_opened(const struct remote_mm *mm);

/* Was there memory that could be opened, though it may be gone by now? */
bool remote_mm_could_open(const struct remote_mm *mm);

/*
 * Under the lock, by a call of the process, when the memory is open: it is what the process has, but where its end is
 * expected, and each execve is told to remote_mm_expect_end() before it happens. Until then it is copied by what was
 * opened only. May be called again.
 */
void remote_mm_supervise(struct remote_mm *mm);

/* Does somebody write who has not seen the execve? */
bool remote_mm_is_written(const struct remote_mm *mm);

/* The mapping at an address of an address space of this kind. Returns as vma_find() does. */
int remote_mm_vma(struct mm *mm, uint64_t va, struct vma *vma);

/* Has nobody this memory any more? Also true where it could not be opened. */
bool remote_mm_gone(const struct remote_mm *mm);

/* Is it still the memory of its process, of which this is a thread? Only an execve gives it another one. Returns 1 or
 * 0, or -errno: it cannot be told. Without locks, as the process can make that last. */
int remote_mm_is_still(const struct remote_mm *mm, pid_t tid);

/* A thread that has it makes a call, in which mm_same() may be asked. */
void remote_mm_used_by(struct remote_mm *mm, pid_t tid);

/*
 * Its process has ended, or is about to execute another program: when nobody has it any more, that is announced
 * (client/mm.h). Or it is not about to any more. Under the lock.
 */
void remote_mm_expect_end(struct remote_mm *mm);
void remote_mm_expect_no_end(struct remote_mm *mm);

/* Its process may execute another program without telling us, as one does that is not of the run. Where the end is
 * expected that stays so. Under the lock. */
void remote_mm_be_unsure(struct remote_mm *mm);

/* How often it is to be looked whether an address space has ended, where nothing else happens. */
#define REMOTE_MM_TEST_MS 100

/* Announces the end of those that have ended. Each is looked at: those whose end is expected whenever this is called,
 * and those of which nobody is sure once in REMOTE_MM_TEST_MS. Under the lock. */
void remote_mms_announce(struct supervisor *s);

/*
 * Waits until nobody of us uses memory whose end is expected: what its process had mapped is closed then. For a while
 * only, and for each once, as the memory may be a client's to provide. Under the lock, which is dropped meanwhile.
 */
void remote_mms_settle(struct supervisor *s);

/* What shares its memory with us (--pin=share); NULL: nothing does. */
struct share *remote_mm_share(struct remote_mm *mm);

#endif

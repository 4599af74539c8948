/* SPDX-License-Identifier: BSD-3-Clause */
/* execve, which puts another memory behind the number of a process while we answer its calls. */
#ifndef IOMMUSE_SUPERVISOR_EXEC_H
#define IOMMUSE_SUPERVISOR_EXEC_H

#include "supervisor/memory_id.h"
#include "supervisor/supervisor.h"

/*
 * A process is about to replace its memory: no call of it that is in flight, or begins until that is over, writes a
 * reply into the new one. They write into the old one, through what is opened here, or nowhere. Waits for copies that
 * have begun. call is the one that does it. Returns 0, or -ENOMEM. Without the lock.
 */
int exec_let_go(struct call *call);

/* Tells a call that begins of an execve that is under way. Under the lock. */
void exec_call_begin(struct call *call);

/*
 * Finds out which memory the process of a call has after an execve that has been tried: the old one, or another one
 * from now on. Without the lock: the process can make it last.
 */
void exec_settle(struct call *call);

/* Writes into the memory that the process of a call had before the execve that the call was told of. 0 or -EFAULT. */
int exec_write_old(const struct call *call, uaddr_t dst, const void *src, size_t n);

/* May an execve that was let go be about to end the memory with this id, which its process has? All threads of a
 * process have one memory, so those that were called in another one are over. Under the lock. */
bool exec_may_end(const struct process *p, const struct memory_id *id);

/* Drops what a call, or a process, has of this. Under the lock. */
void exec_call_end(struct call *call);
void exec_process_end(struct process *p);

#endif

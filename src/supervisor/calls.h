/* SPDX-License-Identifier: BSD-3-Clause */
/* The trapped system calls, each with what answers it. */
#ifndef IOMMUSE_SUPERVISOR_CALLS_H
#define IOMMUSE_SUPERVISOR_CALLS_H

#include "supervisor/supervisor.h"

/* What a handler returns, besides a result of 0 or more or -errno. */
#define CALL_CONTINUE INT64_MIN       /* not ours: the kernel shall do it */
#define CALL_FORK     (INT64_MIN + 1) /* the same, but the child needs memory of its own */

/* Answers a trapped call, whatever it takes. Called by a thread of the pool, without locks. */
void call_handle(struct supervisor *s, const struct notification *n);

/* The handlers, by what the call is about. call->file is set for those of a descriptor of ours. */
typedef int64_t call_handler(struct call *call);

call_handler call_open, call_openat, call_openat2, call_creat; /* calls_open.c */
call_handler call_stat, call_lstat, call_newfstatat, call_statx, call_access, call_faccessat, call_readlink,
	call_readlinkat, call_xattr, call_fstat; /* calls_stat.c */
call_handler call_ioctl, call_mmap, call_transfer, call_vector, call_exec, call_fork,
	call_credentials;                                                 /* calls_file.c */
call_handler call_ftruncate, call_fallocate, call_truncate, call_madvise; /* cut.c */

/* When this returns, what programs had open that were killed is closed, which calls of theirs and devices that use
 * their memory may have held up. Before a call that finds a group or a device busy. Without the lock. */
void calls_settle(struct supervisor *s);

/* Opens a node for the client and puts a descriptor into it. Returns the descriptor, or -errno. */
int64_t call_open_node(struct call *call, const struct node *node, int flags);

/* What a node shows, open or not. Returns 0 or -errno. And the same as statx has it, copied out. */
int call_stat_node(const struct supervisor *s, const struct node *node, struct stat *st);
int64_t call_answer_statx(struct call *call, const struct stat *st, uaddr_t out);

/* The node whose stand-in lies at a path of /proc; -ENOENT: none of ours, -ENXIO: a file without one, which cannot be
 * opened again. */
int call_node_at(struct call *call, const char *proc_path, const struct node **node);

#endif

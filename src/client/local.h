/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that are this process: checked (a bad pointer gives -EFAULT, each copy is a system call) and trusted (plain
 * pointers). What their descriptors mean is not known here: the one who made the process a client says it in a table.
 */
#ifndef IOMMUSE_CLIENT_LOCAL_H
#define IOMMUSE_CLIENT_LOCAL_H

#include "client/client.h"

#include <pthread.h>

enum local_kind {
	LOCAL_CHECKED,
	LOCAL_TRUSTED,
};

/* As the functions of the same names in struct client_ops. */
struct local_files {
	int (*file)(void *context, int fd, struct file **file);
	int (*fd_reserve)(void *context, struct file *file);
	int (*fd_install)(void *context, int fd, struct file *file, int o_flags);
	void (*fd_unreserve)(void *context, int fd, struct file *file);
};

struct local_memory;

struct local {
	enum local_kind kind;
	bool own_capabilities;
	uint64_t capabilities; /* bit CAP_*, where they are not the process's own */
	const struct local_files *files;
	void *files_context;
	struct mm *mm;
	pthread_mutex_t lock;        /* guards memory */
	struct local_memory *memory; /* the memory files in use, so that an inode costs one descriptor */
	pid_t pid;
};

/* kind and the members up to files_context are the caller's to set before. Returns 0, -ENOMEM, or -ENOSYS: no
 * process_vm_readv. */
int local_init(struct local *local);

/* All memory files must have been put. */
void local_fini(struct local *local);

/* One call's client. fd: the descriptor that the call came through, or -1. */
struct local_client {
	struct client client;
	struct local *local;
};

void local_client_init(struct local_client *client, struct local *local, int fd);

#endif

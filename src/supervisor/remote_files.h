/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client that is another process has descriptors of: the operations of client/client.h for it. */
#ifndef IOMMUSE_SUPERVISOR_REMOTE_FILES_H
#define IOMMUSE_SUPERVISOR_REMOTE_FILES_H

#include "supervisor/supervisor.h"

/* The O_* flags of a client's descriptor, or -EBADF. */
int remote_fd_flags(const struct call *call, int fd);

/* Returns 0, or -EBADF. */
int remote_fd_stat(struct call *call, int fd, struct stat *st);

int remote_file(struct client *client, int fd, struct file **file);
int remote_memory_file(struct client *client, int fd, struct memory_file **out);
int remote_eventfd(struct client *client, int fd, int *own_fd);

#endif

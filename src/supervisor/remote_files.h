/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptors of a client that is another process: the operations of client/client.h for them. */
#ifndef IOMMUSE_SUPERVISOR_REMOTE_FILES_H
#define IOMMUSE_SUPERVISOR_REMOTE_FILES_H

#include "supervisor/supervisor.h"

/* The O_* flags of a client's descriptor, or -EBADF. */
int remote_fd_flags(const struct call *call, int fd);

int remote_file(struct client *client, int fd, struct file **file);
int remote_memory_file(struct client *client, int fd, struct memory_file **out);
int remote_eventfd(struct client *client, int fd, int *own_fd);
int remote_fd_reserve(struct client *client, struct file *file);
int remote_fd_install(struct client *client, int fd, struct file *file, int o_flags);
void remote_fd_unreserve(struct client *client, int fd, struct file *file);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors that a client that is another process gets: the operations of client/client.h for them. */
#ifndef IOMMUSE_SUPERVISOR_REMOTE_GIVE_H
#define IOMMUSE_SUPERVISOR_REMOTE_GIVE_H

#include "supervisor/supervisor.h"

int remote_fd_reserve(struct client *client, struct file *file);
int remote_fd_install(struct client *client, int fd, struct file *file, int o_flags);
void remote_fd_unreserve(struct client *client, int fd, struct file *file);

/*
 * Gives the client a file that it opens, at the lowest number that is free, or one of the window for a device. own: a
 * description for it, which stays the caller's. Returns the number, or -errno: -EMFILE, -ENOENT: the client is gone.
 */
int remote_fd_open(struct call *call, bool device, int own, int o_flags);

#endif

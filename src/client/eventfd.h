/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An eventfd of a client's, as we signal it. Never waits: where the counter is full, it stays full, as when the kernel
 * signals one. Thread-safe.
 */
#ifndef IOMMUSE_CLIENT_EVENTFD_H
#define IOMMUSE_CLIENT_EVENTFD_H

#include <stdint.h>

struct client;
struct eventfd;

/* Finds the eventfd behind a client's descriptor; the caller frees it with eventfd_free(). Returns 0; -EBADF: no such
 * descriptor; -EINVAL: no eventfd; -ENFILE, -ENOMEM. Not under a lock. */
int eventfd_new(struct client *client, int fd, struct eventfd **eventfd);
/* NULL is nothing. */
void eventfd_free(struct eventfd *eventfd);

/* Adds 1. */
void eventfd_signal(struct eventfd *eventfd);

/* A descriptor of this process for it, to wait for what a client writes; borrowed. */
int eventfd_fd(const struct eventfd *eventfd);

#endif

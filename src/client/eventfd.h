/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An eventfd of a client's, as we signal it. Signalling never waits: where the counter is full, it stays full, as when
 * the kernel signals one. write(2) cannot do that: it waits while the counter is full, which the client decides, and
 * whether it waits is a flag that the client shares. So a device has a sender.
 */
#ifndef IOMMUSE_CLIENT_EVENTFD_H
#define IOMMUSE_CLIENT_EVENTFD_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct eventfd;
struct eventfd_sender;

/* Finds the eventfd behind a client's descriptor; the caller frees it with eventfd_free(). Returns 0; -EBADF: no such
 * descriptor; -EINVAL: no eventfd; -ENFILE, -ENOMEM, -EPERM. Not under a lock. */
int eventfd_new(struct client *client, int fd, struct eventfd **eventfd);
/* Nobody signals it any more. NULL is nothing. */
void eventfd_free(struct eventfd *eventfd);

/* A descriptor of this process for it, to wait for what a client writes; borrowed. */
int eventfd_fd(const struct eventfd *eventfd);

/*
 * Takes what a client has written, as the kernel takes what it is told. The client may have read it meanwhile, so this
 * does not wait. Where that is not to be had the count stays: the next write is noticed by edge triggered epoll only.
 */
void eventfd_drain(const struct eventfd *eventfd);

/* Names the eventfd, of all descriptors that there are for it; 0: the system does not say. */
uint64_t eventfd_identity(const struct eventfd *eventfd);

/* How a device signals its eventfds. Belongs to the process that made it, and outlives the eventfds that were signalled
 * by it. Returns 0 or -ENOMEM. */
int eventfd_sender_new(struct eventfd_sender **sender);
/* Takes some 10 ms. NULL is nothing. */
void eventfd_sender_free(struct eventfd_sender *sender);

/* Adds 1. Thread-safe. An eventfd has one sender for all its time. */
void eventfd_signal(struct eventfd_sender *sender, struct eventfd *eventfd);

/* For clients: is what path in /proc stands for an eventfd? */
bool eventfd_is_at(const char *path);
/* For clients: is our descriptor one of an eventfd? Returns 0 and it, or -EBADF or -EINVAL and closes it. */
int eventfd_check(int fd, int *own_fd);

#endif

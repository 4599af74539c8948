/* SPDX-License-Identifier: BSD-3-Clause */
/* What an eventfd and its sender know of each other. */
#ifndef IOMMUSE_CLIENT_EVENTFD_SENDER_H
#define IOMMUSE_CLIENT_EVENTFD_SENDER_H

#include "client/eventfd.h"

#include <stdatomic.h>

struct eventfd {
	int fd;
	struct eventfd_sender *_Atomic sender; /* that may have it in its queue; NULL: none has */
	/* Guarded by the sender's lock. */
	uint64_t pending; /* signals; 0: not in the queue */
	struct eventfd *next;
};

/* The sender's thread neither has it nor will have it. */
void eventfd_sender_forget(struct eventfd_sender *sender, struct eventfd *eventfd);

#endif

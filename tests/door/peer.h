/* SPDX-License-Identifier: BSD-3-Clause */
/* Another process of a test, which does one thing after the other as it is asked, and answers with the result. */
#ifndef PEER_H
#define PEER_H

#include "door.h"

#include <sys/types.h>

struct peer {
	pid_t pid;
	int socket; /* descriptors may be sent through it, between two questions or before an answer */
};

/* What a peer does for a question. socket is its own end. */
typedef long peer_serve(int socket, unsigned op, uint64_t a, uint64_t b);

/* It has all that its maker has open. */
struct peer peer_start(peer_serve *serve);
/* The same in a process that is there already, which is the peer then; never returns. */
__attribute__((noreturn)) void peer_be(int socket, peer_serve *serve);
/* The answer; -EPIPE: it is gone. */
long peer_ask(const struct peer *peer, unsigned op, uint64_t a, uint64_t b);
/* Asks, and takes the answer later. */
void peer_tell(const struct peer *peer, unsigned op, uint64_t a, uint64_t b);
long peer_answer(const struct peer *peer);
/* Exit status, or -signal. */
int peer_end(struct peer *peer);
int peer_kill(struct peer *peer);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a run of iommuse is found by its name: an abstract Unix socket (SOCK_SEQPACKET), whose name has the user and the
 * run's name, and which goes with the process that has it. Whoever connects gets one message, a text for a person, and
 * the end. Anybody can make a socket of any name, so either side looks who the other one is.
 */
#ifndef IOMMUSE_SUPERVISOR_RUN_NAME_H
#define IOMMUSE_SUPERVISOR_RUN_NAME_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define RUN_NAME_MAX 64

/* No more than this is told of a run. */
#define RUN_TEXT_BYTES (64 * 1024)

/* Letters, digits, '-', '_' and '.', the first a letter or a digit. */
bool run_name_valid(const char *name);

struct run_name {
	uid_t uid;
	char name[RUN_NAME_MAX + 1];
};

/* Returns the length of the address. */
socklen_t run_address(const struct run_name *run, struct sockaddr_un *address);

/* From how /proc/net/unix shows the address. Returns false where it is no run's. */
bool run_of_shown(const char *shown, struct run_name *run);

/* Is the other end of the socket this user's or root's? */
bool run_peer_trusted(int socket, uid_t uid);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/ioasid: PASIDs for user space. A file belongs to the address space that opened it, which has one of them at a
 * time; others that have got hold of it may ask for version and information only.
 */
#ifndef IOMMUSE_IOASID_IOASID_H
#define IOMMUSE_IOASID_IOASID_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct client;
struct event_stream;
struct file;
struct ioasid_space;
struct ioasid_user;
struct mm;

/* What all files of a system share; must outlive them. */
struct ioasid_users {
	struct ioasid_space *space;
	uint64_t quota;                /* of each process; UINT64_MAX: none */
	_Atomic uint64_t *file_serial; /* the last that was given in the system */
	struct event_stream *events;   /* may be NULL */
	pthread_mutex_t lock;          /* guards the list; a leaf, but for those of the users and the space's */
	struct ioasid_user *first;
};

/* Returns 0 and a file with one reference; -EBUSY: the client's address space has one open; -EINVAL: it has none;
 * -ENOMEM. */
int ioasid_open(struct ioasid_users *users, struct client *client, struct file **file);

/* The token of the set that PASIDs of an address space are in: also where another process that lives in it has opened
 * the file. */
uint64_t ioasid_token(struct ioasid_users *users, struct mm *mm);

/* What is told of a process that has it open. */
struct ioasid_usage {
	int pid;
	uint64_t current, max, refused;
};

/* Stores at most room of them, and returns how many there are. */
size_t ioasid_usages(struct ioasid_users *users, struct ioasid_usage *usage, size_t room);

#endif

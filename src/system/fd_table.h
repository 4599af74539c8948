/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The descriptors of a system in this process: numbers of the process's own descriptor table, each kept from other use
 * by a descriptor that can do nothing (O_PATH).
 *
 * A slot stays where it is, so a call finds its file without a lock. One word says whether the slot is open, being
 * closed, and how many calls are in it. Closing refuses further calls; the last call out, or the closer where there is
 * none, drops the file and gives the number back.
 */
#ifndef IOMMUSE_SYSTEM_FD_TABLE_H
#define IOMMUSE_SYSTEM_FD_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

struct file;
struct system;

#define FD_CHUNK  1024 /* slots that come into being together */
#define FD_CHUNKS 1024

struct fd_slot {
	_Atomic uint64_t word;
	struct file *file; /* written before the slot is opened */
	int o_flags;
};

struct fd_table {
	struct system *system;
	int placeholder; /* whose duplicates keep the numbers */
	struct fd_slot *_Atomic chunk[FD_CHUNKS];
};

/* Returns 0 or -errno: no descriptor is left. */
int fd_table_init(struct fd_table *table, struct system *system);

/* Closes what is open. No call may be in a slot. */
void fd_table_fini(struct fd_table *table);

/* Takes a number out of the process's table. Returns it, or -EMFILE, -ENFILE, -ENOMEM. */
int fd_table_reserve(struct fd_table *table);
void fd_table_unreserve(struct fd_table *table, int fd);

/* Keeps a file open for a descriptor that it is going to have; fd_table_release() takes that back. Returns 0; -ENOENT:
 * its last one has been closed. */
int fd_table_hold(struct file *file);
void fd_table_release(struct fd_table *table, struct file *file);

/* Opens a reserved number for a file that is held, whose reference it consumes. */
void fd_table_install(struct fd_table *table, int fd, struct file *file, int o_flags);

/* Enters the slot behind fd; NULL where none is open. fd_table_leave() follows. */
struct fd_slot *fd_table_enter(struct fd_table *table, int fd);
void fd_table_leave(struct fd_table *table, int fd, struct fd_slot *slot);

/* Returns 0 or -EBADF. */
int fd_table_close(struct fd_table *table, int fd);

#endif

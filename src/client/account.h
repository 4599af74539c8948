/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locked memory, counted as Linux counts what is pinned: for the address space (VmPin always, VmLck in mode MM) and for
 * the user (mode USER), against RLIMIT_MEMLOCK of the process that mapped.
 */
#ifndef IOMMUSE_CLIENT_ACCOUNT_H
#define IOMMUSE_CLIENT_ACCOUNT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mm;

/* Whose account pinned memory goes to, fixed when it is mapped. */
enum account_mode {
	ACCOUNT_NONE, /* the address space's VmPin only */
	ACCOUNT_USER,
	ACCOUNT_MM,
	ACCOUNT_NEVER, /* a dma-buf: not counted at all */
};

enum memlock_policy {
	MEMLOCK_REPORT,  /* count locked memory as Linux would, say where Linux would refuse, do not refuse */
	MEMLOCK_ENFORCE, /* count and refuse */
	MEMLOCK_OFF,     /* do not count */
};

/* A user's locked memory within a system. Users stay until the accounts go. */
struct account_user {
	struct account_user *next;
	uid_t uid;
	_Atomic uint64_t locked; /* pages */
};

/* All accounts of a system; outlives all address spaces of it. */
struct accounts {
	enum memlock_policy policy;
	pthread_mutex_t lock; /* guards users */
	struct account_user *users;
	_Atomic bool told; /* a person was told that Linux would refuse */
};

void accounts_init(struct accounts *accounts, enum memlock_policy policy);
void accounts_fini(struct accounts *accounts);

/* The account of a user; NULL: no memory. */
struct account_user *accounts_user(struct accounts *accounts, uid_t uid);

/* Makes an address space that is new charge a user's account. accounts must outlive it. Returns 0 or -ENOMEM. */
int account_open(struct mm *mm, struct accounts *accounts, uid_t uid);

/* Does it matter what is charged to it? */
bool account_wanted(const struct mm *mm);

/* Charges pages. Returns 0, or -ENOMEM: over the limit (policy enforce). Thread-safe. */
int account_charge(struct mm *mm, enum account_mode mode, uint64_t pages);
void account_uncharge(struct mm *mm, enum account_mode mode, uint64_t pages);

/* Moves a charge to another address space, as IOAS_CHANGE_PROCESS does. Returns 0 or -ENOMEM; then nothing moved. */
int account_move(struct mm *from, struct mm *to, enum account_mode mode, uint64_t pages);

#endif

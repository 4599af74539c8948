/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/account.h"

#include "base/log.h"
#include "client/client.h"

#include <inttypes.h>
#include <stdlib.h>

#define KIB_PER_PAGE (PAGE_SIZE / 1024)

void accounts_init(struct accounts *accounts, enum memlock_policy policy)
{
	accounts->policy = policy;
	pthread_mutex_init(&accounts->lock, NULL);
	accounts->users = NULL;
	atomic_init(&accounts->told, false);
}

void accounts_fini(struct accounts *accounts)
{
	while (accounts->users) {
		struct account_user *user = accounts->users;

		accounts->users = user->next;
		free(user);
	}
	pthread_mutex_destroy(&accounts->lock);
}

static struct account_user *find_user(struct accounts *accounts, uid_t uid)
{
	for (struct account_user *user = accounts->users; user; user = user->next)
		if (user->uid == uid)
			return user;
	return NULL;
}

struct account_user *accounts_user(struct accounts *accounts, uid_t uid)
{
	struct account_user *user;

	pthread_mutex_lock(&accounts->lock);
	user = find_user(accounts, uid);
	if (!user) {
		user = malloc(sizeof(*user));
		if (user) {
			user->uid = uid;
			user->next = accounts->users;
			atomic_init(&user->locked, 0);
			accounts->users = user;
		}
	}
	pthread_mutex_unlock(&accounts->lock);
	return user;
}

bool account_wanted(const struct mm *mm)
{
	return mm->accounts && mm->accounts->policy != MEMLOCK_OFF;
}

int account_open(struct mm *mm, struct accounts *accounts, uid_t uid)
{
	struct account_user *user = NULL;

	if (accounts->policy != MEMLOCK_OFF) {
		user = accounts_user(accounts, uid);
		if (!user)
			return -ENOMEM;
	}
	mm->accounts = accounts;
	mm->user = user;
	return 0;
}

/* What is held against the limit; NULL: nothing is. */
static _Atomic uint64_t *counter_of(struct mm *mm, enum account_mode mode)
{
	if (mode == ACCOUNT_MM)
		return &mm->locked;
	return mode == ACCOUNT_USER && mm->user ? &mm->user->locked : NULL;
}

static void tell(struct mm *mm, enum account_mode mode, uint64_t total, uint64_t limit)
{
	if (atomic_exchange_explicit(&mm->accounts->told, true, memory_order_relaxed))
		return;
	log_line("process %d maps memory for DMA so that its %s has %" PRIu64 " KiB locked, over the limit of %" PRIu64
		 " KiB: Linux would refuse with ENOMEM; see ulimit -l, --memlock=enforce, --memlock=off",
		 (int)mm->pid, mode == ACCOUNT_USER ? "user" : "address space", total * KIB_PER_PAGE,
		 limit * KIB_PER_PAGE);
}

/* The limit is checked and the count raised in one step. */
static int charge(struct mm *mm, enum account_mode mode, _Atomic uint64_t *counter, uint64_t pages)
{
	const uint64_t limit = mm->ops->memlock_limit ? mm->ops->memlock_limit(mm) : UINT64_MAX;
	const bool enforce = mm->accounts->policy == MEMLOCK_ENFORCE;
	uint64_t locked = atomic_load_explicit(counter, memory_order_relaxed);
	uint64_t total;

	do {
		if (__builtin_add_overflow(locked, pages, &total) || (enforce && total > limit))
			return -ENOMEM;
	} while (!atomic_compare_exchange_weak_explicit(counter, &locked, total, memory_order_relaxed,
							memory_order_relaxed));
	if (total > limit)
		tell(mm, mode, total, limit);
	return 0;
}

int account_charge(struct mm *mm, enum account_mode mode, uint64_t pages)
{
	_Atomic uint64_t *counter;
	int rc;

	if (mode == ACCOUNT_NEVER || !pages || !account_wanted(mm))
		return 0;
	counter = counter_of(mm, mode);
	rc = counter ? charge(mm, mode, counter, pages) : 0;
	if (!rc)
		atomic_fetch_add_explicit(&mm->pinned, pages, memory_order_relaxed);
	return rc;
}

void account_uncharge(struct mm *mm, enum account_mode mode, uint64_t pages)
{
	_Atomic uint64_t *counter;

	if (mode == ACCOUNT_NEVER || !pages || !account_wanted(mm))
		return;
	counter = counter_of(mm, mode);
	if (counter)
		atomic_fetch_sub_explicit(counter, pages, memory_order_relaxed);
	atomic_fetch_sub_explicit(&mm->pinned, pages, memory_order_relaxed);
}

/* As Linux does it, both have it for a moment: one user's pages may not fit twice. */
int account_move(struct mm *from, struct mm *to, enum account_mode mode, uint64_t pages)
{
	int rc;

	if (from == to)
		return 0;
	rc = account_charge(to, mode, pages);
	if (!rc)
		account_uncharge(from, mode, pages);
	return rc;
}

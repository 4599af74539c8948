/* SPDX-License-Identifier: BSD-3-Clause */
/* Locked memory is counted for whom it should be, and refused where the policy says so, however many ask at once. */
#include "client/account.h"

#include "check.h"
#include "client/client.h"

#include <errno.h>
#include <unistd.h>

enum { LIMIT = 100, THREADS = 4, ROUNDS = 20000 };

static uint64_t limit_of(struct mm *mm)
{
	(void)mm;
	return LIMIT;
}

static const struct mm_ops ops = {.memlock_limit = limit_of};

static struct mm space(struct accounts *accounts, uid_t uid)
{
	struct mm mm = {.ops = &ops, .pid = 1};

	CHECK_EQ(account_open(&mm, accounts, uid), 0);
	return mm;
}

static void check_counts(struct mm *mm, uint64_t user, uint64_t locked, uint64_t pinned)
{
	CHECK_EQ(mm->user ? atomic_load(&mm->user->locked) : 0, user);
	CHECK_EQ(atomic_load(&mm->locked), locked);
	CHECK_EQ(atomic_load(&mm->pinned), pinned);
}

static void each_mode_counts_its_own(void)
{
	struct accounts accounts;
	struct mm mm;

	accounts_init(&accounts, MEMLOCK_ENFORCE);
	mm = space(&accounts, 1);
	CHECK_EQ(account_charge(&mm, ACCOUNT_USER, 10), 0);
	check_counts(&mm, 10, 0, 10);
	CHECK_EQ(account_charge(&mm, ACCOUNT_MM, 20), 0);
	check_counts(&mm, 10, 20, 30);
	CHECK_EQ(account_charge(&mm, ACCOUNT_NONE, 1000), 0);
	check_counts(&mm, 10, 20, 1030);
	CHECK_EQ(account_charge(&mm, ACCOUNT_NEVER, 5000), 0);
	check_counts(&mm, 10, 20, 1030);
	account_uncharge(&mm, ACCOUNT_NEVER, 5000);
	account_uncharge(&mm, ACCOUNT_NONE, 1000);
	account_uncharge(&mm, ACCOUNT_MM, 20);
	account_uncharge(&mm, ACCOUNT_USER, 10);
	check_counts(&mm, 0, 0, 0);
	accounts_fini(&accounts);
}

static void the_limit_is_the_last_that_fits(void)
{
	struct accounts accounts;
	struct mm a, b, other;

	accounts_init(&accounts, MEMLOCK_ENFORCE);
	a = space(&accounts, 1);
	b = space(&accounts, 1);
	other = space(&accounts, 2);
	CHECK(a.user == b.user && a.user != other.user);
	CHECK_EQ(account_charge(&a, ACCOUNT_USER, LIMIT - 1), 0);
	CHECK_EQ(account_charge(&b, ACCOUNT_USER, 2), -ENOMEM);
	check_counts(&b, LIMIT - 1, 0, 0);
	CHECK_EQ(account_charge(&b, ACCOUNT_USER, 1), 0);
	CHECK_EQ(account_charge(&other, ACCOUNT_USER, LIMIT), 0);
	CHECK_EQ(account_charge(&b, ACCOUNT_MM, LIMIT + 1), -ENOMEM);
	CHECK_EQ(account_charge(&b, ACCOUNT_MM, LIMIT), 0);
	CHECK_EQ(account_charge(&a, ACCOUNT_MM, LIMIT), 0);
	CHECK_EQ(account_charge(&a, ACCOUNT_USER, UINT64_MAX), -ENOMEM);
	check_counts(&a, LIMIT, LIMIT, 2 * LIMIT - 1);
	accounts_fini(&accounts);
}

static void report_counts_and_refuses_nothing(void)
{
	struct accounts accounts;
	struct mm mm;

	accounts_init(&accounts, MEMLOCK_REPORT);
	mm = space(&accounts, 1);
	CHECK_EQ(account_charge(&mm, ACCOUNT_USER, LIMIT), 0);
	CHECK(!atomic_load(&accounts.told));
	CHECK_EQ(account_charge(&mm, ACCOUNT_USER, 1), 0);
	CHECK(atomic_load(&accounts.told));
	CHECK_EQ(account_charge(&mm, ACCOUNT_MM, LIMIT + 1), 0);
	check_counts(&mm, LIMIT + 1, LIMIT + 1, 2 * LIMIT + 2);
	accounts_fini(&accounts);
}

static void off_counts_nothing(void)
{
	struct accounts accounts;
	struct mm mm;

	accounts_init(&accounts, MEMLOCK_OFF);
	mm = space(&accounts, 1);
	CHECK(!account_wanted(&mm));
	CHECK_EQ(account_charge(&mm, ACCOUNT_USER, 2 * LIMIT), 0);
	check_counts(&mm, 0, 0, 0);
	account_uncharge(&mm, ACCOUNT_USER, 2 * LIMIT);
	check_counts(&mm, 0, 0, 0);
	accounts_fini(&accounts);
	mm = (struct mm){.ops = &ops};
	CHECK_EQ(account_charge(&mm, ACCOUNT_USER, 2 * LIMIT), 0);
	check_counts(&mm, 0, 0, 0);
}

static void a_move_is_all_or_nothing(void)
{
	struct accounts accounts;
	struct mm from, to;

	accounts_init(&accounts, MEMLOCK_ENFORCE);
	from = space(&accounts, 1);
	to = space(&accounts, 2);
	CHECK_EQ(account_charge(&from, ACCOUNT_USER, 60), 0);
	CHECK_EQ(account_charge(&to, ACCOUNT_USER, 50), 0);
	CHECK_EQ(account_move(&from, &to, ACCOUNT_USER, 60), -ENOMEM);
	check_counts(&from, 60, 0, 60);
	check_counts(&to, 50, 0, 50);
	CHECK_EQ(account_move(&from, &to, ACCOUNT_USER, 50), 0);
	check_counts(&from, 10, 0, 10);
	check_counts(&to, 100, 0, 100);
	CHECK_EQ(account_move(&to, &to, ACCOUNT_USER, 100), 0);
	check_counts(&to, 100, 0, 100);
	accounts_fini(&accounts);
}

struct racer {
	struct mm *mm;
	_Atomic uint64_t *most;
};

static void *race(void *arg)
{
	struct racer *racer = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t pages = 1 + i % 40;

		if (account_charge(racer->mm, ACCOUNT_USER, pages))
			continue;
		if (atomic_load(&racer->mm->user->locked) > LIMIT)
			atomic_fetch_add(racer->most, 1);
		account_uncharge(racer->mm, ACCOUNT_USER, pages);
	}
	return NULL;
}

static void the_limit_holds_for_many_at_once(void)
{
	_Atomic uint64_t over = 0;
	struct accounts accounts;
	pthread_t thread[THREADS];
	struct mm mm[2];
	struct racer racer[2];

	accounts_init(&accounts, MEMLOCK_ENFORCE);
	for (int i = 0; i < 2; i++) {
		mm[i] = space(&accounts, 1);
		racer[i] = (struct racer){&mm[i], &over};
	}
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, race, &racer[i % 2]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK_EQ(atomic_load(&over), 0);
	check_counts(&mm[0], 0, 0, 0);
	check_counts(&mm[1], 0, 0, 0);
	accounts_fini(&accounts);
}

int main(void)
{
	each_mode_counts_its_own();
	the_limit_is_the_last_that_fits();
	report_counts_and_refuses_nothing();
	off_counts_nothing();
	a_move_is_all_or_nothing();
	the_limit_holds_for_many_at_once();
	return check_result();
}

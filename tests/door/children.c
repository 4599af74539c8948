/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommuse run --selftest --pin=share: children that are killed while they are given memory of their own. Whoever runs
 * this looks whether anything is said of them.
 */
#include "mock.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/sched.h>

enum { PAGES = 16 };

/* A child that is made, by who is told its number before it runs. */
struct victims {
	pid_t next; /* 0: none yet; -1: there are no more */
	uint64_t seed;
};

static void *kill_them(void *context)
{
	struct victims *v = context;
	uint64_t random = v->seed;
	pid_t pid;

	while ((pid = __atomic_load_n(&v->next, __ATOMIC_ACQUIRE)) >= 0) {
		if (!pid) {
			sched_yield();
			continue;
		}
		usleep((useconds_t)(random_next(&random) % 400));
		kill(pid, SIGKILL);
		__atomic_compare_exchange_n(&v->next, &pid, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void killed_meanwhile(struct test *t)
{
	struct victims v = {.seed = t->seed};
	struct clone_args args = {.flags = CLONE_PARENT_SETTID, .exit_signal = SIGCHLD, .parent_tid = address(&v.next)};
	unsigned char *memory =
		mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t killer;
	struct device d;

	if (!CHECK(t, memory != MAP_FAILED) || !begin_with_device(t, &d))
		return;
	for (size_t i = 0; i < PAGES; i++) {
		memory[i * PAGE] = 1;
		SAME(t, ioas_map(d.fd, d.ioas, memory + i * PAGE, PAGE, FIRST_IOVA + i * 2 * PAGE), 0);
	}
	SAME(t, pthread_create(&killer, NULL, kill_them, &v), 0);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

		if (!pid)
			for (;;)
				pause();
		SAME(t, wait_for(pid), -SIGKILL);
	}
	__atomic_store_n(&v.next, -1, __ATOMIC_RELEASE);
	pthread_join(killer, NULL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"killed_meanwhile", killed_meanwhile},
	};

	return TEST_MAIN(argc, argv, cases);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* close, exec, fork, exit and a kill in one thread while another is in a call. */
#include "door.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* A thread that calls and calls. fd -1: it waits; -2: it ends. */
struct caller {
	pthread_t thread;
	_Atomic int fd;
	_Atomic unsigned long calls; /* since fd was set */
	_Atomic long result;         /* the first that was negative; 0: none */
	_Atomic long last;           /* the last id */
};

static void *call_and_call(void *arg)
{
	struct caller *c = arg;
	int fd;

	while ((fd = atomic_load(&c->fd)) != -2) {
		long rc;

		if (fd == -1 || atomic_load(&c->result)) {
			sched_yield();
			continue;
		}
		rc = ioas_alloc(fd);
		if (rc < 0)
			atomic_store(&c->result, rc);
		else
			atomic_store(&c->last, rc);
		atomic_fetch_add(&c->calls, 1);
	}
	return NULL;
}

static void start_caller(struct test *t, struct caller *c, int fd)
{
	atomic_init(&c->fd, fd);
	atomic_init(&c->calls, 0);
	atomic_init(&c->result, 0);
	atomic_init(&c->last, 0);
	SAME(t, pthread_create(&c->thread, NULL, call_and_call, c), 0);
}

static void stop_caller(struct caller *c)
{
	atomic_store(&c->fd, -2);
	pthread_join(c->thread, NULL);
}

static void await_calls(struct caller *c, unsigned long count)
{
	while (atomic_load(&c->calls) < count && !atomic_load(&c->result))
		sched_yield();
}

/* Up to about a call's time, so that what follows hits any part of one. */
static void any_moment(uint64_t *random)
{
	uint64_t until = monotonic_ns() + random_next(random) % 30000;

	while (monotonic_ns() < until)
		;
}

static void close_during_a_call(struct test *t)
{
	uint64_t random = t->seed;
	struct caller c;

	start_caller(t, &c, -1);
	for (unsigned long i = 0; i < t->rounds; i++) {
		int fd = open_iommu();
		int again;

		atomic_store(&c.calls, 0);
		atomic_store(&c.result, 0);
		atomic_store(&c.fd, fd);
		await_calls(&c, 1);
		any_moment(&random);
		close(fd);
		await_calls(&c, ~0ul);
		atomic_store(&c.fd, -1);
		if (!SAME(t, atomic_load(&c.result), -EBADF))
			break;
		again = open_iommu();
		if (!SAME(t, again, fd) || !FRESH(t, again))
			break;
		close(again);
	}
	stop_caller(&c);
}

/* The number never stops to be a context, but it is one or the other. */
static void replace_during_a_call(struct test *t)
{
	uint64_t random = t->seed;
	int fd = open_iommu();
	struct caller c;

	start_caller(t, &c, fd);
	for (unsigned long i = 0; i < t->rounds; i++) {
		int other = open_iommu();
		unsigned long calls = atomic_load(&c.calls);

		await_calls(&c, calls + 1);
		any_moment(&random);
		if (!SAME(t, dup2(other, fd), fd) || !SAME(t, atomic_load(&c.result), 0))
			break;
		close(other);
	}
	stop_caller(&c);
	CHECK(t, ioas_alloc(fd) > 0);
}

static void fork_during_a_call(struct test *t)
{
	int fd = open_iommu();
	struct caller c;

	start_caller(t, &c, fd);
	await_calls(&c, 1);
	for (unsigned long i = 0; i < t->rounds; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			int own = open_iommu();
			bool good = ioas_alloc(own) == 1 && ioas_alloc(fd) > 0 && ioas_alloc(own) == 2;

			_exit(good ? 0 : 1);
		}
		if (!SAME(t, wait_for(pid), 0))
			break;
	}
	SAME(t, atomic_load(&c.result), 0);
	stop_caller(&c);
}

static int call_once(void *arg)
{
	return ioas_alloc(*(int *)arg) > 0 ? 0 : 1;
}

static void vfork_during_a_call(struct test *t)
{
	_Alignas(16) static char stack[65536];
	int fd = open_iommu();
	struct caller c;

	start_caller(t, &c, fd);
	await_calls(&c, 1);
	for (unsigned long i = 0; i < t->rounds; i++) {
		int pid = clone(call_once, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &fd);

		if (!SAME(t, wait_for(pid), 0))
			break;
	}
	SAME(t, atomic_load(&c.result), 0);
	stop_caller(&c);
}

/* A child with a thread in a call ends in the way that the argument names. The common context is not harmed. */
static void end_during_a_call(struct test *t, const char *how)
{
	uint64_t random = t->seed;
	int common = open(DEV_IOMMU, O_RDWR);
	long last = 0;

	for (unsigned long i = 0; i < t->rounds; i++) {
		int ready[2];
		long id;
		pid_t pid;

		SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
		any_moment(&random);
		pid = fork();
		if (pid == 0) {
			struct caller own;
			struct caller shared;

			start_caller(t, &own, open_iommu());
			start_caller(t, &shared, common);
			await_calls(&own, 1);
			await_calls(&shared, 1);
			tell(ready[1]);
			any_moment(&random);
			if (strcmp(how, "exec") == 0)
				execl(t->program, "helper", "--exit", "0", (char *)NULL);
			if (strcmp(how, "exit") == 0)
				_exit(0);
			for (;;)
				pause();
		}
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		close(ready[0]);
		if (strcmp(how, "kill") == 0) {
			any_moment(&random);
			kill(pid, SIGKILL);
		}
		if (!SAME(t, wait_for(pid), strcmp(how, "kill") == 0 ? -SIGKILL : 0))
			break;
		id = ioas_alloc(common);
		if (!CHECK(t, id > last))
			break;
		last = id;
	}
	close(common);
}

static void exec_during_a_call(struct test *t)
{
	end_during_a_call(t, "exec");
}

static void exit_during_a_call(struct test *t)
{
	end_during_a_call(t, "exit");
}

static void kill_during_a_call(struct test *t)
{
	end_during_a_call(t, "kill");
}

/* exec that fails leaves the program, its memory and its contexts as they were. */
static void failed_exec_during_a_call(struct test *t)
{
	static char buffer[4096];
	int fd = open_iommu();
	struct caller c;

	FRESH(t, fd);
	start_caller(t, &c, fd);
	for (unsigned long i = 0; i < t->rounds; i++) {
		SAME(t, ERR(execl("/nonexistent/program", "x", (char *)NULL)), -ENOENT);
		SAME(t, ERR(execl("/dev/null", "x", (char *)NULL)), -EACCES);
		if (!SAME(t, ioas_map(fd, 1, buffer, sizeof(buffer), 0x10000 * (i + 1)), 0))
			break;
	}
	SAME(t, atomic_load(&c.result), 0);
	stop_caller(&c);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"close_during_a_call", close_during_a_call}, {"replace_during_a_call", replace_during_a_call},
		{"fork_during_a_call", fork_during_a_call},   {"vfork_during_a_call", vfork_during_a_call},
		{"exec_during_a_call", exec_during_a_call},   {"exit_during_a_call", exit_during_a_call},
		{"kill_during_a_call", kill_during_a_call},   {"failed_exec_during_a_call", failed_exec_during_a_call},
	};

	if (argc == 3 && strcmp(argv[1], "--exit") == 0)
		return atoi(argv[2]);
	return TEST_MAIN(argc, argv, cases);
}

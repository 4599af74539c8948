/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that are killed with SIGKILL wherever they happen to be. Nothing of them may stay: the harness counts. */
#include "door.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { FILES = 8 };

static int pick(const int *fds, uint64_t *random)
{
	return fds[random_next(random) % FILES];
}

static void open_something(int *fds, uint64_t *random)
{
	static const char *const nodes[] = {DEV_IOMMU, DEV_VFIO};
	int *slot = &fds[random_next(random) % FILES];

	if (*slot >= 0)
		close(*slot);
	*slot = open(nodes[random_next(random) % 2], random_next(random) % 3 ? O_RDWR : O_RDONLY);
	if (*slot >= 0)
		ioas_alloc(*slot);
}

/* One random deed of an ordinary client. */
static void do_something(int *fds, uint64_t *random)
{
	static char buffer[1 << 16];
	uint64_t iova = random_next(random) % 64 * 0x10000;
	struct stat st;
	pid_t pid;
	long fd;

	switch (random_next(random) % 12) {
	case 0:
		open_something(fds, random);
		break;
	case 1:
		fd = fault_queue_alloc(pick(fds, random), &(uint32_t){0});
		if (fd >= 0 && random_next(random) % 2)
			close((int)fd);
		break;
	case 2:
		fd = dup(pick(fds, random));
		if (fd >= 0 && random_next(random) % 2)
			close((int)fd);
		break;
	case 3:
		fstat(pick(fds, random), &st);
		break;
	case 4:
		if (random_next(random) % 8)
			break;
		pid = fork();
		if (pid == 0) {
			ioas_alloc(pick(fds, random));
			_exit(0);
		}
		if (pid > 0)
			wait_for(pid);
		break;
	case 5:
		ioas_unmap(pick(fds, random), 1, 0, UINT64_MAX);
		break;
	case 6:
		object_destroy(pick(fds, random), (uint32_t)(random_next(random) % 8));
		break;
	case 7:
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, pick(fds, random), 0) != MAP_FAILED)
			_exit(3);
		break;
	default:
		ioas_map(pick(fds, random), 1, buffer, sizeof(buffer), iova);
		ioas_unmap(pick(fds, random), 1, iova, sizeof(buffer));
	}
}

static void *live_forever(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	int fds[FILES];

	for (int i = 0; i < FILES; i++)
		fds[i] = -1;
	for (unsigned deeds = 0;; deeds++) {
		do_something(fds, &random);
		if (deeds % 100 == 99) { /* so that the table does not fill up */
			close_range(200, ~0u, 0);
		}
	}
	return NULL;
}

static void live_until_killed(uint64_t seed, int ready, int threads)
{
	static uint64_t seeds[4];
	pthread_t thread;

	for (int i = 0; i < threads; i++) {
		seeds[i] = seed + (uint64_t)i * 7919;
		if (i && pthread_create(&thread, NULL, live_forever, &seeds[i]) != 0)
			_exit(2);
	}
	tell(ready);
	live_forever(&seeds[0]);
}

static void kill_clients(struct test *t, int threads)
{
	uint64_t random = t->seed + (uint64_t)threads;

	dprintf(STDOUT_FILENO, "# %s: seed %llu, %lu rounds\n", t->name, (unsigned long long)t->seed, t->rounds);
	for (unsigned long i = 0; i < t->rounds; i++) {
		struct timespec moment = {0, (long)(random_next(&random) % 1500000)};
		int ready[2];
		int fd;
		pid_t pid;

		SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
		pid = fork();
		if (pid == 0)
			live_until_killed(random, ready[1], threads);
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		close(ready[0]);
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		if (!SAME(t, wait_for(pid), -SIGKILL))
			return;
		if (i % 16)
			continue;
		fd = open_iommu();
		if (!FRESH(t, fd))
			return;
		close(fd);
	}
}

static void one_thread(struct test *t)
{
	kill_clients(t, 1);
}

static void four_threads(struct test *t)
{
	kill_clients(t, 4);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"one_thread", one_thread},
		{"four_threads", four_threads},
	};

	return TEST_MAIN(argc, argv, cases);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Many threads, each with contexts of its own and with one in common. */
#include "door.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>

enum { THREADS = 8, IDS = 100 };

struct team {
	struct test *t;
	pthread_barrier_t barrier;
	int common;
	unsigned long rounds;
	_Atomic bool failed;
	_Atomic unsigned winners;
	_Atomic int running;
	_Atomic unsigned char seen[THREADS * IDS + 2];
};

struct member {
	struct team *team;
	int number;
	pthread_t thread;
};

static void run_team(struct test *t, struct team *team, void *(*even)(void *), void *(*odd)(void *))
{
	struct member members[THREADS];

	team->t = t;
	team->rounds = t->rounds;
	atomic_store(&team->running, THREADS / 2);
	pthread_barrier_init(&team->barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		members[i].team = team;
		members[i].number = i;
		SAME(t, pthread_create(&members[i].thread, NULL, i % 2 ? odd : even, &members[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(members[i].thread, NULL);
	if (atomic_load(&team->failed))
		t->failed = true;
}

/* As SAME, from a thread. */
#define MEMBER_SAME(m, got, want) member_same(m, __LINE__, #got, (long)(got), (long)(want))
static bool member_same(struct member *m, int line, const char *what, long got, long want)
{
	if (got == want)
		return true;
	if (!atomic_exchange(&m->team->failed, true))
		dprintf(STDOUT_FILENO, "# %s: thread %d, threads.c:%d: %s is %ld, not %ld\n", m->team->t->name,
			m->number, line, what, got, want);
	return false;
}

static bool one_round(struct member *m, int fd, unsigned long round)
{
	static char buffer[1 << 16];
	uint64_t iova = 0x100000 + (uint64_t)m->number * 0x10000000 + (round % 16) * 0x20000;
	uint64_t length = 1 + round * 977 % sizeof(buffer);
	uint64_t chosen = 0;

	return MEMBER_SAME(m, ioas_map(fd, 1, buffer, length, iova), 0) &&
	       MEMBER_SAME(m, ioas_map(fd, 1, buffer, 1, iova + length - 1), -EEXIST) &&
	       MEMBER_SAME(m, ioas_map_anywhere(fd, 1, buffer, 4096, &chosen), 0) &&
	       MEMBER_SAME(m, chosen < iova + length && chosen + 4096 > iova, 0) &&
	       MEMBER_SAME(m, ioas_unmap(fd, 1, iova, length), (long)length) &&
	       MEMBER_SAME(m, ioas_unmap(fd, 1, chosen, 4096), 4096) &&
	       MEMBER_SAME(m, ioas_unmap(fd, 1, iova, length), -ENOENT);
}

static void *maps_in_two_contexts(void *arg)
{
	struct member *m = arg;
	int fds[2] = {open_iommu(), (int)ERR(open(DEV_VFIO, O_RDWR | O_CLOEXEC))};
	bool good = MEMBER_SAME(m, ioas_alloc(fds[0]), 1) && MEMBER_SAME(m, ioas_alloc(fds[1]), 1);

	pthread_barrier_wait(&m->team->barrier);
	for (unsigned long i = 0; good && i < m->team->rounds; i++)
		good = one_round(m, fds[i % 2], i);
	/* Nothing is left, and nothing of another thread's was ever here. */
	for (int i = 0; good && i < 2; i++)
		good = MEMBER_SAME(m, ioas_unmap(fds[i], 1, 0, UINT64_MAX), 0);
	close(fds[0]);
	close(fds[1]);
	atomic_fetch_sub(&m->team->running, 1);
	return NULL;
}

static void own_contexts(struct test *t)
{
	struct team team = {0};

	run_team(t, &team, maps_in_two_contexts, maps_in_two_contexts);
}

static void *opens_and_closes(void *arg)
{
	struct member *m = arg;
	bool good = true;

	pthread_barrier_wait(&m->team->barrier);
	while (good && atomic_load(&m->team->running) > 0) {
		int fd = m->number % 4 == 1 ? open_iommu() : (int)ERR(open(DEV_VFIO, O_RDONLY | O_CLOEXEC));

		good = MEMBER_SAME(m, fd < 0, 0) && MEMBER_SAME(m, ioas_alloc(fd), 1) &&
		       MEMBER_SAME(m, ioas_alloc(fd), 2) && MEMBER_SAME(m, close(fd), 0);
	}
	return NULL;
}

static void others_open_and_close(struct test *t)
{
	struct team team = {0};

	run_team(t, &team, maps_in_two_contexts, opens_and_closes);
}

static void *allocates_ids(void *arg)
{
	struct member *m = arg;

	pthread_barrier_wait(&m->team->barrier);
	for (int i = 0; i < IDS; i++) {
		long id = ioas_alloc(m->team->common);

		if (!MEMBER_SAME(m, id < 1 || id > THREADS * IDS, 0) ||
		    !MEMBER_SAME(m, atomic_exchange(&m->team->seen[id], 1), 0))
			break;
	}
	return NULL;
}

static void ids_are_given_once(struct test *t)
{
	struct team team = {.common = open_iommu()};

	run_team(t, &team, allocates_ids, allocates_ids);
	SAME(t, ioas_alloc(team.common), THREADS * IDS + 1);
}

static void *maps_one_range(void *arg)
{
	static char buffer[4096];
	struct member *m = arg;

	for (unsigned long i = 0; i < m->team->rounds; i++) {
		long rc;

		pthread_barrier_wait(&m->team->barrier);
		rc = ioas_map(m->team->common, 1, buffer, sizeof(buffer), 0x100000);
		if (rc == 0)
			atomic_fetch_add(&m->team->winners, 1);
		else
			MEMBER_SAME(m, rc, -EEXIST);
		if (pthread_barrier_wait(&m->team->barrier) != 0) { /* one of them */
			MEMBER_SAME(m, atomic_exchange(&m->team->winners, 0), 1);
			MEMBER_SAME(m, ioas_unmap(m->team->common, 1, 0x100000, sizeof(buffer)), sizeof(buffer));
		}
	}
	return NULL;
}

static void one_thread_wins_a_range(struct test *t)
{
	struct team team = {.common = open_iommu()};

	FRESH(t, team.common);
	run_team(t, &team, maps_one_range, maps_one_range);
}

/* The thread's descriptors are its own from here on: the same number is another context. */
static void *leaves_the_table(void *arg)
{
	struct member *m = arg;
	int fd = m->team->common;

	if (!MEMBER_SAME(m, ERR(unshare(CLONE_FILES)), 0))
		return NULL;
	MEMBER_SAME(m, ioas_alloc(fd), 2);
	close(fd);
	MEMBER_SAME(m, ioas_alloc(fd), -EBADF);
	MEMBER_SAME(m, open_iommu(), fd);
	MEMBER_SAME(m, ioas_alloc(fd), 1);
	return NULL;
}

static void own_descriptor_table(struct test *t)
{
	struct team team = {.common = open_iommu(), .t = t};
	struct member m = {.team = &team};

	FRESH(t, team.common);
	SAME(t, pthread_create(&m.thread, NULL, leaves_the_table, &m), 0);
	pthread_join(m.thread, NULL);
	CHECK(t, !atomic_load(&team.failed));
	SAME(t, ioas_alloc(team.common), 3);
}

static void *goes_on_alone(void *arg)
{
	static struct test alone;
	struct test *t = &alone;
	int fd = *(int *)arg;
	char state[256];
	FILE *file;
	char *paren = NULL;

	alone.name = "first_thread_is_gone";
	/* The first thread is a zombie, so nothing of the process is found under its number. */
	do {
		sched_yield();
		file = fopen("/proc/self/stat", "re");
		if (file && fgets(state, sizeof(state), file))
			paren = strrchr(state, ')');
		if (file)
			fclose(file);
	} while (!paren || paren[2] != 'Z');
	SAME(t, ioas_alloc(fd), 2);
	SAME(t, ioas_map(fd, 1, state, sizeof(state), 0x1000), 0);
	fd = open_iommu();
	FRESH(t, fd);
	SAME(t, fault_queue_alloc(fd, &(uint32_t){0}) >= 0, true);
	_exit(t->failed);
}

static void first_thread_is_gone(struct test *t)
{
	pid_t pid = fork();

	if (pid == 0) {
		static int fd;
		pthread_t thread;

		fd = open_iommu();
		FRESH(t, fd);
		pthread_create(&thread, NULL, goes_on_alone, &fd);
		syscall(SYS_exit, 0);
	}
	SAME(t, wait_for(pid), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"own_contexts", own_contexts},
		{"others_open_and_close", others_open_and_close},
		{"ids_are_given_once", ids_are_given_once},
		{"one_thread_wins_a_range", one_thread_wins_a_range},
		{"own_descriptor_table", own_descriptor_table},
		{"first_thread_is_gone", first_thread_is_gone},
	};

	return TEST_MAIN(argc, argv, cases);
}

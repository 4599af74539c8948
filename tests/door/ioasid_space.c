/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole space of PASIDs among processes: who exhausts it, what comes back when one of them ends, and quotas.
 * variant: how many bits it has; for the cases of quotas, how many PASIDs a process may have.
 */
#include "ioasid.h"
#include "peer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

/* ALLOC_MANY: at most a of them, and the answer is how many it got; they are the lowest. */
enum { OPEN, CLOSE, ALLOC, ALLOC_IN, ALLOC_MANY, FREE, FREE_RANGE, EXIT, SPIN };

static int file;

static long alloc_many(uint64_t most)
{
	long last = 0;

	for (uint64_t i = 0; i < most; i++) {
		long id = ioasid_any(file);

		if (id == -ENOSPC || id == -EAGAIN)
			return (long)i;
		if (id <= last) /* the lowest that is free: they rise */
			return -ERANGE;
		last = id;
	}
	return (long)most;
}

static long free_range(uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		long rc = ioasid_free(file, (long)id);

		if (rc)
			return rc;
	}
	return 0;
}

static void *spin(void *arg)
{
	uint64_t random = (uint64_t)(uintptr_t)arg;

	for (;;) {
		long id = ioasid_alloc(file, 1 + (uint32_t)(random_next(&random) % 200), ANY_LAST);

		if (random_next(&random) % 2)
			ioasid_free(file, id);
		if (random_next(&random) % 64 == 0) {
			close(file);
			file = ioasid_open();
		}
	}
	return NULL;
}

/* From now on, without end: what a threads do at once. */
static long start_spinning(uint64_t threads)
{
	pthread_t thread;

	for (uint64_t i = 0; i < threads; i++)
		if (pthread_create(&thread, NULL, spin, (void *)(uintptr_t)(i + 1)))
			return -EAGAIN;
	return 0;
}

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	(void)socket;
	switch (op) {
	case OPEN:
		file = ioasid_open();
		return file < 0 ? file : 0;
	case CLOSE:
		return ERR(close(file));
	case ALLOC:
		return ioasid_any(file);
	case ALLOC_IN:
		return ioasid_alloc(file, (uint32_t)a, (uint32_t)b);
	case ALLOC_MANY:
		return alloc_many(a);
	case FREE:
		return ioasid_free(file, (long)a);
	case FREE_RANGE:
		return free_range(a, b);
	case EXIT:
		_exit(0);
	case SPIN:
		return start_spinning(a);
	}
	return -ENOSYS;
}

static struct peer peer_with_file(struct test *t)
{
	struct peer peer = peer_start(serve);

	SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
	return peer;
}

static uint64_t last_of(const struct test *t)
{
	return (1ull << (t->variant ? t->variant : 20)) - 1;
}

/* Two share the space; what one frees is the other's, and what a third one gets when they are gone is all of it. */
static void exhausted_by_two(struct test *t)
{
	uint64_t last = last_of(t);
	uint64_t half = last / 2;
	uint64_t enough = last < 5000 ? last : 5000;
	struct peer a = peer_with_file(t);
	struct peer b = peer_with_file(t);

	SAME(t, peer_ask(&a, ALLOC_MANY, half, 0), half);
	SAME(t, peer_ask(&b, ALLOC_MANY, last + 1, 0), last - half);
	SAME(t, peer_ask(&a, ALLOC, 0, 0), -ENOSPC);
	SAME(t, peer_ask(&b, ALLOC, 0, 0), -ENOSPC);
	SAME(t, peer_ask(&a, FREE, half + 1, 0), -EACCES);
	SAME(t, peer_ask(&b, FREE, half, 0), -EACCES);
	/* What one frees the other gets. */
	SAME(t, peer_ask(&a, FREE, half / 2, 0), 0);
	SAME(t, peer_ask(&b, ALLOC, 0, 0), half / 2);
	SAME(t, peer_ask(&a, ALLOC, 0, 0), -ENOSPC);
	SAME(t, peer_ask(&b, FREE, last, 0), 0);
	SAME(t, peer_ask(&a, ALLOC, 0, 0), last);
	SAME(t, peer_ask(&a, FREE, last, 0), 0);
	SAME(t, peer_ask(&a, FREE, last, 0), -ENOENT);
	SAME(t, peer_ask(&b, FREE, half / 2, 0), 0);
	/* All of one's, one by one; all of the other's, by the close. */
	SAME(t, peer_ask(&a, FREE_RANGE, 1, half / 2 - 1), 0);
	SAME(t, peer_ask(&a, FREE_RANGE, half / 2 + 1, half), 0);
	SAME(t, peer_ask(&b, CLOSE, 0, 0), 0);
	SAME(t, peer_ask(&a, ALLOC_MANY, last + 1, 0), last);
	SAME(t, peer_ask(&b, OPEN, 0, 0), 0);
	SAME(t, peer_ask(&b, ALLOC, 0, 0), -ENOSPC);
	/* And by the end of a process. */
	SAME(t, peer_kill(&a), -SIGKILL);
	SAME(t, peer_ask(&b, ALLOC_IN, last, last), last);
	SAME(t, peer_ask(&b, FREE, last, 0), 0);
	SAME(t, peer_ask(&b, ALLOC_MANY, enough, 0), enough);
	SAME(t, peer_end(&b), 0);
	a = peer_with_file(t);
	SAME(t, peer_ask(&a, ALLOC, 0, 0), 1);
	SAME(t, peer_end(&a), 0);
}

/* Every second one of many processes goes, in turns, and others take what they had. */
static void taken_in_turns(struct test *t)
{
	enum { PEERS = 6 };
	uint64_t last = last_of(t) < 4096 ? last_of(t) : 4096;
	uint64_t share = last / PEERS;
	struct peer peers[PEERS];

	for (uint64_t i = 0; i < PEERS; i++) {
		peers[i] = peer_with_file(t);
		SAME(t, peer_ask(&peers[i], ALLOC_MANY, share, 0), share);
	}
	for (unsigned round = 0; round < 8 && !t->failed; round++) {
		uint64_t i = round % PEERS;

		SAME(t, round % 2 ? peer_kill(&peers[i]) : peer_end(&peers[i]), round % 2 ? -SIGKILL : 0);
		peers[i] = peer_with_file(t);
		SAME(t, peer_ask(&peers[i], ALLOC_IN, i * share + 1, (i + 1) * share), i * share + 1);
		SAME(t, peer_ask(&peers[i], ALLOC_MANY, share - 1, 0), share - 1);
		SAME(t, peer_ask(&peers[i], FREE_RANGE, i * share + 1, (i + 1) * share), 0);
		SAME(t, peer_ask(&peers[i], ALLOC_MANY, share, 0), share);
	}
	for (int i = 0; i < PEERS; i++)
		SAME(t, peer_end(&peers[i]), 0);
}

/* After the end of a process its numbers are free, at once, whatever it was at. */
static void ends_in_every_state(struct test *t)
{
	static const unsigned threads[] = {0, 1, 4};
	uint64_t random = t->seed;

	dprintf(STDOUT_FILENO, "# %s: seed %llu, %lu rounds\n", t->name, (unsigned long long)t->seed, t->rounds);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct timespec moment = {0, (long)(random_next(&random) % 2000000)};
		struct peer peer = peer_start(serve);
		bool killed = i % 2;
		int own;

		if (i % 8) /* else it has not even opened the file */
			SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
		if (i % 8 > 1)
			SAME(t, peer_ask(&peer, ALLOC_MANY, 20, 0), 20);
		if (i % 8 > 3) {
			SAME(t, peer_ask(&peer, SPIN, threads[i / 8 % 3], 0), 0);
			nanosleep(&moment, NULL);
		}
		if (!killed)
			peer_tell(&peer, EXIT, 0, 0);
		SAME(t, killed ? peer_kill(&peer) : peer_end(&peer), killed ? -SIGKILL : 0);
		own = ioasid_open();
		SAME(t, ioasid_any(own), 1);
		SAME(t, ioasid_any(own), 2);
		close(own);
	}
}

/* Many at once, each with a file of its own: nobody is given what another has. */
struct arena {
	_Atomic uint32_t owner[4096];
	_Atomic bool wrong;
};

static void live_in(struct arena *arena, uint32_t who, uint64_t last, unsigned long rounds)
{
	uint64_t random = who;
	uint32_t mine[64] = {0};
	int fd = ioasid_open();

	for (unsigned long i = 0; i < rounds; i++) {
		uint32_t *slot = &mine[random_next(&random) % 64];
		long id;

		if (*slot) {
			arena->wrong |= atomic_exchange(&arena->owner[*slot], 0u) != who;
			arena->wrong |= ioasid_free(fd, *slot) != 0;
			*slot = 0;
			continue;
		}
		id = ioasid_any(fd);
		if (id == -ENOSPC)
			continue;
		if (id <= 0 || (uint64_t)id > last) {
			arena->wrong = true;
			return;
		}
		arena->wrong |= atomic_exchange(&arena->owner[id], who) != 0;
		*slot = (uint32_t)id;
	}
	for (int i = 0; i < 64; i++)
		if (mine[i])
			arena->owner[mine[i]] = 0;
}

static void nobody_gets_what_another_has(struct test *t)
{
	enum { PEERS = 6 };
	struct arena *arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PEERS];

	for (uint32_t i = 0; i < PEERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			live_in(arena, i + 1, last_of(t), t->rounds * 20);
			_exit(0);
		}
	}
	for (int i = 0; i < PEERS; i++)
		SAME(t, wait_for(pids[i]), 0);
	CHECK(t, !arena->wrong);
}

struct opener {
	_Atomic int *holders;
	_Atomic unsigned *opened;
	unsigned long rounds;
	bool wrong;
};

static void *open_and_close(void *arg)
{
	struct opener *o = arg;

	for (unsigned long i = 0; i < o->rounds; i++) {
		int fd = ioasid_open();

		if (fd < 0) {
			o->wrong |= fd != -EBUSY;
			continue;
		}
		++*o->opened;
		o->wrong |= ++*o->holders != 1;
		o->wrong |= ioasid_any(fd) != 1;
		o->wrong |= ioasid_any(fd) != 2;
		--*o->holders;
		close(fd);
	}
	return NULL;
}

/* Of threads that open it at once, one has it; and each finds it as new. */
static void threads_contend(struct test *t)
{
	enum { THREADS = 4 };
	_Atomic int holders = 0;
	_Atomic unsigned opened = 0;
	struct opener openers[THREADS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		openers[i] = (struct opener){&holders, &opened, t->rounds * 10, false};
		SAME(t, pthread_create(&threads[i], NULL, open_and_close, &openers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		CHECK(t, !openers[i].wrong);
	}
	dprintf(STDOUT_FILENO, "# %s: opened %u times\n", t->name, opened);
	CHECK(t, opened > 0);
	SAME(t, ioasid_any(ioasid_open()), 1);
}

/* Quotas: of a process, which has them anew when it opens the file again, and another one has its own. */

static void quota_of_a_process(struct test *t)
{
	long quota = t->variant;
	struct peer peer = peer_with_file(t);
	int fd = ioasid_open();

	for (long i = 1; i <= quota; i++)
		SAME(t, ioasid_any(fd), i);
	SAME(t, ioasid_any(fd), -EAGAIN);
	SAME(t, ioasid_alloc(fd, 1000, 1000), -EAGAIN);
	SAME(t, ioasid_any(fd), -EAGAIN);
	/* Another's is not touched. */
	SAME(t, peer_ask(&peer, ALLOC_MANY, (uint64_t)quota, 0), quota);
	SAME(t, peer_ask(&peer, ALLOC, 0, 0), -EAGAIN);
	SAME(t, peer_ask(&peer, FREE, 1, 0), -EACCES);
	/* After free it works again, once. */
	SAME(t, ioasid_free(fd, 2), 0);
	SAME(t, peer_ask(&peer, ALLOC, 0, 0), -EAGAIN);
	SAME(t, ioasid_alloc(fd, 1000, 1000), 1000);
	SAME(t, ioasid_any(fd), -EAGAIN);
	SAME(t, ioasid_free(fd, 0), -EINVAL);
	SAME(t, ioasid_free(fd, 5000), -ENOENT);
	SAME(t, ioasid_any(fd), -EAGAIN);
	SAME(t, peer_end(&peer), 0);
	SAME(t, ioasid_any(fd), -EAGAIN);
	close(fd);
	fd = ioasid_open();
	for (long i = 1; i <= quota; i++)
		SAME(t, ioasid_any(fd), i);
	SAME(t, ioasid_any(fd), -EAGAIN);
}

/* What fails for another reason is not charged. */
static void failures_are_not_charged(struct test *t)
{
	long quota = t->variant;
	int fd = ioasid_open();

	SAME(t, ioasid_alloc(fd, 5, 5), 5);
	for (int i = 0; i < 50; i++) {
		SAME(t, ioasid_alloc(fd, 5, 5), -ENOSPC);
		SAME(t, ioasid_alloc(fd, 0x7ffffff0, ANY_LAST), -ENOSPC);
		SAME(t, ioasid_alloc(fd, 7, 6), -EINVAL);
		SAME(t, ioasid_alloc(fd, 1, 0x80000000), -EINVAL);
	}
	for (long i = 1; i < quota; i++)
		CHECK(t, ioasid_any(fd) > 0);
	SAME(t, ioasid_any(fd), -EAGAIN);
}

/* Neither fork nor the end of a child changes what a process has left. */
static void quota_and_fork(struct test *t)
{
	long quota = t->variant;
	int fd = ioasid_open();

	SAME(t, ioasid_any(fd), 1);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			file = ioasid_open();
			SAME(t, alloc_many((uint64_t)quota + 1), quota);
			if (i == 1) {
				raise(SIGKILL);
			}
			_exit(t->failed);
		}
		SAME(t, wait_for(pid), i == 1 ? -SIGKILL : 0);
	}
	for (long i = 2; i <= quota; i++)
		SAME(t, ioasid_any(fd), i);
	SAME(t, ioasid_any(fd), -EAGAIN);
}

/* Threads that ask at once get no more than there is. */
static void *ask(void *arg)
{
	long *got = arg;

	for (int i = 0; i < 20; i++)
		*got += ioasid_any(file) > 0;
	return NULL;
}

static void quota_of_threads(struct test *t)
{
	enum { THREADS = 4 };

	for (unsigned long round = 0; round < t->rounds / 4 + 1 && !t->failed; round++) {
		pthread_t threads[THREADS];
		long got[THREADS] = {0};
		long all = 0;

		file = ioasid_open();
		for (int i = 0; i < THREADS; i++)
			SAME(t, pthread_create(&threads[i], NULL, ask, &got[i]), 0);
		for (int i = 0; i < THREADS; i++) {
			pthread_join(threads[i], NULL);
			all += got[i];
		}
		SAME(t, all, t->variant < THREADS * 20 ? t->variant : THREADS * 20);
		close(file);
	}
}

/* For the harness, which looks at what iommuse says of it: one refusal, and then it waits. */
static void refused_once(struct test *t)
{
	int fd = ioasid_open();

	for (long i = 1; i <= t->variant; i++)
		SAME(t, ioasid_any(fd), i);
	SAME(t, ioasid_any(fd), -EAGAIN);
	dprintf(STDOUT_FILENO, "# refused\n");
	alarm(0);
	hear(STDIN_FILENO);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"exhausted_by_two", exhausted_by_two},
		{"taken_in_turns", taken_in_turns},
		{"ends_in_every_state", ends_in_every_state},
		{"nobody_gets_what_another_has", nobody_gets_what_another_has},
		{"threads_contend", threads_contend},
		{"quota_of_a_process", quota_of_a_process},
		{"failures_are_not_charged", failures_are_not_charged},
		{"quota_and_fork", quota_and_fork},
		{"quota_of_threads", quota_of_threads},
		{"refused_once", refused_once},
	};

	return TEST_MAIN(argc, argv, cases);
}

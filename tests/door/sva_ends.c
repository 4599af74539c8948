/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of DMA to a process's own addresses when they change or end meanwhile: exit, exec, fork, munmap, UNBIND,
 * each many times. Device 0 is dmax.
 */
#include "accel.h"
#include "peer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

enum { PIECE = 1 << 16, BUFFER = 4 * PIECE, GIVEN = 48 };

/* Where all processes have memory of their own. */
#define PLACE 0x200000000000ull

static struct accel device;

static uint8_t *map_place(void)
{
	void *p = mmap((void *)PLACE, BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
		       -1, 0);

	if (p != (void *)PLACE)
		_exit(99);
	return p;
}

static bool is_all(const volatile uint8_t *p, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void pause_ns(uint64_t ns)
{
	struct timespec moment = {0, (long)ns};

	nanosleep(&moment, NULL);
}

/* Much to do at PLACE, with 0xee. */
static void give_much(struct queue *q)
{
	for (uint64_t i = 0; i < GIVEN; i++)
		queue_give(q, DMAX_FILL, 0, PLACE + i % 4 * PIECE, 0, PIECE, 0xeeeeeeeeeeeeeeee);
}

static uint32_t *doorbell(unsigned queue, unsigned offset)
{
	return (uint32_t *)(void *)(device.doorbells + DMAX_DOORBELL(queue) + offset);
}

/* Whether a queue whose address space has gone finds that out, without fail. */
static bool is_halted(unsigned queue)
{
	uint64_t start = monotonic_ns();

	while (monotonic_ns() - start < 10000000000ull) {
		uint32_t state = accel_read(&device, DMAX_QUEUE(queue) + DMAX_Q_STATE);
		uint32_t head = accel_read(&device, DMAX_QUEUE(queue) + DMAX_Q_HEAD);
		uint32_t tail = accel_read(&device, DMAX_QUEUE(queue) + DMAX_Q_TAIL);

		if (DMAX_STATE(state) == DMAX_STATE_HALTED)
			return true;
		if (head == tail) /* it has done all: something new, then */
			__atomic_store_n(doorbell(queue, DMAX_D_TAIL), tail + 1, __ATOMIC_RELEASE);
		pause_ns(20000);
	}
	return false;
}

/* Asked of processes that come and go, of whom each has queue 1. */
enum { BEGIN, EXIT, EXEC, CHECK_PLACE };

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	static struct queue q;
	char number[16];
	long rc;

	(void)b;
	switch (op) {
	case BEGIN:
		map_place();
		rc = queue_start(&q, &device, 1, (uint32_t)a, queue_memory_new(false), 0);
		if (rc == 0)
			give_much(&q);
		return rc;
	case EXIT:
		_exit(0);
	case EXEC:
		snprintf(number, sizeof(number), "%d", dup2(socket, 99));
		execl("/proc/self/exe", "helper", "--helper", number, (char *)NULL);
		return -errno;
	case CHECK_PLACE:
		return is_all((uint8_t *)PLACE, BUFFER, (uint8_t)a);
	}
	return -ENOSYS;
}

/* What has executed: says so once it has memory where its maker had. */
static int helper(int socket)
{
	long answer = 0x600d;

	memset(map_place(), 0x44, BUFFER);
	(void)!write(socket, &answer, sizeof(answer));
	peer_be(socket, serve);
}

struct bench {
	struct queue q;
	uint8_t *own; /* at PLACE */
	long pasid;
	uint64_t random;
};

/* This process is bound as well, with queue 0. */
static bool bench_open_again(struct test *t, struct bench *b)
{
	*b = (struct bench){.random = t->seed};
	if (!SAME(t, accel_open(&device, TYPE1V2, 0), 0))
		return false;
	b->pasid = bind_process(device.rig.container, 0);
	return CHECK(t, b->pasid > 0) &&
	       SAME(t, queue_start(&b->q, &device, 0, (uint32_t)b->pasid, queue_memory_new(false), 0), 0);
}

static bool bench_open(struct test *t, struct bench *b)
{
	dprintf(STDOUT_FILENO, "# %s: seed %llu, %lu rounds\n", t->name, (unsigned long long)t->seed, t->rounds);
	return bench_open_again(t, b);
}

static void stop(unsigned queue)
{
	accel_write(&device, DMAX_QUEUE(queue) + DMAX_Q_COMMAND, DMAX_COMMAND_STOP);
}

/* Starts one that is bound and at work; the PASID, or -errno. */
static long start_peer(struct test *t, struct peer *peer)
{
	long pasid;

	*peer = peer_start(serve);
	pasid = bind_process(device.rig.container, peer->pid);
	CHECK(t, pasid > 0);
	SAME(t, peer_ask(peer, BEGIN, (uint64_t)pasid, 0), 0);
	return pasid;
}

/* Neither this process nor one that is bound just then is reached by what another one has left to the device. */
static void ends_during_dma(struct test *t, bool by_kill)
{
	struct bench b;
	unsigned long at_work = 0;

	if (!bench_open(t, &b))
		return;
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		uint64_t moment = random_next(&b.random) % 3000000;
		struct peer peer;
		struct peer next;
		uint32_t state;

		start_peer(t, &peer);
		pause_ns(moment);
		if (!by_kill)
			peer_tell(&peer, EXIT, 0, 0);
		SAME(t, by_kill ? peer_kill(&peer) : peer_end(&peer), by_kill ? -SIGKILL : 0);
		state = accel_read(&device, DMAX_QUEUE(1) + DMAX_Q_STATE);
		at_work += DMAX_STATE(state) == DMAX_STATE_HALTED;
		b.own = map_place();
		memset(b.own, 0x11, BUFFER);
		next = peer_start(serve); /* has a copy of it */
		CHECK(t, bind_process(device.rig.container, next.pid) > 0);
		CHECK(t, is_halted(1));
		SAME(t, peer_ask(&next, CHECK_PLACE, 0x11, 0), 1);
		CHECK(t, is_all(b.own, BUFFER, 0x11));
		stop(1);
		SAME(t, queue_copy(&b.q, b.own, b.own + PIECE, PIECE), DMAX_SUCCESS);
		munmap(b.own, BUFFER);
		SAME(t, peer_end(&next), 0);
	}
	dprintf(STDOUT_FILENO, "# %s: found halted in %lu rounds\n", t->name, at_work);
}

static void exit_during_dma(struct test *t)
{
	ends_during_dma(t, false);
}

static void kill_during_dma(struct test *t)
{
	ends_during_dma(t, true);
}

static void exec_during_dma(struct test *t)
{
	struct bench b;

	if (!bench_open(t, &b))
		return;
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct peer peer;

		start_peer(t, &peer);
		pause_ns(random_next(&b.random) % 3000000);
		peer_tell(&peer, EXEC, 0, 0);
		SAME(t, peer_answer(&peer), 0x600d);
		CHECK(t, is_halted(1));
		/* The new program has nothing of what the old one ordered. */
		SAME(t, peer_ask(&peer, CHECK_PLACE, 0x44, 0), 1);
		stop(1);
		SAME(t, peer_end(&peer), 0);
		SAME(t, queue_copy(&b.q, &b.q.memory->ring[60], &b.q.memory->ring[61], 64), DMAX_SUCCESS);
	}
}

/* Memory that comes and goes under the device: it meets what is there, or nothing; and beside it nothing changes. */
static void munmap_during_dma(struct test *t)
{
	unsigned long faults = 0;
	unsigned long successes = 0;
	struct bench b;
	uint8_t *frame;

	if (!bench_open(t, &b))
		return;
	frame = mmap(NULL, BUFFER + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(frame, 0x66, PAGE);
	memset(frame + PAGE + BUFFER, 0x66, PAGE);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		unsigned records[16];

		for (unsigned k = 0; k < 16; k++)
			records[k] = queue_give(&b.q, DMAX_FILL, 0, address(frame) + PAGE + k % 4 * PIECE, 0, PIECE,
						0x7777777777777777);
		pause_ns(random_next(&b.random) % 200000);
		for (unsigned k = 0; k < 4; k++) {
			SAME(t, ERR(munmap(frame + PAGE, BUFFER)), 0);
			if (random_next(&b.random) % 2)
				pause_ns(random_next(&b.random) % 50000);
			CHECK(t,
			      mmap(frame + PAGE, BUFFER, PROT_READ | PROT_WRITE,
				   (random_next(&b.random) % 2 ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0) == frame + PAGE);
			frame[PAGE + k] = 1;
		}
		for (unsigned k = 0; k < 16; k++) {
			long rc = queue_wait(&b.q, records[k]);

			CHECK(t, rc == DMAX_SUCCESS || rc == DMAX_PAGE_FAULT);
			faults += rc == DMAX_PAGE_FAULT;
			successes += rc == DMAX_SUCCESS;
		}
		CHECK(t, is_all(frame, PAGE, 0x66) && is_all(frame + PAGE + BUFFER, PAGE, 0x66));
		/* What is there now is reached. */
		SAME(t, queue_copy(&b.q, frame + PAGE, frame, PAGE), DMAX_SUCCESS);
		CHECK(t, is_all(frame + PAGE, PAGE, 0x66));
	}
	dprintf(STDOUT_FILENO, "# %s: %lu faults, %lu successes\n", t->name, faults, successes);
}

/* Not what the device writes later: the child's copy is from one moment, and stays what it was. */
static int watch_copy(const uint8_t *p, int go, int ready)
{
	static uint8_t before[BUFFER];

	memcpy(before, p, BUFFER);
	tell(ready);
	hear(go);
	return memcmp(before, p, BUFFER) != 0;
}

static void fork_during_dma(struct test *t)
{
	struct bench b;

	if (!bench_open(t, &b))
		return;
	b.own = map_place();
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		unsigned last = 0;
		int go[2];
		int ready[2];
		pid_t pid;

		SAME(t, ERR(pipe2(go, O_CLOEXEC)), 0);
		SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
		for (unsigned k = 0; k < GIVEN; k++)
			last = queue_give(&b.q, DMAX_FILL, 0, PLACE + k % 4 * PIECE, 0, PIECE,
					  (k + i) % 251 * 0x0101010101010101);
		pause_ns(random_next(&b.random) % 500000);
		pid = fork();
		if (pid == 0) {
			close(go[1]);
			_exit(watch_copy(b.own, go[0], ready[1]));
		}
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		SAME(t, queue_wait(&b.q, last), DMAX_SUCCESS);
		for (unsigned k = 0; k < 4; k++)
			CHECK(t, is_all(b.own + k * PIECE, PIECE, (uint8_t)((GIVEN - 4 + k + i) % 251)));
		SAME(t, queue_do(&b.q, DMAX_FILL, 0, PLACE, 0, BUFFER, 0xabababababababab, NULL), DMAX_SUCCESS);
		CHECK(t, is_all(b.own, BUFFER, 0xab));
		close(go[1]);
		SAME(t, wait_for(pid), 0);
		close(go[0]);
		close(ready[0]);
	}
}

/* After UNBIND has returned nothing is written any more. */
static void unbind_during_dma(struct test *t)
{
	struct bench b;

	if (!bench_open(t, &b))
		return;
	b.own = map_place();
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		give_much(&b.q);
		pause_ns(random_next(&b.random) % 1000000);
		SAME(t, unbind_process(device.rig.container, 0), 0);
		memset(b.own, 0x55, BUFFER);
		CHECK(t, is_halted(0));
		CHECK(t, is_all(b.own, BUFFER, 0x55));
		munmap(b.q.memory, sizeof(*b.q.memory));
		b.pasid = bind_process(device.rig.container, 0);
		CHECK(t, b.pasid > 0);
		SAME(t, queue_start(&b.q, &device, 0, (uint32_t)b.pasid, queue_memory_new(false), 0), 0);
		SAME(t, queue_copy(&b.q, b.own, b.own + PIECE, PIECE), DMAX_SUCCESS);
	}
}

/* The same of the device's reset, and of its close. */
static void close_during_dma(struct test *t)
{
	struct bench b;
	uint64_t random = t->seed;

	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		if (i ? !bench_open_again(t, &b) : !bench_open(t, &b))
			return;
		b.own = map_place();
		give_much(&b.q);
		pause_ns(random_next(&random) % 1000000);
		if (i % 2)
			SAME(t, door_ioctl(device.rig.device, VFIO_DEVICE_RESET, NULL), 0);
		else
			accel_close(&device);
		if (!(i % 2)) /* a call that is served comes after the close */
			close(open_iommu());
		memset(b.own, 0x55, BUFFER);
		pause_ns(200000);
		CHECK(t, is_all(b.own, BUFFER, 0x55));
		if (i % 2)
			accel_close(&device);
		munmap(b.own, BUFFER);
		munmap(b.q.memory, sizeof(*b.q.memory));
	}
}

struct crowd {
	struct test *t;
	_Atomic bool stop;
	uint64_t seed;
};

static void *bind_and_unbind(void *arg)
{
	struct crowd *c = arg;
	uint64_t random = c->seed;

	while (!c->stop) {
		long rc = random_next(&random) % 2 ? bind_process(device.rig.container, 0)
						   : unbind_process(device.rig.container, getpid());

		if (rc < 0 && rc != -ESRCH) {
			test_fail(c->t, "a thread that binds and unbinds gets %s", strerrorname_np((int)-rc));
			break;
		}
	}
	return NULL;
}

/* Threads that bind and unbind one address space at once, while processes are bound and end. */
static void all_at_once(struct test *t)
{
	enum { THREADS = 3 };
	struct crowd crowd[THREADS];
	pthread_t threads[THREADS];
	struct bench b;

	if (!bench_open(t, &b))
		return;
	for (unsigned i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){.t = t, .seed = t->seed + i};
		SAME(t, pthread_create(&threads[i], NULL, bind_and_unbind, &crowd[i]), 0);
	}
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct peer peer = peer_start(serve);
		long pasid = bind_process(device.rig.container, peer.pid);

		CHECK(t, pasid > 0);
		peer_tell(&peer, BEGIN, (uint64_t)pasid, 0);
		pause_ns(random_next(&b.random) % 1000000);
		if (i % 3 == 0)
			SAME(t, unbind_process(device.rig.container, peer.pid), 0);
		SAME(t, peer_kill(&peer), -SIGKILL);
		stop(1);
	}
	for (unsigned i = 0; i < THREADS; i++)
		crowd[i].stop = true;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	b.pasid = bind_process(device.rig.container, 0);
	stop(0);
	SAME(t, queue_start(&b.q, &device, 0, (uint32_t)b.pasid, queue_memory_new(false), 0), 0);
	b.own = map_place();
	SAME(t, queue_copy(&b.q, b.own, b.own + PIECE, PIECE), DMAX_SUCCESS);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"exit_during_dma", exit_during_dma},   {"kill_during_dma", kill_during_dma},
		{"exec_during_dma", exec_during_dma},   {"munmap_during_dma", munmap_during_dma},
		{"fork_during_dma", fork_during_dma},   {"unbind_during_dma", unbind_during_dma},
		{"close_during_dma", close_during_dma}, {"all_at_once", all_at_once},
	};

	if (argc == 3 && strcmp(argv[1], "--helper") == 0)
		return helper(atoi(argv[2]));
	return TEST_MAIN(argc, argv, cases);
}
